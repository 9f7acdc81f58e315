//! What programs of each type can do: which statements make sense in them.

use skep_abi::ProgType;
use skep_catalog::{CtxField, CtxValue, ctx_access, ctx_fields, return_range};

use crate::source::Source;

/// The types that programs are made of, the ones that can be run more often.
const TYPES: [ProgType; 22] = [
    ProgType::Xdp,
    ProgType::Xdp,
    ProgType::Xdp,
    ProgType::SchedCls,
    ProgType::SchedCls,
    ProgType::SchedCls,
    ProgType::SocketFilter,
    ProgType::SocketFilter,
    ProgType::SocketFilter,
    ProgType::CgroupSkb,
    ProgType::RawTracepoint,
    ProgType::RawTracepoint,
    ProgType::Syscall,
    ProgType::Syscall,
    ProgType::Kprobe,
    ProgType::PerfEvent,
    ProgType::Tracepoint,
    ProgType::CgroupSock,
    ProgType::SockOps,
    ProgType::LwtXmit,
    ProgType::CgroupSockopt,
    ProgType::SkReuseport,
];
/// The types that a caller without capabilities may load.
const TYPES_FOR_ANYBODY: [ProgType; 3] = [
    ProgType::SocketFilter,
    ProgType::SocketFilter,
    ProgType::CgroupSkb,
];

/// Bytes of a syscall program's context that are used.
pub(crate) const SYSCALL_CONTEXT: u32 = 64;

/// What a program of the type at hand can do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    pub(crate) prog_type: ProgType,
    pub(crate) attach_type: u32,
    pub(crate) unprivileged: bool,
    /// The offsets and width of the packet's start and end in the context.
    pub(crate) packet: Option<PacketFields>,
    /// Packets may be written.
    pub(crate) packet_writes: bool,
    /// The legacy packet loads work.
    pub(crate) ld_abs: bool,
    /// The context is a `__sk_buff`.
    pub(crate) is_skb: bool,
    /// The numbers it may return.
    pub(crate) range: Option<(i32, i32)>,
}

/// Where the context holds the packet's start and end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PacketFields {
    pub(crate) data: i16,
    pub(crate) data_end: i16,
    /// The loads are of eight bytes instead of four.
    pub(crate) wide: bool,
}

impl Profile {
    pub(crate) fn choose(
        source: &mut Source<'_>,
        wanted: Option<ProgType>,
        unprivileged: bool,
    ) -> Profile {
        let prog_type = wanted.unwrap_or_else(|| {
            if unprivileged {
                source.one_of(TYPES_FOR_ANYBODY)
            } else {
                source.one_of(TYPES)
            }
        });
        let attach_type = match prog_type {
            ProgType::CgroupSkb => source.below(2),
            ProgType::CgroupSock => source.one_of([2, 12, 13]),
            ProgType::CgroupSockopt => source.one_of([21, 22]),
            _ => 0,
        };
        let fields = |data, data_end, wide| {
            Some(PacketFields {
                data,
                data_end,
                wide,
            })
        };
        let is_skb = matches!(
            prog_type,
            ProgType::SocketFilter | ProgType::SchedCls | ProgType::CgroupSkb | ProgType::LwtXmit
        );
        let packet = match prog_type {
            ProgType::Xdp => fields(0, 4, false),
            ProgType::SchedCls | ProgType::LwtXmit => fields(76, 80, false),
            ProgType::CgroupSkb if !unprivileged => fields(76, 80, false),
            ProgType::CgroupSockopt => fields(8, 16, true),
            ProgType::SkReuseport => fields(0, 8, true),
            _ => None,
        };
        Profile {
            prog_type,
            attach_type,
            unprivileged,
            packet,
            packet_writes: matches!(
                prog_type,
                ProgType::Xdp | ProgType::SchedCls | ProgType::LwtXmit | ProgType::CgroupSockopt
            ),
            ld_abs: matches!(
                prog_type,
                ProgType::SocketFilter | ProgType::SchedCls | ProgType::CgroupSkb
            ),
            is_skb,
            range: return_range(prog_type, attach_type),
        }
    }

    /// A field of the context that holds a number and may be read (or written): its offset
    /// and size as they are to be accessed. `None` when a few tries found none.
    pub(crate) fn number_field(&self, source: &mut Source<'_>, write: bool) -> Option<(i16, u32)> {
        if self.prog_type == ProgType::Syscall {
            let size = source.one_of([1, 2, 4, 8]);
            let at = source.below(SYSCALL_CONTEXT / size) * size;
            return Some((i16::try_from(at).ok()?, size));
        }
        if self.prog_type == ProgType::Tracepoint {
            let size = source.one_of([1, 2, 4, 8]);
            return Some((i16::try_from(source.below(8) * 8).ok()?, size));
        }
        let fields = ctx_fields(self.prog_type)?;
        for _ in 0..8 {
            let at = source.below(u32::try_from(fields.len()).ok()?);
            let field: &CtxField = fields.get(at as usize)?;
            let size = source.one_of([1u32, 2, 4, 8]);
            let narrow = field.size.checked_div(size).unwrap_or(0);
            let offset = field
                .offset
                .checked_add(source.below(narrow.max(1)).checked_mul(size)?)?;
            let met = ctx_access(self.prog_type, self.attach_type, offset, size, write);
            let is_number = met.is_some_and(|met| {
                met.value == CtxValue::Scalar
                    && (!self.unprivileged || met.capability == skep_catalog::Capability::None)
            });
            if is_number {
                return Some((i16::try_from(offset).ok()?, size));
            }
        }
        None
    }
}

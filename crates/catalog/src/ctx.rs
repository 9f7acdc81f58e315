//! What a program may load from and store to its context, and what register comes of it.

use skep_abi::ProgType;

use crate::avail::Attach;
use crate::ctx_rows;
use crate::helper::Capability;

/// What a load from the context gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CtxValue {
    /// A number of the size loaded.
    Scalar,
    /// The start of the packet.
    Packet,
    /// The end of the packet.
    PacketEnd,
    /// The start of the metadata before the packet.
    PacketMeta,
    /// A full socket.
    Socket,
    /// A full socket, or null.
    SocketOrNull,
    /// The common part of a socket, or null.
    SockCommonOrNull,
    /// The keys that a flow dissector fills.
    FlowKeys,
    /// The buffer of a writable tracepoint.
    TpBuffer,
    /// A trusted kernel object of this type.
    TrustedPtr(&'static str),
}

/// Sizes of accesses, as a set of 1, 2, 4 and 8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes(pub(crate) u8);

impl Sizes {
    /// Whether an access of this many bytes is in it.
    #[must_use]
    pub const fn contains(self, size: u32) -> bool {
        matches!(size, 1 | 2 | 4 | 8) && self.0 as u32 & size != 0
    }
}

/// One field of a context, or a run of equal ones.
///
/// An access is allowed when its size is in the set, its offset is a multiple of its size
/// (within the context), and it lies inside the field.
#[derive(Clone, Copy, Debug)]
pub struct CtxField {
    /// The name in the C structure.
    pub name: &'static str,
    /// The offset of its first byte.
    pub offset: u32,
    /// Its bytes, the whole run.
    pub size: u32,
    /// Sizes of loads.
    pub read: Sizes,
    /// Sizes of stores.
    pub write: Sizes,
    /// Only accesses at the first byte.
    pub only_first: bool,
    /// What a load gives.
    pub value: CtxValue,
    /// What the loader of the program must be allowed to do for a load or store.
    pub capability: Capability,
    pub(crate) attach: Attach,
}

impl CtxField {
    fn allows(&self, offset: u32, size: u32, write: bool) -> bool {
        let sizes = if write { self.write } else { self.read };
        let inside = offset >= self.offset
            && offset
                .checked_add(size)
                .is_some_and(|end| end <= self.offset + self.size);
        sizes.contains(size)
            && inside
            && offset.is_multiple_of(size)
            && (!self.only_first || offset == self.offset)
    }
}

/// The fields of the context of this program type, `None` where it is typed by BTF.
#[must_use]
pub fn ctx_fields(prog_type: ProgType) -> Option<&'static [CtxField]> {
    ctx_rows::fields(prog_type)
}

/// The field that an access of `size` bytes at `offset` meets, or `None` when the context of
/// such a program does not allow it (Linux: `invalid bpf_context access`).
#[must_use]
pub fn ctx_access(
    prog_type: ProgType,
    attach_type: u32,
    offset: u32,
    size: u32,
    write: bool,
) -> Option<&'static CtxField> {
    ctx_rows::fields(prog_type)?
        .iter()
        .find(|field| field.attach.includes(attach_type) && field.allows(offset, size, write))
}

/// Where the runtime context holds the 64-bit word for a packet pointer that the program loads
/// from `offset`; `None` where the field itself holds it.
///
/// XDP: 24, 32 and 40 for `data`, `data_end` and `data_meta`; programs with a `__sk_buff`:
/// 192, 200 and 208. Contexts with 64-bit pointer fields hold them in place.
#[must_use]
pub fn shadow_offset(prog_type: ProgType, offset: u32) -> Option<u32> {
    match crate::prog::prog_type(prog_type)?.context {
        "xdp_md" => match offset {
            0 => Some(24),
            4 => Some(32),
            8 => Some(40),
            _ => None,
        },
        "__sk_buff" => match offset {
            76 => Some(192),
            80 => Some(200),
            140 => Some(208),
            _ => None,
        },
        _ => None,
    }
}

/// The fields that Linux keeps in fewer bytes than the header gives them: the context, the
/// offset, and the bytes kept. Asked of Linux 6.18.44 by reading what it made of every narrow
/// load that it takes. `remote_port` of `__sk_buff` is left out: see decision record 24.
static SHORT_FIELDS: &[(&str, u32, u32)] = &[
    ("__sk_buff", 4, 1),      // pkt_type
    ("__sk_buff", 12, 2),     // queue_mapping
    ("__sk_buff", 16, 2),     // protocol
    ("__sk_buff", 24, 2),     // vlan_tci
    ("__sk_buff", 28, 2),     // vlan_proto
    ("__sk_buff", 44, 2),     // tc_index
    ("__sk_buff", 72, 2),     // tc_classid
    ("__sk_buff", 88, 2),     // family
    ("__sk_buff", 136, 2),    // local_port
    ("__sk_buff", 164, 2),    // gso_segs
    ("__sk_buff", 176, 2),    // gso_size
    ("bpf_sock_addr", 24, 2), // user_port
    ("bpf_sk_lookup", 8, 2),  // family
    ("bpf_sk_lookup", 12, 2), // protocol
    ("bpf_sk_lookup", 60, 2), // local_port
];

/// Where a load of `size` bytes at `offset` of the context is made from, when that is not
/// where the program says.
///
/// Linux takes a part of a field by loading the field and shifting, except where the load is
/// no narrower than the field as the kernel keeps it: then the load gives the field, wherever
/// in it the program looked. So `*(u16 *)(skb + 18)` is the protocol, and not the zeros above.
#[must_use]
pub fn load_offset(prog_type: ProgType, offset: u32, size: u32) -> Option<u32> {
    let context = crate::prog::prog_type(prog_type)?.context;
    SHORT_FIELDS
        .iter()
        .find(|&&(of, start, kept)| {
            of == context && offset > start && offset - start < 4 && size >= kept
        })
        .map(|&(_, start, _)| start)
}

//! Whether the arguments of a helper fit its prototype.

use skep_catalog::{Arg, ArgKind, Helper};

use crate::access::Access;
use crate::access::btf_id::OWN_BTF;
use crate::context::{Res, Verifier};
use crate::refuse;
use crate::setup::target::kernel_btf;
use crate::state::{Flags, Kind, Reg};

/// Memory that a helper fills without reading it.
///
/// Its bytes need no content before the call. Where it lies is noted here, so that the call
/// can mark it as written when all arguments were checked.
#[derive(Default, Debug)]
pub struct RawMemory {
    /// The argument looked at may be such memory.
    pub wanted: bool,
    /// The register that points at it.
    pub reg: u8,
    /// How many bytes; 0 when there is none.
    pub size: i32,
}

/// What objects are said to be where Linux takes a pointer to their inside as an argument.
const MOVABLE_OBJECTS: [Flags; 6] = [
    Flags::NONE,
    Flags::ALLOC,
    Flags::TRUSTED,
    Flags::RCU,
    Flags::ALLOC.with(Flags::NON_OWN_REF),
    Flags::ALLOC.with(Flags::NON_OWN_REF).with(Flags::RCU),
];

/// What is found out about a call while its arguments are checked.
#[derive(Debug)]
pub(crate) struct Call {
    /// The helper.
    pub helper: &'static Helper,
    /// The map argument: its index and the identity of an inner map.
    pub map: Option<(u32, u32)>,
    /// The key, when it is one known number.
    pub const_key: Option<u64>,
    /// The reference one argument stands for, 0 for none.
    pub ref_obj_id: u32,
    /// The argument whose reference the helper takes over.
    pub release: Option<u8>,
    /// The identity of the dynptr argument, and the reference it stands for.
    pub dynptr: Option<(u32, u32)>,
    /// The dynptr argument is one over the packet of an skb.
    pub dynptr_of_skb: bool,
    /// The kernel pointer in a map value or an object.
    pub kptr: Option<crate::access::special_fields::Field>,
    /// The variable or object of which every CPU has a copy.
    pub per_cpu: Option<Reg>,
    /// The function argument.
    pub subprog: u32,
    /// The size of the memory the helper returns.
    pub mem_size: u32,
    /// The greatest value of the size argument.
    pub max_size: u64,
    /// Memory that the helper fills.
    pub raw: RawMemory,
}

impl Call {
    pub(crate) fn new(helper: &'static Helper) -> Call {
        Call {
            helper,
            map: None,
            const_key: None,
            ref_obj_id: 0,
            release: None,
            dynptr: None,
            dynptr_of_skb: false,
            kptr: None,
            per_cpu: None,
            subprog: 0,
            mem_size: 0,
            max_size: 0,
            raw: RawMemory::default(),
        }
    }
}

/// The direction in which a helper uses the memory of an argument.
fn direction(arg: &Arg) -> Access {
    if arg.writes {
        Access::Write
    } else {
        Access::Read
    }
}

impl Verifier<'_> {
    /// Checks argument `index` (from 0) of a call.
    pub(crate) fn check_arg(&mut self, call: &mut Call, index: usize) -> Res {
        let arg = call.helper.args[index];
        let number = index as u8 + 1;
        if !arg.is_used() {
            return Ok(());
        }
        self.check_reg_read(number)?;
        if arg.kind == ArgKind::Anything {
            if self.leaks(number) {
                refuse!(self, EACCES, "R{number} leaks addr into helper function");
            }
            return Ok(());
        }
        let reg = *self.reg(number);
        if reg.is_packet()
            && reg.flags.0 == 0
            && !self.may_touch_packet(Some(call.helper.pkt_access), Access::Read)
        {
            refuse!(self, EACCES, "helper access to the packet is not allowed");
        }
        let arg = self.resolve_map_value(call, arg)?;
        if !(reg.is_null() && arg.nullable) {
            self.check_arg_kind(call, &arg, &reg, number)?;
            // A dynptr to be released lies at some offset, without being one itself.
            let is_dynptr = matches!(arg.kind, ArgKind::Dynptr(_));
            self.check_arg_offset(&reg, number, arg.releases && !is_dynptr)?;
        }
        if arg.releases {
            self.note_release(call, &arg, &reg, number)?;
        }
        if reg.ref_obj_id != 0 && arg.kind != ArgKind::Kptr {
            if call.ref_obj_id != 0 {
                let (new, old) = (reg.ref_obj_id, call.ref_obj_id);
                refuse!(
                    self,
                    EACCES,
                    "more than one arg with ref_obj_id R{number} {new} {old}"
                );
            }
            call.ref_obj_id = reg.ref_obj_id;
        }
        self.use_arg(call, &arg, &reg, number)
    }

    fn note_release(&mut self, call: &mut Call, arg: &Arg, reg: &Reg, number: u8) -> Res {
        if let ArgKind::Dynptr(_) = arg.kind {
            self.check_dynptr_release(reg, number)?;
        } else if !reg.is_null() && reg.ref_obj_id == 0 {
            refuse!(
                self,
                EINVAL,
                "R{number} must be referenced when passed to release function"
            );
        }
        call.release = Some(number);
        Ok(())
    }

    /// The values of some maps are not bytes but sockets, and some are only written.
    fn resolve_map_value(&mut self, call: &Call, arg: Arg) -> Res<Arg> {
        use skep_abi::MapType as M;
        let Some((map, _)) = call.map.filter(|_| arg.kind == ArgKind::MapValue) else {
            return Ok(arg);
        };
        match M::from_u32(self.map_at(map).map_type) {
            Some(M::Sockmap | M::Sockhash) => {
                if arg.uninit || arg.nullable {
                    refuse!(self, EINVAL, "invalid arg_type for sockmap/sockhash");
                }
                Ok(Arg {
                    kind: ArgKind::BtfIdSockCommon,
                    ..arg
                })
            }
            // A Bloom filter is asked about a value.
            Some(M::BloomFilter) if call.helper.id == skep_catalog::helper_id::MAP_PEEK_ELEM => {
                Ok(Arg {
                    reads: true,
                    writes: false,
                    uninit: false,
                    ..arg
                })
            }
            _ => Ok(arg),
        }
    }

    /// Demands a kind of register that the argument takes.
    fn check_arg_kind(&mut self, call: &Call, arg: &Arg, reg: &Reg, number: u8) -> Res {
        let mut flags = reg.flags;
        if arg.reads && arg.kind == ArgKind::Mem {
            flags = flags.without(Flags::RDONLY);
        }
        if arg.kind == ArgKind::Mem {
            flags = flags.without(Flags::SLICE.with(Flags::PACKET_SLICE));
        }
        if arg.nullable {
            flags = flags.without(Flags::MAYBE_NULL);
        }
        if call.kptr.is_some() && reg.kind == Kind::BtfId && flags.any(Flags::ALLOC) {
            flags = flags.without(Flags::ALLOC.with(Flags::PERCPU));
        }
        if takes(arg.kind, reg.kind, flags) {
            if reg.kind == Kind::BtfId {
                return self.check_object_arg(call, arg, reg, number);
            }
            return Ok(());
        }
        let name = reg.kind_name();
        let expected = arg.expected().unwrap_or("scalar");
        refuse!(self, EACCES, "R{number} type={name} expected={expected}");
    }

    fn refuse_null(&mut self, number: u8) -> Res {
        refuse!(
            self,
            EACCES,
            "Possibly NULL pointer passed to helper arg{number}"
        )
    }

    /// Demands an object of the type that the argument names.
    fn check_object_arg(&mut self, call: &Call, arg: &Arg, reg: &Reg, number: u8) -> Res {
        if matches!(arg.kind, ArgKind::Mem | ArgKind::MapKey | ArgKind::MapValue) {
            if arg.reads && arg.kind == ArgKind::Mem {
                return Ok(());
            }
            let (name, kind) = (call.helper.name, reg.kind_name());
            refuse!(
                self,
                EACCES,
                "{name}() may write into memory pointed by R{number} type={kind}"
            );
        }
        let null = reg.maybe_null() && (!arg.nullable || arg.releases);
        if let Some(field) = call.kptr {
            if !may_be_exchanged(reg.flags) {
                refuse!(
                    self,
                    EFAULT,
                    "verifier bug: invalid PTR_TO_BTF_ID register for type match"
                );
            }
            if null {
                return self.refuse_null(number);
            }
            return self.check_kptr_value(&field, number);
        }
        let wanted = match arg.kind {
            ArgKind::BtfId(name) => name,
            ArgKind::BtfIdSockCommon => "sock_common",
            // Their places are looked at when the argument is used.
            _ => return Ok(()),
        };
        if null {
            return self.refuse_null(number);
        }
        let btf = kernel_btf(self)?;
        let id = self.kernel_struct(wanted)?;
        let strict = arg.releases && call.helper.id != skep_catalog::helper_id::SK_RELEASE;
        let own = reg.map_uid == OWN_BTF;
        let same = !own && reg.off == 0 && reg.aux == id.0;
        let inner = !same
            && !own
            && !strict
            && u32::try_from(reg.off).is_ok_and(|off| self.object_holds(&btf, reg.aux, off, id));
        if !same && !inner {
            let name = self.btf_type_name(reg);
            refuse!(
                self,
                EACCES,
                "R{number} is of type {name} but {wanted} is expected"
            );
        }
        Ok(())
    }

    /// Demands an offset that this kind of pointer may have as an argument.
    ///
    /// # Errors
    /// `EACCES`, or `EINVAL` for a pointer to be released.
    pub(crate) fn check_arg_offset(&mut self, reg: &Reg, number: u8, releases: bool) -> Res {
        if releases {
            if reg.off != 0 {
                refuse!(
                    self,
                    EINVAL,
                    "R{number} must have zero offset when passed to release func or trusted \
                     arg to kfunc"
                );
            }
            return self.check_ptr_off(reg, number, false);
        }
        let f = reg.flags;
        let plain = f == Flags::NONE;
        let anywhere = match reg.kind {
            Kind::Stack
            | Kind::Packet
            | Kind::PacketMeta
            | Kind::MapKey
            | Kind::MapValue
            | Kind::Arena
            | Kind::Scalar => plain,
            Kind::Mem => plain || f == Flags::RDONLY || f == Flags::RINGBUF,
            Kind::Buf => plain || f == Flags::RDONLY,
            _ => false,
        };
        if anywhere {
            return Ok(());
        }
        let object = reg.kind == Kind::BtfId && MOVABLE_OBJECTS.contains(&f);
        self.check_ptr_off(reg, number, object)
    }

    /// Does what the argument is for: notes the map, checks the memory.
    fn use_arg(&mut self, call: &mut Call, arg: &Arg, reg: &Reg, number: u8) -> Res {
        match arg.kind {
            ArgKind::None | ArgKind::Anything => Ok(()),
            ArgKind::ConstMapPtr => {
                let map = (reg.aux, reg.map_uid);
                if let Some(timer) = call.map
                    && timer != map
                {
                    let (one, other) = (timer.1, reg.map_uid);
                    refuse!(
                        self,
                        EINVAL,
                        "timer pointer in R1 map_uid={one} doesn't match map pointer in R2 \
                         map_uid={other}"
                    );
                }
                call.map = Some(map);
                Ok(())
            }
            ArgKind::MapKey => self.use_key(call, reg, number),
            ArgKind::MapValue => {
                if arg.nullable && reg.is_null() {
                    return Ok(());
                }
                let Some(map) = call.map else {
                    refuse!(
                        self,
                        EFAULT,
                        "verifier bug: invalid map_ptr to access map->value"
                    );
                };
                let size = self.map_at(map.0).value_size as i32;
                call.raw.wanted = arg.uninit;
                self.check_helper_memory(number, size, direction(arg), false, Some(&mut call.raw))
            }
            ArgKind::Mem => {
                call.raw.wanted = arg.uninit;
                if arg.size == 0 {
                    return Ok(());
                }
                let size = arg.size as i32;
                self.check_helper_memory(number, size, direction(arg), false, Some(&mut call.raw))?;
                if arg.aligned {
                    self.check_alignment(number, 0, size, true)?;
                }
                Ok(())
            }
            ArgKind::ConstSize | ArgKind::ConstSizeOrZero => {
                // The memory is the argument before; a size never comes first.
                let memory = call.helper.args[usize::from(number).saturating_sub(2)];
                call.max_size = reg.num.umax;
                self.check_sized_memory(
                    number,
                    direction(&memory),
                    arg.kind == ArgKind::ConstSizeOrZero,
                    &mut call.raw,
                )
            }
            ArgKind::ConstAllocSize => {
                if !reg.num.var_off.is_const() {
                    refuse!(self, EACCES, "R{number} is not a known constant'");
                }
                call.mem_size = reg.num.var_off.value as u32;
                self.mark_precise(number)
            }
            ArgKind::Func => {
                call.subprog = reg.aux;
                Ok(())
            }
            ArgKind::ConstStr => self.check_const_string(reg, number),
            ArgKind::SpinLock => self.use_spin_lock(call.helper.id, number),
            ArgKind::Timer => self.use_timer(call, reg, number),
            ArgKind::Kptr => {
                call.kptr = Some(self.use_kptr(reg, number)?);
                Ok(())
            }
            ArgKind::Dynptr(kind) => self.use_dynptr(call, arg, kind, reg, number),
            ArgKind::PercpuBtfId => {
                call.per_cpu = Some(*reg);
                Ok(())
            }
            ArgKind::Ctx
            | ArgKind::SockCommon
            | ArgKind::Socket
            | ArgKind::BtfIdSockCommon
            | ArgKind::BtfId(_)
            | ArgKind::RingbufMem
            | ArgKind::Stack => Ok(()),
        }
    }

    fn use_key(&mut self, call: &mut Call, reg: &Reg, number: u8) -> Res {
        let Some((map, _)) = call.map else {
            refuse!(
                self,
                EFAULT,
                "verifier bug: invalid map_ptr to access map->key"
            );
        };
        let (size, map_type) = {
            let map = self.map_at(map);
            (map.key_size, map.map_type)
        };
        self.check_helper_memory(number, size as i32, Access::Read, false, None)?;
        if super::map_use::is_array(map_type) {
            call.const_key = self.constant_key(reg, size)?;
        }
        Ok(())
    }
}

/// Whether an argument of this kind takes a register of that kind with those modifiers.
fn takes(arg: ArgKind, kind: Kind, flags: Flags) -> bool {
    let plain = flags == Flags::NONE;
    let trusted = flags == Flags::TRUSTED;
    match arg {
        ArgKind::None | ArgKind::Anything => true,
        ArgKind::ConstMapPtr => plain && kind == Kind::ConstMapPtr,
        ArgKind::MapKey | ArgKind::MapValue | ArgKind::Mem => match kind {
            Kind::Stack
            | Kind::Packet
            | Kind::PacketMeta
            | Kind::MapKey
            | Kind::MapValue
            | Kind::Buf => plain,
            Kind::Mem => plain || flags == Flags::RINGBUF,
            Kind::BtfId => trusted,
            _ => false,
        },
        ArgKind::ConstSize | ArgKind::ConstSizeOrZero | ArgKind::ConstAllocSize => {
            kind == Kind::Scalar
        }
        ArgKind::Ctx => plain && kind == Kind::Ctx,
        ArgKind::SpinLock | ArgKind::Kptr => match kind {
            Kind::MapValue => plain,
            Kind::BtfId => flags == Flags::ALLOC,
            _ => false,
        },
        ArgKind::SockCommon => plain && is_sock(kind),
        ArgKind::Socket => plain && kind == Kind::Socket,
        ArgKind::BtfIdSockCommon => {
            plain && is_sock(kind) || kind == Kind::BtfId && (plain || trusted)
        }
        ArgKind::BtfId(_) => kind == Kind::BtfId && (plain || trusted || flags == Flags::RCU),
        ArgKind::RingbufMem => kind == Kind::Mem && flags == Flags::RINGBUF,
        ArgKind::PercpuBtfId => {
            const PERCPU: Flags = Flags::PERCPU;
            kind == Kind::BtfId
                && (flags == PERCPU
                    || flags == PERCPU.with(Flags::RCU)
                    || flags == PERCPU.with(Flags::TRUSTED))
        }
        ArgKind::Func => plain && kind == Kind::Func,
        ArgKind::Stack => plain && kind == Kind::Stack,
        ArgKind::ConstStr | ArgKind::Timer => plain && kind == Kind::MapValue,
        ArgKind::Dynptr(_) => plain && matches!(kind, Kind::Stack | Kind::Dynptr),
    }
}

fn is_sock(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::SockCommon | Kind::Socket | Kind::TcpSock | Kind::XdpSock
    )
}

/// Whether a reference of this kind can be told to be of the type of a kernel pointer: those
/// that other paths give are taken for a mistake of the verifier's own.
fn may_be_exchanged(flags: Flags) -> bool {
    let own = flags.any(Flags::ALLOC);
    let may = match own {
        true => Flags::ALLOC.with(Flags::PERCPU),
        false if flags.any(Flags::TRUSTED) => Flags::TRUSTED.with(Flags::MAYBE_NULL),
        false => Flags::RCU.with(Flags::MAYBE_NULL),
    };
    flags.without(may) == Flags::NONE
}

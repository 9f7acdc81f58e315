//! What is known of one register.

use skep_domain::Scalar;

/// The kind of value a register holds, without its modifiers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Kind {
    /// Nothing was written yet.
    #[default]
    NotInit,
    /// A number.
    Scalar,
    /// The program's context.
    Ctx,
    /// A map, as an argument for helpers.
    ConstMapPtr,
    /// A value inside a map.
    MapValue,
    /// A key, as callbacks over a map get it.
    MapKey,
    /// The stack of some frame.
    Stack,
    /// The metadata before a packet.
    PacketMeta,
    /// A packet.
    Packet,
    /// The end of a packet.
    PacketEnd,
    /// The keys of the flow dissector.
    FlowKeys,
    /// A full socket.
    Socket,
    /// The common part of a socket.
    SockCommon,
    /// A TCP socket.
    TcpSock,
    /// The buffer of a writable tracepoint.
    TpBuffer,
    /// An AF_XDP socket.
    XdpSock,
    /// An object of the kernel, described by BTF.
    BtfId,
    /// Memory of a known size.
    Mem,
    /// Memory shared with user space in an arena.
    Arena,
    /// A buffer whose use is bounded at attach time.
    Buf,
    /// A function of the program.
    Func,
    /// A dynptr handed in by the kernel.
    Dynptr,
}

/// The modifiers of a kind.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Flags(pub u16);

impl Flags {
    /// No modifier.
    pub const NONE: Flags = Flags(0);
    /// The pointer may be null.
    pub const MAYBE_NULL: Flags = Flags(1);
    /// The memory may only be read.
    pub const RDONLY: Flags = Flags(2);
    /// The memory is a record of a ring buffer.
    pub const RINGBUF: Flags = Flags(4);
    /// The memory belongs to user space.
    pub const USER: Flags = Flags(8);
    /// The memory is per-CPU.
    pub const PERCPU: Flags = Flags(16);
    /// The pointer must not be trusted.
    pub const UNTRUSTED: Flags = Flags(32);
    /// The object was allocated by the program.
    pub const ALLOC: Flags = Flags(128);
    /// A reference that the program does not own.
    pub const NON_OWN_REF: Flags = Flags(256);
    /// The pointer is valid and trusted.
    pub const TRUSTED: Flags = Flags(512);
    /// The pointer is valid inside an RCU section.
    pub const RCU: Flags = Flags(1024);
    /// The memory is a part of a dynptr's.
    pub const SLICE: Flags = Flags(2048);
    /// The memory is a part of a packet's dynptr.
    pub const PACKET_SLICE: Flags = Flags(4096);

    /// Whether all of `other` is set.
    #[inline]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
    /// Whether some of `other` is set.
    #[inline]
    pub const fn any(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }
    /// Both together.
    #[inline]
    #[must_use]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
    /// Without `other`.
    #[inline]
    #[must_use]
    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }
}

/// Set in [`Reg::id`] when the register is its id's scalar plus the constant in `off`,
/// added in 64 bits.
pub const ADD_CONST64: u32 = 1 << 31;
/// The same, added in 32 bits to a scalar whose upper half was zero.
pub const ADD_CONST32: u32 = 1 << 30;
/// Either of both.
pub const ADD_CONST: u32 = ADD_CONST64 | ADD_CONST32;

/// The packet range of a pointer known to lie at the end of the packet.
pub const AT_PKT_END: i32 = -1;
/// The packet range of a pointer known to lie past the end of the packet.
pub const BEYOND_PKT_END: i32 = -2;

/// `subreg_def` of a register whose upper half does not come from a 32-bit definition.
pub const DEF_NOT_SUBREG: u32 = 0;

/// One register.
///
/// `aux` holds what the kind needs: the packet range (as `i32`), the size of memory, the
/// index of a map, the BTF type id, or the index of a function.
#[derive(Clone, Copy, Debug)]
pub struct Reg {
    /// Kind of value.
    pub kind: Kind,
    /// The number was read in a way that makes its exact value matter.
    pub precise: bool,
    /// The frame a stack pointer points into.
    pub frame: u8,
    /// Modifiers of the kind.
    pub flags: Flags,
    /// The constant part of a pointer's offset, or the delta of a linked scalar.
    pub off: i32,
    /// Kind-specific word.
    pub aux: u32,
    /// Tells apart values of different lookups in inner maps.
    pub map_uid: u32,
    /// Equal ids mean equal values (scalars) or one origin (pointers).
    pub id: u32,
    /// The acquired reference this pointer stands for.
    pub ref_obj_id: u32,
    /// One more than the instruction that last wrote the low half only, 0 for none.
    pub subreg_def: u32,
    /// The number, or the variable part of a pointer's offset.
    pub num: Scalar,
}

impl Default for Reg {
    fn default() -> Reg {
        Reg::NOT_INIT
    }
}

impl Reg {
    /// A register nothing is known of and that must not be read.
    pub const NOT_INIT: Reg = Reg {
        kind: Kind::NotInit,
        precise: false,
        frame: 0,
        flags: Flags::NONE,
        off: 0,
        aux: 0,
        map_uid: 0,
        id: 0,
        ref_obj_id: 0,
        subreg_def: DEF_NOT_SUBREG,
        num: Scalar::UNKNOWN,
    };

    /// A number nothing is known of.
    pub const UNKNOWN: Reg = Reg {
        kind: Kind::Scalar,
        ..Reg::NOT_INIT
    };

    /// A pointer without offset.
    #[inline]
    pub const fn pointer(kind: Kind) -> Reg {
        Reg {
            kind,
            num: Scalar::ZERO,
            ..Reg::NOT_INIT
        }
    }

    /// The number `value`.
    #[inline]
    pub fn known(value: u64) -> Reg {
        Reg {
            num: Scalar::known(value),
            ..Reg::UNKNOWN
        }
    }

    /// Makes a number one that no other is known to depend on.
    #[inline]
    pub fn unlink(&mut self) {
        self.id = 0;
        self.off = 0;
    }

    /// Whether the register is a number.
    #[inline]
    pub fn is_scalar(&self) -> bool {
        self.kind == Kind::Scalar
    }

    /// Whether the register is a number with one known value.
    #[inline]
    pub fn is_const(&self) -> bool {
        self.kind == Kind::Scalar && self.num.var_off.is_const()
    }

    /// Whether the register is known to be the number zero.
    #[inline]
    pub fn is_null(&self) -> bool {
        self.is_const() && self.num.var_off.value == 0
    }

    /// Whether the pointer may be null.
    #[inline]
    pub fn maybe_null(&self) -> bool {
        self.flags.any(Flags::MAYBE_NULL)
    }

    /// Whether the register points into a packet or its metadata.
    #[inline]
    pub fn is_packet(&self) -> bool {
        matches!(self.kind, Kind::Packet | Kind::PacketMeta)
    }

    /// Whether the register is any of the packet pointers, the end included.
    #[inline]
    pub fn is_packet_any(&self) -> bool {
        matches!(self.kind, Kind::Packet | Kind::PacketMeta | Kind::PacketEnd)
    }

    /// The packet range: bytes known to lie inside, or a negative marker.
    #[inline]
    pub fn range(&self) -> i32 {
        self.aux as i32
    }

    /// Sets the packet range.
    #[inline]
    pub fn set_range(&mut self, range: i32) {
        self.aux = range as u32;
    }

    /// Whether everything but the numbers and the ids is equal: kind, offset, map, memory.
    #[inline]
    pub fn same_identity(&self, other: &Reg) -> bool {
        self.kind == other.kind
            && self.flags == other.flags
            && self.off == other.off
            && self.aux == other.aux
            && self.map_uid == other.map_uid
    }
}

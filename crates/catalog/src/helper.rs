//! What a helper's prototype says: the vocabulary of the rows in `helper_rows`.

/// What a helper returns in r0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ret {
    /// A number.
    Int,
    /// Nothing: r0 may not be read.
    Void,
    /// The value of the map passed in the first argument.
    MapValue,
    /// The same, or null.
    MapValueOrNull,
    /// A full socket, or null.
    SocketOrNull,
    /// A TCP socket, or null.
    TcpSockOrNull,
    /// The common part of a socket, or null.
    SockCommonOrNull,
    /// As many bytes of a ring buffer as the constant size argument says, or null.
    RingbufMemOrNull,
    /// As many bytes of a dynptr's memory as the constant size argument says, or null.
    DynptrMemOrNull,
    /// The per-CPU variable whose BTF id the first argument has, as memory or as an object.
    MemOrBtfId,
    /// The same, or null.
    MemOrBtfIdOrNull,
    /// A trusted kernel object of this type.
    BtfId(&'static str),
    /// A kernel object of this type, or null.
    BtfIdOrNull(&'static str),
    /// An object of the type that the kptr slot holds, or null.
    KptrOrNull,
}

/// What is known of a number that a helper returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResultBound {
    /// Nothing.
    None,
    /// It is from -4095 to the largest size that the size argument allows.
    SizeOrErrno,
    /// It is below the number of processors.
    Cpus,
}

/// What an argument register must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgKind {
    /// The helper does not take this argument.
    None,
    /// Any initialised register (and no pointer, where pointers may not leak).
    Anything,
    /// A map, known at load time.
    ConstMapPtr,
    /// As many bytes as the key of the map argument has.
    MapKey,
    /// As many bytes as the value of the map argument has.
    MapValue,
    /// Memory whose size the next argument has, or [`Arg::size`] when that is not 0.
    Mem,
    /// The size of the memory in the argument before, not 0.
    ConstSize,
    /// The size of the memory in the argument before, possibly 0.
    ConstSizeOrZero,
    /// A size known at load time, for the memory that the helper returns.
    ConstAllocSize,
    /// The context.
    Ctx,
    /// A spin lock in a map value.
    SpinLock,
    /// Any socket that has the common part.
    SockCommon,
    /// A full socket.
    Socket,
    /// Any socket, from the kernel's own types too.
    BtfIdSockCommon,
    /// A kernel object of the type with this name.
    BtfId(&'static str),
    /// Memory that a ring-buffer reservation returned.
    RingbufMem,
    /// A per-CPU kernel variable.
    PercpuBtfId,
    /// A function of the program, for the helper to call.
    Func,
    /// The stack, or whatever the callback shall get.
    Stack,
    /// A constant string in a read-only map.
    ConstStr,
    /// A timer in a map value.
    Timer,
    /// A slot for a kernel pointer in a map value or an allocated object.
    Kptr,
    /// A dynptr of this kind on the stack.
    Dynptr(DynptrKind),
}

/// Which dynptrs an argument takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DynptrKind {
    /// Any initialised one.
    Any,
    /// One over memory of the program.
    Local,
    /// One over a ring-buffer reservation.
    Ringbuf,
}

/// One argument of a helper.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arg {
    /// What the register must hold.
    pub kind: ArgKind,
    /// Null may be passed instead.
    pub nullable: bool,
    /// The helper only reads the memory.
    pub reads: bool,
    /// The helper writes the memory.
    pub writes: bool,
    /// The memory (or dynptr) need not be initialised before.
    pub uninit: bool,
    /// The memory must be aligned to its size.
    pub aligned: bool,
    /// The helper takes over the reference.
    pub releases: bool,
    /// For memory of fixed size its bytes, else 0.
    pub size: u32,
}

impl Arg {
    /// An argument of this kind, with no further property.
    #[must_use]
    pub const fn new(kind: ArgKind) -> Arg {
        Arg {
            kind,
            nullable: false,
            reads: false,
            writes: false,
            uninit: false,
            aligned: false,
            releases: false,
            size: 0,
        }
    }

    pub(crate) const fn or_null(mut self) -> Arg {
        self.nullable = true;
        self
    }

    pub(crate) const fn read(mut self) -> Arg {
        self.reads = true;
        self
    }

    pub(crate) const fn write(mut self) -> Arg {
        self.writes = true;
        self
    }

    pub(crate) const fn uninit(mut self) -> Arg {
        self.uninit = true;
        self
    }

    pub(crate) const fn aligned(mut self) -> Arg {
        self.aligned = true;
        self
    }

    pub(crate) const fn release(mut self) -> Arg {
        self.releases = true;
        self
    }

    pub(crate) const fn sized(mut self, size: u32) -> Arg {
        self.size = size;
        self
    }

    /// Whether the helper takes this argument at all.
    #[must_use]
    pub const fn is_used(&self) -> bool {
        !matches!(self.kind, ArgKind::None)
    }

    /// The register types that this argument takes, as the log lists them after `expected=`,
    /// or `None` for arguments that are checked in another way.
    #[must_use]
    pub const fn expected(&self) -> Option<&'static str> {
        Some(match self.kind {
            ArgKind::ConstMapPtr => "map_ptr",
            ArgKind::MapKey | ArgKind::MapValue | ArgKind::Mem => {
                "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_"
            }
            ArgKind::Ctx => "ctx",
            ArgKind::SpinLock => "map_value, ptr_",
            ArgKind::SockCommon => "sock_common, sock, tcp_sock, xdp_sock",
            ArgKind::Socket => "sock",
            ArgKind::BtfIdSockCommon => "sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_",
            ArgKind::BtfId(_) => "ptr_, trusted_ptr_, rcu_ptr_",
            ArgKind::RingbufMem => "ringbuf_mem",
            ArgKind::PercpuBtfId => "percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_",
            ArgKind::Func => "func",
            ArgKind::Stack => "fp",
            ArgKind::ConstStr | ArgKind::Timer => "map_value",
            ArgKind::Kptr => "map_value, ptr_",
            ArgKind::Dynptr(_) => "fp, dynptr_ptr",
            ArgKind::None
            | ArgKind::Anything
            | ArgKind::ConstSize
            | ArgKind::ConstSizeOrZero
            | ArgKind::ConstAllocSize => return None,
        })
    }
}

/// What a caller must be allowed to do for a helper, besides loading the program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Capability {
    /// Nothing more.
    None,
    /// `CAP_BPF`.
    Bpf,
    /// `CAP_PERFMON`.
    Perfmon,
}

/// One prototype of a numbered helper.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Helper {
    /// The number in the call instruction.
    pub id: u32,
    /// The name, with `bpf_` before it.
    pub name: &'static str,
    /// What it returns.
    pub ret: Ret,
    /// What it takes in r1 to r5.
    pub args: [Arg; 5],
    /// Only programs under a GPL-compatible licence may call it.
    pub gpl_only: bool,
    /// Memory arguments may lie in a packet.
    pub pkt_access: bool,
    /// Only where the program may sleep.
    pub might_sleep: bool,
    /// It keeps r1 to r5, where the compiler knows (`bpf_fastcall`).
    pub fastcall: bool,
    /// Packet pointers are forgotten after it.
    pub changes_packet: bool,
    /// The result is a reference that must be released.
    pub acquires: bool,
    /// What is known of the number it returns.
    pub bound: ResultBound,
}

impl Helper {
    /// The argument whose reference the helper takes over, from 0.
    #[must_use]
    pub fn releases(&self) -> Option<usize> {
        self.args.iter().position(|arg| arg.releases)
    }
}

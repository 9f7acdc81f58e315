//! What distinguishes the program types: context, rights, sleeping, packets, test runs, results.

use skep_abi::ProgType;

/// What the loader of a program must be allowed to do for its type, besides `CAP_BPF`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadRight {
    /// Nothing: where the machine permits, anybody may load it even without `CAP_BPF`.
    Anybody,
    /// Nothing more than `CAP_BPF`.
    Bpf,
    /// `CAP_NET_ADMIN`.
    NetAdmin,
    /// `CAP_PERFMON`.
    Perfmon,
}

/// Whether a program of a type may be loaded with `BPF_F_SLEEPABLE`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sleep {
    /// It may not.
    Never,
    /// It may; what it attaches to decides.
    Maybe,
    /// It must.
    Always,
}

/// What a program may do with the packet that its context points to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PacketAccess {
    /// Nothing.
    None,
    /// Load from it.
    Read,
    /// Load from it and store to it.
    ReadWrite,
}

/// Which `expected_attach_type` a load may name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttachTypes {
    /// Any number: it is not looked at.
    Any,
    /// One of these.
    Only(&'static [u32]),
}

impl AttachTypes {
    /// Whether a load may name this one.
    #[must_use]
    pub fn contain(self, attach_type: u32) -> bool {
        match self {
            AttachTypes::Any => true,
            AttachTypes::Only(list) => list.contains(&attach_type),
        }
    }
}

/// What `BPF_PROG_TEST_RUN` takes for programs of a type, and what it gives back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TestRun {
    /// It does not run them.
    Never,
    /// A packet and a context; both are given back.
    Packet,
    /// A packet, and flags in a context; the flow keys are given back in the packet's place.
    FlowKeys,
    /// A packet, and where it is in a context; nothing is given back.
    Hook,
    /// A context, which is given back apart.
    Lookup,
    /// A context, read once.
    Arguments,
    /// A context, changed in place once.
    Memory,
    /// Nothing: Linux calls functions that such programs may be attached to.
    Function,
    /// The arguments of an operation as a context; the state behind the first is given back.
    Operation,
}

impl TestRun {
    /// Whether a packet goes in.
    #[must_use]
    pub fn takes_packet(self) -> bool {
        matches!(self, TestRun::Packet | TestRun::FlowKeys | TestRun::Hook)
    }

    /// Whether bytes come out where a packet would.
    #[must_use]
    pub fn gives_data(self) -> bool {
        matches!(self, TestRun::Packet | TestRun::FlowKeys)
    }

    /// Whether the caller may say how often, and is told how long it took.
    #[must_use]
    pub fn repeats(self) -> bool {
        self.takes_packet() || self == TestRun::Lookup
    }
}

/// How test runs treat programs of this type.
#[must_use]
pub fn test_run(prog_type: ProgType) -> TestRun {
    self::prog_type(prog_type).map_or(TestRun::Never, |row| row.test_run)
}

/// The facts of one program type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProgTypeRow {
    /// The type.
    pub prog_type: ProgType,
    /// The C structure behind r1, empty where the BTF of the target says it.
    pub context: &'static str,
    /// Its bytes, 0 where there is no fixed number.
    pub context_size: u32,
    /// Who may load it.
    pub right: LoadRight,
    /// Whether it may sleep.
    pub sleep: Sleep,
    /// What it may do with the packet.
    pub packet: PacketAccess,
    /// How `BPF_PROG_TEST_RUN` runs it.
    pub test_run: TestRun,
    /// Which attach types a load may name.
    pub attach_types: AttachTypes,
}

use AttachTypes::{Any, Only};
use LoadRight::{Anybody, Bpf, NetAdmin, Perfmon};
use PacketAccess::{None as NoPacket, Read, ReadWrite};
use Sleep::{Always, Maybe, Never};

macro_rules! rows {
    ($($ty:ident, $context:literal, $size:literal, $right:ident, $sleep:ident, $packet:ident,
       $test_run:ident, $attach:expr;)*) => {
        static ROWS: &[ProgTypeRow] = &[$(ProgTypeRow {
            prog_type: ProgType::$ty,
            context: $context,
            context_size: $size,
            right: $right,
            sleep: $sleep,
            packet: $packet,
            test_run: TestRun::$test_run,
            attach_types: $attach,
        },)*];
    };
}

rows! {
    SocketFilter, "__sk_buff", 192, Anybody, Never, NoPacket, Packet, Any;
    Kprobe, "pt_regs", 168, Perfmon, Maybe, NoPacket, Never, Any;
    SchedCls, "__sk_buff", 192, NetAdmin, Never, ReadWrite, Packet, Any;
    SchedAct, "__sk_buff", 192, NetAdmin, Never, ReadWrite, Packet, Any;
    Tracepoint, "", 0, Perfmon, Never, NoPacket, Never, Any;
    Xdp, "xdp_md", 24, NetAdmin, Never, ReadWrite, Packet, Any;
    PerfEvent, "bpf_perf_event_data", 184, Perfmon, Never, NoPacket, Never, Any;
    CgroupSkb, "__sk_buff", 192, Anybody, Never, Read, Packet, Only(&[0, 1]);
    CgroupSock, "bpf_sock", 80, NetAdmin, Never, NoPacket, Never, Only(&[0, 2, 12, 13, 34]);
    LwtIn, "__sk_buff", 192, NetAdmin, Never, Read, Packet, Any;
    LwtOut, "__sk_buff", 192, NetAdmin, Never, Read, Packet, Any;
    LwtXmit, "__sk_buff", 192, NetAdmin, Never, ReadWrite, Packet, Any;
    SockOps, "bpf_sock_ops", 224, NetAdmin, Never, Read, Never, Any;
    SkSkb, "__sk_buff", 192, NetAdmin, Never, ReadWrite, Never, Any;
    CgroupDevice, "bpf_cgroup_dev_ctx", 12, NetAdmin, Never, NoPacket, Never, Any;
    SkMsg, "sk_msg_md", 80, NetAdmin, Never, ReadWrite, Never, Any;
    RawTracepoint, "bpf_raw_tracepoint_args", 96, Perfmon, Never, NoPacket, Arguments, Any;
    CgroupSockAddr, "bpf_sock_addr", 72, NetAdmin, Never, NoPacket, Never,
        Only(&[8, 9, 10, 11, 14, 15, 19, 20, 29, 30, 31, 32, 49, 50, 51, 52, 53]);
    LwtSeg6local, "__sk_buff", 192, NetAdmin, Never, Read, Never, Any;
    LircMode2, "", 4, Bpf, Never, NoPacket, Never, Any;
    SkReuseport, "sk_reuseport_md", 56, Bpf, Never, Read, Never, Only(&[0, 39, 40]);
    FlowDissector, "__sk_buff", 192, NetAdmin, Never, Read, FlowKeys, Any;
    CgroupSysctl, "bpf_sysctl", 8, NetAdmin, Never, NoPacket, Never, Any;
    RawTracepointWritable, "bpf_raw_tracepoint_args", 96, Perfmon, Never, NoPacket, Never, Any;
    CgroupSockopt, "bpf_sockopt", 40, NetAdmin, Never, ReadWrite, Never, Only(&[21, 22]);
    Tracing, "", 0, Perfmon, Maybe, NoPacket, Function, Only(&[23, 24, 25, 26, 28]);
    StructOps, "", 0, Perfmon, Maybe, NoPacket, Operation, Any;
    Ext, "", 0, NetAdmin, Never, NoPacket, Never, Any;
    Lsm, "", 0, Perfmon, Maybe, NoPacket, Never, Only(&[27, 43]);
    SkLookup, "bpf_sk_lookup", 72, Bpf, Never, NoPacket, Lookup, Only(&[36]);
    Syscall, "", 0, Bpf, Always, NoPacket, Memory, Any;
    Netfilter, "bpf_nf_ctx", 16, NetAdmin, Never, NoPacket, Hook, Only(&[45]);
}

/// The facts of this program type, `None` for the unspecified one.
#[must_use]
pub fn prog_type(prog_type: ProgType) -> Option<&'static ProgTypeRow> {
    let index = (prog_type as usize).checked_sub(1)?;
    ROWS.get(index)
}

/// Whether a program of this type may pass memory of the packet to a helper; `pkt_access` is
/// the helper's [`Helper::pkt_access`](crate::Helper::pkt_access), `writes` whether the helper
/// writes there (Linux: `helper access to the packet is not allowed`).
#[must_use]
pub fn packet_to_helper(prog_type: ProgType, pkt_access: bool, writes: bool) -> bool {
    let packet = self::prog_type(prog_type).map_or(NoPacket, |row| row.packet);
    match (prog_type, packet) {
        // What is called a packet there is the option's value.
        (ProgType::CgroupSockopt, _) => true,
        (ProgType::SockOps, _) | (_, NoPacket) => false,
        (_, Read) => pkt_access && !writes,
        (_, ReadWrite) => pkt_access,
    }
}

/// The numbers that a program of this kind may return, both ends included; `None` when any.
///
/// The loads that name an attach type of 0 where the type has a default are asked by the
/// default. Programs on security hooks have ranges that depend on the hook
/// ([`Hook::results`](crate::Hook::results)); those for control groups answer yes or no.
#[must_use]
pub fn return_range(prog_type: ProgType, attach_type: u32) -> Option<(i32, i32)> {
    match (prog_type, attach_type) {
        (ProgType::CgroupSkb, 1) => Some((0, 3)),
        (ProgType::CgroupSkb, _) => Some((0, 1)),
        (ProgType::CgroupSockAddr, 8 | 9) => Some((0, 3)),
        (ProgType::CgroupSockAddr, 19 | 20 | 29..=32 | 51..=53) => Some((1, 1)),
        (ProgType::CgroupSockAddr, _) => Some((0, 1)),
        (
            ProgType::CgroupSock
            | ProgType::SockOps
            | ProgType::CgroupDevice
            | ProgType::CgroupSysctl
            | ProgType::CgroupSockopt
            | ProgType::SkLookup
            | ProgType::Netfilter,
            _,
        ) => Some((0, 1)),
        (ProgType::Kprobe, 56 | 57) => Some((0, 1)),
        (ProgType::Tracing, 24 | 25) => Some((0, 0)),
        (ProgType::Tracing, 28) | (ProgType::Lsm, 43) => Some((0, 1)),
        _ => None,
    }
}

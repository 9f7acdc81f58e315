//! The fields of every context that is not typed by BTF: flat tables, by program type.
//!
//! A row is `f("name", offset, size, loads, stores)`, with what else is special added to it.
//! `NARROW` loads 1, 2 or 4 bytes, `W4` and `W8` exactly that many, `ALL` any size.

use skep_abi::ProgType;

use crate::avail::Attach;
use crate::ctx::{CtxField, CtxValue, Sizes};
use crate::helper::Capability;
use CtxValue::{
    FlowKeys, Packet, PacketEnd, PacketMeta, SockCommonOrNull, Socket, SocketOrNull, TpBuffer,
    TrustedPtr,
};

const NO: Sizes = Sizes(0);
const W1: Sizes = Sizes(1);
const W4: Sizes = Sizes(4);
const W8: Sizes = Sizes(8);
const NARROW: Sizes = Sizes(1 | 2 | 4);
const WIDE4: Sizes = Sizes(4 | 8);
const ALL: Sizes = Sizes(1 | 2 | 4 | 8);

const fn f(name: &'static str, offset: u32, size: u32, read: Sizes, write: Sizes) -> CtxField {
    CtxField {
        name,
        offset,
        size,
        read,
        write,
        only_first: false,
        value: CtxValue::Scalar,
        capability: Capability::None,
        attach: Attach::Any,
    }
}

impl CtxField {
    const fn gives(mut self, value: CtxValue) -> CtxField {
        self.value = value;
        self
    }

    const fn first(mut self) -> CtxField {
        self.only_first = true;
        self
    }

    const fn at(mut self, attach: &'static [u32]) -> CtxField {
        self.attach = Attach::Only(attach);
        self
    }

    const fn needs(mut self, capability: Capability) -> CtxField {
        self.capability = capability;
        self
    }
}

pub(crate) fn fields(prog_type: ProgType) -> Option<&'static [CtxField]> {
    Some(match prog_type {
        ProgType::SocketFilter => SOCKET_FILTER,
        ProgType::Kprobe => KPROBE,
        ProgType::SchedCls | ProgType::SchedAct => SCHED_CLS,
        ProgType::Tracepoint => TRACEPOINT,
        ProgType::Xdp => XDP,
        ProgType::PerfEvent => PERF_EVENT,
        ProgType::CgroupSkb => CGROUP_SKB,
        ProgType::CgroupSock => CGROUP_SOCK,
        ProgType::LwtIn | ProgType::LwtOut | ProgType::LwtXmit | ProgType::LwtSeg6local => LWT,
        ProgType::SockOps => SOCK_OPS,
        ProgType::SkSkb => SK_SKB,
        ProgType::CgroupDevice => CGROUP_DEVICE,
        ProgType::SkMsg => SK_MSG,
        ProgType::RawTracepoint => RAW_TRACEPOINT,
        ProgType::RawTracepointWritable => RAW_TRACEPOINT_WRITABLE,
        ProgType::CgroupSockAddr => CGROUP_SOCK_ADDR,
        ProgType::LircMode2 => LIRC_MODE2,
        ProgType::SkReuseport => SK_REUSEPORT,
        ProgType::FlowDissector => FLOW_DISSECTOR,
        ProgType::CgroupSysctl => CGROUP_SYSCTL,
        ProgType::CgroupSockopt => CGROUP_SOCKOPT,
        ProgType::SkLookup => SK_LOOKUP,
        ProgType::Syscall => SYSCALL,
        ProgType::Netfilter => NETFILTER,
        _ => return None,
    })
}

static SOCKET_FILTER: &[CtxField] = &[
    f("len..ifindex, tc_index", 0, 48, NARROW, NO),
    f("cb", 48, 20, ALL, ALL),
    f("hash", 68, 4, NARROW, NO),
    f("napi_id", 84, 4, NARROW, NO),
    f("gso_segs", 164, 4, NARROW, NO),
    f("sk", 168, 8, W8, NO).gives(SockCommonOrNull),
    f("gso_size", 176, 4, NARROW, NO),
];

static SCHED_CLS: &[CtxField] = &[
    f("len, pkt_type", 0, 8, NARROW, NO),
    f("mark, queue_mapping", 8, 8, NARROW, W4),
    f(
        "protocol, vlan_present, vlan_tci, vlan_proto",
        16,
        16,
        NARROW,
        NO,
    ),
    f("priority", 32, 4, NARROW, W4),
    f("ingress_ifindex, ifindex", 36, 8, NARROW, NO),
    f("tc_index", 44, 4, NARROW, W4),
    f("cb", 48, 20, ALL, ALL),
    f("hash", 68, 4, NARROW, NO),
    f("tc_classid", 72, 4, NARROW, W4),
    f("data", 76, 4, W4, NO).gives(Packet),
    f("data_end", 80, 4, W4, NO).gives(PacketEnd),
    f("napi_id", 84, 4, NARROW, NO),
    f("data_meta", 140, 4, W4, NO).gives(PacketMeta),
    f("tstamp", 152, 8, W8, W8),
    f("wire_len, gso_segs", 160, 8, NARROW, NO),
    f("sk", 168, 8, W8, NO).gives(SockCommonOrNull),
    f("gso_size", 176, 4, NARROW, NO),
    f("tstamp_type", 180, 1, W1, NO),
    f("hwtstamp", 184, 8, W8, NO),
];

static CGROUP_SKB: &[CtxField] = &[
    f("len, pkt_type", 0, 8, NARROW, NO),
    f("mark", 8, 4, NARROW, W4),
    f("queue_mapping..vlan_proto", 12, 20, NARROW, NO),
    f("priority", 32, 4, NARROW, W4),
    f("ingress_ifindex, ifindex, tc_index", 36, 12, NARROW, NO),
    f("cb", 48, 20, ALL, ALL),
    f("hash", 68, 4, NARROW, NO),
    f("data", 76, 4, W4, NO)
        .gives(Packet)
        .needs(Capability::Bpf),
    f("data_end", 80, 4, W4, NO)
        .gives(PacketEnd)
        .needs(Capability::Bpf),
    f("napi_id, family", 84, 8, NARROW, NO),
    f("remote_ip4..local_ip6", 92, 40, W4, NO),
    f("remote_port, local_port", 132, 8, NARROW, NO),
    f("tstamp", 152, 8, W8, NO),
    f("tstamp", 152, 8, NO, W8).needs(Capability::Bpf),
    f("gso_segs", 164, 4, NARROW, NO),
    f("sk", 168, 8, W8, NO).gives(SockCommonOrNull),
    f("gso_size", 176, 4, NARROW, NO),
    f("hwtstamp", 184, 8, W8, NO),
];

static LWT: &[CtxField] = &[
    f("len, pkt_type", 0, 8, NARROW, NO),
    f("mark", 8, 4, NARROW, W4),
    f("queue_mapping..vlan_proto", 12, 20, NARROW, NO),
    f("priority", 32, 4, NARROW, W4),
    f("ingress_ifindex, ifindex, tc_index", 36, 12, NARROW, NO),
    f("cb", 48, 20, ALL, ALL),
    f("hash", 68, 4, NARROW, NO),
    f("data", 76, 4, W4, NO).gives(Packet),
    f("data_end", 80, 4, W4, NO).gives(PacketEnd),
    f("napi_id", 84, 4, NARROW, NO),
    f("gso_segs", 164, 4, NARROW, NO),
    f("sk", 168, 8, W8, NO).gives(SockCommonOrNull),
    f("gso_size", 176, 4, NARROW, NO),
];

static SK_SKB: &[CtxField] = &[
    f("len, pkt_type", 0, 8, NARROW, NO),
    f("queue_mapping..vlan_proto", 12, 20, NARROW, NO),
    f("priority", 32, 4, NARROW, W4),
    f("ingress_ifindex, ifindex", 36, 8, NARROW, NO),
    f("tc_index", 44, 4, NARROW, W4),
    f("cb", 48, 20, ALL, NO),
    f("hash", 68, 4, NARROW, NO),
    f("data", 76, 4, W4, NO).gives(Packet),
    f("data_end", 80, 4, W4, NO).gives(PacketEnd),
    f("napi_id, family", 84, 8, NARROW, NO),
    f("remote_ip4..local_ip6", 92, 40, W4, NO),
    f("remote_port, local_port", 132, 8, NARROW, NO),
    f("gso_segs", 164, 4, NARROW, NO),
    f("sk", 168, 8, W8, NO).gives(SockCommonOrNull),
    f("gso_size", 176, 4, NARROW, NO),
];

static FLOW_DISSECTOR: &[CtxField] = &[
    f("data", 76, 4, W4, NO).gives(Packet),
    f("data_end", 80, 4, W4, NO).gives(PacketEnd),
    f("flow_keys", 144, 8, W8, NO).gives(FlowKeys),
];

static XDP: &[CtxField] = &[
    f("data", 0, 4, W4, NO).gives(Packet),
    f("data_end", 4, 4, W4, NO).gives(PacketEnd),
    f("data_meta", 8, 4, W4, NO).gives(PacketMeta),
    f("ingress_ifindex, rx_queue_index", 12, 8, W4, NO),
    f("egress_ifindex", 20, 4, W4, NO).at(&[33]),
];

/// `struct pt_regs` of x86-64.
static KPROBE: &[CtxField] = &[f("pt_regs", 0, 168, ALL, NO)];

/// The first eight bytes are the kernel's own; the rest is as the event's format says.
static TRACEPOINT: &[CtxField] = &[f("event", 8, 8192 - 8, ALL, NO)];

static RAW_TRACEPOINT: &[CtxField] = &[f("args", 0, 96, ALL, NO)];

static RAW_TRACEPOINT_WRITABLE: &[CtxField] = &[
    f("args[0]", 0, 8, W8, NO).gives(TpBuffer),
    f("args[0]", 1, 7, NARROW, NO),
    f("args[1..]", 8, 88, ALL, NO),
];

static PERF_EVENT: &[CtxField] = &[
    f("regs", 0, 168, W8, NO),
    f("sample_period, addr", 168, 16, ALL, NO),
];

const CREATE_RELEASE: &[u32] = &[0, 2, 34];

static CGROUP_SOCK: &[CtxField] = &[
    f("bound_dev_if", 0, 4, W4, W4).at(CREATE_RELEASE),
    f("family", 4, 4, NARROW, NO).first(),
    f("type", 8, 4, NARROW, NO).first(),
    f("protocol", 12, 4, NARROW, NO).first(),
    f("mark, priority", 16, 8, W4, W4).at(CREATE_RELEASE),
    f("src_ip4", 24, 4, NARROW, NO).at(&[12]),
    f("src_ip6", 28, 16, NARROW, NO).at(&[13]),
    f("src_port", 44, 4, NARROW, NO).first().at(&[12, 13]),
    f("dst_port", 48, 2, Sizes(1 | 2), NO),
    f("dst_port", 48, 4, W4, NO),
    f("dst_ip4, dst_ip6", 52, 20, NARROW, NO),
    f("state", 72, 4, NARROW, NO).first(),
    f("rx_queue_mapping", 76, 4, NARROW, NO).first(),
];

/// `sample_period`.. of the address families: IPv4, IPv6.
const INET4: &[u32] = &[8, 10, 14, 19, 29, 31];
const INET6: &[u32] = &[9, 11, 15, 20, 30, 32];

static CGROUP_SOCK_ADDR: &[CtxField] = &[
    f("user_family", 0, 4, W4, NO),
    f("user_ip4", 4, 4, NARROW, W4).at(INET4),
    f("user_ip6", 8, 16, ALL, WIDE4).at(INET6),
    f("user_port", 24, 4, NARROW, W4),
    f("family, type, protocol", 28, 12, W4, NO),
    f("msg_src_ip4", 40, 4, NARROW, W4).at(&[14]),
    f("msg_src_ip6", 44, 16, ALL, WIDE4).at(&[15]),
    f("sk", 64, 8, W8, NO).gives(Socket),
];

static SOCK_OPS: &[CtxField] = &[
    f("op", 0, 4, W4, NO),
    f("reply", 4, 4, W4, W4),
    f("replylong[1..]..total_retrans", 8, 156, W4, NO),
    f("sk_txhash", 164, 4, W4, W4),
    f("bytes_received, bytes_acked", 168, 16, W8, NO),
    f("sk", 184, 8, W8, NO).gives(SocketOrNull),
    f("skb_data", 192, 8, W8, NO).gives(Packet),
    f("skb_data_end", 200, 8, W8, NO).gives(PacketEnd),
    f("skb_len", 208, 4, W4, NO),
    f("skb_tcp_flags", 212, 4, NARROW, NO).first(),
    f("skb_hwtstamp", 216, 8, W8, NO),
];

static CGROUP_DEVICE: &[CtxField] = &[
    f("access_type", 0, 4, NARROW, NO),
    f("major, minor", 4, 8, W4, NO),
];

static SK_MSG: &[CtxField] = &[
    f("data", 0, 8, W8, NO).gives(Packet),
    f("data_end", 8, 8, W8, NO).gives(PacketEnd),
    f("family..size", 16, 56, W4, NO),
    f("sk", 72, 8, W8, NO).gives(Socket),
];

/// The context is one 32-bit sample.
static LIRC_MODE2: &[CtxField] = &[f("sample", 0, 4, W4, NO)];

static SK_REUSEPORT: &[CtxField] = &[
    f("data", 0, 8, W8, NO).gives(Packet),
    f("data_end", 8, 8, W8, NO).gives(PacketEnd),
    f("len", 16, 4, NARROW, NO),
    f("eth_protocol", 20, 4, Sizes(2 | 4), NO),
    f("ip_protocol, bind_inany", 24, 8, NARROW, NO),
    f("hash", 32, 4, W4, NO),
    f("sk", 40, 8, W8, NO).gives(Socket),
    f("migrating_sk", 48, 8, W8, NO).gives(SockCommonOrNull),
];

static CGROUP_SYSCTL: &[CtxField] = &[
    f("write", 0, 4, NARROW, NO),
    f("file_pos", 4, 4, NARROW, W4),
];

static CGROUP_SOCKOPT: &[CtxField] = &[
    f("sk", 0, 8, W8, NO).gives(Socket),
    f("optval", 8, 8, W8, NO).gives(Packet),
    f("optval_end", 16, 8, W8, NO).gives(PacketEnd),
    f("level, optname", 24, 8, W4, NO),
    f("level, optname", 24, 8, NO, W4).at(&[22]),
    f("optlen", 32, 4, W4, W4),
    f("retval", 36, 4, W4, W4).at(&[21]),
];

static SK_LOOKUP: &[CtxField] = &[
    f("sk", 0, 8, W8, NO).gives(SocketOrNull),
    f("family..ingress_ifindex", 8, 60, NARROW, NO),
];

/// The caller's own bytes.
static SYSCALL: &[CtxField] = &[f("ctx", 0, 65535, ALL, ALL)];

static NETFILTER: &[CtxField] = &[
    f("state", 0, 8, W8, NO).gives(TrustedPtr("nf_hook_state")),
    f("skb", 8, 8, W8, NO).gives(TrustedPtr("sk_buff")),
];

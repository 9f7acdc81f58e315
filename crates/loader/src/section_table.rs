//! What the name of an ELF section says about the programs in it. This file is a flat table.
//!
//! Source: `Documentation/bpf/libbpf/program_types.rst` of Linux; the conventions are
//! libbpf's.

use skep_abi::{AttachType as A, ProgType as P};

use crate::attach::AttachForm as F;

/// How much of a section's name a row describes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// The name, and nothing behind it.
    Exact,
    /// The name alone, or followed by `/` and a target.
    Optional,
}

/// One row: a section name and what it means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SectionDef {
    /// The name, or its part before the target.
    pub name: &'static str,
    /// Whether a target may follow.
    pub matching: Match,
    /// The type of the programs.
    pub prog_type: P,
    /// Where they are meant to be attached, when the kernel is to be told.
    pub attach_type: Option<A>,
    /// Whether they may sleep.
    pub sleepable: bool,
    /// Whether they take packets in fragments.
    pub frags: bool,
    /// What the target means.
    pub form: F,
}

const fn row(
    name: &'static str,
    matching: Match,
    prog_type: P,
    attach_type: Option<A>,
    form: F,
) -> SectionDef {
    SectionDef {
        name,
        matching,
        prog_type,
        attach_type,
        sleepable: false,
        frags: false,
        form,
    }
}

/// A section without a target and without an expected attach type.
const fn plain(name: &'static str, prog_type: P) -> SectionDef {
    row(name, Match::Exact, prog_type, None, F::None)
}

/// A section without a target whose name implies the attach type.
const fn at(name: &'static str, prog_type: P, attach_type: A) -> SectionDef {
    row(name, Match::Exact, prog_type, Some(attach_type), F::None)
}

/// A section that may name its target.
const fn to(name: &'static str, prog_type: P, attach_type: Option<A>, form: F) -> SectionDef {
    row(name, Match::Optional, prog_type, attach_type, form)
}

/// The same, for programs that may sleep.
const fn sleepable(def: SectionDef) -> SectionDef {
    SectionDef {
        sleepable: true,
        ..def
    }
}

/// The same, for programs that take packets in fragments.
const fn frags(def: SectionDef) -> SectionDef {
    SectionDef { frags: true, ..def }
}

/// Every section name that stands for a program type. The first row that matches counts.
#[rustfmt::skip]
pub const SECTIONS: &[SectionDef] = &[
    plain("socket", P::SocketFilter),
    at("sk_reuseport/migrate", P::SkReuseport, A::SkReuseportSelectOrMigrate),
    at("sk_reuseport", P::SkReuseport, A::SkReuseportSelect),
    to("kprobe", P::Kprobe, None, F::Kprobe),
    to("uprobe", P::Kprobe, None, F::Uprobe),
    sleepable(to("uprobe.s", P::Kprobe, None, F::Uprobe)),
    to("kretprobe", P::Kprobe, None, F::Kretprobe),
    to("uretprobe", P::Kprobe, None, F::Uretprobe),
    sleepable(to("uretprobe.s", P::Kprobe, None, F::Uretprobe)),
    to("kprobe.multi", P::Kprobe, Some(A::TraceKprobeMulti), F::KprobeMulti),
    to("kretprobe.multi", P::Kprobe, Some(A::TraceKprobeMulti), F::KretprobeMulti),
    to("kprobe.session", P::Kprobe, Some(A::TraceKprobeSession), F::KprobeSession),
    to("uprobe.multi", P::Kprobe, Some(A::TraceUprobeMulti), F::UprobeMulti),
    to("uretprobe.multi", P::Kprobe, Some(A::TraceUprobeMulti), F::UretprobeMulti),
    to("uprobe.session", P::Kprobe, Some(A::TraceUprobeSession), F::UprobeSession),
    sleepable(to("uprobe.multi.s", P::Kprobe, Some(A::TraceUprobeMulti), F::UprobeMulti)),
    sleepable(to("uretprobe.multi.s", P::Kprobe, Some(A::TraceUprobeMulti), F::UretprobeMulti)),
    sleepable(to("uprobe.session.s", P::Kprobe, Some(A::TraceUprobeSession), F::UprobeSession)),
    to("ksyscall", P::Kprobe, None, F::Ksyscall),
    to("kretsyscall", P::Kprobe, None, F::Kretsyscall),
    to("usdt", P::Kprobe, None, F::Usdt),
    sleepable(to("usdt.s", P::Kprobe, None, F::Usdt)),
    at("tc/ingress", P::SchedCls, A::TcxIngress),
    at("tc/egress", P::SchedCls, A::TcxEgress),
    at("tcx/ingress", P::SchedCls, A::TcxIngress),
    at("tcx/egress", P::SchedCls, A::TcxEgress),
    plain("tc", P::SchedCls),
    plain("classifier", P::SchedCls),
    plain("action", P::SchedAct),
    at("netkit/primary", P::SchedCls, A::NetkitPrimary),
    at("netkit/peer", P::SchedCls, A::NetkitPeer),
    to("tracepoint", P::Tracepoint, None, F::Tracepoint),
    to("tp", P::Tracepoint, None, F::Tracepoint),
    to("raw_tracepoint", P::RawTracepoint, None, F::RawTracepoint),
    to("raw_tp", P::RawTracepoint, None, F::RawTracepoint),
    to("raw_tracepoint.w", P::RawTracepointWritable, None, F::RawTracepoint),
    to("raw_tp.w", P::RawTracepointWritable, None, F::RawTracepoint),
    to("tp_btf", P::Tracing, Some(A::TraceRawTp), F::BtfTracepoint),
    to("fentry", P::Tracing, Some(A::TraceFentry), F::BtfFunction),
    to("fmod_ret", P::Tracing, Some(A::ModifyReturn), F::BtfFunction),
    to("fexit", P::Tracing, Some(A::TraceFexit), F::BtfFunction),
    sleepable(to("fentry.s", P::Tracing, Some(A::TraceFentry), F::BtfFunction)),
    sleepable(to("fmod_ret.s", P::Tracing, Some(A::ModifyReturn), F::BtfFunction)),
    sleepable(to("fexit.s", P::Tracing, Some(A::TraceFexit), F::BtfFunction)),
    to("freplace", P::Ext, None, F::Replace),
    to("lsm", P::Lsm, Some(A::LsmMac), F::LsmHook),
    sleepable(to("lsm.s", P::Lsm, Some(A::LsmMac), F::LsmHook)),
    to("lsm_cgroup", P::Lsm, Some(A::LsmCgroup), F::LsmHook),
    to("iter", P::Tracing, Some(A::TraceIter), F::Iterator),
    sleepable(to("iter.s", P::Tracing, Some(A::TraceIter), F::Iterator)),
    sleepable(plain("syscall", P::Syscall)),
    frags(at("xdp.frags/devmap", P::Xdp, A::XdpDevmap)),
    at("xdp/devmap", P::Xdp, A::XdpDevmap),
    frags(at("xdp.frags/cpumap", P::Xdp, A::XdpCpumap)),
    at("xdp/cpumap", P::Xdp, A::XdpCpumap),
    frags(at("xdp.frags", P::Xdp, A::Xdp)),
    at("xdp", P::Xdp, A::Xdp),
    plain("perf_event", P::PerfEvent),
    plain("lwt_in", P::LwtIn),
    plain("lwt_out", P::LwtOut),
    plain("lwt_xmit", P::LwtXmit),
    plain("lwt_seg6local", P::LwtSeg6local),
    at("sockops", P::SockOps, A::CgroupSockOps),
    at("sk_skb/stream_parser", P::SkSkb, A::SkSkbStreamParser),
    at("sk_skb/stream_verdict", P::SkSkb, A::SkSkbStreamVerdict),
    at("sk_skb/verdict", P::SkSkb, A::SkSkbVerdict),
    plain("sk_skb", P::SkSkb),
    at("sk_msg", P::SkMsg, A::SkMsgVerdict),
    at("lirc_mode2", P::LircMode2, A::LircMode2),
    at("flow_dissector", P::FlowDissector, A::FlowDissector),
    at("cgroup_skb/ingress", P::CgroupSkb, A::CgroupInetIngress),
    at("cgroup_skb/egress", P::CgroupSkb, A::CgroupInetEgress),
    plain("cgroup/skb", P::CgroupSkb),
    at("cgroup/sock_create", P::CgroupSock, A::CgroupInetSockCreate),
    at("cgroup/sock_release", P::CgroupSock, A::CgroupInetSockRelease),
    at("cgroup/sock", P::CgroupSock, A::CgroupInetSockCreate),
    at("cgroup/post_bind4", P::CgroupSock, A::CgroupInet4PostBind),
    at("cgroup/post_bind6", P::CgroupSock, A::CgroupInet6PostBind),
    at("cgroup/bind4", P::CgroupSockAddr, A::CgroupInet4Bind),
    at("cgroup/bind6", P::CgroupSockAddr, A::CgroupInet6Bind),
    at("cgroup/connect4", P::CgroupSockAddr, A::CgroupInet4Connect),
    at("cgroup/connect6", P::CgroupSockAddr, A::CgroupInet6Connect),
    at("cgroup/connect_unix", P::CgroupSockAddr, A::CgroupUnixConnect),
    at("cgroup/sendmsg4", P::CgroupSockAddr, A::CgroupUdp4Sendmsg),
    at("cgroup/sendmsg6", P::CgroupSockAddr, A::CgroupUdp6Sendmsg),
    at("cgroup/sendmsg_unix", P::CgroupSockAddr, A::CgroupUnixSendmsg),
    at("cgroup/recvmsg4", P::CgroupSockAddr, A::CgroupUdp4Recvmsg),
    at("cgroup/recvmsg6", P::CgroupSockAddr, A::CgroupUdp6Recvmsg),
    at("cgroup/recvmsg_unix", P::CgroupSockAddr, A::CgroupUnixRecvmsg),
    at("cgroup/getpeername4", P::CgroupSockAddr, A::CgroupInet4Getpeername),
    at("cgroup/getpeername6", P::CgroupSockAddr, A::CgroupInet6Getpeername),
    at("cgroup/getpeername_unix", P::CgroupSockAddr, A::CgroupUnixGetpeername),
    at("cgroup/getsockname4", P::CgroupSockAddr, A::CgroupInet4Getsockname),
    at("cgroup/getsockname6", P::CgroupSockAddr, A::CgroupInet6Getsockname),
    at("cgroup/getsockname_unix", P::CgroupSockAddr, A::CgroupUnixGetsockname),
    at("cgroup/sysctl", P::CgroupSysctl, A::CgroupSysctl),
    at("cgroup/getsockopt", P::CgroupSockopt, A::CgroupGetsockopt),
    at("cgroup/setsockopt", P::CgroupSockopt, A::CgroupSetsockopt),
    at("cgroup/dev", P::CgroupDevice, A::CgroupDevice),
    to("struct_ops", P::StructOps, None, F::StructOps),
    sleepable(to("struct_ops.s", P::StructOps, None, F::StructOps)),
    at("sk_lookup", P::SkLookup, A::SkLookup),
    at("netfilter", P::Netfilter, A::Netfilter),
];

impl SectionDef {
    /// Whether attaching an object attaches such programs, where their section's name says
    /// where. Others are attached by hand: to an interface, a cgroup, a map, or with the
    /// structure of operations that they are part of.
    pub fn attaches_itself(&self) -> bool {
        let by_name = !matches!(self.form, F::None | F::StructOps);
        by_name && self.attach_type != Some(A::LsmCgroup)
    }

    /// The row for a section's name (without a leading `?`), and the target it names.
    pub fn find(section: &str) -> Option<(&'static SectionDef, Option<&str>)> {
        SECTIONS.iter().find_map(|def| {
            let rest = section.strip_prefix(def.name)?;
            if rest.is_empty() {
                return Some((def, None));
            }
            let target = rest.strip_prefix('/')?;
            (def.matching == Match::Optional).then_some((def, Some(target)))
        })
    }
}

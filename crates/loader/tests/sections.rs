//! What section names mean.

use skep_abi::{AttachType, ProgType};
use skep_loader::{AttachTarget, AutoAttach, Object, SECTIONS, SectionDef, object_name};

#[test]
fn names_with_their_types() {
    let check = |section: &str, wanted: Option<(ProgType, Option<AttachType>, bool)>| {
        let found = SectionDef::find(section);
        let found = found.map(|(def, _)| (def.prog_type, def.attach_type, def.sleepable));
        assert_eq!(found, wanted, "{section}");
    };
    let yes = |prog, attach| Some((prog, attach, false));
    check("xdp", yes(ProgType::Xdp, Some(AttachType::Xdp)));
    check(
        "xdp/devmap",
        yes(ProgType::Xdp, Some(AttachType::XdpDevmap)),
    );
    check(
        "xdp.frags/cpumap",
        yes(ProgType::Xdp, Some(AttachType::XdpCpumap)),
    );
    check("tc", yes(ProgType::SchedCls, None));
    check(
        "tcx/ingress",
        yes(ProgType::SchedCls, Some(AttachType::TcxIngress)),
    );
    check(
        "netkit/peer",
        yes(ProgType::SchedCls, Some(AttachType::NetkitPeer)),
    );
    check("socket", yes(ProgType::SocketFilter, None));
    check("kprobe", yes(ProgType::Kprobe, None));
    check("kprobe/do_exit", yes(ProgType::Kprobe, None));
    check(
        "kprobe.session/do_*",
        yes(ProgType::Kprobe, Some(AttachType::TraceKprobeSession)),
    );
    check(
        "uprobe.s//bin/sh:main",
        Some((ProgType::Kprobe, None, true)),
    );
    check(
        "fentry.s/f",
        Some((ProgType::Tracing, Some(AttachType::TraceFentry), true)),
    );
    check(
        "tp_btf/x",
        yes(ProgType::Tracing, Some(AttachType::TraceRawTp)),
    );
    check(
        "lsm.s/file_open",
        Some((ProgType::Lsm, Some(AttachType::LsmMac), true)),
    );
    check(
        "lsm_cgroup/bind",
        yes(ProgType::Lsm, Some(AttachType::LsmCgroup)),
    );
    check(
        "iter/task",
        yes(ProgType::Tracing, Some(AttachType::TraceIter)),
    );
    check("syscall", Some((ProgType::Syscall, None, true)));
    check(
        "cgroup/connect_unix",
        yes(
            ProgType::CgroupSockAddr,
            Some(AttachType::CgroupUnixConnect),
        ),
    );
    check(
        "cgroup_skb/egress",
        yes(ProgType::CgroupSkb, Some(AttachType::CgroupInetEgress)),
    );
    check(
        "sk_skb/verdict",
        yes(ProgType::SkSkb, Some(AttachType::SkSkbVerdict)),
    );
    check(
        "sk_reuseport",
        yes(ProgType::SkReuseport, Some(AttachType::SkReuseportSelect)),
    );
    check("struct_ops.s/x", Some((ProgType::StructOps, None, true)));
    check(
        "netfilter",
        yes(ProgType::Netfilter, Some(AttachType::Netfilter)),
    );
    check("xdp/nothing", None);
    check("xdpx", None);
    check("kprobes/x", None);
    check("", None);
    check(".text", None);
}

#[test]
fn each_name_is_found_by_itself() {
    for def in SECTIONS {
        let (found, target) = SectionDef::find(def.name).unwrap();
        assert_eq!((found.name, target), (def.name, None));
    }
}

#[test]
fn every_program_type_can_be_named() {
    for prog_type in ProgType::ALL.iter().filter(|ty| **ty != ProgType::Unspec) {
        let named = SECTIONS.iter().any(|def| def.prog_type == *prog_type);
        assert!(named, "{prog_type}");
    }
}

#[test]
fn targets() {
    let check = |section: &str, wanted: Option<AttachTarget>| {
        let (def, target) = SectionDef::find(section).unwrap();
        let target = target.and_then(|text| AttachTarget::parse(def.form, text));
        assert_eq!(target, wanted, "{section}");
    };
    let text = str::to_string;
    let kernel = |function: &str, offset| {
        Some(AttachTarget::KernelFunction {
            function: text(function),
            offset,
        })
    };
    let user = |binary: &str, function: &str, offset| {
        let (binary, function) = (text(binary), text(function));
        Some(AttachTarget::UserFunction {
            binary,
            function,
            offset,
        })
    };
    check("kprobe", None);
    check("kprobe/do_exit", kernel("do_exit", 0));
    check("kprobe/do_exit+0x1f", kernel("do_exit", 31));
    check("kretprobe/do_exit+8", kernel("do_exit", 8));
    check("kprobe/do_exit+z", None);
    check(
        "kprobe.multi/do_*",
        Some(AttachTarget::KernelPattern(text("do_*"))),
    );
    check(
        "ksyscall/openat",
        Some(AttachTarget::Syscall(text("openat"))),
    );
    check("uprobe//bin/sh:main+4", user("/bin/sh", "main", 4));
    check("uprobe/main", None);
    check(
        "uprobe.multi//bin/sh:m*",
        Some(AttachTarget::UserPattern {
            binary: text("/bin/sh"),
            pattern: text("m*"),
        }),
    );
    check(
        "usdt/libc.so:malloc:probe",
        Some(AttachTarget::Usdt {
            binary: text("libc.so"),
            provider: text("malloc"),
            name: text("probe"),
        }),
    );
    check(
        "tp/sched/sched_switch",
        Some(AttachTarget::Tracepoint {
            category: text("sched"),
            name: text("sched_switch"),
        }),
    );
    check("tp/sched", None);
    check(
        "raw_tp/sys_enter",
        Some(AttachTarget::Name(text("sys_enter"))),
    );
    check("iter/task", Some(AttachTarget::Name(text("task"))));
}

#[test]
fn objects_are_named_after_their_files() {
    let check = |file: &str, wanted: &str| assert_eq!(object_name(file), wanted, "{file}");
    check("prog.bpf.o", "prog");
    check("/a/b.c/xdp_firewall.bpf.o", "xdp_firewall");
    check("a_very_long_name_indeed.o", "a_very_long_nam");
    check("", "");
}

/// libbpf 1.7 answers the same: `EOPNOTSUPP` from `bpf_program__attach` for what is not attached
/// by its section's name.
#[test]
fn what_attaches_itself() {
    let itself = [
        "kprobe",
        "uretprobe.s",
        "kprobe.session",
        "uprobe.multi.s",
        "ksyscall",
        "usdt",
        "tp",
        "raw_tp.w",
        "tp_btf",
        "fentry.s",
        "fmod_ret",
        "freplace",
        "lsm",
        "lsm.s",
        "iter.s",
    ];
    let by_hand = [
        "xdp",
        "tc",
        "tcx/ingress",
        "socket",
        "perf_event",
        "cgroup/dev",
        "cgroup_skb/egress",
        "lsm_cgroup",
        "netfilter",
        "struct_ops.s",
        "syscall",
        "sk_lookup",
        "flow_dissector",
    ];
    let check = |names: &[&str], wanted| {
        for name in names {
            let (def, _) = SectionDef::find(name).unwrap();
            assert_eq!(def.attaches_itself(), wanted, "{name}");
        }
    };
    check(&itself, true);
    check(&by_hand, false);
}

#[test]
fn attaching_an_object() {
    let bytes = include_bytes!("../../../programs/kprobe_open.bpf.o");
    let object = Object::open(bytes, "kprobe_open.bpf.o").unwrap();
    let check = |change: fn(&mut skep_loader::Program), wanted| {
        let mut program = object.programs[0].clone();
        change(&mut program);
        assert_eq!(program.auto_attach(), wanted, "{}", program.section);
    };
    check(|_| {}, AutoAttach::Yes);
    check(|p| p.autoattach = false, AutoAttach::Off);
    check(|p| p.autoload = false, AutoAttach::Off);
    check(
        |p| (p.target_text, p.target) = (None, None),
        AutoAttach::NoTarget,
    );
    check(|p| p.target = None, AutoAttach::BadTarget);
    check(|p| p.def = None, AutoAttach::ByHand);
    check(
        |p| p.def = SectionDef::find("xdp").map(|(def, _)| def),
        AutoAttach::ByHand,
    );
}

//! Whether programs that meet objects and functions of the kernel get Linux's verdict and the
//! log lines that Linux 6.18 wrote for the same shapes, over types small enough to build here.

use std::sync::Arc;

mod common;

use common::{Types, errno_and_log, request};
use skep_btf::{Btf, Builder, Kind, Linkage, TypeId};
use skep_isa::asm::{Symbols, assemble};
use skep_verifier::{Request, Verdict, verify};

const TRACING: u32 = 26;
const RAW_TRACEPOINT: u32 = 17;
const SYSCALL: u32 = 31;
const TP_BTF: u32 = 23;
const ITER: u32 = 28;
const SLEEPABLE: u32 = 1 << 4;

/// One question: a program, what it attaches to, the errno, and lines the log must have, in
/// this order.
struct Case {
    name: &'static str,
    prog_type: u32,
    target: &'static str,
    insns: &'static str,
    errno: i32,
    lines: &'static [&'static str],
}

const fn tracepoint(
    name: &'static str,
    insns: &'static str,
    errno: i32,
    lines: &'static [&'static str],
) -> Case {
    Case {
        name,
        prog_type: TRACING,
        target: "btf_trace_sched_switch",
        insns,
        errno,
        lines,
    }
}

const fn of_type(
    prog_type: u32,
    name: &'static str,
    insns: &'static str,
    errno: i32,
    lines: &'static [&'static str],
) -> Case {
    Case {
        name,
        prog_type,
        target: "",
        insns,
        errno,
        lines,
    }
}

const NEW: &str = "bpf_iter_num_new";

const CASES: &[Case] = &[
    tracepoint(
        "arguments have their types",
        "r2 = *(u32 *)(r1 +0)\nr3 = *(u64 *)(r1 +8)\nr4 = *(u64 *)(r1 +24)\nr0 = 0\nexit",
        0,
        &[
            "R2=scalar(smin=0,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff))",
            "func 'sched_switch' arg1 has btf_id",
            "R3=trusted_ptr_task_struct()",
            "R4=scalar()",
        ],
    ),
    tracepoint(
        "a pointer is read whole",
        "r2 = *(u32 *)(r1 +8)\nr0 = 0\nexit",
        13,
        &[
            "func 'sched_switch' size 4 must be 8",
            "invalid bpf_context access off=8 size=4",
        ],
    ),
    tracepoint(
        "there are four arguments",
        "r2 = *(u64 *)(r1 +32)\nr0 = 0\nexit",
        13,
        &["func 'sched_switch' doesn't have 5-th argument"],
    ),
    tracepoint(
        "trust ends with the first step, unless a field keeps it",
        "r2 = *(u64 *)(r1 +8)\nr3 = *(u64 *)(r2 +8)\nr4 = *(u64 *)(r2 +16)\n\
         r5 = *(u64 *)(r2 +24)\nr0 = 0\nexit",
        0,
        &[
            "R3=rcu_ptr_task_struct()",
            "R4=ptr_task_struct()",
            "R5=rdonly_untrusted_mem(sz=0)",
        ],
    ),
    tracepoint(
        "several fields at one place give no trust",
        "r2 = *(u64 *)(r1 +8)\nr3 = *(u64 *)(r2 +40)\nr0 = 0\nexit",
        0,
        &["R3=untrusted_ptr_task_struct()"],
    ),
    tracepoint(
        "part of a pointer",
        "r2 = *(u64 *)(r1 +8)\nr3 = *(u32 *)(r2 +16)\nr0 = 0\nexit",
        13,
        &[
            "cannot access ptr member last_wakee with moff 16 in struct task_struct with off 16 \
           size 4",
        ],
    ),
    tracepoint(
        "beyond a field, and beyond the structure",
        "r2 = *(u64 *)(r1 +8)\nr3 = *(u64 *)(r2 +52)\nr0 = 0\nexit",
        13,
        &[
            "access beyond the end of member comm (mend:56) in struct task_struct with off 52 size 8",
        ],
    ),
    tracepoint(
        "beyond the structure",
        "r2 = *(u64 *)(r1 +8)\nr3 = *(u64 *)(r2 +64)\nr0 = 0\nexit",
        13,
        &["access beyond struct task_struct at off 64 size 8"],
    ),
    tracepoint(
        "objects are only read",
        "r2 = *(u64 *)(r1 +8)\n*(u64 *)(r2 +0) = r2\nr0 = 0\nexit",
        13,
        &["only read is supported"],
    ),
    tracepoint(
        "before the structure",
        "r2 = *(u64 *)(r1 +8)\nr3 = *(u64 *)(r2 -8)\nr0 = 0\nexit",
        13,
        &["R2 is ptr_task_struct invalid negative access: off=-8"],
    ),
    tracepoint(
        "a reference is given back",
        "r1 = *(u64 *)(r1 +8)\ncall bpf_task_acquire\nif r0 == 0x0 goto pc+2\nr1 = r0\n\
         call bpf_task_release\nr0 = 0\nexit",
        0,
        &["R0=ptr_or_null_task_struct(id=2,ref_obj_id=2) refs=2"],
    ),
    tracepoint(
        "a reference is kept",
        "r1 = *(u64 *)(r1 +8)\ncall bpf_task_acquire\nr0 = 0\nexit",
        22,
        &["Unreleased reference id=2 alloc_insn=1"],
    ),
    tracepoint(
        "a reference that may be null",
        "r1 = 1\ncall bpf_task_from_pid\nr1 = r0\ncall bpf_task_release\nr0 = 0\nexit",
        13,
        &["Possibly NULL pointer passed to trusted arg0"],
    ),
    tracepoint(
        "what was never taken",
        "r1 = *(u64 *)(r1 +8)\ncall bpf_task_release\nr0 = 0\nexit",
        22,
        &["release kernel function bpf_task_release expects refcounted PTR_TO_BTF_ID"],
    ),
    of_type(
        RAW_TRACEPOINT,
        "not for this type of program",
        "r1 = 1\ncall bpf_task_from_pid\nr0 = 0\nexit",
        13,
        &["calling kernel function bpf_task_from_pid is not allowed"],
    ),
    of_type(
        RAW_TRACEPOINT,
        "an iterator runs to its end",
        "r1 = r10\nr1 += -8\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\nr6 = 0\n\
         r1 = r10\nr1 += -8\ncall bpf_iter_num_next\nif r0 == 0x0 goto pc+3\n\
         r1 = *(u32 *)(r0 +0)\nr6 += r1\ngoto pc-7\n\
         r1 = r10\nr1 += -8\ncall bpf_iter_num_destroy\nr0 = 0\nexit",
        0,
        &[
            "R0=scalar() fp-8=iter_num(ref_id=1,state=active,depth=0) refs=1",
            "R0=0 fp-8=iter_num(ref_id=1,state=drained,depth=0) refs=1",
            "R0=rdonly_mem(id=2,ref_obj_id=1,sz=4)",
            "fp-8=iter_num(ref_id=1,state=active,depth=1)",
        ],
    ),
    of_type(
        RAW_TRACEPOINT,
        "an iterator is left open",
        "r1 = r10\nr1 += -8\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\nr0 = 0\nexit",
        22,
        &["Unreleased reference id=1 alloc_insn=4"],
    ),
    of_type(
        RAW_TRACEPOINT,
        "an iterator that was overwritten is none",
        "r1 = r10\nr1 += -8\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\n*(u64 *)(r10 -8) = 0\n\
         r1 = r10\nr1 += -8\ncall bpf_iter_num_destroy\nr0 = 0\nexit",
        22,
        &["expected an initialized iter_num as arg #0"],
    ),
    of_type(
        RAW_TRACEPOINT,
        "an iterator lies at a slot",
        "r1 = r10\nr1 += -4\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\nr0 = 0\nexit",
        22,
        &[
            "cannot pass in iter at an offset=-4",
            "expected uninitialized iter_num as arg #0",
        ],
    ),
    of_type(
        SYSCALL,
        "RCU sections do not nest",
        "call bpf_rcu_read_lock\ncall bpf_rcu_read_lock\nr0 = 0\nexit",
        22,
        &["nested rcu read lock (kernel function bpf_rcu_read_lock)"],
    ),
    of_type(
        SYSCALL,
        "an RCU section is closed",
        "call bpf_rcu_read_lock\nr0 = 0\nexit",
        22,
        &["BPF_EXIT instruction in main prog cannot be used inside bpf_rcu_read_lock-ed region"],
    ),
    of_type(
        SYSCALL,
        "preemption is enabled as often as it was disabled",
        "call bpf_preempt_disable\ncall bpf_preempt_enable\ncall bpf_preempt_enable\nr0 = 0\nexit",
        22,
        &["unmatched attempt to enable preemption (kernel function bpf_preempt_enable)"],
    ),
    Case {
        name: "an iterator's program may get null",
        prog_type: TRACING,
        target: "bpf_iter_task",
        insns: "r2 = *(u64 *)(r1 +8)\nr3 = *(u64 *)(r2 +0)\nr0 = 0\nexit",
        errno: 13,
        lines: &[
            "R2=trusted_ptr_or_null_task_struct(id=1)",
            "R2 invalid mem access 'trusted_ptr_or_null_'",
        ],
    },
    Case {
        name: "an iterator's program returns 0 or 1",
        prog_type: TRACING,
        target: "bpf_iter_task",
        insns: "r0 = 2\nexit",
        errno: 22,
        lines: &["At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]"],
    },
];

#[test]
fn linux_gives_the_same_answers() {
    let world = World::new();
    let failures: Vec<String> = CASES
        .iter()
        .filter_map(|case| check(case, &world).err())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Without the kernel's types nothing is guessed.
#[test]
fn no_types_no_answer() {
    let insns = assemble("r0 = 0\nexit", &World::new())
        .expect("program")
        .insns;
    let outcome = verify(&request(&insns, TRACING, TP_BTF, 1), &Types(None));
    assert!(matches!(outcome.verdict, Verdict::Unsupported(_)));
}

fn check(case: &Case, world: &World) -> Result<(), String> {
    let insns = assemble(case.insns, world)
        .map_err(|error| format!("{}: {error}", case.name))?
        .insns;
    let (attach, target) = match case.target {
        "" => (0, 0),
        name if name.starts_with("btf_trace_") => (TP_BTF, world.id(name, Kind::Typedef)),
        name => (ITER, world.id(name, Kind::Func)),
    };
    let flags = if case.prog_type == SYSCALL {
        SLEEPABLE
    } else {
        0
    };
    let request = Request {
        flags,
        ..request(&insns, case.prog_type, attach, target)
    };
    let (errno, log) = errno_and_log(&request, &Types(Some(world.0.clone())))
        .map_err(|what| format!("{}: unsupported: {what}", case.name))?;
    let mut rest = log.as_str();
    for line in case.lines {
        match rest.find(line) {
            Some(at) => rest = &rest[at + line.len()..],
            None => return Err(format!("{}: no `{line}` in\n{log}", case.name)),
        }
    }
    if errno != case.errno {
        return Err(format!(
            "{}: errno {errno}, not {}\n{log}",
            case.name, case.errno
        ));
    }
    Ok(())
}

/// A name, what it returns, and the parameters.
type Function<'a> = (&'a str, TypeId, &'a [(&'a str, TypeId)]);

/// A kernel with a few types.
struct World(Arc<Btf>);

impl World {
    fn new() -> World {
        let mut b = Builder::new();
        let int = b.int("int", 4, true);
        let long = b.int("unsigned long", 8, false);
        let bool_ = b.int("_Bool", 1, false);
        let char_ = b.int("char", 1, true);
        let comm = b.array(char_, int, 8);
        let void_ptr = b.ptr(TypeId::VOID);
        // The pointer comes first; its target follows at once.
        let task_id = TypeId(void_ptr.0 + 4);
        let task_ptr = b.ptr(task_id);
        let int_ptr = b.ptr(int);
        let either = b.union_("", 8, &[("a", task_ptr, 0), ("b", long, 0)]);
        let task = b.struct_(
            "task_struct",
            64,
            &[
                ("state", long, 0),
                ("real_parent", task_ptr, 64),
                ("last_wakee", task_ptr, 128),
                ("fds", int_ptr, 192),
                ("flags", long, 256),
                ("", either, 320),
                ("comm", comm, 384),
                ("pid", int, 448),
                ("tgid", int, 480),
            ],
        );
        assert_eq!(task, task_id);
        let uint = b.int("unsigned int", 4, false);
        let switch = b.func_proto(
            TypeId::VOID,
            &[
                ("", void_ptr),
                ("", bool_),
                ("", task_ptr),
                ("", task_ptr),
                ("", uint),
            ],
        );
        let switch = b.ptr(switch);
        b.refer(Kind::Typedef, "btf_trace_sched_switch", switch);
        let seq = b.struct_("seq_file", 8, &[("size", long, 0)]);
        let seq_ptr = b.ptr(seq);
        let meta = b.struct_("bpf_iter_meta", 8, &[("seq", seq_ptr, 0)]);
        let meta_ptr = b.ptr(meta);
        let iter_task = b.func_proto(int, &[("meta", meta_ptr), ("task", task_ptr)]);
        b.func("bpf_iter_task", iter_task, Linkage::Static);
        let num = b.struct_("bpf_iter_num", 8, &[("__opaque", long, 0)]);
        let num_ptr = b.ptr(num);
        let kfuncs: [Function<'_>; 10] = [
            (NEW, int, &[("it", num_ptr), ("start", int), ("end", int)]),
            ("bpf_iter_num_next", int_ptr, &[("it", num_ptr)]),
            ("bpf_iter_num_destroy", TypeId::VOID, &[("it", num_ptr)]),
            ("bpf_rcu_read_lock", TypeId::VOID, &[]),
            ("bpf_rcu_read_unlock", TypeId::VOID, &[]),
            ("bpf_preempt_disable", TypeId::VOID, &[]),
            ("bpf_preempt_enable", TypeId::VOID, &[]),
            ("bpf_task_acquire", task_ptr, &[("p", task_ptr)]),
            ("bpf_task_release", TypeId::VOID, &[("p", task_ptr)]),
            ("bpf_task_from_pid", task_ptr, &[("pid", int)]),
        ];
        for (name, ret, params) in kfuncs {
            let proto = b.func_proto(ret, params);
            b.func(name, proto, Linkage::Static);
        }
        World(Arc::new(Btf::parse(&b.finish()).expect("types")))
    }

    fn id(&self, name: &str, kind: Kind) -> u32 {
        self.0.find_by_name_kind(name, kind).expect("type").0
    }
}

impl Symbols for World {
    fn kfunc(&self, name: &str) -> Option<(i32, i16)> {
        let id = self.0.find_by_name_kind(name, Kind::Func)?;
        Some((id.0 as i32, 0))
    }
}

//! Do programs that call functions of the kernel do here what they do in Linux?
//!
//! The results are those of Linux 6.18.44. Where `bpf(2)` is allowed Linux is asked again.
//! Objects name the functions by the kernel's own BTF, so that a machine whose kernel shows none
//! cannot load them.

use std::path::Path;
use std::sync::Arc;

use skep::abi::{Backend, Errno, ProgType};
use skep::{Kernel, LoadOptions, LogOptions, Object, ProgIndex, RunInput, test_run};
use skep_btf::Btf;
use skep_host::Host;
use skep_kernel::Builder;

const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";
/// An ICMP echo request; `syscall` programs have no packet.
const PACKET: &str = "programs/inputs/icmp_echo.hex";

/// Object, program, and what it returns the first and the second time.
const CASES: &[(&str, &str, [u32; 2])] = &[
    (
        "programs/kfunc_graph.bpf.o",
        "list_ends",
        [1333830462, 1333830462],
    ),
    ("programs/kfunc_graph.bpf.o", "list_stays", [1155, 36805]),
    (
        "programs/kfunc_graph.bpf.o",
        "tree_order",
        [2629956096, 2629956096],
    ),
    ("programs/kfunc_graph.bpf.o", "counted", [545, 545]),
    (
        "programs/kfunc_graph.bpf.o",
        "exchange",
        [263613822, 263613822],
    ),
    ("programs/kfunc_graph.bpf.o", "of_each_cpu", [4, 4]),
    (
        "programs/kfunc_memory.bpf.o",
        "packet_dynptr",
        [1505917380, 1505917380],
    ),
    (
        "programs/kfunc_memory.bpf.o",
        "xdp_dynptr",
        [2405852227, 2405852227],
    ),
    ("programs/kfunc_memory.bpf.o", "rdonly_dynptr", [0, 0]),
    (
        "programs/kfunc_memory.bpf.o",
        "memory_dynptr",
        [833523755, 833523755],
    ),
    (
        "programs/kfunc_memory.bpf.o",
        "strings",
        [396104224, 396104224],
    ),
    (
        "programs/kfunc_memory.bpf.o",
        "bits",
        [140837345, 140837345],
    ),
    (
        "programs/kfunc_memory.bpf.o",
        "numbers",
        [3008514430, 3008514430],
    ),
    ("programs/kfunc_memory.bpf.o", "locks", [189, 192]),
    (
        "programs/kfunc_memory.bpf.o",
        "cpus",
        [2571347370, 2571347370],
    ),
    ("programs/kfunc_memory.bpf.o", "thrown", [192, 192]),
    (
        "programs/kfunc_memory.bpf.o",
        "thrown_and_caught",
        [1077, 1077],
    ),
    (
        "programs/kfunc_memory.bpf.o",
        "probed_into",
        [1578877684, 1578877684],
    ),
    ("programs/kfunc_world.bpf.o", "who_runs", [4, 4]),
    ("programs/kfunc_world.bpf.o", "tasks_by_number", [11, 11]),
    ("programs/kfunc_world.bpf.o", "allowed_cpus", [1, 1]),
    ("programs/kfunc_world.bpf.o", "topmost_cgroup", [1011, 1011]),
    ("programs/kfunc_world.bpf.o", "threads_of_a_task", [1, 1]),
    ("programs/streams.bpf.o", "refused", [77, 77]),
    ("programs/streams.bpf.o", "miss", [12, 12]),
    ("programs/streams.bpf.o", "twice", [35, 35]),
    ("programs/storages.bpf.o", "socket_value", [1046, 1046]),
    ("programs/storages.bpf.o", "task_value", [1046, 2193961]),
    ("programs/storages.bpf.o", "cgroup_value", [1046, 2193961]),
    (
        "programs/quiet_helpers.bpf.o",
        "of_packets",
        [3876030746, 3876030746],
    ),
    (
        "programs/quiet_helpers.bpf.o",
        "of_commands",
        [2815017846, 2815017846],
    ),
    (
        "programs/quiet_helpers.bpf.o",
        "of_groups",
        [86810270, 86810270],
    ),
    (
        "programs/arena_list.bpf.o",
        "push_and_walk",
        [3364026691, 85001957],
    ),
    (
        "programs/arena_list.bpf.o",
        "reverse",
        [4086159026, 2719383076],
    ),
    (
        "programs/arena_list.bpf.o",
        "give_back",
        [3094347925, 3094347925],
    ),
    (
        "programs/arena_list.bpf.o",
        "count_bytes",
        [2135587923, 2135587984],
    ),
    (
        "programs/arena_hash.bpf.o",
        "fill",
        [4045902659, 3255247886],
    ),
    (
        "programs/arena_hash.bpf.o",
        "compare_and_swap",
        [4796749, 3396497735],
    ),
    ("programs/arena_hash.bpf.o", "count_source", [6101, 12202]),
    (
        "programs/arena_edges_v4.bpf.o",
        "around",
        [3828080393, 3828080393],
    ),
    (
        "programs/arena_edges_v4.bpf.o",
        "sums",
        [3986946696, 379878833],
    ),
    (
        "programs/arena_edges_v4.bpf.o",
        "casts",
        [683659850, 683659850],
    ),
    (
        "programs/arena_edges_v4.bpf.o",
        "gone",
        [184555598, 184555598],
    ),
    (
        "programs/arena_edges_v4.bpf.o",
        "atomics",
        [840339538, 840339538],
    ),
    (
        "programs/arena_edges_v4.bpf.o",
        "pages",
        [3262916978, 3262916978],
    ),
];

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn packet() -> Vec<u8> {
    let text = std::fs::read_to_string(root(PACKET)).expect("the input is there");
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map_while(pair).collect()
}

/// Loads one program and runs it twice; `after` looks at it then, by its descriptor.
fn run(
    kernel: &dyn Backend,
    object: &Object,
    program: &str,
    after: &dyn Fn(u32),
) -> Result<[u32; 2], Errno> {
    let at = object.programs.iter().position(|p| p.name == program);
    let index = ProgIndex(at.expect("the program is in the object"));
    let mut loaded = object
        .prepare(kernel, LoadOptions::default())
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let load = loaded
        .load_program(index, &LogOptions::BRIEF)
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    loaded.keep(index, load.outcome?);
    let prog_type = object.programs[index.0].prog_type.expect("a type");
    let input = RunInput {
        data: if prog_type == ProgType::Syscall {
            Vec::new()
        } else {
            packet()
        },
        repeat: 1,
        ..RunInput::default()
    };
    let fd = loaded.program(index).expect("a descriptor").raw();
    let once = || test_run(kernel, fd, prog_type, &input).map(|out| out.retval);
    let results = [once()?, once()?];
    after(fd);
    Ok(results)
}

/// What runs programs: its name, whether that is native code, and how it is asked for.
type Engine = (&'static str, bool, fn(Builder) -> Builder);

const ENGINES: &[Engine] = &[
    ("native", true, |builder| builder),
    ("bounded", true, |builder| builder.fuel(Some(1 << 24))),
    ("hardened", true, |builder| builder.hardened(true)),
    ("interpreted", false, |builder| builder.native(false)),
    ("checked", false, |builder| {
        builder.native(false).checking(true)
    }),
];

#[test]
fn results_are_those_of_linux() {
    let Ok(bytes) = std::fs::read(KERNEL_BTF) else {
        return;
    };
    let btf = Arc::new(Btf::parse_on(bytes, None).expect("the kernel's types"));
    let linux = Host::available().is_ok().then(Host::new);
    for (file, program, wanted) in CASES {
        let bytes = std::fs::read(root(file)).expect("the object is there");
        let object = Object::open(&bytes, file).expect("an object");
        let check = |engine: &str, result: Result<[u32; 2], Errno>, why: Option<String>| {
            assert_eq!(result, Ok(*wanted), "{file} {program} {engine} {why:?}");
        };
        for (engine, native, choose) in ENGINES {
            let builder = Kernel::builder().cpus(2).kernel_btf(btf.clone());
            let kernel = choose(builder).build();
            let compiled = |fd| {
                let code = kernel.native_code(fd).expect("a program");
                let expected = *native && cfg!(target_arch = "x86_64");
                assert_eq!(code.is_some(), expected, "{file} {program} {engine}");
            };
            let ran = run(&kernel, &object, program, &compiled);
            check(engine, ran, kernel.last_trap());
            // Every descriptor is closed, so nothing holds what the program left in its maps.
            assert_eq!(kernel.live_objects(), 0, "{file} {program} {engine}");
            assert_eq!(kernel.object_memory(), 0, "{file} {program} {engine}");
            assert_eq!(kernel.map_memory(), 0, "{file} {program} {engine}");
        }
        // Programs of CPUs count them, and Linux may have more than the two that we have.
        if let Some(linux) = linux.as_ref().filter(|l| l.possible_cpus() == Some(2)) {
            check("Linux", run(linux, &object, program, &|_| ()), None);
        }
    }
}

/// Where memory ends, no object is made, as the program is told; nothing stays behind.
#[test]
fn objects_of_programs_are_charged() {
    let Ok(bytes) = std::fs::read(KERNEL_BTF) else {
        return;
    };
    let btf = Arc::new(Btf::parse_on(bytes, None).expect("the kernel's types"));
    let file = "programs/kfunc_graph.bpf.o";
    let bytes = std::fs::read(root(file)).expect("the object is there");
    let object = Object::open(&bytes, file).expect("an object");
    let with = |memory: u64, after: &dyn Fn(&Kernel)| {
        let builder = Kernel::builder().kernel_btf(btf.clone()).memory(memory);
        let kernel = builder.build();
        let results = run(&kernel, &object, "list_ends", &|_| after(&kernel));
        assert_eq!(kernel.object_memory(), 0, "with {memory}");
        assert_eq!(kernel.map_memory(), 0, "with {memory}");
        results
    };
    let maps = std::cell::Cell::new(0);
    let enough = with(u64::MAX, &|kernel| maps.set(kernel.map_memory()));
    assert_eq!(enough, Ok([1333830462, 1333830462]));
    // Two of the list's six objects of 32 bytes, and then no more.
    assert_eq!(with(maps.get() + 64, &|_| {}), Ok([u32::MAX; 2]));
    assert_eq!(with(maps.get() + 6 * 32, &|_| {}), enough);
}

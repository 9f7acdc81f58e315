//! What is said of the parts of a load beside its program: names, records of functions and lines,
//! and the array of descriptors. The answers are those of Linux 6.18.44, which is asked as well
//! where it answers.

use skep_abi::{Backend, Buffers, Cmd, Errno, ProgType, attr};
use skep_isa::Insn;
use skep_isa::asm::{NoSymbols, assemble};
use skep_kernel::Kernel;
use skep_oracle::{Linux, Subject};

/// The figures of a program of which nothing was walked.
const NOTHING: &str = "processed 0 insns (limit 1000000) max_states_per_insn 0 total_states 0 \
                       peak_states 0 mark_read 0\n";

/// One load: what differs from the plain one.
#[derive(Clone, Copy, Default)]
struct Parts<'p> {
    name: &'p [u8],
    /// Count, size of a record, and the records.
    functions: (u32, u32, &'p [u32]),
    lines: (u32, u32, &'p [u32]),
    relocations: (u32, u32, &'p [u32]),
    /// Descriptors, and how many the program holds.
    descriptors: (u32, &'p [i32]),
    calls_module: bool,
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// BTF with a function without parameters (3) that gives an integer (1).
fn types() -> Vec<u8> {
    let strings = b"\0int\0f\0";
    let records = words(&[
        1,
        1 << 24,
        4,
        0x0100_0020, // 1: int
        0,
        13 << 24,
        1, // 2: int(void)
        5,
        12 << 24 | 1,
        2, // 3: f
    ]);
    let mut btf = words(&[
        0x0001_eb9f,
        24,
        0,
        records.len() as u32,
        records.len() as u32,
        strings.len() as u32,
    ]);
    btf.extend(records);
    btf.extend(strings);
    btf
}

fn load_types(kernel: &dyn Backend) -> u32 {
    let btf = types();
    let mut memory = Buffers::new();
    let mut load = attr::BtfLoad::new();
    load.set_btf(memory.input(&btf))
        .set_btf_size(btf.len() as u32);
    kernel
        .bpf(Cmd::BtfLoad.into(), load.as_attr(), &mut memory)
        .unwrap()
}

/// The error and the log.
fn ask(kernel: &dyn Backend, parts: &Parts<'_>) -> (Option<Errno>, String) {
    let types = load_types(kernel);
    let call = match parts.calls_module {
        true => ".raw 0x85 0 2 1 77\n",
        false => "",
    };
    let text = format!("{call}r0 = 0\nexit\n");
    let code = Insn::slice_to_bytes(&assemble(&text, &NoSymbols).unwrap().insns);
    let mut log = vec![0; 4096];
    let [functions, lines, relocations] =
        [parts.functions, parts.lines, parts.relocations].map(|(.., records)| words(records));
    let descriptors: Vec<u8> = parts
        .descriptors
        .1
        .iter()
        // 0 stands for the types.
        .map(|fd| if *fd == 0 { types as i32 } else { *fd })
        .flat_map(i32::to_ne_bytes)
        .collect();
    let mut memory = Buffers::new();
    let mut load = attr::ProgLoad::new();
    let mut name = [0; 16];
    name[..parts.name.len()].copy_from_slice(parts.name);
    load.set_prog_type(ProgType::SocketFilter.into())
        .set_insn_cnt(u32::try_from(code.len() / 8).unwrap_or(0))
        .set_insns(memory.input(&code))
        .set_license(memory.input(b"GPL\0"))
        .set_prog_name(name)
        .set_prog_btf_fd(types)
        .set_func_info_cnt(parts.functions.0)
        .set_func_info_rec_size(parts.functions.1)
        .set_func_info(memory.input(&functions))
        .set_line_info_cnt(parts.lines.0)
        .set_line_info_rec_size(parts.lines.1)
        .set_line_info(memory.input(&lines))
        .set_core_relo_cnt(parts.relocations.0)
        .set_core_relo_rec_size(parts.relocations.1)
        .set_core_relos(memory.input(&relocations))
        .set_fd_array_cnt(parts.descriptors.0)
        .set_log_level(1)
        .set_log_size(4096)
        .set_log_buf(memory.output(&mut log));
    if !descriptors.is_empty() {
        load.set_fd_array(memory.input(&descriptors));
    }
    let answer = kernel.bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory);
    drop(memory);
    if let Ok(fd) = answer {
        kernel.close(fd).unwrap();
    }
    kernel.close(types).unwrap();
    let end = log.iter().position(|byte| *byte == 0).unwrap();
    let text = String::from_utf8_lossy(&log[..end]).into_owned();
    (answer.err(), text)
}

fn check(parts: Parts<'_>, errno: Errno, said: &str) {
    let expected = (Some(errno), format!("{said}{NOTHING}"));
    let ours = Kernel::builder().cpus(2).build();
    assert_eq!(ask(&ours, &parts), expected, "here");
    let Ok(linux) = Linux::whole() else { return };
    linux
        .with(skep_abi::Capabilities::ALL, &mut |kernel: &dyn Backend| {
            assert_eq!(ask(kernel, &parts), expected, "Linux");
        })
        .unwrap();
}

fn functions<'p>(count: u32, size: u32, records: &'p [u32]) -> Parts<'p> {
    Parts {
        functions: (count, size, records),
        ..Parts::default()
    }
}

fn lines<'p>(count: u32, size: u32, records: &'p [u32]) -> Parts<'p> {
    Parts {
        lines: (count, size, records),
        ..Parts::default()
    }
}

#[test]
fn records_are_refused_in_the_log() {
    check(
        functions(1, 0, &[0, 3]),
        Errno::EINVAL,
        "invalid func info rec size 0\n",
    );
    check(
        functions(1, 10, &[0, 3, 0]),
        Errno::EINVAL,
        "invalid func info rec size 10\n",
    );
    check(functions(1, 8, &[]), Errno::EFAULT, "");
    check(
        functions(1, 8, &[0, 2]),
        Errno::EINVAL,
        "invalid type id 2 in func info",
    );
    check(
        functions(2, 8, &[0, 3, 0, 3]),
        Errno::EINVAL,
        "same or smaller insn offset (0) than previous func info record (0)",
    );
    check(
        functions(2, 8, &[0, 3, 1, 3]),
        Errno::EINVAL,
        "number of funcs in func_info doesn't match number of subprogs\n",
    );
    check(
        functions(1, 12, &[0, 3, 1]),
        Errno::E2BIG,
        "nonzero tailing record in func info",
    );
    check(lines(1, 8, &[0; 4]), Errno::EINVAL, "");
    check(lines(1, 16, &[]), Errno::EFAULT, "");
    check(
        lines(1, 16, &[9, 1, 1, 0]),
        Errno::EINVAL,
        "Invalid line_info[0].insn_off:9 (prev_offset:0 prog->len:2)\n",
    );
    let relocations = |count, size, records| Parts {
        relocations: (count, size, records),
        ..functions(1, 8, &[0, 3])
    };
    check(relocations(1, 12, &[0; 4]), Errno::EINVAL, "");
    check(
        relocations(1, 16, &[4, 0, 0, 0]),
        Errno::EINVAL,
        "Invalid core_relo[0].insn_off:4 prog->len:2\n",
    );
}

#[test]
fn descriptors_are_refused_in_the_log() {
    let held = |count, fds| Parts {
        descriptors: (count, fds),
        ..Parts::default()
    };
    check(held(1, &[]), Errno::EFAULT, "");
    check(
        held(2, &[0, -1]),
        Errno::EBADF,
        "fd -1 is not pointing to valid bpf_map or btf\n",
    );
    let module = |fds| Parts {
        calls_module: true,
        ..held(0, fds)
    };
    let lost = "failed to find BTF for kernel function\n";
    for (fds, errno, first) in [
        (
            &[][..],
            Errno::EPROTO,
            "kfunc offset > 0 without fd_array is invalid\n",
        ),
        (&[0, -1], Errno::EBADF, "invalid module BTF fd specified\n"),
        (
            &[0, 0],
            Errno::EINVAL,
            "BTF fd for kfunc is not a module BTF\n",
        ),
    ] {
        check(module(fds), errno, &format!("{first}{lost}"));
    }
}

#[test]
fn letters_of_names_are_latin() {
    let ours = Kernel::builder().cpus(2).build();
    let linux = Linux::whole().ok();
    for byte in 1..=255u8 {
        let name = [b'a', byte];
        let parts = Parts {
            name: &name,
            ..Parts::default()
        };
        let letter = char::from(byte).is_alphanumeric() && !matches!(byte, 0xaa..=0xbe);
        let expected = (!letter && !matches!(byte, b'_' | b'.')).then_some(Errno::EINVAL);
        assert_eq!(ask(&ours, &parts).0, expected, "{byte}");
        if let Some(linux) = &linux {
            linux
                .with(skep_abi::Capabilities::ALL, &mut |kernel: &dyn Backend| {
                    assert_eq!(ask(kernel, &parts).0, expected, "{byte} in Linux");
                })
                .unwrap();
        }
    }
}

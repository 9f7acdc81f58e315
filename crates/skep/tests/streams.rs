//! What programs say is read from their streams, and so is what went wrong while they ran.
//!
//! The texts of errors are those of Linux, with our own stacks. Linux 6.18.44 itself has no
//! memory for any text where these answers were asked for, so only its errors are compared,
//! with those of other kernel functions.

use std::path::Path;
use std::sync::Arc;

use skep::abi::{Backend, Buffers, Cmd, Errno, Files, ProgType, attr};
use skep::{Kernel, LoadOptions, LogOptions, Object, ProgIndex, RunInput, test_run};
use skep_btf::Btf;

const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";
const FILE: &str = "programs/streams.bpf.o";

/// Reads a stream, at most `len` bytes.
fn read(kernel: &dyn Backend, prog: u32, stream: u32, len: usize) -> Result<String, Errno> {
    let mut text = vec![0; len];
    let mut memory = Buffers::new();
    let mut view = attr::ProgStreamRead::new();
    view.set_prog_fd(prog)
        .set_stream_id(stream)
        .set_stream_buf_len(len as u32)
        .set_stream_buf(memory.output(&mut text));
    let count = kernel.bpf(Cmd::ProgStreamReadByFd.into(), view.as_attr(), &mut memory)?;
    drop(memory);
    text.truncate(count as usize);
    Ok(String::from_utf8(text).expect("text"))
}

/// Runs a program and shows it to `check`, by kernel and descriptor, with its answer.
fn check(program: &str, native: bool, check: &dyn Fn(&Kernel, u32, u32)) {
    let Ok(bytes) = std::fs::read(KERNEL_BTF) else {
        return;
    };
    let btf = Arc::new(Btf::parse_on(bytes, None).expect("the kernel's types"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(FILE);
    let bytes = std::fs::read(path).expect("the object is there");
    let object = Object::open(&bytes, FILE).expect("an object");
    let at = object.programs.iter().position(|p| p.name == program);
    let index = ProgIndex(at.expect("the program is in the object"));
    let kernel = Kernel::builder().kernel_btf(btf).native(native).build();
    let mut loaded = object
        .prepare(&kernel, LoadOptions::default())
        .expect("maps");
    let load = loaded
        .load_program(index, &LogOptions::BRIEF)
        .expect(program);
    loaded.keep(index, load.outcome.expect(program));
    let fd = loaded.program(index).expect("a descriptor").raw();
    let prog_type = object.programs[index.0].prog_type.expect("a type");
    let input = RunInput {
        data: match prog_type {
            ProgType::Syscall => Vec::new(),
            _ => vec![0; 64],
        },
        ..RunInput::default()
    };
    let out = test_run(&kernel, fd, prog_type, &input).expect("it runs");
    check(&kernel, fd, out.retval);
}

#[test]
fn texts_are_read_in_pieces() {
    for native in [true, false] {
        check("say", native, &|kernel, fd, answer| {
            assert_eq!(answer, 5);
            let rest = " has 42 of 0xbee\nno arguments\n";
            assert_eq!(read(kernel, fd, 1, 4), Ok("skep".to_owned()));
            assert_eq!(read(kernel, fd, 1, 0), Ok(String::new()));
            assert_eq!(read(kernel, fd, 1, 4096), Ok(rest.to_owned()));
            assert_eq!(read(kernel, fd, 1, 4096), Ok(String::new()));
            assert_eq!(read(kernel, fd, 2, 64), Ok("no arguments\n".to_owned()));
            for none in [0, 3, u32::MAX] {
                assert_eq!(read(kernel, fd, none, 4), Err(Errno::ENOENT));
            }
            assert_eq!(read(kernel, 99, 1, 4), Err(Errno::EBADF));
            let text = read(kernel, fd, 1, 4);
            assert_eq!(kernel.close(fd), Ok(()));
            assert_eq!(text, Ok(String::new()));
        });
    }
}

#[test]
fn faults_and_deadlocks_are_told() {
    let first_lines = |kernel: &Kernel, fd| {
        let text = read(kernel, fd, 2, 1 << 16).expect("a stream");
        let errors = text.lines().filter(|line| line.starts_with("ERROR: "));
        let errors: Vec<String> = errors.map(str::to_owned).collect();
        (errors, text)
    };
    for native in [true, false] {
        check("miss", native, &|kernel, fd, answer| {
            assert_eq!(answer, 12);
            let (errors, text) = first_lines(kernel, fd);
            let found: Vec<_> = errors.iter().filter_map(|e| e.rsplit_once("0x")).collect();
            let [(read, read_at), (write, write_at)] = &found[..] else {
                panic!("{text}");
            };
            assert_eq!(*read, "ERROR: Arena READ access at unmapped address ");
            assert_eq!(*write, "ERROR: Arena WRITE access at unmapped address ");
            let address = |hex: &str| u64::from_str_radix(hex, 16).expect("an address");
            assert_eq!(address(read_at) + 8, address(write_at));
            assert!(text.contains("\nCall trace:\nbpf_prog_"), "{text}");
        });
        check("twice", native, &|kernel, fd, answer| {
            assert_eq!(answer, Errno::EDEADLK.0 as u32);
            let (errors, text) = first_lines(kernel, fd);
            let what = "ERROR: AA or ABBA deadlock detected for bpf_res_spin_lock";
            assert_eq!(errors, [what], "{text}");
            assert!(
                text.contains("\nTotal held locks = 1\nHeld lock[ 0] = 0x"),
                "{text}"
            );
        });
        check("refused", native, &|kernel, fd, answer| {
            assert_eq!(answer, 77);
            assert_eq!(read(kernel, fd, 1, 4), Ok(String::new()));
        });
    }
}

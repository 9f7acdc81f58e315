//! What can be asked of native code: its listing, where it lies, and its limits.

use std::time::Duration;

use skep_abi::{Bpf, Buffers, Cmd, Errno, ProgType, attr};
use skep_isa::Insn;
use skep_kernel::{Builder, Kernel};

fn load(kernel: &Kernel, insns: &[Insn]) -> u32 {
    let bytes = Insn::slice_to_bytes(insns);
    let mut memory = Buffers::new();
    let mut load = attr::ProgLoad::new();
    load.set_prog_type(ProgType::SocketFilter.into())
        .set_insn_cnt(insns.len() as u32)
        .set_insns(memory.input(&bytes))
        .set_license(memory.input(b"GPL\0"));
    kernel
        .bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory)
        .expect("a program")
}

fn run(kernel: &Kernel, fd: u32) -> Result<u32, Errno> {
    let data = [0u8; 64];
    let mut memory = Buffers::new();
    let mut run = attr::ProgTestRun::new();
    run.set_prog_fd(fd)
        .set_data_size_in(64)
        .set_data_in(memory.input(&data))
        .set_repeat(1);
    kernel.bpf(Cmd::ProgTestRun.into(), run.as_attr(), &mut memory)?;
    Ok(run.retval())
}

/// `r0 = 0; r1 = COUNT; do { r0 += r1; r1 -= 1 } while r1 != 0`, without knowledge of the count.
fn counting() -> Vec<Insn> {
    let mut insns = vec![
        Insn::new(0x61, 1, 1, 0, 0), // r1 = skb->len, 50 behind the Ethernet header
        Insn::mov64_imm(0, 0),
    ];
    insns.extend([
        Insn::new(0x57, 1, 0, 0, 0xff),
        Insn::new(0x07, 1, 0, 0, 1),
        Insn::new(0x0f, 0, 1, 0, 0),
        Insn::new(0x07, 1, 0, 0, -1),
        Insn::new(0x55, 1, 0, -3, 0),
        Insn::exit(),
    ]);
    insns
}

#[test]
fn listings_and_maps() {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let kernel = Kernel::builder().build();
    let fd = load(&kernel, &counting());
    assert_eq!(kernel.perf_map(), "", "nothing ran yet");
    assert_eq!(run(&kernel, fd), Ok((1..=51).sum()));
    let listing = kernel.native_listing(fd, true).expect("a program");
    let listing = listing.expect("native code");
    let code = kernel.native_code(fd).expect("a program");
    assert_eq!(Some(&listing.code), code.as_ref());
    assert_eq!(listing.functions, [0]);
    assert!(listing.lines.len() > 3 && listing.lines.is_sorted_by_key(|line| line.place));
    assert!(listing.lines.iter().all(|line| line.insn.is_some()));
    let shown = format!("{:x} {:x} bpf_prog_", listing.address, listing.code.len());
    assert!(
        kernel.perf_map().starts_with(&shown),
        "{}",
        kernel.perf_map()
    );
}

/// `r0 = *(u64 *)(ctx + 0); *(u64 *)(ctx + 8) = r0; exit`, as a program that sleeps.
fn copying(kernel: &Kernel) -> u32 {
    let insns = [
        Insn::new(0x79, 0, 1, 0, 0),
        Insn::new(0x7b, 1, 0, 8, 0),
        Insn::exit(),
    ];
    let bytes = Insn::slice_to_bytes(&insns);
    let mut memory = Buffers::new();
    let mut load = attr::ProgLoad::new();
    load.set_prog_type(ProgType::Syscall.into())
        .set_prog_flags(skep_abi::ProgFlags::SLEEPABLE.0)
        .set_insn_cnt(insns.len() as u32)
        .set_insns(memory.input(&bytes))
        .set_license(memory.input(b"GPL\0"));
    kernel
        .bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory)
        .expect("a program")
}

#[test]
fn runners_run_what_they_are_given() {
    let bounded = || Kernel::builder().fuel(Some(1000));
    let builders = [
        Kernel::builder(),
        Kernel::builder().native(false),
        Kernel::builder().checking(true),
        bounded(),
        Kernel::builder().debugger(true),
    ];
    for builder in builders {
        let kernel = builder.cpus(1).build();
        let fd = copying(&kernel);
        assert_eq!(kernel.runner(fd, &[], &[0; 8]).err(), Some(Errno::EINVAL));
        assert_eq!(kernel.runner(fd, &[1], &[0; 16]).err(), Some(Errno::EINVAL));
        let mut runner = kernel.runner(fd, &[], &[1; 16]).expect("a runner");
        for number in 1..100u64 {
            runner.write_ctx(0, &number.to_ne_bytes()).expect("room");
            assert_eq!(runner.run(), Ok(number));
            assert_eq!(runner.ctx(), [number.to_ne_bytes(); 2].concat());
        }
        assert_eq!(runner.write_ctx(9, &[0; 8]), Err(Errno::EINVAL));
        assert_eq!(runner.write_packet(0, &[]), Err(Errno::EINVAL));
        assert!(runner.packet().is_empty());
        // There is one CPU, and this thread has it.
        assert_eq!(kernel.runner(fd, &[], &[0; 16]).err(), Some(Errno::EBUSY));
        let counting = load(&kernel, &counting());
        assert_eq!(run(&kernel, counting), Err(Errno::EBUSY));
        drop(runner);
        assert_eq!(run(&kernel, counting), Ok((1..=51).sum()));
        let mut runner = kernel.runner(counting, &[7; 64], &[]).expect("a runner");
        assert_eq!(runner.run(), Ok((1..=51).sum()));
        runner.write_packet(1, &[8]).expect("room");
        assert_eq!(runner.packet()[..3], [7, 8, 7]);
        assert_eq!(runner.write_packet(50, &[0; 1]), Err(Errno::EFAULT));
        assert_eq!(runner.write_ctx(0, &[0]), Err(Errno::EINVAL));
        assert!(runner.ctx().is_empty());
    }
    let kernel = bounded().fuel(Some(20)).build();
    let fd = load(&kernel, &counting());
    let mut runner = kernel.runner(fd, &[0; 64], &[]).expect("a runner");
    assert_eq!(runner.run(), Err(Errno::EFAULT));
    assert!(kernel.last_trap().is_some());
}

#[test]
fn runs_are_counted_when_asked_for() {
    let kernel = Kernel::builder().build();
    let fd = load(&kernel, &counting());
    let known = |kernel: &Kernel| {
        let mut bytes = skep_abi::info::ProgInfo::new().bytes().to_vec();
        let len = bytes.len() as u32;
        let mut memory = Buffers::new();
        let mut ask = attr::ObjGetInfo::new();
        ask.set_bpf_fd(fd)
            .set_info_len(len)
            .set_info(memory.output(&mut bytes));
        let cmd = Cmd::ObjGetInfoByFd.into();
        kernel.bpf(cmd, ask.as_attr(), &mut memory).expect("info");
        drop(memory);
        let info = skep_abi::info::ProgInfo::prefix(&bytes);
        (info.run_cnt(), info.run_time_ns() > 0)
    };
    let sum = Ok((1..=51).sum());
    assert_eq!(run(&kernel, fd), sum);
    assert_eq!(known(&kernel), (0, false));
    let enable = |kernel: &Kernel, kind: u32| {
        let mut enable = attr::EnableStats::new();
        enable.set_stats_type(kind);
        let cmd = Cmd::EnableStats.into();
        kernel.bpf(cmd, enable.as_attr(), &mut Buffers::new())
    };
    assert_eq!(enable(&kernel, 1), Err(Errno::EINVAL));
    let stats = enable(&kernel, 0).expect("a file");
    assert_eq!(run(&kernel, fd), sum);
    assert_eq!(run(&kernel, fd), sum);
    assert_eq!(known(&kernel).0, 2);
    let mut runner = kernel.runner(fd, &[0; 64], &[]).expect("a runner");
    assert_eq!(runner.run(), sum.map(u64::from));
    drop(runner);
    assert_eq!(known(&kernel).0, 3);
    skep_abi::Files::close(&kernel, stats).expect("open");
    assert_eq!(run(&kernel, fd), sum);
    assert_eq!(known(&kernel).0, 3, "nobody asks any more");
}

#[test]
fn helpers_read_the_stack_of_native_code() {
    let probe_read_kernel = 113;
    let insns = [
        Insn::new(0x7a, 10, 0, -8, 42), // *(u64 *)(r10 -8) = 42
        Insn::new(0x7a, 10, 0, -16, 0),
        Insn::mov64_reg(1, 10),
        Insn::new(0x07, 1, 0, 0, -16),
        Insn::mov64_imm(2, 8),
        Insn::mov64_reg(3, 10),
        Insn::new(0x07, 3, 0, 0, -8),
        Insn::new(0x85, 0, 0, 0, probe_read_kernel),
        Insn::new(0x79, 0, 10, -16, 0),
        Insn::exit(),
    ];
    for native in [true, false] {
        let kernel = Kernel::builder().native(native).build();
        let fd = load(&kernel, &insns);
        assert_eq!(run(&kernel, fd), Ok(42), "native {native}");
    }
}

#[test]
fn limits_and_hardening() {
    let result = |builder: Builder| {
        let kernel = builder.build();
        let fd = load(&kernel, &counting());
        (run(&kernel, fd), kernel.last_trap())
    };
    let sum = Ok((1..=51).sum());
    for native in [true, false] {
        let builder = || Kernel::builder().native(native);
        assert_eq!(result(builder().hardened(true)).0, sum);
        assert_eq!(result(builder().fuel(Some(100_000))).0, sum);
        assert_eq!(
            result(builder().deadline(Some(Duration::from_secs(60)))).0,
            sum
        );
        let (ran, why) = result(builder().fuel(Some(20)));
        assert_eq!(ran, Err(Errno::EFAULT));
        assert!(
            why.is_some_and(|why| why.contains("out of fuel")),
            "native {native}"
        );
    }
}

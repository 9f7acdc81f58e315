//! Does native code compute what the interpreter computes?

mod common;

use std::sync::Arc;

use common::random::{Dice, program};
use common::{TestHost, executable, native, of_insns, same};
use skep_isa::Insn;
use skep_vm::{Cpu, Limits, Mode, Trap};

/// Every recorded answer of the kernel.
#[test]
fn arithmetic_and_jumps_are_the_kernels() {
    let data = include_str!("../../isa/tests/data/kernel_meaning.tsv");
    for line in data.lines().filter(|l| !l.starts_with('#')) {
        let numbers: Vec<u64> = line
            .split('\t')
            .map(|n| u64::from_str_radix(n, 16).expect("hex"))
            .collect();
        let [insn, a, b, expected] = numbers[..] else {
            panic!("four columns: {line}")
        };
        let insn = Insn::from_bytes(insn.to_be_bytes());
        for folded in [true, false] {
            // The operands are constants of the program, or come from memory.
            let mut insns = match folded {
                true => [Insn::ld_imm64(7, a), Insn::ld_imm64(8, b)].concat(),
                false => vec![LOAD_R7, LOAD_R8],
            };
            insns.push(insn);
            if insn.is_jmp_class() {
                insns.extend([Insn::mov64_imm(7, 0), Insn::goto(1), Insn::mov64_imm(7, 1)]);
            }
            insns.extend([Insn::mov64_reg(0, 7), Insn::exit()]);
            let executable = of_insns(insns, &[0]);
            let mut host = TestHost::new();
            (host.block[0], host.block[1]) = (a, b);
            if common::has_back_end() {
                let got = common::run_native(&executable, &mut host);
                assert_eq!(got, Ok(expected), "{line} folded {folded}");
            }
        }
    }
}

/// `r7 = *(u64 *)(r1 + 0)`
const LOAD_R7: Insn = Insn::new(0x79, 7, 1, 0, 0);
/// `r8 = *(u64 *)(r1 + 8)`
const LOAD_R8: Insn = Insn::new(0x79, 8, 1, 8, 0);

#[test]
fn programs() {
    for source in [
        "r0 = -1; w0 += 1; exit",
        "r0 = 0x123456789abcdef0 ll; exit",
        "*(u16 *)(r1 +0) = 0x8001; r0 = *(s16 *)(r1 +0); exit",
        "*(u64 *)(r1 +8) = -3; r0 = *(s32 *)(r1 +8); exit",
        "r2 = 5; store_release((u32 *)(r1 +0), r2); r0 = load_acquire((u8 *)(r1 +0)); exit",
        "r0 = 5; lock *(u64 *)(r1 +0) += r0; lock *(u64 *)(r1 +0) += r0; r0 = *(u64 *)(r1 +0); exit",
        "*(u64 *)(r1 +0) = 6; r0 = 3; r0 = atomic64_fetch_and((u64 *)(r1 +0), r0); exit",
        "*(u64 *)(r1 +0) = 6; r0 = 9; r0 = atomic64_fetch_add((u64 *)(r1 +0), r0); exit",
        "*(u64 *)(r1 +0) = -1; r0 = 9; r0 = atomic_fetch_xor((u32 *)(r1 +0), r0); exit",
        "*(u64 *)(r1 +0) = 6; r2 = 9; r2 = atomic64_xchg((u64 *)(r1 +0), r2); r0 = *(u64 *)(r1 +0); r0 <<= 8; r0 |= r2; exit",
        "*(u32 *)(r1 +0) = 6; r2 = 9; r0 = 6; r0 = atomic_cmpxchg((u32 *)(r1 +0), r0, r2); r3 = *(u32 *)(r1 +0); r0 <<= 8; r0 |= r3; exit",
        "*(u64 *)(r1 +0) = -1; r2 = 9; r0 = -1; r0 = atomic_cmpxchg((u32 *)(r1 +0), r0, r2); exit",
        // Memory that is changed where it lies, and that is not.
        "r2 = *(u64 *)(r1 +0); r2 += 7; *(u64 *)(r1 +0) = r2; r0 = r2; exit",
        "r2 = *(u32 *)(r1 +0); w2 ^= -1; *(u32 *)(r1 +0) = r2; r0 = *(u64 *)(r1 +0); exit",
        "r2 = *(u8 *)(r1 +0); r2 += 0x1ff; *(u8 *)(r1 +0) = r2; r0 = *(u16 *)(r1 +0); exit",
        // The frame, as values and as memory.
        "r2 = 7; *(u64 *)(r10 -8) = r2; r3 = 9; *(u32 *)(r10 -16) = r3; r0 = *(u64 *)(r10 -8); r4 = *(u32 *)(r10 -16); r0 += r4; exit",
        "r2 = -2; *(u64 *)(r10 -8) = r2; r0 = *(u8 *)(r10 -7); exit",
        "*(u64 *)(r10 -8) = 0; r2 = r10; r2 += -8; *(u32 *)(r2 +4) = 5; r0 = *(u64 *)(r10 -8); exit",
        "r2 = -5; *(u32 *)(r10 -8) = r2; r0 = *(s32 *)(r10 -8); exit",
        // Sums of short numbers, also with a store between.
        "r2 = 0x1122334455667788 ll; *(u64 *)(r1 +0) = r2; r2 = 0x99aabbccddeeff01 ll; *(u64 *)(r1 +8) = r2; r2 = -3; *(u64 *)(r1 +16) = r2; *(u64 *)(r1 +24) = r2; r0 = 7; r2 = r1; r3 = 16; l: r4 = *(u16 *)(r2 +0); r4 = be16 r4; w0 += w4; r2 += 2; r3 += -1; if r3 != 0 goto l; exit",
        "r2 = 0x1122334455667788 ll; *(u64 *)(r1 +0) = r2; r2 = 0x99aabbccddeeff01 ll; *(u64 *)(r1 +8) = r2; r2 = -3; *(u64 *)(r1 +16) = r2; *(u64 *)(r1 +24) = r2; r0 = -2; r2 = r1; r3 = 16; l: r4 = *(u16 *)(r2 +0); r0 += r4; r2 += 2; r3 += -1; if r3 != 0 goto l; exit",
        "r2 = 0x1122334455667788 ll; *(u64 *)(r1 +0) = r2; r2 = 0x99aabbccddeeff01 ll; *(u64 *)(r1 +8) = r2; r2 = -3; *(u64 *)(r1 +16) = r2; *(u64 *)(r1 +24) = r2; r0 = -2; r3 = 0; l: r2 = r1; r2 += r3; r4 = *(u16 *)(r2 +0); w0 += w4; r3 += 2; if r3 != 32 goto l; exit",
        "r2 = 0x1122334455667788 ll; *(u64 *)(r1 +0) = r2; r2 = 0x99aabbccddeeff01 ll; *(u64 *)(r1 +8) = r2; r2 = -3; *(u64 *)(r1 +16) = r2; *(u64 *)(r1 +24) = r2; r0 = 0; r2 = *(u16 *)(r1 +0); r0 += r2; r2 = *(u16 *)(r1 +2); r0 += r2; r2 = *(u16 *)(r1 +4); r0 += r2; *(u16 *)(r1 +0) = r0; r2 = *(u16 *)(r1 +6); r0 += r2; exit",
        // One of 32 numbers, which are added at once.
        "r2 = 0x1122334455667788 ll; r3 = 0; l: r4 = r1; r4 += r3; *(u64 *)(r4 +0) = r2; r2 *= 7; r3 += 8; if r3 != 64 goto l; w0 = 7; r3 = 0; m: r2 = r1; r2 += r3; r4 = *(u16 *)(r2 +0); r4 = be16 r4; w0 += w4; r3 += 2; if r3 != 64 goto m; exit",
        "r2 = 0x1122334455667788 ll; r3 = 0; l: r4 = r1; r4 += r3; *(u64 *)(r4 +0) = r2; r2 *= 7; r3 += 8; if r3 != 64 goto l; r0 = 7; r3 = 0; m: r2 = r1; r2 += r3; r4 = *(u16 *)(r2 +0); r0 += r4; r3 += 2; if r3 != 64 goto m; exit",
        // A polynomial that some lowest bits do not touch, and one that they do.
        "r2 = *(u32 *)(r1 +0); w2 ^= 0x12345679; r3 = 8; l: r4 = r2; r4 &= 1; w4 = -w4; w4 &= -306674912; w2 >>= 1; w2 ^= w4; r3 += -1; if r3 != 0 goto l; r0 = r2; exit",
        "r2 = *(u32 *)(r1 +0); w2 ^= 0x12345679; r3 = 8; l: r4 = r2; r4 &= 1; w4 = -w4; w4 &= 0x10003; w2 <<= 1; w2 ^= w4; r3 += -1; if r3 != 0 goto l; r0 = r2; exit",
        "r2 = *(u64 *)(r1 +0); r2 += 0x12345679; r3 = 8; l: r4 = r2; r4 &= 1; r4 = -r4; r5 = 0xd800000000000000 ll; r4 &= r5; r2 >>= 1; r2 ^= r4; r3 += -1; if r3 != 0 goto l; r0 = r2; exit",
        // Masks of what cannot be set, and of what can.
        "r2 = *(u64 *)(r1 +0); r2 += 77; r2 &= 16; r0 = r2; r0 += 8; r0 &= 31; r2 += 16; r2 &= 31; r0 <<= 8; r0 |= r2; exit",
        "r2 = *(u32 *)(r1 +0); w2 += -77; w3 = w2; w3 <<= 4; w3 |= 3; w3 &= 7; r0 = 0; if w3 & 4 goto l; r0 = 1; l: w2 >>= 3; if w2 & 0x10000000 goto m; r0 += 2; m: w2 >>= 30; if w2 & 1 goto n; r0 += 4; n: r0 += r3; exit",
        "r2 = *(u64 *)(r1 +0); r2 += -77; r2 >>= 40; r2 >>= 30; r3 = -1; r3 >>= 3; r3 >>= 4; r3 <<= 2; r3 <<= 1; w4 = -1; w4 >>= 30; w4 <<= 31; r0 = r2; r0 += r3; r0 += r4; exit",
        // Small products, with something added.
        "r2 = *(u64 *)(r1 +0); r2 += 0x7fffffff; r0 = r2; r0 *= 5; r0 += -9; r3 = r2; w3 *= 9; w3 += 0x7fffffff; r4 = r2; r4 *= 3; r0 ^= r3; r0 ^= r4; w2 *= 3; r0 += r2; exit",
        // Slots of the frame that are accessed in several sizes.
        "*(u64 *)(r10 -8) = -3; r2 = 7; *(u32 *)(r10 -8) = r2; r0 = *(u64 *)(r10 -8); r3 = *(s8 *)(r10 -8); r4 = *(u32 *)(r10 -8); r0 += r3; r0 += r4; exit",
        "*(u64 *)(r10 -8) = 5; r3 = 9; l: r2 = *(u16 *)(r10 -8); r2 *= 77; *(u16 *)(r10 -8) = r2; r3 += -1; if r3 != 0 goto l; r0 = *(u64 *)(r10 -8); exit",
        // Loops: sums, two values that change places, a counter down.
        "r0 = 0; r2 = 10; l: r0 += r2; r2 += -1; if r2 != 0 goto l; exit",
        "r0 = 1; r2 = 2; r3 = 7; l: r4 = r0; r0 = r2; r2 = r4; r3 += -1; if r3 != 0 goto l; r0 <<= 4; r0 |= r2; exit",
        "r0 = 0; r3 = 0; l: r4 = r3; r3 += 1; r0 += r4; if r3 < 100 goto l; exit",
        // Calls.
        "r1 = 1; r2 = 2; r3 = 3; r4 = 4; r5 = 5; call sum; exit",
        "r6 = 6; r7 = 7; r1 = 1; r2 = r7; r3 = r6; r4 = r1; r5 = r2; call sum; r0 += r6; r0 *= r7; exit",
        "r1 = 5; r2 = 4; call f; exit; f: r0 = r1; r0 -= r2; r0 *= 10; exit",
        "r6 = 3; r7 = 4; r8 = 5; r9 = 6; r1 = 1; call f; r0 += r6; r0 += r7; r0 += r8; r0 += r9; exit; f: r6 = r1; r7 = r6; r8 = r7; r9 = r8; r0 = r9; exit",
        "*(u64 *)(r10 -8) = 1; r1 = r10; r1 += -8; call f; r0 = *(u64 *)(r10 -8); exit; f: *(u64 *)(r10 -8) = 77; *(u64 *)(r1 +0) = 55; r0 = 0; exit",
        // A callee in the place of its call, whose atomic leaves r0 alone.
        "call f; exit; f: r0 = 1; r0 += 1; r0 *= 3; r0 ^= 2; r0 += 1; r0 *= 3; r0 ^= 2; r0 += 1; r0 *= 3; r2 = 4; lock *(u64 *)(r1 +0) += r2; exit",
        "r1 = func[f]; r2 = 5; r3 = 3; call repeat; exit; f: r0 = r1; r0 *= r2; exit",
        "r6 = r1; r1 = func[f]; r2 = 5; r3 = r6; call repeat; r0 = *(u64 *)(r6 +0); exit; f: r1 += 1; lock *(u64 *)(r2 +0) += r1; r0 = 0; exit",
        "r6 = 9; call fail; r0 = r6; exit",
        "r1 = func[f]; r2 = 5; call repeat; exit; f: call fail; r0 = 0; exit",
        // A tail call that is not taken.
        "r2 = 0; r3 = 99; call tail; r0 = 42; exit",
        // Classic packet loads.
        "r6 = r1; r0 = ntohl(*(u32 *)skb[0]); exit",
        "r6 = r1; r0 = *(u16 *)skb[1]; exit",
    ] {
        // The spelling of packet loads differs; what does not assemble is not a case.
        if source.contains("skb") {
            continue;
        }
        let executable = executable(source);
        same(&executable, &TestHost::new).unwrap_or_else(|e| panic!("{source}: {e}"));
    }
}

#[test]
fn limits_end_native_runs() {
    if !common::has_back_end() {
        return;
    }
    let options = skep_jit::Options {
        bounded: true,
        ..skep_jit::Options::new(skep_jit::Features::detect())
    };
    let long = "r6 = r1; r0 = 0; r2 = 1000000000; l: r0 += r2; r2 += -1; if r2 != 0 goto l; *(u64 *)(r6 +0) = r0; exit";
    let callback = "r6 = r1; r1 = func[f]; r2 = 100000000; r3 = r6; call repeat; r0 = 1; exit; f: r0 = r1; exit";
    for (source, fuel, enough) in [
        (long, 1_000_000, false),
        (callback, 1_000_000, false),
        ("r0 = 7; exit", 100, true),
        (
            "r0 = 0; r2 = 10; l: r0 += r2; r2 += -1; if r2 != 0 goto l; exit",
            1000,
            true,
        ),
    ] {
        let executable = executable(source);
        let ran = common::run_native_as(&executable, &mut TestHost::new(), options, Some(fuel));
        match ran {
            Ok(_) => assert!(enough, "{source}"),
            Err(stopped) => assert_eq!((stopped.trap, enough), (Trap::Fuel, false), "{source}"),
        }
    }
    // A deadline that has passed is noticed at the first look at the clock.
    let host = &mut TestHost::new();
    let program = common::native_as(&executable(long), host, options);
    let limits = Limits {
        fuel: None,
        deadline: Some(std::time::Instant::now()),
    };
    // SAFETY: the program counts and writes to the host's memory.
    let mode = Mode::Trusting(unsafe { skep_vm::Trust::promise() });
    let ctx = host.memory();
    let ran = skep_vm::run(&program, &mut Cpu::new(0), host, mode, ctx, limits);
    assert_eq!(ran.map_err(|stopped| stopped.trap), Err(Trap::Deadline));
}

/// `bpf_loop` with a known function does its rounds in native code.
#[test]
fn loops_of_callbacks() {
    if !common::has_back_end() {
        return;
    }
    let rounds = |rounds: i32, flags: i32| {
        let source = format!(
            "r6 = r1; r1 = {rounds}; r2 = func[f]; r3 = r6; r4 = {flags}; call repeat; exit; \
             f: r3 = *(u64 *)(r2 +0); r3 += r1; *(u64 *)(r2 +0) = r3; r0 = 0; \
             if r1 != 7 goto o; r0 = 1; o: exit"
        );
        let mut executable = executable(&source);
        for insn in &mut executable.insns {
            if (insn.code, insn.imm) == (0x85, common::REPEAT) {
                insn.imm = 181;
            }
        }
        executable
    };
    for bounded in [false, true] {
        let options = skep_jit::Options {
            bounded,
            ..skep_jit::Options::new(skep_jit::Features::detect())
        };
        let fuel = bounded.then_some(1 << 30);
        for (executable, r0, sum) in [
            (rounds(5, 0), 5, 10),
            (rounds(100, 0), 8, 28),
            (rounds(0, 0), 0, 0),
            (rounds(5, 1), -22i64 as u64, 0),
            (rounds((1 << 23) + 1, 0), -7i64 as u64, 0),
        ] {
            let mut host = TestHost::new();
            let got = common::run_native_as(&executable, &mut host, options, fuel);
            assert_eq!((got, host.block[0]), (Ok(r0), sum), "bounded {bounded}");
        }
    }
}

#[test]
fn tail_calls() {
    let host = || {
        let mut host = TestHost::new();
        let next = executable("r0 = *(u64 *)(r1 +0); r0 += 100; exit");
        host.programs.insert(1, Arc::new(native(&next, &host)));
        // Counts itself in memory, and goes to itself.
        let again = executable(
            "r2 = *(u64 *)(r1 +0); r2 += 1; *(u64 *)(r1 +0) = r2; r3 = 2; r6 = r2; call tail; r0 = r6; exit",
        );
        host.programs.insert(2, Arc::new(native(&again, &host)));
        // One whose code has a frame and a function, and goes on to the first.
        let onward = executable(
            "r6 = r1; *(u64 *)(r10 -8) = 7; r1 = r10; r1 += -8; call f; r2 = r0; *(u64 *)(r6 +0) = r2; r1 = r6; r2 = 0; r3 = 1; call tail; r0 = 1; exit; f: r0 = *(u64 *)(r1 +0); r0 += 3; exit",
        );
        host.programs.insert(3, Arc::new(native(&onward, &host)));
        // One without native code, and one that fails.
        let plain = executable("r0 = *(u64 *)(r1 +0); r0 += 200; exit");
        let linked = skep_vm::Program::link(&plain, &host).expect("a program");
        host.programs.insert(4, Arc::new(linked));
        let fails = executable("r6 = 8; call fail; r0 = r6; exit");
        host.programs.insert(5, Arc::new(native(&fails, &host)));
        host
    };
    if !common::has_back_end() {
        return;
    }
    for (source, expected) in [
        (
            "*(u64 *)(r1 +0) = 5; r2 = 0; r3 = 1; call tail; r0 = 1; exit",
            105,
        ),
        ("r2 = 0; r3 = 2; call tail; r0 = 1; exit", 33),
        ("r7 = 9; r2 = 0; r3 = 3; call tail; r0 = r7; exit", 110),
        (
            "*(u64 *)(r1 +0) = 5; r2 = 0; r3 = 4; call tail; r0 = 1; exit",
            205,
        ),
        // From a function, in whose place the next program runs.
        (
            "*(u64 *)(r1 +0) = 5; r6 = 1000; call f; r0 += r6; exit; f: r2 = 0; r3 = 1; call tail; r0 = 1; exit",
            1105,
        ),
        (
            "r6 = r1; r1 = func[f]; r2 = 3; r3 = r6; call repeat; exit; f: r1 = r2; r3 = 1; call tail; r0 = 1; exit",
            300,
        ),
    ] {
        let mut host = host();
        let got = common::run_native(&executable(source), &mut host);
        assert_eq!(got, Ok(expected), "{source}");
    }
    let failing = executable("r2 = 0; r3 = 5; call tail; r0 = 1; exit");
    let stopped = common::run_native(&failing, &mut host()).expect_err("it fails");
    assert_eq!(stopped.trap, Trap::Host("no more".to_string()));
}

/// What is thrown in a program that another one went to comes to its own callback.
#[test]
fn thrown_behind_a_tail_call() {
    if !common::has_back_end() {
        return;
    }
    let catching = |source: &str| {
        let mut executable = executable(source);
        executable.exception_callback = Some(1);
        executable
    };
    let first = catching("r2 = 0; r3 = 1; call tail; r1 = 5; call throw; exit; f: r0 = r1; exit");
    let next = catching("r1 = 7; call throw; exit; f: r0 = r1; r0 *= 100; exit");
    for (there, expected) in [(true, 700), (false, 5)] {
        let mut host = TestHost::new();
        if there {
            host.programs.insert(1, Arc::new(native(&next, &host)));
        }
        assert_eq!(common::run_native(&first, &mut host), Ok(expected));
    }
}

/// Counted and hardened code goes to programs that are made so, with what is left of the fuel.
#[test]
fn counted_tail_calls() {
    if !common::has_back_end() {
        return;
    }
    for hardened in [false, true] {
        let options = skep_jit::Options {
            bounded: true,
            hardened,
            ..skep_jit::Options::new(skep_jit::Features::detect())
        };
        let mut host = TestHost::new();
        let again = executable(
            "r2 = *(u64 *)(r1 +0); r2 += 1; *(u64 *)(r1 +0) = r2; r3 = 2; r6 = r2; call tail; r0 = r6; exit",
        );
        host.programs
            .insert(2, Arc::new(common::native_as(&again, &host, options)));
        let endless = executable("l: r2 = 3; if r2 != 0 goto l; r0 = 0; exit");
        host.programs
            .insert(3, Arc::new(common::native_as(&endless, &host, options)));
        let first = executable("r2 = 0; r3 = 2; call tail; r0 = 1; exit");
        let got = common::run_native_as(&first, &mut host, options, Some(100_000));
        assert_eq!(got, Ok(33));
        let first = executable("r2 = 0; r3 = 3; call tail; r0 = 1; exit");
        let got = common::run_native_as(&first, &mut host, options, Some(100_000));
        assert!(got.is_err(), "{got:?}");
    }
}

#[test]
fn random_programs() {
    let rounds = std::env::var("SKEP_JIT_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(3000);
    for seed in 1..=rounds {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15u64.wrapping_mul(seed));
        let insns = program(&mut dice);
        let memory: Vec<u64> = (0..7)
            .map(|_| dice.number() as u64 ^ dice.roll(1 << 31) << 33)
            .collect();
        let executable = of_insns(insns, &[0]);
        let host = || {
            let mut host = TestHost::new();
            host.block[..7].copy_from_slice(&memory);
            host
        };
        same(&executable, &host).unwrap_or_else(|e| {
            let text: Vec<String> = executable.insns.iter().map(|i| format!("{i:x?}")).collect();
            panic!("seed {seed}: {e}\n{}", text.join("\n"))
        });
    }
}

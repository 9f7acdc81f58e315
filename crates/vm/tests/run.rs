//! Does a program compute what the instruction set says, trusting and checking alike?

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{TestHost, executable, of_insns, run_checked, run_trusted};
use skep_isa::Insn;
use skep_vm::{Limits, Program, Trap};

/// Runs both ways and gives the common answer.
fn both(source: &str) -> u64 {
    let executable = executable(source);
    let checked = run_checked(&executable, &mut TestHost::new(), Limits::default());
    let checked = checked.unwrap_or_else(|e| panic!("{source}: {e}"));
    let trusted = run_trusted(&executable, &mut TestHost::new(), Limits::default());
    assert_eq!(trusted, Ok(checked), "{source}");
    checked
}

/// Every recorded answer of the kernel, through the interpreter.
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
        let mut insns = [Insn::ld_imm64(7, a), Insn::ld_imm64(8, b)].concat();
        insns.push(insn);
        if insn.is_jmp_class() {
            insns.extend([Insn::mov64_imm(7, 0), Insn::goto(1), Insn::mov64_imm(7, 1)]);
        }
        insns.extend([Insn::mov64_reg(0, 7), Insn::exit()]);
        let executable = of_insns(insns, &[0]);
        let limits = Limits::default();
        let mut host = TestHost::new();
        assert_eq!(
            run_checked(&executable, &mut host, limits),
            Ok(expected),
            "{line}"
        );
        assert_eq!(
            run_trusted(&executable, &mut host, limits),
            Ok(expected),
            "{line}"
        );
    }
}

#[test]
fn programs_give_their_numbers() {
    for (source, expected) in [
        // Immediates, and the zero upper half of 32-bit results.
        ("r0 = -1; exit", u64::MAX),
        ("w0 = -1; exit", 0xffff_ffff),
        ("r0 = -1; w0 += 1; exit", 0),
        ("r0 = 0x123456789abcdef0 ll; exit", 0x1234_5678_9abc_def0),
        ("r0 = 7; r0 /= 2; exit", 3),
        ("r0 = -7; r0 s/= 2; exit", -3i64 as u64),
        ("r0 = -7; w0 s%= 4; exit", 0xffff_fffd),
        ("r0 = 5; r0 = -r0; exit", -5i64 as u64),
        ("r0 = 5; w0 = -w0; exit", 0xffff_fffb),
        ("r1 = 0x80; r0 = (s8)r1; exit", -128i64 as u64),
        ("r1 = 0x8000; w0 = (s16)w1; exit", 0xffff_8000),
        ("r0 = 0x1234; r0 = be16 r0; exit", 0x3412),
        ("r0 = 0x12345678; r0 = le16 r0; exit", 0x5678),
        (
            "r0 = 0x1122334455667788 ll; r0 = bswap64 r0; exit",
            0x8877_6655_4433_2211,
        ),
        // Memory.
        (
            "r2 = -2; *(u64 *)(r10 -8) = r2; r0 = *(u8 *)(r10 -7); exit",
            0xff,
        ),
        (
            "*(u32 *)(r1 +4) = -1; r0 = *(u64 *)(r1 +0); exit",
            0xffff_ffff_0000_0000,
        ),
        (
            "*(u16 *)(r1 +0) = 0x8001; r0 = *(s16 *)(r1 +0); exit",
            0xffff_ffff_ffff_8001,
        ),
        (
            "*(u8 *)(r1 +0) = 0x81; r0 = *(s8 *)(r1 +0); exit",
            0xffff_ffff_ffff_ff81,
        ),
        (
            "*(u64 *)(r1 +8) = -3; r0 = *(s32 *)(r1 +8); exit",
            -3i64 as u64,
        ),
        (
            "r2 = 5; store_release((u32 *)(r1 +0), r2); r0 = load_acquire((u8 *)(r1 +0)); exit",
            5,
        ),
        // Atomics.
        (
            "r0 = 5; lock *(u64 *)(r1 +0) += r0; lock *(u64 *)(r1 +0) += r0; r0 = *(u64 *)(r1 +0); exit",
            10,
        ),
        (
            "*(u64 *)(r1 +0) = 6; r0 = 3; r0 = atomic64_fetch_and((u64 *)(r1 +0), r0); exit",
            6,
        ),
        (
            "*(u64 *)(r1 +0) = 6; r2 = 9; r2 = atomic64_xchg((u64 *)(r1 +0), r2); r0 = *(u64 *)(r1 +0); r0 <<= 8; r0 |= r2; exit",
            0x906,
        ),
        (
            "*(u32 *)(r1 +0) = 6; r2 = 9; r0 = 6; r0 = atomic_cmpxchg((u32 *)(r1 +0), r0, r2); r3 = *(u32 *)(r1 +0); r0 <<= 8; r0 |= r3; exit",
            0x609,
        ),
        (
            "*(u32 *)(r1 +0) = 6; r2 = 9; r0 = 7; r0 = atomic_cmpxchg((u32 *)(r1 +0), r0, r2); r3 = *(u32 *)(r1 +0); r0 <<= 8; r0 |= r3; exit",
            0x606,
        ),
        (
            "*(u32 *)(r1 +0) = -1; r2 = 1; lock *(u32 *)(r1 +0) ^= r2; r0 = *(u64 *)(r1 +0); exit",
            0xffff_fffe,
        ),
        // Jumps, loops, the long jump.
        (
            "r0 = 0; r1 = 10; loop:; r0 += r1; r1 += -1; if r1 != 0 goto loop; exit",
            55,
        ),
        ("gotol on; r0 = 1; exit; on:; r0 = 2; exit", 2),
        (
            "r0 = 0; loop:; r0 += 1; may_goto out; goto loop; out:; exit",
            (8 << 20) + 1,
        ),
        // References.
        ("r0 = map[0]; exit", 0x1003),
        ("r0 = map_value[1]+16; exit", 0x2010),
        // Calls keep r6 to r9 and the caller's stack.
        (
            "r6 = 7; r1 = 5; *(u64 *)(r10 -8) = 1; call f; r0 += r6; r1 = *(u64 *)(r10 -8); r0 += r1; exit; f:; r6 = 100; *(u64 *)(r10 -8) = 50; r0 = r1; exit",
            13,
        ),
        (
            "r1 = 5; call f; exit; f:; if r1 == 0 goto end; r6 = r1; r1 += -1; call f; r0 += r6; exit; end:; r0 = 0; exit",
            15,
        ),
        (
            "r1 = r10; r1 += -8; *(u64 *)(r10 -8) = 4; call f; r0 = *(u64 *)(r10 -8); exit; f:; *(u64 *)(r1 +0) = 9; exit",
            9,
        ),
        // Addresses that are computed just before the access.
        (
            "*(u64 *)(r10 -16) = 5; r2 = 8; r3 = r10; r3 += -24; r3 += r2; r0 = *(u64 *)(r3 +0); r3 += 8; r4 = r10; r3 -= r4; r0 *= 100; r0 -= r3; exit",
            508,
        ),
        (
            "*(u64 *)(r10 -16) = 0x1234; r2 = -16; r3 = r10; r3 += r2; r3 = *(u8 *)(r3 +1); r0 = r3; exit",
            0x12,
        ),
        (
            "r2 = -24; r4 = 7; r3 = r10; r3 += r2; *(u64 *)(r3 +8) = r4; r5 = r10; r5 += r2; r5 += 8; *(u8 *)(r5 +1) = r4; r3 += 8; r3 += 1; r0 = *(u16 *)(r3 -1); exit",
            0x707,
        ),
        (
            "r2 = 8; r3 = r10; r3 += -24; r3 += r2; *(u64 *)(r3 +0) = r3; r0 = *(u64 *)(r10 -16); r0 -= r10; exit",
            -16i64 as u64,
        ),
        (
            "r2 = -1; *(u64 *)(r10 -8) = r2; r3 = r10; r3 += -16; r0 = *(s8 *)(r3 +8); exit",
            -1i64 as u64,
        ),
        // Memory that is changed, and rotations of copies.
        (
            "*(u64 *)(r10 -8) = -3; r2 = 7; r3 = *(u64 *)(r10 -8); r3 += r2; *(u64 *)(r10 -8) = r3; r3 = *(u32 *)(r10 -8); w3 ^= w2; *(u32 *)(r10 -8) = r3; r0 = *(u64 *)(r10 -8); r0 <<= 8; r0 |= r3; exit",
            0x303,
        ),
        (
            "*(u64 *)(r10 -8) = -1; r4 = r10; r3 = *(u32 *)(r10 -8); w3 += 2; *(u32 *)(r4 -4) = r3; r4 = *(u64 *)(r10 -8); r4 += 1; *(u64 *)(r10 -16) = r4; r0 = *(u64 *)(r10 -16); exit",
            0x2_0000_0000,
        ),
        (
            "r6 = r10; r6 += -8; *(u64 *)(r10 -8) = r6; r5 = r6; r6 = *(u64 *)(r6 +0); r6 += 0; *(u64 *)(r6 +0) = r6; r0 = *(u64 *)(r5 +0); r0 -= r5; exit",
            0,
        ),
        (
            "r2 = 0x123456789abcdef0 ll; r3 = r2; r3 >>= 60; r4 = r2; r4 <<= 4; r4 |= r3; w5 = w2; w5 <<= 8; w0 = w2; w0 >>= 24; w0 |= w5; r0 += r4; r0 += r3; r0 += r2; exit",
            0x3579_be03_0369_be8c,
        ),
        (
            "r2 = 6; r2 &= 4; r2 = -r2; r2 &= 0xff; w3 = 5; w3 &= 1; w3 = -w3; w3 &= 0x70; r0 = r2; r0 ^= r3; exit",
            0x8c,
        ),
        // Helpers and callbacks.
        ("r1 = 1; r2 = 2; r3 = 3; r4 = 4; r5 = 5; call sum; exit", 15),
        (
            "r1 = func[f]; r2 = 4; r3 = 10; call repeat; exit; f:; r0 = r1; r0 *= r2; exit",
            60,
        ),
        (
            "r6 = 1; r1 = func[f]; r2 = 4; r3 = 0; call repeat; r0 += r6; exit; f:; r6 = 99; r0 = 2; exit",
            9,
        ),
        (
            "r1 = func[f]; r2 = 2; r3 = 0; call repeat; exit; f:; r1 = func[fg]; r2 = 3; r3 = 0; call repeat; exit; fg:; r0 = 1; exit",
            6,
        ),
        (
            "r1 = 1; *(u64 *)(r10 -8) = r1; r1 = r10; r1 += -8; call reverse; r0 = *(u64 *)(r10 -8); exit",
            1 << 56,
        ),
        // A tail call that does not happen.
        ("r0 = 3; r2 = 0; r3 = 77; call tail; r0 = 4; exit", 4),
        // Classic packet access: no packet here.
        ("r6 = r1; r0 = 5; r0 = *(u8 *)skb[0]; exit", 0),
    ] {
        assert_eq!(both(source), expected, "{source}");
    }
}

#[test]
fn classic_packet_loads() {
    for (source, expected) in [
        ("r6 = r1; r0 = *(u16 *)skb[1]; exit", 0x0203),
        ("r6 = r1; r0 = *(u8 *)skb[3]; exit", 4),
        ("r6 = r1; r2 = 1; r0 = *(u16 *)skb[r2 + 1]; exit", 0x0304),
        ("r6 = r1; r2 = 1; r0 = *(u32 *)skb[r2 + 1]; r0 = 9; exit", 0),
        (
            "r6 = r1; r2 = -1; r0 = *(u32 *)skb[r2 + 1]; exit",
            0x0102_0304,
        ),
        (
            "r6 = r1; call f; r0 += 100; exit; f:; r0 = *(u8 *)skb[9]; r0 = 1; exit",
            100,
        ),
    ] {
        let mut host = TestHost {
            packet: vec![1, 2, 3, 4],
            ..TestHost::new()
        };
        let got = run_checked(&executable(source), &mut host, Limits::default());
        assert_eq!(got, Ok(expected), "{source}");
        let got = run_trusted(&executable(source), &mut host, Limits::default());
        assert_eq!(got, Ok(expected), "{source}");
    }
}

#[test]
fn tail_calls() {
    // Counts in memory how often it ran, then calls itself.
    let own = "r2 = *(u64 *)(r1 +0); r2 += 1; *(u64 *)(r1 +0) = r2; r2 = 0; r3 = 1; call tail; r0 = 7; exit";
    let other = "r0 = 42; exit";
    for (source, expected, count) in [
        ("r2 = 0; r3 = 0; call tail; r0 = 1; exit", 42, 0),
        (own, 7, 34),
        ("r3 = 1; call tail; exit", 7, 33),
        // From a subprogram: the callee's program returns to the caller of the subprogram.
        (
            "r6 = 5; call f; r0 += r6; exit; f:; r6 = 0; r3 = 0; call tail; r0 = 1; exit",
            47,
            0,
        ),
        (
            "r6 = 5; call f; r0 += r6; exit; f:; r3 = 1; call tail; r0 = 1; exit",
            12,
            33,
        ),
    ] {
        for run in [run_checked, run_trusted] {
            let mut host = TestHost::new();
            for (index, source) in [(0, other), (1, own)] {
                let program = Program::link(&executable(source), &host).expect("links");
                host.programs.insert(index, Arc::new(program));
            }
            assert_eq!(
                run(&executable(source), &mut host, Limits::default()),
                Ok(expected)
            );
            assert_eq!(host.block[0], count, "{source}");
        }
    }
}

#[test]
fn limits_end_a_run() {
    let endless = executable("r0 = 0; loop:; r0 += 1; goto loop");
    let fuel = Limits {
        fuel: Some(10_000),
        deadline: None,
    };
    let soon = Instant::now() + Duration::from_millis(5);
    let deadline = Limits {
        fuel: None,
        deadline: Some(soon),
    };
    let in_callbacks = executable(
        "r1 = func[f]; r2 = 1000000; r3 = 0; call repeat; exit; f:; r0 = 1; goto on; on:; exit",
    );
    let straight = executable("r0 = 1; r0 += 1; exit");
    let exact = Limits {
        fuel: Some(3),
        deadline: None,
    };
    for run in [run_checked, run_trusted] {
        let mut host = TestHost::new();
        let trap = |result: Result<u64, skep_vm::Stopped>| result.expect_err("stopped").trap;
        assert_eq!(trap(run(&endless, &mut host, fuel)), Trap::Fuel);
        assert_eq!(trap(run(&endless, &mut host, deadline)), Trap::Deadline);
        assert_eq!(trap(run(&in_callbacks, &mut host, fuel)), Trap::Fuel);
        assert_eq!(run(&straight, &mut host, exact), Ok(2));
    }
}

#[test]
fn failures_name_the_instruction() {
    for (source, trap, insn) in [
        (
            "r0 = 0; call fail; exit",
            Trap::Host("no more".to_owned()),
            1,
        ),
        ("r0 = 0; call 4242; exit", Trap::UnknownHelper(4242), 1),
        (
            "call f; exit; f:; r0 = 0; call fail; exit",
            Trap::Host("no more".to_owned()),
            3,
        ),
        (
            "r1 = 9; r2 = 1; call repeat; exit",
            Trap::UnknownFunction(9),
            2,
        ),
    ] {
        for run in [run_checked, run_trusted] {
            let stopped = run(&executable(source), &mut TestHost::new(), Limits::default());
            let stopped = stopped.expect_err(source);
            assert_eq!(
                (stopped.trap, stopped.insn),
                (trap.clone(), Some(insn)),
                "{source}"
            );
        }
    }
}

/// A long run needs no more native stack than a short one, whichever instructions stand
/// side by side; and instructions that are fused do what they do apart.
#[test]
fn neighbours_and_long_runs() {
    let simple = [
        "r2 = r3",
        "w2 = w3",
        "r2 = 77",
        "r2 += 5",
        "r2 += r3",
        "r2 *= r3",
        "r2 |= r3",
        "r2 &= 0x7ff",
        "r2 &= r3",
        "r2 ^= r3",
        "r2 <<= 3",
        "r2 >>= 3",
        "w2 += 5",
        "w2 += w3",
        "w2 |= w3",
        "w2 &= 0x7ff",
        "w2 &= w3",
        "w2 ^= w3",
        "w2 <<= 3",
        "w2 >>= 3",
        "r2 = *(u8 *)(r1 +3)",
        "r2 = *(u16 *)(r1 +2)",
        "r2 = *(u32 *)(r1 +4)",
        "r2 = *(u64 *)(r1 +0)",
        "*(u8 *)(r1 +1) = r2",
        "*(u32 *)(r1 +4) = r2",
        "*(u64 *)(r1 +0) = r2",
        "r2 /= 3",
        "r2 s%= 7",
        "w2 s>>= 1",
        "r2 = -r2",
        "r2 = be16 r2",
        "r2 = 0x123456789 ll",
        "if r2 == 77 goto +0",
        "if r2 != r3 goto +0",
        "if w2 > w3 goto +0",
        "if r2 < 9 goto +0",
        "if r2 s> r3 goto +0",
        "lock *(u64 *)(r1 +0) += r2",
        "r2 = atomic64_xchg((u64 *)(r1 +0), r2)",
    ];
    let test = move || {
        for first in simple {
            for second in simple {
                let source = format!(
                    "r2 = 0x1122334455667788 ll; r3 = 0x99aabbccddeeff00 ll; r5 = 0; r4 = 2000; \
                     loop:; r3 += 0x1234567; {first}; {second}; r5 *= 31; r5 += r2; r4 += -1; \
                     if r4 != 0 goto loop; r0 = *(u64 *)(r1 +0); r0 += r5; exit"
                );
                let executable = executable(&source);
                let limits = Limits::default();
                let checked = run_checked(&executable, &mut TestHost::new(), limits);
                let trusted = run_trusted(&executable, &mut TestHost::new(), limits);
                assert!(checked.is_ok(), "{source}");
                assert_eq!(checked, trusted, "{source}");
            }
        }
    };
    let small = std::thread::Builder::new()
        .stack_size(256 << 10)
        .spawn(test)
        .expect("a thread");
    small.join().expect("no failure");
}

//! Does code for 64-bit Arm, which does not run here, compute what the interpreter computes?

#[path = "../common/mod.rs"]
mod common;
mod machine;

use common::random::{Dice, program};
use common::{TestHost, executable, of_insns};
use machine::Machine;
use skep_isa::Insn;
use skep_jit::compile_for_arm;
use skep_verifier::Executable;
use skep_vm::Limits;

/// Where a function returns to that was not called by code.
const HOME: u64 = 0x4000_0000;
/// Where the code seems to lie.
const BASE: u64 = 0x1000;
/// Instructions that a run may take.
const STEPS: u64 = 10_000_000;

/// Runs the entry function of a program with r1 = the host's memory.
fn emulate(executable: &Executable, host: &mut TestHost, bounded: bool) -> Result<u64, String> {
    let image = compile_for_arm(executable, host, bounded).map_err(|e| e.to_string())?;
    let words: Vec<u32> = image
        .bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|raw| u32::from_le_bytes(*raw))
        .collect();
    let mut stack = vec![0u64; 1 << 16];
    // The state: only the fuel is looked at.
    let mut state = [u64::MAX / 4; 16];
    let mut machine = Machine {
        x: [0xdead_beef_dead_beef; 31],
        sp: stack.as_mut_ptr_range().end.expose_provenance() as u64,
        pc: BASE + image.functions[0] as u64,
        v0: 0,
        flags: [false; 4],
        window: None,
    };
    let block = (host.memory(), 8 * host.block.len() as u64);
    machine.set(0, host.memory());
    machine.set(5, state.as_mut_ptr().expose_provenance() as u64);
    machine.set(30, HOME);
    let kept = [machine.x[19], machine.sp];
    for _ in 0..STEPS {
        if machine.pc == HOME {
            assert_eq!(
                kept,
                [machine.x[19], machine.sp],
                "what callers own is back"
            );
            return Ok(machine.get(0));
        }
        let at = machine.pc.wrapping_sub(BASE) / 4;
        let word = words.get(at as usize).ok_or(format!("ran to {at:#x}"))?;
        let offset = (machine.pc - BASE) as u32;
        let fault = image.faults.iter().find(|fault| fault.at == offset);
        machine.window = fault.map(|_| block);
        // SAFETY: the interpreter ran the same program with every access checked.
        let done = unsafe { machine.step(*word) };
        match (done, fault) {
            (Err(_), Some(fault)) => {
                if let Some(zeroed) = fault.register {
                    machine.set(zeroed.into(), 0);
                }
                machine.pc = BASE + u64::from(fault.resume);
            }
            (done, _) => done?,
        }
    }
    Err("does not end".to_string())
}

/// Demands what the checking interpreter gives.
fn same(executable: &Executable, prepare: &dyn Fn() -> TestHost) -> Result<(), String> {
    let mut host = prepare();
    let limits = Limits {
        fuel: Some(1 << 20),
        deadline: None,
    };
    let checked = common::run_checked(executable, &mut host, limits);
    let checked = (checked.map_err(|s| s.trap.to_string()), host.block.clone());
    if checked.0.is_err() {
        return Err(format!("not a valid test: {:?}", checked.0));
    }
    for bounded in [false, true] {
        let mut host = prepare();
        let got = (emulate(executable, &mut host, bounded), host.block.clone());
        if got != checked {
            return Err(format!("{checked:x?} but {got:x?}"));
        }
    }
    Ok(())
}

#[test]
fn arithmetic_and_jumps_are_the_kernels() {
    let data = include_str!("../../../isa/tests/data/kernel_meaning.tsv");
    let lines = data.lines().filter(|l| !l.starts_with('#'));
    for line in lines.step_by(3) {
        let numbers: Vec<u64> = line
            .split('\t')
            .map(|n| u64::from_str_radix(n, 16).expect("hex"))
            .collect();
        let [insn, a, b, expected] = numbers[..] else {
            panic!("four columns: {line}")
        };
        let insn = Insn::from_bytes(insn.to_be_bytes());
        let mut insns = vec![
            Insn::new(0x79, 7, 1, 0, 0),
            Insn::new(0x79, 8, 1, 8, 0),
            insn,
        ];
        if insn.is_jmp_class() {
            insns.extend([Insn::mov64_imm(7, 0), Insn::goto(1), Insn::mov64_imm(7, 1)]);
        }
        insns.extend([Insn::mov64_reg(0, 7), Insn::exit()]);
        let mut host = TestHost::new();
        (host.block[0], host.block[1]) = (a, b);
        let got = emulate(&of_insns(insns, &[0]), &mut host, false);
        assert_eq!(got, Ok(expected), "{line}");
    }
}

#[test]
fn programs() {
    for source in [
        "r0 = 0x123456789abcdef0 ll; exit",
        "r0 = -4097; exit",
        "*(u16 *)(r1 +0) = 0x8001; r0 = *(s16 *)(r1 +0); exit",
        "r2 = 5; store_release((u32 *)(r1 +0), r2); r0 = load_acquire((u8 *)(r1 +0)); exit",
        "r0 = 5; lock *(u64 *)(r1 +0) += r0; lock *(u64 *)(r1 +0) += r0; r0 = *(u64 *)(r1 +0); exit",
        "*(u64 *)(r1 +0) = 6; r0 = 3; r0 = atomic64_fetch_and((u64 *)(r1 +0), r0); exit",
        "*(u64 *)(r1 +0) = -1; r0 = 9; r0 = atomic_fetch_xor((u32 *)(r1 +0), r0); exit",
        "*(u64 *)(r1 +0) = 6; r2 = 9; r2 = atomic64_xchg((u64 *)(r1 +0), r2); r0 = *(u64 *)(r1 +0); r0 <<= 8; r0 |= r2; exit",
        "*(u32 *)(r1 +0) = 6; r2 = 9; r0 = 6; r0 = atomic_cmpxchg((u32 *)(r1 +0), r0, r2); r3 = *(u32 *)(r1 +0); r0 <<= 8; r0 |= r3; exit",
        "*(u64 *)(r1 +0) = -1; r2 = 9; r0 = -1; r0 = atomic_cmpxchg((u32 *)(r1 +0), r0, r2); exit",
        "r2 = 7; *(u64 *)(r10 -8) = r2; r3 = r10; r3 += -8; r0 = *(u8 *)(r3 +0); exit",
        "r0 = 0; r2 = 10; l: r0 += r2; r2 += -1; if r2 != 0 goto l; exit",
        "r0 = 1; r2 = 2; r3 = 7; l: r4 = r0; r0 = r2; r2 = r4; r3 += -1; if r3 != 0 goto l; r0 <<= 4; r0 |= r2; exit",
        "r6 = 3; r7 = 4; r8 = 5; r9 = 6; r1 = 1; call f; r0 += r6; r0 += r7; r0 += r8; r0 += r9; exit; f: r6 = r1; r7 = r6; r8 = r7; r9 = r8; r0 = r9; exit",
        "*(u64 *)(r10 -8) = 1; r1 = r10; r1 += -8; call f; r0 = *(u64 *)(r10 -8); exit; f: *(u64 *)(r10 -8) = 77; *(u64 *)(r1 +0) = 55; r0 = 0; exit",
    ] {
        same(&executable(source), &TestHost::new).unwrap_or_else(|e| panic!("{source}: {e}"));
    }
}

/// A program whose accesses through r6 are in an arena of 64 bytes.
fn in_arena(source: &str) -> Executable {
    let mut executable = executable(source);
    let through = |insn: &Insn| match insn.code & 7 {
        1 => insn.src == 6,
        2 => insn.dst == 6,
        // A load with acquire ordering reads its source.
        3 if insn.imm == 0x100 => insn.src == 6,
        3 => insn.dst == 6,
        _ => false,
    };
    let insns = executable.insns.iter().zip(0..);
    let accesses = insns.filter(|(insn, _)| through(insn));
    executable.in_arena = accesses.map(|(_, slot)| slot).collect();
    executable.arena = Some(skep_verifier::MapId(1));
    executable
}

#[test]
fn arenas() {
    if !common::has_back_end() {
        return;
    }
    let access = [
        "r0 = *(u64 *)(r6 +0)",
        "r0 = *(s16 *)(r6 -8)",
        "*(u32 *)(r6 +4) = r7; r0 = *(u64 *)(r6 +0)",
        "*(u8 *)(r6 +0) = -3; r0 = *(u64 *)(r6 +0)",
        "lock *(u64 *)(r6 +0) += r7; r0 = *(u64 *)(r6 +0)",
        "lock *(u32 *)(r6 +0) |= r7; lock *(u64 *)(r6 +8) &= r7; lock *(u32 *)(r6 +4) ^= r7; r0 = *(u64 *)(r6 +0)",
        "r7 = atomic64_fetch_add((u64 *)(r6 +0), r7); r0 = r7; r1 = *(u64 *)(r6 +0); r0 += r1",
        "r7 = atomic_fetch_add((u32 *)(r6 +0), r7); r0 = r7; r1 = *(u64 *)(r6 +0); r0 += r1",
        "r7 = atomic64_xchg((u64 *)(r6 +8), r7); r0 = r7",
        "r7 = atomic_xchg((u32 *)(r6 +8), r7); r0 = r7",
        "r0 = r7; r0 = atomic64_cmpxchg((u64 *)(r6 +0), r0, r7)",
        "r0 = r7; r0 = atomic_cmpxchg((u32 *)(r6 +0), r0, r7)",
        "r0 = 0; r0 = atomic_cmpxchg((u32 *)(r6 +0), r0, r7); r1 = *(u64 *)(r6 +0); r0 += r1",
        "r0 = r7; r0 = load_acquire((u64 *)(r6 +0))",
        "r0 = r7; r0 = load_acquire((u8 *)(r6 +0))",
        "r6 = load_acquire((u32 *)(r6 +0)); r0 = r6",
        "store_release((u16 *)(r6 +0), r7); r0 = *(u64 *)(r6 +0)",
        "r0 = addr_space_cast(r6, 1, 0)",
    ];
    // Inside, at both ends and around them, with an upper half that does not matter.
    let addresses = [
        "0",
        "16",
        "56",
        "60",
        "64",
        "-8",
        "0x5500000008 ll",
        "0x1122334400000000 ll",
    ];
    for access in access {
        for address in addresses {
            let source = format!("r7 = 0x8765432187654321 ll; r6 = {address}; {access}; exit");
            same(&in_arena(&source), &TestHost::new).unwrap_or_else(|e| panic!("{source}: {e}"));
        }
    }
}

#[test]
fn random_programs() {
    for seed in 1..=400u64 {
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
        same(&executable, &host).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
}

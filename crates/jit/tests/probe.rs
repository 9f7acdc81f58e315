//! Loads that may fault: zero where nothing can be read, in both engines and at all addresses.

mod common;

use common::{TestHost, executable, has_back_end, native_as};
use skep_jit::{Features, Options};
use skep_verifier::Executable;
use skep_vm::{Cpu, Limits, Mode, Program, run};

/// Addresses at which nothing can be read: the first page, what no address can be, the
/// kernel's half, the end of all.
const NOWHERE: [u64; 6] = [
    0,
    0xfff,
    0x0000_8000_0000_0000,
    0xdead_beef_dead_beef,
    0xffff_8000_0000_0000,
    u64::MAX,
];

/// A program whose loads through r6 may all fault.
fn probing(source: &str) -> Executable {
    let mut executable = executable(source);
    let insns = executable.insns.iter().zip(0..);
    executable.probed = insns
        .filter(|(insn, _)| insn.code & 7 == 1 && insn.src == 6)
        .map(|(_, slot)| slot)
        .collect();
    assert!(!executable.probed.is_empty(), "{source}");
    executable
}

fn trusted(program: &Program, ctx: u64, limits: Limits) -> u64 {
    // SAFETY: each load of these programs through a pointer may fault, and that is said; they
    // access nothing else.
    let mode = Mode::Trusting(unsafe { skep_vm::Trust::promise() });
    let mut host = TestHost::new();
    run(program, &mut Cpu::new(0), &mut host, mode, ctx, limits).expect("r0")
}

/// Runs a program in all ways with each address; r0 must be `nothing`, and `something` where
/// there are the bytes 0x81, 0x82 and so on.
fn check(source: &str, nothing: u64, something: u64) {
    if !has_back_end() {
        return;
    }
    let executable = probing(source);
    let host = TestHost::new();
    let interpreted = Program::link(&executable, &host).expect("a program");
    let options = Options::new(Features::detect());
    let bounded = Options {
        bounded: true,
        hardened: true,
        ..options
    };
    let plain = native_as(&executable, &host, options);
    let counting = native_as(&executable, &host, bounded);
    let some: [u8; 64] = std::array::from_fn(|n| 0x81 + n as u8);
    let there = some.as_ptr().expose_provenance() as u64;
    let cases = NOWHERE.map(|ctx| (ctx, nothing));
    for (ctx, expected) in cases.into_iter().chain([(there, something)]) {
        let none = Limits::default();
        let fuel = Limits {
            fuel: Some(1000),
            deadline: None,
        };
        for (program, limits) in [(&interpreted, none), (&plain, none), (&counting, fuel)] {
            let r0 = trusted(program, ctx, limits);
            assert_eq!(r0, expected, "{source}: at {ctx:#x} {program:?}");
        }
    }
}

#[test]
fn faults_read_zero() {
    check("r6 = r1; r0 = *(u8 *)(r6 +1); exit", 0, 0x82);
    check("r6 = r1; r0 = *(u16 *)(r6 +0); exit", 0, 0x8281);
    check("r6 = r1; r0 = *(u32 *)(r6 +0); exit", 0, 0x8483_8281);
    check(
        "r6 = r1; r0 = *(u64 *)(r6 +0); exit",
        0,
        0x8887_8685_8483_8281,
    );
    check(
        "r6 = r1; r0 = *(s8 *)(r6 +0); exit",
        0,
        0xffff_ffff_ffff_ff81,
    );
    check(
        "r6 = r1; r0 = *(s32 *)(r6 +0); exit",
        0,
        0xffff_ffff_8483_8281,
    );
    // The register that is loaded is the one that is looked through.
    check("r6 = r1; r6 = *(u8 *)(r6 +8); r0 = r6; exit", 0, 0x89);
    // What was there before is gone, and the rest goes on.
    check(
        "r6 = r1; r0 = 7; r0 = *(u8 *)(r6 +0); r0 += 5; exit",
        5,
        0x86,
    );
    // Neighbours are not read at once: one may be there and the other not.
    check(
        "r6 = r1; r0 = *(u8 *)(r6 +0); r2 = *(u8 *)(r6 +1); r2 <<= 8; r0 |= r2; exit",
        0,
        0x8281,
    );
}

#[test]
fn every_register_can_be_loaded() {
    // More loaded values at once than there are registers.
    let mut source = String::from("r6 = r1; r0 = 0;");
    for at in 0..7 {
        let off = 8 * at;
        source += &format!("r2 = *(u8 *)(r6 +{off}); *(u64 *)(r10 -{}) = r2;", off + 8);
    }
    for (i, reg) in [1, 2, 3, 4, 5, 7, 8, 9].into_iter().enumerate() {
        source += &format!("r{reg} = *(u8 *)(r6 +{i});");
    }
    for reg in [1, 2, 3, 4, 5, 7, 8, 9] {
        source += &format!("r0 *= 3; r0 += r{reg};");
    }
    for at in 0..7 {
        source += &format!("r2 = *(u64 *)(r10 -{}); r0 *= 3; r0 += r2;", 8 * at + 8);
    }
    source += "exit";
    let loaded = (0..8u64).chain((0..7).map(|at| 8 * at));
    let something = loaded.fold(0u64, |r0, at| r0.wrapping_mul(3).wrapping_add(0x81 + at));
    check(&source, 0, something);
}

#[test]
fn tells_where_code_may_fault() {
    let executable = probing("r6 = r1; r0 = *(u64 *)(r6 +0); exit");
    let options = Options::new(Features::detect());
    let image = skep_jit::compile_for(&executable, &TestHost::new(), options).expect("code");
    let [fault] = image.faults.as_slice() else {
        panic!("{:?}", image.faults)
    };
    let bytes = &image.bytes[fault.at as usize..fault.resume as usize];
    let mut decoder = iced_x86::Decoder::new(64, bytes, iced_x86::DecoderOptions::NONE);
    let insn = decoder.decode();
    assert_eq!(insn.mnemonic(), iced_x86::Mnemonic::Mov);
    assert_eq!(
        insn.len(),
        bytes.len(),
        "one instruction and nothing behind"
    );
    let image = skep_jit::compile_for_arm(&executable, &TestHost::new(), false).expect("code");
    let [fault] = image.faults.as_slice() else {
        panic!("{:?}", image.faults)
    };
    assert_eq!(fault.resume - fault.at, 4, "one instruction");
    let bytes = &image.bytes[fault.at as usize..fault.resume as usize];
    let word = u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    // A load of eight bytes into the register that becomes zero.
    assert_eq!(word >> 22, 0b11_1110_0101, "{word:#x}");
    assert_eq!(fault.register.map(u32::from), Some(word & 31));
}

//! The oracles behind the fuzz targets (`fuzz/`), which only a nightly toolchain builds: they still
//! fit the crates that they ask, and find nothing wrong with a few thousand inputs.

#[path = "../../../fuzz/src/lib.rs"]
mod fuzz;

/// So many inputs of up to 600 bytes, of which a share is ascending or small, as numbers and
/// lengths in files are.
fn check(target: fn(&[u8]), inputs: u64) {
    let mut state = 0x5eed_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..inputs {
        let (len, kind) = (random() % 600, random() % 3);
        let byte = |at: u64, random: u64| match kind {
            0 => random as u8,
            1 => (random % 5) as u8,
            _ if at.is_multiple_of(4) => (at / 4) as u8 ^ (random % 2) as u8,
            _ => (random % 2) as u8,
        };
        let input: Vec<u8> = (0..len).map(|at| byte(at, random())).collect();
        target(&input);
    }
}

#[test]
fn parsers() {
    let asm: fn(&[u8]) = |input| fuzz::asm(&String::from_utf8_lossy(input));
    for target in [fuzz::insn, asm, fuzz::elf, fuzz::btf, fuzz::attr] {
        check(target, 2_000);
    }
    for target in [fuzz::data, fuzz::distill] {
        check(target, 2_000);
    }
}

#[test]
fn every_program_is_judged() {
    check(fuzz::verify, 5_000);
}

#[test]
fn accepted_programs_keep_their_word() {
    check(fuzz::soundness, 3_000);
}

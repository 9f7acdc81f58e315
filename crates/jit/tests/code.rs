//! Is everything that is emitted an instruction, and does every jump land on one?

mod common;

use std::collections::BTreeSet;

use common::{MACHINES, TestHost, executable, of_insns};
use iced_x86::{Decoder, DecoderOptions, FlowControl};
use skep_isa::Insn;
use skep_jit::{Options, compile_for};
use skep_verifier::Executable;

/// Decodes the code of a program for all machines.
fn check(name: &str, executable: &Executable) {
    let plain = MACHINES.map(Options::new);
    let hardened = plain.map(|options| Options {
        bounded: true,
        hardened: true,
        lines: true,
        ..options
    });
    for options in [plain, hardened].concat() {
        let image = compile_for(executable, &TestHost::new(), options)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut starts = BTreeSet::new();
        let mut targets: BTreeSet<u64> = image.functions.iter().map(|f| *f as u64).collect();
        let mut decoder = Decoder::new(64, &image.bytes, DecoderOptions::NONE);
        while decoder.can_decode() {
            let insn = decoder.decode();
            assert!(
                !insn.is_invalid(),
                "{name}: no instruction at {:#x}",
                insn.ip()
            );
            starts.insert(insn.ip());
            match insn.flow_control() {
                FlowControl::ConditionalBranch
                | FlowControl::UnconditionalBranch
                | FlowControl::Call => {
                    targets.insert(insn.near_branch_target());
                }
                FlowControl::IndirectBranch | FlowControl::IndirectCall => {
                    assert!(!options.hardened, "{name}: {:#x} can be led", insn.ip());
                }
                _ => {}
            }
        }
        let astray: Vec<_> = targets.difference(&starts).collect();
        assert!(
            astray.is_empty(),
            "{name}: jumps into instructions: {astray:x?}"
        );
    }
}

#[test]
fn every_form_decodes() {
    // Every operation on every register, with small and large constants and offsets.
    let mut insns = Vec::new();
    for dst in 0..10u8 {
        for src in 0..10u8 {
            for op in [
                0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xa0, 0xb0, 0xc0,
            ] {
                for class in [0x04, 0x07] {
                    insns.push(Insn::new(op | class | 8, dst, src, 0, 0));
                    let imm = if matches!(op, 0x60 | 0x70 | 0xc0) {
                        7
                    } else {
                        0x1234_5678
                    };
                    insns.push(Insn::new(op | class, dst, 0, 0, imm));
                }
            }
            for code in [0x61, 0x69, 0x71, 0x79, 0x81, 0x89, 0x91] {
                insns.push(Insn::new(code, dst, src, 4, 0));
            }
            for code in [0x62, 0x6a, 0x72, 0x7a, 0x63, 0x6b, 0x73, 0x7b] {
                let source = if code & 1 == 1 { src } else { 0 };
                insns.push(Insn::new(code, dst, source, 0x1000, 0));
            }
            for imm in [0x00, 0x01, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, 0xf1] {
                insns.push(Insn::new(0xdb, dst, src, 8, imm));
                insns.push(Insn::new(0xc3, dst, src, 8, imm));
            }
        }
        // A function each, so that not everything is folded away.
        let mut function = std::mem::take(&mut insns);
        function.push(Insn::new(0x7b, 1, dst, 0, 0));
        function.push(Insn::exit());
        check(&format!("r{dst}"), &of_insns(function, &[0]));
    }
}

#[test]
fn flow_decodes() {
    for source in [
        "r0 = 0; exit",
        "r0 = 0; r2 = 10; l: r0 += r2; r2 += -1; if r2 != 0 goto l; exit",
        "r1 = 1; r2 = 2; r3 = 3; r4 = 4; r5 = 5; call sum; exit",
        "r1 = 5; r2 = 4; call f; exit; f: r0 = r1; r0 -= r2; r0 *= 10; exit",
        "r2 = 0; r3 = 99; call tail; r0 = 42; exit",
        "r2 = 7; *(u64 *)(r10 -8) = r2; r1 = r10; r1 += -8; call reverse; exit",
    ] {
        check(source, &executable(source));
    }
    // Jumps over more than a short displacement reaches.
    let mut far = vec![Insn::new(0x15, 1, 0, 2000, 0)];
    far.extend((0..2000).map(|n| Insn::new(0x7a, 1, 0, (n % 64) as i16 * 8, n)));
    far.extend([Insn::mov64_imm(0, 0), Insn::exit()]);
    check("far", &of_insns(far, &[0]));
}

//! Does the checking mode stop what must not happen, whatever the program?

mod common;

use common::{TestHost, executable, of_insns, run_checked};
use skep_domain::{Alu, Scalar, alu64};
use skep_isa::Insn;
use skep_verifier::{RecordedReg, RecordedState};
use skep_vm::{Claim, Limits, LinkError, Program, Trap};

#[test]
fn accesses_outside_are_stopped() {
    for (source, insn, len, write) in [
        ("r0 = *(u64 *)(r1 +64); exit", 0, 8, false),
        ("r0 = *(u8 *)(r1 -1); exit", 0, 1, false),
        ("r0 = *(u32 *)(r1 +62); exit", 0, 4, false),
        ("r0 = *(u64 *)(r10 +0); exit", 0, 8, false),
        ("r0 = *(u64 *)(r10 -520); exit", 0, 8, false),
        ("*(u8 *)(r10 +0) = 1; exit", 0, 1, true),
        ("r1 = 0; r0 = *(u64 *)(r1 +0); exit", 1, 8, false),
        ("r1 = -4; *(u64 *)(r1 +0) = r1; exit", 1, 8, true),
        ("r2 = 1; lock *(u64 *)(r1 +4) += r2; exit", 1, 8, true),
        ("r2 = 1; lock *(u32 *)(r1 +64) += r2; exit", 1, 4, true),
        ("r1 = 16; call reverse; exit", 1, 8, false),
        // The frame of a function that has returned.
        (
            "call f; r0 = *(u64 *)(r0 +0); exit; f:; r0 = r10; r0 += -8; exit",
            1,
            8,
            false,
        ),
    ] {
        let stopped = run_checked(&executable(source), &mut TestHost::new(), Limits::default());
        let stopped = stopped.expect_err(source);
        assert_eq!(stopped.insn, Some(insn), "{source}");
        match stopped.trap {
            Trap::Memory {
                len: l, write: w, ..
            } => assert_eq!((l, w), (len, write), "{source}"),
            other => panic!("{source}: {other}"),
        }
    }
}

/// r0 to r10 of which nothing is claimed, except one.
fn regs(number: usize, claim: RecordedReg) -> [RecordedReg; 11] {
    let mut regs = [RecordedReg::Any; 11];
    regs[number] = claim;
    regs
}

/// Numbers from 0 to a power of two less one.
fn below(bits: u64) -> RecordedReg {
    let mut scalar = Scalar::unknown();
    alu64(Alu::And, &mut scalar, &Scalar::known(bits));
    RecordedReg::Scalar(scalar)
}

fn state(insn: u32, frame: u32, regs: [RecordedReg; 11]) -> RecordedState {
    RecordedState {
        insn,
        frame,
        regs,
        slots: vec![],
    }
}

#[test]
fn states_outside_the_verifiers_are_stopped() {
    let source = "r0 = 9; *(u64 *)(r10 -16) = 20; call f; exit; f:; r0 = 300; exit";
    let slot = |claim| RecordedState {
        slots: vec![(1, claim)],
        ..state(2, 0, regs(0, RecordedReg::Any))
    };
    for (recorded, expected) in [
        (vec![], None),
        (vec![state(1, 0, regs(0, below(15)))], None),
        (
            vec![state(1, 0, regs(0, below(7)))],
            Some((1, 0, Claim::Register(0), 9)),
        ),
        (
            vec![
                state(1, 0, regs(0, below(7))),
                state(1, 0, regs(0, below(255))),
            ],
            None,
        ),
        (vec![state(1, 0, regs(10, RecordedReg::Pointer))], None),
        (
            vec![state(1, 0, regs(2, RecordedReg::Pointer))],
            Some((1, 0, Claim::Register(2), 0)),
        ),
        (vec![state(1, 0, regs(2, RecordedReg::PointerOrNull))], None),
        (vec![state(1, 1, regs(0, below(7)))], None),
        (
            vec![state(5, 1, regs(0, below(255)))],
            Some((5, 1, Claim::Register(0), 300)),
        ),
        (vec![slot(below(31))], None),
        (vec![slot(below(15))], Some((2, 0, Claim::Slot(1), 20))),
    ] {
        let shown = format!("{recorded:?}");
        let executable = skep_verifier::Executable {
            recorded,
            ..executable(source)
        };
        let result = run_checked(&executable, &mut TestHost::new(), Limits::default());
        let got = match result {
            Ok(r0) => {
                assert_eq!(r0, 300);
                None
            }
            Err(stopped) => match stopped.trap {
                Trap::Violation(v) => {
                    assert_eq!(stopped.insn, Some(v.insn), "{shown}");
                    Some((v.insn, v.frame, v.place, v.value))
                }
                other => panic!("{shown}: {other}"),
            },
        };
        assert_eq!(got, expected, "{shown}");
    }
}

/// A claim is about the original instruction: it is checked once, before the first of those
/// that a rewrite put in its place.
#[test]
fn rewritten_instructions_are_checked_once() {
    let mut executable = executable("r0 = 1; r0 += 1; r0 += 1; exit");
    executable.origin = vec![0, 1, 1, 2];
    executable.recorded = vec![state(1, 0, regs(0, below(1)))];
    let result = run_checked(&executable, &mut TestHost::new(), Limits::default());
    assert_eq!(result, Ok(3));
}

#[test]
fn malformed_executables_do_not_link() {
    let host = TestHost::new();
    let link = |e: &skep_verifier::Executable| Program::link(e, &host).map(|_| ());
    let exit = Insn::exit();
    for (insns, expected) in [
        (vec![], LinkError::Subprogram { index: 0 }),
        (vec![Insn::goto(1), exit], LinkError::Target { at: 0 }),
        (vec![Insn::goto(-2), exit], LinkError::Target { at: 0 }),
        (
            vec![Insn::call_sub(i32::MAX), exit],
            LinkError::Target { at: 0 },
        ),
        (
            Insn::ld_pseudo(1, 1, 9, 0).to_vec(),
            LinkError::Reference { at: 0 },
        ),
        (
            Insn::ld_pseudo(1, 1, -1, 0).to_vec(),
            LinkError::Reference { at: 0 },
        ),
        (
            Insn::ld_pseudo(1, 4, 0, 0).to_vec(),
            LinkError::Reference { at: 0 },
        ),
        (
            vec![Insn::call_kfunc(5, 0), exit],
            LinkError::Unsupported {
                at: 0,
                what: "call of a kernel function",
            },
        ),
    ] {
        let starts: &[u32] = if insns.is_empty() { &[] } else { &[0] };
        assert_eq!(
            link(&of_insns(insns.clone(), starts)),
            Err(expected),
            "{insns:?}"
        );
    }
    let mut deep = executable("exit");
    deep.subprograms[0].stack_depth = 520;
    assert_eq!(link(&deep), Err(LinkError::Subprogram { index: 0 }));
}

/// Arbitrary programs neither crash nor hang, whatever they do.
#[test]
fn garbage_is_safe() {
    let mut seed = 1u64;
    let mut random = move |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let (mut linked, mut returned) = (0, 0);
    for _ in 0..30_000 {
        let len = 2 + random(10);
        let mut insns: Vec<Insn> = Vec::new();
        while (insns.len() as u64) < len {
            let form = &skep_isa::FORMS[random(skep_isa::FORMS.len() as u64) as usize];
            let mut field = |rule: skep_isa::form::Rule| {
                use skep_isa::form::Rule;
                match rule {
                    Rule::Is(n) => n,
                    Rule::Dst | Rule::Src => random(11) as i32,
                    Rule::Zero => 0,
                    _ => random(12) as i32 - 6,
                }
            };
            let (dst, src) = (field(form.dst) as u8, field(form.src) as u8);
            let (off, imm) = (field(form.off) as i16, field(form.imm));
            insns.push(Insn::new(form.code, dst, src, off, imm));
            if form.is_wide() {
                insns.push(Insn::default());
            }
        }
        insns.push(Insn::exit());
        let executable = of_insns(insns, &[0]);
        let mut host = TestHost::new();
        let Ok(program) = Program::link(&executable, &host) else {
            continue;
        };
        linked += 1;
        let ctx = host.memory();
        let limits = Limits {
            fuel: Some(2_000),
            deadline: None,
        };
        let mut cpu = skep_vm::Cpu::new(0);
        let mode = skep_vm::Mode::Checking;
        returned +=
            u32::from(skep_vm::run(&program, &mut cpu, &mut host, mode, ctx, limits).is_ok());
    }
    assert!(
        linked > 1_000 && returned > 100,
        "{linked} linked, {returned} returned"
    );
}

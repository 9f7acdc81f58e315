//! Generated programs are what they promise: repeatable, well formed, and shrinkable.

use skep_isa::{Insn, Op, decode};
use skep_smith::{Config, Effort, MAPS, Program, Source, generate, shrink};

fn programs(config: &Config, count: u64) -> impl Iterator<Item = Program> + '_ {
    (0..count).map(|seed| generate(&mut Source::seeded(seed), config))
}

#[test]
fn the_same_choices_make_the_same_program() {
    let config = Config::default();
    for (seed, program) in (0..).zip(programs(&config, 200)) {
        assert_eq!(
            generate(&mut Source::seeded(seed), &config),
            program,
            "seed {seed}"
        );
    }
    let bytes: Vec<u8> = (0..400u32).map(|n| ((n * 37) >> 2) as u8).collect();
    let made = |bytes: &[u8]| generate(&mut Source::from_bytes(bytes), &config);
    assert_eq!(made(&bytes), made(&bytes));
    assert_ne!(made(&bytes), made(&bytes[200..]));
    assert!(!made(&[]).insns.is_empty());
}

/// Whether every slot decodes and every jump lands inside.
fn well_formed(program: &Program) -> bool {
    let mut at = 0;
    while at < program.insns.len() {
        let Ok(op) = decode(&program.insns, at) else {
            return false;
        };
        at += op.slots();
    }
    matches!(
        decode(&program.insns, program.insns.len() - 1),
        Ok(Op::Exit)
    )
}

#[test]
fn programs_without_faults_are_well_formed() {
    let config = Config {
        faulty_per_mille: 0,
        mutants_per_mille: 0,
        ..Config::default()
    };
    for (seed, program) in (0..).zip(programs(&config, 2000)) {
        assert!(well_formed(&program), "seed {seed}: {:#?}", program.insns);
        for (slot, map) in &program.map_slots {
            assert_eq!(program.insns[*slot].code, 0x18, "seed {seed}");
            assert!(*map < MAPS.len(), "seed {seed}");
        }
    }
}

#[test]
fn every_form_of_statement_turns_up() {
    let config = Config::default();
    let mut codes = std::collections::BTreeSet::new();
    let mut helpers = std::collections::BTreeSet::new();
    for program in programs(&config, 4000) {
        for insn in &program.insns {
            codes.insert(insn.code);
            if insn.code == 0x85 && insn.src == 0 {
                helpers.insert(insn.imm);
            }
        }
    }
    let known = skep_isa::FORMS
        .iter()
        .filter(|form| form.level <= skep_isa::form::Level::Legacy);
    let missing: Vec<_> = known
        .map(|form| form.code)
        .filter(|code| !codes.contains(code))
        .collect();
    assert!(missing.len() <= 4, "missing codes: {missing:x?}");
    for helper in [1, 2, 3, 5, 7, 8, 12, 26, 28, 44, 87, 131, 132, 164, 181] {
        assert!(helpers.contains(&helper), "helper {helper}");
    }
}

#[test]
fn shrinking_keeps_what_matters_and_jumps() {
    let multiplies = |insn: &Insn| insn.code == 0x27;
    let shows = |program: &Program| {
        program.insns.iter().any(multiplies) && program.insns.iter().any(|insn| insn.code == 0x95)
    };
    let config = Config {
        mutants_per_mille: 0,
        ..Config::default()
    };
    let mut tried = 0;
    for program in programs(&config, 300).filter(|program| shows(program)) {
        tried += 1;
        let small = shrink(&program, Effort::default(), &mut |program| shows(program));
        assert_eq!(small.insns.len(), 2, "{:#?}", small.insns);
        assert!(small.map_slots.is_empty());
    }
    assert!(tried > 10);
}

#[test]
fn shrinking_moves_targets() {
    let mut program = generate(&mut Source::seeded(1), &Config::default());
    program.map_slots.clear();
    program.insns = vec![
        Insn::mov64_imm(0, 7),
        Insn::jmp_imm(0x10, 0, 7, 3),
        Insn::mov64_imm(1, 1),
        Insn::mov64_imm(2, 2),
        Insn::mov64_imm(3, 3),
        Insn::exit(),
    ];
    // Jumps over what is removed still end at the exit.
    let small = shrink(&program, Effort::default(), &mut |program| {
        program.insns.iter().enumerate().any(|(at, insn)| {
            let to = at as i64 + 1 + i64::from(insn.off);
            insn.code == 0x15
                && program
                    .insns
                    .get(to as usize)
                    .is_some_and(|to| to.code == 0x95)
        })
    });
    assert_eq!(small.insns.len(), 2, "{:#?}", small.insns);
}

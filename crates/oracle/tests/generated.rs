//! Generated programs in skep alone: runs stay inside what was claimed, pruning changes no
//! verdict, and a program written as a filetest reads back as the same program.

use skep_oracle::Filetest;
use skep_oracle::generated::{Bench, Campaign, Oracles, Owned, Trouble, filetest};
use skep_smith::{Config, Source, generate};

#[test]
fn skep_keeps_its_word() {
    let campaign = |config: Config, seed| Campaign {
        config,
        count: 400,
        seed,
        level: 0,
        oracles: Oracles {
            log: false,
            state: true,
            prune: true,
        },
        effort: 0,
        walk: Some(20_000),
        show: 5,
    };
    let check = |config: Config, seed| {
        let mut found = Vec::new();
        let tally = campaign(config, seed).run(None, &mut |finding| found.push(finding));
        found.retain(|finding| finding.trouble != Trouble::Unsupported);
        assert!(found.is_empty(), "{found:#?}");
        assert!(tally.accepted * 10 > tally.programs * 3, "{tally:?}");
        assert!(tally.unpruned * 10 > tally.programs * 3, "{tally:?}");
    };
    let repeatable = Config {
        repeatable: true,
        ..Config::default()
    };
    check(repeatable.clone(), 1_000);
    check(Config::default(), 2_000);
    let unprivileged = Config {
        unprivileged: true,
        ..repeatable
    };
    check(unprivileged, 3_000);
}

#[test]
fn a_program_written_as_a_filetest_reads_back() {
    let kernels = Owned::new(false, None);
    let bench = Bench::new(&kernels, None);
    let config = Config::default();
    for seed in 0..300 {
        let program = generate(&mut Source::seeded(seed), &config);
        let seen = bench.examine(&program, 2, Oracles::default());
        let Some(reference) = seen.reference else {
            panic!("seed {seed}: no answer");
        };
        let text = filetest(&program, 2, &reference);
        let back = match Filetest::parse(&text) {
            Ok(back) => back,
            Err(error) => panic!("seed {seed}: {error}\n{text}"),
        };
        let numbered = |insns: &[skep_isa::Insn]| {
            let plain = |(at, insn): (usize, &skep_isa::Insn)| {
                let refers = program.map_slots.iter().any(|(slot, _)| *slot == at);
                // Both are numbered by the kernel that is asked.
                if refers || (insn.code == 0x85 && insn.src == 2) {
                    skep_isa::Insn { imm: 0, ..*insn }
                } else {
                    *insn
                }
            };
            insns.iter().enumerate().map(plain).collect::<Vec<_>>()
        };
        assert_eq!(
            numbered(&back.case.insns),
            numbered(&program.insns),
            "seed {seed}\n{text}"
        );
        assert_eq!(back.case.flags, program.flags, "seed {seed}");
        assert_eq!(
            back.verdict.is_ok(),
            reference.verdict.is_ok(),
            "seed {seed}"
        );
    }
}

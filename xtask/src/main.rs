//! The developer's tool: `cargo xtask ci`, `tidy`, `oracle`, `record`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use xtask::{
    Outcome, ask, bench, btf, ci, compile, conformance, exactness, kfuncs, libbpf, loom, mapmodel,
    oracle, prove, raw, record, sanitize, smith, speed, tables, tidy, xlated,
};

const USAGE: &str = "\
cargo xtask ci                    fmt, clippy, tests and tidy, as a reviewer would run them
cargo xtask tidy                  the invariants of the house
cargo xtask ask [--quiet] PATH…   what the running kernel says of filetests and objects
cargo xtask oracle [PATH…]        compares skep with Linux over filetests and objects
       --json                     one JSON object a case
       --recorded                 with the recorded answers, not the running kernel
       --level N                  level of the log for objects (default 1)
       --show N                   how many differing cases to show (default 40)
cargo xtask record [PATH…]        writes down what the running kernel answers
       --missing                  only what has no answer yet
cargo xtask gen                   writes the generated tables and headers
       --check                    only says whether they are fresh
cargo xtask kfuncs                writes how C declares the functions of the running kernel
cargo xtask exactness             writes docs/exactness.md: skep against the recorded answers
cargo xtask loom                  all interleavings of small scenes of crates/sync
cargo xtask sanitize              tests of maps on many threads, under sanitizers (nightly)
       --rounds N --only NAME     operations a thread (default 250000); `thread` or `address`
cargo xtask maps-model            random map commands put to Linux and to skep
       --steps N --seed S         how many commands (default 20000), from which seed on
       --type NAME --length N     only maps of this type; commands on one map (default 40)
       --show N                   how many disagreements to show (default 5)
cargo xtask smith                 puts generated programs to skep and Linux
       --count N --seed S         how many (default 10000), from which number on
       --level L                  level of the log (default 2)
       --oracle log|state|prune|all  what is looked at (default log)
       --unpriv                   for a caller without capabilities
       --no-linux                 in skep alone: states and pruning
       --type NAME                of this program type only
       --show N --effort N        findings shown (default 5), trials to make each small
cargo xtask bench run [NAME…]     how long programs run in each engine
       --json                     one JSON object a program and engine
       --bounded                  also native code that counts fuel
       --without-peers            skep and Linux only
       --docs                     writes docs/speed.md and its picture
cargo xtask compile               layouts of the kernel's types as C, skeletons against libbpf
       layouts [FILE]             only types, of this file
       functions                  only the declarations of the kernel's functions
       skeletons [PATH…]          only skeletons, of these objects
cargo xtask conformance DIR       runs a suite of instruction set test vectors (*.data)
cargo xtask bench btf [FILE]      what parsing, dumping, joining types takes, in skep and libbpf
cargo xtask bench maps [MAP/OP…]  what operations of programs on maps cost, in skep and the kernel
       --json                     one JSON object a case and engine
       --growth [--docs]          from 10 to 10,000,000 entries; writes docs/growth.md
       --entries N,… --threads N  sizes of the maps (default 16384), programs at once (default 1)
cargo xtask bench verify [PATH…]  medians of skep's and Linux's verification times
       --json                     one JSON object a program
       --docs                     also writes docs/verification.md
cargo xtask libbpf open|load|link [PATH…]
                                  what libbpf and skep's loader make of the same objects
       --errors --show N          also where both refuse; lines shown of a difference
cargo xtask libbpf core           CO-RE relocations against generated types, in both
       --count N --seed S --show N
cargo xtask btf [PATH…]           puts generated and mutated BTF to skep and Linux
       --count N --seed S --show N
cargo xtask prove                 is the arithmetic of the verifier sound? writes proofs/RESULTS.md
       --bits N                   exhaustively only, no word wider than N (default 8)
       --smt                      by solvers only, at 32 and 64 bits
       --whole                    with every step inside the question, none as a lemma
       --only TEXT                operators whose name has it; nothing is written down
       --limit S --python PATH    seconds a question (default 60), where the solvers are
cargo xtask xlated [PATH…]        what skep and Linux show as rewritten programs
       --recorded                 with the recorded ones, not those of the running kernel
       --record                   writes down what the running kernel shows
       --show N                   differing programs shown (default 10)
cargo xtask raw skep|linux        bpf(2) commands as lines of JSON, for scripts that compare
       --caps SET                 as a caller with these capabilities
cargo xtask speed [PATH…]         how long skep and Linux take to verify the largest programs
";

fn run() -> Outcome {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    match command.as_str() {
        "ask" => ask::run(&rest),
        "bench" => bench::run(&rest),
        "btf" => btf::run(&rest),
        "ci" => ci::run(),
        "compile" => compile::run(&rest),
        "conformance" => conformance::run(&rest),
        "smith" => smith::run(&rest),
        "speed" => speed::run(&rest),
        "gen" => tables::run(&rest),
        "tidy" => tidy::run(),
        "exactness" => exactness::run(),
        "kfuncs" => kfuncs::run(&rest),
        "libbpf" => libbpf::run(&rest),
        "loom" => loom::run(),
        "sanitize" => sanitize::run(&rest),
        "maps-model" => mapmodel::run(&rest),
        "oracle" => oracle::run(&rest),
        "prove" => prove::run(&rest),
        "raw" => raw::run(&rest),
        "record" => record::run(&rest),
        "xlated" => xlated::run(&rest),
        _ => {
            print!("{USAGE}");
            Ok(matches!(command.as_str(), "help" | "--help" | "-h"))
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::from(2)
        }
    }
}

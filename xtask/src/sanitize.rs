//! `cargo xtask sanitize`: the tests that hammer maps from several threads, by themselves and
//! from programs and commands of a whole kernel, under sanitizers.

use std::process::Command;

use crate::{Outcome, project};

/// What finds races and what finds bad accesses.
const SANITIZERS: [&str; 2] = ["thread", "address"];
/// Operations of each of the tests' four threads, when nobody says how many: a million in all.
const ROUNDS: u64 = 250_000;
/// Crates, their tests, and how many operations a round of those has.
const TESTS: [(&str, &[&str], u64); 2] = [
    ("skep-maps", &["stress", "fields"], 1),
    ("skep-kernel", &["threads"], 4),
];

/// Runs the tests under each sanitizer, with a toolchain that has them (`nightly`, with
/// `rust-src`, because the standard library must be built along).
///
/// # Errors
/// For options that make no sense, or when cargo cannot be started.
pub fn run(args: &[String]) -> Outcome {
    let (mut rounds, mut only) = (ROUNDS, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.next()) {
            ("--rounds", Some(value)) => rounds = value.parse()?,
            ("--only", Some(value)) => only = Some(value.clone()),
            _ => return Err(format!("there is no option `{arg}`, or it has no value").into()),
        }
    }
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let chosen = |name: &&&str| only.as_deref().is_none_or(|only| only == **name);
    for sanitizer in SANITIZERS.iter().filter(chosen) {
        for (package, tests, operations) in TESTS {
            let tests = tests.iter().flat_map(|test| ["--test", test]);
            let status = Command::new("cargo")
                .args(["+nightly", "test", "--release", "-Zbuild-std"])
                .args(["--target", &target, "-p", package])
                .args(tests)
                .args(["--target-dir", &format!("target/{sanitizer}-sanitizer")])
                .env("RUSTFLAGS", format!("-Zsanitizer={sanitizer}"))
                .env("SKEP_STRESS", (rounds / operations).to_string())
                .current_dir(project())
                .status()?;
            if !status.success() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

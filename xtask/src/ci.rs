//! What must pass before a change is taken.

use std::process::Command;

use crate::{Outcome, project, tidy};

/// Runs cargo in the project and says whether it succeeded.
fn cargo(args: &[&str]) -> std::io::Result<bool> {
    eprintln!("== cargo {}", args.join(" "));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Ok(Command::new(cargo)
        .args(args)
        .current_dir(project())
        .status()?
        .success())
}

/// Whether `cargo nextest` is installed.
pub fn has_nextest() -> bool {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Command::new(cargo)
        .args(["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Formatting, lints with warnings as errors, tests, and the invariants of the house. All
/// are run, so that one report names every trouble.
///
/// # Errors
/// When cargo cannot be run.
pub fn run() -> Outcome {
    let mut good = cargo(&["fmt", "--all", "--check"])?;
    good &= cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ])?;
    if has_nextest() {
        good &= cargo(&["nextest", "run", "--workspace"])?;
        // nextest runs no examples in documentation.
        good &= cargo(&["test", "--workspace", "--doc"])?;
    } else {
        good &= cargo(&["test", "--workspace"])?;
    }
    good &= tidy::run()?;
    Ok(good)
}

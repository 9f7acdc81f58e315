//! `cargo xtask loom`: goes through all interleavings of the scenes in `crates/sync`.

use std::process::Command;

use crate::{Outcome, project};

/// Runs the models, in a build of their own.
///
/// # Errors
/// When cargo cannot be started.
pub fn run() -> Outcome {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["test", "--release", "-p", "skep-sync", "--test", "models"])
        .args(["--target-dir", "target/loom"])
        .env("RUSTFLAGS", "--cfg loom")
        .current_dir(project())
        .status()?;
    Ok(status.success())
}

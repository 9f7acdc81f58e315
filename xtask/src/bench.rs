//! `cargo xtask bench`: what is measured side by side, each in its own file.

mod btf;
mod commands;
mod growth;
mod maps;
mod peers;
mod picture;
mod run;
mod table;
mod verify;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, project};

/// Builds a benchmark that is a workspace of its own under `benches/`, for what it depends on,
/// and says where its program is.
pub(crate) fn build(folder: &str, program: &str) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let manifest = project().join("benches").join(folder).join("Cargo.toml");
    let built = Command::new("cargo")
        .args(["build", "--release", "--quiet", "--manifest-path"])
        .arg(&manifest)
        .status()?;
    if !built.success() {
        return Err(format!("benches/{folder} does not build").into());
    }
    // Where cargo was told to build, or beside the manifest.
    let metadata = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .arg("--manifest-path")
        .arg(&manifest)
        .output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    let target = metadata["target_directory"]
        .as_str()
        .ok_or("no target directory")?;
    Ok(Path::new(target).join("release").join(program))
}

/// Measures what the first word names.
///
/// # Errors
/// For another word, and what the measurement says.
pub fn run(args: &[String]) -> Outcome {
    let Some((what, rest)) = args.split_first() else {
        return Err("what is to be measured? `bench verify|run|maps|btf`".into());
    };
    if cfg!(debug_assertions) {
        eprintln!("warning: not a release build (`cargo run --release -p xtask -- bench {what}`)");
    }
    match what.as_str() {
        "verify" => verify::run(rest),
        "run" => run::run(rest),
        "maps" => maps::run(rest),
        "btf" => btf::run(rest),
        other => Err(format!("nothing to measure is called {other:?}").into()),
    }
}

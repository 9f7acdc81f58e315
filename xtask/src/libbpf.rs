//! `cargo xtask libbpf`: objects put to libbpf and to skep's loader, and what each hands to the
//! kernel compared.

use std::process::Command;

use crate::{Outcome, bench, project};

/// Builds `benches/libbpf-peers`, which links libbpf, and runs it: `open`, `load` or `link` over
/// the paths (default: `programs/`), `core`, `distill` and `data` with generated types, or `dump` of both as text.
///
/// # Errors
/// When libbpf cannot be built (it wants a C compiler), or the kernel cannot be asked.
pub fn run(args: &[String]) -> Outcome {
    let built = bench::build("libbpf-peers", "skep-libbpf-peers").map_err(|error| {
        format!("{error}: libbpf is needed, which cargo builds with a C compiler and make")
    })?;
    let mut command = Command::new(built);
    command.args(args);
    let objects = ["open", "load", "link", "dump"];
    let mode = args.first().map(String::as_str).unwrap_or_default();
    if objects.contains(&mode) && !args.iter().skip(1).any(|arg| arg.contains(['/', '.'])) {
        command.arg(project().join("programs"));
    }
    Ok(command.status()?.success())
}

//! `cargo xtask bench btf`: how long skep and libbpf take to parse, search, dump and
//! deduplicate the types of the running kernel, in turn in one process.

use std::process::Command;

use crate::Outcome;

/// Builds `benches/btf-peers`, which links libbpf, runs it, and prints its rows. Good when
/// each case stays within its part of libbpf's time.
///
/// # Errors
/// When the program cannot be built (it wants a C compiler, libelf and zlib), or fails.
pub(super) fn run(args: &[String]) -> Outcome {
    let json = args.iter().any(|arg| arg == "--json");
    let output = Command::new(super::build("btf-peers", "skep-btf-peers")?)
        .args(args.iter().filter(|arg| !arg.starts_with("--")))
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let mut good = true;
    if !json {
        println!(
            "{:>10} {:>10} {:>6} {:>6}  case",
            "skep µs", "libbpf µs", "ratio", "target"
        );
    }
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let row: serde_json::Value = serde_json::from_str(line)?;
        let number = |name: &str| row[name].as_f64().unwrap_or(f64::NAN);
        let (skep, libbpf) = (number("skep_ns") / 1e3, number("libbpf_ns") / 1e3);
        let (ratio, target) = (skep / libbpf, number("target"));
        good &= ratio <= target;
        if json {
            println!("{line}");
        } else {
            let case = row["case"].as_str().unwrap_or("");
            println!("{skep:>10.0} {libbpf:>10.0} {ratio:>6.2} {target:>6.2}  {case}");
        }
    }
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    Ok(good)
}

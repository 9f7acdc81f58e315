//! Engines that skep does not depend on: a program of its own, `benches/peers`, runs them.

use std::process::Command;

use super::run::Row;
use crate::project;

/// The engines in the order in which they are shown.
pub(super) const NAMES: [&str; 5] = [
    "native",
    "rbpf-jit",
    "rbpf-cranelift",
    "rbpf-interp",
    "solana-sbpf",
];

/// Builds and runs them on programs; what cannot be had is told and left out.
pub(super) fn rows(programs: &[String], input: &[u8]) -> Vec<Row> {
    match ask(programs, input) {
        Ok(rows) => rows,
        Err(why) => {
            eprintln!("without peers: {why}");
            Vec::new()
        }
    }
}

fn ask(programs: &[String], input: &[u8]) -> Result<Vec<Row>, Box<dyn std::error::Error>> {
    let benches = project().join("benches");
    let program = super::build("peers", "skep-peers")?;
    let file = std::env::temp_dir().join(format!("skep-bench-{}.bin", std::process::id()));
    std::fs::write(&file, input)?;
    let output = Command::new(program)
        .arg(&file)
        .arg(&benches)
        .args(programs)
        .output();
    std::fs::remove_file(&file)?;
    let text = String::from_utf8(output?.stdout)?;
    Ok(text.lines().filter_map(row).collect())
}

fn row(line: &str) -> Option<Row> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let name = value["engine"].as_str()?;
    Some(Row {
        program: value["program"].as_str()?.to_string(),
        engine: NAMES.into_iter().find(|known| *known == name)?,
        ns: value["ns_per_run"].as_f64()?,
        ns_min: value["ns_min"].as_f64()?,
        insns: usize::try_from(value["insns"].as_u64()?).ok()?,
        verify_us: 0.0,
        compile_us: value["compile_us"].as_f64()?,
        code_bytes: value["code_bytes"].as_u64()?,
        retval: u32::try_from(value["retval"].as_u64()?).ok()?,
    })
}

//! `cargo xtask bench maps --growth`: how the time of an operation and the memory of an entry
//! change from 10 to 10,000,000 entries, beside the kernel.

use std::fmt::Write;
use std::time::Instant;

use skep_abi::{MapFlags, MapType};

use super::maps::{CASES, Case, Engine, Fill, NOP, Ready, Scale, case, engines, measure, play};
use crate::{Outcome, project};

const SIZES: [u32; 7] = [10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];
const SAMPLES: usize = 41;

/// Of the cases of `bench maps`, those that are tried at every size.
const CHOSEN: [(&str, &str); 4] = [
    ("array", "increment"),
    ("hash", "lookup"),
    ("lru_hash", "lookup"),
    ("lpm_trie", "lookup"),
];
/// Where entries get their memory one by one, only growth is of interest.
const ONE_BY_ONE: Case = case(
    ("hash_no_prealloc", "lookup", 0.8),
    "map_lookup_u64",
    (MapType::Hash, 8, MapFlags::NO_PREALLOC),
    Fill::Numbers,
);

fn cases() -> impl Iterator<Item = &'static Case> {
    let chosen = CASES
        .iter()
        .filter(|case| CHOSEN.contains(&(case.map, case.op)));
    chosen.chain([&ONE_BY_ONE])
}

/// What was measured in one engine.
#[derive(Clone, Copy, Default)]
struct Cell {
    ns: Option<f64>,
    /// Nanoseconds to put one entry in, in batches of commands.
    fill_ns: Option<f64>,
    bytes: Option<f64>,
}

/// The bytes that a map says it takes.
fn bytes(engine: &Engine, map: u32) -> Option<f64> {
    let info = engine.backend.fdinfo(map).ok()?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("memlock:"))?;
    line.trim().parse().ok()
}

fn cells(engines: &[Engine], case: &Case, scale: Scale, nop: &[Option<f64>]) -> Vec<Cell> {
    let mut cells = vec![Cell::default(); engines.len()];
    let mut maps = Vec::new();
    for (engine, cell) in engines.iter().zip(&mut cells) {
        let started = Instant::now();
        let ready = Ready::new(engine, case, scale.entries)
            .inspect_err(|why| eprintln!("{} in {}: {why}", case.map, engine.name))
            .ok();
        let entries = f64::from(scale.entries);
        if let Some(ready) = &ready {
            // Below, most of it would be the time to make map and program.
            let counts = scale.entries >= 10_000 && case.fill != Fill::Empty;
            cell.fill_ns = counts.then(|| started.elapsed().as_nanos() as f64 / entries);
            cell.bytes = bytes(engine, ready.map).map(|bytes| bytes / entries);
        }
        maps.push(ready);
    }
    let times = play(engines, case, &maps, scale);
    for ((cell, time), nop) in cells.iter_mut().zip(times).zip(nop) {
        cell.ns = time.zip(*nop).map(|(time, nop)| (time - nop).max(0.05));
    }
    for (engine, ready) in engines.iter().zip(maps) {
        if let Some(ready) = ready {
            ready.close(engine);
        }
    }
    cells
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value < 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

/// Prints the table, and with `--docs` writes it to `docs/growth.md`.
///
/// # Errors
/// For options that make no sense, or when the file cannot be written.
pub fn run(args: &[String]) -> Outcome {
    let known = ["--growth", "--json", "--docs"];
    if let Some(other) = args.iter().find(|arg| !known.contains(&arg.as_str())) {
        return Err(format!("there is no option `{other}` with --growth").into());
    }
    let has = |option: &str| args.iter().any(|arg| arg == option);
    let engines = engines();
    let mut table = String::from(
        "| map | entries | skep ns | kernel ns | ratio | skep bytes/entry | kernel bytes/entry | skep fill ns | kernel fill ns |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for case in cases() {
        for entries in SIZES {
            let scale = Scale {
                entries,
                threads: 1,
                samples: SAMPLES,
            };
            let nop = measure(&engines, &NOP, scale);
            let all = cells(&engines, case, scale, &nop);
            let of = |name: &str| {
                let at = engines.iter().position(|engine| engine.name == name);
                at.and_then(|at| all.get(at)).copied().unwrap_or_default()
            };
            let (skep, kernel) = (of("skep"), of("kernel"));
            if has("--json") {
                for (engine, cell) in engines.iter().zip(&all) {
                    let row = serde_json::json!({
                        "map": case.map,
                        "op": case.op,
                        "entries": entries,
                        "threads": 1,
                        "engine": engine.name,
                        "ns_per_op": cell.ns,
                        "bytes_per_entry": cell.bytes,
                        "fill_ns_per_entry": cell.fill_ns,
                    });
                    println!("{row}");
                }
            }
            let ratio = skep.ns.zip(kernel.ns).map(|(skep, kernel)| skep / kernel);
            let line = format!(
                "| {} {} | {entries} | {} | {} | {} | {} | {} | {} | {} |",
                case.map,
                case.op,
                number(skep.ns),
                number(kernel.ns),
                ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}")),
                number(skep.bytes),
                number(kernel.bytes),
                number(skep.fill_ns),
                number(kernel.fill_ns),
            );
            if !has("--json") {
                println!("{line}");
            }
            writeln!(table, "{line}")?;
        }
    }
    if has("--docs") {
        let text = format!(
            "# How maps grow\n\nNanoseconds of one operation of a program on a map with 8-byte keys (4 for arrays) and \
             64-byte values, the loop around it taken off; bytes of memory for each entry, as each kernel says in \
             `fdinfo`; and nanoseconds to make the map and put one entry in, by batch commands. Written by \
             `cargo run --release -p xtask -- bench maps --growth --docs` on one machine, both kernels in turn. The \
             machine did other things meanwhile.\n\n{table}"
        );
        std::fs::write(project().join("docs/growth.md"), text)?;
    }
    Ok(true)
}

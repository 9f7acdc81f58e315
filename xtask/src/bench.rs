//! `cargo xtask bench`: `verify` says how long skep and Linux take to verify the same programs;
//! `run`, `maps` and `btf` are told in their own files.

mod btf;
mod growth;
mod maps;
mod peers;
mod picture;
mod run;

use std::path::{Path, PathBuf};
use std::process::Command;

use skep_oracle::{Answer, Linux, Question, Skep, Subject, log};

use crate::corpus::questions;
use crate::{Outcome, project};

/// The level of the log that tells the time and little else.
const STATS: u32 = 4;
/// How often each is asked; the median counts.
const ROUNDS: usize = 9;
/// A question that takes longer than this in Linux is asked this often only.
const SLOW_US: u64 = 100_000;
const SLOW_ROUNDS: usize = 3;

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

/// One program and both times.
struct Row {
    program: String,
    skep_us: u64,
    kernel_us: u64,
    insns: u64,
    peak_states: u64,
    peak_bytes: u64,
}

impl Row {
    fn ratio(&self) -> f64 {
        // What takes less than a microsecond shows as 0.
        self.skep_us.max(1) as f64 / self.kernel_us.max(1) as f64
    }
}

/// The median time of both, asked in turn so that other work on the machine meets both.
fn measure(question: &Question, skep: &Skep, linux: &dyn Subject) -> Option<Row> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut last: Option<Answer> = None;
    let mut rounds = ROUNDS;
    while ours.len() < rounds {
        theirs.push(question.ask(linux).ok()?.time_us?);
        let answer = question.ask(skep).ok()?;
        ours.push(answer.time_us?);
        if theirs.first().is_some_and(|first| *first > SLOW_US) {
            rounds = SLOW_ROUNDS;
        }
        last = Some(answer);
    }
    let answer = last?;
    let text = answer.log.text();
    let insns = log::processed(text)?;
    // Programs that this one calls are verified after it.
    let peak_bytes = match skep.last_verification() {
        (walked, bytes) if walked == insns => bytes,
        _ => 0,
    };
    Some(Row {
        program: question.name.clone(),
        skep_us: median(&mut ours)?,
        kernel_us: median(&mut theirs)?,
        insns,
        peak_states: log::figure(text, "peak_states").unwrap_or(0),
        peak_bytes,
    })
}

fn median(times: &mut [u64]) -> Option<u64> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

/// Prints both times of every program below the paths, and the geometric mean of the ratios.
/// Times of a build without optimisation mean nothing, so it asks for `--release`.
///
/// # Errors
/// Without a kernel to ask, for a path that does not exist, or another command.
pub fn run(args: &[String]) -> Outcome {
    if let Some(("run", rest)) = args
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    {
        return run::run(rest);
    }
    if let Some((first, rest)) = args.split_first()
        && first == "maps"
    {
        return maps::run(rest);
    }
    if let Some((first, rest)) = args.split_first()
        && first == "btf"
    {
        return btf::run(rest);
    }
    let Some(("verify", rest)) = args
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    else {
        return Err("what is to be measured? `bench verify [OBJECT…] [--json]`, `bench run [NAME…] [--json] [--docs] [--without-peers]`, `bench maps [MAP/OP…] [--json]`, `bench btf [FILE] [--json]`".into());
    };
    if cfg!(debug_assertions) {
        eprintln!("warning: not a release build (`cargo run --release -p xtask -- bench verify`)");
    }
    let json = rest.iter().any(|arg| arg == "--json");
    let mut paths: Vec<PathBuf> = rest
        .iter()
        .filter(|arg| !arg.starts_with("--"))
        .map(PathBuf::from)
        .collect();
    if paths.is_empty() {
        paths.push(project().join("programs"));
    }
    let (questions, _) = questions(&paths, STATS)?;
    let linux = Linux::new().map_err(|errno| format!("bpf(2) does not work here: {errno}"))?;
    let skep = Skep::new();
    let measured = questions.iter();
    let mut rows: Vec<Row> = measured.filter_map(|q| measure(q, &skep, &linux)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.insns));
    for row in &rows {
        if json {
            println!("{}", object(row));
        }
    }
    if !json {
        table(&rows);
    }
    let worst = rows.iter().map(Row::ratio).fold(0.0, f64::max);
    Ok(!rows.is_empty() && worst <= 1.0)
}

fn object(row: &Row) -> serde_json::Value {
    serde_json::json!({
        "program": row.program,
        "skep_us": row.skep_us,
        "kernel_us": row.kernel_us,
        "insns_processed": row.insns,
        "peak_states": row.peak_states,
        "peak_bytes": row.peak_bytes,
    })
}

fn table(rows: &[Row]) {
    println!(
        "{:>9} {:>9} {:>9} {:>6} {:>7} {:>10}  program",
        "insns", "skep µs", "kernel µs", "ratio", "states", "bytes"
    );
    for row in rows {
        println!(
            "{:>9} {:>9} {:>9} {:>6.2} {:>7} {:>10}  {}",
            row.insns,
            row.skep_us,
            row.kernel_us,
            row.ratio(),
            row.peak_states,
            row.peak_bytes,
            row.program
        );
    }
    let logs: f64 = rows.iter().map(|row| row.ratio().ln()).sum();
    let mean = (logs / rows.len().max(1) as f64).exp();
    let above = rows.iter().filter(|row| row.ratio() > 1.0).count();
    println!(
        "{} programs: geometric mean {mean:.3}, above 1.0: {above}",
        rows.len()
    );
}

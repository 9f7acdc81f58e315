//! `bench verify`: how long skep and Linux take to verify the same programs.

use std::fmt::Write;
use std::path::PathBuf;

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
    let mean = mean(&rows.iter().collect::<Vec<_>>());
    let above = rows.iter().filter(|row| row.ratio() > 1.0).count();
    println!(
        "{} programs: geometric mean {mean:.3}, above 1.0: {above}",
        rows.len()
    );
}

/// Where programs are counted apart, by the instructions that were walked.
const SIZES: [(u64, &str); 4] = [
    (50, "fewer than 50"),
    (500, "50 to 499"),
    (5_000, "500 to 4,999"),
    (u64::MAX, "5,000 and more"),
];

/// The figures as a page.
fn page(rows: &[Row]) -> String {
    let mut out = String::from(
        "# Speed of verification\n\n\
         Written by `cargo xtask bench verify --docs`: the time that the log's own line tells, skep's over that of \
         the running kernel, single thread, both asked in turn, the median of nine, for every program of \
         `programs/`.\n\n\
         | instructions walked | programs | geometric mean | at most |\n| --- | ---: | ---: | ---: |\n",
    );
    let mut line = |name: &str, rows: &[&Row]| {
        let worst = rows.iter().map(|row| row.ratio()).fold(0.0, f64::max);
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "| {name} | {} | {:.2} | {worst:.2} |",
            rows.len(),
            mean(rows)
        );
    };
    let mut from = 0;
    for (end, name) in SIZES {
        let within = |row: &&Row| (from..end).contains(&row.insns);
        line(name, &rows.iter().filter(within).collect::<Vec<_>>());
        from = end;
    }
    line("all", &rows.iter().collect::<Vec<_>>());
    let with_states = rows
        .iter()
        .filter(|row| row.peak_states > 0 && row.peak_bytes > 0);
    let (states, bytes) = with_states.fold((0, 0), |(states, bytes), row| {
        (states + row.peak_states, bytes + row.peak_bytes)
    });
    let each = bytes.checked_div(states).unwrap_or(0);
    let _ = writeln!(
        out,
        "\nKept states take {each} bytes each on average over these programs, with all that belongs to them."
    );
    out
}

fn mean(rows: &[&Row]) -> f64 {
    let logs: f64 = rows.iter().map(|row| row.ratio().ln()).sum();
    (logs / rows.len().max(1) as f64).exp()
}

/// Prints both times of every program below the paths, and the geometric mean of the ratios;
/// with `--docs` it writes docs/verification.md. Times of a build without optimisation mean
/// nothing, so it asks for `--release`.
///
/// # Errors
/// Without a kernel to ask, for a path that does not exist.
pub(super) fn run(args: &[String]) -> Outcome {
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let mut paths: Vec<PathBuf> = args
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
    match has("--json") {
        true => rows.iter().for_each(|row| println!("{}", object(row))),
        false => table(&rows),
    }
    if has("--docs") {
        std::fs::write(project().join("docs/verification.md"), page(&rows))?;
    }
    let worst = rows.iter().map(Row::ratio).fold(0.0, f64::max);
    Ok(!rows.is_empty() && worst <= 1.0)
}

//! How long skep and Linux take to verify the same programs.

use std::path::PathBuf;

use skep_oracle::{Answer, Linux, Question, Skep, Subject, log};

use crate::corpus::questions;
use crate::{Outcome, project};

/// The level of the log that tells the time and little else.
const STATS: u32 = 4;
/// How often each is asked; the shortest time counts.
const ROUNDS: usize = 5;
/// How many of the largest programs are shown.
const SHOWN: usize = 20;

/// One program and both times.
struct Row {
    name: String,
    insns: u64,
    skep_us: u64,
    linux_us: u64,
}

/// The shortest time of several rounds, with the last answer.
fn shortest(question: &Question, subject: &dyn Subject) -> Option<(u64, Answer)> {
    let answers = (0..ROUNDS).map(|_| question.ask(subject).ok());
    let answers: Option<Vec<Answer>> = answers.collect();
    let answers = answers?;
    let time = answers.iter().filter_map(|answer| answer.time_us).min()?;
    Some((time, answers.into_iter().next_back()?))
}

/// Prints the largest programs below the paths with both times and their ratio. Times of a
/// build without optimisation mean nothing, so it asks for `--release`.
///
/// # Errors
/// Without a kernel to ask, or for a path that does not exist.
pub fn run(args: &[String]) -> Outcome {
    if cfg!(debug_assertions) {
        eprintln!("warning: not a release build (`cargo run --release -p xtask -- speed`)");
    }
    let mut paths: Vec<PathBuf> = args.iter().map(PathBuf::from).collect();
    if paths.is_empty() {
        paths.push(project().join("programs"));
    }
    let (questions, _) = questions(&paths, STATS)?;
    let linux = Linux::new().map_err(|errno| format!("bpf(2) does not work here: {errno}"))?;
    let skep = Skep::new();
    let mut rows = Vec::new();
    for question in &questions {
        let Some((linux_us, answer)) = shortest(question, &linux) else {
            continue;
        };
        let Some((skep_us, _)) = shortest(question, &skep) else {
            continue;
        };
        let insns = log::processed(answer.log.text()).unwrap_or(0);
        rows.push(Row {
            name: question.name.clone(),
            insns,
            skep_us,
            linux_us,
        });
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.insns));
    println!(
        "{:>9} {:>10} {:>10} {:>7}  program",
        "insns", "skep µs", "Linux µs", "ratio"
    );
    for row in rows.iter().take(SHOWN) {
        println!(
            "{:>9} {:>10} {:>10} {:>7}  {}",
            row.insns,
            row.skep_us,
            row.linux_us,
            ratio(row.skep_us, row.linux_us),
            row.name
        );
    }
    let (skep_us, linux_us) = rows.iter().fold((0u64, 0u64), |(skep, linux), row| {
        (
            skep.saturating_add(row.skep_us),
            linux.saturating_add(row.linux_us),
        )
    });
    println!(
        "all {}: skep {skep_us} µs, Linux {linux_us} µs, ratio {}",
        rows.len(),
        ratio(skep_us, linux_us)
    );
    Ok(!rows.is_empty())
}

/// One number over the other with two digits behind the point.
fn ratio(over: u64, under: u64) -> String {
    let hundredths = over
        .saturating_mul(100)
        .checked_div(under.max(1))
        .unwrap_or(0);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

//! `cargo xtask prove`: is the arithmetic of the verifier sound?
//!
//! Small words are tried exhaustively ([`exhaustive`]); at 32 and 64 bits the same functions run
//! over terms ([`symbolic`]), and solvers are asked for a number that an operator loses
//! ([`claims`]). What was run is written to `proofs/RESULTS.md`.

pub mod claims;
pub mod solver;
pub mod symbolic;
pub mod term;

// The checks are those of the tests of `skep-domain`, at greater widths.
#[path = "../../crates/domain/tests/exhaustive/mod.rs"]
pub mod exhaustive;
#[path = "../../crates/domain/tests/small/mod.rs"]
pub mod small;

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::{Outcome, project};
use claims::Theory;
use exhaustive::Row;
use small::U;
use solver::{Answer, Solvers};
use symbolic::{Lemma, Mode};
use term::Term;

/// One line of the table.
struct Line {
    operator: String,
    width: String,
    method: String,
    result: String,
    seconds: f64,
    holds: bool,
}

impl Line {
    fn print(&self) {
        println!(
            "{:<44} {:>5}  {:<34} {:<12} {:8.2}",
            self.operator, self.width, self.method, self.result, self.seconds
        );
    }
}

/// What the command line asks for.
struct Options {
    bits: Option<u32>,
    smt: bool,
    only: Option<String>,
    whole: bool,
    limit: u32,
    python: String,
    write: bool,
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        bits: None,
        smt: false,
        only: None,
        whole: false,
        limit: 60,
        python: "python3".to_owned(),
        write: true,
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{argument} needs a value"));
        let number = |text: &String| text.parse().map_err(|_| format!("{text} is no number"));
        match argument.as_str() {
            "--bits" => options.bits = Some(number(value()?)?),
            "--smt" => options.smt = true,
            "--whole" => options.whole = true,
            "--only" => options.only = Some(value()?.clone()),
            "--limit" => options.limit = number(value()?)?,
            "--python" => options.python = value()?.clone(),
            other => return Err(format!("prove does not know {other}")),
        }
    }
    // A selection is for looking, not for the record.
    options.write = options.only.is_none() && options.limit >= 60;
    Ok(options)
}

/// Runs what is asked for: `--bits N` the exhaustive part alone, with no word wider than `N`
/// bits; `--smt` the solvers alone; neither of them, both.
///
/// # Errors
/// When options are wrong, there is no solver, or files cannot be written.
pub fn run(arguments: &[String]) -> Outcome {
    let options = options(arguments)?;
    let mut all_hold = true;
    if !options.smt || options.bits.is_some() {
        let lines = exhaustively(options.bits.unwrap_or(8));
        all_hold &= lines.iter().all(|line| line.holds);
        if options.write && options.bits.is_none_or(|bits| bits >= 8) {
            record("Exhaustive", "", &lines)?;
        }
    }
    if options.smt || options.bits.is_none() {
        let folder = project().join("target/prove");
        let solvers = Solvers::find(&options.python, &folder, options.limit)?;
        if solvers.engines.is_empty() {
            return Err("no solver: pip install bitwuzla z3-solver, or name a --python".into());
        }
        let lines = by_solvers(&options, &solvers, &folder)?;
        all_hold &= lines.iter().all(|line| line.holds);
        if options.write {
            let title = if options.whole {
                "Solvers, whole"
            } else {
                "Solvers"
            };
            let engines: Vec<String> = solvers
                .engines
                .iter()
                .map(|(name, version)| format!("{name} {version}"))
                .collect();
            let about = format!(
                "Solvers: {}; at most {} seconds of processor time a question.\n",
                engines.join(", "),
                options.limit
            );
            record(title, &about, &lines)?;
        }
    }
    Ok(all_hold)
}

/// The exhaustive part: tnums at 8 bits, ranges at 6, everything joint at 4, or at `bits` where
/// that is less.
fn exhaustively(bits: u32) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut add = |width: u32, what: &str, run: &dyn Fn() -> Vec<Row>| {
        let start = Instant::now();
        let rows = run();
        // The operators of a group are tried side by side.
        let seconds = start.elapsed().as_secs_f64() / rows.len().max(1) as f64;
        for row in rows {
            if let Some(failure) = &row.failure {
                eprintln!("{}, {width} bits:\n{failure}", row.operator);
            }
            let line = Line {
                operator: row.operator,
                width: width.to_string(),
                method: format!("{what}, {}", row.cases),
                result: (if row.failure.is_none() {
                    "holds"
                } else {
                    "FAILS"
                })
                .to_owned(),
                seconds,
                holds: row.failure.is_none() && row.cases > 0,
            };
            line.print();
            lines.push(line);
        }
    };
    match bits {
        8.. => add(8, "all tnums", &exhaustive::tnums::<8>),
        6..8 => add(6, "all tnums", &exhaustive::tnums::<6>),
        _ => add(4, "all tnums", &exhaustive::tnums::<4>),
    }
    if bits >= 6 {
        let values = exhaustive::ranges(U::<6>::new);
        add(6, "all intervals", &|| {
            exhaustive::one_operand(&values, U::<6>::new)
        });
        add(6, "all pairs of intervals", &|| {
            exhaustive::two_operands(&values, U::<6>::new, |_| values.clone())
        });
    } else {
        let values = exhaustive::ranges(U::<4>::new);
        add(4, "all pairs of intervals", &|| {
            exhaustive::two_operands(&values, U::<4>::new, |_| values.clone())
        });
    }
    add(4, "tnum × 4 intervals", &|| {
        vec![exhaustive::every_sync(U::<4>::new, U::<2>::new, true)]
    });
    let values = exhaustive::joint(U::<4>::new, U::<2>::new, true);
    add(4, "all joint values", &|| {
        exhaustive::one_operand(&values, U::<4>::new)
    });
    let partners = |at| exhaustive::partners(&values, at, 200);
    add(4, "pairs of joint values, sampled", &|| {
        exhaustive::two_operands(&values, U::<4>::new, partners)
    });
    add(16, "words", &|| vec![exhaustive::byte_swaps()]);
    lines
}

/// A question for the solvers.
struct Question {
    operator: String,
    width: u32,
    method: &'static str,
    theory: Theory,
    is_wrong: bool,
    failure: Term,
}

fn questions(options: &Options) -> Vec<Question> {
    let mode = if options.whole {
        Mode::Whole
    } else {
        Mode::Cut
    };
    let mut questions = Vec::new();
    for width in [32, 64] {
        let (bits, products, scalars) = match width {
            32 => (
                claims::tnums::<32>(),
                claims::products::<32>(),
                claims::scalars::<32, 16>(mode),
            ),
            _ => (
                claims::tnums::<64>(),
                claims::products::<64>(),
                claims::scalars::<64, 32>(mode),
            ),
        };
        let mut lemmas: Vec<Lemma> = Vec::new();
        let mut asked = Vec::new();
        let simple = if options.whole {
            Vec::new()
        } else {
            bits.into_iter().chain(products).collect()
        };
        for claim in simple.into_iter().chain(scalars) {
            let wanted = |only: &String| claim.name.contains(only.as_str());
            let lemmas_wanted = options.only.as_deref() == Some("lemma");
            if !lemmas_wanted && !options.only.as_ref().is_none_or(wanted) {
                continue;
            }
            let failure = (claim.failure)();
            let used = symbolic::lemmas();
            let method = match claim.theory {
                Theory::Integers { .. } => "SMT, whole numbers",
                Theory::Bits if used.is_empty() => "SMT",
                Theory::Bits => "SMT, steps as lemmas",
            };
            for lemma in used {
                if !lemmas.contains(&lemma) {
                    lemmas.push(lemma);
                }
            }
            if !lemmas_wanted {
                asked.push(Question {
                    operator: claim.name,
                    width,
                    method,
                    theory: claim.theory,
                    is_wrong: claim.is_wrong,
                    failure,
                });
            }
        }
        questions.extend(lemmas.into_iter().map(|lemma| Question {
            operator: format!("lemma: {}", lemma.name),
            width,
            method: if lemma.name == "sync" {
                "SMT, steps as lemmas"
            } else {
                "SMT"
            },
            theory: Theory::Bits,
            is_wrong: false,
            failure: lemma.failure,
        }));
        questions.extend(asked);
    }
    questions
}

fn by_solvers(
    options: &Options,
    solvers: &Solvers,
    folder: &Path,
) -> Result<Vec<Line>, Box<dyn std::error::Error>> {
    let mut lines = Vec::new();
    for question in questions(options) {
        let Question {
            operator,
            width,
            method,
            theory,
            is_wrong,
            failure,
        } = question;
        let plain = |c: char| if c.is_alphanumeric() { c } else { '_' };
        let name: String = operator.chars().map(plain).collect();
        let file = folder.join(format!("{name}.{width}.smt2"));
        let text = match theory {
            Theory::Bits => term::query(failure),
            Theory::Integers { signed } => {
                let is_signed = |name: &str| signed && name.len() == 1 || name.contains("_s");
                term::query_of_integers(failure, is_signed)
                    .ok_or(format!("{operator} is not about whole numbers"))?
            }
        };
        std::fs::write(&file, text)?;
        let solved = if failure == term::FALSE {
            // The formula folded to nothing while it was made.
            solver::Solved {
                answer: Answer::Unsat,
                engine: "no solver needed".to_owned(),
                seconds: 0.0,
            }
        } else {
            solvers.solve(&file)
        };
        let line = Line {
            operator,
            width: width.to_string(),
            method: format!("{method} ({})", solved.engine),
            result: match solved.answer {
                Answer::Unsat => "proved",
                Answer::Sat => "refuted",
                Answer::Unknown => "no answer",
            }
            .to_owned(),
            seconds: solved.seconds,
            holds: match solved.answer {
                Answer::Unsat => !is_wrong,
                Answer::Sat => is_wrong,
                Answer::Unknown => false,
            },
        };
        line.print();
        lines.push(line);
    }
    Ok(lines)
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(project())
        .output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// Replaces one section of `proofs/RESULTS.md`.
fn record(title: &str, about: &str, lines: &[Line]) -> std::io::Result<()> {
    let path = project().join("proofs/RESULTS.md");
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let head = format!("## {title}\n");
    let mut sections: Vec<String> = old
        .split("\n## ")
        .skip(1)
        .map(|section| format!("## {}\n", section.trim_end()))
        .filter(|section| !section.starts_with(&head))
        .collect();
    let places = ["crates/domain", "xtask/src/prove.rs", "xtask/src/prove"];
    let mut status = vec!["status", "--porcelain", "--"];
    status.extend(places);
    let changed = if output("git", &status).is_empty() {
        ""
    } else {
        ", with changes"
    };
    let holding = lines.iter().filter(|line| line.holds).count();
    let seconds: f64 = lines.iter().map(|line| line.seconds).sum();
    let mut section = format!(
        "{head}\n{}, commit {}{changed}. {about}{holding} of {} as they should be; {seconds:.0} seconds.\n\n\
         | operator | width | method | result | seconds |\n|---|---:|---|---|---:|\n",
        output("date", &["-u", "+%Y-%m-%d"]),
        output("git", &["rev-parse", "--short", "HEAD"]),
        lines.len(),
    );
    for line in lines {
        let _ = writeln!(
            section,
            "| {} | {} | {} | {} | {:.2} |",
            line.operator, line.width, line.method, line.result, line.seconds
        );
    }
    sections.push(section);
    sections.sort();
    std::fs::create_dir_all(project().join("proofs"))?;
    std::fs::write(&path, format!("{ABOUT}\n{}", sections.join("\n")))
}

const ABOUT: &str = "\
# What is proved of the domain

Written by `cargo xtask prove`; what each row claims is in `proofs/README.md`.
";

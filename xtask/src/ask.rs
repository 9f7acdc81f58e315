//! Shows what a kernel answers to filetests and objects, and what a filetest finds wrong
//! with the answer: the tool for whoever writes cases.

use std::path::PathBuf;

use skep_oracle::{Answer, Filetest, Linux, Question, Subject};

use crate::corpus::questions;
use crate::record::OBJECT_LOG_LEVEL;
use crate::{Outcome, project};

/// Asks the running kernel about everything below the paths.
///
/// # Errors
/// Without a kernel to ask, or for a path that does not exist.
pub fn run(args: &[String]) -> Outcome {
    let quiet = args.iter().any(|arg| arg == "--quiet");
    let paths: Vec<PathBuf> = args
        .iter()
        .filter(|arg| !arg.starts_with("--"))
        .map(PathBuf::from)
        .collect();
    let (questions, bad) = questions(&paths, OBJECT_LOG_LEVEL)?;
    let linux =
        Linux::switching().map_err(|errno| format!("bpf(2) does not work here: {errno}"))?;
    let mut wrong = bad;
    for question in &questions {
        let answer = match question.ask(&linux) {
            Ok(answer) => answer,
            Err(error) => {
                println!("== {}\n{error}", question.name);
                wrong = wrong.saturating_add(1);
                continue;
            }
        };
        let complaints = judge(question, &answer)?;
        if !quiet || !complaints.is_empty() {
            show(question, &answer, &complaints);
        }
        wrong = wrong.saturating_add(usize::from(!complaints.is_empty()));
    }
    println!(
        "{}: {} asked, {wrong} not as expected",
        linux.name(),
        questions.len()
    );
    Ok(wrong == 0)
}

/// What the filetest says to the answer; nothing for the program of an object.
fn judge(question: &Question, answer: &Answer) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    if !question.name.ends_with(".bpft") {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(project().join(&question.name))?;
    Ok(Filetest::parse(&text)?.judge(answer))
}

fn show(question: &Question, answer: &Answer, complaints: &[String]) {
    println!("== {}: {}", question.name, answer.word());
    print!("{}", answer.log.text());
    for run in &answer.runs {
        println!("run: {run:?}");
    }
    for complaint in complaints {
        println!("!! {complaint}");
    }
}

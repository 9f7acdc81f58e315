//! Writes down what the running kernel answers, for machines that have none.

use std::collections::BTreeSet;
use std::path::PathBuf;

use skep_oracle::{Book, Linux, Subject, corpus};

use crate::corpus::{default_paths, questions};
use crate::{Outcome, project};

/// The level of the log that is recorded for objects.
pub const OBJECT_LOG_LEVEL: u32 = 1;

/// Records the answers to everything below the paths given, or below all of them; then
/// answers to cases that are gone are forgotten.
///
/// # Errors
/// Without a kernel to ask, or when a file cannot be read or written.
pub fn run(args: &[String]) -> Outcome {
    let only_missing = args.iter().any(|arg| arg == "--missing");
    let mut paths: Vec<PathBuf> = args
        .iter()
        .filter(|arg| !arg.starts_with("--"))
        .map(PathBuf::from)
        .collect();
    let everything = paths.is_empty();
    if everything {
        paths = default_paths();
    }
    let (questions, bad) = questions(&paths, OBJECT_LOG_LEVEL)?;
    let linux =
        Linux::switching().map_err(|errno| format!("bpf(2) does not work here: {errno}"))?;
    let folder = corpus::recorded(&project());
    let mut book = Book::read(&folder)?;
    book.kernel = skep_host::Host::release().unwrap_or_default();
    let mut failed = bad;
    let mut asked = 0usize;
    for question in &questions {
        if only_missing && book.answer(&question.name, question.key()).is_some() {
            continue;
        }
        match question.ask_twice(&linux) {
            Ok(answer) => {
                book.insert(&question.name, question.key(), &answer);
                asked = asked.saturating_add(1);
            }
            Err(error) => {
                eprintln!("{}: {error}", question.name);
                failed = failed.saturating_add(1);
            }
        }
    }
    if everything {
        let names: BTreeSet<&str> = questions
            .iter()
            .map(|question| question.name.as_str())
            .collect();
        book.retain(|name| names.contains(name));
    }
    book.write(&folder)?;
    println!(
        "{}: recorded {asked}, could not ask {failed}, {} in all",
        linux.name(),
        book.len()
    );
    Ok(failed == 0)
}

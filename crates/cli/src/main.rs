//! The skep command: what it understands, and the exit code it ends with.
#![forbid(unsafe_code)]

mod args;
mod backend;
mod gunzip;
mod hex;
mod hints;
mod json;
mod people;
mod run;
mod tool;
mod types;
mod verify;

use std::process::ExitCode;

/// What a command came to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Everything was accepted, or ran.
    Good,
    /// A program was rejected.
    Rejected,
    /// Something could not be done or judged.
    Failed,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(match outcome {
            Outcome::Good => 0,
            Outcome::Rejected => 1,
            Outcome::Failed => 2,
        })
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if tool::takes(&words) {
        return tool::command(words);
    }
    let matches = args::command().get_matches();
    let outcome = match matches.subcommand() {
        Some(("verify", matches)) => verify::command(&args::Verify::from(matches)),
        Some(("run", matches)) => run::command(&args::Run::from(matches)),
        _ => Ok(Outcome::Failed),
    };
    let outcome = outcome.unwrap_or_else(|message| {
        eprintln!("error: {message}");
        Outcome::Failed
    });
    outcome.into()
}

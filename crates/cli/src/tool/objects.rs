//! `gen object`: several objects linked into one.

use skep_elf::{Input, link};

use super::failure::{Answer, Failure};
use super::session::Session;
use super::words::Words;

/// The verbs, as completion and usage show them.
pub const VERBS: &[&str] = &["object", "help"];

/// What the verbs take.
pub const USAGE: &str = "\
Usage: skep gen object OUTPUT_FILE INPUT_FILE [INPUT_FILE…]
       skep gen help
";

/// Carries a verb out.
pub fn command(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    if words.take("object") {
        return object(words);
    }
    session.say(USAGE);
    Ok(())
}

/// `gen object OUT IN…`
pub fn object(words: &mut Words) -> Answer<()> {
    let out = words.value_of("output file")?;
    let mut files = vec![];
    while words.left() > 0 {
        let path = words.value_of("input file")?;
        let bytes = std::fs::read(&path)
            .map_err(|error| Failure::message(format!("failed to link '{path}': {error}")))?;
        files.push((path, bytes));
    }
    if files.is_empty() {
        return Err(Failure::message("no input files are given"));
    }
    let inputs: Vec<Input<'_>> = files
        .iter()
        .map(|(name, bytes)| Input { name, bytes })
        .collect();
    let linked = link(&inputs).map_err(|error| Failure::message(error.to_string()))?;
    std::fs::write(&out, linked).map_err(|error| Failure::message(format!("{out}: {error}")))
}

//! `gen`: files made out of object files.

use super::failure::{Answer, Failure};
use super::session::Session;
use super::skeleton;
use super::words::{Words, is_prefix};

/// The verbs, as completion and usage show them.
pub const VERBS: &[&str] = &["skeleton", "subskeleton", "help"];

/// What the family takes.
pub const USAGE: &str = skeleton::USAGE;

/// Carries a verb out.
pub fn command(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let verb = words.next().unwrap_or_default();
    let verb = VERBS.iter().find(|whole| is_prefix(&verb, whole));
    match verb.copied() {
        Some("skeleton") => skeleton::command(session, words, false),
        Some("subskeleton") => skeleton::command(session, words, true),
        Some(_) => {
            session.say(USAGE);
            Ok(())
        }
        None => Err(Failure::Usage),
    }
}

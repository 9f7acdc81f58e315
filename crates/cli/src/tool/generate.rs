//! `gen`: files made out of object files.

use super::failure::{Answer, Failure};
use super::objects;
use super::session::Session;
use super::skeleton;
use super::words::{Words, is_prefix};

/// The verbs, as completion and usage show them.
pub const VERBS: &[&str] = &[
    "skeleton",
    "subskeleton",
    "object",
    "min_core_btf",
    "core",
    "help",
];

/// What the family takes.
pub const USAGE: &str = "\
Usage: skep gen skeleton    FILE [name OBJECT_NAME] [lang { c | rust }]
       skep gen subskeleton FILE [name OBJECT_NAME]
       skep gen object OUTPUT_FILE INPUT_FILE [INPUT_FILE…]
       skep gen min_core_btf INPUT OUTPUT OBJECT [OBJECT…]
       skep gen core --explain OBJECT [BTF]
       skep gen help
";

/// Carries a verb out.
pub fn command(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let verb = words.next().unwrap_or_default();
    let verb = VERBS.iter().find(|whole| is_prefix(&verb, whole));
    match verb.copied() {
        Some("skeleton") => skeleton::command(session, words, false),
        Some("subskeleton") => skeleton::command(session, words, true),
        Some("object") => objects::object(words),
        Some("min_core_btf") => objects::min_core_btf(words),
        Some("core") => objects::core(session, words),
        Some(_) => {
            session.say(USAGE);
            Ok(())
        }
        None => Err(Failure::Usage),
    }
}

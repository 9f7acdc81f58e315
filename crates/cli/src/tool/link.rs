//! `link`: what is attached, in bpftool's words.

use skep::Fd;
use skep::inspect::{self, Kind};

use super::failure::{Answer, Failure};
use super::json::{Json, pinned};
use super::link_details;
use super::pinned::Pins;
use super::session::Session;
use super::words::{Words, is_prefix};

/// The verbs, as completion and usage show them.
pub const VERBS: &[&str] = &["show", "list", "pin", "detach", "help"];

/// What the family takes.
pub const USAGE: &str = "\
Usage: skep link { show | list }   [LINK]
       skep link pin        LINK  FILE

       LINK := { id LINK_ID | pinned FILE }
";

/// Carries a verb out.
pub fn command(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let verb = words.next().unwrap_or_else(|| "show".to_string());
    let verb = VERBS.iter().find(|whole| is_prefix(&verb, whole));
    match verb.copied() {
        Some("show" | "list") => show(session, words),
        Some("pin") => {
            let (_, fd) = session.select_one(Kind::Link, words)?;
            let path = words.value_of("FILE")?;
            words.end()?;
            session.pin(Kind::Link, fd, &path)
        }
        Some("detach") => Err(Failure::unsupported("link detach")),
        Some(_) => {
            session.say(USAGE);
            Ok(())
        }
        None => Err(Failure::Usage),
    }
}

fn show(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let pins = Pins::of(session);
    if words.left() > 0 {
        let (_, fd) = session.select_one(Kind::Link, words)?;
        words.end()?;
        if let Some(one) = show_one(session, &fd, &pins)? {
            session.answer(one);
        }
        return Ok(());
    }
    let mut all = Vec::new();
    for id in session.ids(Kind::Link)? {
        // One that has gone meanwhile is no error.
        if let Ok(fd) = inspect::open(session.kernel(), Kind::Link, id) {
            all.extend(show_one(session, &fd, &pins)?);
        }
    }
    if session.json() {
        session.answer(Json::Array(all));
    }
    Ok(())
}

fn show_one(session: &Session<'_>, fd: &Fd<'_>, pins: &Pins) -> Answer<Option<Json>> {
    let link = inspect::link_details(session.kernel(), fd.raw())
        .map_err(|errno| Failure::because("can't get link info", errno))?;
    let paths = pins.paths(Kind::Link, link.info.id());
    if session.json() {
        let mut fields = link_details::json(session, &link);
        fields.maybe("pinned", pinned(paths));
        return Ok(Some(fields.done()));
    }
    let mut text = link_details::text(session, &link);
    for path in paths {
        text += &format!("\n\tpinned {path}");
    }
    session.say(&format!("{text}\n"));
    Ok(None)
}

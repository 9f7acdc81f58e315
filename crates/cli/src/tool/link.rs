//! `link`: what is attached, in bpftool's words.

use skep::Fd;
use skep::inspect::{self, Kind};
use skep_abi::{AttachType, LinkType, ProgType, info};

use super::failure::{Answer, Failure};
use super::json::{Fields, Json, pinned};
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
    let info = inspect::link_info(session.kernel(), fd.raw())
        .map_err(|errno| Failure::because("can't get link info", errno))?;
    let ty = LinkType::from_u32(info.link_type());
    let name = ty.map_or_else(|| info.link_type().to_string(), |ty| ty.name().to_string());
    let mut fields = Fields::new();
    fields.add("id", info.id()).add("type", name.clone());
    if ty == Some(LinkType::StructOps) {
        fields.add("map_id", info.struct_ops_map_id());
    } else {
        fields.add("prog_id", info.prog_id());
    }
    let details = details(session, ty, &info);
    let paths = pins.paths(Kind::Link, info.id());
    if session.json() {
        for (name, value) in details {
            fields.add(name, value);
        }
        fields.maybe("pinned", pinned(paths));
        return Ok(Some(fields.done()));
    }
    let what = match ty {
        Some(LinkType::StructOps) => format!("map {}", info.struct_ops_map_id()),
        _ => format!("prog {}", info.prog_id()),
    };
    let mut text = format!("{}: {name}  {what}", info.id());
    let told: Vec<String> = details
        .into_iter()
        .map(|(name, value)| {
            let value = match value {
                Json::Text(text) => text,
                other => other.write(super::json::Style::Compact),
            };
            format!("{name} {value}")
        })
        .collect();
    if !told.is_empty() {
        text += &format!("  \n\t{}", told.join("  "));
    }
    text += "  ";
    for path in paths {
        text += &format!("\n\tpinned {path}");
    }
    session.say(&format!("{text}\n"));
    Ok(None)
}

fn attach_name(number: u32) -> Json {
    match AttachType::from_u32(number) {
        Some(ty) => Json::from(ty.name()),
        None => Json::from(number),
    }
}

/// What a link of this type tells besides.
fn details(
    session: &Session<'_>,
    ty: Option<LinkType>,
    info: &info::LinkInfo,
) -> Vec<(&'static str, Json)> {
    match ty {
        Some(LinkType::Tracing) => {
            let program = inspect::open(session.kernel(), Kind::Prog, info.prog_id())
                .and_then(|fd| inspect::prog_info(session.kernel(), fd.raw()));
            let prog_type = program
                .ok()
                .and_then(|info| ProgType::from_u32(info.prog_type()));
            let mut all = Vec::new();
            all.extend(prog_type.map(|ty| ("prog_type", Json::from(ty.name()))));
            all.push(("attach_type", attach_name(info.tracing_attach_type())));
            if info.tracing_target_obj_id() != 0 {
                all.push(("target_obj_id", Json::from(info.tracing_target_obj_id())));
                all.push(("target_btf_id", Json::from(info.tracing_target_btf_id())));
            }
            all
        }
        Some(LinkType::Cgroup) => vec![
            ("cgroup_id", Json::from(info.cgroup_cgroup_id())),
            ("attach_type", attach_name(info.cgroup_attach_type())),
        ],
        Some(LinkType::Netns) => vec![
            ("netns_ino", Json::from(info.netns_ino())),
            ("attach_type", attach_name(info.netns_attach_type())),
        ],
        Some(LinkType::Xdp) => vec![("ifindex", Json::from(info.xdp_ifindex()))],
        Some(LinkType::Netfilter) => vec![
            ("pf", Json::from(info.netfilter_pf())),
            ("hook", Json::from(info.netfilter_hooknum())),
            ("prio", Json::Number(info.netfilter_priority().to_string())),
            ("flags", Json::from(info.netfilter_flags())),
        ],
        _ => Vec::new(),
    }
}

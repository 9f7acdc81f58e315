//! `skep btf`: types of files and of what a kernel holds, as records, JSON or C.

use std::collections::BTreeMap;
use std::sync::Arc;

use skep::inspect::{self, Kind};
use skep_btf::dump::{header, raw};
use skep_btf::{Btf, Type, TypeId};

use super::btf_record;
use super::failure::{Answer, Failure};
use super::json::{Fields, Json};
use super::session::Session;
use super::words::{Words, is_prefix};
use crate::types::read;

pub const VERBS: &[&str] = &["show", "list", "dump", "help"];

pub const USAGE: &str = "\
Usage: skep btf { show | list } [id BTF_ID]
       skep [-B BASE] btf dump BTF_SRC [format FORMAT] [root_id ROOT_ID]…
       skep btf help

       BTF_SRC := { id BTF_ID | prog PROG | map MAP [{key | value | kv | all}] |
                    file FILE [file FILE]… }
       FORMAT := { raw | c [unsorted] }
       MAP := { id MAP_ID | pinned FILE | name MAP_NAME }
       PROG := { id PROG_ID | pinned FILE | tag PROG_TAG | name PROG_NAME }
";

/// Where the running kernel shows its types and, under their names, those of its modules.
const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Carries a command of the family out.
pub fn command(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let verb = words.next().unwrap_or_else(|| "show".to_string());
    let verb = VERBS.iter().find(|whole| is_prefix(&verb, whole));
    match verb.copied() {
        Some("show" | "list") => show(session, words),
        Some("dump") => dump(session, words),
        Some(_) => {
            session.say(USAGE);
            Ok(())
        }
        None => Err(Failure::Usage),
    }
}

/// The programs and maps that were made with each blob of types.
#[derive(Default)]
struct Users {
    programs: BTreeMap<u32, Vec<u32>>,
    maps: BTreeMap<u32, Vec<u32>>,
}

impl Users {
    fn of(session: &Session<'_>) -> Answer<Users> {
        let kernel = session.kernel();
        let mut users = Users::default();
        // What has gone meanwhile is no error.
        for id in session.ids(Kind::Prog)? {
            let info = inspect::open(kernel, Kind::Prog, id)
                .and_then(|fd| inspect::prog_info(kernel, fd.raw()));
            if let Ok(info) = info {
                users.programs.entry(info.btf_id()).or_default().push(id);
            }
        }
        for id in session.ids(Kind::Map)? {
            let info = inspect::open(kernel, Kind::Map, id)
                .and_then(|fd| inspect::map_info(kernel, fd.raw()));
            if let Ok(info) = info {
                users.maps.entry(info.btf_id()).or_default().push(id);
            }
        }
        Ok(users)
    }
}

fn show(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let (ids, is_one) = match words.left() {
        0 => (session.ids(Kind::Btf)?, false),
        _ => {
            let (id, _) = session.select_one(Kind::Btf, words)?;
            words.end()?;
            (vec![id], true)
        }
    };
    let users = Users::of(session)?;
    let mut all = Vec::new();
    for id in ids {
        let Ok(fd) = inspect::open(session.kernel(), Kind::Btf, id) else {
            continue;
        };
        let about = inspect::btf_about(session.kernel(), fd.raw())
            .map_err(|errno| Failure::because("can't get BTF object info", errno))?;
        let none = Vec::new();
        let programs = users.programs.get(&id).unwrap_or(&none);
        let maps = users.maps.get(&id).unwrap_or(&none);
        if session.json() {
            let mut fields = Fields::new();
            fields
                .add("id", id)
                .add("size", about.size)
                .add("prog_ids", Json::numbers(programs))
                .add("map_ids", Json::numbers(maps))
                .add("kernel", about.is_kernel)
                .maybe("name", Some(about.name).filter(|name| !name.is_empty()));
            all.push(fields.done());
            continue;
        }
        let name = match about.is_kernel {
            true => format!("[{}]", about.name),
            false if about.name.is_empty() => "<anon>".to_string(),
            false => about.name,
        };
        let mut text = format!("{id}: name {name}  size {}B", about.size);
        for (word, ids) in [("prog_ids", programs), ("map_ids", maps)] {
            let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
            if !ids.is_empty() {
                text += &format!("  {word} {}", ids.join(","));
            }
        }
        session.say(&format!("{text}\n"));
    }
    if session.json() {
        session.answer(match (is_one, all.pop()) {
            (true, Some(one)) => one,
            (_, last) => Json::Array(all.into_iter().chain(last).collect()),
        });
    }
    Ok(())
}

/// What is to be dumped.
struct Source {
    btf: Btf,
    /// Only these, when there are any.
    roots: Vec<TypeId>,
}

fn dump(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    if words.left() < 2 {
        return Err(Failure::Usage);
    }
    // `-B` stands around the words.
    let base = session.options.common.btf.as_deref();
    let base = match base {
        Some(path) => Some(Arc::new(read(path, None).map_err(Failure::message)?)),
        None => None,
    };
    let what = words.next().unwrap_or_default();
    let mut source = match what.as_str() {
        word if is_prefix(word, "id") => {
            let id = words.number("id")?;
            whole(held(session, id, base)?)
        }
        word if is_prefix(word, "map") => of_map(session, words, base)?,
        word if is_prefix(word, "prog") => {
            let (_, fd) = session.select_one(Kind::Prog, words)?;
            let info = inspect::prog_info(session.kernel(), fd.raw())
                .map_err(|errno| Failure::because("can't get prog info", errno))?;
            whole(held(session, info.btf_id(), base)?)
        }
        word if is_prefix(word, "file") => {
            let first = words.value_of("file")?;
            let mut text = of_file(&first, base.clone())?;
            // Each further file stands on the one before it.
            while words.take("file") {
                text = of_file(&words.value_of("file")?, Some(Arc::new(text)))?;
            }
            whole(text)
        }
        other => {
            let text = format!("unrecognized BTF source specifier: '{other}'");
            return Err(Failure::message(text));
        }
    };
    let (mut as_c, mut unsorted, mut asked) = (false, false, Vec::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            word if is_prefix(word, "format") => match words.value_of("format")?.as_str() {
                "c" => as_c = true,
                "raw" => as_c = false,
                other => {
                    let text = format!(
                        "unrecognized format specifier: '{other}', possible values: raw, c"
                    );
                    return Err(Failure::message(text));
                }
            },
            word if is_prefix(word, "root_id") => {
                let id = words.value_of("root_id")?;
                let id = id
                    .parse()
                    .map_err(|_| Failure::message(format!("can't parse {id} as root ID")))?;
                if source.btf.type_by_id(TypeId(id)).is_none() {
                    return Err(Failure::message(format!("invalid root ID: {id}")));
                }
                asked.push(TypeId(id));
            }
            "unsorted" => unsorted = true,
            other => return Err(Failure::message(format!("unrecognized option: '{other}'"))),
        }
    }
    if !asked.is_empty() {
        source.roots = asked;
    }
    match (as_c, session.json()) {
        (true, true) => Err(Failure::message(
            "JSON output for C-syntax dump is not supported".to_string(),
        )),
        (true, false) => {
            let wanted = match (source.roots.is_empty(), unsorted) {
                (false, _) => header::Wanted::Roots(source.roots),
                (true, true) => header::Wanted::Unsorted,
                (true, false) => header::Wanted::Sorted,
            };
            let text = header::text(&source.btf, wanted)
                .map_err(|error| Failure::message(error.to_string()))?;
            session.say(&text);
            Ok(())
        }
        (false, json) => {
            records(session, &source, json);
            Ok(())
        }
    }
}

fn records(session: &Session<'_>, source: &Source, as_json: bool) {
    let btf = &source.btf;
    let all: Vec<Type<'_>> = match source.roots.is_empty() {
        true => btf.types().collect(),
        false => {
            let roots = source.roots.iter();
            roots.filter_map(|id| btf.type_by_id(*id)).collect()
        }
    };
    if as_json {
        let types = all.iter().map(btf_record::json).collect();
        session.answer(Fields::new().add("types", Json::Array(types)).done());
        return;
    }
    let mut text = String::new();
    for ty in &all {
        // Writing to a string cannot fail.
        let _ = raw::one(ty, &mut text);
    }
    session.say(&text);
}

fn whole(btf: Btf) -> Source {
    let roots = Vec::new();
    Source { btf, roots }
}

/// The types of a file. Those of a module of the running kernel stand on the kernel's.
fn of_file(path: &str, base: Option<Arc<Btf>>) -> Answer<Btf> {
    let base = match base {
        None if path.starts_with("/sys/kernel/btf/") && path != KERNEL_BTF => {
            Some(Arc::new(read(KERNEL_BTF, None).map_err(Failure::message)?))
        }
        base => base,
    };
    read(path, base).map_err(Failure::message)
}

/// The types that a kernel has under this number.
fn held(session: &Session<'_>, id: u32, base: Option<Arc<Btf>>) -> Answer<Btf> {
    let kernel = session.kernel();
    let failed = |errno| Failure::because(format!("get btf by id ({id})"), errno);
    let fd = inspect::open(kernel, Kind::Btf, id).map_err(failed)?;
    let about = inspect::btf_about(kernel, fd.raw()).map_err(failed)?;
    let bytes = inspect::btf_bytes(kernel, fd.raw()).map_err(failed)?;
    let base = match base {
        // A module's types stand on the kernel's.
        None if about.is_kernel && about.name != "vmlinux" => {
            let bytes = kernel.kernel_btf().map_err(failed)?;
            let parsed = Btf::parse(&bytes).map_err(|error| Failure::message(error.to_string()))?;
            Some(Arc::new(parsed))
        }
        base => base.filter(|_| about.is_kernel),
    };
    Btf::parse_on(bytes, base).map_err(|error| Failure::message(format!("BTF {id}: {error}")))
}

/// The types of a map: its key's and its value's, or one of them, or all that it was made with.
fn of_map(session: &Session<'_>, words: &mut Words, base: Option<Arc<Btf>>) -> Answer<Source> {
    let (_, fd) = session.select_one(Kind::Map, words)?;
    let info = inspect::map_info(session.kernel(), fd.raw())
        .map_err(|errno| Failure::because("can't get map info", errno))?;
    let (key, value) = (
        TypeId(info.btf_key_type_id()),
        TypeId(info.btf_value_type_id()),
    );
    let parts: [(&str, &[TypeId]); 4] = [
        ("key", &[key]),
        ("value", &[value]),
        ("kv", &[key, value]),
        ("all", &[]),
    ];
    let word = words.peek().unwrap_or_default().to_string();
    let named = parts.iter().find(|(name, _)| is_prefix(&word, name));
    if named.is_some() {
        words.next();
    }
    let (_, roots) = named.unwrap_or(&parts[2]);
    let roots = roots.iter().copied().filter(|id| *id != TypeId::VOID);
    Ok(Source {
        btf: held(session, info.btf_id(), base)?,
        roots: roots.collect(),
    })
}

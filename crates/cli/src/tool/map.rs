//! `map`: maps and their elements, in bpftool's words.

mod element;

use skep::Fd;
use skep::inspect::{self, Kind};
use skep_abi::{Buffers, Cmd, Errno, MapType, attr, info, object_name};
use skep_btf::{Btf, TypeId};

use super::elem::Shape;
use super::failure::{Answer, Failure, text_of};
use super::json::{Fields, Json, pinned};
use super::pinned::Pins;
use super::session::{Session, fdinfo_value, name_text};
use super::words::{Words, is_prefix};

/// The verbs, as completion and usage show them.
pub const VERBS: &[&str] = &[
    "show",
    "list",
    "create",
    "dump",
    "update",
    "lookup",
    "getnext",
    "delete",
    "pin",
    "event_pipe",
    "peek",
    "push",
    "pop",
    "enqueue",
    "dequeue",
    "freeze",
    "help",
];

/// What the family takes.
pub const USAGE: &str = "\
Usage: skep map { show | list }   [MAP]
       skep map create     FILE type TYPE key KEY_SIZE value VALUE_SIZE \\
                               entries MAX_ENTRIES name NAME [flags FLAGS] \\
                               [inner_map MAP]
       skep map dump       MAP
       skep map update     MAP [key DATA] [value VALUE] [UPDATE_FLAGS]
       skep map lookup     MAP [key DATA]
       skep map getnext    MAP [key DATA]
       skep map delete     MAP  key DATA
       skep map pin        MAP  FILE
       skep map peek       MAP
       skep map push       MAP value VALUE
       skep map pop        MAP
       skep map enqueue    MAP value VALUE
       skep map dequeue    MAP
       skep map freeze     MAP

       MAP := { id MAP_ID | pinned FILE | name MAP_NAME }
       DATA := { [hex] BYTES }
       PROG := { id PROG_ID | pinned FILE | tag PROG_TAG | name PROG_NAME }
       VALUE := { DATA | MAP | PROG }
       UPDATE_FLAGS := { any | exist | noexist }
       TYPE: see 'skep feature list_builtins map_types'
";

/// Carries a verb out.
pub fn command(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let verb = words.next().unwrap_or_else(|| "show".to_string());
    let verb = VERBS.iter().find(|whole| is_prefix(&verb, whole));
    match verb.copied() {
        Some("show" | "list") => show(session, words),
        Some("create") => create(session, words),
        Some("dump") => dump(session, words),
        Some("update" | "push" | "enqueue") => element::update(session, words),
        Some("lookup" | "peek") => element::lookup(session, words),
        Some("getnext") => element::getnext(session, words),
        Some("delete") => element::delete(session, words),
        Some("pin") => {
            let (_, fd) = session.select_one(Kind::Map, words)?;
            let path = words.value_of("FILE")?;
            words.end()?;
            session.pin(Kind::Map, fd, &path)
        }
        Some("event_pipe") => Err(Failure::unsupported("map event_pipe")),
        Some("pop" | "dequeue") => element::pop(session, words),
        Some("freeze") => element::freeze(session, words),
        Some(_) => {
            session.say(USAGE);
            Ok(())
        }
        None => Err(Failure::Usage),
    }
}

fn info_of(session: &Session<'_>, fd: &Fd<'_>) -> Answer<info::MapInfo> {
    inspect::map_info(session.kernel(), fd.raw())
        .map_err(|errno| Failure::because("can't get map info", errno))
}

/// The name of a map type, or its number.
fn type_name(number: u32) -> String {
    MapType::from_u32(number).map_or_else(|| number.to_string(), |ty| ty.name().to_string())
}

fn show(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let pins = Pins::of(session);
    if words.left() > 0 {
        let found = session.select(Kind::Map, words)?;
        words.end()?;
        let several = found.len() > 1;
        let mut all = Vec::new();
        for (_, fd) in &found {
            all.extend(show_one(session, fd, &pins)?);
        }
        if session.json() {
            match (several, all.pop()) {
                (false, Some(one)) => session.answer(one),
                (_, last) => session.answer(Json::Array(all.into_iter().chain(last).collect())),
            }
        }
        return Ok(());
    }
    let mut all = Vec::new();
    for id in session.ids(Kind::Map)? {
        // One that has gone meanwhile is no error.
        if let Ok(fd) = inspect::open(session.kernel(), Kind::Map, id) {
            all.extend(show_one(session, &fd, &pins)?);
        }
    }
    if session.json() {
        session.answer(Json::Array(all));
    }
    Ok(())
}

/// Shows a map; answers the JSON of it when that is wanted.
fn show_one(session: &Session<'_>, fd: &Fd<'_>, pins: &Pins) -> Answer<Option<Json>> {
    let info = info_of(session, fd)?;
    let fdinfo = session.kernel().fdinfo(fd.raw()).unwrap_or_default();
    let number = |name| fdinfo_value(&fdinfo, name).and_then(|text| text.parse::<u32>().ok());
    let name = Some(name_text(&info.name())).filter(|name| !name.is_empty());
    let owner = number("owner_prog_type");
    let owner = owner.map(|ty| {
        let known = skep_abi::ProgType::from_u32(ty);
        known.map_or_else(|| ty.to_string(), |ty| ty.name().to_string())
    });
    let owner_jited = number("owner_jited");
    let (memlock, frozen) = (number("memlock"), number("frozen"));
    let btf = Some(info.btf_id()).filter(|id| *id != 0);
    let paths = pins.paths(Kind::Map, info.id());
    if session.json() {
        let mut fields = Fields::new();
        fields
            .add("id", info.id())
            .add("type", type_name(info.map_type()))
            .maybe("name", name)
            .add("flags", info.map_flags())
            .add("bytes_key", info.key_size())
            .add("bytes_value", info.value_size())
            .add("max_entries", info.max_entries())
            .maybe("bytes_memlock", memlock)
            .maybe("owner_prog_type", owner)
            .maybe("owner_jited", owner_jited.map(|jited| jited != 0))
            .add("frozen", frozen.unwrap_or(0))
            .maybe("btf_id", btf)
            .maybe("pinned", pinned(paths));
        return Ok(Some(fields.done()));
    }
    let mut text = format!("{}: {}", info.id(), type_name(info.map_type()));
    text += &name
        .map(|name| format!("  name {name}"))
        .unwrap_or_default();
    text += &format!(
        "  flags {:#x}\n\tkey {}B  value {}B  max_entries {}",
        info.map_flags(),
        info.key_size(),
        info.value_size(),
        info.max_entries()
    );
    text += &memlock
        .map(|bytes| format!("  memlock {bytes}B"))
        .unwrap_or_default();
    if let Some(owner) = owner {
        let jited = match owner_jited {
            Some(0) | None => "not jited",
            _ => "jited",
        };
        text += &format!("\n\towner_prog_type {owner}  owner {jited}");
    }
    let mut last = Vec::new();
    last.extend(btf.map(|id| format!("btf_id {id}")));
    last.extend(
        frozen
            .filter(|frozen| *frozen != 0)
            .map(|_| "frozen".to_string()),
    );
    if !last.is_empty() {
        text += &format!("\n\t{}", last.join("  "));
    }
    for path in paths {
        text += &format!("\n\tpinned {path}");
    }
    session.say(&format!("{text}\n"));
    Ok(None)
}

fn create(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    if words.left() < 7 {
        let text = format!(
            "'create' needs at least 7 arguments, {} found",
            words.left()
        );
        return Err(Failure::message(text));
    }
    let path = words.value_of("FILE")?;
    let mut create = attr::MapCreate::new();
    let mut inner = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            word if is_prefix(word, "type") => {
                let name = words.value_of("type")?;
                let ty = MapType::from_name(&name)
                    .ok_or_else(|| Failure::message(format!("unrecognized map type: {name}")))?;
                create.set_map_type(ty.as_u32());
            }
            word if is_prefix(word, "name") => {
                create.set_map_name(object_name(&words.value_of("name")?));
            }
            word if is_prefix(word, "key") => {
                create.set_key_size(words.number("key")?);
            }
            word if is_prefix(word, "value") => {
                create.set_value_size(words.number("value")?);
            }
            word if is_prefix(word, "entries") => {
                create.set_max_entries(words.number("entries")?);
            }
            word if is_prefix(word, "flags") => {
                create.set_map_flags(words.number("flags")?);
            }
            word if is_prefix(word, "inner_map") => {
                let (_, fd) = session.select_one(Kind::Map, words)?;
                create.set_inner_map_fd(fd.raw());
                inner = Some(fd);
            }
            other => return Err(Failure::message(format!("unknown arg {other}"))),
        }
    }
    let kernel = session.kernel();
    let fd = kernel
        .bpf(Cmd::MapCreate.into(), create.as_attr(), &mut Buffers::new())
        .map_err(|errno| Failure::because("map create failed", errno))?;
    drop(inner);
    session.pin(Kind::Map, Fd::of(kernel, fd), &path)
}

/// A map with all that its elements need to be read and written.
struct Open<'k> {
    fd: Fd<'k>,
    info: info::MapInfo,
    shape: Shape,
    btf: Option<Btf>,
}

fn open<'k>(session: &Session<'k>, words: &mut Words) -> Answer<Open<'k>> {
    let (_, fd) = session.select_one(Kind::Map, words)?;
    let info = info_of(session, &fd)?;
    let shape = Shape::of(&info, session.chosen.options.possible_cpus);
    let btf = session.btf(info.btf_id());
    Ok(Open {
        fd,
        info,
        shape,
        btf,
    })
}

impl Open<'_> {
    /// One command about an element.
    fn element(
        &self,
        session: &Session<'_>,
        cmd: Cmd,
        key: &[u8],
        value: &mut [u8],
        flags: u64,
    ) -> Result<(), Errno> {
        let mut memory = Buffers::new();
        let mut element = attr::MapElem::new();
        element.set_map_fd(self.fd.raw()).set_flags(flags);
        if !key.is_empty() {
            element.set_key(memory.input(key));
        }
        if !value.is_empty() {
            element.set_value(memory.output(value));
        }
        session
            .kernel()
            .bpf(cmd.into(), element.as_attr(), &mut memory)
            .map(drop)
    }

    fn next_key(&self, session: &Session<'_>, key: Option<&[u8]>) -> Result<Vec<u8>, Errno> {
        let mut next = vec![0; self.info.key_size() as usize];
        {
            let mut memory = Buffers::new();
            let mut get = attr::MapGetNextKey::new();
            get.set_map_fd(self.fd.raw());
            if let Some(key) = key {
                get.set_key(memory.input(key));
            }
            get.set_next_key(memory.output(&mut next));
            session
                .kernel()
                .bpf(Cmd::MapGetNextKey.into(), get.as_attr(), &mut memory)?;
        }
        Ok(next)
    }

    /// The types of key and value, when the map was made with them.
    fn types(&self) -> Option<(&Btf, TypeId, TypeId)> {
        let (key, value) = (self.info.btf_key_type_id(), self.info.btf_value_type_id());
        let btf = self.btf.as_ref()?;
        (value != 0).then_some((btf, TypeId(key), TypeId(value)))
    }

    /// An element with its value, as JSON.
    fn json(&self, key: &[u8], value: &[u8]) -> Json {
        self.shape.json(self.types(), key, value)
    }

    /// An element with its value, for people.
    fn text(&self, key: &[u8], value: &[u8]) -> String {
        self.shape.text(key, value)
    }
}

fn dump(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let map = open(session, words)?;
    words.end()?;
    let mut typed = Vec::new();
    let mut json = Vec::new();
    let mut text = String::new();
    let mut count = 0usize;
    let mut key: Option<Vec<u8>> = None;
    let ended = loop {
        let next = match map.next_key(session, key.as_deref()) {
            Ok(next) => next,
            Err(Errno::ENOENT) => break None,
            Err(errno) => break Some(errno),
        };
        let mut value = vec![0; map.shape.value_bytes()];
        match map.element(session, Cmd::MapLookupElem, &next, &mut value, 0) {
            Ok(()) => {
                count += 1;
                if session.json() {
                    json.push(map.json(&next, &value));
                } else if let Some(value) = map.shape.formatted(map.types(), &next, &value) {
                    typed.push(value);
                } else {
                    text += &map.text(&next, &value);
                }
            }
            // Slots of maps of maps and of programs are empty rather than missing.
            Err(Errno::ENOENT) if map.shape.refers() => {}
            Err(errno) if session.json() => {
                let mut fields = Fields::new();
                fields.add("key", Json::bytes(&next));
                fields.add("value", Fields::new().add("error", text_of(errno)).done());
                json.push(fields.done());
            }
            Err(Errno::ENOENT) => text += &map.shape.absent_text(&next, "<no entry>"),
            Err(errno) => text += &map.shape.error_text(&next, &text_of(errno)),
        }
        key = Some(next);
    };
    if session.json() {
        session.answer(Json::Array(json));
    } else if map.types().is_some() && text.is_empty() {
        let all = Json::Array(typed);
        session.say(&format!("{}\n", all.write(super::json::Style::Plain)));
    } else {
        let plural = if count == 1 { "" } else { "s" };
        session.say(&format!("{text}Found {count} element{plural}\n"));
    }
    match ended {
        None => Ok(()),
        Some(errno) => Err(Failure::Quiet(super::failure::code_of(errno))),
    }
}

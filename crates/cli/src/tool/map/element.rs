//! The verbs of one element: what is given behind them, and what is said of it.

use skep::inspect::Kind;
use skep_abi::{Buffers, Cmd, ElemFlags, Errno, attr};

use super::super::elem::hex_text;
use super::super::failure::{Answer, Failure, code_of};
use super::super::json::{Fields, Json, Style};
use super::super::session::Session;
use super::super::words::{Words, is_prefix};
use super::{Open, open};

/// What stands behind `key` and `value`, in any order, and the flags.
#[derive(Default)]
struct Given {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    flags: u64,
}

/// Which parts a verb takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    /// A key, which has no bytes in a map without keys.
    Key,
    /// A key, where the map has keys.
    KeyIfAny,
    /// Key, value and flags, where the map has them.
    All,
}

fn given(session: &Session<'_>, map: &Open<'_>, words: &mut Words, parts: Parts) -> Answer<Given> {
    let full = parts == Parts::All;
    let mut given = Given::default();
    // Descriptors that stand in a value are open until it has been used.
    while let Some(word) = words.peek().map(str::to_string) {
        if is_prefix(&word, "key") {
            words.next();
            let takes = parts == Parts::Key || map.info.key_size() != 0;
            check_part("key", takes, given.key.is_some())?;
            given.key = Some(words.bytes("key", map.info.key_size() as usize)?);
        } else if is_prefix(&word, "value") {
            words.next();
            let takes = full && map.info.value_size() != 0;
            check_part("value", takes, given.value.is_some())?;
            given.value = Some(map.shape.value_from(session, words)?);
        } else if full {
            words.next();
            given.flags = match word.as_str() {
                word if is_prefix(word, "any") => 0,
                word if is_prefix(word, "noexist") => ElemFlags::NOEXIST.0,
                word if is_prefix(word, "exist") => ElemFlags::EXIST.0,
                other => {
                    let text = format!("expected key or value, got: {other}");
                    return Err(Failure::message(text));
                }
            };
            words.end()?;
        } else {
            return Err(Failure::message(format!(
                "expected key or value, got: {word}"
            )));
        }
    }
    Ok(given)
}

/// Whether a key, or a value, may stand there.
fn check_part(name: &str, takes: bool, again: bool) -> Answer<()> {
    match (takes, again) {
        (false, _) => Err(Failure::message(format!("unnecessary {name}"))),
        (true, true) => Err(Failure::message(format!("duplicate {name}"))),
        (true, false) => Ok(()),
    }
}

fn no_key() -> Failure {
    Failure::message("did not find key")
}

pub(super) fn update(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let map = open(session, words)?;
    let given = given(session, &map, words, Parts::All)?;
    let key = given.key.unwrap_or_default();
    if key.is_empty() && map.info.key_size() != 0 {
        return Err(no_key());
    }
    let Some(mut value) = given.value else {
        return Err(Failure::message("did not find value"));
    };
    let done = map.element(session, Cmd::MapUpdateElem, &key, &mut value, given.flags);
    done.map_err(|errno| Failure::with_code("update failed", errno))
}

pub(super) fn lookup(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let map = open(session, words)?;
    let key = given(session, &map, words, Parts::KeyIfAny)?
        .key
        .unwrap_or_default();
    if key.is_empty() && map.info.key_size() != 0 {
        return Err(no_key());
    }
    let mut value = vec![0; map.shape.value_bytes()];
    let found = map.element(session, Cmd::MapLookupElem, &key, &mut value, 0);
    found.map_err(|errno| not_found(session, "lookup failed", &key, errno))?;
    if key.is_empty() {
        show_value(session, &value);
        return Ok(());
    }
    if session.json() {
        session.answer(map.json(&key, &value));
    } else if let Some(value) = map.shape.formatted(map.types(), &key, &value) {
        session.say(&format!("{}\n", value.write(Style::Plain)));
    } else {
        session.say(&map.text(&key, &value));
    }
    Ok(())
}

/// Says that there is no such element, as bpftool does: not as an error.
fn not_found(session: &Session<'_>, what: &str, key: &[u8], errno: Errno) -> Failure {
    if errno != Errno::ENOENT {
        return Failure::with_code(what, errno);
    }
    let text = hex_text(key);
    session.say(&format!("key:\n{text}\n\nNot found\n"));
    Failure::Quiet(code_of(errno))
}

/// An element of a queue or stack, which has no key.
fn show_value(session: &Session<'_>, value: &[u8]) {
    if !session.json() {
        let text = hex_text(value);
        return session.say(&format!("value: {text}\n"));
    }
    let mut fields = Fields::new();
    fields.add("key", Json::Array(Vec::new()));
    fields.add("value", Json::bytes(value));
    session.answer(fields.done());
}

pub(super) fn pop(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let map = open(session, words)?;
    words.end()?;
    let mut value = vec![0; map.shape.value_bytes()];
    let taken = map.element(session, Cmd::MapLookupAndDeleteElem, &[], &mut value, 0);
    match taken {
        Ok(()) => {
            show_value(session, &value);
            Ok(())
        }
        Err(Errno::ENOENT) => {
            let code = code_of(Errno::ENOENT);
            match session.json() {
                true => Err(Failure::Quiet(code)),
                false => Err(Failure::Message("empty map".to_string(), code)),
            }
        }
        Err(errno) => Err(Failure::with_code("pop failed", errno)),
    }
}

pub(super) fn getnext(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let map = open(session, words)?;
    let key = given(session, &map, words, Parts::Key)?.key;
    let next = map
        .next_key(session, key.as_deref())
        .map_err(|errno| Failure::with_code("can't get next key", errno))?;
    if session.json() {
        let mut fields = Fields::new();
        fields.add("key", key.map_or(Json::Null, |key| Json::bytes(&key)));
        fields.add("next_key", Json::bytes(&next));
        session.answer(fields.done());
    } else {
        let key = key.map_or_else(
            || "key: None\n".to_string(),
            |key| format!("key:\n{}\n", hex_text(&key)),
        );
        session.say(&format!("{key}next key:\n{}\n", hex_text(&next)));
    }
    Ok(())
}

pub(super) fn delete(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let map = open(session, words)?;
    let key = given(session, &map, words, Parts::Key)?
        .key
        .ok_or_else(no_key)?;
    let mut memory = Buffers::new();
    let mut delete = attr::MapDeleteElem::new();
    delete.set_map_fd(map.fd.raw()).set_key(memory.input(&key));
    session
        .kernel()
        .bpf(Cmd::MapDeleteElem.into(), delete.as_attr(), &mut memory)
        .map(drop)
        .map_err(|errno| Failure::with_code("delete failed", errno))
}

pub(super) fn freeze(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let (_, fd) = session.select_one(Kind::Map, words)?;
    words.end()?;
    let mut freeze = attr::MapFreeze::new();
    freeze.set_map_fd(fd.raw());
    session
        .kernel()
        .bpf(Cmd::MapFreeze.into(), freeze.as_attr(), &mut Buffers::new())
        .map(drop)
        .map_err(|errno| Failure::because("failed to freeze map", errno))
}

//! Scripts of system calls: one call a line, its answer behind an arrow.
//!
//! ```text
//! # comment
//! A = map_create map_type=array key_size=4 value_size=8 max_entries=1 -> ok
//! map_update_elem map_fd=$A key=in:00000000 value=in:0102030405060708 -> ok
//! map_lookup_elem map_fd=$A key=in:00000000 value=out:8 -> ok value=0102030405060708
//! close $A -> ok
//! ```
//!
//! A field is a number, a name of a type or flag word, `$A` (a descriptor), `in:HEX`, `out:N`
//! (a buffer to be written, shown when the call changed it), `io:HEX`, `str:TEXT`,
//! `log:N` (a buffer shown as text), `info:N` (shown without the id in it),
//! `id:N` (shown as `1d` when set), or `'asm: r0 = 0; exit'` (a program's instructions).
//! Fields of the attribute that the call changed are shown too.
//!
//! [`answer`] runs a script and fills in the answers, so one function both records what
//! Linux says and checks what skep says.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use skep_abi::{Backend, Buffers, Cmd, MapType, ProgType, attr, object_name};
use skep_btf::Btf;
use skep_isa::asm::{Symbols, assemble};

/// Answers that differ from run to run.
const NOT_SHOWN: [&str; 3] = ["duration", "next_id", "batch_size"];

type Fields = &'static [(&'static str, usize, usize)];

fn fields_of(cmd: Cmd) -> Option<Fields> {
    Some(match cmd {
        Cmd::MapCreate => attr::MapCreate::FIELDS,
        Cmd::MapLookupElem | Cmd::MapUpdateElem | Cmd::MapLookupAndDeleteElem => {
            attr::MapElem::FIELDS
        }
        Cmd::MapDeleteElem => attr::MapDeleteElem::FIELDS,
        Cmd::MapGetNextKey => attr::MapGetNextKey::FIELDS,
        Cmd::MapFreeze => attr::MapFreeze::FIELDS,
        Cmd::MapLookupBatch
        | Cmd::MapLookupAndDeleteBatch
        | Cmd::MapUpdateBatch
        | Cmd::MapDeleteBatch => attr::MapBatch::FIELDS,
        Cmd::ProgLoad => attr::ProgLoad::FIELDS,
        Cmd::ProgTestRun => attr::ProgTestRun::FIELDS,
        Cmd::BtfLoad => attr::BtfLoad::FIELDS,
        Cmd::ProgGetNextId | Cmd::MapGetNextId | Cmd::BtfGetNextId => attr::GetNextId::FIELDS,
        Cmd::ProgGetFdById => attr::ProgGetFdById::FIELDS,
        Cmd::MapGetFdById => attr::MapGetFdById::FIELDS,
        Cmd::BtfGetFdById => attr::BtfGetFdById::FIELDS,
        Cmd::ObjGetInfoByFd => attr::ObjGetInfo::FIELDS,
        Cmd::ProgBindMap => attr::ProgBindMap::FIELDS,
        _ => return None,
    })
}

/// Runs a script and gives it back with the answers filled in.
#[allow(dead_code)]
pub fn answer(script: &str, backend: &dyn Backend) -> String {
    let mut out = String::new();
    let mut names = BTreeMap::new();
    for line in script.lines() {
        let call = line.split(" -> ").next().unwrap_or_default();
        if call.trim().is_empty() || call.starts_with('#') {
            writeln!(out, "{line}").expect("a string takes everything");
            continue;
        }
        let said = step(call, backend, &mut names);
        writeln!(out, "{call} -> {said}").expect("a string takes everything");
    }
    for fd in names.into_values() {
        let _ = backend.close(fd);
    }
    out
}

/// How a buffer is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Bytes,
    /// Up to its NUL.
    Log,
    /// Without the id at byte 4.
    Info,
    /// Only whether it is set.
    Id,
}

/// Single calls on a kernel, with names for descriptors.
#[allow(dead_code)]
pub struct Session<'a> {
    backend: &'a dyn Backend,
    names: BTreeMap<String, u32>,
}

#[allow(dead_code)]
impl<'a> Session<'a> {
    pub fn new(backend: &'a dyn Backend) -> Self {
        Session {
            backend,
            names: BTreeMap::new(),
        }
    }

    /// Makes a call and gives its answer.
    pub fn call(&mut self, call: &str) -> String {
        step(call, self.backend, &mut self.names)
    }

    /// The descriptor that a name stands for.
    pub fn fd(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }
}

/// What a call's field points at.
enum Pointed {
    Input(Vec<u8>),
    Output {
        bytes: Vec<u8>,
        before: Vec<u8>,
        as_text: Text,
    },
}

fn step(call: &str, backend: &dyn Backend, names: &mut BTreeMap<String, u32>) -> String {
    let (name, call) = match call.split_once(" = ") {
        Some((name, rest)) if name.chars().all(char::is_alphanumeric) => (Some(name), rest),
        _ => (None, call),
    };
    let words = split(call);
    let (verb, args) = words.split_first().expect("a call has a verb");
    if verb == "close" {
        let fd = args
            .first()
            .and_then(|a| names.remove(a.trim_start_matches('$')));
        return match backend.close(fd.unwrap_or(u32::MAX)) {
            Ok(()) => "ok".into(),
            Err(errno) => errno.name(),
        };
    }
    let cmd = Cmd::from_name(verb).unwrap_or_else(|| panic!("no command {verb}"));
    let fields = fields_of(cmd).unwrap_or_else(|| panic!("no view of {verb}"));
    let mut bytes = vec![0; attr::ATTR_SIZE];
    let mut pointed: Vec<(String, Pointed)> = Vec::new();
    for arg in args {
        let (field, value) = arg
            .split_once('=')
            .unwrap_or_else(|| panic!("{arg} is no field"));
        let (at, size) = place(fields, field);
        match value_of(field, value, names) {
            Value::Number(n) => bytes[at..at + size].copy_from_slice(&n.to_ne_bytes()[..size]),
            Value::Bytes(raw) => bytes[at..at + raw.len()].copy_from_slice(&raw),
            Value::Pointed(p) => pointed.push((field.to_owned(), p)),
        }
    }
    let before = bytes.clone();
    let result = {
        let mut memory = Buffers::new();
        for (field, p) in &mut pointed {
            let addr = match p {
                Pointed::Input(raw) => memory.input(raw),
                Pointed::Output { bytes, .. } => memory.output(bytes),
            };
            let (at, _) = place(fields, field);
            bytes[at..at + 8].copy_from_slice(&addr.to_ne_bytes());
        }
        backend.bpf(cmd.into(), &mut bytes, &mut memory)
    };
    let mut said = match result {
        Ok(fd) => {
            if let Some(name) = name {
                names.insert(name.to_owned(), fd);
                "ok".to_owned()
            } else if fd == 0 {
                "ok".to_owned()
            } else {
                let _ = backend.close(fd);
                "fd".to_owned()
            }
        }
        Err(errno) => errno.name(),
    };
    show(&mut said, fields, &before, &bytes, &pointed);
    said
}

fn show(
    said: &mut String,
    fields: Fields,
    before: &[u8],
    after: &[u8],
    pointed: &[(String, Pointed)],
) {
    for (field, at, size) in fields {
        let buffer = pointed.iter().find(|(f, _)| f == field);
        match buffer {
            Some((
                _,
                Pointed::Output {
                    bytes,
                    before,
                    as_text,
                },
            )) if bytes != before => {
                if *as_text == Text::Log {
                    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
                    let log = String::from_utf8_lossy(&bytes[..end]);
                    write!(said, " {field}={log:?}").expect("a string takes everything");
                } else {
                    let mut bytes = bytes.clone();
                    match as_text {
                        Text::Info => bytes[4..8].fill(0),
                        Text::Id => bytes = vec![0x1d],
                        Text::Bytes | Text::Log => {}
                    }
                    write!(said, " {field}={}", hex(&bytes)).expect("a string takes everything");
                }
            }
            Some(_) => {}
            None if NOT_SHOWN.contains(field) => {}
            None => {
                let (old, new) = (&before[*at..at + size], &after[*at..at + size]);
                if old != new {
                    let mut raw = [0; 8];
                    raw[..*size].copy_from_slice(new);
                    write!(said, " {field}={}", u64::from_ne_bytes(raw))
                        .expect("a string takes everything");
                }
            }
        }
    }
}

enum Value {
    Number(u64),
    Bytes(Vec<u8>),
    Pointed(Pointed),
}

fn value_of(field: &str, value: &str, names: &BTreeMap<String, u32>) -> Value {
    let output = |bytes: Vec<u8>, as_text| {
        Value::Pointed(Pointed::Output {
            before: bytes.clone(),
            bytes,
            as_text,
        })
    };
    if let Some(name) = value.strip_prefix('$') {
        return Value::Number(names.get(name).map_or(9999, |fd| *fd).into());
    }
    match value.split_once(':') {
        Some(("in", rest)) => return Value::Pointed(Pointed::Input(unhex(rest, names))),
        Some(("io", rest)) => return output(unhex(rest, names), Text::Bytes),
        Some(("out", rest)) => {
            return output(vec![0; rest.parse().expect("a length")], Text::Bytes);
        }
        Some(("info", rest)) => {
            return output(vec![0; rest.parse().expect("a length")], Text::Info);
        }
        Some(("id", rest)) => return output(vec![0; rest.parse().expect("a length")], Text::Id),
        Some(("log", rest)) => return output(vec![0; rest.parse().expect("a length")], Text::Log),
        Some(("str", rest)) => {
            return Value::Pointed(Pointed::Input([rest.as_bytes(), &[0]].concat()));
        }
        Some(("name", rest)) => return Value::Bytes(object_name(rest).to_vec()),
        Some(("raw", rest)) => return Value::Bytes(unhex(rest, names)),
        Some(("asm", rest)) => {
            let source = rest.replace(';', "\n");
            let program = assemble(&source, &Maps(names)).unwrap_or_else(|e| panic!("{e}"));
            return Value::Pointed(Pointed::Input(skep_isa::Insn::slice_to_bytes(
                &program.insns,
            )));
        }
        _ => {}
    }
    let by_name = match field {
        "map_type" => MapType::from_name(value).map(u32::from),
        "prog_type" => ProgType::from_name(value).map(u32::from),
        _ => None,
    };
    if let Some(number) = by_name {
        return Value::Number(number.into());
    }
    let parsed = match value.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => value
            .parse::<i64>()
            .map(|n| n as u64)
            .or_else(|_| value.parse::<u64>()),
    };
    Value::Number(parsed.unwrap_or_else(|_| panic!("{value} is no value of {field}")))
}

/// Names of maps in programs are names of descriptors.
struct Maps<'a>(&'a BTreeMap<String, u32>);

impl Symbols for Maps<'_> {
    fn map(&self, name: &str) -> Option<i32> {
        self.0.get(name).map(|fd| *fd as i32)
    }
}

fn place(fields: Fields, field: &str) -> (usize, usize) {
    let row = fields.iter().find(|(name, ..)| *name == field);
    let (_, at, size) = row.unwrap_or_else(|| panic!("no field {field}"));
    (*at, *size)
}

/// The words of a call; quotes keep spaces.
fn split(call: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quoted = false;
    for c in call.trim().chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => out.push(String::new()),
            c => out.last_mut().expect("never empty").push(c),
        }
    }
    out.retain(|w| !w.is_empty());
    out
}

pub fn hex(bytes: &[u8]) -> String {
    // Long runs of one byte are written `xx*N`.
    let mut out = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let run = bytes[at..].iter().take_while(|b| **b == bytes[at]).count();
        if run > 8 {
            let gap = if out.is_empty() { "" } else { "." };
            write!(out, "{gap}{:02x}*{run}.", bytes[at]).expect("a string takes everything");
            at += run;
        } else {
            write!(out, "{:02x}", bytes[at]).expect("a string takes everything");
            at += 1;
        }
    }
    out.trim_end_matches('.').replace("..", ".")
}

/// Bytes from `0011ff`, with `aa*16` for runs, `.` between parts, `$A` for a descriptor.
pub fn unhex(text: &str, names: &BTreeMap<String, u32>) -> Vec<u8> {
    let mut out = Vec::new();
    for part in text.split('.').filter(|p| !p.is_empty()) {
        if let Some(name) = part.strip_prefix('$') {
            out.extend(names.get(name).copied().unwrap_or(9999).to_ne_bytes());
            continue;
        }
        let (digits, times) = match part.split_once('*') {
            Some((digits, times)) => (digits, times.parse().expect("a count")),
            None => (part, 1),
        };
        let byte = |i: usize| u8::from_str_radix(&digits[i..i + 2], 16).expect("hex digits");
        let once: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
        out.extend(once.repeat(times));
    }
    out
}

/// The first differing line of two scripts, for a message that can be read.
#[allow(dead_code)]
pub fn first_difference(want: &str, got: &str) -> Option<String> {
    let mut lines = want.lines().zip(got.lines()).enumerate();
    lines
        .find(|(_, (w, g))| w != g)
        .map(|(n, (w, g))| format!("line {}:\n  Linux {w}\n  skep  {g}", n + 1))
}

/// The script files of this crate.
#[allow(dead_code)]
pub fn scripts() -> Vec<std::path::PathBuf> {
    scripts_in(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/syscalls"))
}

/// The script files of a directory.
#[allow(dead_code)]
pub fn scripts_in(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .expect("the scripts are there")
        .map(|entry| entry.expect("a readable directory").path())
        .collect();
    files.sort();
    files
}

/// A BTF with the structures that programs are given pointers to, each of one byte, of all
/// kinds that have storages.
#[allow(dead_code)]
pub fn kernel_types() -> Arc<Btf> {
    let names = [
        "char",
        "task_struct",
        "cgroup",
        "inode",
        "sock_common",
        "sock",
    ];
    let (mut strings, mut types) = (vec![0u8], Vec::new());
    for (number, name) in names.iter().enumerate() {
        let at = strings.len() as u32;
        strings.extend_from_slice(name.as_bytes());
        strings.push(0);
        let words = match number {
            // An integer: name, kind, bytes, bits.
            0 => vec![at, 1 << 24, 1, 8],
            // A structure: name, kind and members, bytes; a member: name, type, offset.
            _ => vec![at, 4 << 24 | 1, 1, 0, 1, 0],
        };
        types.extend(words.into_iter().flat_map(u32::to_ne_bytes));
    }
    let mut raw = vec![0x9f, 0xeb, 1, 0];
    for w in [24, 0, types.len(), types.len(), strings.len()] {
        raw.extend_from_slice(&(w as u32).to_ne_bytes());
    }
    raw.extend(types);
    raw.extend(strings);
    Arc::new(Btf::parse(&raw).expect("types"))
}

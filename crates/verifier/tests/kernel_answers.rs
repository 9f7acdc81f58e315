//! Whether programs about memory, calls, helpers, locks and sockets get the verdict, errno
//! and log that Linux 6.18.44 gave them.
//!
//! `data/linux-6.18.44.cases` holds the programs and the answers; its first lines say how.

use std::collections::BTreeMap;
use std::sync::Arc;

use skep_abi::Errno;
use skep_btf::Btf;
use skep_isa::Insn;
use skep_verifier::{Env, MapFacts, MapId, Privilege, Records, Request, Verdict, verify};

const CASES: &str = include_str!("data/linux-6.18.44.cases");

/// The machine that was asked had two CPUs.
const CPUS: u32 = 2;

#[derive(Default)]
struct Case<'a> {
    name: &'a str,
    prog_type: u32,
    flags: u32,
    attach: u32,
    gpl: bool,
    level: u32,
    maps: BTreeMap<i32, (Arc<MapFacts>, Vec<u8>)>,
    btf: Option<Arc<Btf>>,
    func_info: Vec<u8>,
    insns: Vec<Insn>,
    answer: &'a str,
    log: Vec<&'a str>,
}

impl Env for Case<'_> {
    fn map_by_fd(&self, fd: i32) -> Result<Arc<MapFacts>, Errno> {
        self.maps
            .get(&fd)
            .map(|map| map.0.clone())
            .ok_or(Errno::EBADF)
    }
    fn fd_at_index(&self, _: u32) -> Result<i32, Errno> {
        Err(Errno::EPROTO)
    }
    fn check_btf_fd(&self, _: i32) -> Result<(), Errno> {
        Err(Errno::EBADF)
    }
    fn map_constant(&self, map: MapId, offset: u32, size: u32) -> Option<u64> {
        let (facts, content) = self.maps.values().find(|(facts, _)| facts.id == map)?;
        let (at, size) = (offset as usize, size as usize);
        let bytes = content.get(at..at + size).filter(|_| facts.frozen)?;
        let mut word = [0; 8];
        word[..size].copy_from_slice(bytes);
        Some(u64::from_le_bytes(word))
    }
    fn map_address(&self, _: MapId) -> u64 {
        0xffff_8881_0000_0000
    }
    fn map_value_address(&self, _: MapId, _: u32) -> Option<u64> {
        Some(0xffff_c900_0000_0000)
    }
    fn kernel_btf(&self) -> Option<Arc<Btf>> {
        None
    }
    fn cpu_count(&self) -> u32 {
        CPUS
    }
    fn now_us(&self) -> u64 {
        0
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("two digits"))
        .collect()
}

fn insns(text: &str) -> Vec<Insn> {
    let insn = |b: &[u8]| Insn {
        code: b[0],
        dst: b[1] & 15,
        src: b[1] >> 4,
        off: i16::from_le_bytes([b[2], b[3]]),
        imm: i32::from_le_bytes([b[4], b[5], b[6], b[7]]),
    };
    hex(text).chunks(8).map(insn).collect()
}

/// The words of a line that have the form `key=value`.
fn fields(line: &str) -> BTreeMap<&str, &str> {
    line.split(' ')
        .filter_map(|word| word.split_once('='))
        .collect()
}

fn map(id: u32, line: &str, blobs: &[Arc<Btf>]) -> (MapFacts, Vec<u8>) {
    let field = fields(line);
    let number = |key: &str| field[key].parse::<u32>().expect("a number");
    let words: Vec<&str> = line.split(' ').collect();
    let btf = words
        .iter()
        .position(|word| word.starts_with("btf="))
        .map(|at| {
            let word = |i: usize| words[at + i].trim_start_matches("btf=").parse::<u32>();
            let [blob, key, value] = [0, 1, 2].map(|i| word(i).expect("a number"));
            (blobs[blob as usize].clone(), key, value)
        });
    let facts = MapFacts {
        id: MapId(id),
        map_type: number("type"),
        key_size: number("key"),
        value_size: number("value"),
        max_entries: number("entries"),
        flags: number("flags"),
        name: field["name"].to_string(),
        frozen: words.contains(&"frozen"),
        inner: None,
        btf,
        map_extra: 0,
        for_unprivileged: false,
        fields: Default::default(),
        for_another: false,
    };
    (
        facts,
        field.get("content").map_or(Vec::new(), |text| hex(text)),
    )
}

fn cases() -> Vec<Case<'static>> {
    let mut blobs: Vec<Arc<Btf>> = Vec::new();
    let mut cases: Vec<Case> = Vec::new();
    for line in CASES.lines().filter(|line| !line.starts_with('#')) {
        if let Some(text) = line.strip_prefix('|') {
            cases
                .last_mut()
                .expect("a case before its log")
                .log
                .push(text);
            continue;
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "blob" {
            let (_, bytes) = rest.split_once(' ').expect("a blob");
            blobs.push(Arc::new(Btf::parse(&hex(bytes)).expect("valid BTF")));
            continue;
        }
        if word == "case" {
            let name = rest;
            cases.push(Case {
                name,
                ..Case::default()
            });
            continue;
        }
        let case = cases.last_mut().expect("a case before its parts");
        match word {
            "load" => {
                let field = fields(rest);
                let number = |key: &str| field[key].parse().expect("a number");
                case.prog_type = number("type");
                case.flags = number("flags");
                case.attach = number("attach");
                case.gpl = field["gpl"] == "1";
                case.level = number("level");
            }
            "map" => {
                let (fd, rest) = rest.split_once(' ').expect("a map");
                let (facts, content) = map(case.maps.len() as u32 + 1, rest, &blobs);
                let fd = fd.parse().expect("a descriptor");
                case.maps.insert(fd, (Arc::new(facts), content));
            }
            "btf" => {
                let (blob, func_info) = rest.split_once(' ').expect("a blob and func_info");
                case.btf = Some(blobs[blob.parse::<usize>().expect("a number")].clone());
                case.func_info = hex(func_info);
            }
            "insns" => case.insns = insns(rest),
            "answer" => case.answer = rest,
            _ => panic!("unknown line {line}"),
        }
    }
    cases
}

/// The lines of a log that the data keeps, with the kernel's addresses masked.
fn kept(log: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut in_table = false;
    for line in log.trim_end_matches('\n').split('\n') {
        let row = line.trim_start().split_once(": ");
        in_table = line == "Live regs before insn:"
            || in_table && row.is_some_and(|(_, rest)| rest.len() > 11 && live(&rest[..10]));
        let about_slots = line.starts_with('(')
            && (line.contains(" live stack update done") || line.contains(") frame "));
        if !in_table && !about_slots && !line.starts_with("func#") {
            lines.push(mask(line));
        }
    }
    lines
}

fn live(mask: &str) -> bool {
    mask.bytes().all(|b| b == b'.' || b.is_ascii_digit())
}

fn mask(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("0xffff") {
        let end = at + 18;
        let digits = rest.get(at + 6..end);
        if !digits.is_some_and(|text| text.bytes().all(|b| b.is_ascii_hexdigit())) {
            break;
        }
        out += &rest[..at];
        out += "0xADDR";
        rest = &rest[end..];
    }
    out + rest
}

/// What differs, when something does.
fn check(case: &Case<'_>) -> Result<(), String> {
    let request = Request {
        insns: &case.insns,
        prog_type: case.prog_type,
        expected_attach_type: case.attach,
        flags: case.flags,
        name: "test",
        gpl_compatible: case.gpl,
        btf: case.btf.clone(),
        btf_refused: None,
        func_info: Records::new(&case.func_info, 8),
        line_info: Records::new(&[], 16),
        core_relos: Records::default(),
        fd_array_cnt: 0,
        attach_btf_id: 0,
        attach_to: Default::default(),
        log_level: case.level,
        log_keep: skep_verifier::LogKeep::All,
        privilege: Privilege::FULL,
        record_states: false,
    };
    let outcome = verify(&request, case);
    let answer = match &outcome.verdict {
        Verdict::Accept(_) => "accept".to_string(),
        Verdict::Reject(reject) => reject.errno.name(),
        Verdict::Unsupported(what) => format!("unsupported: {what}"),
    };
    let log = String::from_utf8_lossy(&outcome.log).into_owned();
    let got = kept(&log);
    let at = (0..got.len().max(case.log.len()))
        .find(|&i| got.get(i).map(String::as_str) != case.log.get(i).copied());
    if answer == case.answer && at.is_none() {
        return Ok(());
    }
    let (ours, theirs) = at.map_or(("", ""), |at| {
        (
            got.get(at).map_or("(end)", String::as_str),
            case.log.get(at).copied().unwrap_or("(end)"),
        )
    });
    Err(format!(
        "{}: {answer} instead of {}\n    -{theirs}\n    +{ours}\n",
        case.name, case.answer
    ))
}

#[test]
fn linux_gives_the_same_answers() {
    let cases = cases();
    assert!(cases.len() > 600, "the data are there");
    let wrong: String = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(wrong.is_empty(), "{wrong}");
}

//! Whether the set-up, the stack analyses and the rewriting answer as Linux 6.18 answered.
//!
//! Each file in `answers/` holds programs with what the kernel said: errno, the whole log
//! (addresses as `0xADDR`), and, where recorded, the program it would run. A case is
//!
//! ```text
//! ## name
//! type: 1            BPF_PROG_TYPE_*
//! level: 2           log level
//! flags: 8           BPF_F_*, when not 0
//! btf: 9feb…         also func_info, line_info; in hex
//! map: 100 2 4 8 1   descriptor, type, key, value, entries
//! errno: 0           0 for accepted
//! insns:             the assembler's text, up to `log:`
//! log:
//! xlated:            optional
//! end
//! ```

use std::fmt::Write;
use std::sync::Arc;

use skep_abi::Errno;
use skep_btf::Btf;
use skep_isa::asm::{NoSymbols, assemble};
use skep_isa::{Insn, NoNames, text};
use skep_verifier::{
    Env, Executable, MapFacts, MapId, Privilege, Records, Request, Verdict, verify,
};

#[test]
fn control_flow() {
    check(include_str!("answers/control_flow.txt"));
}

#[test]
fn pseudo_loads() {
    check(include_str!("answers/pseudo_loads.txt"));
}

#[test]
fn btf_info() {
    check(include_str!("answers/btf_info.txt"));
}

#[test]
fn stack_liveness() {
    check(include_str!("answers/stack_liveness.txt"));
}

#[test]
fn stack_depth() {
    check(include_str!("answers/stack_depth.txt"));
}

#[test]
fn rewrite() {
    check(include_str!("answers/rewrite.txt"));
}

/// Runs every case of a file and reports all that differ.
fn check(file: &str) {
    let cases: Vec<Case> = file.split("\nend\n").filter_map(Case::parse).collect();
    assert!(cases.len() > 5, "the file of answers is cut short");
    let mut wrong = String::new();
    for case in &cases {
        let got = case.run();
        if got != case.expected {
            let _ = writeln!(
                wrong,
                "## {}\n{}",
                case.name,
                difference(&case.expected, &got)
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The first lines in which two answers differ.
fn difference(expected: &str, got: &str) -> String {
    let mut lines = expected.lines().zip(got.lines());
    match lines.find(|(expected, got)| expected != got) {
        Some((expected, got)) => format!("  Linux: {expected}\n  skep:  {got}"),
        None => {
            let (linux, skep) = (expected.lines().count(), got.lines().count());
            format!("  Linux: {linux} lines\n  skep:  {skep} lines")
        }
    }
}

#[derive(Default)]
struct Case {
    name: String,
    prog_type: u32,
    level: u32,
    flags: u32,
    btf: Option<Arc<Btf>>,
    func_info: Vec<u8>,
    line_info: Vec<u8>,
    maps: Vec<Arc<MapFacts>>,
    insns: Vec<Insn>,
    /// Errno, log and rewritten program as one text.
    expected: String,
    has_xlated: bool,
}

impl Case {
    fn parse(block: &str) -> Option<Case> {
        let mut case = Case::default();
        let mut source = String::new();
        let mut part = "";
        for line in block.lines() {
            match (line, line.strip_prefix("  ")) {
                ("insns:" | "log:" | "xlated:", _) => {
                    part = line;
                    case.has_xlated |= line == "xlated:";
                    if line != "insns:" {
                        let _ = writeln!(case.expected, "{line}");
                    }
                }
                (_, Some(text)) if part == "insns:" => {
                    let _ = writeln!(source, "{text}");
                }
                (_, Some(text)) => {
                    let _ = writeln!(case.expected, "{text}");
                }
                _ => case.header(line),
            }
        }
        let assembled = assemble(&source, &NoSymbols);
        case.insns = assembled
            .unwrap_or_else(|error| panic!("{}: {error}", case.name))
            .insns;
        (!case.name.is_empty()).then_some(case)
    }

    fn header(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("## ") {
            self.name = name.to_owned();
        }
        let Some((key, value)) = line.split_once(": ") else {
            return;
        };
        let number = value.parse().unwrap_or(0);
        match key {
            "type" => self.prog_type = number,
            "level" => self.level = number,
            "flags" => self.flags = number,
            "btf" => self.btf = Some(Arc::new(Btf::parse(&unhex(value)).expect("recorded BTF"))),
            "func_info" => self.func_info = unhex(value),
            "line_info" => self.line_info = unhex(value),
            "map" => self.maps.push(Arc::new(map_facts(value))),
            "errno" => {
                let _ = writeln!(self.expected, "errno {value}");
            }
            _ => {}
        }
    }

    fn run(&self) -> String {
        let request = Request {
            insns: &self.insns,
            prog_type: self.prog_type,
            expected_attach_type: 0,
            flags: self.flags,
            name: "test",
            gpl_compatible: true,
            btf: self.btf.clone(),
            btf_refused: None,
            func_info: Records::new(&self.func_info, 8),
            line_info: Records::new(&self.line_info, 16),
            core_relos: Records::default(),
            fd_array_cnt: 0,
            attach_btf_id: 0,
            attach_to: Default::default(),
            log_level: self.level,
            log_keep: skep_verifier::LogKeep::All,
            privilege: Privilege::FULL,
            record_states: false,
        };
        let outcome = verify(&request, &World { maps: &self.maps });
        let mut got = match &outcome.verdict {
            Verdict::Accept(_) => "errno 0\n".to_owned(),
            Verdict::Reject(reject) => format!("errno {}\n", reject.errno.0),
            Verdict::Unsupported(what) => format!("unsupported: {what}\n"),
        };
        got.push_str("log:\n");
        for line in String::from_utf8_lossy(&outcome.log).lines() {
            let _ = writeln!(got, "{}", hide_addresses(line).trim_end());
        }
        if let (true, Verdict::Accept(executable)) = (self.has_xlated, &outcome.verdict) {
            got.push_str("xlated:\n");
            got.push_str(&listing(executable));
        }
        got
    }
}

/// The instructions as the file of answers writes them.
fn listing(executable: &Executable) -> String {
    let mut out = String::new();
    let mut at = 0;
    while let Some(insn) = executable.insns.get(at) {
        let _ = writeln!(out, "{}", text(&executable.insns, at, &NoNames));
        at += if insn.code == 0x18 { 2 } else { 1 };
    }
    out
}

fn hide_addresses(line: &str) -> String {
    match line.split_once("0xffff") {
        Some((before, after)) if after.len() >= 12 => {
            format!("{before}0xADDR{}", hide_addresses(&after[12..]))
        }
        _ => line.to_owned(),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(digits).collect()
}

fn map_facts(text: &str) -> MapFacts {
    let numbers: Vec<u32> = text.split(' ').filter_map(|n| n.parse().ok()).collect();
    MapFacts {
        id: MapId(numbers[0]),
        map_type: numbers[1],
        key_size: numbers[2],
        value_size: numbers[3],
        max_entries: numbers[4],
        flags: 0,
        name: "m".to_owned(),
        frozen: false,
        inner: None,
        btf: None,
        map_extra: 0,
        for_unprivileged: false,
        fields: Default::default(),
        for_another: false,
    }
}

struct World<'a> {
    maps: &'a [Arc<MapFacts>],
}

impl Env for World<'_> {
    fn map_by_fd(&self, fd: i32) -> Result<Arc<MapFacts>, Errno> {
        let found = self.maps.iter().find(|map| map.id.0 as i32 == fd);
        found.cloned().ok_or(Errno::EBADF)
    }
    fn fd_at_index(&self, _: u32) -> Result<i32, Errno> {
        Err(Errno::EPROTO)
    }
    fn check_btf_fd(&self, _: i32) -> Result<(), Errno> {
        Err(Errno::EBADF)
    }
    fn map_constant(&self, _: MapId, _: u32, _: u32) -> Option<u64> {
        None
    }
    fn map_address(&self, map: MapId) -> u64 {
        0xffff_8880_0000_0000 + u64::from(map.0) * 256
    }
    fn map_value_address(&self, map: MapId, offset: u32) -> Option<u64> {
        Some(0xffff_8881_0000_0000 + u64::from(map.0) * 256 + u64::from(offset))
    }
    fn kernel_btf(&self) -> Option<Arc<Btf>> {
        None
    }
    fn cpu_count(&self) -> u32 {
        2
    }
    fn now_us(&self) -> u64 {
        0
    }
}

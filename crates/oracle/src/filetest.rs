//! What a filetest says: a case, and what a kernel should make of it.
//!
//! A file has a header of lines `key: value`, a line `---`, and assembler in the syntax of
//! the kernel's log. Comments start with `//`. The keys:
//!
//! ```text
//! type: xdp                      program type, default socket_filter
//! attach: xdp_devmap             expected attach type
//! license: GPL                   default GPL
//! flags: strict_alignment, …     program flags by name, or a number
//! caps: all | none | bpf,…        the capabilities of the caller; default all
//! btf: static                    BTF describes the functions, all but the first static
//! level: 2                       level of the log, default 1
//! map: NAME TYPE key=4 value=8 entries=16 [flags=…] [extra=0x…] [inner=NAME] [frozen]
//! elem: MAP KEYHEX VALUEHEX      also `self` (this program) or `map=NAME` as the value
//! accept                         the expectation: exactly one of the two
//! reject EACCES
//! log: text                      part of a line of the log; several, in order
//! state: 3: R1=scalar()          part of a line of the log about slot 3
//! stats: processed 5 insns       part of the line of figures
//! run: INPUTHEX [ctx=HEX] -> RETVAL [out=HEX] [ctx=HEX]
//! ```
//!
//! After an instruction, `//! text` says that this instruction is the one at fault and
//! that the text is part of the message. Instead of a returned value, a run may name the
//! error that it ends in.

mod header;
mod judge;

use std::collections::BTreeMap;

use skep_abi::Errno;
use skep_isa::Insn;
use skep_isa::asm::{Symbols, assemble};

use crate::case::Case;
use header::Header;

/// A parsed filetest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filetest {
    /// What is put to the kernel.
    pub case: Case,
    /// Taken, or refused with this number.
    pub verdict: Result<(), Errno>,
    /// Texts that must be in the log, in this order.
    pub log: Vec<String>,
    /// Slots, and texts that must be in a line of the log about them.
    pub states: Vec<(usize, String)>,
    /// A text that must be in the line of figures.
    pub stats: Option<String>,
    /// The slot at fault and a part of the message.
    pub fault: Option<(usize, String)>,
    /// What each run must give.
    pub runs: Vec<Expected>,
}

/// What a run must give.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    /// The returned value, or the error.
    pub result: Result<u32, Errno>,
    /// The packet afterwards, where it matters.
    pub data: Option<Vec<u8>>,
    /// The context afterwards, where it matters.
    pub ctx: Option<Vec<u8>>,
}

/// Why a file is no filetest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FiletestError {
    /// The line, from 1; 0 for the file as a whole.
    pub line: u32,
    /// What is wrong there.
    pub message: String,
}

impl core::fmt::Display for FiletestError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for FiletestError {}

/// The names a program text may use: Linux's helpers and functions, and the maps of the
/// header.
struct Names<'a>(&'a [crate::case::MapSpec]);

impl Symbols for Names<'_> {
    fn helper(&self, name: &str) -> Option<i32> {
        crate::names::helper(name)
    }

    fn kfunc(&self, name: &str) -> Option<(i32, i16)> {
        crate::names::kfunc(name).map(|id| (id, 0))
    }

    fn map(&self, name: &str) -> Option<i32> {
        let at = self.0.iter().position(|map| map.name == name)?;
        i32::try_from(at).ok()
    }
}

impl Filetest {
    /// Reads a filetest.
    ///
    /// # Errors
    /// At the first line that cannot be understood.
    pub fn parse(text: &str) -> Result<Filetest, FiletestError> {
        let mut header = Header::default();
        let mut lines = (1u32..).zip(text.lines());
        let mut body_starts = None;
        for (number, line) in lines.by_ref() {
            if line.trim_end() == "---" {
                body_starts = Some(number);
                break;
            }
            header.line(line).map_err(|message| FiletestError {
                line: number,
                message,
            })?;
        }
        let whole = |message: &str| FiletestError {
            line: 0,
            message: message.to_owned(),
        };
        let start = body_starts.ok_or_else(|| whole("there is no line `---`"))?;
        let verdict = header
            .verdict
            .ok_or_else(|| whole("neither `accept` nor `reject` is said"))?;
        if verdict.is_err() && !header.runs.is_empty() {
            return Err(whole("a refused program cannot run"));
        }

        // Blank lines in place of the header keep the line numbers of the file.
        let skipped = usize::try_from(start).unwrap_or(0);
        let body: String = (1..=skipped)
            .map(|_| "")
            .chain(text.lines().skip(skipped))
            .flat_map(|line| [line, "\n"])
            .collect();
        let program =
            assemble(&body, &Names(&header.case.maps)).map_err(|error| FiletestError {
                line: error.line,
                message: error.message,
            })?;

        let mut case = header.case;
        for (slot, insn) in program.insns.iter().enumerate() {
            if insn.code == 0x18 && (insn.src == 1 || insn.src == 2) {
                let line = program.lines.get(slot).and_then(|line| {
                    body.lines()
                        .nth(usize::try_from(*line).ok()?.checked_sub(1)?)
                });
                let by_name =
                    line.is_some_and(|line| line.contains("map[") || line.contains("map_value["));
                if let (true, Ok(map)) = (by_name, usize::try_from(insn.imm)) {
                    case.map_slots.push((slot, map));
                }
            }
        }
        if header.btf {
            case.functions = functions(&program.insns, program.labels.iter());
        }
        case.insns = program.insns;
        let mut notes = program.notes.into_iter();
        let fault = notes.next().map(|note| (note.at, note.text));
        if let Some(second) = notes.next() {
            let message = "only one instruction can be at fault".to_owned();
            return Err(FiletestError {
                line: second.line,
                message,
            });
        }
        if verdict.is_ok() && fault.is_some() {
            return Err(whole("no instruction of an accepted program is at fault"));
        }
        Ok(Filetest {
            case,
            verdict,
            log: header.log,
            states: header.states,
            stats: header.stats,
            fault,
            runs: header.runs,
        })
    }
}

/// Where the functions of a program begin, by its calls and function addresses, and their
/// names: a label's, or one made from the slot.
pub(crate) fn functions<'a>(
    insns: &[Insn],
    labels: impl Iterator<Item = (&'a String, &'a usize)>,
) -> Vec<(u32, String)> {
    let mut starts = BTreeMap::from([(0, "main".to_owned())]);
    for (slot, insn) in insns.iter().enumerate() {
        if !matches!((insn.code, insn.src), (0x85, 1) | (0x18, 4)) {
            continue;
        }
        let start = isize::try_from(insn.imm)
            .ok()
            .and_then(|by| slot.checked_add_signed(by)?.checked_add(1));
        if let Some(start) = start.and_then(|start| u32::try_from(start).ok()) {
            starts.entry(start).or_insert_with(|| format!("f{start}"));
        }
    }
    for (label, slot) in labels {
        if let Some(name) = u32::try_from(*slot)
            .ok()
            .filter(|slot| *slot != 0)
            .and_then(|slot| starts.get_mut(&slot))
        {
            name.clone_from(label);
        }
    }
    starts.into_iter().collect()
}

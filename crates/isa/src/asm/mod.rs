//! The assembler: the text of the kernel's log, with labels and symbols, to slots.
//!
//! One instruction a line. What the log adds is understood: a leading `N:` (checked against
//! the slot), an opcode `(xx)` (chooses among forms that read alike), a comment after `;`.
//! Added for writing by hand:
//!
//! - comments after `//`; a note for the instruction before it after `//!`;
//! - `name:` is a label; `goto name`, `if … goto name` and `call name` go there;
//! - `call bpf_loop` without the number; `call 7` by number alone;
//! - `r1 = 5` is a copy of one slot, `r1 = 5 ll` a 64-bit immediate load of two;
//! - `r1 = map[name]`, `map_value[name]+8`, `func[label]`, `btf_id[7]`, `map_idx[0]`,
//!   `map_idx_value[0]+8`;
//! - `.raw 0x07 1 0 0 5` is a slot by its fields: opcode, dst, src, off, imm.

mod cursor;
mod line;
mod matcher;

use std::collections::BTreeMap;
use std::fmt;

use crate::insn::Insn;
use cursor::Cursor;
use line::{Failure, Fixup, FixupKind};

/// What names mean. Every method has an answer for someone who knows no names: `None`.
pub trait Symbols {
    /// The number of a helper, such as `bpf_map_lookup_elem`.
    fn helper(&self, name: &str) -> Option<i32> {
        let _ = name;
        None
    }
    /// The BTF id of a kernel function and the offset that chooses its module.
    fn kfunc(&self, name: &str) -> Option<(i32, i16)> {
        let _ = name;
        None
    }
    /// The number that stands for a map in a load by descriptor.
    fn map(&self, name: &str) -> Option<i32> {
        let _ = name;
        None
    }
}

/// [`Symbols`] of someone who knows none.
#[derive(Clone, Copy, Default, Debug)]
pub struct NoSymbols;

impl Symbols for NoSymbols {}

/// A note that stands after an instruction: `exit //! R0 !read_ok`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// The slot of the instruction.
    pub at: usize,
    /// The source line, from 1.
    pub line: u32,
    /// The text after `//!`, trimmed.
    pub text: String,
}

/// What the assembler made.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Assembled {
    /// The program.
    pub insns: Vec<Insn>,
    /// For each slot, the source line it came from, from 1.
    pub lines: Vec<u32>,
    /// The labels and the slots they stand before.
    pub labels: BTreeMap<String, usize>,
    /// The notes, in order.
    pub notes: Vec<Note>,
}

/// Why a text is no program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AsmError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for AsmError {}

/// Assembles a whole text.
///
/// Errors: [`AsmError`] at the first line that is no instruction, an unknown name, a label
/// given twice or never, or a jump out of a field's reach.
pub fn assemble(source: &str, symbols: &dyn Symbols) -> Result<Assembled, AsmError> {
    let labels = label_names(source);
    let mut out = Assembled::default();
    let mut fixups: Vec<(usize, u32, Fixup)> = Vec::new();
    for (number, text) in (1u32..).zip(source.lines()) {
        let fail = |f: Failure| AsmError {
            line: number,
            column: f.column,
            message: f.message,
        };
        let (code, note) = split_comment(text);
        let mut cursor = Cursor::new(code);
        while let Some(name) = cursor.label() {
            if out
                .labels
                .insert(name.to_owned(), out.insns.len())
                .is_some()
            {
                return Err(fail(Failure::at(
                    &cursor,
                    format!("label `{name}` stands here twice"),
                )));
            }
        }
        let at = out.insns.len();
        if !cursor.at_end() {
            let line = line::parse(&mut cursor, at, symbols, &labels).map_err(fail)?;
            out.insns.extend(line.slots());
            out.lines.resize(out.insns.len(), number);
            fixups.extend(line.fixup.map(|fixup| (at, number, fixup)));
        }
        if let Some(text) = note {
            let at = if out.insns.len() > at {
                at
            } else {
                at.saturating_sub(1)
            };
            out.notes.push(Note {
                at,
                line: number,
                text: text.to_owned(),
            });
        }
    }
    for (at, line, fixup) in fixups {
        resolve(&mut out, at, &fixup).map_err(|message| AsmError {
            line,
            column: fixup.column,
            message,
        })?;
    }
    Ok(out)
}

/// Assembles one instruction that refers to no label: one slot, or two.
///
/// Errors: [`AsmError`], with line 1.
pub fn assemble_one(text: &str, symbols: &dyn Symbols) -> Result<Vec<Insn>, AsmError> {
    assemble(text, symbols).map(|a| a.insns)
}

/// The part of a line before its comment, and its note.
fn split_comment(text: &str) -> (&str, Option<&str>) {
    let cut = text
        .find("//")
        .into_iter()
        .chain(text.find(';'))
        .min()
        .unwrap_or(text.len());
    let (code, comment) = text.split_at(cut);
    (code, comment.strip_prefix("//!").map(str::trim))
}

/// The labels of the whole text, known before the first use of any.
fn label_names(source: &str) -> Vec<&str> {
    source
        .lines()
        .flat_map(|text| {
            let mut cursor = Cursor::new(split_comment(text).0);
            std::iter::from_fn(move || cursor.label())
        })
        .collect()
}

/// Puts the distance to a label into the field that the instruction keeps it in.
fn resolve(out: &mut Assembled, at: usize, fixup: &Fixup) -> Result<(), String> {
    let unknown = || format!("label `{}` stands nowhere", fixup.label);
    let target = *out.labels.get(&fixup.label).ok_or_else(unknown)?;
    let insn = out.insns.get_mut(at).ok_or_else(unknown)?;
    let delta = target as i64 - at as i64 - 1;
    let far = |_| {
        format!(
            "`{}` is {delta} slots away, too far for this instruction",
            fixup.label
        )
    };
    match fixup.kind {
        FixupKind::Off => insn.off = i16::try_from(delta).map_err(far)?,
        FixupKind::Imm => insn.imm = i32::try_from(delta).map_err(far)?,
    }
    Ok(())
}

//! One line of source: its prefixes, and which form's text it is.

use crate::asm::Symbols;
use crate::asm::cursor::{Cursor, Number};
use crate::asm::matcher::Matcher;
use crate::form::{Form, Level};
use crate::insn::Insn;
use crate::table::FORMS;

/// What is wrong with a line, and where.
#[derive(Debug)]
pub(super) struct Failure {
    pub column: u32,
    pub message: String,
}

impl Failure {
    pub(super) fn at(cursor: &Cursor<'_>, message: String) -> Failure {
        Failure {
            column: cursor.column(),
            message,
        }
    }
}

/// Which field a label's distance goes to.
#[derive(Clone, Copy, Debug)]
pub(super) enum FixupKind {
    Off,
    Imm,
}

/// A label that must be resolved when all are known.
#[derive(Debug)]
pub(super) struct Fixup {
    pub kind: FixupKind,
    pub label: String,
    pub column: u32,
}

/// The slots of one line.
#[derive(Debug)]
pub(super) struct Line {
    pub first: Insn,
    pub second: Option<Insn>,
    pub fixup: Option<Fixup>,
}

impl Line {
    pub(super) fn slots(&self) -> impl Iterator<Item = Insn> {
        [Some(self.first), self.second].into_iter().flatten()
    }
}

/// Reads one instruction with its prefixes, up to the end of the line.
pub(super) fn parse(
    cursor: &mut Cursor<'_>,
    at: usize,
    symbols: &dyn Symbols,
    labels: &[&str],
) -> Result<Line, Failure> {
    slot_number(cursor, at)?;
    let code = opcode(cursor);
    cursor.skip_space();
    if cursor.rest().starts_with(".raw") {
        return raw(cursor);
    }
    let mut furthest = Expected {
        left: usize::MAX,
        cursor: *cursor,
        what: Vec::new(),
    };
    for form in FORMS {
        if code.is_some_and(|c| c != form.code) || !can_assemble(form) {
            continue;
        }
        let mut matcher = Matcher::new(form, *cursor, code.is_some(), symbols, labels);
        match matcher.run() {
            Ok(()) => return Ok(matcher.finish()),
            Err(what) => furthest.add(matcher.reach(), what),
        }
    }
    Err(furthest.failure())
}

/// Whether the text tells the form: the catch-all rows of the log do not.
fn can_assemble(form: &Form) -> bool {
    form.level != Level::Never || form.src.selects() || form.off.selects() || form.imm.selects()
}

/// `N:`, which must be the number of the slot.
fn slot_number(cursor: &mut Cursor<'_>, at: usize) -> Result<(), Failure> {
    cursor.skip_space();
    let start = *cursor;
    match cursor.number() {
        Some(n) if cursor.eat(':') => {
            if n.wide() == at as i128 {
                Ok(())
            } else {
                Err(Failure::at(
                    &start,
                    format!("this instruction has the number {at}"),
                ))
            }
        }
        _ => {
            *cursor = start;
            Ok(())
        }
    }
}

/// `(xx)`, two hexadecimal digits.
fn opcode(cursor: &mut Cursor<'_>) -> Option<u8> {
    cursor.skip_space();
    let start = *cursor;
    let code = cursor
        .eat('(')
        .then(|| cursor.word())
        .flatten()
        .filter(|w| w.len() == 2)
        .and_then(|w| u8::from_str_radix(w, 16).ok())
        .filter(|_| cursor.eat(')'));
    if code.is_none() {
        *cursor = start;
    }
    code
}

/// `.raw 0xNN dst src off imm`
fn raw(cursor: &mut Cursor<'_>) -> Result<Line, Failure> {
    let _ = cursor.name();
    let mut field = |what: &str, low: i128, high: i128| {
        cursor.skip_space();
        let start = *cursor;
        match cursor
            .number()
            .map(Number::wide)
            .filter(|n| (low..=high).contains(n))
        {
            Some(n) => Ok(n),
            None => Err(Failure::at(
                &start,
                format!("expected {what}, {low} to {high}"),
            )),
        }
    };
    let code = field("an opcode", 0, 0xff)? as u8;
    let dst = field("a destination", 0, 15)? as u8;
    let src = field("a source", 0, 15)? as u8;
    let off = field("an offset", i128::from(i16::MIN), i128::from(i16::MAX))? as i16;
    let imm = field("an immediate", i128::from(i32::MIN), i128::from(u32::MAX))? as i32;
    if !cursor.at_end() {
        return Err(Failure::at(
            cursor,
            "expected the end of the line".to_owned(),
        ));
    }
    Ok(Line {
        first: Insn::new(code, dst, src, off, imm),
        second: None,
        fixup: None,
    })
}

/// The furthest place any form came to, and what the forms wanted there.
struct Expected<'a> {
    /// The bytes of the line left there.
    left: usize,
    /// Where to point at.
    cursor: Cursor<'a>,
    what: Vec<String>,
}

impl<'a> Expected<'a> {
    fn add(&mut self, (left, cursor): (usize, Cursor<'a>), what: String) {
        if left < self.left {
            *self = Expected {
                left,
                cursor,
                what: vec![what],
            };
        } else if left == self.left && !self.what.contains(&what) {
            self.what.push(what);
        }
    }

    fn failure(mut self) -> Failure {
        const SHOWN: usize = 8;
        let more = self.what.len() > SHOWN;
        self.what.truncate(SHOWN);
        let mut list = self.what.join(", ");
        if more {
            list.push_str(", …");
        }
        let found = match self.cursor.rest().split_whitespace().next() {
            Some(word) => format!("`{word}`"),
            None => "the end of the line".to_owned(),
        };
        Failure::at(&self.cursor, format!("found {found}, expected {list}"))
    }
}

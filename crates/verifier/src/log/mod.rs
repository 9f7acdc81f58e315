//! The log: text at the level asked for, in Linux's words.

pub mod insn;
pub mod state;

use std::fmt::Write;

/// The level at which the walked instructions are printed (either of these bits).
pub const LEVEL: u32 = 3;
/// The bit for all states and all branches.
pub const LEVEL2: u32 = 2;
/// The bit for the figures.
pub const STATS: u32 = 4;

/// The text written so far, with a level.
pub struct Log {
    level: u32,
    text: Text,
    /// The end of the text before the last instruction was printed, 0 for none.
    pub prev_end: u64,
    /// The length of the last instruction's text.
    pub prev_insn_len: u64,
    /// The last source line printed, as an index into the line table.
    pub prev_line: Option<usize>,
}

#[derive(Default)]
struct Text(Vec<u8>);

impl Write for Text {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        self.0.extend_from_slice(s.as_bytes());
        Ok(())
    }
}

impl Log {
    /// An empty log.
    pub fn new(level: u32) -> Log {
        Log {
            level,
            text: Text::default(),
            prev_end: 0,
            prev_insn_len: 0,
            prev_line: None,
        }
    }

    /// Whether anything is written at all.
    #[inline]
    pub fn enabled(&self) -> bool {
        self.level != 0
    }

    /// Whether one of the bits of `level` was asked for.
    #[inline]
    pub fn at(&self, level: u32) -> bool {
        self.level & level != 0
    }

    /// Appends text.
    pub fn write(&mut self, args: std::fmt::Arguments<'_>) {
        if self.level != 0 {
            // Writing to memory cannot fail.
            let _ = self.text.write_fmt(args);
        }
    }

    /// Where the text ends.
    #[inline]
    pub fn end(&self) -> u64 {
        self.text.0.len() as u64
    }

    /// Forgets the text after `end`.
    pub fn reset(&mut self, end: u64) {
        self.text.0.truncate(end as usize);
    }

    /// The text.
    pub fn into_text(self) -> Vec<u8> {
        self.text.0
    }
}

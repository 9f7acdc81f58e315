//! The log: text at the level asked for, in Linux's words.

pub mod insn;
pub mod state;

use std::fmt::Write;

use crate::env::LogKeep;

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
    /// Nothing is written for the moment.
    pub muted: bool,
}

/// The part of the text that is kept, and where it lies in the whole.
struct Text {
    kept: Vec<u8>,
    /// Where the kept part begins.
    start: u64,
    /// Where the whole ends.
    end: u64,
    /// The furthest end there ever was, whatever was forgotten since.
    peak: u64,
    /// Where the oldest text lies that was never pushed out of the room, not even by text that
    /// was forgotten since.
    intact: u64,
    keep: LogKeep,
}

impl Text {
    /// Bytes beyond the room that may gather before they are dropped, so that dropping is rare.
    const SLACK: usize = 1 << 16;

    fn append(&mut self, bytes: &[u8]) {
        self.end += bytes.len() as u64;
        self.peak = self.peak.max(self.end);
        if let LogKeep::Last(room) = self.keep {
            self.intact = self.intact.max(self.end.saturating_sub(room as u64));
        }
        match self.keep {
            LogKeep::All => self.kept.extend_from_slice(bytes),
            LogKeep::First(room) => {
                let free = room.saturating_sub(self.kept.len());
                self.kept.extend_from_slice(&bytes[..bytes.len().min(free)]);
            }
            LogKeep::Last(room) => {
                self.kept.extend_from_slice(bytes);
                if self.kept.len() > room.saturating_mul(2).saturating_add(Self::SLACK) {
                    self.drop_front(room);
                }
            }
        }
    }

    /// Drops what was ever pushed out of the room.
    fn drop_pushed_out(&mut self) {
        let lost = self.intact.saturating_sub(self.start) as usize;
        let lost = lost.min(self.kept.len());
        self.kept.drain(..lost);
        self.start += lost as u64;
    }

    /// Drops all but the last `room` bytes.
    fn drop_front(&mut self, room: usize) {
        let extra = self.kept.len().saturating_sub(room);
        self.kept.drain(..extra);
        self.start += extra as u64;
    }

    fn reset(&mut self, end: u64) {
        self.end = self.end.min(end);
        self.intact = self.intact.min(self.end);
        if self.end < self.start {
            self.kept.clear();
            self.start = self.end;
        }
        self.kept.truncate((self.end - self.start) as usize);
    }
}

impl Write for Text {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        self.append(s.as_bytes());
        Ok(())
    }
}

impl Log {
    /// An empty log.
    pub fn new(level: u32, keep: LogKeep) -> Log {
        Log {
            level,
            text: Text {
                // The figures at the end fit, which is all that most logs hold.
                kept: Vec::with_capacity(if level == 0 { 0 } else { 256 }),
                start: 0,
                end: 0,
                peak: 0,
                intact: 0,
                keep,
            },
            prev_end: 0,
            prev_insn_len: 0,
            prev_line: None,
            muted: false,
        }
    }

    /// Whether anything is written at all.
    #[inline]
    pub fn enabled(&self) -> bool {
        self.level != 0 && !self.muted
    }

    /// Whether one of the bits of `level` was asked for.
    #[inline]
    pub fn at(&self, level: u32) -> bool {
        self.level & level != 0 && !self.muted
    }

    /// Appends text.
    pub fn write(&mut self, args: std::fmt::Arguments<'_>) {
        if self.enabled() {
            // Writing to memory cannot fail.
            let _ = self.text.write_fmt(args);
        }
    }

    /// Appends a piece of text as it is.
    pub fn piece(&mut self, text: &str) {
        if self.enabled() {
            self.text.append(text.as_bytes());
        }
    }

    /// Appends text and a number, which nothing needs to be formatted for.
    pub fn figure(&mut self, text: &str, number: u64) {
        /// The digits of the largest number.
        const DIGITS: usize = 20;
        let mut digits = [b'0'; DIGITS];
        let (mut rest, mut first) = (number, DIGITS);
        while first > 0 && (rest > 0 || first == DIGITS) {
            first -= 1;
            digits[first] += (rest % 10) as u8;
            rest /= 10;
        }
        if self.enabled() {
            self.text.append(text.as_bytes());
            self.text.append(&digits[first..]);
        }
    }

    /// Where the text ends.
    #[inline]
    pub fn end(&self) -> u64 {
        self.text.end
    }

    /// Forgets the text after `end`.
    pub fn reset(&mut self, end: u64) {
        self.text.reset(end);
    }

    /// What is kept of the text, and how long it ever was.
    pub fn finish(mut self) -> (Vec<u8>, u64) {
        if let LogKeep::Last(room) = self.text.keep {
            self.text.drop_pushed_out();
            self.text.drop_front(room);
        }
        (self.text.kept, self.text.peak)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keep: LogKeep, kept: &str, peak: u64) {
        let mut log = Log::new(1, keep);
        for number in 0..10 {
            log.write(format_args!("line {number}\n"));
        }
        let end = log.end();
        log.write(format_args!("a path that was forgotten\n"));
        log.reset(end);
        log.write(format_args!("end\n"));
        assert_eq!(log.end(), 74);
        let (text, longest) = log.finish();
        assert_eq!(
            (String::from_utf8_lossy(&text).as_ref(), longest),
            (kept, peak)
        );
    }

    #[test]
    fn keeps_the_part_asked_for() {
        let all: String = (0..10).map(|n| format!("line {n}\n")).collect::<String>() + "end\n";
        check(LogKeep::All, &all, 96);
        check(LogKeep::First(9), "line 0\nli", 96);
        check(LogKeep::Last(8), "end\n", 96);
        // What the forgotten path pushed out does not come back.
        check(LogKeep::Last(40), &all[all.len() - 4 - 14..], 96);
    }
}

//! A place in one line of source, and the small things that can be read there.

/// A place in one line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// A number as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Number {
    /// Whether a minus sign stands before it.
    pub negative: bool,
    /// The digits.
    pub magnitude: u64,
    /// Whether it is written in hexadecimal.
    pub hex: bool,
}

impl Number {
    /// The value in 32 bits, signed.
    pub(super) fn as_i32(self) -> Option<i32> {
        i32::try_from(self.wide()).ok()
    }

    /// The value in 32 bits, read as unsigned when it is above the signed range.
    pub(super) fn as_bits32(self) -> Option<i32> {
        self.as_i32()
            .or_else(|| u32::try_from(self.wide()).ok().map(|n| n as i32))
    }

    /// The value in 64 bits; a negative one in two's complement.
    pub(super) fn as_bits64(self) -> Option<u64> {
        let wide = self.wide();
        u64::try_from(wide)
            .ok()
            .or_else(|| i64::try_from(wide).ok().map(|n| n as u64))
    }

    /// The value, which always fits.
    pub(super) fn wide(self) -> i128 {
        let n = i128::from(self.magnitude);
        if self.negative { -n } else { n }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    /// The column in characters, from 1.
    pub(super) fn column(&self) -> u32 {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        u32::try_from(before.chars().count())
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    }

    /// What is left of the line.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    pub(super) fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Whether only blanks are left.
    pub(super) fn at_end(&mut self) -> bool {
        self.skip_space();
        self.rest().is_empty()
    }

    /// Goes past one character if it stands right here.
    pub(super) fn eat(&mut self, c: char) -> bool {
        let found = self.rest().starts_with(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    /// Goes past one character, blanks before it aside.
    pub(super) fn eat_spaced(&mut self, c: char) -> bool {
        let before = *self;
        self.skip_space();
        let found = self.eat(c);
        if !found {
            *self = before;
        }
        found
    }

    /// A run of letters, digits and underscores.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).filter(|w| !w.is_empty())
    }

    /// A word that is no number; dots and dollar signs may stand inside it.
    pub(super) fn name(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '.') {
            return None;
        }
        let end = rest
            .find(|c| !is_word(c) && c != '.' && c != '$')
            .unwrap_or(rest.len());
        self.at += end;
        rest.get(..end)
    }

    /// `name:`, with the blanks around it.
    pub(super) fn label(&mut self) -> Option<&'a str> {
        let before = *self;
        self.skip_space();
        let name = self.name().filter(|_| self.eat(':'));
        if name.is_none() {
            *self = before;
        }
        name
    }

    /// A register: `prefix` and a number up to 15.
    pub(super) fn register(&mut self, prefix: char) -> Option<u8> {
        let before = *self;
        let number = self.word().and_then(|w| w.strip_prefix(prefix));
        let number = number.filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
        let number = number
            .and_then(|n| n.parse::<u8>().ok())
            .filter(|n| *n <= 15);
        if number.is_none() {
            *self = before;
        }
        number
    }

    /// Decimal or hexadecimal digits, with an optional sign right before them.
    pub(super) fn number(&mut self) -> Option<Number> {
        let before = *self;
        let negative = self.eat('-');
        if !negative {
            self.eat('+');
        }
        let number = self.word().and_then(|word| {
            let hex = word.strip_prefix("0x");
            let magnitude = match hex {
                Some(digits) => u64::from_str_radix(digits, 16).ok()?,
                None if word.bytes().all(|b| b.is_ascii_digit()) => word.parse().ok()?,
                None => return None,
            };
            Some(Number {
                negative,
                magnitude,
                hex: hex.is_some(),
            })
        });
        if number.is_none() {
            *self = before;
        }
        number
    }

    /// `+8`, `- 8`: a number with a sign that may stand apart; nothing at all is zero.
    pub(super) fn displacement(&mut self) -> Option<i128> {
        self.skip_space();
        let negative = self.eat('-');
        if !negative && !self.eat('+') {
            return Some(0);
        }
        self.skip_space();
        let number = self.number().filter(|n| !n.negative)?;
        Some(if negative {
            -number.wide()
        } else {
            number.wide()
        })
    }
}

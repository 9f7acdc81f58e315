//! The words of a command: taken one after the other, as bpftool understands them.

use super::failure::{Answer, Failure};

/// The words that are left.
#[derive(Clone, Debug)]
pub struct Words {
    words: std::vec::IntoIter<String>,
}

/// Whether `word` is `whole` or a beginning of it.
pub fn is_prefix(word: &str, whole: &str) -> bool {
    !word.is_empty() && whole.starts_with(word)
}

impl Words {
    /// The words of a command.
    pub fn new(words: Vec<String>) -> Words {
        Words {
            words: words.into_iter(),
        }
    }

    /// The next word, which stays.
    pub fn peek(&self) -> Option<&str> {
        self.words.as_slice().first().map(String::as_str)
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.words.len()
    }

    /// Takes the next word.
    pub fn next(&mut self) -> Option<String> {
        self.words.next()
    }

    /// Takes the next word when it is this one, or a beginning of it.
    pub fn take(&mut self, whole: &str) -> bool {
        let there = self.peek().is_some_and(|word| is_prefix(word, whole));
        if there {
            self.words.next();
        }
        there
    }

    /// Takes the word behind one that is already taken.
    pub fn value_of(&mut self, what: &str) -> Answer<String> {
        self.next()
            .ok_or_else(|| Failure::message(format!("what is '{what}'?")))
    }

    /// Takes a number in C's notation.
    pub fn number(&mut self, what: &str) -> Answer<u32> {
        let word = self.value_of(what)?;
        parse_number(&word)
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| Failure::message(format!("can't parse {what}: '{word}'")))
    }

    /// Takes bytes: decimal, `0x…`, or digits behind `hex`.
    pub fn bytes(&mut self, what: &str, len: usize) -> Answer<Vec<u8>> {
        let hex = self.take("hex");
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let Some(word) = self.next() else {
                let got = bytes.len();
                return Err(Failure::message(format!(
                    "{what} expected {len} bytes got {got}"
                )));
            };
            let number = match hex {
                true => u64::from_str_radix(word.trim_start_matches("0x"), 16).ok(),
                false => parse_number(&word),
            };
            let byte = number.and_then(|number| u8::try_from(number).ok());
            bytes
                .push(byte.ok_or_else(|| Failure::message(format!("error parsing byte: {word}")))?);
        }
        Ok(bytes)
    }

    /// Refuses words that nobody asked for.
    pub fn end(&self) -> Answer<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Failure::Usage),
        }
    }
}

/// A number as C writes it: decimal, `0x…`, or octal with a leading zero.
pub fn parse_number(word: &str) -> Option<u64> {
    if let Some(hex) = word.strip_prefix("0x").or(word.strip_prefix("0X")) {
        u64::from_str_radix(hex, 16).ok()
    } else if word.len() > 1 && word.starts_with('0') {
        u64::from_str_radix(word, 8).ok()
    } else {
        word.parse().ok()
    }
}

/// Parts a line of a batch file into words; quotes hold words together.
pub fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split() {
        let check = |line, wanted: &[&str]| assert_eq!(split(line), wanted, "{line}");
        check("", &[]);
        check("  map  show\tid 3 ", &["map", "show", "id", "3"]);
        check(
            "prog load \"a b.o\" 'x'y \"\"",
            &["prog", "load", "a b.o", "xy", ""],
        );
    }

    #[test]
    fn bytes_are_read() {
        let check = |line, len, wanted: Result<&[u8], &str>| {
            let mut words = Words::new(split(line));
            let wanted = wanted.map(<[u8]>::to_vec).map_err(Failure::message);
            assert_eq!(words.bytes("key", len), wanted, "{line}");
        };
        check("1 0x10 010", 3, Ok(&[1, 16, 8]));
        check("hex 0a ff", 2, Ok(&[10, 255]));
        check("1 2", 3, Err("key expected 3 bytes got 2"));
        check("256", 1, Err("error parsing byte: 256"));
        check("hex 0g", 1, Err("error parsing byte: 0g"));
    }
}

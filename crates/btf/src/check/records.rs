//! The records of a blob while they are being checked: nothing about them is certain yet.

use crate::kind::Kind;
use crate::words::word;

/// The highest type id there can be (`BTF_MAX_TYPE`).
const MAX_TYPE: u32 = 0x000f_ffff;
/// The longest name of a type or variable, its NUL included.
const NAME_MAX: usize = 512;

/// One record, as far as its own bytes reach.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) id: u32,
    pub(super) kind: Kind,
    pub(super) name: u32,
    pub(super) info: u32,
    pub(super) size_or_type: u32,
    pub(super) extra: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) fn vlen(&self) -> u32 {
        self.info & 0xffff
    }

    pub(super) fn flag(&self) -> bool {
        self.info >> 31 != 0
    }

    /// A word after the first three.
    pub(super) fn word(&self, index: usize) -> u32 {
        word(self.extra, index)
    }

    pub(super) fn int_bits(&self) -> u32 {
        self.word(0) & 0xff
    }

    pub(super) fn int_offset(&self) -> u32 {
        (self.word(0) >> 16) & 0xff
    }

    /// An integer that is nothing but its bytes: one, two, four, eight or sixteen of them.
    pub(super) fn is_regular_int(&self) -> bool {
        self.kind == Kind::Int
            && self.int_offset() == 0
            && matches!(self.int_bits(), 8 | 16 | 32 | 64 | 128)
    }

    /// The name and type of a parameter.
    pub(super) fn param(&self, index: usize) -> (u32, u32) {
        (self.word(2 * index), self.word(2 * index + 1))
    }

    /// The type, offset and size of a variable of a section.
    pub(super) fn variable(&self, index: usize) -> [u32; 3] {
        [0, 1, 2].map(|at| self.word(3 * index + at))
    }
}

/// The records found so far, and the strings.
pub(super) struct Records<'a> {
    pub(super) types: &'a [u8],
    pub(super) strings: &'a [u8],
    offsets: Vec<u32>,
}

impl<'a> Records<'a> {
    pub(super) fn new(types: &'a [u8], strings: &'a [u8]) -> Records<'a> {
        Records {
            types,
            strings,
            offsets: Vec::new(),
        }
    }

    /// Notes where the next record begins.
    pub(super) fn add(&mut self, offset: usize) {
        self.offsets.push(u32::try_from(offset).unwrap_or(u32::MAX));
    }

    /// One more than the highest id.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.offsets.len() + 1).unwrap_or(u32::MAX)
    }

    /// The record of an id; that of 0 is void.
    pub(super) fn get(&self, id: u32) -> Option<Record<'a>> {
        let Some(own) = id.checked_sub(1) else {
            return Some(Record {
                id: 0,
                kind: Kind::Void,
                name: 0,
                info: 0,
                size_or_type: 0,
                extra: &[],
            });
        };
        let offset = *self.offsets.get(own as usize)? as usize;
        self.at(id, offset)
    }

    /// The record that begins at an offset of the type section.
    pub(super) fn at(&self, id: u32, offset: usize) -> Option<Record<'a>> {
        let bytes = self.types.get(offset..)?;
        let info = word(bytes, 1);
        let kind = Kind::from_number((info >> 24) & 0x1f)?;
        let len = 4 * kind.extra_words((info & 0xffff) as usize);
        let rest = bytes.get(12..)?;
        Some(Record {
            id,
            kind,
            name: word(bytes, 0),
            info,
            size_or_type: word(bytes, 2),
            extra: rest.get(..len).unwrap_or(rest),
        })
    }

    /// Whether an offset lies among the strings.
    pub(super) fn has_name(&self, offset: u32) -> bool {
        (offset as usize) < self.strings.len()
    }

    /// The bytes of a name.
    pub(super) fn name(&self, offset: u32) -> &'a [u8] {
        let rest = self.strings.get(offset as usize..).unwrap_or(&[]);
        let end = rest.iter().position(|byte| *byte == 0);
        rest.get(..end.unwrap_or(rest.len())).unwrap_or(&[])
    }

    /// A name as the log shows it.
    pub(super) fn shown_name(&self, offset: u32) -> &'a [u8] {
        match self.name(offset) {
            _ if offset == 0 => b"(anon)",
            _ if !self.has_name(offset) => b"(invalid-name-offset)",
            name => name,
        }
    }

    /// Letters, digits, underscores and dots, and no digit at the start.
    pub(super) fn is_identifier(&self, offset: u32) -> bool {
        let name = self.name(offset);
        // Linux knows the letters of Latin-1.
        let fits = |byte: &u8| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'.' | 0xc0..=0xd6 | 0xd8..=0xf6 | 0xf8..=0xff)
        };
        self.has_name(offset)
            && name.len() <= NAME_MAX
            && name.first().is_some_and(|first| !first.is_ascii_digit())
            && name.iter().all(fits)
    }

    /// Anything that can be printed.
    pub(super) fn is_section_name(&self, offset: u32) -> bool {
        let name = self.name(offset);
        // The signs of Latin-1 count as printable too.
        let fits = |byte: &u8| matches!(byte, 0x20..=0x7e | 0xa0..=0xff);
        self.has_name(offset) && (1..=NAME_MAX).contains(&name.len()) && name.iter().all(fits)
    }
}

/// Whether an id is one that a blob could have.
pub(super) fn is_possible_id(id: u32) -> bool {
    id <= MAX_TYPE
}

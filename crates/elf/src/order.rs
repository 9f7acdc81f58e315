//! Objects in the other byte order: turned around as a whole, they are read like all others.
//!
//! What is turned around is what readers look at: the headers, symbols, relocations, instructions,
//! types, and the words of data that relocations are for. Other data are the program's own bytes.

use std::borrow::Cow;

use crate::error::{ElfError, Problem};
use crate::header::{DATA_BIG, DATA_LITTLE, EXTENDED_INDEX, HEADER_LEN, SECTION_HEADER_LEN};
use crate::reader::{bytes, string};
use crate::relocation::{REL_LEN, RELA_LEN, RelocationKind};
use crate::section::{SectionFlags, SectionKind};
use crate::symbol::SYMBOL_LEN;

/// In which order the bytes of numbers come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ByteOrder {
    /// The lowest first.
    #[default]
    Little,
    /// The highest first.
    Big,
}

impl core::fmt::Display for ByteOrder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            ByteOrder::Little => "little-endian",
            ByteOrder::Big => "big-endian",
        })
    }
}

/// Where a file says which order it has.
const DATA_AT: usize = 5;
/// Bytes of an instruction slot.
const INSN_LEN: usize = 8;
/// Sections of numbers of sections or symbols: of groups, and of symbols with large ones.
const NUMBERS: [SectionKind; 2] = [SectionKind::Other(17), SectionKind::Other(18)];

/// The byte order that a file says it has. A file that is none of this format has the usual one,
/// and is refused by who reads it.
#[must_use]
pub fn byte_order(file: &[u8]) -> ByteOrder {
    match (file.get(..4), file.get(DATA_AT)) {
        (Some(b"\x7fELF"), Some(&DATA_BIG)) => ByteOrder::Big,
        _ => ByteOrder::Little,
    }
}

/// The file in the order that [`ObjectFile`](crate::ObjectFile) reads: as it is, or turned around.
///
/// # Errors
/// As [`reversed`].
pub fn little(file: &[u8]) -> Result<Cow<'_, [u8]>, ElfError> {
    match byte_order(file) {
        ByteOrder::Little => Ok(Cow::Borrowed(file)),
        ByteOrder::Big => reversed(file).map(Cow::Owned),
    }
}

/// The same object in the other byte order. Turning it around twice gives the file again.
///
/// # Errors
/// [`ElfError`] for what lies outside of the file, and for sections that share bytes. Cost: linear
/// in the file.
pub fn reversed(file: &[u8]) -> Result<Vec<u8>, ElfError> {
    let mut turn = Turn {
        file,
        big: byte_order(file) == ByteOrder::Big,
        out: file.to_vec(),
        left: file.len(),
    };
    turn.object()?;
    Ok(turn.out)
}

/// A section's header.
#[derive(Clone, Copy)]
struct Header {
    name: u32,
    kind: SectionKind,
    flags: SectionFlags,
    offset: u64,
    size: u64,
    link: u32,
    info: u32,
}

struct Turn<'a> {
    file: &'a [u8],
    big: bool,
    out: Vec<u8>,
    /// Bytes that may still be turned: no section's twice.
    left: usize,
}

impl Turn<'_> {
    fn object(&mut self) -> Result<(), ElfError> {
        bytes(self.file, 0, HEADER_LEN, "the file header")?;
        self.fields(
            0,
            &[
                (16, 2),
                (18, 2),
                (20, 4),
                (24, 8),
                (32, 8),
                (40, 8),
                (48, 4),
            ],
        );
        self.fields(0, &[(52, 2), (54, 2), (56, 2), (58, 2), (60, 2), (62, 2)]);
        if let Some(order) = self.out.get_mut(DATA_AT) {
            *order = if self.big { DATA_LITTLE } else { DATA_BIG };
        }
        let sections = self.sections()?;
        let names = match self.number(62, 2) {
            index if index == u64::from(EXTENDED_INDEX) => {
                sections.first().map_or(0, |first| first.link.into())
            }
            index => index,
        };
        let names = sections.get(usize::try_from(names).unwrap_or(usize::MAX));
        let names = match names {
            Some(names) => bytes(self.file, names.offset, names.size, "the section names")?,
            None => &[],
        };
        for header in &sections {
            let name = string(names, header.name, 0, "section").unwrap_or_default();
            self.section(header, name, &sections)?;
        }
        Ok(())
    }

    /// Reads the section table and turns it around.
    fn sections(&mut self) -> Result<Vec<Header>, ElfError> {
        let table = self.number(40, 8);
        if table == 0 {
            return Ok(Vec::new());
        }
        let what = "the section table";
        bytes(self.file, table, SECTION_HEADER_LEN, what)?;
        let at = |index: u64| table.saturating_add(index.saturating_mul(SECTION_HEADER_LEN));
        let first = usize::try_from(table).unwrap_or(usize::MAX);
        let count = match self.number(60, 2) {
            0 => self.number(first.saturating_add(32), 8),
            count => count,
        };
        bytes(
            self.file,
            table,
            count.saturating_mul(SECTION_HEADER_LEN),
            what,
        )?;
        let mut all = Vec::new();
        for index in 0..count {
            let at = usize::try_from(at(index)).unwrap_or(usize::MAX);
            let word = |field: usize| self.number(at.saturating_add(field), 4) as u32;
            let long = |field: usize| self.number(at.saturating_add(field), 8);
            let header = Header {
                name: word(0),
                kind: SectionKind::from_number(word(4)),
                flags: SectionFlags(long(8)),
                offset: long(24),
                size: long(32),
                link: word(40),
                info: word(44),
            };
            all.push(header);
            self.spend(SECTION_HEADER_LEN, at)?;
            self.fields(at, &[(0, 4), (4, 4), (8, 8), (16, 8), (24, 8), (32, 8)]);
            self.fields(at, &[(40, 4), (44, 4), (48, 8), (56, 8)]);
        }
        Ok(all)
    }

    fn section(&mut self, header: &Header, name: &str, all: &[Header]) -> Result<(), ElfError> {
        let is_types = matches!(name, ".BTF" | ".BTF.base" | ".BTF.ext");
        let is_code = header.kind == SectionKind::ProgBits && header.flags.exec();
        // The length of a record, and its fields of more than one byte.
        let (len, fields): (usize, &[(usize, usize)]) = match header.kind {
            SectionKind::SymbolTable => (SYMBOL_LEN, &[(0, 4), (6, 2), (8, 8), (16, 8)]),
            SectionKind::Rela => (RELA_LEN, &[(0, 8), (8, 8), (16, 8)]),
            SectionKind::Rel => (REL_LEN, &[(0, 8), (8, 8)]),
            SectionKind::ProgBits if is_code => (INSN_LEN, &[(2, 2), (4, 4)]),
            SectionKind::ProgBits if name == "version" => (4, &[(0, 4)]),
            SectionKind::NoBits => return Ok(()),
            kind if NUMBERS.contains(&kind) => (4, &[(0, 4)]),
            _ if is_types => (1, &[]),
            _ => return Ok(()),
        };
        let data = bytes(self.file, header.offset, header.size, "a section")?;
        let start = usize::try_from(header.offset).unwrap_or(usize::MAX);
        self.spend(header.size, start)?;
        if is_types {
            let turned = skep_btf::reversed(data, name == ".BTF.ext");
            let place = self.out.get_mut(start..start.saturating_add(data.len()));
            // What is no such blob is refused, or not, by who reads it.
            if let (Some(turned), Some(place)) = (turned, place) {
                place.copy_from_slice(&turned);
            }
            return Ok(());
        }
        for at in (0..data.len() / len).map(|index| start + index * len) {
            self.fields(at, fields);
            // The two registers of an instruction share a byte.
            if let Some(registers) = self.out.get_mut(at + 1).filter(|_| is_code) {
                *registers = registers.rotate_left(4);
            }
        }
        if matches!(header.kind, SectionKind::Rel | SectionKind::Rela)
            && let Some(target) = all.get(header.info as usize)
        {
            self.addends(data, len, start, target);
        }
        Ok(())
    }

    /// Turns the words of data around that a table of relocations is for.
    fn addends(&mut self, table: &[u8], len: usize, start: usize, target: &Header) {
        let loaded = target.kind == SectionKind::ProgBits && target.flags.alloc();
        if !loaded || target.flags.exec() {
            return;
        }
        for at in (0..table.len() / len).map(|index| start + index * len) {
            let size = match RelocationKind::from_number(self.number(at + 8, 8) as u32) {
                RelocationKind::Abs64 => 8,
                RelocationKind::Abs32 => 4,
                _ => continue,
            };
            let place = target.offset.checked_add(self.number(at, 8));
            if let Some(place) = place.and_then(|place| usize::try_from(place).ok()) {
                self.fields(place, &[(0, size)]);
            }
        }
    }

    /// Counts bytes that are turned.
    fn spend(&mut self, bytes: u64, at: usize) -> Result<(), ElfError> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(ElfError::new(at, Problem::Overlap)),
        }
    }

    /// Turns fields around, each at an offset from `at` and of some bytes.
    fn fields(&mut self, at: usize, fields: &[(usize, usize)]) {
        for (offset, len) in fields {
            let start = at.saturating_add(*offset);
            if let Some(field) = self.out.get_mut(start..start.saturating_add(*len)) {
                field.reverse();
            }
        }
    }

    /// A number of the file as it was.
    fn number(&self, at: usize, len: usize) -> u64 {
        let field = self
            .file
            .get(at..at.saturating_add(len))
            .unwrap_or_default();
        let fold = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match self.big {
            true => field.iter().fold(0, fold),
            false => field.iter().rev().fold(0, fold),
        }
    }
}

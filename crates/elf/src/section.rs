//! One section: its name, type, flags and bytes.

use core::fmt;

/// The number of a section in its file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SectionIndex(pub usize);

impl fmt::Display for SectionIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// `SHT_*`, as far as BPF objects use them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SectionKind {
    /// Instructions or initialised data.
    ProgBits,
    /// Data that begins as zeroes; it has a size and no bytes.
    NoBits,
    /// The symbols.
    SymbolTable,
    /// Strings.
    StringTable,
    /// Relocations without addends.
    Rel,
    /// Relocations with addends.
    Rela,
    /// Anything else, by number.
    Other(u32),
}

impl SectionKind {
    pub(crate) fn from_number(number: u32) -> SectionKind {
        match number {
            1 => SectionKind::ProgBits,
            2 => SectionKind::SymbolTable,
            3 => SectionKind::StringTable,
            4 => SectionKind::Rela,
            8 => SectionKind::NoBits,
            9 => SectionKind::Rel,
            other => SectionKind::Other(other),
        }
    }

    pub(crate) fn number(self) -> u32 {
        match self {
            SectionKind::ProgBits => 1,
            SectionKind::SymbolTable => 2,
            SectionKind::StringTable => 3,
            SectionKind::Rela => 4,
            SectionKind::NoBits => 8,
            SectionKind::Rel => 9,
            SectionKind::Other(other) => other,
        }
    }
}

/// `SHF_*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SectionFlags(pub u64);

impl SectionFlags {
    /// It may be written while running.
    pub fn write(self) -> bool {
        self.0 & 1 != 0
    }

    /// It is loaded.
    pub fn alloc(self) -> bool {
        self.0 & 2 != 0
    }

    /// It holds instructions.
    pub fn exec(self) -> bool {
        self.0 & 4 != 0
    }
}

/// A section of an object file.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// Its number.
    pub index: SectionIndex,
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub kind: SectionKind,
    /// Its flags.
    pub flags: SectionFlags,
    /// Its size in bytes; for [`SectionKind::NoBits`] more than `data` holds.
    pub size: u64,
    /// Its alignment in bytes.
    pub align: u64,
    /// Its bytes.
    pub data: &'a [u8],
    /// Where its bytes begin in the file.
    pub file_offset: usize,
    /// `sh_link`: for relocations the symbol table, for symbols their strings.
    pub link: u32,
    /// `sh_info`: for relocations the section they apply to.
    pub info: u32,
    pub(crate) entry_size: u64,
}

//! What can be wrong with an object file, and where.

use thiserror::Error;

/// An unreadable file: what is wrong and at which byte.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("not a usable BPF object, at byte {offset}: {problem}")]
pub struct ElfError {
    /// The offset of the offending bytes in the file.
    pub offset: usize,
    /// What is wrong there.
    pub problem: Problem,
}

impl ElfError {
    pub(crate) fn new(offset: usize, problem: Problem) -> ElfError {
        ElfError { offset, problem }
    }
}

/// The ways in which a file can be unusable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file ends before a structure does.
    #[error("{what} needs {need} bytes, the file has {have} there")]
    Truncated {
        /// Which structure.
        what: &'static str,
        /// Its size.
        need: u64,
        /// Bytes from the offset to the end of the file.
        have: usize,
    },
    /// The file does not begin with `\x7fELF`.
    #[error("not an ELF file")]
    Magic,
    /// A 32-bit file.
    #[error("not a 64-bit ELF file (class {0})")]
    Class(u8),
    /// A big-endian file, where one is read that was to be turned around ([`little`](crate::little)).
    #[error("a big-endian object")]
    BigEndian,
    /// Sections that share bytes.
    #[error("sections share bytes")]
    Overlap,
    /// A byte order that does not exist.
    #[error("unknown byte order {0}")]
    ByteOrder(u8),
    /// An unknown ELF version.
    #[error("unknown ELF version {0}")]
    Version(u32),
    /// Not a relocatable object.
    #[error("not a relocatable object (e_type {0}; link with -r or do not link)")]
    Type(u16),
    /// Machine code of something else.
    #[error("made for another machine (e_machine {0}, BPF is 247; compile with -target bpf)")]
    Machine(u16),
    /// Table entries of another size than the format's.
    #[error("{what} entries are {size} bytes, expected {expected}")]
    EntrySize {
        /// Which table.
        what: &'static str,
        /// The size found.
        size: u64,
        /// The size of the format.
        expected: u64,
    },
    /// A section number that the file does not have.
    #[error("{what} names section {index}, but there are {count}")]
    SectionIndex {
        /// Who refers to it.
        what: &'static str,
        /// The number.
        index: u32,
        /// How many there are.
        count: usize,
    },
    /// A section that should be of another type.
    #[error("{what} points at a section of type {found}")]
    SectionType {
        /// Who refers to it.
        what: &'static str,
        /// The type found.
        found: u32,
    },
    /// A string offset that is out of range, or a string without an end.
    #[error("{what} name offset {offset} is not inside its string table")]
    Name {
        /// Whose name.
        what: &'static str,
        /// The offset.
        offset: u32,
    },
    /// A name that is not UTF-8.
    #[error("{what} name is not UTF-8")]
    Encoding {
        /// Whose name.
        what: &'static str,
    },
    /// More than one symbol table.
    #[error("a second symbol table (section {0})")]
    SecondSymbolTable(u32),
    /// A symbol number that the file does not have.
    #[error("relocation names symbol {index}, but there are {count}")]
    SymbolIndex {
        /// The number.
        index: u32,
        /// How many there are.
        count: usize,
    },
    /// More sections than the ordinary symbol format can name.
    #[error("extended section numbering is not supported")]
    ExtendedSections,
}

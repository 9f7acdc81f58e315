//! One symbol: a name for a place in a section, or for something that is elsewhere.

use crate::error::{ElfError, Problem};
use crate::reader::{Record, string};
use crate::section::{Section, SectionIndex};

pub(crate) const SYMBOL_LEN: usize = 24;
const SECTION_ABSOLUTE: u16 = 0xfff1;
const SECTION_COMMON: u16 = 0xfff2;
const SECTION_EXTENDED: u16 = 0xffff;

/// The number of a symbol in its file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SymbolIndex(pub usize);

/// `STB_*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // The names are those of the format.
pub enum Binding {
    Local,
    Global,
    Weak,
    Other(u8),
}

/// `STT_*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // The names are those of the format.
pub enum SymbolKind {
    None,
    Object,
    Func,
    Section,
    File,
    Other(u8),
}

/// `STV_*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // The names are those of the format.
pub enum Visibility {
    Default,
    Internal,
    Hidden,
    Protected,
}

/// Where a symbol is defined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Elsewhere.
    Undefined,
    /// It is a number, not a place.
    Absolute,
    /// An uninitialised variable without a section of its own.
    Common,
    /// In a section.
    Section(SectionIndex),
    /// A reserved number that BPF objects do not use.
    Reserved(u16),
}

/// A symbol of an object file.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'a> {
    /// Its number.
    pub index: SymbolIndex,
    /// Its name; empty for section symbols.
    pub name: &'a str,
    /// Its binding.
    pub binding: Binding,
    /// Its type.
    pub kind: SymbolKind,
    /// Its visibility.
    pub visibility: Visibility,
    /// Where it is defined.
    pub place: Place,
    /// Its offset in its section.
    pub value: u64,
    /// Its size in bytes.
    pub size: u64,
}

impl Symbol<'_> {
    /// The section it is defined in.
    pub fn section(&self) -> Option<SectionIndex> {
        match self.place {
            Place::Section(index) => Some(index),
            _ => None,
        }
    }

    /// Global or weak.
    pub fn is_global(&self) -> bool {
        matches!(self.binding, Binding::Global | Binding::Weak)
    }
}

/// Reads the symbols of a symbol table with the given string table.
pub(crate) fn parse<'a>(
    table: &Section<'a>,
    strings: &'a [u8],
    section_count: usize,
) -> Result<Vec<Symbol<'a>>, ElfError> {
    let mut symbols = Vec::with_capacity(table.data.len() / SYMBOL_LEN);
    for (index, bytes) in table.data.chunks(SYMBOL_LEN).enumerate() {
        let at = table.file_offset.saturating_add(index * SYMBOL_LEN);
        if bytes.len() < SYMBOL_LEN {
            let (what, need, have) = ("a symbol", SYMBOL_LEN as u64, bytes.len());
            return Err(ElfError::new(at, Problem::Truncated { what, need, have }));
        }
        let record = Record(bytes);
        let info = record.u8(4);
        symbols.push(Symbol {
            index: SymbolIndex(index),
            name: string(strings, record.u32(0), at, "symbol")?,
            binding: match info >> 4 {
                0 => Binding::Local,
                1 => Binding::Global,
                2 => Binding::Weak,
                other => Binding::Other(other),
            },
            kind: match info & 0xf {
                0 => SymbolKind::None,
                1 => SymbolKind::Object,
                2 => SymbolKind::Func,
                3 => SymbolKind::Section,
                4 => SymbolKind::File,
                other => SymbolKind::Other(other),
            },
            visibility: match record.u8(5) & 3 {
                0 => Visibility::Default,
                1 => Visibility::Internal,
                2 => Visibility::Hidden,
                _ => Visibility::Protected,
            },
            place: place(record.u16(6), at, section_count)?,
            value: record.u64(8),
            size: record.u64(16),
        });
    }
    Ok(symbols)
}

fn place(index: u16, at: usize, count: usize) -> Result<Place, ElfError> {
    Ok(match index {
        0 => Place::Undefined,
        SECTION_ABSOLUTE => Place::Absolute,
        SECTION_COMMON => Place::Common,
        SECTION_EXTENDED => return Err(ElfError::new(at + 6, Problem::ExtendedSections)),
        0xff00.. => Place::Reserved(index),
        index if usize::from(index) < count => Place::Section(SectionIndex(usize::from(index))),
        index => {
            let problem = Problem::SectionIndex {
                what: "a symbol",
                index: u32::from(index),
                count,
            };
            return Err(ElfError::new(at + 6, problem));
        }
    })
}

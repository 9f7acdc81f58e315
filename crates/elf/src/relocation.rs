//! One relocation: which bytes stand for which symbol.

use crate::error::{ElfError, Problem};
use crate::reader::Record;
use crate::section::{Section, SectionKind};
use crate::symbol::SymbolIndex;

/// Bytes of a relocation without addend, and with one.
pub(crate) const REL_LEN: usize = 16;
pub(crate) const RELA_LEN: usize = 24;

/// `R_BPF_*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RelocationKind {
    /// Nothing.
    None,
    /// `R_BPF_64_64`: a 64-bit immediate load.
    Load64,
    /// `R_BPF_64_ABS64`: eight bytes of data.
    Abs64,
    /// `R_BPF_64_ABS32`: four bytes of data.
    Abs32,
    /// `R_BPF_64_NODYLD32`: four bytes that no loader resolves (`.BTF`, `.BTF.ext`).
    NoDynLoad32,
    /// `R_BPF_64_32`: a call.
    Call32,
    /// A number that the format does not define.
    Unknown(u32),
}

impl RelocationKind {
    pub(crate) fn from_number(number: u32) -> RelocationKind {
        match number {
            0 => RelocationKind::None,
            1 => RelocationKind::Load64,
            2 => RelocationKind::Abs64,
            3 => RelocationKind::Abs32,
            4 => RelocationKind::NoDynLoad32,
            10 => RelocationKind::Call32,
            other => RelocationKind::Unknown(other),
        }
    }
}

/// A relocation of a section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relocation {
    /// The offset of the bytes in the section they apply to.
    pub offset: u64,
    /// The symbol they stand for.
    pub symbol: SymbolIndex,
    /// How.
    pub kind: RelocationKind,
    /// The addend, where the table has them; otherwise it is in the bytes.
    pub addend: Option<i64>,
    /// Where the relocation itself lies in the file, for messages.
    pub file_offset: usize,
}

/// Reads a relocation table.
pub(crate) fn parse(table: &Section<'_>, symbols: usize) -> Result<Vec<Relocation>, ElfError> {
    let with_addend = table.kind == SectionKind::Rela;
    let size = if with_addend { RELA_LEN } else { REL_LEN };
    if table.entry_size != size as u64 {
        let problem = Problem::EntrySize {
            what: "relocation",
            size: table.entry_size,
            expected: size as u64,
        };
        return Err(ElfError::new(table.file_offset, problem));
    }
    let mut relocations = Vec::with_capacity(table.data.len() / size);
    for (number, bytes) in table.data.chunks(size).enumerate() {
        let file_offset = table.file_offset.saturating_add(number * size);
        if bytes.len() < size {
            let (what, need, have) = ("a relocation", size as u64, bytes.len());
            return Err(ElfError::new(
                file_offset,
                Problem::Truncated { what, need, have },
            ));
        }
        let record = Record(bytes);
        let index = record.u32(12);
        if index as usize >= symbols {
            let problem = Problem::SymbolIndex {
                index,
                count: symbols,
            };
            return Err(ElfError::new(file_offset + 12, problem));
        }
        relocations.push(Relocation {
            offset: record.u64(0),
            symbol: SymbolIndex(index as usize),
            kind: RelocationKind::from_number(record.u32(8)),
            addend: with_addend.then(|| record.u64(16) as i64),
            file_offset,
        });
    }
    Ok(relocations)
}

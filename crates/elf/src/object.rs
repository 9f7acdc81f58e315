//! A whole object file, read once: its sections and symbols, and relocations on demand.

use crate::error::{ElfError, Problem};
use crate::header::{Header, SECTION_HEADER_LEN};
use crate::reader::{Record, bytes, string};
use crate::relocation::{self, Relocation};
use crate::section::{Section, SectionFlags, SectionIndex, SectionKind};
use crate::symbol::{self, SYMBOL_LEN, Symbol, SymbolIndex};

/// A BPF object file that lies in `data`.
#[derive(Clone, Debug)]
pub struct ObjectFile<'a> {
    sections: Vec<Section<'a>>,
    symbols: Vec<Symbol<'a>>,
}

impl<'a> ObjectFile<'a> {
    /// Reads the headers, sections and symbols.
    ///
    /// # Errors
    /// [`ElfError`] names the byte and the problem.
    pub fn parse(data: &'a [u8]) -> Result<ObjectFile<'a>, ElfError> {
        let header = Header::parse(data)?;
        let sections = sections(data, &header)?;
        let symbols = symbols(&sections)?;
        Ok(ObjectFile { sections, symbols })
    }

    /// All sections, by number; number 0 is the empty one that every file begins with.
    pub fn sections(&self) -> &[Section<'a>] {
        &self.sections
    }

    /// A section by number.
    pub fn section(&self, index: SectionIndex) -> Option<&Section<'a>> {
        self.sections.get(index.0)
    }

    /// The first section of this name.
    pub fn section_by_name(&self, name: &str) -> Option<&Section<'a>> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// All symbols, by number; number 0 is the empty one.
    pub fn symbols(&self) -> &[Symbol<'a>] {
        &self.symbols
    }

    /// A symbol by number.
    pub fn symbol(&self, index: SymbolIndex) -> Option<&Symbol<'a>> {
        self.symbols.get(index.0)
    }

    /// The relocations that apply to a section, in the order of the file.
    ///
    /// # Errors
    /// [`ElfError`] for a malformed table or a symbol that does not exist.
    pub fn relocations(&self, target: SectionIndex) -> Result<Vec<Relocation>, ElfError> {
        let mut all = Vec::new();
        for table in &self.sections {
            let is_table = matches!(table.kind, SectionKind::Rel | SectionKind::Rela);
            if is_table && table.info as usize == target.0 {
                all.append(&mut relocation::parse(table, self.symbols.len())?);
            }
        }
        Ok(all)
    }
}

fn sections<'a>(data: &'a [u8], header: &Header) -> Result<Vec<Section<'a>>, ElfError> {
    let table_len = header.section_count.saturating_mul(SECTION_HEADER_LEN);
    let table = bytes(data, header.section_table, table_len, "the section table")?;
    let table_at = usize::try_from(header.section_table).unwrap_or(usize::MAX);
    let records = || table.chunks_exact(SECTION_HEADER_LEN as usize).map(Record);
    let names = match records().nth(header.name_section as usize) {
        Some(record) => bytes(data, record.u64(24), record.u64(32), "the section names")?,
        None if header.section_count == 0 => &[],
        None => {
            let problem = Problem::SectionIndex {
                what: "the file header",
                index: header.name_section,
                count: table.len() / SECTION_HEADER_LEN as usize,
            };
            return Err(ElfError::new(62, problem));
        }
    };
    let mut sections = Vec::with_capacity(table.len() / SECTION_HEADER_LEN as usize);
    for (index, record) in records().enumerate() {
        let at = table_at.saturating_add(index * SECTION_HEADER_LEN as usize);
        let kind = SectionKind::from_number(record.u32(4));
        let (offset, size) = (record.u64(24), record.u64(32));
        // Section 0 may carry the extended section count in its size field.
        let has_bytes = kind != SectionKind::NoBits && kind.number() != 0;
        let len = if has_bytes { size } else { 0 };
        sections.push(Section {
            index: SectionIndex(index),
            name: string(names, record.u32(0), at, "section")?,
            kind,
            flags: SectionFlags(record.u64(8)),
            size,
            align: record.u64(48),
            data: if len == 0 {
                &[]
            } else {
                bytes(data, offset, len, "a section")?
            },
            file_offset: usize::try_from(offset).unwrap_or(usize::MAX),
            link: record.u32(40),
            info: record.u32(44),
            entry_size: record.u64(56),
        });
    }
    Ok(sections)
}

fn symbols<'a>(sections: &[Section<'a>]) -> Result<Vec<Symbol<'a>>, ElfError> {
    let mut tables = sections
        .iter()
        .filter(|s| s.kind == SectionKind::SymbolTable);
    let Some(table) = tables.next() else {
        return Ok(Vec::new());
    };
    if let Some(second) = tables.next() {
        let index = u32::try_from(second.index.0).unwrap_or(u32::MAX);
        return Err(ElfError::new(
            second.file_offset,
            Problem::SecondSymbolTable(index),
        ));
    }
    if table.entry_size != SYMBOL_LEN as u64 {
        let problem = Problem::EntrySize {
            what: "symbol",
            size: table.entry_size,
            expected: SYMBOL_LEN as u64,
        };
        return Err(ElfError::new(table.file_offset, problem));
    }
    let what = "the symbol table";
    let strings = sections.get(table.link as usize).ok_or_else(|| {
        let problem = Problem::SectionIndex {
            what,
            index: table.link,
            count: sections.len(),
        };
        ElfError::new(table.file_offset, problem)
    })?;
    if strings.kind != SectionKind::StringTable {
        let problem = Problem::SectionType {
            what,
            found: strings.kind.number(),
        };
        return Err(ElfError::new(table.file_offset, problem));
    }
    symbol::parse(table, strings.data, sections.len())
}

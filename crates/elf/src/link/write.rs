//! The bytes of the result.

use crate::{Binding, SectionKind, SymbolKind, Visibility};

use super::sections::Sections;
use super::symbols::Symbols;
use super::types::Types;

const HEADER_LEN: usize = 64;
/// The section of what is in none.
const ABSOLUTE: u16 = 0xfff1;
const SYMTAB: u32 = 2;
const STRTAB: u32 = 3;
const REL: u32 = 9;
const SYMBOL_LEN: u64 = 24;
const RELOCATION_LEN: u64 = 16;

/// A section header to be.
struct Entry {
    name: u32,
    kind: u32,
    flags: u64,
    data: Vec<u8>,
    size: u64,
    link: u32,
    info: u32,
    align: u64,
    entry_size: u64,
}

/// A table of strings.
#[derive(Default)]
struct Strings {
    bytes: Vec<u8>,
}

impl Strings {
    fn add(&mut self, text: &str) -> u32 {
        if self.bytes.is_empty() {
            self.bytes.push(0);
        }
        if text.is_empty() {
            return 0;
        }
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        at
    }
}

/// Writes the object: strings, symbols, data, relocations, types.
pub(super) fn object(sections: &Sections, symbols: &Symbols, types: &Types) -> Vec<u8> {
    let mut strings = Strings::default();
    let mut entries: Vec<Entry> = Vec::new();
    // Section numbers: 0 empty, 1 strings, 2 symbols, then the data.
    let first_data = 3u16;
    let table = symbol_table(symbols, first_data, &mut strings);
    for section in &sections.outputs {
        entries.push(Entry {
            name: strings.add(&section.name),
            kind: section.kind.number(),
            flags: section.flags.0,
            size: section.size,
            data: if section.kind == SectionKind::NoBits {
                Vec::new()
            } else {
                section.data.clone()
            },
            link: 0,
            info: 0,
            align: section.align,
            entry_size: 0,
        });
    }
    for (at, section) in sections.outputs.iter().enumerate() {
        if section.relocations.is_empty() {
            continue;
        }
        let mut data = Vec::with_capacity(section.relocations.len() * 16);
        for (offset, symbol, kind) in &section.relocations {
            data.extend(offset.to_le_bytes());
            data.extend((u64::from(*kind) | (*symbol as u64) << 32).to_le_bytes());
        }
        entries.push(Entry {
            name: strings.add(&format!(".rel{}", section.name)),
            kind: REL,
            flags: 0x40,
            size: data.len() as u64,
            data,
            link: 2,
            info: at as u32 + u32::from(first_data),
            align: 8,
            entry_size: RELOCATION_LEN,
        });
    }
    for (name, data) in [(".BTF", &types.btf), (".BTF.ext", &types.ext)] {
        if !data.is_empty() {
            entries.push(Entry {
                name: strings.add(name),
                kind: 1,
                flags: 0,
                size: data.len() as u64,
                data: data.clone(),
                link: 0,
                info: 0,
                align: 8,
                entry_size: 0,
            });
        }
    }
    let symtab = Entry {
        name: strings.add(".symtab"),
        kind: SYMTAB,
        flags: 0,
        size: table.len() as u64,
        data: table,
        link: 1,
        info: symbols.locals as u32,
        align: 8,
        entry_size: SYMBOL_LEN,
    };
    let name = strings.add(".strtab");
    let strtab = Entry {
        name,
        kind: STRTAB,
        flags: 0,
        size: strings.bytes.len() as u64,
        data: strings.bytes,
        link: 0,
        info: 0,
        align: 1,
        entry_size: 0,
    };
    entries.insert(0, symtab);
    entries.insert(0, strtab);
    assemble(&entries)
}

fn assemble(entries: &[Entry]) -> Vec<u8> {
    let mut out = vec![0u8; HEADER_LEN];
    let mut headers = vec![0u8; HEADER_LEN];
    for entry in entries {
        let align = usize::try_from(entry.align.clamp(1, 1 << 16)).unwrap_or(1);
        out.resize(out.len().next_multiple_of(align), 0);
        let offset = out.len() as u64;
        out.extend_from_slice(&entry.data);
        headers.extend(entry.name.to_le_bytes());
        headers.extend(entry.kind.to_le_bytes());
        for word in [entry.flags, 0, offset, entry.size] {
            headers.extend(word.to_le_bytes());
        }
        headers.extend(entry.link.to_le_bytes());
        headers.extend(entry.info.to_le_bytes());
        headers.extend(entry.align.to_le_bytes());
        headers.extend(entry.entry_size.to_le_bytes());
    }
    out.resize(out.len().next_multiple_of(8), 0);
    let table = out.len() as u64;
    out.extend(headers);
    let mut header = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    header.extend(1u16.to_le_bytes());
    header.extend(247u16.to_le_bytes());
    header.extend(1u32.to_le_bytes());
    for word in [0u64, 0, table] {
        header.extend(word.to_le_bytes());
    }
    header.extend(0u32.to_le_bytes());
    for half in [64u16, 0, 0, 64, entries.len() as u16 + 1, 1] {
        header.extend(half.to_le_bytes());
    }
    for (place, byte) in out.iter_mut().zip(header) {
        *place = byte;
    }
    out
}

fn symbol_table(symbols: &Symbols, first_data: u16, strings: &mut Strings) -> Vec<u8> {
    let mut table = Vec::with_capacity(symbols.outputs.len() * 24);
    for symbol in &symbols.outputs {
        let binding = match symbol.binding {
            Binding::Local => 0,
            Binding::Global => 1,
            Binding::Weak => 2,
            Binding::Other(other) => other,
        };
        let kind = match symbol.kind {
            SymbolKind::None => 0,
            SymbolKind::Object => 1,
            SymbolKind::Func => 2,
            SymbolKind::Section => 3,
            SymbolKind::File => 4,
            SymbolKind::Other(other) => other,
        };
        let visibility = match symbol.visibility {
            Visibility::Default => 0u8,
            Visibility::Internal => 1,
            Visibility::Hidden => 2,
            Visibility::Protected => 3,
        };
        table.extend(strings.add(&symbol.name).to_le_bytes());
        table.extend([binding << 4 | kind & 0xf, visibility]);
        let (section, value) = match symbol.place {
            Some((section, value)) => (section as u16 + first_data, value),
            None if symbol.kind == SymbolKind::File => (ABSOLUTE, 0),
            None => (0, 0),
        };
        table.extend(section.to_le_bytes());
        table.extend(value.to_le_bytes());
        table.extend(symbol.size.to_le_bytes());
    }
    table
}

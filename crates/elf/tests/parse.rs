//! What the reader takes, and what it refuses and where.

use skep_elf::{
    Binding, ObjectFile, Place, Problem, RelocationKind, SectionIndex, SectionKind, SymbolKind,
};

const SECTIONS: usize = 6;
const STRINGS: &[u8] = b"\0xdp\0.symtab\0.strtab\0.relxdp\0.bss\0prog\0counter\0";

fn offset_of(name: &str) -> u32 {
    let needle = format!("\0{name}\0");
    let at = STRINGS
        .windows(needle.len())
        .position(|w| w == needle.as_bytes())
        .unwrap();
    u32::try_from(at + 1).unwrap()
}

/// A small object: one program of three instructions that loads the address of a variable.
fn sample() -> Vec<u8> {
    let mut file = vec![0u8; 64];
    let code_at = file.len();
    file.extend([
        0x18, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0,
    ]);
    let sym_at = file.len();
    let symbols = [
        (0, 0, 0u16, 0u64),
        (offset_of("prog"), 0x12, 1, 24),
        (offset_of("counter"), 0x11, 5, 8),
    ];
    for (name, info, section, size) in symbols {
        file.extend(name.to_le_bytes());
        file.extend([info, 0]);
        file.extend(section.to_le_bytes());
        file.extend(0u64.to_le_bytes());
        file.extend(size.to_le_bytes());
    }
    let rel_at = file.len();
    file.extend(0u64.to_le_bytes());
    file.extend((2u64 << 32 | 1).to_le_bytes());
    let str_at = file.len();
    file.extend(STRINGS);
    file.resize(file.len().next_multiple_of(8), 0);
    let table_at = file.len();
    // Name, type, flags, offset, size, link, info, entry size.
    type Row = (&'static str, u32, u64, usize, usize, u32, u32, u64);
    let rows: [Row; SECTIONS] = [
        ("", 0, 0, 0, 0, 0, 0, 0),
        ("xdp", 1, 6, code_at, 24, 0, 0, 0),
        (".symtab", 2, 0, sym_at, 72, 3, 1, 24),
        (".strtab", 3, 0, str_at, STRINGS.len(), 0, 0, 0),
        (".relxdp", 9, 0, rel_at, 16, 2, 1, 16),
        (".bss", 8, 3, rel_at, 4096, 0, 0, 0),
    ];
    for (name, kind, flags, offset, size, link, info, entry) in rows {
        file.extend((if name.is_empty() { 0 } else { offset_of(name) }).to_le_bytes());
        file.extend(kind.to_le_bytes());
        for word in [flags, 0, offset as u64, size as u64] {
            file.extend(word.to_le_bytes());
        }
        file.extend(link.to_le_bytes());
        file.extend(info.to_le_bytes());
        file.extend(8u64.to_le_bytes());
        file.extend(entry.to_le_bytes());
    }
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    file[16..18].copy_from_slice(&1u16.to_le_bytes());
    file[18..20].copy_from_slice(&247u16.to_le_bytes());
    file[20] = 1;
    file[40..48].copy_from_slice(&(table_at as u64).to_le_bytes());
    file[58] = 64;
    file[60] = SECTIONS as u8;
    file[62] = 3;
    file
}

#[test]
fn reads_what_is_there() {
    let bytes = sample();
    let file = ObjectFile::parse(&bytes).unwrap();
    let names: Vec<_> = file.sections().iter().map(|s| s.name).collect();
    assert_eq!(names, ["", "xdp", ".symtab", ".strtab", ".relxdp", ".bss"]);
    let code = file.section_by_name("xdp").unwrap();
    assert_eq!((code.data.len(), code.flags.exec()), (24, true));
    let bss = file.section_by_name(".bss").unwrap();
    assert_eq!(
        (bss.kind, bss.size, bss.data.len()),
        (SectionKind::NoBits, 4096, 0)
    );
    let prog = file.symbols()[1];
    assert_eq!(
        (prog.name, prog.kind, prog.binding),
        ("prog", SymbolKind::Func, Binding::Global)
    );
    assert_eq!(prog.place, Place::Section(SectionIndex(1)));
    let relocations = file.relocations(code.index).unwrap();
    assert_eq!(relocations.len(), 1);
    assert_eq!(relocations[0].kind, RelocationKind::Load64);
    assert_eq!(file.symbol(relocations[0].symbol).unwrap().name, "counter");
    assert!(file.relocations(bss.index).unwrap().is_empty());
}

#[test]
fn refuses() {
    let check = |at: usize, with: &[u8], offset: usize, wanted: fn(&Problem) -> bool| {
        let mut bytes = sample();
        bytes[at..at + with.len()].copy_from_slice(with);
        let error = match ObjectFile::parse(&bytes) {
            Err(error) => error,
            Ok(file) => file
                .relocations(SectionIndex(1))
                .expect_err("must be refused"),
        };
        assert!(wanted(&error.problem), "{error}");
        assert_eq!(error.offset, offset, "{error}");
    };
    let table = u64::from_le_bytes(sample()[40..48].try_into().unwrap()) as usize;
    let row = |index: usize| table + 64 * index;
    let huge = u64::MAX.to_le_bytes();
    check(0, b"\x7fELG", 0, |p| matches!(p, Problem::Magic));
    check(4, &[1], 4, |p| matches!(p, Problem::Class(1)));
    check(5, &[2], 5, |p| matches!(p, Problem::BigEndian));
    check(5, &[7], 5, |p| matches!(p, Problem::ByteOrder(7)));
    check(6, &[9], 6, |p| matches!(p, Problem::Version(9)));
    check(16, &[2], 16, |p| matches!(p, Problem::Type(2)));
    check(18, &[62], 18, |p| matches!(p, Problem::Machine(62)));
    check(20, &[2], 20, |p| matches!(p, Problem::Version(2)));
    check(58, &[40], 58, |p| {
        matches!(p, Problem::EntrySize { size: 40, .. })
    });
    check(62, &[99], 62, |p| {
        matches!(p, Problem::SectionIndex { index: 99, .. })
    });
    check(60, &[200], table, |p| {
        matches!(p, Problem::Truncated { .. })
    });
    check(40, &huge, usize::MAX, |p| {
        matches!(p, Problem::Truncated { .. })
    });
    check(row(1), &[0xff, 0xff], row(1), |p| {
        matches!(p, Problem::Name { offset: 0xffff, .. })
    });
    check(row(1) + 24, &huge, usize::MAX, |p| {
        matches!(p, Problem::Truncated { .. })
    });
    check(row(1) + 32, &huge, 64, |p| {
        matches!(p, Problem::Truncated { .. })
    });
    check(row(2) + 40, &[77], 88, |p| {
        matches!(p, Problem::SectionIndex { index: 77, .. })
    });
    check(row(2) + 40, &[1], 88, |p| {
        matches!(p, Problem::SectionType { found: 1, .. })
    });
    check(row(2) + 56, &[16], 88, |p| {
        matches!(p, Problem::EntrySize { size: 16, .. })
    });
    check(row(4) + 4, &[2], 160, |p| {
        matches!(p, Problem::SecondSymbolTable(4))
    });
    check(88 + 24 + 6, &[60], 88 + 24 + 6, |p| {
        matches!(p, Problem::SectionIndex { index: 60, .. })
    });
    check(160 + 12, &[8], 172, |p| {
        matches!(p, Problem::SymbolIndex { index: 8, count: 3 })
    });
    check(row(4) + 56, &[8], 160, |p| {
        matches!(p, Problem::EntrySize { size: 8, .. })
    });
}

#[test]
fn every_truncation_and_flip_is_answered() {
    let sample = sample();
    for len in 0..sample.len() {
        assert!(ObjectFile::parse(&sample[..len]).is_err(), "cut at {len}");
    }
    let mut read = 0;
    for at in 0..sample.len() {
        for bit in 0..8 {
            let mut bytes = sample.clone();
            bytes[at] ^= 1 << bit;
            let Ok(file) = ObjectFile::parse(&bytes) else {
                continue;
            };
            for section in file.sections() {
                read += file.relocations(section.index).map_or(0, |r| r.len());
            }
        }
    }
    assert!(read > 0);
}

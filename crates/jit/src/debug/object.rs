//! The object file in which a debugger reads of one image.

use super::dwarf::{self, SourceLine};

/// A function of an image: where it begins, how long it is, and its name.
pub(crate) type Named<'a> = (usize, usize, &'a str);

/// What a debugger is told of an image.
pub(crate) struct Described<'a> {
    pub address: u64,
    pub len: usize,
    pub functions: &'a [Named<'a>],
    /// Ascending by place.
    pub lines: &'a [SourceLine<'a>],
}

/// A section of the file.
#[derive(Default)]
struct Section {
    name: &'static str,
    kind: u32,
    flags: u64,
    address: u64,
    /// Bytes that it has in memory, where the file has none of them.
    elsewhere: Option<u64>,
    bytes: Vec<u8>,
    link: u32,
    info: u32,
    align: u64,
    entry: u64,
}

/// An object file that has no bytes of code but says where they are, with a symbol for each
/// function, and with line tables where lines are known.
///
/// ```text
/// header | null, .text (at its address, not in the file), .symtab, .strtab, .debug_… | their bytes
/// ```
pub(crate) fn object(described: &Described<'_>) -> Vec<u8> {
    const HEADER: usize = 64;
    const SYMBOL: u64 = 24;
    const PROGBITS: u32 = 1;
    const SYMBOLS: u32 = 2;
    const STRINGS: u32 = 3;
    const NOTHING: u32 = 8;
    let mut names = vec![0u8];
    let mut symbols = vec![0u8; SYMBOL as usize];
    for &(start, size, name) in described.functions {
        // A global function in section 1.
        symbols.extend((names.len() as u32).to_le_bytes());
        symbols.extend([0x12, 0, 1, 0]);
        symbols.extend((start as u64).to_le_bytes());
        symbols.extend((size as u64).to_le_bytes());
        names.extend(name.bytes().filter(|b| *b != 0));
        names.push(0);
    }
    let mut sections = vec![
        Section::default(),
        Section {
            name: ".text",
            kind: NOTHING,
            flags: 6,
            address: described.address,
            elsewhere: Some(described.len as u64),
            align: 16,
            ..Section::default()
        },
        Section {
            name: ".symtab",
            kind: SYMBOLS,
            bytes: symbols,
            link: 3,
            info: 1,
            align: 8,
            entry: SYMBOL,
            ..Section::default()
        },
        Section {
            name: ".strtab",
            kind: STRINGS,
            align: 1,
            ..Section::default()
        },
    ];
    if !described.lines.is_empty() {
        let tables = dwarf::tables(described);
        sections.extend(tables.map(|(name, bytes)| Section {
            name,
            kind: PROGBITS,
            bytes,
            align: 1,
            ..Section::default()
        }));
    }
    // The names of the sections lie behind those of the functions.
    let mut name_at = Vec::with_capacity(sections.len());
    for section in &sections {
        name_at.push(if section.name.is_empty() {
            0
        } else {
            names.len() as u32
        });
        names.extend(section.name.bytes());
        names.push(0);
    }
    sections[3].bytes = names;
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    // A relocatable file for x86-64, of version 1.
    out.extend([1, 0, 62, 0, 1, 0, 0, 0]);
    for word in [0, 0, HEADER as u64] {
        out.extend(word.to_le_bytes());
    }
    out.extend([0; 4]);
    let header = HEADER as u16;
    for half in [header, 0, 0, header, sections.len() as u16, 3] {
        out.extend(half.to_le_bytes());
    }
    let mut offset = HEADER + sections.len() * HEADER;
    for (section, name) in sections.iter().zip(name_at) {
        let size = section.elsewhere.unwrap_or(section.bytes.len() as u64);
        let at = if section.kind == 0 { 0 } else { offset as u64 };
        out.extend([name, section.kind].map(u32::to_le_bytes).concat());
        let words = [section.flags, section.address, at, size];
        out.extend(words.map(u64::to_le_bytes).concat());
        out.extend([section.link, section.info].map(u32::to_le_bytes).concat());
        out.extend(
            [section.align, section.entry]
                .map(u64::to_le_bytes)
                .concat(),
        );
        offset += section.bytes.len();
    }
    sections
        .iter()
        .for_each(|section| out.extend(&section.bytes));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 0x7f00_1234_5000;

    #[test]
    fn objects_say_where_functions_are() {
        let functions = [(0, 32, "bpf_prog_01_main"), (32, 68, "bpf_prog_01_sub")];
        let mut file = object(&Described {
            address: AT,
            len: 100,
            functions: &functions,
            lines: &[],
        });
        assert_eq!(file[18..20], [62, 0], "the machine is x86-64");
        // Our reader takes objects of BPF, or of no machine.
        file[18] = 0;
        let read = skep_elf::ObjectFile::parse(&file).expect("an object file");
        let text = read.section_by_name(".text").expect("code");
        assert_eq!(text.size, 100);
        // The address of the second section, which is nothing to the linker of objects.
        assert_eq!(file[144..152], AT.to_le_bytes());
        assert!(text.data.is_empty() && text.flags.exec() && text.flags.alloc());
        let symbols: Vec<_> = read.symbols().iter().skip(1).collect();
        assert_eq!(symbols.len(), functions.len());
        for (symbol, (start, size, name)) in symbols.iter().zip(functions) {
            assert_eq!(symbol.name, name);
            assert_eq!((symbol.value, symbol.size), (start as u64, size as u64));
            assert_eq!(symbol.section(), Some(text.index));
            assert!(symbol.is_global());
        }
    }

    /// What gdb says of an image, where there is a gdb.
    #[test]
    fn gdb_knows_the_lines() {
        let Ok(version) = std::process::Command::new("gdb").arg("--version").output() else {
            return;
        };
        assert!(version.status.success());
        let line = |place, file, line| SourceLine {
            place,
            file,
            line,
            column: 3,
        };
        let file = object(&Described {
            address: AT,
            len: 100,
            functions: &[(0, 32, "bpf_prog_01_main"), (32, 68, "bpf_prog_01_sub")],
            lines: &[
                line(0, "main.bpf.c", 10),
                line(7, "main.bpf.c", 12),
                line(32, "sub.bpf.h", 400),
                line(90, "main.bpf.c", 9),
            ],
        });
        let path = std::env::temp_dir().join(format!("skep-lines-{}.o", std::process::id()));
        std::fs::write(&path, file).expect("a file");
        let mut gdb = std::process::Command::new("gdb");
        gdb.args(["-nx", "-batch"]);
        for place in [0, 8, 40, 99] {
            gdb.args(["-ex", &format!("info line *{:#x}", AT + place)]);
        }
        let told = gdb.arg(&path).output().expect("gdb runs");
        let text = String::from_utf8_lossy(&told.stdout).replace('\n', " ");
        for expected in [
            "Line 10 of \"main.bpf.c\" starts at address 0x7f0012345000 <bpf_prog_01_main>",
            "Line 12 of \"main.bpf.c\" starts at address 0x7f0012345007",
            "Line 400 of \"sub.bpf.h\" starts at address 0x7f0012345020 <bpf_prog_01_sub>",
            "Line 9 of \"main.bpf.c\" starts at address 0x7f001234505a",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        std::fs::remove_file(&path).expect("it is there");
    }
}

//! Which code comes from which line of which file, in the form of DWARF 4: one unit, its
//! functions, and the program that makes the table of lines (sections 3, 6.2 and 7.5).

use super::Described;

/// From this place on, code comes from a line of a source file, until the next such record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceLine<'a> {
    /// Bytes from the start of the code.
    pub place: usize,
    /// The file as the compiler of the program named it.
    pub file: &'a str,
    /// The line, counted from one.
    pub line: u32,
    /// The column, counted from one; 0 when it is not known.
    pub column: u32,
}

/// The sections that a debugger needs to show lines.
pub(super) fn tables(described: &Described<'_>) -> [(&'static str, Vec<u8>); 3] {
    [
        (".debug_abbrev", abbreviations()),
        (".debug_info", information(described)),
        (".debug_line", lines(described)),
    ]
}

const VERSION: u16 = 4;

fn abbreviations() -> Vec<u8> {
    const COMPILE_UNIT: u8 = 0x11;
    const SUBPROGRAM: u8 = 0x2e;
    const NAME: [u8; 2] = [0x03, 0x08];
    const LOW_PC: [u8; 2] = [0x11, 0x01];
    // As a distance, in eight bytes.
    const HIGH_PC: [u8; 2] = [0x12, 0x07];
    const STATEMENTS: [u8; 2] = [0x10, 0x17];
    const LANGUAGE: [u8; 2] = [0x13, 0x0b];
    let mut out = vec![1, COMPILE_UNIT, 1];
    for attribute in [NAME, LANGUAGE, STATEMENTS, LOW_PC, HIGH_PC, [0, 0]] {
        out.extend(attribute);
    }
    out.extend([2, SUBPROGRAM, 0]);
    for attribute in [NAME, LOW_PC, HIGH_PC, [0, 0]] {
        out.extend(attribute);
    }
    out.push(0);
    out
}

/// A text without zero bytes, and one behind it.
fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().filter(|b| *b != 0));
    out.push(0);
}

/// Puts the length of what follows before it.
fn measured(body: Vec<u8>) -> Vec<u8> {
    let mut out = (body.len() as u32).to_le_bytes().to_vec();
    out.extend(body);
    out
}

fn information(described: &Described<'_>) -> Vec<u8> {
    const C99: u8 = 0x0c;
    let mut out = VERSION.to_le_bytes().to_vec();
    // The abbreviations begin where their section does; addresses have eight bytes.
    out.extend([0, 0, 0, 0, 8]);
    let range = |out: &mut Vec<u8>, start: usize, len: usize| {
        out.extend((described.address + start as u64).to_le_bytes());
        out.extend((len as u64).to_le_bytes());
    };
    out.push(1);
    text(
        &mut out,
        described.lines.first().map_or("", |line| line.file),
    );
    out.extend([C99, 0, 0, 0, 0]);
    range(&mut out, 0, described.len);
    for (start, len, name) in described.functions {
        out.push(2);
        text(&mut out, name);
        range(&mut out, *start, *len);
    }
    out.push(0);
    measured(out)
}

fn unsigned(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

fn signed(out: &mut Vec<u8>, mut number: i64) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == i64::from((low << 1) as i8 >> 7) {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// The numbers of the operations that the line program uses.
mod op {
    pub(super) const EXTENDED: u8 = 0;
    pub(super) const END_SEQUENCE: u8 = 1;
    pub(super) const SET_ADDRESS: u8 = 2;
    pub(super) const COPY: u8 = 1;
    pub(super) const ADVANCE_PC: u8 = 2;
    pub(super) const ADVANCE_LINE: u8 = 3;
    pub(super) const SET_FILE: u8 = 4;
    pub(super) const SET_COLUMN: u8 = 5;
}

fn lines(described: &Described<'_>) -> Vec<u8> {
    // For each operation below 13 how many operands it has, also where it is not used here.
    const OPERANDS: [u8; 12] = [0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];
    let mut files: Vec<&str> = described.lines.iter().map(|line| line.file).collect();
    files.sort_unstable();
    files.dedup();
    // Instructions of one byte, one at a time, all of them statements.
    let mut header = vec![1, 1, 1];
    // Special operations are not used: lines from -5 on, fourteen of them, numbers from 13 on.
    header.extend([(-5i8) as u8, 14, 13]);
    header.extend(OPERANDS);
    // No directories.
    header.push(0);
    for file in &files {
        text(&mut header, file);
        // No directory, time or length.
        header.extend([0, 0, 0]);
    }
    header.push(0);
    let mut out = VERSION.to_le_bytes().to_vec();
    out.extend(measured(header));
    out.extend([op::EXTENDED, 9, op::SET_ADDRESS]);
    out.extend(described.address.to_le_bytes());
    let (mut place, mut file, mut number, mut column) = (0, 0, 1i64, 0);
    let within = described
        .lines
        .iter()
        .filter(|line| line.place < described.len);
    for line in within {
        let at = files.binary_search(&line.file).unwrap_or(0);
        let news = (at, i64::from(line.line), line.column);
        if place != 0 && news == (file, number, column) {
            continue;
        }
        out.push(op::ADVANCE_PC);
        unsigned(&mut out, line.place.saturating_sub(place) as u64);
        out.push(op::SET_FILE);
        unsigned(&mut out, at as u64 + 1);
        out.push(op::ADVANCE_LINE);
        signed(&mut out, news.1 - number);
        out.push(op::SET_COLUMN);
        unsigned(&mut out, line.column.into());
        out.push(op::COPY);
        place = line.place.max(place);
        (file, number, column) = news;
    }
    out.push(op::ADVANCE_PC);
    unsigned(&mut out, described.len.saturating_sub(place) as u64);
    out.extend([op::EXTENDED, 1, op::END_SEQUENCE]);
    measured(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the table again: address, file, line and column of each row, and where it ends.
    fn read(section: &[u8]) -> (Vec<(u64, String, u32, u32)>, u64) {
        struct Bytes<'a>(&'a [u8]);
        impl<'a> Bytes<'a> {
            fn take(&mut self, count: usize) -> &'a [u8] {
                let (taken, rest) = self.0.split_at(count);
                self.0 = rest;
                taken
            }
            fn byte(&mut self) -> u8 {
                self.take(1)[0]
            }
            fn word(&mut self) -> usize {
                u32::from_le_bytes(self.take(4).try_into().expect("four")) as usize
            }
            /// The number, and how many bits of it were told.
            fn leb(&mut self) -> (u64, u32) {
                let (mut number, mut shift) = (0, 0);
                loop {
                    let byte = self.byte();
                    number |= u64::from(byte & 0x7f) << shift;
                    shift += 7;
                    if byte & 0x80 == 0 {
                        return (number, shift);
                    }
                }
            }
            fn text(&mut self) -> String {
                let end = self.0.iter().position(|b| *b == 0).expect("an end");
                let text = String::from_utf8(self.take(end).to_vec()).expect("text");
                self.byte();
                text
            }
        }
        let mut all = Bytes(section);
        assert_eq!(all.word(), section.len() - 4);
        assert_eq!(all.take(2), [4, 0]);
        let len = all.word();
        let mut header = Bytes(all.take(len));
        header.take(6);
        assert_eq!(header.take(12).len(), 12);
        assert_eq!(header.byte(), 0, "no directories");
        let mut files = Vec::new();
        while header.0[0] != 0 {
            files.push(header.text());
            header.take(3);
        }
        let (mut address, mut file, mut line, mut column) = (0u64, 1usize, 1i64, 0u32);
        let mut rows = Vec::new();
        loop {
            match all.byte() {
                0 => {
                    let len = all.leb().0 as usize;
                    let mut operation = Bytes(all.take(len));
                    match operation.byte() {
                        1 => {
                            assert!(all.0.is_empty());
                            return (rows, address);
                        }
                        2 => address = u64::from_le_bytes(operation.0.try_into().expect("eight")),
                        other => panic!("operation 0 {other}"),
                    }
                }
                1 => rows.push((address, files[file - 1].clone(), line as u32, column)),
                2 => address += all.leb().0,
                3 => {
                    let (number, told) = all.leb();
                    let unused = 64 - told.min(64);
                    line += (number << unused) as i64 >> unused;
                }
                4 => file = all.leb().0 as usize,
                5 => column = all.leb().0 as u32,
                other => panic!("operation {other}"),
            }
        }
    }

    #[test]
    fn tables_are_read_back() {
        const AT: u64 = 0x7f00_1234_5000;
        let line = |place, file, line, column| SourceLine {
            place,
            file,
            line,
            column,
        };
        let told = [
            line(0, "/src/a.bpf.c", 1, 0),
            line(3, "/src/a.bpf.c", 300, 7),
            // Nothing new.
            line(5, "/src/a.bpf.c", 300, 7),
            line(200, "b.h", 12, 1000),
            line(400, "/src/a.bpf.c", 299, 7),
            line(500, "beyond.c", 1, 1),
        ];
        let described = Described {
            address: AT,
            len: 450,
            functions: &[(0, 450, "bpf_prog_01_main")],
            lines: &told,
        };
        let [_, _, (name, table)] = tables(&described);
        assert_eq!(name, ".debug_line");
        let (rows, end) = read(&table);
        let expected: Vec<_> = [0, 1, 3, 4]
            .map(|i| &told[i])
            .map(|l| (AT + l.place as u64, l.file.to_string(), l.line, l.column))
            .to_vec();
        assert_eq!((rows, end), (expected, AT + 450));
    }
}

//! Makes blobs of BTF: mostly right ones out of nothing, and nearly right ones out of others.

use crate::source::Source;

/// Bytes of the header.
const HEADER: usize = 24;
/// Words that every record begins with.
const RECORD: usize = 3;
const KINDS: u32 = 20;
/// Names that are right, odd and wrong.
const NAMES: [&[u8]; 24] = [
    b"int",
    b"a",
    b"b",
    b"pair",
    b".data",
    b"user",
    b"x.y",
    b"9x",
    b"a b",
    b"",
    b"e\xe9",
    b"t\tb",
    b"bpf_spin_lock",
    b"kptr",
    b"bpf_list_head",
    b"bpf_list_node",
    b"bpf_rb_root",
    b"bpf_rb_node",
    b"bpf_refcount",
    b"contains:pair:a",
    b"contains:a:b",
    b"uptr",
    b"percpu_kptr",
    b"contains:b",
];

/// Makes a blob of up to a few dozen types. Most of what refers to another type refers to
/// one that may stand there; now and then something does not.
pub fn generate_types(source: &mut Source<'_>) -> Vec<u8> {
    let mut strings = vec![0];
    let names: Vec<u32> = NAMES
        .iter()
        .map(|name| {
            let at = strings.len() as u32;
            strings.extend_from_slice(name);
            strings.push(0);
            at
        })
        .collect();
    let count = 1 + source.below(24);
    let mut maker = Maker {
        source,
        names,
        count,
        kinds: Vec::new(),
    };
    let kinds: Vec<u32> = (0..count).map(|at| maker.kind(at)).collect();
    maker.kinds = kinds.clone();
    let words: Vec<u32> = kinds.iter().flat_map(|kind| maker.record(*kind)).collect();
    blob(&words, &strings)
}

/// Changes a blob in one to three places: a word of a record, its kind or its number of
/// elements, the order of records, the header, or any byte; some get a longer header, more
/// records of any kind and size, or other strings first.
pub fn mutate_types(source: &mut Source<'_>, raw: &[u8]) -> Vec<u8> {
    let mut out = raw.to_vec();
    if source.below(6) == 0 {
        reshape(source, &mut out);
    }
    for _ in 0..=source.below(3) {
        let starts = starts(&out);
        let at = source.below(starts.len() as u32) as usize;
        let (Some(&start), false) = (starts.get(at), source.below(24) == 0) else {
            damage(source, &mut out);
            continue;
        };
        let end = starts.get(at + 1).copied().unwrap_or(start + 4 * RECORD);
        let words = (end.saturating_sub(start) / 4).max(RECORD) as u32;
        let count = starts.len() as u32 + 1;
        match source.below(12) {
            0 => put(&mut out, start + 4, source, |source, info| {
                info & 0x80ff_ffff | source.below(KINDS + 2) << 24
            }),
            1 => put(&mut out, start + 4, source, |_, info| info ^ 1 << 31),
            2 => put(&mut out, start + 4, source, |source, info| {
                info & 0xffff_0000 | info.wrapping_add(source.below(3)).wrapping_sub(1) & 0xffff
            }),
            3 => put(&mut out, start, source, |source, _| source.below(200)),
            4 | 5 => put(&mut out, start + 8, source, |source, _| {
                source.below(count + 1)
            }),
            6 => put(&mut out, start + 8, source, |source, size| {
                size.wrapping_add(source.below(9)).wrapping_sub(4)
            }),
            7 => {
                let word = start + 4 * source.below(words) as usize;
                put(&mut out, word, source, |source, _| 1 << source.below(32));
            }
            8 => {
                let word = start + 4 * source.below(words) as usize;
                put(&mut out, word, source, |source, old| {
                    old ^ 1 << source.below(32)
                });
            }
            9 => {
                let other = starts.get(source.below(starts.len() as u32) as usize);
                swap(&mut out, start, other.copied().unwrap_or(start));
            }
            _ => {
                let word = start + 4 * source.below(words) as usize;
                put(&mut out, word, source, |source, _| source.below(count + 1));
            }
        }
    }
    out
}

/// Lengthens the header, adds a record, or damages the strings of a blob whose parts lie one
/// behind the other.
fn reshape(source: &mut Source<'_>, out: &mut Vec<u8>) {
    let word = |out: &[u8], at: usize| {
        let bytes = out.get(at..at + 4).and_then(|four| four.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    let (header, types) = (word(out, 4) as usize, word(out, 12) as usize);
    let (begin, length) = (word(out, 16) as usize, word(out, 20));
    let lies_well = header == HEADER && begin == types && header + begin <= out.len();
    if !lies_well {
        return;
    }
    match source.below(6) {
        // Nobody knows what it means, unless it is zero.
        0 => {
            let more = 4 * (1 + source.below(4)) as usize;
            let mut bytes = vec![0; more];
            if source.below(2) == 0 {
                let at = source.below(more as u32) as usize;
                bytes[at] = 1;
            }
            out.splice(header..header, bytes);
            put(out, 4, source, |_, old| old + more as u32);
        }
        1 => {
            let at = header + begin + source.below(length.max(1)) as usize;
            if let Some(byte) = out.get_mut(at) {
                *byte = [0, b' ', b'.', b'?', 0x7f, 0x80, b'9', b'a'][source.below(8) as usize];
            }
        }
        2 => {
            // A gap, or an overlap, between the parts.
            let by = [4, 8, u32::MAX - 3, 1][source.below(4) as usize];
            put(out, 16, source, |_, old| old.wrapping_add(by));
        }
        _ => {
            let count = starts(out).len() as u32 + 1;
            let kind = source.below(KINDS);
            let vlen = match source.below(4) {
                0 => [0xffff, 0x7fff, 256, 65][source.below(4) as usize],
                _ => source.below(4),
            };
            let flag = source.below(2) << 31;
            let mut record = vec![source.below(length.max(1)), flag | kind << 24 | vlen];
            record.push(source.below(count + 1));
            let words = extra_words(kind, vlen as usize).min(16);
            for _ in 0..words {
                record.push(match source.below(4) {
                    0 => u32::MAX.wrapping_sub(source.below(2)),
                    1 => 1 << source.below(32),
                    _ => source.below(count + 1),
                });
            }
            let bytes: Vec<u8> = record.iter().flat_map(|word| word.to_le_bytes()).collect();
            let more = bytes.len() as u32;
            out.splice(header + begin..header + begin, bytes);
            put(out, 12, source, |_, old| old + more);
            put(out, 16, source, |_, old| old + more);
        }
    }
}

/// Where the records of a blob begin, as far as they can be told apart.
fn starts(raw: &[u8]) -> Vec<usize> {
    let word = |at: usize| {
        let bytes = raw.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let end = HEADER + word(12).unwrap_or(0) as usize;
    let (mut at, mut found) = (HEADER, Vec::new());
    while at + 4 * RECORD <= end.min(raw.len()) {
        found.push(at);
        let info = word(at + 4).unwrap_or(0);
        at += 4 * (RECORD + extra_words(info >> 24 & 31, info as usize & 0xffff));
    }
    found
}

fn extra_words(kind: u32, vlen: usize) -> usize {
    match kind {
        1 | 14 | 17 => 1,
        3 => 3,
        4 | 5 | 15 | 19 => 3 * vlen,
        6 | 13 => 2 * vlen,
        _ => 0,
    }
}

fn put(
    out: &mut [u8],
    at: usize,
    source: &mut Source<'_>,
    change: impl Fn(&mut Source<'_>, u32) -> u32,
) {
    if let Some(place) = out.get_mut(at..at + 4) {
        let old = place
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
        place.copy_from_slice(&change(source, old).to_le_bytes());
    }
}

/// Exchanges the third words of two records.
fn swap(out: &mut [u8], a: usize, b: usize) {
    for byte in 8..12 {
        if a + byte < out.len() && b + byte < out.len() {
            out.swap(a + byte, b + byte);
        }
    }
}

fn damage(source: &mut Source<'_>, out: &mut Vec<u8>) {
    let len = out.len() as u32;
    match source.below(5) {
        0 => {
            let word = 4 * source.below(6) as usize;
            put(out, word, source, |source, old| {
                old.wrapping_add(source.below(17)).wrapping_sub(8)
            });
        }
        1 => out.truncate(source.below(len + 1) as usize),
        2 => out.push(source.below(256) as u8),
        3 => {
            let at = source.below(HEADER as u32) as usize;
            if let Some(byte) = out.get_mut(at) {
                *byte ^= 1u8.wrapping_shl(source.below(8));
            }
        }
        _ => {
            let at = source.below(len) as usize;
            if let Some(byte) = out.get_mut(at) {
                *byte = source.below(256) as u8;
            }
        }
    }
}

fn blob(types: &[u32], strings: &[u8]) -> Vec<u8> {
    let len = 4 * types.len() as u32;
    let mut out = vec![0x9f, 0xeb, 1, 0];
    for word in [HEADER as u32, 0, len, len, strings.len() as u32] {
        out.extend(word.to_le_bytes());
    }
    out.extend(types.iter().flat_map(|word| word.to_le_bytes()));
    out.extend_from_slice(strings);
    out
}

/// Writes records.
struct Maker<'s, 'b> {
    source: &'s mut Source<'b>,
    names: Vec<u32>,
    count: u32,
    kinds: Vec<u32>,
}

impl Maker<'_, '_> {
    fn one_in(&mut self, n: u32) -> bool {
        self.source.below(n) == 0
    }

    fn kind(&mut self, at: u32) -> u32 {
        // Integers come first, so that there is something to refer to.
        if at < 2 || self.one_in(5) {
            1
        } else {
            1 + self.source.below(KINDS - 1)
        }
    }

    fn name(&mut self) -> u32 {
        let most = if self.one_in(12) {
            NAMES.len() as u32
        } else {
            6
        };
        let at = self.source.below(most) as usize;
        self.names.get(at).copied().unwrap_or(0)
    }

    fn name_or_none(&mut self) -> u32 {
        if self.one_in(3) { 0 } else { self.name() }
    }

    /// A type, of one of these kinds if there is one.
    fn of(&mut self, kinds: &[u32]) -> u32 {
        if self.one_in(40) {
            return self.source.below(self.count + 3);
        }
        let start = self.source.below(self.count);
        let fits = (0..self.count).map(|step| (start + step) % self.count);
        let mut fits = fits.filter(|at| {
            let kind = self.kinds.get(*at as usize);
            kind.is_some_and(|kind| kinds.contains(kind))
        });
        fits.next().unwrap_or(start) + 1
    }

    /// A type that has a size.
    fn value(&mut self) -> u32 {
        self.of(&[1, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 16, 18, 19])
    }

    fn record(&mut self, kind: u32) -> Vec<u32> {
        let flag = self.one_in(60);
        let (name, mut flag, vlen, third, extra) = match kind {
            1 => self.int(flag),
            2 => (0, flag, 0, self.any(), Vec::new()),
            3 => {
                let parts = vec![self.value(), self.of(&[1]), self.source.below(5)];
                (0, flag, 0, 0, parts)
            }
            4 | 5 => return self.composite(kind),
            6 | 19 => return self.enumeration(kind),
            7 => (self.name(), self.one_in(2), 0, 0, Vec::new()),
            8 => (self.name(), flag, 0, self.any(), Vec::new()),
            12 => (
                self.name(),
                flag,
                self.source.below(2),
                self.of(&[13]),
                Vec::new(),
            ),
            13 => return self.prototype(),
            14 => (
                self.name(),
                flag,
                0,
                self.value(),
                vec![self.source.below(2)],
            ),
            15 => return self.section(),
            16 => (
                self.name_or_none(),
                flag,
                0,
                2 << self.source.below(4),
                Vec::new(),
            ),
            17 => {
                let component = self.source.below(4).wrapping_sub(1);
                (
                    self.name(),
                    self.one_in(2),
                    0,
                    self.of(&[4, 5, 8, 12, 14]),
                    vec![component],
                )
            }
            18 => (self.name(), self.one_in(2), 0, self.any(), Vec::new()),
            _ => (0, flag, 0, self.any(), Vec::new()),
        };
        flag &= !self.one_in(2) || matches!(kind, 7 | 17 | 18);
        head(kind, name, flag, vlen, third, extra)
    }

    /// What pointers and modifiers may refer to.
    fn any(&mut self) -> u32 {
        if self.one_in(6) {
            0
        } else {
            self.of(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 18, 19])
        }
    }

    fn int(&mut self, flag: bool) -> (u32, bool, u32, u32, Vec<u32>) {
        let size = 1 << self.source.below(5);
        let mut bits = size * 8;
        let mut offset = 0;
        if self.one_in(8) {
            bits = self.source.below(bits + 2);
            offset = self.source.below(9);
        }
        let mut encoding = (1 << self.source.below(4)) & 7;
        if self.one_in(50) {
            encoding = self.source.below(17);
        }
        let name = self.name_or_none();
        (
            name,
            flag,
            0,
            size,
            vec![encoding << 24 | offset << 16 | bits],
        )
    }

    fn composite(&mut self, kind: u32) -> Vec<u32> {
        if kind == 4 && self.one_in(4) {
            // One of the kernel's own, nearly always of its size.
            let (at, size) = [(12, 4), (14, 16), (15, 24), (16, 16), (17, 32), (18, 4)]
                [self.source.below(6) as usize];
            let name = self.names.get(at).copied().unwrap_or(0);
            let size = if self.one_in(20) { 8 } else { size };
            return head(kind, name, false, 0, size, Vec::new());
        }
        let flag = self.one_in(2);
        let vlen = self.source.below(5);
        let (mut extra, mut at) = (Vec::new(), 0);
        for _ in 0..vlen {
            let bits = if flag && self.one_in(2) {
                self.source.below(34)
            } else {
                0
            };
            if kind == 4 {
                at += match self.source.below(8) {
                    0 => 0,
                    1 => self.source.below(40),
                    2 => 32,
                    _ => 128,
                };
            }
            let place = if flag {
                bits << 24 | at & 0x00ff_ffff
            } else {
                at
            };
            extra.extend([self.name_or_none(), self.value(), place]);
        }
        let size = at / 8 + [0, 4, 16, 16, 16, 64][self.source.below(6) as usize];
        let name = self.name_or_none();
        head(kind, name, flag, vlen, size, extra)
    }

    fn enumeration(&mut self, kind: u32) -> Vec<u32> {
        let vlen = self.source.below(4);
        let mut extra = Vec::new();
        for _ in 0..vlen {
            extra.push(self.name());
            extra.push(self.source.word() as u32);
            if kind == 19 {
                extra.push(self.source.word() as u32 >> self.source.below(32));
            }
        }
        let size = if self.one_in(20) {
            self.source.below(10)
        } else {
            4
        };
        let (name, flag) = (self.name_or_none(), self.one_in(2));
        head(kind, name, flag, vlen, size, extra)
    }

    fn prototype(&mut self) -> Vec<u32> {
        let vlen = self.source.below(4);
        let mut extra = Vec::new();
        for index in 0..vlen {
            if index + 1 == vlen && self.one_in(5) {
                extra.extend([0, 0]);
            } else {
                let name = if self.one_in(6) { 0 } else { self.name() };
                extra.extend([name, self.value()]);
            }
        }
        let returns = if self.one_in(3) { 0 } else { self.value() };
        head(13, 0, false, vlen, returns, extra)
    }

    fn section(&mut self) -> Vec<u32> {
        let vlen = self.source.below(4);
        let (mut extra, mut at) = (Vec::new(), 0);
        for _ in 0..vlen {
            let size = [4, 8, 16, 64][self.source.below(4) as usize];
            extra.extend([self.of(&[14]), at, size]);
            at += size;
        }
        let name = self.name();
        head(15, name, false, vlen, at.max(1), extra)
    }
}

fn head(kind: u32, name: u32, flag: bool, vlen: u32, third: u32, extra: Vec<u32>) -> Vec<u32> {
    let mut record = vec![name, u32::from(flag) << 31 | kind << 24 | vlen, third];
    record.extend(extra);
    record
}

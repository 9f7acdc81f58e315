//! Unpacks a gzip file, as the kernel keeps its configuration (`/proc/config.gz`).
//!
//! Source: RFC 1951 and RFC 1952.

/// The most bytes that are unpacked: a configuration has a few hundred thousand.
const MAX_OUT: usize = 1 << 24;

/// The contents of a gzip file; `None` when it is damaged or too large.
pub fn gunzip(file: &[u8]) -> Option<Vec<u8>> {
    let [0x1f, 0x8b, 8, flags, ..] = file else {
        return None;
    };
    let mut at = 10;
    if flags & 4 != 0 {
        let len = u16::from_le_bytes([*file.get(at)?, *file.get(at + 1)?]);
        at += 2 + usize::from(len);
    }
    for text in [8, 16] {
        if flags & text != 0 {
            at += file.get(at..)?.iter().position(|byte| *byte == 0)? + 1;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    inflate(file.get(at..)?)
}

/// Bits, lowest first.
struct Bits<'a> {
    bytes: core::slice::Iter<'a, u8>,
    held: u32,
    count: u32,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Option<u32> {
        while self.count < count {
            self.held |= u32::from(*self.bytes.next()?) << self.count;
            self.count += 8;
        }
        let value = self.held & ((1 << count) - 1);
        self.held >>= count;
        self.count -= count;
        Some(value)
    }

    fn align(&mut self) {
        self.held = 0;
        self.count = 0;
    }
}

/// A canonical prefix code: how many codes there are of each length, and the symbols in order.
struct Code {
    counts: [u16; 16],
    symbols: Vec<u16>,
}

impl Code {
    fn new(lengths: &[u8]) -> Code {
        let mut counts = [0; 16];
        for length in lengths {
            if let Some(count) = counts.get_mut(usize::from(*length)) {
                *count += 1;
            }
        }
        counts[0] = 0;
        let mut symbols: Vec<_> = (0u16..)
            .zip(lengths)
            .filter(|(_, length)| **length != 0)
            .collect();
        symbols.sort_by_key(|(symbol, length)| (**length, *symbol));
        let symbols = symbols.into_iter().map(|(symbol, _)| symbol).collect();
        Code { counts, symbols }
    }

    fn read(&self, bits: &mut Bits<'_>) -> Option<u16> {
        let (mut code, mut first, mut index) = (0u32, 0u32, 0u32);
        for count in self.counts.iter().skip(1).map(|count| u32::from(*count)) {
            code |= bits.take(1)?;
            if let Some(inside) = code.checked_sub(first).filter(|inside| *inside < count) {
                return self.symbols.get((index + inside) as usize).copied();
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

/// (length or distance of the first code, extra bits) grow by this rule in both tables.
fn scale(symbol: u32, group: u32, start: u32) -> (u32, u32) {
    if symbol < 2 * group {
        return (start + symbol, 0);
    }
    let extra = symbol / group - 1;
    (
        (group << extra) + start + ((symbol % group) << extra),
        extra,
    )
}

fn inflate(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bits = Bits {
        bytes: bytes.iter(),
        held: 0,
        count: 0,
    };
    let mut out = Vec::new();
    loop {
        let last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => stored(&mut bits, &mut out)?,
            1 => {
                let mut lengths = [8u8; 288];
                lengths.get_mut(144..256)?.fill(9);
                lengths.get_mut(256..280)?.fill(7);
                block(
                    &mut bits,
                    &mut out,
                    &Code::new(&lengths),
                    &Code::new(&[5; 30]),
                )?;
            }
            2 => {
                let (literals, distances) = codes(&mut bits)?;
                block(&mut bits, &mut out, &literals, &distances)?;
            }
            _ => return None,
        }
        if last {
            return Some(out);
        }
    }
}

fn stored(bits: &mut Bits<'_>, out: &mut Vec<u8>) -> Option<()> {
    bits.align();
    let len = bits.take(16)?;
    bits.take(16)?;
    for _ in 0..len {
        out.push(u8::try_from(bits.take(8)?).ok()?);
    }
    (out.len() <= MAX_OUT).then_some(())
}

/// Reads the two codes of a block that brings its own.
fn codes(bits: &mut Bits<'_>) -> Option<(Code, Code)> {
    const ORDER: [usize; 19] = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
    ];
    let literals = bits.take(5)? as usize + 257;
    let distances = bits.take(5)? as usize + 1;
    let count = bits.take(4)? as usize + 4;
    let mut lengths = [0u8; 19];
    for place in ORDER.into_iter().take(count) {
        *lengths.get_mut(place)? = u8::try_from(bits.take(3)?).ok()?;
    }
    let code = Code::new(&lengths);
    let mut all: Vec<u8> = Vec::new();
    while all.len() < literals + distances {
        let (value, times) = match code.read(bits)? {
            16 => (*all.last()?, bits.take(2)? + 3),
            17 => (0, bits.take(3)? + 3),
            18 => (0, bits.take(7)? + 11),
            length => (u8::try_from(length).ok()?, 1),
        };
        all.extend(core::iter::repeat_n(value, times as usize));
    }
    let (first, second) = all.get(..literals + distances)?.split_at(literals);
    Some((Code::new(first), Code::new(second)))
}

fn block(bits: &mut Bits<'_>, out: &mut Vec<u8>, literals: &Code, distances: &Code) -> Option<()> {
    loop {
        match u32::from(literals.read(bits)?) {
            256 => return Some(()),
            byte @ 0..=255 => out.push(u8::try_from(byte).ok()?),
            // The last length has a code of its own.
            symbol => {
                let (base, extra) = match symbol {
                    285 => (258, 0),
                    _ => scale(symbol - 257, 4, 3),
                };
                let len = base + bits.take(extra)?;
                let (base, extra) = scale(u32::from(distances.read(bits)?), 2, 1);
                let distance = (base + bits.take(extra)?) as usize;
                let from = out.len().checked_sub(distance)?;
                for at in from..from + len as usize {
                    out.push(*out.get(at)?);
                }
            }
        }
        if out.len() > MAX_OUT {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'CONFIG_HZ=250\nCONFIG_HZ=250\nCONFIG_HZ=250\n' | gzip -n`
    const SMALL: &[u8] = &[
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x73, 0xf6, 0xf7, 0x73, 0xf3, 0x74, 0x8f, 0xf7, 0x88,
        0xb2, 0x35, 0x32, 0x35, 0xe0, 0x72, 0xc6, 0xc3, 3, 0, 0x77, 2, 0x8b, 0x8f, 0x2a, 0, 0, 0,
    ];

    #[test]
    fn small_files() {
        let check = |file: &[u8], wanted: Option<&[u8]>| {
            assert_eq!(gunzip(file).as_deref(), wanted);
        };
        check(SMALL, Some("CONFIG_HZ=250\n".repeat(3).as_bytes()));
        let stored = [
            0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3, b'n', 0, 1, 2, 0, 0xfd, 0xff, b'h', b'i',
        ];
        check(&stored, Some(b"hi"));
        check(b"", None);
        check(&SMALL[..20], None);
        check(&SMALL[1..], None);
    }

    #[test]
    fn lengths_and_distances() {
        assert_eq!(scale(0, 4, 3), (3, 0));
        assert_eq!(scale(8, 4, 3), (11, 1));
        assert_eq!(scale(27, 4, 3), (227, 5));
        assert_eq!(scale(3, 2, 1), (4, 0));
        assert_eq!(scale(4, 2, 1), (5, 1));
        assert_eq!(scale(29, 2, 1), (24577, 13));
    }
}

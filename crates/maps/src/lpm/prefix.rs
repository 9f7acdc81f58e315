//! Prefixes as Linux orders them: one comes after the longer ones it covers, and the bit 0
//! before the bit 1.

use std::cmp::Ordering;

/// The data of a key. That of addresses of up to eight bytes needs no memory of its own.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Data {
    /// The first eight bytes, the first in the highest place; zeros after the end.
    first: u64,
    rest: Box<[u8]>,
}

impl Data {
    pub(super) fn new(data: &[u8]) -> Data {
        Data {
            first: first(data),
            rest: data.get(8..).unwrap_or_default().into(),
        }
    }

    /// The same for data of the same length.
    pub(super) fn set(&mut self, data: &[u8]) {
        self.first = first(data);
        for (to, from) in self.rest.iter_mut().zip(data.iter().skip(8)) {
            *to = *from;
        }
    }

    /// Copies as much as `out` has room for.
    pub(super) fn get(&self, out: &mut [u8]) {
        let first = self.first.to_be_bytes();
        for (to, from) in out.iter_mut().zip(first.iter().chain(&*self.rest)) {
            *to = *from;
        }
    }
}

/// Up to eight bytes as a word, the first in the highest place.
fn first(data: &[u8]) -> u64 {
    if let Some(eight) = data.first_chunk() {
        return u64::from_be_bytes(*eight);
    }
    let byte = |word: u64, at: usize| word << 8 | u64::from(data.get(at).copied().unwrap_or(0));
    (0..8).fold(0, byte)
}

/// The highest `bits` of a word.
fn mask(bits: u32) -> u64 {
    match 64u32.checked_sub(bits) {
        Some(64) => 0,
        Some(rest) => u64::MAX << rest,
        None => u64::MAX,
    }
}

/// The mask of the byte number `at` of the rest, of which so many bits count.
fn byte_mask(bits: u32, at: usize) -> u8 {
    match (bits as usize).saturating_sub(64 + at * 8) {
        0 => 0,
        known => 0xffu8 << 8usize.saturating_sub(known),
    }
}

/// A prefix: so many bits of the data, with zeros after them.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) bits: u32,
    data: Data,
}

impl Prefix {
    /// The first `bits` of some data.
    pub(super) fn new(bits: u32, data: &[u8]) -> Prefix {
        let data = Data::new(data);
        Prefix { bits, data }.shortened(bits)
    }

    /// The first `bits` of a prefix.
    pub(super) fn shortened(&self, bits: u32) -> Prefix {
        let mut data = self.data.clone();
        data.first &= mask(bits);
        for (at, byte) in data.rest.iter_mut().enumerate() {
            *byte &= byte_mask(bits, at);
        }
        Prefix { bits, data }
    }
}

impl Ord for Prefix {
    fn cmp(&self, other: &Prefix) -> Ordering {
        let shared = self.bits.min(other.bits);
        let known = mask(shared);
        let first = (self.data.first & known).cmp(&(other.data.first & known));
        if first != Ordering::Equal {
            return first;
        }
        if shared > 64 {
            for (at, (a, b)) in self.data.rest.iter().zip(&other.data.rest).enumerate() {
                let known = byte_mask(shared, at);
                match (a & known).cmp(&(b & known)) {
                    Ordering::Equal => {}
                    unequal => return unequal,
                }
            }
        }
        other.bits.cmp(&self.bits)
    }
}

impl PartialOrd for Prefix {
    fn partial_cmp(&self, other: &Prefix) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_prefixes_come_before_those_that_cover_them() {
        let long = |bits: u32, at: usize, byte: u8| {
            let mut data = [0xff; 20];
            data[at] = byte;
            Prefix::new(bits, &data)
        };
        let before = |a: &Prefix, b: &Prefix, name: &str| {
            assert_eq!(a.cmp(b), Ordering::Less, "{name}");
            assert_eq!(b.cmp(a), Ordering::Greater, "{name}");
        };
        let short = |bits: u32, data: [u8; 4]| Prefix::new(bits, &data);
        before(
            &short(24, [10, 1, 1, 0]),
            &short(16, [10, 1, 9, 9]),
            "covered",
        );
        before(
            &short(16, [10, 0, 0, 0]),
            &short(16, [10, 1, 0, 0]),
            "0 before 1",
        );
        before(&short(32, [255; 4]), &short(0, [0; 4]), "all");
        before(
            &long(160, 19, 1),
            &long(159, 19, 1),
            "covered behind the first word",
        );
        before(
            &long(160, 9, 1),
            &long(160, 9, 2),
            "0 before 1 behind the first word",
        );
        before(
            &long(80, 9, 0x0f),
            &long(73, 9, 0x7f),
            "in the middle of a byte",
        );
        assert!(long(72, 9, 1) == long(72, 9, 2), "the rest does not count");
        let mut out = [0; 12];
        Data::new(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]).get(&mut out);
        assert_eq!(out, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0]);
    }
}

//! Where choices come from: a seed, or bytes that a fuzz engine gives.

/// A stream of choices. Bytes that run out give zeros, so every input makes a program; a
/// seed never runs out.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    from: From<'a>,
}

#[derive(Clone, Debug)]
enum From<'a> {
    Seed(u64),
    Bytes(&'a [u8]),
}

impl<'a> Source<'a> {
    /// Choices that depend on the seed alone, today and on every machine.
    pub fn seeded(seed: u64) -> Source<'static> {
        Source {
            from: From::Seed(seed),
        }
    }

    /// Choices by the bytes given, from the front.
    pub fn from_bytes(bytes: &'a [u8]) -> Source<'a> {
        Source {
            from: From::Bytes(bytes),
        }
    }

    /// The next 64 bits. Of bytes, takes eight.
    pub fn word(&mut self) -> u64 {
        match &mut self.from {
            From::Seed(state) => {
                // SplitMix64: a counter and a mixing function.
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = *state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^ (z >> 31)
            }
            From::Bytes(_) => (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte())),
        }
    }

    fn byte(&mut self) -> u8 {
        match &mut self.from {
            From::Seed(_) => self.word() as u8,
            From::Bytes(bytes) => match bytes.split_first() {
                Some((first, rest)) => {
                    *bytes = rest;
                    *first
                }
                None => 0,
            },
        }
    }

    /// A number below `n`; 0 when `n` is 0. Of bytes, takes as few as can hold it.
    pub fn below(&mut self, n: u32) -> u32 {
        let raw = match (&self.from, n) {
            (_, 0 | 1) => return 0,
            (From::Seed(_), _) => (self.word() >> 32) as u32,
            (From::Bytes(_), 2..=256) => u32::from(self.byte()),
            (From::Bytes(_), _) => (0..4).fold(0, |word, _| word << 8 | u32::from(self.byte())),
        };
        raw % n
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i32, high: i32) -> i32 {
        let span = high.abs_diff(low).saturating_add(1);
        low.saturating_add_unsigned(self.below(span))
    }

    /// True `per_mille` times of a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        per_mille != 0 && self.below(1000) < per_mille
    }

    /// True half the time.
    pub fn coin(&mut self) -> bool {
        self.below(2) == 1
    }

    /// One of these; `None` when there are none.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let at = self.below(u32::try_from(of.len()).unwrap_or(u32::MAX));
        of.get(at as usize).copied()
    }

    /// One of these, which are not none.
    pub fn one_of<T: Copy, const N: usize>(&mut self, of: [T; N]) -> T {
        const { assert!(N > 0) };
        of[self.below(N as u32) as usize]
    }

    /// An immediate: edges of the widths, powers of two, small numbers, any.
    pub fn imm(&mut self) -> i32 {
        match self.below(12) {
            0 => 0,
            1 => -1,
            2 => 1,
            3 => self.one_of([i32::MIN, i32::MAX, i32::MIN + 1, i32::MAX - 1]),
            4 => self.one_of([
                0xff, 0x100, 0x7f, 0x80, 0xffff, 0x8000, 0x7fff, -0x80, -0x8000,
            ]),
            5 => self.between(0, 63),
            6 => -self.between(0, 63),
            7 => 1i32.wrapping_shl(self.below(32)),
            8 => 1i32.wrapping_shl(self.below(32)).wrapping_sub(1),
            9 => self.word() as i32,
            _ => self.between(-16, 512),
        }
    }

    /// 64 bits in the same manner.
    pub fn imm64(&mut self) -> u64 {
        match self.below(6) {
            0 => self.word(),
            1 => 1u64.wrapping_shl(self.below(64)),
            2 => 1u64.wrapping_shl(self.below(64)).wrapping_sub(1),
            3 => self.one_of([
                u64::MAX,
                i64::MAX as u64,
                i64::MIN as u64,
                u64::from(u32::MAX),
                1 << 32,
            ]),
            _ => i64::from(self.imm()) as u64,
        }
    }
}

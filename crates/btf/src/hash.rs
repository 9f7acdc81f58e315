//! A fast hasher for tables of names and words. Each one is seeded anew, so that nobody can
//! write types whose names all fall together.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Makes hashers of one seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fast {
    seed: u64,
}

impl Default for Fast {
    fn default() -> Fast {
        Fast {
            seed: RandomState::new().hash_one(0u8) | 1,
        }
    }
}

impl BuildHasher for Fast {
    type Hasher = Mixer;

    fn build_hasher(&self) -> Mixer {
        Mixer {
            state: self.seed,
            seed: self.seed,
        }
    }
}

/// Mixes eight bytes at a time by a multiplication whose halves are folded.
#[derive(Clone, Debug)]
pub(crate) struct Mixer {
    state: u64,
    seed: u64,
}

impl Mixer {
    fn mix(&mut self, word: u64) {
        let wide = u128::from(self.state ^ word) * u128::from(self.seed ^ 0x9e37_79b9_7f4a_7c15);
        self.state = (wide as u64) ^ (wide >> 64) as u64 ^ self.seed.rotate_left(23);
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.state ^ self.state >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.mix(chunk.try_into().map_or(0, u64::from_le_bytes));
        }
        let rest = chunks.remainder();
        let last = rest
            .iter()
            .fold(rest.len() as u64, |sum, byte| sum << 8 | u64::from(*byte));
        self.mix(last);
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }
}

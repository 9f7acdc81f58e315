//! Keys of a hash table: how they are hashed, compared and copied.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Elem, HEADER, Hash};
use crate::region::copy_out;

impl Hash {
    #[inline]
    pub(super) fn key_is(&self, elem: Elem, key: &[u8]) -> bool {
        // SAFETY: the key area of a live element is whole words, accessed atomically.
        let word = |i: usize| unsafe {
            (*elem.0.add(HEADER).cast::<AtomicU64>().add(i)).load(Ordering::Relaxed)
        };
        let (words, tail) = key.as_chunks::<8>();
        words
            .iter()
            .enumerate()
            .all(|(i, w)| u64::from_ne_bytes(*w) == word(i))
            && (tail.is_empty() || padded(tail) == word(words.len()))
    }

    pub(super) fn read_key(&self, elem: Elem, out: &mut [u8]) {
        let size = self.key_size.min(out.len());
        // SAFETY: the key area of a live element.
        unsafe { copy_out(&mut out[..size], elem.0.add(HEADER)) }
    }

    /// Folded multiplication over the words of the key: a few cycles a word, and every bit
    /// of the key reaches the low bits that choose the bucket.
    #[inline]
    pub(super) fn hash(&self, key: &[u8]) -> u32 {
        if self.by_index {
            return key.first_chunk().map_or(0, |k| u32::from_ne_bytes(*k));
        }
        const K: u64 = 0x9e37_79b9_7f4a_7c15;
        let fold = |h: u64, w: u64| {
            let wide = u128::from(h ^ w) * u128::from(K);
            (wide as u64) ^ ((wide >> 64) as u64)
        };
        let (words, tail) = key.as_chunks::<8>();
        let mut h = self.seed ^ 0xd6e8_feb8_6659_fd93 ^ key.len() as u64;
        for word in words {
            h = fold(h, u64::from_ne_bytes(*word));
        }
        if !tail.is_empty() {
            h = fold(h, padded(tail));
        }
        (fold(h, K) >> 7) as u32
    }
}

/// Up to 8 bytes as a word, with zeros after them.
#[inline]
pub(super) fn padded(tail: &[u8]) -> u64 {
    if let Ok(four) = <[u8; 4]>::try_from(tail) {
        return u64::from(u32::from_le_bytes(four)).to_le();
    }
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(tail) {
        *to = *from;
    }
    u64::from_ne_bytes(word)
}

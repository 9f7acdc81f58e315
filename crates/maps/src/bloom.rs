//! Bloom filters: a set of values that may answer yes for one that was never added.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use skep_abi::{ElemFlags, Errno};

use crate::ledger::Ledger;
use crate::region::Region;

/// Hash functions when the creator names no number.
const DEFAULT_FUNCTIONS: u64 = 5;

pub(crate) struct Bloom {
    bits: Region,
    mask: u64,
    functions: u64,
    seed: u64,
}

impl Bloom {
    pub(crate) fn new(
        entries: u32,
        functions: u64,
        seed: u64,
        ledger: &Arc<Ledger>,
    ) -> Result<Bloom, Errno> {
        let functions = if functions == 0 {
            DEFAULT_FUNCTIONS
        } else {
            functions
        };
        // The optimal size is entries * functions / ln 2, and 7 / 5 is a little above 1 / ln 2.
        let bits = (u64::from(entries) * functions * 7 / 5)
            .clamp(64, 1 << 32)
            .next_power_of_two();
        Ok(Bloom {
            bits: Region::new(bits / 8, ledger)?,
            mask: bits - 1,
            functions,
            seed,
        })
    }

    /// Adds a value.
    ///
    /// # Errors
    /// `EINVAL` for any flag.
    pub(crate) fn push(&self, value: &[u8], flags: ElemFlags) -> Result<(), Errno> {
        if !flags.is_empty() {
            return Err(Errno::EINVAL);
        }
        for bit in self.places(value) {
            self.bits
                .word((bit / 64) as usize)
                .fetch_or(1 << (bit % 64), Relaxed);
        }
        Ok(())
    }

    /// Whether the value may have been added.
    ///
    /// # Errors
    /// `ENOENT` when it surely was not.
    pub(crate) fn peek(&self, value: &[u8]) -> Result<(), Errno> {
        let set = |bit: u64| self.bits.word((bit / 64) as usize).load(Relaxed) >> (bit % 64) & 1;
        if self.places(value).all(|bit| set(bit) == 1) {
            Ok(())
        } else {
            Err(Errno::ENOENT)
        }
    }

    fn places(&self, value: &[u8]) -> impl Iterator<Item = u64> {
        // FNV-1a with a finishing multiplication; the functions differ in their step.
        let mut hash = self.seed ^ 0xcbf2_9ce4_8422_2325;
        for byte in value {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
        let first = (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let step = (hash ^ hash >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1;
        let mask = self.mask;
        (0..self.functions).map(move |i| (first.wrapping_add(step.wrapping_mul(i)) >> 7) & mask)
    }
}

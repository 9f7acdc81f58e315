//! Which element of a full LRU table makes room for a new one.
//!
//! A hand goes round all elements: one that was used since the hand last came by is spared
//! once, the first one that was not is taken. Linux promises no more than approximately the
//! least recently used either.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use skep_abi::Errno;

use super::{Elem, Hash, LIVE, USED};

/// All elements that the table ever made, and the hand.
#[derive(Default)]
pub(super) struct Clock {
    elements: Vec<usize>,
    hand: usize,
}

impl Hash {
    /// A free element, by eviction when there is none.
    ///
    /// # Errors
    /// `ENOMEM` when no element could be found or made.
    pub(super) fn evict_one(&self, clock: &Mutex<Clock>) -> Result<Elem, Errno> {
        let mut clock = clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.elements.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        if let Some((piece, new)) = self.pool.take(self.capacity as usize)? {
            if new {
                clock.elements.push(piece as usize);
            }
            return Ok(Elem(piece));
        }
        let rounds = clock.elements.len().saturating_mul(3);
        for _ in 0..rounds {
            let at = clock.hand;
            clock.hand = if at + 1 < clock.elements.len() {
                at + 1
            } else {
                0
            };
            let Some(elem) = clock.elements.get(at).map(|e| Elem(*e as *mut u8)) else {
                continue;
            };
            let mark = elem.mark().load(Ordering::Relaxed);
            if mark & LIVE == 0 {
                continue;
            }
            if mark & USED != 0 {
                elem.mark().fetch_and(!USED, Ordering::Relaxed);
                continue;
            }
            let hash = elem.hash().load(Ordering::Relaxed);
            let bucket = self.lock(hash);
            if self.unlink(&bucket, elem) {
                drop(bucket);
                elem.mark().store(0, Ordering::Relaxed);
                self.count.fetch_sub(1, Ordering::Relaxed);
                self.give_up(elem, false);
                return Ok(elem);
            }
        }
        Err(Errno::ENOMEM)
    }
}

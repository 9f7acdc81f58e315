//! Room for a new element in a table that gives up the least recently used one.

use std::sync::atomic::{AtomicU32, Ordering};

use skep_abi::Errno;
use skep_sync::clock::{Clock, Table};

use super::{Elem, Hash};

impl Hash {
    /// A free element, by eviction when there is none.
    ///
    /// # Errors
    /// `ENOMEM` when no element could be found or made.
    pub(super) fn evict_one(&self, clock: &Clock) -> Result<Elem, Errno> {
        let fresh = || {
            let taken = self.pool.take(self.capacity as usize)?;
            Ok(taken.map(|(piece, new)| (piece as usize, new)))
        };
        let room = clock.take(fresh, self, Errno::ENOMEM)?;
        let elem = Elem(room.element as *mut u8);
        if room.evicted {
            self.count.fetch_sub(1, Ordering::Relaxed);
            self.give_up(elem, false);
        }
        Ok(elem)
    }
}

impl Table for Hash {
    fn mark(&self, element: usize) -> &AtomicU32 {
        // SAFETY: the clock knows only elements that came from this table's pool, which are
        // live as long as the table; the word is only accessed atomically.
        unsafe { &*(element as *const u8).add(super::elem::MARK).cast() }
    }

    fn take_out(&self, element: usize) -> bool {
        let elem = Elem(element as *mut u8);
        let bucket = self.lock(elem.hash().load(Ordering::Relaxed));
        self.unlink(&bucket, elem)
    }
}

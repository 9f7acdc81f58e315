//! Arrays of references: programs, inner maps, and whatever else an element points at.
//!
//! A slot is one word: null, or a counted reference. Readers hold a [`Pass`], writers give
//! what they take out to [`Reclaim`], so a lookup is a bounds check and a load.

use std::any::Any;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use skep_abi::{ElemFlags, Errno};

use crate::ledger::Ledger;
use crate::reclaim::Reclaim;
use crate::region::Region;
use skep_sync::Pass;

/// What an element points at.
pub struct Held {
    /// What system calls see of it: the value's bytes as a number.
    pub shown: u64,
    /// Who it is, when it leaves the map by itself one day ([`Map::forget`](crate::Map::forget));
    /// 0 when it stays.
    pub who: u64,
    /// The thing itself.
    pub object: Arc<dyn Any + Send + Sync>,
}

/// One reference that readers may follow while it is exchanged.
pub(crate) struct Slot<'a>(pub(crate) &'a AtomicU64);

impl Slot<'_> {
    /// What the slot refers to.
    #[inline]
    pub(crate) fn get<'p>(&self, _pass: &'p Pass<'_>) -> Option<&'p Held> {
        let word = self.0.load(Ordering::Acquire);
        if word == 0 {
            return None;
        }
        // SAFETY: a non-null word is an `Arc<Held>` turned raw by `swap`, whose count goes
        // to `Grace` when the word is exchanged; `_pass` keeps it from being dropped.
        Some(unsafe { &*(word as *const Held) })
    }

    /// Puts `held` in, and gives what was there to `grace`; answers whether there was any.
    pub(crate) fn swap(&self, held: Option<Held>, grace: &Reclaim) -> bool {
        let word = held.map_or(0, |h| Arc::into_raw(Arc::new(h)) as u64);
        let before = self.0.swap(word, Ordering::AcqRel);
        // SAFETY: the slot owned one count of `before`, which the exchange took out.
        let before = unsafe { take(before) };
        match before {
            Some(held) => grace.retire(held),
            None => return false,
        }
        true
    }
}

/// The reference that a word stands for.
///
/// # Safety
/// The word is zero, or came from `Arc::into_raw` and its count belongs to the caller.
pub(crate) unsafe fn take(word: u64) -> Option<Arc<Held>> {
    if word == 0 {
        return None;
    }
    // SAFETY: the contract of this function.
    Some(unsafe { Arc::from_raw(word as *const Held) })
}

/// An array of references.
pub(crate) struct Slots {
    words: Region,
    entries: u32,
    /// One past the highest slot that was ever set, so that an end need not visit them all.
    high: AtomicU32,
    /// Held by writers who look before they write.
    writing: Mutex<()>,
    grace: Arc<Reclaim>,
}

impl Slots {
    pub(crate) fn new(
        entries: u32,
        grace: Arc<Reclaim>,
        ledger: &Arc<Ledger>,
    ) -> Result<Slots, Errno> {
        let words = Region::new(u64::from(entries) * 8, ledger)?;
        Ok(Slots {
            words,
            entries,
            high: AtomicU32::new(0),
            writing: Mutex::default(),
            grace,
        })
    }

    #[inline]
    pub(crate) fn get<'p>(&self, index: u32, pass: &'p Pass<'_>) -> Option<&'p Held> {
        if index >= self.entries {
            return None;
        }
        Slot(self.words.word(index as usize)).get(pass)
    }

    /// Sets or empties a slot.
    ///
    /// # Errors
    /// `E2BIG` beyond the end, `ENOENT` when an empty slot is emptied.
    pub(crate) fn set(&self, index: u32, held: Option<Held>) -> Result<(), Errno> {
        if index >= self.entries {
            return Err(Errno::E2BIG);
        }
        let emptied = held.is_none();
        self.high.fetch_max(index + 1, Ordering::AcqRel);
        let before = Slot(self.words.word(index as usize)).swap(held, &self.grace);
        if emptied && !before {
            Err(Errno::ENOENT)
        } else {
            Ok(())
        }
    }

    /// Sets a slot, if it is full or empty as the flags demand.
    ///
    /// # Errors
    /// `E2BIG` beyond the end, `EEXIST`, `ENOENT`.
    pub(crate) fn set_if(&self, index: u32, held: Held, flags: ElemFlags) -> Result<(), Errno> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let pass = self.grace.enter();
        let full = self.get(index, &pass).is_some();
        match full {
            true if flags.contains(ElemFlags::NOEXIST) => Err(Errno::EEXIST),
            false if flags.contains(ElemFlags::EXIST) => Err(Errno::ENOENT),
            _ => self.set(index, Some(held)),
        }
    }

    /// Empties the slots that hold `who`.
    pub(crate) fn forget(&self, who: u64, grace: &Reclaim) {
        let pass = grace.enter();
        for index in 0..self.high.load(Ordering::Acquire) {
            let slot = Slot(self.words.word(index as usize));
            if slot.get(&pass).is_some_and(|held| held.who == who) {
                slot.swap(None, grace);
            }
        }
    }

    pub(crate) fn grace(&self) -> &Reclaim {
        &self.grace
    }

    /// Empties every slot.
    pub(crate) fn clear(&self) {
        for index in 0..self.high.load(Ordering::Acquire) {
            Slot(self.words.word(index as usize)).swap(None, &self.grace);
        }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.clear();
    }
}

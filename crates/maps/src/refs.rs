//! Hash tables of references: the maps inside a hash of maps.
//!
//! The table's values are words like those of [`Slots`](crate::slots::Slots): a counted
//! reference that readers follow while they hold a [`Pass`]. An element that is taken out
//! keeps its word until it is reused, and what the word referred to goes to [`Reclaim`], so a
//! reader that found the element before may still follow it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use skep_abi::{ElemFlags, Errno};
use skep_sync::Pass;

use crate::Spec;
use crate::hash::Hash;
use crate::ledger::Ledger;
use crate::map::{Bucket, Side};
use crate::reclaim::Reclaim;
use crate::slots::{Held, Slot, take};

/// The most elements that one object is taken out of; walks of changing tables end with it.
const MOST: usize = 1 << 20;

pub(crate) struct Refs {
    pub(crate) table: Hash,
    writing: Mutex<()>,
    grace: Arc<Reclaim>,
}

impl Refs {
    pub(crate) fn new(
        spec: &Spec,
        grace: Arc<Reclaim>,
        ledger: &Arc<Ledger>,
    ) -> Result<Refs, Errno> {
        // A word is larger than the value that system calls see.
        let words = Spec {
            value_size: 8,
            fields: Vec::new(),
            ..spec.clone()
        };
        let mut table = Hash::new(&words, ledger)?;
        table.references = true;
        Ok(Refs {
            table,
            writing: Mutex::default(),
            grace,
        })
    }

    fn word(&self, key: &[u8]) -> Option<&AtomicU64> {
        let value = self.table.lookup(key, 0)?;
        // SAFETY: the value is one aligned word of an element, which lives as long as the
        // table; it is only ever accessed atomically.
        Some(unsafe { &*value.cast::<AtomicU64>() })
    }

    pub(crate) fn get<'p>(&self, key: &[u8], pass: &'p Pass<'_>) -> Option<&'p Held> {
        Slot(self.word(key)?).get(pass)
    }

    /// Sets what a key refers to.
    ///
    /// # Errors
    /// `EEXIST`, `ENOENT` as the flags demand, `EINVAL` for other flags, `E2BIG`, `ENOMEM`.
    pub(crate) fn set(&self, key: &[u8], held: Held, flags: ElemFlags) -> Result<(), Errno> {
        if flags.0 > ElemFlags::EXIST.0 {
            return Err(Errno::EINVAL);
        }
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        match self.word(key) {
            Some(_) if flags.contains(ElemFlags::NOEXIST) => Err(Errno::EEXIST),
            None if flags.contains(ElemFlags::EXIST) => Err(Errno::ENOENT),
            old => {
                // A replacement is a new element, which comes first in its bucket, as in Linux.
                let old = old.map_or(0, |word| word.load(Ordering::Acquire));
                let word = Arc::into_raw(Arc::new(held)) as u64;
                let done = self
                    .table
                    .update(key, &word.to_ne_bytes(), flags, Side::User);
                // SAFETY: the count in `word` was made above, and is still here when the table
                // did not take it; that in `old` belonged to the element that `word` replaced.
                let gone = unsafe { take(if done.is_err() { word } else { old }) };
                if let Some(held) = gone {
                    self.grace.retire(held);
                }
                done
            }
        }
    }

    /// Copies bucket `number` out, with what system calls see for values, and empties it when
    /// `delete` says so.
    ///
    /// # Errors
    /// The number of elements, when there is no room for them.
    pub(crate) fn bucket(
        &self,
        number: u64,
        room: u32,
        delete: bool,
        bucket: &mut Bucket,
    ) -> Result<(), u32> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let pass = self.grace.enter();
        self.table.bucket(number, room, delete, bucket)?;
        let words = std::mem::take(&mut bucket.values);
        for word in words.as_chunks::<8>().0 {
            let word = AtomicU64::new(u64::from_ne_bytes(*word));
            let shown = Slot(&word).get(&pass).map_or(0, |held| held.shown);
            bucket.values.extend((shown as u32).to_ne_bytes());
            if !delete {
                continue;
            }
            // SAFETY: the element owned one count of its word and is out of the table; only
            // holders of the lock take counts out.
            let gone = unsafe { take(word.into_inner()) };
            if let Some(held) = gone {
                self.grace.retire(held);
            }
        }
        Ok(())
    }

    /// Takes out the elements that refer to `who`.
    pub(crate) fn forget(&self, who: u64) {
        let mut key = vec![0; self.table.key_size()];
        let mut keys = Vec::new();
        let mut before: Option<Vec<u8>> = None;
        while self.table.next_key(before.as_deref(), &mut key).is_ok() && keys.len() <= MOST {
            let pass = self.grace.enter();
            if self.get(&key, &pass).is_some_and(|held| held.who == who) {
                keys.push(key.clone());
            }
            before = Some(key.clone());
        }
        for key in keys {
            // Somebody else may have deleted it meanwhile, which is as good.
            let _ = self.remove(&key);
        }
    }

    /// # Errors
    /// `ENOENT`.
    pub(crate) fn remove(&self, key: &[u8]) -> Result<(), Errno> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut word = [0; 8];
        self.table.delete(key, Some((&mut word, false)))?;
        // SAFETY: the element owned one count of its word, and it is out of the table; only
        // holders of the lock take counts out.
        if let Some(held) = unsafe { take(u64::from_ne_bytes(word)) } {
            self.grace.retire(held);
        }
        Ok(())
    }
}

impl Drop for Refs {
    fn drop(&mut self) {
        let mut key = vec![0; self.table.key_size()];
        while self.table.next_key(None, &mut key).is_ok() {
            if self.remove(&key).is_err() {
                return;
            }
        }
    }
}

//! Elements that refer to something: programs, and maps inside maps.

use skep_abi::{ElemFlags, Errno};

use super::{Map, Storage, index};
use crate::grace::Pass;
use crate::slots::Held;

impl Map {
    /// What an element of a map of references refers to.
    #[inline]
    pub fn held<'p>(&self, key: &[u8], pass: &'p Pass<'_>) -> Option<&'p Held> {
        match &self.storage {
            Storage::Slots(s) => s.get(index(key)?, pass),
            Storage::Refs(r) => r.get(key, pass),
            _ => None,
        }
    }

    /// Sets an element of a map of references.
    ///
    /// # Errors
    /// `EINVAL` for flags that the type does not take, and for other types; `E2BIG` beyond
    /// the end or when full; `EEXIST`, `ENOENT`, `ENOMEM`.
    pub fn hold(&self, key: &[u8], held: Held, flags: ElemFlags) -> Result<(), Errno> {
        match &self.storage {
            Storage::Slots(_) if !flags.is_empty() => Err(Errno::EINVAL),
            Storage::Slots(s) => s.set(index(key).ok_or(Errno::EINVAL)?, Some(held)),
            Storage::Refs(r) => r.set(key, held, flags),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Empties every slot, as Linux does when the last user reference to a map of programs
    /// goes (programs in it might otherwise keep it alive in a circle).
    pub fn release(&self) {
        if let Storage::Slots(s) = &self.storage {
            s.clear();
        }
    }
}

//! Who writes to a map from the side of system calls, and since when nobody may.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use skep_abi::Errno;

/// Set when the map is frozen.
const FROZEN: u64 = 1 << 63;

/// How many write now, and whether anyone still may: one word, so that neither changes while
/// the other is looked at.
#[derive(Default)]
pub(super) struct Writing(AtomicU64);

/// The right to write, until it is dropped.
pub(crate) struct Writer<'a>(&'a Writing);

impl Writing {
    pub(super) fn is_frozen(&self) -> bool {
        self.0.load(SeqCst) & FROZEN != 0
    }

    /// Whether nobody writes, and nobody ever will.
    pub(super) fn is_over(&self) -> bool {
        self.0.load(SeqCst) == FROZEN
    }

    /// # Errors
    /// `EPERM` when the map is frozen.
    #[inline]
    pub(super) fn begin(&self) -> Result<Writer<'_>, Errno> {
        self.count()?;
        Ok(Writer(self))
    }

    /// Counts one writer, who is counted until [`uncount`](Self::uncount).
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    #[inline]
    pub(super) fn count(&self) -> Result<(), Errno> {
        let more = |word| (word & FROZEN == 0).then_some(word + 1);
        let counted = self.0.fetch_update(SeqCst, SeqCst, more);
        counted.map(drop).map_err(|_| Errno::EPERM)
    }

    #[inline]
    pub(super) fn uncount(&self) {
        self.0.fetch_sub(1, SeqCst);
    }

    /// # Errors
    /// `EPERM` when it is frozen, `EBUSY` while somebody writes.
    pub(super) fn freeze(&self) -> Result<(), Errno> {
        match self.0.compare_exchange(0, FROZEN, SeqCst, SeqCst) {
            Ok(_) => Ok(()),
            Err(word) if word & FROZEN != 0 => Err(Errno::EPERM),
            Err(_) => Err(Errno::EBUSY),
        }
    }
}

impl Drop for Writer<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.uncount();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_frozen_between_writers() {
        let writing = Writing::default();
        let first = writing.begin().expect("not frozen");
        let second = writing.begin().expect("not frozen");
        assert_eq!(writing.freeze(), Err(Errno::EBUSY));
        drop(first);
        assert_eq!(writing.freeze(), Err(Errno::EBUSY));
        drop(second);
        assert!(!writing.is_over());
        assert_eq!(writing.freeze(), Ok(()));
        assert!(writing.is_frozen() && writing.is_over());
        assert_eq!(writing.begin().err(), Some(Errno::EPERM));
        assert_eq!(writing.freeze(), Err(Errno::EPERM));
    }
}

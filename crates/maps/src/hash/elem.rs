//! One element of a hash table: where its words are.

use std::sync::atomic::{AtomicU32, AtomicU64};

/// Where the mark lies.
pub(super) const MARK: usize = 20;

/// An element: an address in the pool of the table that made it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Elem(pub(super) *mut u8);

impl Elem {
    // An `Elem` is only made from links and pool pieces of one table, which are live as long
    // as the table; all four accessors rest on that.
    pub(super) fn next(&self) -> &AtomicU64 {
        // SAFETY: the first word of a live element; only accessed atomically.
        unsafe { &*self.0.cast::<AtomicU64>() }
    }

    pub(super) fn hash(&self) -> &AtomicU32 {
        // SAFETY: the word at 16 of a live element; only accessed atomically.
        unsafe { &*self.0.add(16).cast::<AtomicU32>() }
    }

    /// 0 when free, 1 when in the table, 3 when also used since eviction last looked.
    pub(super) fn mark(&self) -> &AtomicU32 {
        // SAFETY: the word at `MARK` of a live element; only accessed atomically.
        unsafe { &*self.0.add(MARK).cast::<AtomicU32>() }
    }

    pub(super) fn link(&self) -> u64 {
        self.0 as u64
    }
}

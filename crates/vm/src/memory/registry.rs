//! Things that a signal handler finds without a lock, and that come and go meanwhile.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

const SLOTS: usize = 64;

/// Places for things. Chunks are never given back.
struct Chunk<T: 'static> {
    slots: [AtomicPtr<T>; SLOTS],
    next: AtomicPtr<Chunk<T>>,
}

impl<T> Chunk<T> {
    const fn new() -> Chunk<T> {
        Chunk {
            slots: [const { AtomicPtr::new(ptr::null_mut()) }; SLOTS],
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// The chunk behind this one.
    fn next(&self) -> Option<&'static Chunk<T>> {
        // SAFETY: a chunk is leaked before its address is stored, and never freed.
        unsafe { self.next.load(SeqCst).as_ref() }
    }
}

/// All things of one kind.
pub(super) struct Registry<T: 'static> {
    first: Chunk<T>,
    /// How many look right now.
    readers: AtomicUsize,
    /// Held while things are added; those who look do not take it.
    changes: Mutex<()>,
}

impl<T: Send + Sync> Registry<T> {
    pub(super) const fn new() -> Registry<T> {
        Registry {
            first: Chunk::new(),
            readers: AtomicUsize::new(0),
            changes: Mutex::new(()),
        }
    }

    /// The first answer that `look` gives. May be called in a signal handler.
    pub(super) fn find<R>(&self, look: impl Fn(&T) -> Option<R>) -> Option<R> {
        self.readers.fetch_add(1, SeqCst);
        let mut chunk = Some(&self.first);
        let mut found = None;
        'chunks: while let Some(here) = chunk {
            for slot in &here.slots {
                // SAFETY: a thing whose address is stored is freed only after it was taken out
                // and nobody was looking any more, see `Entry::drop`.
                let thing = unsafe { slot.load(SeqCst).as_ref() };
                found = thing.and_then(&look);
                if found.is_some() {
                    break 'chunks;
                }
            }
            chunk = here.next();
        }
        self.readers.fetch_sub(1, SeqCst);
        found
    }

    /// Lets a thing be found for as long as the answer lives.
    pub(super) fn add(&'static self, thing: T) -> Entry<T> {
        let thing = Box::into_raw(Box::new(thing));
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chunk: &'static Chunk<T> = &self.first;
        loop {
            if let Some(slot) = chunk.slots.iter().find(|t| t.load(SeqCst).is_null()) {
                slot.store(thing, SeqCst);
                return Entry {
                    slot,
                    readers: &self.readers,
                };
            }
            chunk = match chunk.next() {
                Some(next) => next,
                None => {
                    let next: &'static Chunk<T> = Box::leak(Box::new(Chunk::new()));
                    chunk.next.store(ptr::from_ref(next).cast_mut(), SeqCst);
                    next
                }
            };
        }
    }
}

/// One thing that is found.
#[derive(Debug)]
pub(super) struct Entry<T: 'static> {
    slot: &'static AtomicPtr<T>,
    readers: &'static AtomicUsize,
}

impl<T> Drop for Entry<T> {
    fn drop(&mut self) {
        /// A handler is done long before; a process that was forked during one has none.
        const PATIENCE: u32 = 1 << 20;
        let thing = self.slot.swap(ptr::null_mut(), SeqCst);
        for _ in 0..PATIENCE {
            if self.readers.load(SeqCst) == 0 {
                // SAFETY: the thing came from `Box::into_raw`, is in no slot any more, and
                // nobody who may have found it before is still looking.
                drop(unsafe { Box::from_raw(thing) });
                return;
            }
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_and_go() {
        static NUMBERS: Registry<usize> = Registry::new();
        let find = |wanted: usize| NUMBERS.find(|n| (*n == wanted).then_some(wanted));
        // More than a chunk has, so that there must be a second one.
        let all: Vec<Entry<usize>> = (0..2 * SLOTS).map(|n| NUMBERS.add(n)).collect();
        for wanted in [0, SLOTS - 1, SLOTS, 2 * SLOTS - 1] {
            assert_eq!(find(wanted), Some(wanted));
        }
        assert_eq!(find(2 * SLOTS), None);
        drop(all);
        assert_eq!(find(0), None);
        let _again = NUMBERS.add(7);
        assert_eq!(find(7), Some(7));
    }
}

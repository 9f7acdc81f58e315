//! Ids: one number space per kind of object, growing as in Linux.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use skep_abi::Errno;

/// The live objects of one kind, by id. Does not keep them alive.
pub(crate) struct Ids<T> {
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    next: u32,
    live: BTreeMap<u32, Weak<T>>,
}

/// An id in use; gives it back when dropped.
pub(crate) struct Id<T> {
    number: u32,
    ids: Arc<Ids<T>>,
}

impl<T> Ids<T> {
    pub(crate) fn new() -> Arc<Ids<T>> {
        Arc::new(Ids {
            inner: Mutex::new(Inner {
                next: 1,
                live: BTreeMap::new(),
            }),
        })
    }

    /// Makes an object that knows its id.
    pub(crate) fn register(self: &Arc<Self>, make: impl FnOnce(Id<T>) -> T) -> Arc<T> {
        let mut inner = self.lock();
        // After the last positive number Linux starts over, at the first one that is free.
        while inner.next == 0
            || inner.next > i32::MAX as u32
            || inner.live.contains_key(&inner.next)
        {
            inner.next = if inner.next >= i32::MAX as u32 {
                1
            } else {
                inner.next + 1
            };
        }
        let number = inner.next;
        inner.next += 1;
        let object = Arc::new(make(Id {
            number,
            ids: self.clone(),
        }));
        inner.live.insert(number, Arc::downgrade(&object));
        object
    }

    /// The object with this id.
    ///
    /// # Errors
    /// `ENOENT`.
    pub(crate) fn get(&self, id: u32) -> Result<Arc<T>, Errno> {
        self.lock()
            .live
            .get(&id)
            .and_then(Weak::upgrade)
            .ok_or(Errno::ENOENT)
    }

    /// The smallest id above `id`.
    ///
    /// # Errors
    /// `ENOENT`.
    pub(crate) fn next(&self, id: u32) -> Result<u32, Errno> {
        let inner = self.lock();
        let mut above = inner.live.range((Excluded(id), Unbounded));
        above
            .find(|(_, o)| o.strong_count() > 0)
            .map(|(id, _)| *id)
            .ok_or(Errno::ENOENT)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Id<T> {
    pub(crate) fn number(&self) -> u32 {
        self.number
    }
}

impl<T> Drop for Id<T> {
    fn drop(&mut self) {
        self.ids.lock().live.remove(&self.number);
    }
}

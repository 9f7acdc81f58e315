//! Locks that are held for a few instructions.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use crate::prim::{AtomicU32, Ordering, relax};

/// A lock that could not be had in time; Linux's resilient locks answer `ETIMEDOUT` then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimedOut;

/// A lock in one word: 0 free, 1 held. One atomic exchange to take, one store to give back.
///
/// It is not fair: who waits longest need not be next. After 64 rounds in vain it lets other
/// threads run.
#[derive(Debug)]
pub struct Word(AtomicU32);

impl Default for Word {
    fn default() -> Word {
        Word(AtomicU32::new(0))
    }
}

impl Word {
    /// Takes the lock.
    #[inline]
    pub fn lock(&self) {
        // An exchange in vain is a store, of which loom cannot keep many.
        let held = match cfg!(loom) {
            true => !self.try_lock(),
            false => self.0.swap(1, Ordering::Acquire) != 0,
        };
        if held {
            self.contend(None);
        }
    }

    /// Takes the lock if it is free.
    #[inline]
    pub fn try_lock(&self) -> bool {
        self.0
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Gives the lock back.
    #[inline]
    pub fn unlock(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Waits for the lock; whether it was had before `end`.
    #[cold]
    fn contend(&self, end: Option<Instant>) -> bool {
        let mut round = 0u32;
        loop {
            relax(round);
            round = round.wrapping_add(1);
            // Only looking keeps the cache line shared; loom's looks may be old for ever.
            let free = cfg!(loom) || self.0.load(Ordering::Relaxed) == 0;
            if free && self.try_lock() {
                return true;
            }
            if round.is_multiple_of(256) && end.is_some_and(|end| Instant::now() >= end) {
                return false;
            }
        }
    }
}

/// A value that one thread at a time reaches.
#[derive(Debug)]
pub struct SpinLock<T> {
    word: Word,
    value: UnsafeCell<T>,
}

// SAFETY: the word lets one thread at a time reach the value, which may move between threads.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T: Default> Default for SpinLock<T> {
    fn default() -> Self {
        SpinLock::new(T::default())
    }
}

impl<T> SpinLock<T> {
    /// A free lock around a value.
    pub fn new(value: T) -> SpinLock<T> {
        SpinLock {
            word: Word::default(),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock until the guard is dropped.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        self.word.lock();
        Guard { lock: self }
    }

    /// Takes the lock, or gives up after about `time`.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn lock_for(&self, time: Duration) -> Result<Guard<'_, T>, TimedOut> {
        if !self.word.try_lock() && !self.word.contend(Instant::now().checked_add(time)) {
            return Err(TimedOut);
        }
        Ok(Guard { lock: self })
    }

    /// The value, which nobody else can reach.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

/// A lock that is held.
#[derive(Debug)]
pub struct Guard<'a, T> {
    lock: &'a SpinLock<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held by this guard, so nobody else reaches the value.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above; the guard is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.word.unlock();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends() {
        let lock = SpinLock::new(1);
        let held = lock.lock();
        let late = lock.lock_for(Duration::ZERO).map(drop);
        assert_eq!(late, Err(TimedOut));
        drop(held);
        *lock.lock_for(Duration::ZERO).expect("a free lock") += 1;
        assert_eq!(*lock.lock(), 2);
    }

    #[test]
    fn one_at_a_time() {
        let lock = SpinLock::new(0u64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| *lock.lock() += 1));
            }
        });
        assert_eq!(*lock.lock(), 40_000);
    }
}

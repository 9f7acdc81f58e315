//! When something that programs may still be using is dropped.
//!
//! A program that runs holds a [`Pass`]. What is *retired* is dropped once every pass that
//! existed at that moment is gone. Runs count themselves into one of two generations; the
//! generations change places when the older one has emptied and something waits.
//!
//! Cost: two atomic operations to enter, one to leave, a lock only where something waits.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

/// What waits to be dropped.
type Retired = Vec<Arc<dyn Any + Send + Sync>>;

/// The runs of one kernel, and what waits for them.
#[derive(Default)]
pub struct Grace {
    generation: AtomicUsize,
    active: [AtomicUsize; 2],
    waits: AtomicBool,
    lists: Mutex<Lists>,
}

#[derive(Default)]
struct Lists {
    /// Waits for the runs of the generation before this one.
    old: Retired,
    /// Was retired in this generation.
    young: Retired,
}

/// The right to use what maps point at; held while a program runs.
pub struct Pass<'a> {
    grace: &'a Grace,
    parity: usize,
}

impl Grace {
    /// Begins a run.
    pub fn enter(&self) -> Pass<'_> {
        loop {
            let generation = self.generation.load(SeqCst);
            let parity = generation & 1;
            self.active[parity].fetch_add(1, SeqCst);
            if self.generation.load(SeqCst) == generation {
                return Pass {
                    grace: self,
                    parity,
                };
            }
            // The generations changed places between the two loads: the count may have gone
            // to the one that is being waited for, so it moves.
            self.leave(parity);
        }
    }

    /// Drops `object` once no run can be using it.
    pub fn retire(&self, object: Arc<dyn Any + Send + Sync>) {
        self.lists
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .young
            .push(object);
        self.waits.store(true, SeqCst);
        self.advance();
    }

    fn leave(&self, parity: usize) {
        if self.active[parity].fetch_sub(1, SeqCst) == 1 && self.waits.load(SeqCst) {
            self.advance();
        }
    }

    fn advance(&self) {
        // Dropping an object may retire another one, so the drops happen outside the lock.
        let mut dropped = Vec::new();
        {
            let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                let before = self.generation.load(SeqCst).wrapping_sub(1) & 1;
                if self.active[before].load(SeqCst) != 0 {
                    break;
                }
                dropped.append(&mut lists.old);
                if lists.young.is_empty() {
                    self.waits.store(false, SeqCst);
                    break;
                }
                lists.old = std::mem::take(&mut lists.young);
                self.generation.fetch_add(1, SeqCst);
            }
        }
        drop(dropped);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.grace.leave(self.parity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Count(Arc<AtomicUsize>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn waits_for_earlier_runs_only() {
        let grace = Grace::default();
        let dropped = Arc::new(AtomicUsize::new(0));
        let first = grace.enter();
        grace.retire(Arc::new(Count(dropped.clone())));
        assert_eq!(
            dropped.load(SeqCst),
            0,
            "a run that began before may use it"
        );
        let second = grace.enter();
        drop(first);
        assert_eq!(dropped.load(SeqCst), 1, "a run that began after cannot");
        grace.retire(Arc::new(Count(dropped.clone())));
        assert_eq!(dropped.load(SeqCst), 1);
        drop(second);
        assert_eq!(dropped.load(SeqCst), 2);
        grace.retire(Arc::new(Count(dropped.clone())));
        assert_eq!(dropped.load(SeqCst), 3, "nothing runs");
    }

    #[test]
    fn threads() {
        let grace = Grace::default();
        let dropped = Arc::new(AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let _pass = grace.enter();
                        grace.retire(Arc::new(Count(dropped.clone())));
                    }
                });
            }
        });
        grace.retire(Arc::new(Count(dropped.clone())));
        assert_eq!(dropped.load(SeqCst), 4001);
    }
}

//! When what a map pointed at is dropped: after the programs that can use the map.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use skep_sync::{Pass, Rcu, Retired};

/// One map's way to the grace periods of its kernel.
pub(crate) struct Reclaim {
    rcu: Arc<Rcu>,
    /// Sleepable programs that use the map.
    sleepers: AtomicU32,
}

impl Reclaim {
    pub(crate) fn new(rcu: Arc<Rcu>) -> Arc<Reclaim> {
        Arc::new(Reclaim {
            rcu,
            sleepers: AtomicU32::new(0),
        })
    }

    /// A pass for a moment's look by a system call.
    pub(crate) fn enter(&self) -> Pass<'_> {
        // What is retired waits for the programs that do not sleep in any case.
        self.rcu.plain.enter()
    }

    /// Drops an object after one grace period of each flavour that programs of the map need.
    pub(crate) fn retire(&self, object: Retired) {
        let sleepers = self.sleepers.load(Ordering::Acquire) > 0;
        self.rcu.retire(object, sleepers);
    }

    pub(crate) fn add_sleeper(&self) {
        self.sleepers.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn remove_sleeper(&self) {
        self.sleepers.fetch_sub(1, Ordering::AcqRel);
    }
}

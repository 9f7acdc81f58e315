//! One value for each virtual CPU, and a number for each thread.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A value on cache lines of its own: two, since processors fetch them in pairs.
#[derive(Default, Debug)]
#[repr(align(128))]
struct Padded<T>(T);

/// As many values as there are CPUs. Costs 128 bytes each, and a bounds check to reach one.
#[derive(Debug)]
pub struct PerCpu<T> {
    values: Box<[Padded<T>]>,
}

impl<T> PerCpu<T> {
    /// Makes the value of each CPU.
    pub fn new(cpus: usize, make: impl FnMut(usize) -> T) -> PerCpu<T> {
        PerCpu {
            values: (0..cpus).map(make).map(Padded).collect(),
        }
    }

    /// The value of a CPU; `None` when there is no such CPU.
    #[inline]
    pub fn get(&self, cpu: usize) -> Option<&T> {
        self.values.get(cpu).map(|padded| &padded.0)
    }

    /// The values of all CPUs, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.values.iter().map(|padded| &padded.0)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.values.len()
    }
}

/// A number of the calling thread's own, counted from 0: what threads that are on no virtual CPU
/// choose one of several lists or slots by. Costs one load of thread-local memory.
#[inline]
pub fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        /// One more than the number; 0 before it was given.
        static OWN: Cell<usize> = const { Cell::new(0) };
    }
    OWN.with(|own| {
        if own.get() == 0 {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1));
        }
        own.get() - 1
    })
}

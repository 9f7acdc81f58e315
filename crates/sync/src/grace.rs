//! When something that programs may still be using is dropped.
//!
//! A program that runs holds a pass. What is *retired* is dropped once every pass that existed
//! at that moment is gone. There are two kinds of passes:
//!
//! - A [`SlotPass`] belongs to a virtual CPU, on which one program runs at a time: a load, a
//!   store and, where the system has `membarrier(2)`, no fence to enter; a store and a load to
//!   leave. About a nanosecond for both.
//! - A [`Pass`] is for everyone else: two atomic additions. Runs count themselves into one of
//!   two generations; the generations change places when the older one has emptied and
//!   something waits.
//!
//! Retiring costs a lock and, when slots are in use, one barrier over all threads.

use std::any::Any;
use std::sync::Arc;

use crate::barrier::Barrier;
use crate::percpu::PerCpu;
use crate::prim::{AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering};
use Ordering::SeqCst;

/// What waits to be dropped.
pub type Retired = Arc<dyn Any + Send + Sync>;

/// The runs of one kernel, and what waits for them.
pub struct Grace {
    generation: AtomicU64,
    active: [AtomicUsize; 2],
    /// 0, or one more than the generation in which the CPU's program began.
    slots: PerCpu<AtomicU64>,
    barrier: Barrier,
    waits: AtomicBool,
    lists: Mutex<Lists>,
}

#[derive(Default)]
struct Lists {
    /// Waits for the runs of the generation before this one, and of earlier ones.
    old: Vec<Retired>,
    /// Was retired in this generation.
    young: Vec<Retired>,
}

/// The right to use what maps point at; held while a program runs.
pub struct Pass<'a> {
    grace: &'a Grace,
    parity: usize,
}

/// The right of the program on one virtual CPU.
pub struct SlotPass<'a> {
    grace: &'a Grace,
    cpu: usize,
}

impl Default for Grace {
    fn default() -> Grace {
        Grace::new(0)
    }
}

impl Grace {
    /// With a slot for each of so many virtual CPUs.
    pub fn new(cpus: usize) -> Grace {
        Grace {
            generation: AtomicU64::new(0),
            active: [AtomicUsize::new(0), AtomicUsize::new(0)],
            slots: PerCpu::new(cpus, |_| AtomicU64::new(0)),
            barrier: Barrier::new(),
            waits: AtomicBool::new(false),
            lists: Mutex::new(Lists::default()),
        }
    }

    /// Begins a run.
    pub fn enter(&self) -> Pass<'_> {
        loop {
            let generation = self.generation.load(SeqCst);
            let parity = (generation & 1) as usize;
            self.active[parity].fetch_add(1, SeqCst);
            if self.generation.load(SeqCst) == generation {
                // Loads of the run come after the count, for who looks at the count.
                self.barrier.light();
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

    /// Begins a run on a virtual CPU that belongs to the caller alone; `None` for a CPU that
    /// there is not, or on which a run is under way (so that runs inside runs ask for a
    /// [`Pass`]).
    #[inline]
    pub fn enter_on(&self, cpu: usize) -> Option<SlotPass<'_>> {
        let slot = self.slots.get(cpu)?;
        if slot.load(Ordering::Relaxed) != 0 {
            return None;
        }
        slot.store(
            self.generation.load(Ordering::Relaxed) + 1,
            Ordering::Relaxed,
        );
        self.barrier.light();
        Some(SlotPass { grace: self, cpu })
    }

    /// Drops `object` once no run can be using it.
    pub fn retire(&self, object: Retired) {
        lock(&self.lists).young.push(object);
        self.waits.store(true, SeqCst);
        self.advance();
    }

    /// Whether something waits for runs to end. A holder of a [`Pass`] that asks between its
    /// runs, and then takes a new one, keeps nothing waiting.
    #[inline]
    pub fn is_waited_for(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// How many objects wait.
    pub fn waiting(&self) -> usize {
        let lists = lock(&self.lists);
        lists.old.len() + lists.young.len()
    }

    fn leave(&self, parity: usize) {
        let last = self.active[parity].fetch_sub(1, SeqCst) == 1;
        self.barrier.light();
        if last && self.waits.load(SeqCst) {
            self.advance();
        }
    }

    #[cold]
    fn advance(&self) {
        // Dropping an object may retire another one, so the drops happen outside the lock.
        let mut dropped = Vec::new();
        {
            let mut lists = lock(&self.lists);
            loop {
                // Who stored into a slot before this is seen below; who did not sees what was
                // unlinked before it was retired.
                self.barrier.heavy();
                let generation = self.generation.load(SeqCst);
                let before = (generation.wrapping_sub(1) & 1) as usize;
                let early = |slot: &AtomicU64| {
                    let began = slot.load(SeqCst);
                    began != 0 && began <= generation
                };
                if self.active[before].load(SeqCst) != 0 || self.slots.iter().any(early) {
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

fn lock(lists: &Mutex<Lists>) -> impl std::ops::DerefMut<Target = Lists> + '_ {
    lists
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.grace.leave(self.parity);
    }
}

impl Drop for SlotPass<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(slot) = self.grace.slots.get(self.cpu) {
            slot.store(0, Ordering::Release);
            self.grace.barrier.light();
        }
        if self.grace.waits.load(Ordering::Relaxed) {
            self.grace.advance();
        }
    }
}

/// Both flavours: programs that do not sleep, and those that do.
#[derive(Default)]
pub struct Rcu {
    /// Of programs that do not sleep.
    pub plain: Grace,
    /// Of programs that may sleep, whose runs can be long.
    pub sleepable: Grace,
}

impl Rcu {
    /// With slots for so many virtual CPUs.
    pub fn new(cpus: usize) -> Rcu {
        Rcu {
            plain: Grace::new(cpus),
            sleepable: Grace::new(cpus),
        }
    }

    /// Drops `object` after the programs that do not sleep and, with `sleepers`, also after
    /// those that do.
    pub fn retire(&self, object: Retired, sleepers: bool) {
        if sleepers {
            self.sleepable.retire(object.clone());
        }
        self.plain.retire(object);
    }
}

#[cfg(all(test, not(loom)))]
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
        let seen = || dropped.load(SeqCst);
        assert_eq!(seen(), 0, "a run that began before may use it");
        let second = grace.enter();
        drop(first);
        assert_eq!(seen(), 1, "a run that began after cannot");
        grace.retire(Arc::new(Count(dropped.clone())));
        assert_eq!(seen(), 1);
        drop(second);
        assert_eq!(seen(), 2);
        grace.retire(Arc::new(Count(dropped.clone())));
        assert_eq!(seen(), 3, "nothing runs");
    }

    #[test]
    fn slots_count_like_passes() {
        let grace = Grace::new(2);
        let dropped = Arc::new(AtomicUsize::new(0));
        let seen = || dropped.load(SeqCst);
        let first = grace.enter_on(0).expect("a slot");
        assert!(grace.enter_on(0).is_none(), "one run at a time");
        assert!(grace.enter_on(2).is_none(), "there are two");
        grace.retire(Arc::new(Count(dropped.clone())));
        assert_eq!(seen(), 0);
        let second = grace.enter_on(1).expect("a slot");
        drop(first);
        assert_eq!(seen(), 1, "the other run began later");
        drop(second);
        let rcu = Rcu::new(1);
        let sleeping = rcu.sleepable.enter_on(0);
        rcu.retire(Arc::new(Count(dropped.clone())), false);
        assert_eq!(seen(), 2, "nobody who sleeps can have it");
        rcu.retire(Arc::new(Count(dropped.clone())), true);
        assert_eq!(seen(), 2);
        drop(sleeping);
        assert_eq!(seen(), 3);
        assert_eq!(rcu.plain.waiting() + rcu.sleepable.waiting(), 0);
    }

    #[test]
    fn threads() {
        let grace = Grace::new(4);
        let dropped = Arc::new(AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for cpu in 0..4 {
                let (grace, dropped) = (&grace, &dropped);
                scope.spawn(move || {
                    for round in 0..1000 {
                        let _slot = (round % 2 == 0).then(|| grace.enter_on(cpu));
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

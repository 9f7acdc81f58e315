//! Timers on several clocks: which one is due, which callback runs, and who waits for its end.
//!
//! A timer is known by a token. Its callback runs on a virtual CPU, which the caller names; the
//! list is not locked meanwhile, so callbacks may start, cancel and remove timers, their own
//! included. Starting, cancelling and taking the next one cost a lock and the logarithm of the
//! number of timers.

use std::collections::{BTreeMap, BTreeSet};

use crate::prim::{AtomicBool, AtomicU64, Mutex, Ordering, relax};

/// Why a timer was not cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Uncancelled {
    /// There is none.
    Missing,
    /// Its callback would wait for its own end, or two callbacks for each other's.
    Deadlock,
}

/// A timer whose callback has to run now; [`Timers::done`] says that it did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due<T, C> {
    /// What the timer was made with.
    pub what: T,
    /// What it was told to run.
    pub callback: C,
}

struct Timer<T, C> {
    what: T,
    clock: usize,
    callback: Option<C>,
    due: Option<u64>,
}

struct List<T, C> {
    /// The token made last.
    last: u64,
    timers: BTreeMap<u64, Timer<T, C>>,
    /// For each clock, the started timers: when they are due, and their tokens.
    queues: Vec<BTreeSet<(u64, u64)>>,
    /// CPUs and the timers whose callbacks they run.
    running: BTreeMap<u32, u64>,
    /// Timers for whose callbacks a canceller waits, with the number of those who wait.
    awaited: BTreeMap<u64, u32>,
}

/// The timers of one kernel: `T` is what each was made with, `C` what it runs.
///
/// Payloads are given back to the caller instead of being dropped while the list is locked.
pub struct Timers<T, C> {
    list: Mutex<List<T, C>>,
    /// Whether some timer was started and did not run.
    started: AtomicBool,
}

impl<T: Clone, C: Clone> Timers<T, C> {
    /// No timers yet, on so many clocks.
    pub fn new(clocks: usize) -> Timers<T, C> {
        let list = List {
            last: 0,
            timers: BTreeMap::new(),
            queues: vec![BTreeSet::new(); clocks],
            running: BTreeMap::new(),
            awaited: BTreeMap::new(),
        };
        Timers {
            list: Mutex::new(list),
            started: AtomicBool::new(false),
        }
    }

    fn with<R>(&self, body: impl FnOnce(&mut List<T, C>) -> R) -> R {
        let mut list = self.list.lock().unwrap_or_else(|e| e.into_inner());
        body(&mut list)
    }

    /// Whether a timer may be waiting for its time. Cost: one load.
    #[inline]
    pub fn any_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// Makes a timer and writes its token to `word`, which holds the token of the one before or
    /// 0. Of two that make one for the same word, one does.
    ///
    /// # Errors
    /// Gives `what` back when the word has a timer, or there is no such clock.
    pub fn insert(&self, word: &AtomicU64, what: T, clock: usize) -> Result<(), T> {
        self.with(|list| {
            let taken = list.timers.contains_key(&word.load(Ordering::Acquire));
            if taken || clock >= list.queues.len() {
                return Err(what);
            }
            list.last += 1;
            let timer = Timer {
                what,
                clock,
                callback: None,
                due: None,
            };
            list.timers.insert(list.last, timer);
            word.store(list.last, Ordering::Release);
            Ok(())
        })
    }

    /// Forgets a timer. A callback of it that runs goes on.
    pub fn remove(&self, token: u64) -> Option<(T, Option<C>)> {
        self.with(|list| {
            list.stop(token);
            let timer = list.timers.remove(&token)?;
            Some((timer.what, timer.callback))
        })
    }

    /// Sets what a timer runs; gives back what it ran before. `None` when there is no timer.
    pub fn set_callback(&self, token: u64, callback: C) -> Option<Option<C>> {
        self.with(|list| {
            let timer = list.timers.get_mut(&token)?;
            Some(timer.callback.replace(callback))
        })
    }

    /// Starts a timer, which is due at the time that `due` says for its clock, instead of when
    /// it was due before. False when there is none, or it has nothing to run.
    pub fn start(&self, token: u64, due: impl FnOnce(usize) -> u64) -> bool {
        let started = self.with(|list| {
            list.stop(token);
            let timer = list.timers.get_mut(&token)?;
            timer.callback.as_ref()?;
            let time = due(timer.clock);
            timer.due = Some(time);
            list.queues[timer.clock].insert((time, token));
            self.started.store(true, Ordering::Release);
            Some(())
        });
        started.is_some()
    }

    /// Stops a timer, which forgets its callback, and waits for the end of one that runs on
    /// another CPU than the caller's, `cpu`. Gives the callback, and whether the timer waited
    /// for its time.
    ///
    /// # Errors
    /// When the timer is not there, or the wait might not end.
    pub fn cancel(&self, token: u64, cpu: u32) -> Result<(Option<C>, bool), Uncancelled> {
        let (callback, was_started, waits) = self.with(|list| {
            let own = list.running.get(&cpu).copied();
            if own == Some(token) {
                return Err(Uncancelled::Deadlock);
            }
            let runs = list.running.values().any(|running| *running == token);
            let awaited = own.is_some_and(|own| list.awaited.contains_key(&own));
            if !list.timers.contains_key(&token) {
                return Err(Uncancelled::Missing);
            }
            if runs && awaited {
                return Err(Uncancelled::Deadlock);
            }
            if runs {
                *list.awaited.entry(token).or_default() += 1;
            }
            let was_started = list.stop(token);
            let timer = list.timers.get_mut(&token);
            Ok((timer.and_then(|t| t.callback.take()), was_started, runs))
        })?;
        if waits {
            self.wait_for_end(token);
        }
        Ok((callback, was_started))
    }

    /// Waits until no CPU runs the timer's callback, on behalf of one who is counted.
    #[cold]
    fn wait_for_end(&self, token: u64) {
        let mut round = 0u32;
        loop {
            let over = self.with(|list| {
                if list.running.values().any(|running| *running == token) {
                    return false;
                }
                if let Some(waiters) = list.awaited.get_mut(&token) {
                    *waiters -= 1;
                    if *waiters == 0 {
                        list.awaited.remove(&token);
                    }
                }
                true
            });
            if over {
                return;
            }
            relax(round);
            round = round.wrapping_add(1);
        }
    }

    /// Takes the timer that is due longest by the clocks, whose callback then runs on `cpu`.
    pub fn take_due(&self, cpu: u32, now: impl Fn(usize) -> u64) -> Option<Due<T, C>> {
        self.with(|list| {
            let first = |clock: usize| {
                let first = list.queues[clock].first().copied();
                first.filter(|(due, _)| *due <= now(clock))
            };
            let next = (0..list.queues.len()).filter_map(first).min();
            let Some((_, token)) = next else {
                let waits = list.queues.iter().any(|queue| !queue.is_empty());
                self.started.store(waits, Ordering::Release);
                return None;
            };
            list.stop(token);
            let timer = list.timers.get(&token)?;
            let due = Due {
                what: timer.what.clone(),
                callback: timer.callback.clone()?,
            };
            list.running.insert(cpu, token);
            Some(due)
        })
    }

    /// The callback that ran on `cpu` is over.
    pub fn done(&self, cpu: u32) {
        self.with(|list| list.running.remove(&cpu));
    }
}

impl<T, C> List<T, C> {
    /// Takes a timer out of its queue; whether it was there.
    fn stop(&mut self, token: u64) -> bool {
        let Some(timer) = self.timers.get_mut(&token) else {
            return false;
        };
        match timer.due.take() {
            Some(due) => self.queues[timer.clock].remove(&(due, token)),
            None => false,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_longest_due_comes_first() {
        let timers: Timers<u32, u32> = Timers::new(2);
        let words: [AtomicU64; 3] = Default::default();
        for (number, (word, clock)) in words.iter().zip([0, 1, 0]).enumerate() {
            assert_eq!(timers.insert(word, number as u32, clock), Ok(()));
            assert_eq!(timers.insert(word, 9, clock), Err(9), "it has one");
            let token = word.load(Ordering::Relaxed);
            assert!(!timers.start(token, |_| 0), "nothing to run");
            assert_eq!(timers.set_callback(token, 7), Some(None));
            assert!(timers.start(token, |_| 30 - 10 * number as u64));
        }
        let order = |now: u64| {
            let due = std::iter::from_fn(|| timers.take_due(0, |_| now));
            due.map(|due| due.what).collect::<Vec<_>>()
        };
        assert_eq!(order(9), []);
        assert_eq!(order(20), [2, 1]);
        assert!(timers.any_started());
        assert_eq!(order(30), [0]);
        assert_eq!(order(99), []);
        assert!(!timers.any_started());
    }

    #[test]
    fn a_callback_cannot_wait_for_itself() {
        let timers: Timers<(), ()> = Timers::new(1);
        let word = AtomicU64::new(0);
        assert_eq!(timers.insert(&word, (), 1), Err(()), "no such clock");
        assert_eq!(timers.insert(&word, (), 0), Ok(()));
        let token = word.load(Ordering::Relaxed);
        timers.set_callback(token, ());
        timers.start(token, |_| 0);
        assert!(timers.take_due(3, |_| 0).is_some());
        assert_eq!(timers.cancel(token, 3), Err(Uncancelled::Deadlock));
        timers.done(3);
        timers.start(token, |_| 5);
        assert_eq!(timers.cancel(token, 3), Ok((Some(()), true)));
        assert_eq!(timers.cancel(token, 3), Ok((None, false)));
        assert_eq!(timers.remove(token), Some(((), None)));
        assert_eq!(timers.cancel(token, 3), Err(Uncancelled::Missing));
    }
}

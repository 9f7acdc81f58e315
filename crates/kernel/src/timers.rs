//! Timers in map values: when they are due, and the callbacks they then run.
//!
//! A timer's field in a value holds a token, by which the timer is known here. When the element
//! is deleted or overwritten, or the last user of the map goes, the map gives the token back.
//! Due timers run whenever a command enters the kernel, or when [`Kernel::run_timers`] is
//! called: there is no thread of the kernel's own.
//!
//! Nothing is dropped while the list is locked: with a program a map may go, and with the map
//! its timers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use skep_abi::Errno;
use skep_vm::world::Clock;

use crate::kernel::Kernel;
use crate::map::MapObject;
use crate::prog::Program;

/// All timers of a kernel.
#[derive(Default)]
pub(crate) struct Timers {
    list: Mutex<List>,
    /// Whether some timer was started and has not run.
    waiting: AtomicBool,
}

#[derive(Default)]
struct List {
    next: u64,
    timers: BTreeMap<u64, Timer>,
    running: Option<u64>,
}

/// One timer.
struct Timer {
    map: Weak<MapObject>,
    /// The element around its field.
    key: Vec<u8>,
    value: u64,
    clock: Clock,
    callback: Option<(Arc<Program>, u64)>,
    due: Option<u64>,
}

/// A timer that has to run now.
pub(crate) struct Due {
    token: u64,
    pub(crate) map: Arc<MapObject>,
    pub(crate) key: Vec<u8>,
    pub(crate) value: u64,
    pub(crate) program: Arc<Program>,
    pub(crate) function: u64,
}

impl Timers {
    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the timer at `field` of a value of `map`.
    ///
    /// # Errors
    /// `EBUSY` when there is one already, `EPERM` when no descriptor refers to the map,
    /// `EINVAL` when no value has a field there.
    pub(crate) fn init(&self, map: &Arc<MapObject>, field: u64, clock: Clock) -> Result<(), Errno> {
        let word = map.map.word(field).ok_or(Errno::EINVAL)?;
        let (key, value) = map.map.element(field).ok_or(Errno::EINVAL)?;
        if !map.has_users() {
            return Err(Errno::EPERM);
        }
        let mut list = self.lock();
        if list.timers.contains_key(&word.load(Ordering::Acquire)) {
            return Err(Errno::EBUSY);
        }
        list.next += 1;
        let token = list.next;
        let map = Arc::downgrade(map);
        let timer = Timer {
            map,
            key,
            value,
            clock,
            callback: None,
            due: None,
        };
        list.timers.insert(token, timer);
        word.store(token, Ordering::Release);
        Ok(())
    }

    /// Runs `body` on the timer whose token a field holds.
    ///
    /// # Errors
    /// `EINVAL` when it was never made.
    fn with<T>(
        &self,
        token: u64,
        body: impl FnOnce(&mut Timer) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        body(self.lock().timers.get_mut(&token).ok_or(Errno::EINVAL)?)
    }

    /// Sets what a timer runs.
    ///
    /// # Errors
    /// `EINVAL`.
    pub(crate) fn set_callback(
        &self,
        token: u64,
        program: Arc<Program>,
        function: u64,
    ) -> Result<(), Errno> {
        let before = self.with(token, |timer| {
            Ok(timer.callback.replace((program, function)))
        })?;
        drop(before);
        Ok(())
    }

    /// Forgets a timer whose field is gone.
    pub(crate) fn remove(&self, token: u64) {
        let timer = self.lock().timers.remove(&token);
        drop(timer);
    }

    /// Starts a timer; `after` nanoseconds from now, or at that time with `absolute`.
    ///
    /// # Errors
    /// `EINVAL`, also without a callback.
    pub(crate) fn start(
        &self,
        kernel: &Kernel,
        token: u64,
        after: u64,
        absolute: bool,
    ) -> Result<(), Errno> {
        self.with(token, |timer| {
            if timer.callback.is_none() {
                return Err(Errno::EINVAL);
            }
            let base = if absolute {
                0
            } else {
                kernel.world.now_ns(timer.clock)
            };
            timer.due = Some(base.saturating_add(after));
            Ok(())
        })?;
        self.waiting.store(true, Ordering::Release);
        Ok(())
    }

    /// Stops a timer, which forgets its callback; whether it was started.
    ///
    /// # Errors
    /// `EINVAL`; `EDEADLK` from the timer's own callback.
    pub(crate) fn cancel(&self, token: u64) -> Result<bool, Errno> {
        if token != 0 && self.lock().running == Some(token) {
            return Err(Errno::EDEADLK);
        }
        let (callback, was_started) = self.with(token, |timer| {
            Ok((timer.callback.take(), timer.due.take().is_some()))
        })?;
        drop(callback);
        Ok(was_started)
    }

    /// Takes the next timer that is due.
    fn next_due(&self, kernel: &Kernel) -> Option<Due> {
        let map;
        let mut list = self.lock();
        let List {
            timers, running, ..
        } = &mut *list;
        let due = |timer: &Timer| {
            timer
                .due
                .filter(|due| *due <= kernel.world.now_ns(timer.clock))
        };
        let first = timers
            .iter()
            .filter_map(|(t, timer)| Some((due(timer)?, *t)))
            .min();
        let Some((_, token)) = first else {
            let waits = timers.values().any(|timer| timer.due.is_some());
            self.waiting.store(waits, Ordering::Release);
            return None;
        };
        let timer = timers.get_mut(&token)?;
        timer.due = None;
        map = timer.map.upgrade()?;
        let (program, function) = timer.callback.clone()?;
        *running = Some(token);
        let (key, value) = (timer.key.clone(), timer.value);
        Some(Due {
            token,
            map,
            key,
            value,
            program,
            function,
        })
    }

    fn done(&self, due: &Due) {
        let mut list = self.lock();
        if list.running == Some(due.token) {
            list.running = None;
        }
    }
}

impl Kernel {
    /// Runs the callbacks of all timers that are due; how many there were. Every command does
    /// this first, so a caller needs it only to let time pass without one.
    pub fn run_timers(&self) -> usize {
        let mut ran = 0;
        while self.timers.waiting.load(Ordering::Acquire) {
            // A program that runs on the only CPU calls back here: its timers wait.
            let Some(mut cpu) = self.vcpus.take_any() else {
                break;
            };
            let Some(due) = self.timers.next_due(self) else {
                break;
            };
            self.run_timer(&due, &mut cpu);
            self.timers.done(&due);
            ran += 1;
        }
        ran
    }
}

//! Timers in map values: when they are due, and the callbacks they then run.
//!
//! A timer's field in a value holds a token, by which the timer is known here. Deleting or
//! overwriting the element clears the field, so a token that is no longer found in its place
//! belongs to a timer that was freed. Due timers run whenever a command enters the kernel, or
//! when [`Kernel::run_timers`] is called: there is no thread of the kernel's own.

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
    /// Where its field is, and the element around it.
    field: u64,
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
        list.timers.retain(|token, timer| timer.is_there(*token));
        list.next += 1;
        let token = list.next;
        let map = Arc::downgrade(map);
        let timer = Timer {
            map,
            field,
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
        self.with(token, |timer| {
            timer.callback = Some((program, function));
            Ok(())
        })
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
        self.with(token, |timer| {
            timer.callback = None;
            Ok(timer.due.take().is_some())
        })
    }

    /// Takes the next timer that is due.
    fn next_due(&self, kernel: &Kernel) -> Option<Due> {
        let mut list = self.lock();
        let List {
            timers, running, ..
        } = &mut *list;
        timers.retain(|token, timer| timer.is_there(*token));
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
        let (program, function) = timer.callback.clone()?;
        *running = Some(token);
        let (map, key, value) = (timer.map.upgrade()?, timer.key.clone(), timer.value);
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

impl Timer {
    /// Whether the element still exists and its field still holds the token.
    fn is_there(&self, token: u64) -> bool {
        let Some(map) = self.map.upgrade() else {
            return false;
        };
        let field = map
            .map
            .word(self.field)
            .map(|word| word.load(Ordering::Acquire));
        // As on Linux, the last user of a map takes its timers away.
        map.has_users() && field == Some(token) && map.map.lookup(&self.key, 0) == Some(self.value)
    }
}

impl Kernel {
    /// Runs the callbacks of all timers that are due; how many there were. Every command does
    /// this first, so a caller needs it only to let time pass without one.
    pub fn run_timers(&self) -> usize {
        let mut ran = 0;
        while self.timers.waiting.load(Ordering::Acquire) {
            let Some(due) = self.timers.next_due(self) else {
                break;
            };
            self.run_timer(&due);
            self.timers.done(&due);
            ran += 1;
        }
        ran
    }
}

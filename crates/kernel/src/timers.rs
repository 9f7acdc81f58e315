//! Timers in map values, and the callbacks they run.
//!
//! A timer's field in a value holds a token, by which the timer is known here. When the element
//! is deleted or overwritten, or the last user of the map goes, the map gives the token back.
//! Due timers run whenever a command enters the kernel, or when [`Kernel::run_timers`] is
//! called: there is no thread of the kernel's own.

use std::sync::{Arc, Weak};

use skep_abi::Errno;
use skep_sync::Uncancelled;
use skep_vm::world::Clock;

use crate::kernel::Kernel;
use crate::map::MapObject;
use crate::prog::Program;

/// The clocks, by number.
const CLOCKS: [Clock; 3] = [Clock::Monotonic, Clock::Boot, Clock::Tai];

/// Where a timer lies.
#[derive(Clone)]
pub(crate) struct Place {
    map: Weak<MapObject>,
    /// The element around its field.
    key: Vec<u8>,
    value: u64,
}

/// What a timer runs: a function of a program.
type Callback = (Arc<Program>, u64);

/// All timers of a kernel.
pub(crate) struct Timers(skep_sync::Timers<Place, Callback>);

/// A callback that has to run now.
pub(crate) struct Due {
    pub(crate) map: Arc<MapObject>,
    pub(crate) key: Vec<u8>,
    pub(crate) value: u64,
    pub(crate) program: Arc<Program>,
    pub(crate) function: u64,
}

impl Default for Timers {
    fn default() -> Timers {
        Timers(skep_sync::Timers::new(CLOCKS.len()))
    }
}

impl Timers {
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
        let place = Place {
            map: Arc::downgrade(map),
            key,
            value,
        };
        let clock = CLOCKS.iter().position(|known| *known == clock);
        let clock = clock.ok_or(Errno::EINVAL)?;
        self.0.insert(word, place, clock).map_err(|_| Errno::EBUSY)
    }

    /// Sets what a timer runs.
    ///
    /// # Errors
    /// `EINVAL` when it was never made.
    pub(crate) fn set_callback(
        &self,
        token: u64,
        program: Arc<Program>,
        function: u64,
    ) -> Result<(), Errno> {
        let before = self.0.set_callback(token, (program, function));
        before.map(drop).ok_or(Errno::EINVAL)
    }

    /// Forgets a timer whose field is gone.
    pub(crate) fn remove(&self, token: u64) {
        self.0.remove(token);
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
        let due = |clock: usize| {
            let base = if absolute { 0 } else { kernel.now_ns(clock) };
            base.saturating_add(after)
        };
        match self.0.start(token, due) {
            true => Ok(()),
            false => Err(Errno::EINVAL),
        }
    }

    /// Stops a timer, which forgets its callback, on behalf of a program on `cpu`, and waits
    /// for a callback that runs elsewhere; whether the timer was started.
    ///
    /// # Errors
    /// `EINVAL`; `EDEADLK` from the timer's own callback, and where two callbacks would wait
    /// for each other.
    pub(crate) fn cancel(&self, token: u64, cpu: u32) -> Result<bool, Errno> {
        match self.0.cancel(token, cpu) {
            Ok((callback, was_started)) => {
                drop(callback);
                Ok(was_started)
            }
            Err(Uncancelled::Missing) => Err(Errno::EINVAL),
            Err(Uncancelled::Deadlock) => Err(Errno::EDEADLK),
        }
    }
}

impl Kernel {
    fn now_ns(&self, clock: usize) -> u64 {
        let clock = CLOCKS.get(clock).copied();
        self.world.now_ns(clock.unwrap_or(Clock::Monotonic))
    }

    /// Runs the callbacks of all timers that are due; how many there were. Every command does
    /// this first, so a caller needs it only to let time pass without one.
    pub fn run_timers(&self) -> usize {
        let mut ran = 0;
        while self.timers.0.any_started() {
            // A program that runs on the only CPU calls back here: its timers wait.
            let Some(mut cpu) = self.vcpus.take_any() else {
                break;
            };
            let Some(due) = self.timers.0.take_due(cpu.id(), |clock| self.now_ns(clock)) else {
                break;
            };
            // A map that is gone has no values whose timers could run.
            if let Some(map) = due.what.map.upgrade() {
                let (program, function) = due.callback;
                let due = Due {
                    map,
                    key: due.what.key,
                    value: due.what.value,
                    program,
                    function,
                };
                self.run_timer(&due, &mut cpu);
                ran += 1;
            }
            self.timers.0.done(cpu.id());
        }
        ran
    }
}

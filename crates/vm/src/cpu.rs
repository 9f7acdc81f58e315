//! Virtual CPUs: what a running program owns while it runs, and how runs share them.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use crate::cell::Regs;
use crate::host::Trap;
use crate::memory::{MAX_FRAMES, Stack, Trust};
use crate::run::Mode;

/// How long a run may take.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Limits {
    /// The instructions it may execute, counted at jumps and calls; `None` for any number.
    pub fuel: Option<u64>,
    /// When it must be over, looked at every hundred thousand instructions or so.
    pub deadline: Option<Instant>,
}

impl Limits {
    /// Whether there is any limit.
    #[inline]
    pub fn any(&self) -> bool {
        self.fuel.is_some() || self.deadline.is_some()
    }
}

/// Instructions between two looks at the clock.
const SLICE: u64 = 100_000;

/// A caller that waits for a subprogram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// Where it goes on.
    pub at: u32,
    /// Its r6 to r9.
    pub saved: [u64; 4],
    /// The jumps that `may_goto` still lets pass.
    pub may_goto: u32,
}

/// One virtual CPU: a number, a stack, and the accounts of the program running on it.
#[derive(Debug)]
pub struct Cpu {
    id: u32,
    pub(crate) stack: Stack,
    /// Register files that nothing uses at present; boxed, because two kilobytes are handed
    /// out and taken back around every function.
    #[allow(clippy::vec_box)]
    pub(crate) spare: Vec<Box<Regs>>,
    /// Waiting callers, over all nested executions.
    pub(crate) callers: Vec<Frame>,
    /// The frame that is running, from 1; 0 when nothing runs.
    pub(crate) frame: u32,
    /// The frame in which the running program's entry function runs.
    pub(crate) first_frame: u32,
    pub(crate) tail_calls: u32,
    /// Where the frames of native code begin, on the machine's own stack, which grows down from
    /// there; 0 when none runs.
    native_top: u64,
    /// How accesses of the present run are allowed.
    pub(crate) mode: Mode,
    /// Where the innermost execution stopped.
    pub(crate) stopped_at: Option<u32>,
    limits: Limits,
    /// Instructions charged in full slices.
    charged: u64,
    /// The size of the slice that is being used up.
    slice: i64,
    /// What is left of it, while no execution keeps it in a register.
    pub(crate) fuel: i64,
}

impl Cpu {
    /// A CPU with this number.
    pub fn new(id: u32) -> Cpu {
        Cpu {
            id,
            stack: Stack::new(),
            spare: Vec::new(),
            callers: Vec::with_capacity(8),
            frame: 0,
            first_frame: 1,
            tail_calls: 0,
            native_top: 0,
            mode: Mode::Checking,
            stopped_at: None,
            limits: Limits::default(),
            charged: 0,
            slice: 0,
            fuel: 0,
        }
    }

    /// The number that `bpf_get_smp_processor_id` gives.
    #[inline]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The instructions that the present or last run executed.
    pub fn executed(&self) -> u64 {
        self.charged.saturating_add_signed(self.slice - self.fuel)
    }

    /// Makes everything ready for a run.
    #[inline]
    pub(crate) fn begin(&mut self, mode: Mode, limits: Limits) {
        self.callers.clear();
        self.frame = 0;
        self.first_frame = 1;
        self.tail_calls = 0;
        self.mode = mode;
        self.stopped_at = None;
        self.limits = limits;
        self.charged = 0;
        self.slice = self.next_slice();
        self.fuel = self.slice;
    }

    /// Makes everything ready for a run of native code that is not bounded. What counts
    /// instructions keeps its values: nothing is charged.
    #[inline]
    pub(crate) fn begin_native(&mut self, trust: Trust) {
        self.callers.clear();
        self.frame = 1;
        self.first_frame = 1;
        self.tail_calls = 0;
        self.mode = Mode::Trusting(trust);
        self.stopped_at = None;
        if self.is_limited() {
            self.limits = Limits::default();
        }
        (self.charged, self.slice, self.fuel) = (0, i64::MAX, i64::MAX);
    }

    /// Whether the present run is bounded.
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.limits.any()
    }

    /// For engines of native code: frames lie below this address from now on. Gives what was
    /// said before, which is to be said again when the code ends; code that runs within other
    /// code leaves it as it is.
    #[inline]
    pub fn set_native_top(&mut self, top: u64) -> u64 {
        std::mem::replace(&mut self.native_top, top)
    }

    /// Where frames of native code begin; 0 when none runs.
    #[inline]
    pub fn native_top(&self) -> u64 {
        self.native_top
    }

    /// Whether the bytes lie on the machine's stack between the first frame of native code and
    /// the caller.
    #[inline(never)]
    pub(crate) fn covers_native(&self, addr: u64, len: u64) -> bool {
        let end = addr.checked_add(len);
        addr >= crate::memory::stack_pointer() && end.is_some_and(|end| end <= self.native_top)
    }

    /// For native code that counts: what is left of the present slice.
    #[inline]
    pub fn fuel(&self) -> i64 {
        self.fuel
    }

    /// For native code that counts: what it left.
    #[inline]
    pub fn set_fuel(&mut self, fuel: i64) {
        self.fuel = fuel;
    }

    fn next_slice(&self) -> i64 {
        let left = match self.limits.fuel {
            Some(fuel) => fuel.saturating_sub(self.charged),
            None => i64::MAX as u64,
        };
        let slice = if self.limits.deadline.is_some() {
            left.min(SLICE)
        } else {
            left
        };
        i64::try_from(slice).unwrap_or(i64::MAX)
    }

    /// Called when a slice is used up: starts the next one.
    ///
    /// Errors: [`Trap::Fuel`], [`Trap::Deadline`].
    #[cold]
    pub fn refill(&mut self) -> Result<(), Trap> {
        self.charged = self.charged.saturating_add_signed(self.slice - self.fuel);
        (self.slice, self.fuel) = (0, 0);
        if self.limits.fuel.is_some_and(|limit| self.charged > limit) {
            return Err(Trap::Fuel);
        }
        self.slice = self.next_slice();
        self.fuel = self.slice;
        match self.limits.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Trap::Deadline),
            _ => Ok(()),
        }
    }

    /// Enters a frame.
    ///
    /// Errors: [`Trap::CallDepth`].
    #[inline(always)]
    pub(crate) fn enter(&mut self) -> Result<(), Trap> {
        if self.frame >= MAX_FRAMES {
            return Err(Trap::CallDepth);
        }
        self.frame += 1;
        Ok(())
    }

    /// Leaves a frame.
    #[inline(always)]
    pub(crate) fn leave(&mut self) {
        self.frame = self.frame.saturating_sub(1);
    }
}

/// The virtual CPUs of one machine.
#[derive(Debug)]
pub struct Cpus {
    cpus: Box<[Place]>,
    /// Where the next search for a free one begins.
    next: AtomicUsize,
}

#[derive(Debug)]
struct Place {
    cpu: Mutex<Cpu>,
    /// The thread that has it, as [`this_thread`] says; 0 when nobody has.
    owner: AtomicUsize,
}

impl Place {
    fn guard<'a>(&'a self, cpu: MutexGuard<'a, Cpu>) -> CpuGuard<'a> {
        self.owner.store(this_thread(), Relaxed);
        CpuGuard { cpu, place: self }
    }

    /// Whether the calling thread has it, so that waiting for it would never end.
    fn is_mine(&self) -> bool {
        self.owner.load(Relaxed) == this_thread()
    }
}

/// A number that no other thread has now.
fn this_thread() -> usize {
    thread_local!(static PLACE: u8 = const { 0 });
    PLACE.with(|place| std::ptr::from_ref(place).addr())
}

/// A CPU that is taken until the guard is dropped.
#[derive(Debug)]
pub struct CpuGuard<'a> {
    cpu: MutexGuard<'a, Cpu>,
    place: &'a Place,
}

impl Deref for CpuGuard<'_> {
    type Target = Cpu;

    #[inline]
    fn deref(&self) -> &Cpu {
        &self.cpu
    }
}

impl DerefMut for CpuGuard<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Cpu {
        &mut self.cpu
    }
}

impl Drop for CpuGuard<'_> {
    fn drop(&mut self) {
        self.place.owner.store(0, Relaxed);
    }
}

impl Cpus {
    /// A machine with `count` CPUs, at least one, numbered from 0.
    pub fn new(count: u32) -> Cpus {
        let cpus = (0..count.max(1))
            .map(|id| Place {
                cpu: Mutex::new(Cpu::new(id)),
                owner: AtomicUsize::new(0),
            })
            .collect();
        Cpus {
            cpus,
            next: AtomicUsize::new(0),
        }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.cpus.len()).unwrap_or(u32::MAX)
    }

    /// Takes the CPU with this number, waiting until it is free; `None` when there is none, or
    /// when the calling thread has it already.
    pub fn take(&self, id: u32) -> Option<CpuGuard<'_>> {
        let place = self.cpus.get(usize::try_from(id).ok()?)?;
        if place.is_mine() {
            return None;
        }
        Some(place.guard(place.cpu.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Takes any CPU: the lowest free one, so that a single thread always runs on CPU 0;
    /// waits for one when all are taken. `None` when the calling thread has all of them.
    pub fn take_any(&self) -> Option<CpuGuard<'_>> {
        for place in &self.cpus {
            match place.cpu.try_lock() {
                Ok(cpu) => return Some(place.guard(cpu)),
                Err(TryLockError::Poisoned(cpu)) => return Some(place.guard(cpu.into_inner())),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let first = self.next.fetch_add(1, Relaxed);
        let count = self.cpus.len();
        let others = (0..count).map(|n| first.wrapping_add(n) % count);
        let place = others
            .filter_map(|at| self.cpus.get(at))
            .find(|place| !place.is_mine())?;
        Some(place.guard(place.cpu.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_himself() {
        let cpus = Cpus::new(2);
        let (a, b) = (cpus.take_any(), cpus.take_any());
        let ids = [&a, &b].map(|cpu| cpu.as_ref().map(|cpu| cpu.id()));
        assert_eq!(ids, [Some(0), Some(1)]);
        assert!(cpus.take_any().is_none() && cpus.take(1).is_none() && cpus.take(2).is_none());
        drop(a);
        assert_eq!(cpus.take(0).map(|cpu| cpu.id()), Some(0));
        let first = cpus.take(0);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| cpus.take(1).map(|cpu| cpu.id()));
            drop(b);
            assert_eq!(waits.join().expect("no panic"), Some(1));
        });
        drop(first);
    }
}

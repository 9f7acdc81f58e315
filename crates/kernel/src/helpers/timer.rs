//! Helpers on timers in map values.

use std::sync::atomic::Ordering;

use skep_abi::Errno;
use skep_catalog::helper_id as id;
use skep_vm::Trap;
use skep_vm::world::Clock;

use super::{Call, Done, Kfuncs, Rows, err, int, ok, status};

pub(super) const ROWS: Rows = &[
    (id::TIMER_INIT, init),
    (id::TIMER_SET_CALLBACK, set_callback),
    (id::TIMER_START, start),
    (id::TIMER_CANCEL, cancel),
];

/// A work queue's item is a timer that is due at once.
pub(super) const KFUNCS: Kfuncs = &[
    ("bpf_wq_init", |c| {
        let map = c.host.map(c.arg(1))?.clone();
        if c.arg32(2) != 0 {
            return int(-Errno::EINVAL.0);
        }
        let (kernel, field) = (c.host.kernel, c.arg(0));
        word(kernel.timers.init(&map, field, Clock::Monotonic))
    }),
    ("bpf_wq_set_callback_impl", |c| {
        if c.arg32(2) != 0 {
            return int(-Errno::EINVAL.0);
        }
        let done = set_callback(c)?;
        int(done as i32)
    }),
    ("bpf_wq_start", |c| {
        if c.arg32(1) != 0 {
            return int(-Errno::EINVAL.0);
        }
        let kernel = c.host.kernel;
        word(kernel.timers.start(kernel, token(c)?, 0, false))
    }),
];

/// Nothing, or an errno, as a native function of the kernel answers.
fn word(done: Result<(), Errno>) -> Done {
    int(done.map_or_else(|errno| -errno.0, |()| 0))
}

/// `BPF_F_TIMER_ABS` and `BPF_F_TIMER_CPU_PIN`.
const ABSOLUTE: u64 = 1;
const PINNED: u64 = 2;

fn init(c: &mut Call<'_, '_, '_>) -> Done {
    let (field, flags) = (c.arg(0), c.arg(2));
    let clock = match flags {
        0 => Clock::Tai,
        1 => Clock::Monotonic,
        7 => Clock::Boot,
        _ => return err(Errno::EINVAL),
    };
    let map = c.host.map(c.arg(1))?.clone();
    status(c.host.kernel.timers.init(&map, field, clock))
}

/// The token in the field of the first argument.
fn token(c: &Call<'_, '_, '_>) -> Result<u64, Trap> {
    let field = c.arg(0);
    let word = c
        .host
        .find_map(|map| map.map.word(field).map(|w| w.load(Ordering::Acquire)));
    word.ok_or_else(|| Trap::Host(format!("no timer at {field:#x}")))
}

fn set_callback(c: &mut Call<'_, '_, '_>) -> Done {
    let token = token(c)?;
    let Some(program) = c.host.running(c.machine.program()) else {
        return Err(Trap::Host("a program that was never entered".into()));
    };
    status(c.host.kernel.timers.set_callback(token, program, c.arg(1)))
}

fn start(c: &mut Call<'_, '_, '_>) -> Done {
    let (after, flags) = (c.arg(1), c.arg(2));
    if flags & !(ABSOLUTE | PINNED) != 0 {
        return err(Errno::EINVAL);
    }
    let kernel = c.host.kernel;
    status(
        kernel
            .timers
            .start(kernel, token(c)?, after, flags & ABSOLUTE != 0),
    )
}

fn cancel(c: &mut Call<'_, '_, '_>) -> Done {
    match c.host.kernel.timers.cancel(token(c)?, c.host.cpu) {
        Ok(was_started) => ok(u64::from(was_started)),
        Err(errno) => err(errno),
    }
}

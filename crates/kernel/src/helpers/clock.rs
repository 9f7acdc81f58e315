//! Helpers that ask the world: clocks, random numbers, the CPU, the current task.

use skep_catalog::helper_id as id;
use skep_vm::world::Clock;

use super::{Call, Done, Rows, ok};

pub(super) const ROWS: Rows = &[
    (id::KTIME_GET_NS, |c| c.clock(Clock::Monotonic)),
    (id::KTIME_GET_BOOT_NS, |c| c.clock(Clock::Boot)),
    (id::KTIME_GET_TAI_NS, |c| c.clock(Clock::Tai)),
    (id::KTIME_GET_COARSE_NS, |c| {
        let now = c.host.kernel.world.now_ns(Clock::Monotonic);
        ok(now - now % TICK_NS)
    }),
    (id::JIFFIES64, |c| {
        let now = c.host.kernel.world.now_ns(Clock::Monotonic);
        ok(FIRST_JIFFY + now / TICK_NS)
    }),
    (id::GET_PRANDOM_U32, |c| {
        ok(u64::from(c.host.kernel.world.random_u32()))
    }),
    (id::GET_SMP_PROCESSOR_ID, |c| ok(u64::from(c.host.cpu))),
    (id::GET_NUMA_NODE_ID, |c| {
        let node = c.host.kernel.world.numa_node(c.host.cpu);
        ok(u64::from(node))
    }),
    (id::GET_CURRENT_PID_TGID, |c| {
        let task = c.host.kernel.world.task();
        ok(u64::from(task.tgid) << 32 | u64::from(task.pid))
    }),
    (id::GET_CURRENT_UID_GID, |c| {
        let task = c.host.kernel.world.task();
        ok(u64::from(task.gid) << 32 | u64::from(task.uid))
    }),
    (id::GET_CURRENT_COMM, comm),
    (id::GET_CURRENT_TASK, task),
    (id::GET_CURRENT_TASK_BTF, task),
];

/// The length of a tick at 250 ticks a second.
const TICK_NS: u64 = 4_000_000;
/// Linux starts the count five minutes before its lower half wraps.
const FIRST_JIFFY: u64 = (u32::MAX - 300 * 250 + 1) as u64;

fn task(c: &mut Call<'_, '_, '_>) -> Done {
    ok(c.host.kernel.current_task())
}

impl Call<'_, '_, '_> {
    fn clock(&self, clock: Clock) -> Done {
        ok(self.host.kernel.world.now_ns(clock))
    }
}

fn comm(c: &mut Call<'_, '_, '_>) -> Done {
    let comm = c.host.kernel.world.task().comm;
    let size = c.arg(1);
    let mut out = vec![0; size.min(16) as usize];
    for (to, from) in out.iter_mut().zip(comm) {
        *to = from;
    }
    // A name that was cut still ends with NUL.
    if let Some(last) = out.last_mut() {
        *last = 0;
    }
    c.zero(c.arg(0), size)?;
    c.write(c.arg(0), &out)?;
    ok(0)
}

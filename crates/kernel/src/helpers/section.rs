//! Functions that begin and end sections, lock, and throw.

use skep_abi::Errno;
use skep_vm::Trap;

use super::{Call, Done, Kfuncs, err, ok, void};

pub(super) const KFUNCS: Kfuncs = &[
    // A run holds its pass from begin to end, and nothing interrupts a virtual CPU.
    ("bpf_rcu_read_lock", |_| void()),
    ("bpf_rcu_read_unlock", |_| void()),
    ("bpf_preempt_disable", |_| void()),
    ("bpf_preempt_enable", |_| void()),
    ("bpf_local_irq_save", |c| {
        c.zero(c.arg(0), 8)?;
        void()
    }),
    ("bpf_local_irq_restore", |_| void()),
    ("bpf_res_spin_lock", lock),
    ("bpf_res_spin_unlock", unlock),
    ("bpf_res_spin_lock_irqsave", |c| {
        c.zero(c.arg(1), 8)?;
        lock(c)
    }),
    ("bpf_res_spin_unlock_irqrestore", unlock),
    ("bpf_throw", |c| Err(Trap::Thrown(c.arg(0)))),
];

/// How often a lock that another run holds is tried before it is given up.
const TRIES: u32 = 1 << 22;

/// Takes a lock, unless this run has it already, or another one keeps it too long.
fn lock(c: &mut Call<'_, '_, '_>) -> Done {
    let at = c.arg(0);
    if c.host.res_locks.contains(&at) {
        report(c, "AA or ABBA deadlock detected", at);
        return err(Errno::EDEADLK);
    }
    for _ in 0..TRIES {
        let mut held = c
            .host
            .kernel
            .heap
            .locks
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if held.insert(at) {
            drop(held);
            c.host.res_locks.push(at);
            return ok(0);
        }
        drop(held);
        std::thread::yield_now();
    }
    report(c, "Timeout detected", at);
    err(Errno::ETIMEDOUT)
}

/// Tells the program's standard error of a lock that it did not get.
fn report(c: &Call<'_, '_, '_>, what: &str, at: u64) {
    let held = c.host.res_locks.iter().enumerate();
    let held: String = held
        .map(|(number, lock)| format!("Held lock[{number:2}] = {lock:#018x}\n"))
        .collect();
    let count = c.host.res_locks.len();
    let text = format!(
        "{what} for bpf_res_spin_lock\nAttempted lock   = {at:#018x}\n\
         Total held locks = {count}\n{held}"
    );
    if let Some(prog) = c.host.running(c.machine.program()) {
        c.host.kernel.report(&prog, c.host.cpu, &text);
    }
}

fn unlock(c: &mut Call<'_, '_, '_>) -> Done {
    let at = c.arg(0);
    let mut held = c
        .host
        .kernel
        .heap
        .locks
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    held.remove(&at);
    c.host.res_locks.retain(|lock| *lock != at);
    void()
}

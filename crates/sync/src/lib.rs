//! What maps and programs need to work on many threads at once.
//!
//! - [`Grace`] drops things when no program can be using them any more; [`Rcu`] is one for
//!   programs that do not sleep and one for those that do.
//! - [`SpinLock`] guards a few instructions; [`SpinLock::lock_for`] gives up after a while.
//! - [`PerCpu`] is one value for each virtual CPU, each on cache lines of its own.
//! - [`ring::Producers`] is what the producers of a ring buffer agree on.
//! - [`clock::Clock`] chooses the element that makes room in a full table.
//! - [`Timers`] says which timer is due and who waits for a callback.
//! - [`FreeList`] hands out pieces of memory, mostly from a list of the CPU's own.
//!
//! With `--cfg loom` everything is built on loom's primitives, and the tests in
//! `tests/models.rs` go through all interleavings of small scenes (`cargo xtask loom`).

mod barrier;
pub mod clock;
mod free;
mod grace;
mod percpu;
mod prim;
pub mod ring;
mod spin;
mod timers;

pub use free::{FreeList, Links};
pub use grace::{Grace, Pass, Rcu, Retired, SlotPass};
pub use percpu::{PerCpu, thread_number};
pub use spin::{Guard, SpinLock, TimedOut, Word};
pub use timers::{Due, Timers, Uncancelled};

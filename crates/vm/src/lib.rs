//! The interpreter: runs verified programs, trusting or checking every step.
//!
//! A [`Program`] is linked once from a [`skep_verifier::Executable`] and then run any number
//! of times, each run on a virtual [`Cpu`] and against a [`Host`] that provides helpers, maps
//! and memory. Programs work on native addresses.
//!
//! In [`Mode::Trusting`] nothing is checked: the verifier's word is taken, which its caller
//! has to promise in an `unsafe` place ([`Trust`]). In [`Mode::Checking`] every access must
//! lie in memory that the host granted, and before every instruction the registers must lie
//! inside a state that the verifier recorded; any program at all is safe to run so.
#![deny(unsafe_code)]

mod arena;
mod call;
mod cell;
mod check;
mod cpu;
mod flow;
mod fuse;
mod fused;
mod handlers;
mod host;
mod link;
#[allow(unsafe_code)]
mod memory;
mod native;
mod program;
mod run;
mod simple;
pub mod world;

pub use check::{Claim, Violation};
pub use cpu::{Cpu, CpuGuard, Cpus, Limits};
pub use host::{ArenaPlace, Grants, Host, Linker, Stopped, Trap};
pub use memory::{FRAME_BYTES, Forgiven, Pager, Pages, Recovery, Trust, stack_pointer};
pub use native::{End, Leaf, Native, entry_of, next_program, run_in_place};
pub use program::{LinkError, Program};
pub use run::{MAX_TAIL_CALLS, Machine, Mode, Prepared, run, run_function};

//! The map types of BPF and their operations, with Linux's visible semantics.
//!
//! A [`Map`] is made from a [`Spec`] (what `BPF_MAP_CREATE` says, checked by
//! [`Spec::check`]) and is then used from two sides: *programs* get the native address
//! of a value and write through it, *system calls* copy whole values in and out. Both
//! sides may run on many threads at once.
//!
//! # Who frees what, when
//!
//! A program keeps raw addresses of values across helper calls, also across the call that
//! deletes the element. Two rules keep such an address harmless:
//!
//! 1. Element memory is *type-stable*: an element that is deleted goes back to its own
//!    map's free list and may be reused for another element of the same map, but its bytes
//!    are only given back to the system when the map itself is dropped. This is what a
//!    program on Linux sees of preallocated maps.
//! 2. A running program owns a reference to each of its maps, and whatever a map merely
//!    points at (an inner map, a program) goes through [`Rcu`] before it is dropped.
//!
//! Values are copied as relaxed atomic words, so a copy that races with a program's store
//! may be torn between words as on Linux, but is never undefined.

mod arena;
mod array;
mod bloom;
mod hash;
mod ledger;
mod local;
mod lpm;
mod map;
mod pool;
mod queue;
mod reclaim;
mod refs;
mod region;
mod ring;
mod shared;
mod slots;
mod spec;
mod stacks;
mod value;

pub use arena::Arena;
pub use ledger::{Charge, Ledger};
pub use map::{Bucket, Entry, Map, Operation, Reach, Side, finish_entry};
pub use ring::{Record, RingInfo, Sample};
pub use skep_sync::{Grace, Pass, Rcu};
pub use slots::Held;
pub use spec::{Limits, Spec};
pub use stacks::Collision;
pub use value::{Field, FieldKind, Release};

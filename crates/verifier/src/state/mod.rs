//! The abstract state of a program: registers, stack, frames, and what they hold.

pub mod frame;
pub mod record;
pub mod reg;
pub mod stack;
pub mod whole;

pub use frame::Frame;
pub use reg::{Flags, Kind, Reg};
pub use stack::{Slot, SlotType};
pub use whole::{HistoryEntry, State, StateId};

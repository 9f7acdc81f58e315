//! Generated programs put to skep and to Linux, and what may come out of it.
//!
//! Three oracles look at each program: whether skep *says* what Linux says, whether a run
//! stays inside what the verifier *claimed* (and computes what Linux computes), and whether
//! pruning changes the *verdict*.

mod campaign;
mod examine;
mod session;
mod text;
mod types;

pub use campaign::{Campaign, Finding, Tally};
pub use examine::{Bench, Oracles, Owned, Seen, Trouble};
pub use session::{Loaded, Session};
pub use text::filetest;

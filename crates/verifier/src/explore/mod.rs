//! How the paths of a program are walked: which branch next, when to stop because an older
//! state covers this one, how loops converge, and which numbers must be exact.

pub mod backtrack;
pub mod converge;
pub mod equiv;
pub mod precision;
mod undo;
pub mod visited;
pub mod walk;

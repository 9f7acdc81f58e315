//! Which stack slots a program may still read.

pub mod propagate;
pub mod stack;

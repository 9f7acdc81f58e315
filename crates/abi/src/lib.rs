//! The bpf(2) contract: numbers, names, attribute views, errno and the seam traits.
#![forbid(unsafe_code)]

mod seam;
pub use seam::{Backend, Bpf, Files, UserMemory};

/// A Linux error number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);
impl core::fmt::Debug for Errno { fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result { write!(f, "{}", self.0) } }

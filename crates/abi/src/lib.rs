//! The bpf(2) contract: numbers, names, attribute views, errno and the seam traits.
#![forbid(unsafe_code)]

mod seam;
pub use seam::{Backend, Bpf, Files, UserMemory};

/// A Linux error number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

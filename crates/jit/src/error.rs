//! Why a program has no native code; it is then interpreted.

use std::fmt;

/// What stands in the way of native code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unsupported {
    /// The slot of the executable where it stands.
    pub at: u32,
    /// What it is.
    pub what: &'static str,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unsupported: {} at {}", self.what, self.at)
    }
}

impl std::error::Error for Unsupported {}

/// Why a program could not be compiled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CompileError {
    /// There is no back end for this kind of machine.
    NoBackEnd,
    /// The program has something that is not compiled.
    Unsupported(Unsupported),
    /// The system gives no memory for code, and says why.
    Memory(String),
}

impl From<Unsupported> for CompileError {
    fn from(unsupported: Unsupported) -> CompileError {
        CompileError::Unsupported(unsupported)
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompileError::NoBackEnd => f.write_str("unsupported: no native back end"),
            CompileError::Unsupported(what) => what.fmt(f),
            CompileError::Memory(why) => write!(f, "no memory for code: {why}"),
        }
    }
}

impl std::error::Error for CompileError {}

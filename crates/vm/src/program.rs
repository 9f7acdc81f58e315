//! A program that is ready to run.

use std::fmt;
use std::sync::OnceLock;

use skep_isa::DecodeError;
use skep_verifier::{Executable, MapId};

use crate::check::States;
use crate::host::{ArenaPlace, Linker};
use crate::link;
use crate::memory::{Checked, Code, Trust};
use crate::native::{Compiled, Native};

/// A program that is ready to run: decoded, its references resolved.
pub struct Program {
    /// What the trusting mode runs: neighbours may be fused.
    pub(crate) cells: Code<Trust>,
    /// What the checking mode runs: the same without fusing.
    pub(crate) plain: Code<Checked>,
    /// For each cell, the instruction of the original program.
    pub(crate) origin: Box<[u32]>,
    /// Where each subprogram begins.
    pub(crate) starts: Box<[u32]>,
    /// Where the function begins that gets what was thrown.
    pub(crate) exception_callback: Option<u32>,
    /// What the verifier claims before each original instruction.
    pub(crate) states: States,
    pub(crate) maps: Box<[MapId]>,
    /// Where the arena is, if it uses one.
    pub(crate) arena: ArenaPlace,
    pub(crate) helpers: Box<[i32]>,
    /// Runs in the place of the cells where nothing is counted or checked.
    pub(crate) native: OnceLock<Option<Compiled>>,
    /// The same, counting what it executes: for runs with limits.
    pub(crate) bounded: OnceLock<Option<Compiled>>,
}

/// Why an executable cannot be linked. The verifier makes no such executables, except for
/// instructions that this interpreter does not run.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum LinkError {
    /// A slot is no instruction.
    Decode(DecodeError),
    /// A jump or call leaves the program.
    Target { at: usize },
    /// A reference to a map, map value or function that does not exist.
    Reference { at: usize },
    /// A subprogram that begins or ends outside, or needs more stack than a frame has.
    Subprogram { index: usize },
    /// An instruction that is not run here.
    Unsupported { at: usize, what: &'static str },
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Decode(error) => write!(f, "{error}"),
            LinkError::Target { at } => write!(f, "jump out of the program at {at}"),
            LinkError::Reference { at } => write!(f, "dangling reference at {at}"),
            LinkError::Subprogram { index } => write!(f, "malformed subprogram {index}"),
            LinkError::Unsupported { at, what } => write!(f, "unsupported: {what} at {at}"),
        }
    }
}

impl std::error::Error for LinkError {}

impl Program {
    /// Makes an executable ready to run.
    ///
    /// Errors: [`LinkError`].
    pub fn link(executable: &Executable, linker: &dyn Linker) -> Result<Program, LinkError> {
        link::link(executable, linker)
    }

    /// Gives the program native code, which must have been compiled from the very executable
    /// that it is linked from, with the same linker: the promise of [`Trust`] covers it.
    /// Only the first attempt counts; one that gives nothing leaves it to the interpreter.
    #[inline]
    pub fn with_native(&self, compile: impl FnOnce() -> Option<Box<dyn Native>>) {
        self.native.get_or_init(|| compile().map(Compiled::new));
    }

    /// As [`with_native`](Self::with_native), for code that counts what it executes. Runs with
    /// [`Limits`](crate::Limits) are interpreted where there is none.
    #[inline]
    pub fn with_bounded(&self, compile: impl FnOnce() -> Option<Box<dyn Native>>) {
        self.bounded.get_or_init(|| compile().map(Compiled::new));
    }

    /// The native code, if it has some.
    #[inline]
    pub fn native(&self) -> Option<&dyn Native> {
        let compiled = self.compiled(false).or_else(|| self.compiled(true));
        Some(&*compiled?.native)
    }

    /// The native code for runs with limits, or without.
    #[inline]
    pub(crate) fn compiled(&self, limited: bool) -> Option<&Compiled> {
        let place = if limited { &self.bounded } else { &self.native };
        place.get()?.as_ref()
    }

    /// The maps that the program refers to.
    pub fn maps(&self) -> &[MapId] {
        &self.maps
    }

    /// How many slots it has.
    pub fn len(&self) -> usize {
        self.plain.len()
    }

    /// Whether it has no slot at all; such a program cannot be linked.
    pub fn is_empty(&self) -> bool {
        self.plain.len() == 0
    }

    /// The helpers and the functions of the kernel that the program calls, by number, each once,
    /// ascending.
    pub fn helpers(&self) -> &[i32] {
        &self.helpers
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Program {
            plain,
            starts,
            maps,
            helpers,
            ..
        } = self;
        write!(
            f,
            "Program({} slots, starts {starts:?}, {maps:?}, helpers {helpers:?})",
            plain.len()
        )
    }
}

//! What the interpreter needs from outside: helpers, maps, memory; and how a run can fail.

use std::fmt;
use std::sync::Arc;

use skep_verifier::MapId;

use crate::check::Violation;
pub use crate::memory::Grants;
use crate::program::Program;
use crate::run::Machine;

/// Turns the references of a program into values, once, when it is linked.
pub trait Linker {
    /// The opaque value that stands for a map when a program passes it to a helper.
    fn map_handle(&self, map: MapId) -> u64;
    /// The address of a byte in the value of a map with direct access; `None` when the
    /// map has no such byte.
    fn map_value_address(&self, map: MapId, offset: u32) -> Option<u64>;
    /// Where an arena is; `None` for other maps.
    fn arena(&self, map: MapId) -> Option<ArenaPlace> {
        let _ = map;
        None
    }
}

/// Where an arena is.
///
/// To run programs that use it is to promise ([`Trust`](crate::Trust)) that of all addresses
/// that are a number of 32 bits, one of 16 bits with a sign, and up to seven more away from
/// [`base`](Self::base), each is one of its pages, or cannot be accessed at all.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ArenaPlace {
    /// What programs add to the low half of an address.
    pub base: u64,
    /// Where the user sees the first page: the upper half of addresses that are the user's.
    pub user: u64,
}

impl ArenaPlace {
    /// The upper half of the user's addresses, and zeros.
    pub fn user_half(self) -> u64 {
        self.user & !u64::from(u32::MAX)
    }
}

/// What a running program can reach.
pub trait Host: Grants {
    /// Calls a helper, or a function of the kernel (`skep_catalog::KFUNC_BASE` and up), which
    /// are alike: five numbers in, one out. `machine` reaches the program's memory and its callbacks.
    ///
    /// Errors: [`Trap::UnknownHelper`] for a helper that the host does not have, and
    /// whatever else ends the run; an errno of a helper is a value, not an error.
    fn call_helper(
        &mut self,
        machine: &mut Machine<'_>,
        id: i32,
        args: [u64; 5],
    ) -> Result<u64, Trap>;

    /// The program that a tail call goes to; `None` lets the caller go on.
    ///
    /// Errors: whatever ends the run.
    fn tail_call(&mut self, ctx: u64, map: u64, index: u32) -> Result<Option<Arc<Program>>, Trap>;

    /// A number of the packet behind a context, as classic BPF reads it, in host order;
    /// `None` ends the frame with 0.
    fn load_packet(&mut self, ctx: u64, offset: i32, size: u32) -> Option<u64>;
}

/// Why a run did not return.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trap {
    /// The instructions of [`Limits::fuel`](crate::Limits::fuel) are used up.
    Fuel,
    /// [`Limits::deadline`](crate::Limits::deadline) has passed.
    Deadline,
    /// The program ran past its last instruction or into half of one.
    PastEnd,
    /// More frames than a virtual CPU can hold.
    CallDepth,
    /// An access outside the stack and the granted memory, or a misaligned atomic one.
    Memory {
        /// The first byte.
        addr: u64,
        /// The bytes.
        len: u64,
        /// Whether it was to be written.
        write: bool,
    },
    /// A register or stack slot outside what the verifier claimed.
    Violation(Box<Violation>),
    /// The host has no such helper.
    UnknownHelper(i32),
    /// A callback that is no function of the program.
    UnknownFunction(u64),
    /// The program threw this number (`bpf_throw`). Every frame of the program ends, and its
    /// exception callback makes the result.
    Thrown(u64),
    /// The host ended the run, and says why.
    Host(String),
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trap::Fuel => write!(f, "out of fuel"),
            Trap::Deadline => write!(f, "the deadline has passed"),
            Trap::PastEnd => write!(f, "ran past the end of the program"),
            Trap::CallDepth => write!(f, "too many nested calls"),
            Trap::Memory { addr, len, write } => {
                let what = if *write { "write" } else { "read" };
                write!(
                    f,
                    "{what} of {len} bytes at {addr:#x}, which was not granted"
                )
            }
            Trap::Violation(violation) => write!(f, "{violation}"),
            Trap::UnknownHelper(id) => write!(f, "unsupported: helper {id} cannot be run here"),
            Trap::Thrown(number) => write!(f, "threw {number:#x} where nothing catches it"),
            Trap::UnknownFunction(handle) => write!(f, "no function {handle:#x} to call back"),
            Trap::Host(why) => f.write_str(why),
        }
    }
}

/// A run that did not return, and where it stood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stopped {
    /// Why.
    pub trap: Trap,
    /// The instruction of the program as it was given to the verifier, when one was running.
    pub insn: Option<u32>,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.insn {
            Some(insn) => write!(f, "insn {insn}: {}", self.trap),
            None => write!(f, "{}", self.trap),
        }
    }
}

impl std::error::Error for Stopped {}

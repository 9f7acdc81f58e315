//! Native code: compiles verified programs for the machine that runs them.
//!
//! [`compile`] turns a [`skep_verifier::Executable`] into a [`Native`], which is attached to
//! the interpreter's [`skep_vm::Program`] and then runs in its place. A program that cannot be
//! compiled ([`CompileError`]) is interpreted; on machines other than x86-64 that is every one.
//!
//! ```text
//! instructions → build (SSA) → opt → x86: lower → regs → emit → asm → memory
//! ```
//!
//! What the verifier proved is taken as given: accesses are not checked. Code is written to
//! fresh pages that become executable when they are no longer writable.

mod build;
mod error;
mod ir;
mod layout;
mod memory;
mod opt;
mod program;
// Native code calls with the convention of x86-64, which other targets do not know.
#[cfg(target_arch = "x86_64")]
mod state;
mod x86;

use skep_verifier::MapId;

pub use error::{CompileError, Unsupported};
pub use program::{Image, Native, compile, compile_for};
pub use x86::Features;

/// An array whose elements lie one after the other, and live as long as the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArrayPlace {
    /// The address of the first value.
    pub base: u64,
    /// From one value to the next, in bytes.
    pub stride: u32,
    /// How many there are.
    pub entries: u32,
}

/// What a program's references mean, and what is known of its maps.
pub trait Facts: skep_vm::Linker {
    /// Where the elements of a map lie when it is a plain array that never moves; looking
    /// an element up in it is then a comparison and an address.
    fn array(&self, map: MapId) -> Option<ArrayPlace> {
        let _ = map;
        None
    }
}

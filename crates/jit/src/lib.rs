//! Native code: compiles verified programs for the machine that runs them.
//!
//! [`compile`] turns a [`skep_verifier::Executable`] into a [`Native`], which is attached to
//! the interpreter's [`skep_vm::Program`] and then runs in its place. A program that cannot be
//! compiled ([`CompileError`]) is interpreted; on machines other than x86-64 that is every one.
//!
//! ```text
//! instructions → build (SSA) → opt → x86: lower → (blind) → regs → emit → asm → memory
//! ```
//!
//! What the verifier proved is taken as given: accesses are not checked. Code lies in pages
//! that no mapping lets anybody write.

mod arm;
pub mod bare;
mod build;
mod debug;
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

pub use debug::SourceLine;
pub use error::{CompileError, Unsupported};
pub use program::{Image, Native, Options, compile, compile_for, compile_for_arm};
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
    /// From the values of one CPU to those of the next, in bytes; 0 when all share them.
    pub plane: u64,
}

/// A function of the host that takes the place of a helper's call.
///
/// It has the native calling convention with six arguments: `object`, the helper's arguments
/// behind its first (all of them where the helper has no map), and last the number of the CPU.
/// It returns r0, ends no run, and calls nothing back. Function and object live as long as the
/// program; that they do what is said here is part of the promise of [`skep_vm::Trust`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Direct {
    /// The address of the function.
    pub function: u64,
    /// What it gets first.
    pub object: u64,
}

/// Where the copies of the CPUs lie of what every CPU has one of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuCopies {
    /// From one CPU's copy to the next one's, in bytes; that of CPU 0 is where the pointer leads.
    pub stride: u32,
    /// How many there are.
    pub cpus: u32,
}

/// What a program's references mean, and what is known of its maps.
pub trait Facts: skep_vm::Linker {
    /// Where the elements of a map lie when it is an array that never moves; looking
    /// an element up in it is then a comparison and an address.
    fn array(&self, map: MapId) -> Option<ArrayPlace> {
        let _ = map;
        None
    }

    /// How `bpf_this_cpu_ptr` and `bpf_per_cpu_ptr` find a CPU's copy, where that is the same for
    /// all objects.
    fn cpu_copies(&self) -> Option<CpuCopies> {
        None
    }

    /// What a call of this helper can go to directly, when its first argument is this map, or
    /// when it takes no map.
    fn direct(&self, helper: i32, map: Option<MapId>) -> Option<Direct> {
        let _ = (helper, map);
        None
    }
}

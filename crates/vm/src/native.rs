//! The door for native code: how a compiled program takes the interpreter's place.

use std::fmt;
use std::sync::Arc;

use crate::cpu::Cpu;
use crate::host::{Host, Trap};
use crate::memory::Trust;
use crate::program::Program;
use crate::run::{self, MAX_TAIL_CALLS};

/// How an execution ended that did not fail.
#[derive(Debug)]
pub enum End {
    /// With this r0.
    Return(u64),
    /// By a tail call to this program with this context.
    Tail(Arc<Program>, u64),
    /// By throwing this number, in a program that native code had gone to by itself.
    Thrown(Arc<Program>, u64),
}

pub use crate::memory::Leaf;

/// The compiled code of a program.
pub trait Native: Send + Sync + fmt::Debug {
    /// Runs the function that begins at slot `start` until it returns or tail-calls from its
    /// own frame. The promise covers the program it was compiled from.
    ///
    /// Errors: whatever ends the run.
    fn enter(
        &self,
        trust: Trust,
        program: &Program,
        cpu: &mut Cpu,
        host: &mut dyn Host,
        start: u32,
        args: [u64; 5],
    ) -> Result<End, Trap>;

    /// The code of the entry function, when it can only end by returning.
    fn leaf(&self) -> Option<Leaf> {
        None
    }

    /// Where the entry function begins, if code of the same kind can go there by itself.
    fn entry(&self) -> Option<u64> {
        None
    }

    /// The code.
    fn bytes(&self) -> &[u8];

    /// Where in it the program's functions begin, in their order.
    fn functions(&self) -> Vec<usize> {
        vec![0]
    }
}

/// The native code of a program as it is kept.
pub(crate) struct Compiled {
    pub(crate) native: Box<dyn Native>,
    pub(crate) leaf: Option<Leaf>,
}

impl Compiled {
    pub(crate) fn new(native: Box<dyn Native>) -> Compiled {
        let leaf = native.leaf();
        Compiled { native, leaf }
    }
}

/// The program that a tail call goes to, counted; `None` lets the caller go on.
///
/// Errors: whatever ends the run.
pub fn next_program(
    cpu: &mut Cpu,
    host: &mut dyn Host,
    ctx: u64,
    map: u64,
    index: u32,
) -> Result<Option<Arc<Program>>, Trap> {
    if cpu.tail_calls >= MAX_TAIL_CALLS {
        return Ok(None);
    }
    let next = host.tail_call(ctx, map, index)?;
    cpu.tail_calls += u32::from(next.is_some());
    Ok(next)
}

/// Where the native code of a program begins that a tail call of native code on this CPU goes to;
/// `None` where it has none that code can go to by itself.
pub fn entry_of(next: &Program, cpu: &Cpu) -> Option<u64> {
    next.compiled(cpu.is_limited())?.native.entry()
}

/// Runs a program that a tail call from a subprogram went to, in that subprogram's place.
/// Gives r0.
///
/// Errors: whatever ends the run.
pub fn run_in_place(
    next: &Program,
    cpu: &mut Cpu,
    host: &mut dyn Host,
    ctx: u64,
) -> Result<u64, Trap> {
    let first_frame = std::mem::replace(&mut cpu.first_frame, cpu.frame + 1);
    let result = run::enter(next, cpu, host, 0, [ctx, 0, 0, 0, 0]);
    cpu.first_frame = first_frame;
    result
}

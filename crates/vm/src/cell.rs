//! The form in which the interpreter keeps an instruction, and the machine it works on.
//!
//! Every instruction becomes a [`Cell`] with the function that runs it; the function ends by
//! calling the next cell's. In optimised builds that call is a jump, so that nothing is
//! dispatched in one central place. Where it may stay a call, the chain is broken every
//! [`CHAIN`] cells, so that the native stack cannot run out.
//!
//! Nothing is counted from cell to cell. What chains hand on as *fuel* is what is left plus how
//! far the run is into the program, less the length of the program; so it only changes where
//! the run jumps, by the distance, and is never more than what is left.

use std::sync::Arc;

use crate::cpu::Cpu;
use crate::fuse::FUSED;
use crate::host::{Host, Trap};
use crate::memory::{Access, At, Code, Denied};
use crate::program::Program;

/// r0 to r10, and room so that no register number is out of range.
pub(crate) type Regs = [u64; 256];

/// Runs one cell and those after it: the cell, the registers, the machine, and the fuel.
pub(crate) type Handler<A> = fn(At<'_, A>, &mut Regs, &mut Run<'_, A>, i64) -> Exit;

/// One decoded slot.
///
/// ```text
///  0          8          16        20        24    25    32
///  | run      | imm      | off     | to      | dst | src |
/// ```
#[derive(Clone, Copy)]
pub(crate) struct Cell<A: Access> {
    /// Runs this cell, and possibly the next one with it.
    pub run: Handler<A>,
    /// The operands.
    pub args: Operands,
}

/// The operands of a cell.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Operands {
    /// The immediate, sign-extended; the value of a 64-bit load; the number of a helper.
    pub imm: u64,
    /// The offset of an access.
    pub off: i32,
    /// How many cells lie between this one and where it jumps.
    pub to: i32,
    /// The destination register.
    pub dst: u8,
    /// The source register.
    pub src: u8,
}

impl Operands {
    #[inline(always)]
    pub(crate) fn d(&self) -> usize {
        usize::from(self.dst)
    }

    #[inline(always)]
    pub(crate) fn s(&self) -> usize {
        usize::from(self.src)
    }

    /// The address `base + off`.
    #[inline(always)]
    pub(crate) fn addr(&self, base: u64) -> u64 {
        base.wrapping_add_signed(i64::from(self.off))
    }
}

/// Why a chain of handlers came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// To be called again at [`Run::at`], with more fuel if [`Run::fuel`] is used up.
    Yield,
    /// The function returned.
    Return,
    /// The function's frame is to be taken over by [`Run::next`].
    Tail,
    /// [`Run::trap`] says why the run ends.
    Trap,
}

/// One function of a program at work.
pub(crate) struct Run<'m, A: Access> {
    pub access: A,
    pub program: &'m Program,
    pub cells: &'m Code<A>,
    pub cpu: &'m mut Cpu,
    pub host: &'m mut dyn Host,
    /// The waiting callers that belong to earlier executions.
    pub callers: usize,
    /// The jumps that `may_goto` still lets pass in this frame.
    pub may_goto: u32,
    /// Where to go on, or where it stopped.
    pub at: usize,
    /// What is left when the chain came back.
    pub left: i64,
    /// The program of a tail call and its context.
    pub next: Option<(Arc<Program>, u64)>,
    pub trap: Option<Trap>,
}

/// Cells between two returns of a chain where calls may stay calls.
const CHAIN: usize = 64;

/// Whether a last call may stay a call: in builds for debugging, and where it is not known
/// that the code generator makes jumps of calls with four register arguments.
const KEEPS_CALLS: bool = cfg!(any(
    debug_assertions,
    not(any(target_arch = "x86_64", target_arch = "aarch64"))
));

impl<'m, A: Access> Run<'m, A> {
    /// The index of a cell.
    pub(crate) fn index(&self, at: At<'_, A>) -> usize {
        self.cells.index(at)
    }

    /// What is left of the fuel that a chain hands on at a cell.
    #[inline(always)]
    pub(crate) fn left(&self, at: usize, fuel: i64) -> i64 {
        fuel.wrapping_sub(at as i64)
            .wrapping_add(self.cells.len() as i64)
    }

    /// What a chain hands on at a cell when so much is left.
    #[inline(always)]
    pub(crate) fn fuel(&self, at: usize, left: i64) -> i64 {
        left.wrapping_add(at as i64)
            .wrapping_sub(self.cells.len() as i64)
    }

    /// Ends the run at a cell.
    #[cold]
    pub(crate) fn fail(&mut self, at: At<'_, A>, fuel: i64, trap: Trap) -> Exit {
        self.at = self.index(at);
        self.left = self.left(self.at, fuel);
        self.trap = Some(trap);
        Exit::Trap
    }

    /// Ends the run for an access.
    #[cold]
    #[inline(never)]
    pub(crate) fn deny(&mut self, at: At<'_, A>, fuel: i64, denied: Denied) -> Exit {
        self.fail(at, fuel, denied.into())
    }

    /// Comes back to be called again.
    #[cold]
    #[inline(never)]
    fn pause(&mut self, at: At<'_, A>, fuel: i64) -> Exit {
        self.at = self.index(at);
        self.left = self.left(self.at, fuel);
        Exit::Yield
    }
}

/// Goes on with a cell.
#[inline(always)]
pub(crate) fn go<A: Access>(at: At<'_, A>, regs: &mut Regs, m: &mut Run<'_, A>, fuel: i64) -> Exit {
    // Some cells are passed over, but never so many at the end of a chain.
    if KEEPS_CALLS && m.index(at) % CHAIN <= FUSED {
        return m.pause(at, fuel);
    }
    (at.cell().run)(at, regs, m, fuel)
}

/// Goes on with the cell after one that ran.
#[inline(always)]
pub(crate) fn next<A: Access>(
    at: At<'_, A>,
    regs: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    go(at.next(), regs, m, fuel)
}

/// Goes on where the cell leads to.
#[inline(always)]
pub(crate) fn jump<A: Access>(
    at: At<'_, A>,
    regs: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let fuel = fuel.wrapping_add(i64::from(at.cell().args.to));
    resume(at.target(), regs, m, fuel)
}

/// Goes on somewhere else.
#[inline(always)]
pub(crate) fn resume<A: Access>(
    at: At<'_, A>,
    regs: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    if fuel < 0 || KEEPS_CALLS {
        return m.pause(at, fuel);
    }
    (at.cell().run)(at, regs, m, fuel)
}

/// In checking mode, demands before a cell that the machine is inside the recorded states.
#[inline(always)]
pub(crate) fn claims_hold<A: Access>(
    at: At<'_, A>,
    regs: &Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Result<(), Exit> {
    if A::CHECKED {
        check_claims(at, regs, m, fuel)
    } else {
        Ok(())
    }
}

fn check_claims<A: Access>(
    at: At<'_, A>,
    regs: &Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Result<(), Exit> {
    let index = m.index(at);
    let origin = &m.program.origin;
    let insn = origin.get(index).copied().unwrap_or(u32::MAX);
    // A claim is about the original instruction, before the first of its replacements.
    if index.checked_sub(1).and_then(|before| origin.get(before)) == Some(&insn) {
        return Ok(());
    }
    let frame = m.cpu.frame.saturating_sub(m.cpu.first_frame);
    let claim = m
        .program
        .states
        .check(insn, frame, regs, &m.cpu.stack, m.cpu.frame);
    claim.map_err(|violation| m.fail(at, fuel, Trap::Violation(violation)))
}

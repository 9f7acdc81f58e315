//! The form in which the interpreter keeps an instruction, and the machine it works on.
//!
//! Every instruction becomes a [`Cell`] with the function that runs it; the function ends by
//! calling the next cell's. In optimised builds that call is a jump, so that nothing is
//! dispatched in one central place. Where it may stay a call, the chain is broken every
//! [`CHAIN`] instructions, so that the native stack cannot run out.

use std::sync::Arc;

use crate::cpu::Cpu;
use crate::host::{Host, Trap};
use crate::memory::{Access, Denied};
use crate::program::Program;

/// r0 to r10, and room so that no register number is out of range.
pub(crate) type Regs = [u64; 256];

/// Runs one cell and those after it: the cell, the cells after it, the registers, the
/// machine, and the instructions left until the machine wants to be asked again.
pub(crate) type Handler<A> = fn(&Cell<A>, &[Cell<A>], &mut Regs, &mut Run<'_, A>, i64) -> Exit;

/// One decoded slot.
///
/// ```text
///  0          8          16        20    21    24
///  | run      | imm      | off     | dst | src |
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
    /// The offset of an access, or the slot that a jump goes to.
    pub off: i32,
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
    pub cells: &'m [Cell<A>],
    pub cpu: &'m mut Cpu,
    pub host: &'m mut dyn Host,
    /// The waiting callers that belong to earlier executions.
    pub callers: usize,
    /// The jumps that `may_goto` still lets pass in this frame.
    pub may_goto: u32,
    /// Where to go on, or where it stopped.
    pub at: usize,
    /// The fuel left when the chain came back.
    pub fuel: i64,
    /// The program of a tail call and its context.
    pub next: Option<(Arc<Program>, u64)>,
    pub trap: Option<Trap>,
}

/// Instructions between two returns of a chain where calls may stay calls.
const CHAIN: i64 = 64;

/// Whether a last call may stay a call: in builds for debugging, and where it is not known
/// that the code generator makes jumps of calls with five register arguments.
const KEEPS_CALLS: bool = cfg!(any(
    debug_assertions,
    not(any(target_arch = "x86_64", target_arch = "aarch64"))
));

/// Whether a chain has become long. Instructions count one or two at a time.
#[inline(always)]
fn is_long(fuel: i64) -> bool {
    KEEPS_CALLS && fuel.rem_euclid(CHAIN) < 2
}

impl<'m, A: Access> Run<'m, A> {
    /// The index of the cell whose followers are `rest`.
    pub(crate) fn index(&self, rest: &[Cell<A>]) -> usize {
        self.cells.len().saturating_sub(rest.len() + 1)
    }

    /// Ends the run at the cell whose followers are `rest`.
    #[cold]
    pub(crate) fn fail(&mut self, rest: &[Cell<A>], fuel: i64, trap: Trap) -> Exit {
        self.at = self.index(rest);
        self.fuel = fuel;
        self.trap = Some(trap);
        Exit::Trap
    }

    /// Ends the run after the last cell.
    #[cold]
    #[inline(never)]
    pub(crate) fn past_end(&mut self, rest: &[Cell<A>], fuel: i64) -> Exit {
        self.fail(rest, fuel, Trap::PastEnd)
    }

    /// Ends the run for an access.
    #[cold]
    #[inline(never)]
    pub(crate) fn deny(&mut self, rest: &[Cell<A>], fuel: i64, denied: Denied) -> Exit {
        self.fail(rest, fuel, denied.into())
    }

    /// Comes back to be called again.
    #[cold]
    #[inline(never)]
    fn pause(&mut self, at: usize, fuel: i64) -> Exit {
        self.at = at;
        self.fuel = fuel;
        Exit::Yield
    }
}

/// Goes on with the cell after one that ran.
#[inline(always)]
pub(crate) fn next<A: Access>(
    rest: &[Cell<A>],
    regs: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    if is_long(fuel) {
        return m.pause(m.cells.len() - rest.len(), fuel);
    }
    match rest.split_first() {
        Some((cell, rest)) => (cell.run)(cell, rest, regs, m, fuel),
        None => m.past_end(rest, fuel),
    }
}

/// Goes on somewhere else.
#[inline(always)]
pub(crate) fn jump<A: Access>(target: i32, regs: &mut Regs, m: &mut Run<'_, A>, fuel: i64) -> Exit {
    let target = target as u32 as usize;
    if fuel < 0 || is_long(fuel) {
        return m.pause(target, fuel);
    }
    match m.cells.get(target..).and_then(<[_]>::split_first) {
        Some((cell, rest)) => (cell.run)(cell, rest, regs, m, fuel),
        None => m.past_end(&[], fuel),
    }
}

/// In checking mode, demands before a cell that the machine is inside the recorded states.
#[inline(always)]
pub(crate) fn claims_hold<A: Access>(
    rest: &[Cell<A>],
    regs: &Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Result<(), Exit> {
    if A::CHECKED {
        check_claims(rest, regs, m, fuel)
    } else {
        Ok(())
    }
}

fn check_claims<A: Access>(
    rest: &[Cell<A>],
    regs: &Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Result<(), Exit> {
    let at = m.index(rest);
    let origin = &m.program.origin;
    let insn = origin.get(at).copied().unwrap_or(u32::MAX);
    // A claim is about the original instruction, before the first of its replacements.
    if at.checked_sub(1).and_then(|before| origin.get(before)) == Some(&insn) {
        return Ok(());
    }
    let frame = m.cpu.frame.saturating_sub(m.cpu.first_frame);
    let claim = m
        .program
        .states
        .check(insn, frame, regs, &m.cpu.stack, m.cpu.frame);
    claim.map_err(|violation| m.fail(rest, fuel, Trap::Violation(violation)))
}

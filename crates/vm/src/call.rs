//! Calls, returns and tail calls.

use crate::cell::{Exit, Regs, Run, claims_hold, jump, next, resume};
use crate::cpu::Frame;
use crate::host::Trap;
use crate::memory::{Access, At, FRAME_BYTES};
use crate::run::{self, MAX_TAIL_CALLS, MAY_GOTO, Machine};

/// A call of a subprogram.
pub(crate) fn call_sub<A: Access>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    if let Err(exit) = claims_hold(at, r, m, fuel) {
        return exit;
    }
    if !push_frame(at, r, m) {
        return m.fail(at, fuel, Trap::CallDepth);
    }
    jump(at, r, m, fuel)
}

/// Saves the caller; false when there is no frame left.
#[inline(always)]
fn push_frame<A: Access>(at: At<'_, A>, r: &mut Regs, m: &mut Run<'_, A>) -> bool {
    if m.cpu.enter().is_err() {
        return false;
    }
    let at = m.index(at) as u32 + 1;
    m.cpu.callers.push(Frame {
        at,
        saved: [r[6], r[7], r[8], r[9]],
        may_goto: m.may_goto,
    });
    m.may_goto = MAY_GOTO;
    r[10] = r[10].wrapping_add(FRAME_BYTES);
    true
}

/// Restores the caller and gives where it goes on; `None` when the caller is not of this
/// execution.
#[inline(always)]
fn pop_frame<A: Access>(r: &mut Regs, m: &mut Run<'_, A>) -> Option<u32> {
    if m.cpu.callers.len() <= m.callers {
        return None;
    }
    let Frame {
        at,
        saved: [r6, r7, r8, r9],
        may_goto,
    } = m.cpu.callers.pop()?;
    (r[6], r[7], r[8], r[9]) = (r6, r7, r8, r9);
    m.may_goto = may_goto;
    m.cpu.leave();
    r[10] = r[10].wrapping_sub(FRAME_BYTES);
    Some(at)
}

/// Returns r0 from a frame.
#[inline(always)]
pub(crate) fn leave<A: Access>(at: At<'_, A>, r: &mut Regs, m: &mut Run<'_, A>, fuel: i64) -> Exit {
    let left = m.left(m.index(at) + 1, fuel);
    match pop_frame(r, m) {
        Some(back) => {
            let back = back as usize;
            let fuel = m.fuel(back, left);
            resume(m.cells.at(back), r, m, fuel)
        }
        None => {
            m.left = left;
            Exit::Return
        }
    }
}

/// `exit`
pub(crate) fn exit<A: Access>(at: At<'_, A>, r: &mut Regs, m: &mut Run<'_, A>, fuel: i64) -> Exit {
    if let Err(exit) = claims_hold(at, r, m, fuel) {
        return exit;
    }
    leave(at, r, m, fuel)
}

/// A call of a helper.
pub(crate) fn call_helper<A: Access>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    if let Err(exit) = claims_hold(at, r, m, fuel) {
        return exit;
    }
    match ask_host(at, r, m, fuel) {
        Ok(fuel) => next(at, r, m, fuel),
        Err(trap) => stopped(at, m, trap),
    }
}

/// Ends the run for what the host said, which kept the accounts meanwhile.
#[cold]
fn stopped<A: Access>(at: At<'_, A>, m: &mut Run<'_, A>, trap: Trap) -> Exit {
    let fuel = m.fuel(m.index(at), m.cpu.fuel);
    m.fail(at, fuel, trap)
}

#[inline(never)]
fn ask_host<A: Access>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Result<i64, Trap> {
    let behind = m.index(at) + 1;
    m.cpu.fuel = m.left(behind, fuel);
    let id = at.cell().args.imm as i32;
    let args = [r[1], r[2], r[3], r[4], r[5]];
    let mut machine = Machine::new(m.cpu, m.program);
    r[0] = m.host.call_helper(&mut machine, id, args)?;
    if A::CHECKED {
        // A verified program does not read them again.
        r[1..6].fill(0xdead_beef_dead_beef);
    }
    Ok(m.fuel(behind, m.cpu.fuel))
}

/// `bpf_tail_call`
pub(crate) fn tail_call<A: Access>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    if let Err(exit) = claims_hold(at, r, m, fuel) {
        return exit;
    }
    match replace_frame(at, r, m, fuel) {
        Ok(Tail::NotTaken) => next(at, r, m, fuel),
        Ok(Tail::Here) => Exit::Tail,
        Ok(Tail::Returned) => {
            let fuel = m.fuel(m.index(at), m.cpu.fuel);
            leave(at, r, m, fuel)
        }
        Err(trap) => stopped(at, m, trap),
    }
}

/// What became of a tail call.
enum Tail {
    /// No such program, or too many tail calls: the caller goes on.
    NotTaken,
    /// The next program takes the place of the whole execution.
    Here,
    /// The next program ran in the place of a subprogram and returned r0.
    Returned,
}

#[inline(never)]
fn replace_frame<A: Access>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Result<Tail, Trap> {
    m.left = m.left(m.index(at) + 1, fuel);
    m.cpu.fuel = m.left;
    if m.cpu.tail_calls >= MAX_TAIL_CALLS {
        return Ok(Tail::NotTaken);
    }
    let Some(next) = m.host.tail_call(r[1], r[2], r[3] as u32)? else {
        return Ok(Tail::NotTaken);
    };
    m.cpu.tail_calls += 1;
    if m.cpu.callers.len() <= m.callers {
        m.next = Some((next, r[1]));
        return Ok(Tail::Here);
    }
    m.cpu.leave();
    let first_frame = std::mem::replace(&mut m.cpu.first_frame, m.cpu.frame + 1);
    let result = run::enter(&next, m.cpu, m.host, 0, [r[1], 0, 0, 0, 0]);
    m.cpu.first_frame = first_frame;
    r[0] = result?;
    m.cpu.enter()?;
    Ok(Tail::Returned)
}

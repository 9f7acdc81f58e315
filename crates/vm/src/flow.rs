//! Instructions that leave the straight line: jumps, calls, returns, atomics and packet loads.

use std::sync::atomic::{Ordering, fence};

use skep_isa::AtomicOp;

use crate::cell::{Cell, Exit, Operands, Regs, Run, claims_hold, jump, next};
use crate::cpu::Frame;
use crate::host::Trap;
use crate::memory::{Access, Change, FRAME_BYTES};
use crate::run::{self, MAX_TAIL_CALLS, MAY_GOTO, Machine};
use crate::simple::{Load, Simple, Store, Test};

/// A simple instruction by itself.
pub(crate) fn one<A: Access, X: Simple>(
    cell: &Cell<A>,
    rest: &[Cell<A>],
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let fuel = fuel - 1;
    if let Err(exit) = claims_hold(rest, r, m, fuel) {
        return exit;
    }
    if let Err(denied) = X::apply(&cell.args, r, m) {
        return m.deny(rest, fuel, denied);
    }
    next(rest, r, m, fuel)
}

/// Two simple instructions. Only trusting programs are fused, so no claim stands between.
pub(crate) fn two<A: Access, X: Simple, Y: Simple>(
    cell: &Cell<A>,
    rest: &[Cell<A>],
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let fuel = fuel - 2;
    let Some((second, rest)) = rest.split_first() else {
        return m.past_end(rest, fuel);
    };
    if let Err(denied) = X::apply(&cell.args, r, m) {
        return m.deny(rest, fuel, denied);
    }
    if let Err(denied) = Y::apply(&second.args, r, m) {
        return m.deny(rest, fuel, denied);
    }
    next(rest, r, m, fuel)
}

/// A simple instruction and a conditional jump.
pub(crate) fn then_branch<A: Access, X: Simple, T: Test>(
    cell: &Cell<A>,
    rest: &[Cell<A>],
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let fuel = fuel - 2;
    let Some((second, rest)) = rest.split_first() else {
        return m.past_end(rest, fuel);
    };
    if let Err(denied) = X::apply(&cell.args, r, m) {
        return m.deny(rest, fuel, denied);
    }
    if T::holds(&second.args, r) {
        jump(second.args.off, r, m, fuel)
    } else {
        next(rest, r, m, fuel)
    }
}

/// A conditional jump.
pub(crate) fn branch<A: Access, T: Test>(
    cell: &Cell<A>,
    rest: &[Cell<A>],
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let fuel = fuel - 1;
    if let Err(exit) = claims_hold(rest, r, m, fuel) {
        return exit;
    }
    if T::holds(&cell.args, r) {
        jump(cell.args.off, r, m, fuel)
    } else {
        next(rest, r, m, fuel)
    }
}

/// An unconditional jump.
pub(crate) fn goto<A: Access>(
    cell: &Cell<A>,
    rest: &[Cell<A>],
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let fuel = fuel - 1;
    if let Err(exit) = claims_hold(rest, r, m, fuel) {
        return exit;
    }
    jump(cell.args.off, r, m, fuel)
}

/// A 64-bit constant, which takes two slots.
pub(crate) fn load_imm64<A: Access>(
    cell: &Cell<A>,
    rest: &[Cell<A>],
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let fuel = fuel - 1;
    if let Err(exit) = claims_hold(rest, r, m, fuel) {
        return exit;
    }
    r[cell.args.d()] = cell.args.imm;
    match rest.split_first() {
        Some((_, rest)) => next(rest, r, m, fuel),
        None => m.past_end(rest, fuel),
    }
}

/// The second slot of such a constant, which is no instruction.
pub(crate) fn invalid<A: Access>(
    _: &Cell<A>,
    rest: &[Cell<A>],
    _: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    m.past_end(rest, fuel)
}

/// `may_goto`
pub(crate) fn may_goto<A: Access>(
    cell: &Cell<A>,
    rest: &[Cell<A>],
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let fuel = fuel - 1;
    if let Err(exit) = claims_hold(rest, r, m, fuel) {
        return exit;
    }
    match m.may_goto.checked_sub(1) {
        Some(left) => {
            m.may_goto = left;
            next(rest, r, m, fuel)
        }
        None => jump(cell.args.off, r, m, fuel),
    }
}

/// A call of a subprogram.
pub(crate) fn call_sub<A: Access>(
    cell: &Cell<A>,
    rest: &[Cell<A>],
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let fuel = fuel - 1;
    if let Err(exit) = claims_hold(rest, r, m, fuel) {
        return exit;
    }
    if !push_frame(rest, r, m) {
        return m.fail(rest, fuel, Trap::CallDepth);
    }
    jump(cell.args.off, r, m, fuel)
}

/// Saves the caller; false when there is no frame left.
#[inline(always)]
fn push_frame<A: Access>(rest: &[Cell<A>], r: &mut Regs, m: &mut Run<'_, A>) -> bool {
    if m.cpu.enter().is_err() {
        return false;
    }
    let at = (m.cells.len() - rest.len()) as u32;
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
fn leave<A: Access>(r: &mut Regs, m: &mut Run<'_, A>, fuel: i64) -> Exit {
    match pop_frame(r, m) {
        Some(at) => jump(at as i32, r, m, fuel),
        None => {
            m.fuel = fuel;
            Exit::Return
        }
    }
}

/// `exit`
pub(crate) fn exit<A: Access>(
    _: &Cell<A>,
    rest: &[Cell<A>],
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let fuel = fuel - 1;
    if let Err(exit) = claims_hold(rest, r, m, fuel) {
        return exit;
    }
    leave(r, m, fuel)
}

/// A call of a helper.
pub(crate) fn call_helper<A: Access>(
    cell: &Cell<A>,
    rest: &[Cell<A>],
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let fuel = fuel - 1;
    if let Err(exit) = claims_hold(rest, r, m, fuel) {
        return exit;
    }
    match ask_host(&cell.args, r, m, fuel) {
        Ok(fuel) => next(rest, r, m, fuel),
        Err(trap) => {
            let fuel = m.cpu.fuel;
            m.fail(rest, fuel, trap)
        }
    }
}

#[inline(never)]
fn ask_host<A: Access>(
    o: &Operands,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Result<i64, Trap> {
    m.cpu.fuel = fuel;
    let args = [r[1], r[2], r[3], r[4], r[5]];
    let mut machine = Machine::new(m.cpu, m.program);
    r[0] = m.host.call_helper(&mut machine, o.imm as i32, args)?;
    if A::CHECKED {
        // A verified program does not read them again.
        r[1..6].fill(0xdead_beef_dead_beef);
    }
    Ok(m.cpu.fuel)
}

/// `bpf_tail_call`
pub(crate) fn tail_call<A: Access>(
    _: &Cell<A>,
    rest: &[Cell<A>],
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let fuel = fuel - 1;
    if let Err(exit) = claims_hold(rest, r, m, fuel) {
        return exit;
    }
    match replace_frame(r, m, fuel) {
        Ok(Tail::NotTaken) => next(rest, r, m, fuel),
        Ok(Tail::Here) => Exit::Tail,
        Ok(Tail::Returned(fuel)) => leave(r, m, fuel),
        Err(trap) => {
            let fuel = m.cpu.fuel;
            m.fail(rest, fuel, trap)
        }
    }
}

/// What became of a tail call.
enum Tail {
    /// No such program, or too many tail calls: the caller goes on.
    NotTaken,
    /// The next program takes the place of the whole execution.
    Here,
    /// The next program ran in the place of a subprogram and returned r0.
    Returned(i64),
}

#[inline(never)]
fn replace_frame<A: Access>(r: &mut Regs, m: &mut Run<'_, A>, fuel: i64) -> Result<Tail, Trap> {
    m.cpu.fuel = fuel;
    m.fuel = fuel;
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
    Ok(Tail::Returned(m.cpu.fuel))
}

/// An atomic change: whether of eight bytes, whether the old value is asked for.
pub(crate) fn atomic<A: Access, const OP: u8, const WIDE: bool, const FETCH: bool>(
    cell: &Cell<A>,
    rest: &[Cell<A>],
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let fuel = fuel - 1;
    if let Err(exit) = claims_hold(rest, r, m, fuel) {
        return exit;
    }
    let o = &cell.args;
    let op = match OP {
        0 => AtomicOp::Add,
        1 => AtomicOp::Or,
        2 => AtomicOp::And,
        3 => AtomicOp::Xor,
        4 => AtomicOp::Xchg,
        _ => AtomicOp::Cmpxchg,
    };
    let change = Change {
        wide: WIDE,
        op,
        operand: r[o.s()],
        expected: r[0],
    };
    let addr = o.addr(r[o.d()]);
    match m
        .access
        .atomic(&*m.host, &m.cpu.stack, m.cpu.frame, addr, change)
    {
        Ok(old) if op == AtomicOp::Cmpxchg => r[0] = old,
        Ok(old) if FETCH => r[o.s()] = old,
        Ok(_) => {}
        Err(denied) => return m.deny(rest, fuel, denied),
    }
    next(rest, r, m, fuel)
}

/// A load with acquire ordering.
pub(crate) struct LoadAcquire<const SIZE: u8>;

impl<const SIZE: u8> Simple for LoadAcquire<SIZE> {
    #[inline(always)]
    fn apply<A: Access>(
        o: &Operands,
        r: &mut Regs,
        m: &Run<'_, A>,
    ) -> Result<(), crate::memory::Denied> {
        Load::<SIZE, false>::apply(o, r, m)?;
        fence(Ordering::Acquire);
        Ok(())
    }
}

/// A store with release ordering.
pub(crate) struct StoreRelease<const SIZE: u8>;

impl<const SIZE: u8> Simple for StoreRelease<SIZE> {
    #[inline(always)]
    fn apply<A: Access>(
        o: &Operands,
        r: &mut Regs,
        m: &Run<'_, A>,
    ) -> Result<(), crate::memory::Denied> {
        fence(Ordering::Release);
        Store::<SIZE, false>::apply(o, r, m)
    }
}

/// Classic packet access: of which size, whether with an index register.
pub(crate) fn packet<A: Access, const SIZE: u8, const INDEXED: bool>(
    cell: &Cell<A>,
    rest: &[Cell<A>],
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let fuel = fuel - 1;
    if let Err(exit) = claims_hold(rest, r, m, fuel) {
        return exit;
    }
    let index = if INDEXED { r[cell.args.s()] as u32 } else { 0 };
    let offset = index.wrapping_add(cell.args.imm as u32) as i32;
    match m.host.load_packet(r[6], offset, 1 << SIZE) {
        Some(value) => {
            r[0] = value;
            next(rest, r, m, fuel)
        }
        None => {
            r[0] = 0;
            leave(r, m, fuel)
        }
    }
}

//! Instructions that leave the straight line: jumps, calls, returns, atomics and packet loads.

use std::sync::atomic::{Ordering, fence};

use skep_isa::AtomicOp;

use crate::cell::{Exit, Operands, Regs, Run, claims_hold, jump, next, resume};
use crate::cpu::Frame;
use crate::host::Trap;
use crate::memory::{Access, At, Change, Denied, FRAME_BYTES};
use crate::run::{self, MAX_TAIL_CALLS, MAY_GOTO, Machine};
use crate::simple::{Load, Simple, Store, Test};

/// A simple instruction by itself.
pub(crate) fn one<A: Access, X: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    if let Err(exit) = claims_hold(at, r, m, fuel) {
        return exit;
    }
    if let Err(denied) = X::apply(&at.cell().args, r, m) {
        return m.deny(at, fuel, denied);
    }
    next(at, r, m, fuel)
}

/// What the second of two instructions takes from the first without a look at the registers.
pub(crate) mod link {
    /// Nothing.
    pub(crate) const NONE: u8 = 0;
    /// What its destination register holds.
    pub(crate) const OWN: u8 = 1;
    /// What its source register holds.
    pub(crate) const OTHER: u8 = 2;
}

/// What the second instruction finds in its registers, given the first one's result.
#[inline(always)]
fn given<const LINK: u8>(o: &Operands, r: &Regs, result: u64) -> (u64, u64) {
    match LINK {
        link::OWN => (result, r[o.s()]),
        link::OTHER => (r[o.d()], result),
        _ => (r[o.d()], r[o.s()]),
    }
}

/// Two simple instructions. Only trusting programs are fused, so no claim stands between.
pub(crate) fn two<A: Access, X: Simple, Y: Simple, const LINK: u8>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let (o, p) = (&at.cell().args, &second.cell().args);
    let result = match X::result(o, r[o.d()], r[o.s()], m) {
        Ok(result) => result,
        Err(denied) => return m.deny(at, fuel, denied),
    };
    // What the second one overwrites is not written before.
    if X::WRITES && !(LINK == link::OWN && Y::WRITES) {
        r[o.d()] = result;
    }
    let (own, other) = given::<LINK>(p, r, result);
    match Y::result(p, own, other, m) {
        Ok(result) if Y::WRITES => r[p.d()] = result,
        Ok(_) => {}
        Err(denied) => return m.deny(second, fuel, denied),
    }
    next(second, r, m, fuel)
}

/// A simple instruction and a conditional jump.
pub(crate) fn then_branch<A: Access, X: Simple, T: Test, const LINK: u8>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let (o, p) = (&at.cell().args, &second.cell().args);
    let result = match X::result(o, r[o.d()], r[o.s()], m) {
        Ok(result) => result,
        Err(denied) => return m.deny(at, fuel, denied),
    };
    if X::WRITES {
        r[o.d()] = result;
    }
    let (own, other) = given::<LINK>(p, r, result);
    if T::holds(p, own, other) {
        jump(second, r, m, fuel)
    } else {
        next(second, r, m, fuel)
    }
}

/// A simple instruction and a jump.
pub(crate) fn then_goto<A: Access, X: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    if let Err(denied) = X::apply(&at.cell().args, r, m) {
        return m.deny(at, fuel, denied);
    }
    jump(at.next(), r, m, fuel)
}

/// A conditional jump and another that is always taken.
pub(crate) fn either<A: Access, T: Test>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let o = &at.cell().args;
    if T::holds(o, r[o.d()], r[o.s()]) {
        jump(at, r, m, fuel)
    } else {
        jump(at.next(), r, m, fuel)
    }
}

/// Three instructions that compute in one register, which the others do not read.
pub(crate) fn in_one<A: Access, X: Simple, Y: Simple, Z: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    let (o, p, q) = (&at.cell().args, &second.cell().args, &third.cell().args);
    let result = X::result(o, r[o.d()], r[o.s()], m)
        .and_then(|own| Y::result(p, own, r[p.s()], m))
        .and_then(|own| Z::result(q, own, r[q.s()], m));
    match result {
        Ok(result) => r[o.d()] = result,
        Err(denied) => return m.deny(at, fuel, denied),
    }
    next(third, r, m, fuel)
}

/// A copy, an operation on each of both, and one that joins them in the first.
pub(crate) fn rotate<A: Access, X: Simple, Y: Simple, Z: Simple, J: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    let last = third.next();
    let (o, p, q) = (&at.cell().args, &second.cell().args, &third.cell().args);
    let from = r[o.s()];
    let result = X::result(o, 0, from, m).and_then(|copy| {
        let copy = Y::result(p, copy, 0, m)?;
        let own = Z::result(q, from, 0, m)?;
        Ok((copy, J::result(&last.cell().args, own, copy, m)?))
    });
    match result {
        Ok((copy, own)) => (r[o.d()], r[o.s()]) = (copy, own),
        Err(denied) => return m.deny(at, fuel, denied),
    }
    next(last, r, m, fuel)
}

/// Two simple instructions and a conditional jump.
pub(crate) fn then_then_branch<A: Access, X: Simple, Y: Simple, T: Test>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    if let Err(denied) = X::apply(&at.cell().args, r, m) {
        return m.deny(at, fuel, denied);
    }
    if let Err(denied) = Y::apply(&second.cell().args, r, m) {
        return m.deny(second, fuel, denied);
    }
    let q = &third.cell().args;
    if T::holds(q, r[q.d()], r[q.s()]) {
        jump(third, r, m, fuel)
    } else {
        next(third, r, m, fuel)
    }
}

/// A conditional jump.
pub(crate) fn branch<A: Access, T: Test>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    if let Err(exit) = claims_hold(at, r, m, fuel) {
        return exit;
    }
    let o = &at.cell().args;
    if T::holds(o, r[o.d()], r[o.s()]) {
        jump(at, r, m, fuel)
    } else {
        next(at, r, m, fuel)
    }
}

/// An unconditional jump.
pub(crate) fn goto<A: Access>(at: At<'_, A>, r: &mut Regs, m: &mut Run<'_, A>, fuel: i64) -> Exit {
    if let Err(exit) = claims_hold(at, r, m, fuel) {
        return exit;
    }
    jump(at, r, m, fuel)
}

/// A 64-bit constant, which takes two slots.
pub(crate) fn load_imm64<A: Access>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    if let Err(exit) = claims_hold(at, r, m, fuel) {
        return exit;
    }
    r[at.cell().args.d()] = at.cell().args.imm;
    next(at.next(), r, m, fuel)
}

/// The second slot of such a constant, or the end of the program: no instruction.
pub(crate) fn invalid<A: Access>(
    at: At<'_, A>,
    _: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    m.fail(at, fuel, Trap::PastEnd)
}

/// `may_goto`
pub(crate) fn may_goto<A: Access>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    if let Err(exit) = claims_hold(at, r, m, fuel) {
        return exit;
    }
    match m.may_goto.checked_sub(1) {
        Some(left) => {
            m.may_goto = left;
            next(at, r, m, fuel)
        }
        None => jump(at, r, m, fuel),
    }
}

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
fn leave<A: Access>(at: At<'_, A>, r: &mut Regs, m: &mut Run<'_, A>, fuel: i64) -> Exit {
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
        Err(trap) => {
            let fuel = m.fuel(m.index(at), m.cpu.fuel);
            m.fail(at, fuel, trap)
        }
    }
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
        Err(trap) => {
            let fuel = m.fuel(m.index(at), m.cpu.fuel);
            m.fail(at, fuel, trap)
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

/// An atomic change: whether of eight bytes, whether the old value is asked for.
pub(crate) fn atomic<A: Access, const OP: u8, const WIDE: bool, const FETCH: bool>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    if let Err(exit) = claims_hold(at, r, m, fuel) {
        return exit;
    }
    let o = &at.cell().args;
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
        Err(denied) => return m.deny(at, fuel, denied),
    }
    next(at, r, m, fuel)
}

/// A load with acquire ordering.
pub(crate) struct LoadAcquire<const SIZE: u8>;

impl<const SIZE: u8> Simple for LoadAcquire<SIZE> {
    #[inline(always)]
    fn result<A: Access>(
        o: &Operands,
        own: u64,
        other: u64,
        m: &Run<'_, A>,
    ) -> Result<u64, Denied> {
        let value = Load::<SIZE, false>::result(o, own, other, m)?;
        fence(Ordering::Acquire);
        Ok(value)
    }
}

/// A store with release ordering.
pub(crate) struct StoreRelease<const SIZE: u8>;

impl<const SIZE: u8> Simple for StoreRelease<SIZE> {
    const WRITES: bool = false;

    #[inline(always)]
    fn result<A: Access>(
        o: &Operands,
        own: u64,
        other: u64,
        m: &Run<'_, A>,
    ) -> Result<u64, Denied> {
        fence(Ordering::Release);
        Store::<SIZE, false>::result(o, own, other, m)
    }
}

/// Classic packet access: of which size, whether with an index register.
pub(crate) fn packet<A: Access, const SIZE: u8, const INDEXED: bool>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    if let Err(exit) = claims_hold(at, r, m, fuel) {
        return exit;
    }
    let index = if INDEXED {
        r[at.cell().args.s()] as u32
    } else {
        0
    };
    let offset = index.wrapping_add(at.cell().args.imm as u32) as i32;
    match m.host.load_packet(r[6], offset, 1 << SIZE) {
        Some(value) => {
            r[0] = value;
            next(at, r, m, fuel)
        }
        None => {
            r[0] = 0;
            leave(at, r, m, fuel)
        }
    }
}

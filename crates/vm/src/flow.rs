//! Instructions by themselves: simple ones, jumps, atomics and packet loads.

use std::marker::PhantomData;
use std::sync::atomic::{Ordering, fence};

use skep_isa::AtomicOp;

use crate::call::leave;
use crate::cell::{Exit, Operands, Regs, Run, claims_hold, jump, next};
use crate::host::Trap;
use crate::memory::{Access, At, Change, Denied};
use crate::simple::{Load, Simple, Test};

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
    let op = atomic_op(OP);
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

/// The operation with a discriminant.
#[inline(always)]
pub(crate) fn atomic_op(discriminant: u8) -> AtomicOp {
    match discriminant {
        0 => AtomicOp::Add,
        1 => AtomicOp::Or,
        2 => AtomicOp::And,
        3 => AtomicOp::Xor,
        4 => AtomicOp::Xchg,
        _ => AtomicOp::Cmpxchg,
    }
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
pub(crate) struct Release<S>(PhantomData<S>);

impl<S: Simple> Simple for Release<S> {
    const WRITES: bool = S::WRITES;

    #[inline(always)]
    fn result<A: Access>(
        o: &Operands,
        own: u64,
        other: u64,
        m: &Run<'_, A>,
    ) -> Result<u64, Denied> {
        fence(Ordering::Release);
        S::result(o, own, other, m)
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

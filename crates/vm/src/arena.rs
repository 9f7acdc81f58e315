//! Instructions that work on an arena: whatever a register holds, its low half counts.

use std::sync::atomic::{Ordering, fence};

use skep_isa::{AtomicOp, meaning};

use crate::cell::{Exit, Operands, Regs, Run, claims_hold, next};
use crate::flow::atomic_op;
use crate::memory::{Access, At, Change, Denied};
use crate::simple::{SIZES, Simple};

/// Where programs find what an address names.
#[inline(always)]
fn place<A: Access>(o: &Operands, address: u64, m: &Run<'_, A>) -> u64 {
    let base = m.program.arena.base;
    o.addr(base.wrapping_add(u64::from(address as u32)))
}

/// A load: of which size, whether sign-extending.
pub(crate) struct ArenaLoad<const SIZE: u8, const SIGNED: bool>;

impl<const SIZE: u8, const SIGNED: bool> Simple for ArenaLoad<SIZE, SIGNED> {
    #[inline(always)]
    fn result<A: Access>(o: &Operands, _: u64, other: u64, m: &Run<'_, A>) -> Result<u64, Denied> {
        let size = const { SIZES[SIZE as usize] };
        let at = (&*m.host, &m.cpu.stack, m.cpu.frame);
        let value = m
            .access
            .attempt_load(at, place(o, other, m), size.bytes(), 0);
        Ok(match SIGNED {
            true => meaning::sign_extend(size, value),
            false => value,
        })
    }
}

/// A load with acquire ordering. Where nothing is, the register keeps as many bytes as were to be
/// loaded.
pub(crate) struct Acquire<const SIZE: u8>;

impl<const SIZE: u8> Simple for Acquire<SIZE> {
    #[inline(always)]
    fn result<A: Access>(
        o: &Operands,
        own: u64,
        other: u64,
        m: &Run<'_, A>,
    ) -> Result<u64, Denied> {
        let size = const { SIZES[SIZE as usize] };
        let at = (&*m.host, &m.cpu.stack, m.cpu.frame);
        let value = m.access.attempt_load(
            at,
            place(o, other, m),
            size.bytes(),
            meaning::truncate(size, own),
        );
        fence(Ordering::Acquire);
        Ok(value)
    }
}

/// A store: of which size, whether of the immediate.
pub(crate) struct ArenaStore<const SIZE: u8, const IMM: bool>;

impl<const SIZE: u8, const IMM: bool> Simple for ArenaStore<SIZE, IMM> {
    const WRITES: bool = false;

    #[inline(always)]
    fn result<A: Access>(
        o: &Operands,
        own: u64,
        other: u64,
        m: &Run<'_, A>,
    ) -> Result<u64, Denied> {
        let size = const { SIZES[SIZE as usize] };
        let value = if IMM { o.imm } else { other };
        let at = (&*m.host, &m.cpu.stack, m.cpu.frame);
        m.access
            .attempt_store(at, place(o, own, m), size.bytes(), value);
        Ok(own)
    }
}

/// An atomic operation. Where nothing is, the register that would get the old value keeps as many
/// bytes as that has.
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
    let who = (&*m.host, &m.cpu.stack, m.cpu.frame);
    let old = m.access.attempt_atomic(who, place(o, r[o.d()], m), change);
    match op {
        AtomicOp::Cmpxchg => r[0] = old,
        _ if FETCH => r[o.s()] = old,
        _ => {}
    }
    next(at, r, m, fuel)
}

/// An address as the user knows it; none stays none.
pub(crate) struct ToUser;

impl Simple for ToUser {
    #[inline(always)]
    fn result<A: Access>(_: &Operands, _: u64, other: u64, m: &Run<'_, A>) -> Result<u64, Denied> {
        Ok(match other as u32 {
            0 => 0,
            low => m.program.arena.user_half() | u64::from(low),
        })
    }
}

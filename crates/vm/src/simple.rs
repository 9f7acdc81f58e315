//! Instructions that only change registers and memory and go on with the next one.

use skep_isa::meaning;
use skep_isa::{AluOp, Cond, Size, SwapKind, Width};

use crate::cell::{Operands, Regs, Run};
use crate::memory::{Access, Denied};

/// An instruction without control flow.
pub(crate) trait Simple {
    /// Whether its result goes into the destination register.
    const WRITES: bool = true;

    /// Does it, and gives the result: `own` is what the destination register holds, `other`
    /// what the source register holds.
    ///
    /// Errors: a memory access that is not allowed.
    fn result<A: Access>(o: &Operands, own: u64, other: u64, m: &Run<'_, A>)
    -> Result<u64, Denied>;

    /// Does it on the registers.
    ///
    /// Errors: a memory access that is not allowed.
    #[inline(always)]
    fn apply<A: Access>(o: &Operands, r: &mut Regs, m: &Run<'_, A>) -> Result<(), Denied> {
        let result = Self::result(o, r[o.d()], r[o.s()], m)?;
        if Self::WRITES {
            r[o.d()] = result;
        }
        Ok(())
    }
}

const fn width(wide: bool) -> Width {
    if wide { Width::W64 } else { Width::W32 }
}

/// The operations, in the order of their discriminants, which the types below carry.
const ALU: [AluOp; 13] = {
    use AluOp::*;
    [
        Add, Sub, Mul, Div, Sdiv, Or, And, Lsh, Rsh, Mod, Smod, Xor, Arsh,
    ]
};

/// The conditions, in the order of their discriminants.
const CONDS: [Cond; 11] = {
    use Cond::*;
    [Eq, Gt, Ge, Set, Ne, Sgt, Sge, Lt, Le, Slt, Sle]
};

pub(crate) const SIZES: [Size; 4] = [Size::B8, Size::B16, Size::B32, Size::B64];

const _: () = {
    let mut i = 0;
    while i < ALU.len() {
        assert!(ALU[i] as usize == i);
        i += 1;
    }
    let mut i = 0;
    while i < CONDS.len() {
        assert!(CONDS[i] as usize == i);
        i += 1;
    }
    let mut i = 0;
    while i < SIZES.len() {
        assert!(SIZES[i] as usize == i);
        i += 1;
    }
};

/// Arithmetic: the operation, whether on 64 bits, whether with the immediate.
pub(crate) struct Alu<const OP: u8, const WIDE: bool, const IMM: bool>;

impl<const OP: u8, const WIDE: bool, const IMM: bool> Simple for Alu<OP, WIDE, IMM> {
    #[inline(always)]
    fn result<A: Access>(
        o: &Operands,
        own: u64,
        other: u64,
        _: &Run<'_, A>,
    ) -> Result<u64, Denied> {
        let b = if IMM { o.imm } else { other };
        let (width, op) = const { (width(WIDE), ALU[OP as usize]) };
        Ok(meaning::alu(width, op, own, b))
    }
}

/// A copy: whether of 64 bits.
pub(crate) struct MovReg<const WIDE: bool>;

impl<const WIDE: bool> Simple for MovReg<WIDE> {
    #[inline(always)]
    fn result<A: Access>(_: &Operands, _: u64, other: u64, _: &Run<'_, A>) -> Result<u64, Denied> {
        Ok(meaning::mov(const { width(WIDE) }, other))
    }
}

/// A constant, already as wide as it is meant.
pub(crate) struct MovImm;

impl Simple for MovImm {
    #[inline(always)]
    fn result<A: Access>(o: &Operands, _: u64, _: u64, _: &Run<'_, A>) -> Result<u64, Denied> {
        Ok(o.imm)
    }
}

/// A sign-extending copy: from which size, whether to 64 bits.
pub(crate) struct MovSx<const FROM: u8, const WIDE: bool>;

impl<const FROM: u8, const WIDE: bool> Simple for MovSx<FROM, WIDE> {
    #[inline(always)]
    fn result<A: Access>(_: &Operands, _: u64, other: u64, _: &Run<'_, A>) -> Result<u64, Denied> {
        let from = const { SIZES[FROM as usize] };
        Ok(meaning::mov_sx(const { width(WIDE) }, from, other))
    }
}

/// A negation.
pub(crate) struct Neg<const WIDE: bool>;

impl<const WIDE: bool> Simple for Neg<WIDE> {
    #[inline(always)]
    fn result<A: Access>(_: &Operands, own: u64, _: u64, _: &Run<'_, A>) -> Result<u64, Denied> {
        Ok(meaning::neg(const { width(WIDE) }, own))
    }
}

/// Byte order: of which size, whether bytes change places.
pub(crate) struct Swap<const SIZE: u8, const REVERSE: bool>;

impl<const SIZE: u8, const REVERSE: bool> Simple for Swap<SIZE, REVERSE> {
    #[inline(always)]
    fn result<A: Access>(_: &Operands, own: u64, _: u64, _: &Run<'_, A>) -> Result<u64, Denied> {
        let kind = if REVERSE {
            SwapKind::Always
        } else {
            SwapKind::ToLe
        };
        Ok(meaning::swap(kind, const { SIZES[SIZE as usize] }, own))
    }
}

/// Nothing at all.
pub(crate) struct Nop;

impl Simple for Nop {
    const WRITES: bool = false;

    #[inline(always)]
    fn result<A: Access>(_: &Operands, own: u64, _: u64, _: &Run<'_, A>) -> Result<u64, Denied> {
        Ok(own)
    }
}

/// A load: of which size, whether sign-extending.
pub(crate) struct Load<const SIZE: u8, const SIGNED: bool>;

impl<const SIZE: u8, const SIGNED: bool> Simple for Load<SIZE, SIGNED> {
    #[inline(always)]
    fn result<A: Access>(o: &Operands, _: u64, other: u64, m: &Run<'_, A>) -> Result<u64, Denied> {
        let size = const { SIZES[SIZE as usize] };
        let addr = o.addr(other);
        let (host, stack, frame) = (&*m.host, &m.cpu.stack, m.cpu.frame);
        let value = match size {
            Size::B8 => m.access.load::<u8>(host, stack, frame, addr)?,
            Size::B16 => m.access.load::<u16>(host, stack, frame, addr)?,
            Size::B32 => m.access.load::<u32>(host, stack, frame, addr)?,
            Size::B64 => m.access.load::<u64>(host, stack, frame, addr)?,
        };
        Ok(if SIGNED {
            meaning::sign_extend(size, value)
        } else {
            value
        })
    }
}

/// A load that may fault and then gives zero: of which size, whether sign-extending.
pub(crate) struct Probe<const SIZE: u8, const SIGNED: bool>;

impl<const SIZE: u8, const SIGNED: bool> Simple for Probe<SIZE, SIGNED> {
    #[inline(always)]
    fn result<A: Access>(o: &Operands, _: u64, other: u64, m: &Run<'_, A>) -> Result<u64, Denied> {
        let size = const { SIZES[SIZE as usize] };
        let at = (&*m.host, &m.cpu.stack, m.cpu.frame);
        let value = m.access.attempt_load(at, o.addr(other), size.bytes(), 0);
        Ok(if SIGNED {
            meaning::sign_extend(size, value)
        } else {
            value
        })
    }
}

/// A store: of which size, whether of the immediate.
pub(crate) struct Store<const SIZE: u8, const IMM: bool>;

impl<const SIZE: u8, const IMM: bool> Simple for Store<SIZE, IMM> {
    const WRITES: bool = false;

    #[inline(always)]
    fn result<A: Access>(
        o: &Operands,
        own: u64,
        other: u64,
        m: &Run<'_, A>,
    ) -> Result<u64, Denied> {
        let value = if IMM { o.imm } else { other };
        let addr = o.addr(own);
        let (host, stack, frame) = (&*m.host, &m.cpu.stack, m.cpu.frame);
        match const { SIZES[SIZE as usize] } {
            Size::B8 => m.access.store::<u8>(host, stack, frame, addr, value),
            Size::B16 => m.access.store::<u16>(host, stack, frame, addr, value),
            Size::B32 => m.access.store::<u32>(host, stack, frame, addr, value),
            Size::B64 => m.access.store::<u64>(host, stack, frame, addr, value),
        }?;
        Ok(own)
    }
}

/// A condition: which one, whether on 64 bits, whether with the immediate.
pub(crate) trait Test {
    /// Whether it holds of what the destination and the source register hold.
    fn holds(o: &Operands, own: u64, other: u64) -> bool;
}

/// See [`Test`].
pub(crate) struct If<const COND: u8, const WIDE: bool, const IMM: bool>;

impl<const COND: u8, const WIDE: bool, const IMM: bool> Test for If<COND, WIDE, IMM> {
    #[inline(always)]
    fn holds(o: &Operands, own: u64, other: u64) -> bool {
        let b = if IMM { o.imm } else { other };
        let (width, cond) = const { (width(WIDE), CONDS[COND as usize]) };
        meaning::jump_taken(width, cond, own, b)
    }
}

//! Instructions that only change registers and memory and go on with the next one.

use skep_isa::meaning;
use skep_isa::{AluOp, Cond, Size, SwapKind, Width};

use crate::cell::{Operands, Regs, Run};
use crate::memory::{Access, Denied};

/// An instruction without control flow.
pub(crate) trait Simple {
    /// Does it.
    ///
    /// Errors: a memory access that is not allowed.
    fn apply<A: Access>(o: &Operands, r: &mut Regs, m: &Run<'_, A>) -> Result<(), Denied>;
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

const SIZES: [Size; 4] = [Size::B8, Size::B16, Size::B32, Size::B64];

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
    fn apply<A: Access>(o: &Operands, r: &mut Regs, _: &Run<'_, A>) -> Result<(), Denied> {
        let b = if IMM { o.imm } else { r[o.s()] };
        r[o.d()] = meaning::alu(
            const { width(WIDE) },
            const { ALU[OP as usize] },
            r[o.d()],
            b,
        );
        Ok(())
    }
}

/// A copy: whether of 64 bits.
pub(crate) struct MovReg<const WIDE: bool>;

impl<const WIDE: bool> Simple for MovReg<WIDE> {
    #[inline(always)]
    fn apply<A: Access>(o: &Operands, r: &mut Regs, _: &Run<'_, A>) -> Result<(), Denied> {
        r[o.d()] = meaning::mov(const { width(WIDE) }, r[o.s()]);
        Ok(())
    }
}

/// A constant, already as wide as it is meant.
pub(crate) struct MovImm;

impl Simple for MovImm {
    #[inline(always)]
    fn apply<A: Access>(o: &Operands, r: &mut Regs, _: &Run<'_, A>) -> Result<(), Denied> {
        r[o.d()] = o.imm;
        Ok(())
    }
}

/// A sign-extending copy: from which size, whether to 64 bits.
pub(crate) struct MovSx<const FROM: u8, const WIDE: bool>;

impl<const FROM: u8, const WIDE: bool> Simple for MovSx<FROM, WIDE> {
    #[inline(always)]
    fn apply<A: Access>(o: &Operands, r: &mut Regs, _: &Run<'_, A>) -> Result<(), Denied> {
        let from = const { SIZES[FROM as usize] };
        r[o.d()] = meaning::mov_sx(const { width(WIDE) }, from, r[o.s()]);
        Ok(())
    }
}

/// A negation.
pub(crate) struct Neg<const WIDE: bool>;

impl<const WIDE: bool> Simple for Neg<WIDE> {
    #[inline(always)]
    fn apply<A: Access>(o: &Operands, r: &mut Regs, _: &Run<'_, A>) -> Result<(), Denied> {
        r[o.d()] = meaning::neg(const { width(WIDE) }, r[o.d()]);
        Ok(())
    }
}

/// Byte order: of which size, whether bytes change places.
pub(crate) struct Swap<const SIZE: u8, const REVERSE: bool>;

impl<const SIZE: u8, const REVERSE: bool> Simple for Swap<SIZE, REVERSE> {
    #[inline(always)]
    fn apply<A: Access>(o: &Operands, r: &mut Regs, _: &Run<'_, A>) -> Result<(), Denied> {
        let kind = if REVERSE {
            SwapKind::Always
        } else {
            SwapKind::ToLe
        };
        r[o.d()] = meaning::swap(kind, const { SIZES[SIZE as usize] }, r[o.d()]);
        Ok(())
    }
}

/// Nothing at all.
pub(crate) struct Nop;

impl Simple for Nop {
    #[inline(always)]
    fn apply<A: Access>(_: &Operands, _: &mut Regs, _: &Run<'_, A>) -> Result<(), Denied> {
        Ok(())
    }
}

/// A load: of which size, whether sign-extending.
pub(crate) struct Load<const SIZE: u8, const SIGNED: bool>;

impl<const SIZE: u8, const SIGNED: bool> Simple for Load<SIZE, SIGNED> {
    #[inline(always)]
    fn apply<A: Access>(o: &Operands, r: &mut Regs, m: &Run<'_, A>) -> Result<(), Denied> {
        let size = const { SIZES[SIZE as usize] };
        let addr = o.addr(r[o.s()]);
        let (host, stack, frame) = (&*m.host, &m.cpu.stack, m.cpu.frame);
        let value = match size {
            Size::B8 => m.access.load::<u8>(host, stack, frame, addr)?,
            Size::B16 => m.access.load::<u16>(host, stack, frame, addr)?,
            Size::B32 => m.access.load::<u32>(host, stack, frame, addr)?,
            Size::B64 => m.access.load::<u64>(host, stack, frame, addr)?,
        };
        r[o.d()] = if SIGNED {
            meaning::sign_extend(size, value)
        } else {
            value
        };
        Ok(())
    }
}

/// A load that may fault and then gives zero: of which size, whether sign-extending.
pub(crate) struct Probe<const SIZE: u8, const SIGNED: bool>;

impl<const SIZE: u8, const SIGNED: bool> Simple for Probe<SIZE, SIGNED> {
    #[inline(always)]
    fn apply<A: Access>(o: &Operands, r: &mut Regs, m: &Run<'_, A>) -> Result<(), Denied> {
        let size = const { SIZES[SIZE as usize] };
        let (host, stack, frame) = (&*m.host, &m.cpu.stack, m.cpu.frame);
        let addr = o.addr(r[o.s()]);
        let value = m.access.probe(host, stack, frame, addr, size.bytes());
        r[o.d()] = if SIGNED {
            meaning::sign_extend(size, value)
        } else {
            value
        };
        Ok(())
    }
}

/// A store: of which size, whether of the immediate.
pub(crate) struct Store<const SIZE: u8, const IMM: bool>;

impl<const SIZE: u8, const IMM: bool> Simple for Store<SIZE, IMM> {
    #[inline(always)]
    fn apply<A: Access>(o: &Operands, r: &mut Regs, m: &Run<'_, A>) -> Result<(), Denied> {
        let value = if IMM { o.imm } else { r[o.s()] };
        let addr = o.addr(r[o.d()]);
        let (host, stack, frame) = (&*m.host, &m.cpu.stack, m.cpu.frame);
        match const { SIZES[SIZE as usize] } {
            Size::B8 => m.access.store::<u8>(host, stack, frame, addr, value),
            Size::B16 => m.access.store::<u16>(host, stack, frame, addr, value),
            Size::B32 => m.access.store::<u32>(host, stack, frame, addr, value),
            Size::B64 => m.access.store::<u64>(host, stack, frame, addr, value),
        }
    }
}

/// A condition: which one, whether on 64 bits, whether with the immediate.
pub(crate) trait Test {
    /// Whether it holds.
    fn holds(o: &Operands, r: &Regs) -> bool;
}

/// See [`Test`].
pub(crate) struct If<const COND: u8, const WIDE: bool, const IMM: bool>;

impl<const COND: u8, const WIDE: bool, const IMM: bool> Test for If<COND, WIDE, IMM> {
    #[inline(always)]
    fn holds(o: &Operands, r: &Regs) -> bool {
        let b = if IMM { o.imm } else { r[o.s()] };
        meaning::jump_taken(
            const { width(WIDE) },
            const { CONDS[COND as usize] },
            r[o.d()],
            b,
        )
    }
}

//! Which longer runs of instructions have a handler: idioms of compiled programs.

use skep_isa::{AluOp, Cond, Op, Operand, Reg, Size, SwapKind, Width};

use super::{goes_to, is_wide, linked};
use crate::cell::Handler;
use crate::fused::link;
use crate::fused::longer::{
    element, far_element, feedback, gather, gather_swapped, multiply_add, round, step_either,
    step_round, three as in_turn,
};
use crate::memory::Trust;
use crate::simple::{Alu, If, Load, MovReg, Neg, Store, Swap};

type Copy<const WIDE: bool> = MovReg<WIDE>;
type PlusImm<const WIDE: bool> = Alu<{ AluOp::Add as u8 }, WIDE, true>;
type Plus<const WIDE: bool> = Alu<{ AluOp::Add as u8 }, WIDE, false>;
type Times<const WIDE: bool> = Alu<{ AluOp::Mul as u8 }, WIDE, false>;
type Left = Alu<{ AluOp::Lsh as u8 }, true, true>;
type Right<const WIDE: bool> = Alu<{ AluOp::Rsh as u8 }, WIDE, true>;
type Mask<const WIDE: bool> = Alu<{ AluOp::And as u8 }, WIDE, true>;
type Differ<const WIDE: bool> = Alu<{ AluOp::Xor as u8 }, WIDE, false>;

/// A copy of a register: width, destination and source.
fn copy(op: &Op) -> Option<(Width, Reg, Reg)> {
    match op {
        Op::Mov {
            width,
            dst,
            src: Operand::Reg(src),
        } => Some((*width, *dst, *src)),
        _ => None,
    }
}

/// An operation with a constant: width, operation and register.
fn by_constant(op: &Op) -> Option<(Width, AluOp, Reg)> {
    match op {
        Op::Alu {
            width,
            op,
            dst,
            src: Operand::Imm(_),
        } => Some((*width, *op, *dst)),
        _ => None,
    }
}

/// An operation with a register: width, operation, destination and source.
fn by_register(op: &Op) -> Option<(Width, AluOp, Reg, Reg)> {
    match op {
        Op::Alu {
            width,
            op,
            dst,
            src: Operand::Reg(src),
        } => Some((*width, *op, *dst, *src)),
        _ => None,
    }
}

/// A load that does not extend a sign: size, destination and base.
fn load(op: &Op) -> Option<(Size, Reg, Reg)> {
    match op {
        Op::Load {
            size,
            signed: false,
            dst,
            base,
            ..
        } => Some((*size, *dst, *base)),
        _ => None,
    }
}

/// Matches what often stands in rows of three.
macro_rules! common {
    ($op:expr, |$x:ident| $answer:expr) => {
        simple!(@rows $op, $x, $answer,
            Op::Mov { width: Width::W64, src: Operand::Reg(_), .. } => Copy<true>;
            Op::Mov { width: Width::W32, src: Operand::Reg(_), .. } => Copy<false>;
            Op::Alu { width: Width::W64, op: AluOp::Add, src: Operand::Imm(_), .. } => PlusImm<true>;
            Op::Alu { width: Width::W64, op: AluOp::Add, src: Operand::Reg(_), .. } => Plus<true>;
            Op::Alu { width: Width::W32, op: AluOp::Add, src: Operand::Reg(_), .. } => Plus<false>;
            Op::Alu { width: Width::W64, op: AluOp::Xor, src: Operand::Reg(_), .. } => Differ<true>;
            Op::Alu { width: Width::W32, op: AluOp::Xor, src: Operand::Reg(_), .. } => Differ<false>;
        )
    };
}

/// Matches a load.
macro_rules! loading {
    ($op:expr, |$x:ident| $answer:expr) => {
        simple!(@rows $op, $x, $answer,
            Op::Load { size: Size::B8, signed: false, .. } => Load<0, false>;
            Op::Load { size: Size::B16, signed: false, .. } => Load<1, false>;
            Op::Load { size: Size::B32, signed: false, .. } => Load<2, false>;
            Op::Load { size: Size::B64, .. } => Load<3, false>;
        )
    };
}

/// Matches an operation that joins another register with what was loaded.
macro_rules! joining {
    ($op:expr, |$x:ident| $answer:expr) => {
        simple!(@rows $op, $x, $answer,
            Op::Alu { width: Width::W64, op: AluOp::Add, src: Operand::Reg(_), .. } => Plus<true>;
            Op::Alu { width: Width::W32, op: AluOp::Add, src: Operand::Reg(_), .. } => Plus<false>;
            Op::Alu { width: Width::W64, op: AluOp::Xor, src: Operand::Reg(_), .. } => Differ<true>;
            Op::Alu { width: Width::W32, op: AluOp::Xor, src: Operand::Reg(_), .. } => Differ<false>;
        )
    };
}

/// Matches a comparison with a constant.
macro_rules! limit {
    ($op:expr, |$t:ident| $answer:expr) => {
        test!(@rows $op, $t, $answer,
            Eq, W64, Imm; Ne, W64, Imm; Gt, W64, Imm; Lt, W64, Imm;
            Eq, W32, Imm; Ne, W32, Imm; Gt, W32, Imm; Lt, W32, Imm;
        )
    };
}

pub(super) fn three(a: &Op, b: &Op, c: &Op) -> Option<Handler<Trust>> {
    if matches!(c, Op::Jump { .. }) {
        return stepped(a, b);
    }
    if let Some(found) = product(a, b, c) {
        return Some(found);
    }
    // What waits for another is faster next to it, which hands its result on.
    let apart = |a, b| linked(a, b) == link::NONE;
    if !(apart(a, b) && apart(b, c) && apart(a, c)) {
        return None;
    }
    common!(a, |X| common!(b, |Y| common!(c, |Z| Some(
        in_turn::<Trust, X, Y, Z> as Handler<Trust>
    ))))
}

/// The step of a counter before a conditional jump on it.
fn stepped(a: &Op, b: &Op) -> Option<Handler<Trust>> {
    let (width, AluOp::Add, counter) = by_constant(a)? else {
        return None;
    };
    if !matches!(b, Op::Branch { dst, .. } if *dst == counter) {
        return None;
    }
    match width {
        Width::W64 => limit!(b, |T| Some(
            step_either::<Trust, PlusImm<true>, T> as Handler<Trust>
        )),
        Width::W32 => limit!(b, |T| Some(
            step_either::<Trust, PlusImm<false>, T> as Handler<Trust>
        )),
    }
}

/// A load, a product in its register, and a sum of that in another one.
fn product(a: &Op, b: &Op, c: &Op) -> Option<Handler<Trust>> {
    let (_, loaded, _) = load(a)?;
    let (width, AluOp::Mul, product, factor) = by_register(b)? else {
        return None;
    };
    let (of_sum, AluOp::Add, sum, part) = by_register(c)? else {
        return None;
    };
    if [product, part] != [loaded; 2] || factor == loaded || sum == loaded || of_sum != width {
        return None;
    }
    match width {
        Width::W64 => loading!(a, |L| Some(
            multiply_add::<Trust, L, Times<true>, Plus<true>> as Handler<Trust>
        )),
        Width::W32 => loading!(a, |L| Some(
            multiply_add::<Trust, L, Times<false>, Plus<false>> as Handler<Trust>
        )),
    }
}

pub(super) fn four([a, b, c, d]: [&Op; 4]) -> Option<Handler<Trust>> {
    match ends_round([a, b, c, d]) {
        true => limit!(d, |T| Some(
            round::<Trust, Copy<true>, PlusImm<true>, Copy<true>, T> as Handler<Trust>
        )),
        false => {
            gathers([a, b, c], d)?;
            loading!(c, |L| joining!(d, |J| Some(
                gather::<Trust, Copy<true>, Plus<true>, L, J> as Handler<Trust>
            )))
        }
    }
}

/// Whether these are `t = c; t += n; x = y` and a comparison of t.
fn ends_round([a, b, c, d]: [&Op; 4]) -> bool {
    let (Some((Width::W64, t, _)), Some((Width::W64, AluOp::Add, sum))) = (copy(a), by_constant(b))
    else {
        return false;
    };
    let other = matches!(copy(c), Some((Width::W64, x, _)) if x != t);
    sum == t && other && matches!(d, Op::Branch { dst, .. } if *dst == t)
}

/// Asks for `t = a; t += b; t = *(t + n)` and an operation of another register with t.
fn gathers([a, b, c]: [&Op; 3], last: &Op) -> Option<()> {
    let (Width::W64, t, _) = copy(a)? else {
        return None;
    };
    let (Width::W64, AluOp::Add, sum, added) = by_register(b)? else {
        return None;
    };
    let (_, loaded, base) = load(c)?;
    let (_, _, joined, with) = by_register(last)?;
    let own = [sum, loaded, base, with] == [t; 4];
    (own && added != t && joined != t).then_some(())
}

pub(super) fn five([a, b, c, d, e]: [&Op; 5]) -> Option<Handler<Trust>> {
    if ends_round([b, c, d, e]) && matches!(by_constant(a), Some((Width::W64, AluOp::Add, _))) {
        return limit!(e, |T| Some(
            step_round::<Trust, PlusImm<true>, Copy<true>, PlusImm<true>, Copy<true>, T>
                as Handler<Trust>
        ));
    }
    if gathers([a, b, c], e).is_some() {
        return swapped([c, d, e]);
    }
    scales(a, b, c)?;
    adds_index(a, c, d)?;
    goes_to(d, e).then_some(())?;
    accessing!(e, |M| Some(
        element::<Trust, Copy<true>, Left, Copy<true>, Plus<true>, M> as Handler<Trust>
    ))
}

/// A load whose bytes change their places before they are joined with something.
fn swapped([c, d, e]: [&Op; 3]) -> Option<Handler<Trust>> {
    let (
        (size, loaded, _),
        Op::Swap {
            kind,
            size: of,
            dst,
        },
    ) = (load(c)?, d)
    else {
        return None;
    };
    if *kind == SwapKind::ToLe || *of != size || *dst != loaded {
        return None;
    }
    macro_rules! swapping {
        ($size:literal) => {
            joining!(e, |J| Some(
                gather_swapped::<
                    Trust,
                    Copy<true>,
                    Plus<true>,
                    Load<$size, false>,
                    Swap<$size, true>,
                    J,
                > as Handler<Trust>
            ))
        };
    }
    match size {
        Size::B16 => swapping!(1),
        Size::B32 => swapping!(2),
        Size::B64 => swapping!(3),
        Size::B8 => None,
    }
}

/// Asks for `i = n; i <<= k; b = p`.
fn scales(a: &Op, b: &Op, c: &Op) -> Option<()> {
    let (Width::W64, index, _) = copy(a)? else {
        return None;
    };
    let (Width::W64, AluOp::Lsh, shifted) = by_constant(b)? else {
        return None;
    };
    let (Width::W64, base, _) = copy(c)? else {
        return None;
    };
    (shifted == index && base != index).then_some(())
}

/// Asks for `b += i`, where those are what two copies went to.
fn adds_index(index: &Op, base: &Op, sum: &Op) -> Option<()> {
    let ((_, index, _), (_, base, _)) = (copy(index)?, copy(base)?);
    let added = by_register(sum)?;
    (added == (Width::W64, AluOp::Add, base, index)).then_some(())
}

pub(super) fn six([a, b, c, d, e, f]: [&Op; 6]) -> Option<Handler<Trust>> {
    if let Some(found) = shift_register([a, b, c, d, e, f]) {
        return Some(found);
    }
    scales(a, b, c)?;
    let (_, base, _) = copy(c)?;
    adds_index(a, c, e)?;
    let far = by_constant(d)? == (Width::W64, AluOp::Add, base);
    (far && goes_to(e, f)).then_some(())?;
    accessing!(f, |M| Some(
        far_element::<Trust, Copy<true>, Left, Copy<true>, PlusImm<true>, Plus<true>, M>
            as Handler<Trust>
    ))
}

/// `t = x; t >>= k; x &= n; x = -x; x &= p; x ^= t`
fn shift_register([a, b, c, d, e, f]: [&Op; 6]) -> Option<Handler<Trust>> {
    let (width, t, x) = copy(a)?;
    let shifts = by_constant(b)? == (width, AluOp::Rsh, t);
    let masks = [by_constant(c)?, by_constant(e)?] == [(width, AluOp::And, x); 2];
    let negates = matches!(d, Op::Neg { width: of, dst } if (*of, *dst) == (width, x));
    let joins = by_register(f)? == (width, AluOp::Xor, x, t);
    if t == x || !(shifts && masks && negates && joins) {
        return None;
    }
    Some(match width {
        Width::W64 => {
            feedback::<Trust, Copy<true>, Right<true>, Mask<true>, Neg<true>, Differ<true>>
        }
        Width::W32 => {
            feedback::<Trust, Copy<false>, Right<false>, Mask<false>, Neg<false>, Differ<false>>
        }
    })
}

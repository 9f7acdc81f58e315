//! Arithmetic on scalars: what each ALU operation makes of bounds and bits.
//!
//! The bounds of both widths follow the same rules, each computed from its own operands, so
//! every rule is written once over [`Bounds`].

use crate::bounds::Bounds;
use crate::scalar::ScalarOf;
use crate::tnum::TnumOf;
use crate::word::{SignedWord, Wide, Word};

/// The arithmetic operations that take a scalar to a scalar.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Alu {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient, signed or unsigned.
    Div,
    /// Bitwise or.
    Or,
    /// Bitwise and.
    And,
    /// Shift to the left.
    Lsh,
    /// Shift to the right, zeros coming in.
    Rsh,
    /// Zero minus the operand.
    Neg,
    /// Remainder, signed or unsigned.
    Mod,
    /// Bitwise exclusive or.
    Xor,
    /// Shift to the right, the sign coming in.
    Arsh,
}

impl Alu {
    /// The operation of an opcode byte of class ALU or ALU64; moves and byte swaps are none.
    #[inline]
    #[must_use]
    pub fn from_opcode(code: u8) -> Option<Alu> {
        Some(match code & 0xf0 {
            0x00 => Alu::Add,
            0x10 => Alu::Sub,
            0x20 => Alu::Mul,
            0x30 => Alu::Div,
            0x40 => Alu::Or,
            0x50 => Alu::And,
            0x60 => Alu::Lsh,
            0x70 => Alu::Rsh,
            0x80 => Alu::Neg,
            0x90 => Alu::Mod,
            0xa0 => Alu::Xor,
            0xc0 => Alu::Arsh,
            _ => return None,
        })
    }
}

/// `dst = dst op src` on all 64 bits. [`Alu::Neg`] does not look at `src`.
#[inline]
pub fn alu64<W: Wide>(op: Alu, dst: &mut ScalarOf<W>, src: &ScalarOf<W>) {
    if let (Some(a), Some(b)) = (dst.const_value(), src.const_value())
        && let Some(value) = constants(op, a, b)
    {
        *dst = ScalarOf::known(value);
        return;
    }
    let one_number = || src.is_const() && src.umin == src.umax && src.smin == src.smax;
    match op {
        Alu::Lsh | Alu::Rsh | Alu::Arsh if one_number() && src.umax.is_below(W::BITS) => {
            let count = src.umin.count();
            match op {
                Alu::Lsh => shift_left(dst, count),
                Alu::Rsh => shift_right(dst, count),
                _ => shift_arithmetic(dst, count),
            }
        }
        Alu::Lsh | Alu::Rsh | Alu::Arsh | Alu::Div | Alu::Mod => {
            *dst = ScalarOf::unknown();
            return;
        }
        _ => both_widths(op, dst, src),
    }
    dst.sync();
}

/// `dst = dst op src` on the low 32 bits, zeros above them. [`Alu::Neg`] does not look at `src`.
#[inline]
pub fn alu32<W: Wide>(op: Alu, dst: &mut ScalarOf<W>, src: &ScalarOf<W>) {
    if let (Some(a), Some(b)) = (dst.subreg_const_value(), src.subreg_const_value())
        && let Some(value) = constants(op, a, b)
    {
        *dst = ScalarOf::known(W::from_half(value));
        return;
    }
    let one_number =
        || src.subreg_is_const() && src.u32_min == src.u32_max && src.s32_min == src.s32_max;
    match op {
        Alu::Lsh | Alu::Rsh | Alu::Arsh if one_number() && src.umax.is_below(W::Half::BITS) => {
            let count = src.u32_min.count();
            let (bits, half) = (dst.var_off.low(), dst.half());
            let (bits, mut half) = match op {
                Alu::Lsh => (bits.shl(count), left(&half, count)),
                Alu::Rsh => (bits.shr(count), right(&half, count)),
                _ => (bits.arsh(count), arithmetic(&half, count)),
            };
            half.clamp_to_bits(bits);
            *dst = ScalarOf::from_parts(TnumOf::from_half(bits), Bounds::unbounded(), half);
        }
        Alu::Lsh | Alu::Rsh | Alu::Arsh | Alu::Div | Alu::Mod => {
            *dst = ScalarOf::unknown();
            return;
        }
        _ => both_widths(op, dst, src),
    }
    dst.zext_32_to_64();
    dst.sync();
}

/// The result of a sum or a bit operation on two constants, which is a constant whatever the
/// bounds say.
#[inline]
fn constants<W: Word>(op: Alu, a: W, b: W) -> Option<W> {
    Some(match op {
        Alu::Add => a.plus(b),
        Alu::Sub => a.minus(b),
        Alu::And => a & b,
        Alu::Or => a | b,
        Alu::Xor => a ^ b,
        _ => return None,
    })
}

/// The two states in which Linux goes on before `dst &= src` and `dst |= src` when `src` is a
/// constant and `dst` is a sign spread over the word (or its low half): -1, then 0.
///
/// The operation itself then runs in each of them.
#[inline]
#[must_use]
pub fn fork_sign<W: Wide>(
    op: Alu,
    dst: &ScalarOf<W>,
    src: &ScalarOf<W>,
) -> Option<(ScalarOf<W>, ScalarOf<W>)> {
    if !matches!(op, Alu::And | Alu::Or) || !src.is_const() {
        return None;
    }
    let minus_one = W::MAX.signed();
    let minus_one_half = W::Half::MAX.signed();
    if dst.smin == minus_one && dst.smax == W::Signed::ZERO {
        Some((ScalarOf::known(W::MAX), ScalarOf::known(W::ZERO)))
    } else if dst.s32_min == minus_one_half && dst.s32_max == <W::Half as Word>::Signed::ZERO {
        let low = |value: W::Half| {
            let mut half_known = *dst;
            half_known.var_off = dst.var_off.const_subreg(value);
            half_known.set_half(Bounds::constant(value));
            half_known
        };
        Some((low(W::Half::MAX), low(W::Half::ZERO)))
    } else {
        None
    }
}

/// The operations in which both widths are computed side by side, whatever the width of the
/// instruction: the low half of the result depends on the low halves alone.
#[inline]
fn both_widths<W: Wide>(op: Alu, dst: &mut ScalarOf<W>, src: &ScalarOf<W>) {
    let (a, b) = (dst.var_off, src.var_off);
    let bits = match op {
        Alu::Add => a.add(b),
        Alu::Sub => a.sub(b),
        Alu::Neg => a.neg(),
        Alu::Mul => a.mul(b),
        Alu::And => a.and(b),
        Alu::Or => a.or(b),
        _ => a.xor(b),
    };
    let both_const = a.is_const() && b.is_const();
    let both_low_const = a.subreg_is_const() && b.subreg_is_const();
    let full = one_width(op, &dst.full(), &src.full(), bits, both_const);
    let half = one_width(op, &dst.half(), &src.half(), bits.low(), both_low_const);
    *dst = ScalarOf::from_parts(bits, full, half);
}

/// One width of [`both_widths`]; `bits` is the tnum of the result.
#[inline]
fn one_width<W: Word>(
    op: Alu,
    a: &Bounds<W>,
    b: &Bounds<W>,
    bits: TnumOf<W>,
    both_const: bool,
) -> Bounds<W> {
    W::bounds(|| match op {
        Alu::Add => add(a, b),
        Alu::Sub => sub(a, b),
        Alu::Neg => sub(&Bounds::constant(W::ZERO), a),
        Alu::Mul => mul(a, b),
        _ if both_const => Bounds::constant(bits.value),
        Alu::And => Bounds::from_unsigned(bits.min(), a.umax.min(b.umax)),
        Alu::Or => Bounds::from_unsigned(a.umin.max(b.umin), bits.max()),
        _ => Bounds::from_unsigned(bits.min(), bits.max()),
    })
}

/// The unsigned pair survives when both ends wrap or none does: the range moves as a whole.
#[inline]
fn add<W: Word>(a: &Bounds<W>, b: &Bounds<W>) -> Bounds<W> {
    let mut sum = Bounds::unbounded();
    if let (Some(min), Some(max)) = (a.smin.add_checked(b.smin), a.smax.add_checked(b.smax)) {
        (sum.smin, sum.smax) = (min, max);
    }
    let ((min, min_wraps), (max, max_wraps)) = (a.umin.add_carry(b.umin), a.umax.add_carry(b.umax));
    if min_wraps == max_wraps {
        (sum.umin, sum.umax) = (min, max);
    }
    sum
}

/// As [`add`], the ends of `b` the other way round.
#[inline]
fn sub<W: Word>(a: &Bounds<W>, b: &Bounds<W>) -> Bounds<W> {
    let mut difference = Bounds::unbounded();
    if let (Some(min), Some(max)) = (a.smin.sub_checked(b.smax), a.smax.sub_checked(b.smin)) {
        (difference.smin, difference.smax) = (min, max);
    }
    let ((min, min_wraps), (max, max_wraps)) =
        (a.umin.sub_borrow(b.umax), a.umax.sub_borrow(b.umin));
    if min_wraps == max_wraps {
        (difference.umin, difference.umax) = (min, max);
    }
    difference
}

/// The extreme products of the ends, unless one of them overflows.
#[inline]
pub(crate) fn mul<W: Word>(a: &Bounds<W>, b: &Bounds<W>) -> Bounds<W> {
    let mut product = Bounds::unbounded();
    if let (Some(min), Some(max)) = (a.umin.mul_checked(b.umin), a.umax.mul_checked(b.umax)) {
        (product.umin, product.umax) = (min, max);
    }
    let ends = (
        a.smin.mul_checked(b.smin),
        a.smin.mul_checked(b.smax),
        a.smax.mul_checked(b.smin),
        a.smax.mul_checked(b.smax),
    );
    if let (Some(p), Some(q), Some(r), Some(s)) = ends {
        product.smin = p.min(q).min(r).min(s);
        product.smax = p.max(q).max(r).max(s);
    }
    product
}

/// The unsigned pair moves along when no set bit can fall out; of the sign nothing is kept.
#[inline]
fn left<W: Word>(a: &Bounds<W>, count: u32) -> Bounds<W> {
    W::bounds(|| {
        let mut shifted = Bounds::unbounded();
        if count < W::BITS && a.umax <= W::ONE.shl(W::BITS - 1 - count) {
            (shifted.umin, shifted.umax) = (a.umin.shl(count), a.umax.shl(count));
        }
        shifted
    })
}

/// The unsigned pair moves along; of the sign nothing is kept.
#[inline]
fn right<W: Word>(a: &Bounds<W>, count: u32) -> Bounds<W> {
    Bounds {
        umin: a.umin.shr(count),
        umax: a.umax.shr(count),
        ..Bounds::unbounded()
    }
}

/// The signed pair moves along; of the unsigned one nothing is kept.
#[inline]
fn arithmetic<W: Word>(a: &Bounds<W>, count: u32) -> Bounds<W> {
    Bounds {
        smin: a.smin.sar(count),
        smax: a.smax.sar(count),
        ..Bounds::unbounded()
    }
}

#[inline]
fn shift_left<W: Wide>(dst: &mut ScalarOf<W>, count: u32) {
    let mut full = left(&dst.full(), count);
    // Shifting the low half to the top is the first step of a sign extension.
    if count == W::Half::BITS {
        let top = |low| W::from_signed_half(low).unsigned().shl(count).signed();
        (full.smin, full.smax) = (top(dst.s32_min), top(dst.s32_max));
    }
    let half = left(&dst.half(), count);
    finish_shift(dst, dst.var_off.shl(count), full, half);
}

#[inline]
fn shift_right<W: Wide>(dst: &mut ScalarOf<W>, count: u32) {
    let full = right(&dst.full(), count);
    finish_shift(dst, dst.var_off.shr(count), full, Bounds::unbounded());
}

#[inline]
fn shift_arithmetic<W: Wide>(dst: &mut ScalarOf<W>, count: u32) {
    let full = arithmetic(&dst.full(), count);
    finish_shift(dst, dst.var_off.arsh(count), full, Bounds::unbounded());
}

/// Stores the result of a full-width shift, its bounds narrowed once by its bits.
#[inline]
fn finish_shift<W: Wide>(
    dst: &mut ScalarOf<W>,
    bits: TnumOf<W>,
    full: Bounds<W>,
    half: Bounds<W::Half>,
) {
    *dst = ScalarOf::from_parts(bits, full, half).with_bounds_from_bits();
}

/// The variable offset of `pointer + offset`. Unlike [`alu64`], an unsigned pair of which
/// both ends wrap is dropped, and the low half is not tracked.
#[inline]
#[must_use]
pub fn pointer_add<W: Wide>(pointer: &ScalarOf<W>, offset: &ScalarOf<W>) -> ScalarOf<W> {
    let (a, b) = (pointer.full(), offset.full());
    let full = W::bounds(|| {
        let mut full = add(&a, &b);
        if a.umax.add_carry(b.umax).1 {
            (full.umin, full.umax) = (W::ZERO, W::MAX);
        }
        full
    });
    pointer_at(pointer.var_off.add(offset.var_off), full)
}

/// The variable offset of `pointer - offset`.
#[inline]
#[must_use]
pub fn pointer_sub<W: Wide>(pointer: &ScalarOf<W>, offset: &ScalarOf<W>) -> ScalarOf<W> {
    let (a, b) = (pointer.full(), offset.full());
    let full = W::bounds(|| {
        let mut full = sub(&a, &b);
        if a.umin.sub_borrow(b.umax).1 {
            (full.umin, full.umax) = (W::ZERO, W::MAX);
        }
        full
    });
    pointer_at(pointer.var_off.sub(offset.var_off), full)
}

#[inline]
fn pointer_at<W: Wide>(bits: TnumOf<W>, full: Bounds<W>) -> ScalarOf<W> {
    let mut moved = ScalarOf::from_parts(bits, full, Bounds::unbounded());
    moved.sync();
    moved
}

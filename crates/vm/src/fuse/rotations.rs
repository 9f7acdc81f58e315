//! Which runs of instructions rotate a register: two shifts of copies, and what joins them.

use skep_isa::{AluOp, Op, Operand, Width};

use crate::cell::Handler;
use crate::fused::{rotate, rotate_copy};
use crate::memory::Trust;
use crate::simple::{Alu, MovReg};

/// `t = s; t >>= k; u = s; u <<= l; u |= t`, which rotates into another register.
pub(super) fn of_copy([a, b, c, d, e]: [&Op; 5]) -> Option<Handler<Trust>> {
    type Right<const WIDE: bool> = Alu<{ AluOp::Rsh as u8 }, WIDE, true>;
    type Left<const WIDE: bool> = Alu<{ AluOp::Lsh as u8 }, WIDE, true>;
    type Or<const WIDE: bool> = Alu<{ AluOp::Or as u8 }, WIDE, false>;
    let copy = |op: &Op| match op {
        Op::Mov {
            width,
            dst,
            src: Operand::Reg(src),
        } => Some((*width, *dst, *src)),
        _ => None,
    };
    let shift = |op: &Op| match op {
        Op::Alu {
            width,
            op: op @ (AluOp::Lsh | AluOp::Rsh),
            dst,
            src: Operand::Imm(_),
        } => Some((*width, *dst, *op)),
        _ => None,
    };
    let ((width, t, s), (w1, d1, first)) = (copy(a)?, shift(b)?);
    let ((w2, u, s2), (w3, d3, second)) = (copy(c)?, shift(d)?);
    let Op::Alu {
        width: w4,
        op: AluOp::Or,
        dst: d4,
        src: Operand::Reg(s4),
    } = e
    else {
        return None;
    };
    let registers = t != s && u != t && u != s && (d1, s2, d3, *d4, *s4) == (t, s, u, u, t);
    if !registers || [w1, w2, w3, *w4] != [width; 4] {
        return None;
    }
    Some(match (width, first, second) {
        (Width::W64, AluOp::Rsh, AluOp::Lsh) => {
            rotate_copy::<Trust, MovReg<true>, Right<true>, Left<true>, Or<true>>
        }
        (Width::W64, AluOp::Lsh, AluOp::Rsh) => {
            rotate_copy::<Trust, MovReg<true>, Left<true>, Right<true>, Or<true>>
        }
        (Width::W32, AluOp::Rsh, AluOp::Lsh) => {
            rotate_copy::<Trust, MovReg<false>, Right<false>, Left<false>, Or<false>>
        }
        (Width::W32, AluOp::Lsh, AluOp::Rsh) => {
            rotate_copy::<Trust, MovReg<false>, Left<false>, Right<false>, Or<false>>
        }
        _ => return None,
    })
}

/// `t = s; t >>= k; s <<= l; s |= t`, which rotates when the shifts are the width together.
pub(super) fn rotation(ops: [&Op; 4]) -> Option<Handler<Trust>> {
    type Right<const WIDE: bool> = Alu<{ AluOp::Rsh as u8 }, WIDE, true>;
    type Left<const WIDE: bool> = Alu<{ AluOp::Lsh as u8 }, WIDE, true>;
    type Or<const WIDE: bool> = Alu<{ AluOp::Or as u8 }, WIDE, false>;
    let [
        Op::Mov {
            width,
            dst: t,
            src: Operand::Reg(s),
        },
        Op::Alu {
            width: w1,
            op: first,
            dst: d1,
            src: Operand::Imm(_),
        },
        Op::Alu {
            width: w2,
            op: second,
            dst: d2,
            src: Operand::Imm(_),
        },
        Op::Alu {
            width: w3,
            op: AluOp::Or,
            dst: d3,
            src: Operand::Reg(s3),
        },
    ] = ops
    else {
        return None;
    };
    let registers = t != s && (d1, d2, d3, s3) == (t, s, s, t);
    if !registers || [w1, w2, w3] != [width; 3] {
        return None;
    }
    Some(match (width, first, second) {
        (Width::W64, AluOp::Rsh, AluOp::Lsh) => {
            rotate::<Trust, MovReg<true>, Right<true>, Left<true>, Or<true>>
        }
        (Width::W64, AluOp::Lsh, AluOp::Rsh) => {
            rotate::<Trust, MovReg<true>, Left<true>, Right<true>, Or<true>>
        }
        (Width::W32, AluOp::Rsh, AluOp::Lsh) => {
            rotate::<Trust, MovReg<false>, Right<false>, Left<false>, Or<false>>
        }
        (Width::W32, AluOp::Lsh, AluOp::Rsh) => {
            rotate::<Trust, MovReg<false>, Left<false>, Right<false>, Or<false>>
        }
        _ => return None,
    })
}

//! Fusing neighbours: one handler for two instructions that often stand together.
//!
//! The second cell stays as it is, because a jump may go to it; the handler of the first
//! reads the operands of both. Which instructions are worth it was counted over the
//! benchmark programs.

use skep_isa::{AluOp, Cond, Op, Operand, Reg, Size, Width};

use crate::cell::Handler;
use crate::flow::{link, then_branch, two};
use crate::memory::Trust;
use crate::simple::{Alu, If, Load, MovImm, MovReg, Simple, Store};

/// Matches an instruction against the frequent simple ones and gives one answer for each.
macro_rules! simple {
    ($op:expr, |$x:ident| $answer:expr) => {
        simple!(@rows $op, $x, $answer,
            Op::Mov { width: Width::W64, src: Operand::Reg(_), .. } => MovReg<true>;
            Op::Mov { width: Width::W32, src: Operand::Reg(_), .. } => MovReg<false>;
            Op::Mov { src: Operand::Imm(_), .. } => MovImm;
            Op::Alu { width: Width::W64, op: AluOp::Add, src: Operand::Imm(_), .. } => Alu<{ AluOp::Add as u8 }, true, true>;
            Op::Alu { width: Width::W64, op: AluOp::Add, src: Operand::Reg(_), .. } => Alu<{ AluOp::Add as u8 }, true, false>;
            Op::Alu { width: Width::W64, op: AluOp::Mul, src: Operand::Reg(_), .. } => Alu<{ AluOp::Mul as u8 }, true, false>;
            Op::Alu { width: Width::W64, op: AluOp::Or, src: Operand::Reg(_), .. } => Alu<{ AluOp::Or as u8 }, true, false>;
            Op::Alu { width: Width::W64, op: AluOp::And, src: Operand::Imm(_), .. } => Alu<{ AluOp::And as u8 }, true, true>;
            Op::Alu { width: Width::W64, op: AluOp::And, src: Operand::Reg(_), .. } => Alu<{ AluOp::And as u8 }, true, false>;
            Op::Alu { width: Width::W64, op: AluOp::Xor, src: Operand::Reg(_), .. } => Alu<{ AluOp::Xor as u8 }, true, false>;
            Op::Alu { width: Width::W64, op: AluOp::Lsh, src: Operand::Imm(_), .. } => Alu<{ AluOp::Lsh as u8 }, true, true>;
            Op::Alu { width: Width::W64, op: AluOp::Rsh, src: Operand::Imm(_), .. } => Alu<{ AluOp::Rsh as u8 }, true, true>;
            Op::Alu { width: Width::W32, op: AluOp::Add, src: Operand::Imm(_), .. } => Alu<{ AluOp::Add as u8 }, false, true>;
            Op::Alu { width: Width::W32, op: AluOp::Add, src: Operand::Reg(_), .. } => Alu<{ AluOp::Add as u8 }, false, false>;
            Op::Alu { width: Width::W32, op: AluOp::Or, src: Operand::Reg(_), .. } => Alu<{ AluOp::Or as u8 }, false, false>;
            Op::Alu { width: Width::W32, op: AluOp::And, src: Operand::Imm(_), .. } => Alu<{ AluOp::And as u8 }, false, true>;
            Op::Alu { width: Width::W32, op: AluOp::And, src: Operand::Reg(_), .. } => Alu<{ AluOp::And as u8 }, false, false>;
            Op::Alu { width: Width::W32, op: AluOp::Xor, src: Operand::Reg(_), .. } => Alu<{ AluOp::Xor as u8 }, false, false>;
            Op::Alu { width: Width::W32, op: AluOp::Lsh, src: Operand::Imm(_), .. } => Alu<{ AluOp::Lsh as u8 }, false, true>;
            Op::Alu { width: Width::W32, op: AluOp::Rsh, src: Operand::Imm(_), .. } => Alu<{ AluOp::Rsh as u8 }, false, true>;
            Op::Load { size: Size::B8, signed: false, .. } => Load<0, false>;
            Op::Load { size: Size::B16, signed: false, .. } => Load<1, false>;
            Op::Load { size: Size::B32, signed: false, .. } => Load<2, false>;
            Op::Load { size: Size::B64, .. } => Load<3, false>;
            Op::Store { size: Size::B8, src: Operand::Reg(_), .. } => Store<0, false>;
            Op::Store { size: Size::B32, src: Operand::Reg(_), .. } => Store<2, false>;
            Op::Store { size: Size::B64, src: Operand::Reg(_), .. } => Store<3, false>;
        )
    };
    (@rows $op:expr, $x:ident, $answer:expr, $($pattern:pat => $type:ty;)*) => {
        match $op {
            $($pattern => { type $x = $type; $answer })*
            _ => None,
        }
    };
}

/// Matches an instruction against the frequent conditional jumps.
macro_rules! test {
    ($op:expr, |$t:ident| $answer:expr) => {
        test!(@rows $op, $t, $answer,
            Eq, W64, Imm; Eq, W64, Reg; Ne, W64, Imm; Ne, W64, Reg;
            Gt, W64, Imm; Gt, W64, Reg; Lt, W64, Imm; Lt, W64, Reg;
            Eq, W32, Imm; Eq, W32, Reg; Ne, W32, Imm; Ne, W32, Reg;
            Gt, W32, Imm; Gt, W32, Reg; Lt, W32, Imm; Lt, W32, Reg;
        )
    };
    (@rows $op:expr, $t:ident, $answer:expr, $($cond:ident, $width:ident, $origin:ident;)*) => {
        match $op {
            $(Op::Branch { cond: Cond::$cond, width: Width::$width, src: Operand::$origin(_), .. } => {
                type $t = If<{ Cond::$cond as u8 }, { is_wide(Width::$width) }, { test!(@imm $origin) }>;
                $answer
            })*
            _ => None,
        }
    };
    (@imm Imm) => { true };
    (@imm Reg) => { false };
}

const fn is_wide(width: Width) -> bool {
    matches!(width, Width::W64)
}

/// The handler that runs both instructions, when there is one.
pub(crate) fn fused(first: &Op, second: &Op) -> Option<Handler<Trust>> {
    match linked(first, second) {
        link::OWN => simple!(first, |X| with::<X, { link::OWN }>(second)),
        link::OTHER => simple!(first, |X| with::<X, { link::OTHER }>(second)),
        _ => simple!(first, |X| with::<X, { link::NONE }>(second)),
    }
}

fn register(operand: &Operand) -> Option<Reg> {
    match operand {
        Operand::Reg(reg) => Some(*reg),
        Operand::Imm(_) => None,
    }
}

/// What the second instruction takes from the first one.
fn linked(first: &Op, second: &Op) -> u8 {
    let written = match first {
        Op::Mov { dst, .. } | Op::Alu { dst, .. } | Op::Load { dst, .. } => *dst,
        _ => return link::NONE,
    };
    let (own, other) = match second {
        Op::Mov { dst, src, .. } | Op::Alu { dst, src, .. } | Op::Branch { dst, src, .. } => {
            (*dst, register(src))
        }
        Op::Load { dst, base, .. } => (*dst, Some(*base)),
        Op::Store { base, src, .. } => (*base, register(src)),
        _ => return link::NONE,
    };
    match (own == written, other == Some(written)) {
        (true, false) => link::OWN,
        (false, true) => link::OTHER,
        _ => link::NONE,
    }
}

fn with<X: Simple, const LINK: u8>(second: &Op) -> Option<Handler<Trust>> {
    let branch: Option<Handler<Trust>> = test!(second, |T| Some(then_branch::<Trust, X, T, LINK>));
    branch.or_else(|| simple!(second, |Y| Some(two::<Trust, X, Y, LINK>)))
}

//! Fusing neighbours: one handler for two to six instructions that often stand together.
//!
//! The other cells stay as they are, because a jump may go to them; the handler of the first
//! reads the operands of all. Which instructions are worth it was counted over the
//! benchmark programs.

use skep_isa::{AluOp, Cond, Op, Operand, Reg, Size, SwapKind, Width};

use crate::cell::Handler;
use crate::fused::longer::then;
use crate::fused::{
    access, either, far_access, in_one, link, modify, then_branch, then_goto, then_then_branch, two,
};
use crate::memory::Trust;
use crate::simple::{Alu, If, Load, MovImm, MovReg, Neg, Simple, Store, Swap};

/// Matches an instruction against the frequent simple ones and gives one answer for each.
macro_rules! simple {
    ($op:expr, |$x:ident| $answer:expr) => {
        simple!(@rows $op, $x, $answer,
            Op::Mov { width: Width::W64, src: Operand::Reg(_), .. } => MovReg<true>;
            Op::Mov { width: Width::W32, src: Operand::Reg(_), .. } => MovReg<false>;
            Op::Mov { src: Operand::Imm(_), .. } => MovImm;
            Op::Alu { width: Width::W64, op: AluOp::Add, src: Operand::Imm(_), .. } => Alu<{ AluOp::Add as u8 }, true, true>;
            Op::Alu { width: Width::W64, op: AluOp::Add, src: Operand::Reg(_), .. } => Alu<{ AluOp::Add as u8 }, true, false>;
            Op::Alu { width: Width::W64, op: AluOp::Sub, src: Operand::Reg(_), .. } => Alu<{ AluOp::Sub as u8 }, true, false>;
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
            Op::Alu { width: Width::W32, op: AluOp::Sub, src: Operand::Reg(_), .. } => Alu<{ AluOp::Sub as u8 }, false, false>;
            Op::Swap { kind: SwapKind::ToBe | SwapKind::Always, size: Size::B16, .. } => Swap<1, true>;
            Op::Swap { kind: SwapKind::ToBe | SwapKind::Always, size: Size::B32, .. } => Swap<2, true>;
            Op::Swap { kind: SwapKind::ToBe | SwapKind::Always, size: Size::B64, .. } => Swap<3, true>;
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
            Sgt, W64, Imm; Slt, W64, Imm; Sgt, W32, Imm; Slt, W32, Imm;
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

/// Matches what begins a computation in one register.
macro_rules! start {
    ($op:expr, |$x:ident| $answer:expr) => {
        simple!(@rows $op, $x, $answer,
            Op::Mov { width: Width::W64, src: Operand::Reg(_), .. } => MovReg<true>;
            Op::Mov { width: Width::W32, src: Operand::Reg(_), .. } => MovReg<false>;
            Op::Alu { width: Width::W64, op: AluOp::And, src: Operand::Imm(_), .. } => Alu<{ AluOp::And as u8 }, true, true>;
            Op::Alu { width: Width::W32, op: AluOp::And, src: Operand::Imm(_), .. } => Alu<{ AluOp::And as u8 }, false, true>;
            Op::Alu { width: Width::W64, op: AluOp::Xor, src: Operand::Reg(_), .. } => Alu<{ AluOp::Xor as u8 }, true, false>;
            Op::Alu { width: Width::W32, op: AluOp::Xor, src: Operand::Reg(_), .. } => Alu<{ AluOp::Xor as u8 }, false, false>;
            Op::Load { size: Size::B8, signed: false, .. } => Load<0, false>;
            Op::Load { size: Size::B16, signed: false, .. } => Load<1, false>;
            Op::Load { size: Size::B32, signed: false, .. } => Load<2, false>;
            Op::Load { size: Size::B64, .. } => Load<3, false>;
        )
    };
}

/// Matches what goes on with a computation in one register.
macro_rules! step {
    ($op:expr, $width:ident, |$x:ident| $answer:expr) => {
        simple!(@rows $op, $x, $answer,
            Op::Neg { width: Width::$width, .. } => Neg<{ is_wide(Width::$width) }>;
            Op::Alu { width: Width::$width, op: AluOp::Add, src: Operand::Imm(_), .. } => Alu<{ AluOp::Add as u8 }, { is_wide(Width::$width) }, true>;
            Op::Alu { width: Width::$width, op: AluOp::Add, src: Operand::Reg(_), .. } => Alu<{ AluOp::Add as u8 }, { is_wide(Width::$width) }, false>;
            Op::Alu { width: Width::$width, op: AluOp::Or, src: Operand::Reg(_), .. } => Alu<{ AluOp::Or as u8 }, { is_wide(Width::$width) }, false>;
            Op::Alu { width: Width::$width, op: AluOp::And, src: Operand::Imm(_), .. } => Alu<{ AluOp::And as u8 }, { is_wide(Width::$width) }, true>;
            Op::Alu { width: Width::$width, op: AluOp::Xor, src: Operand::Reg(_), .. } => Alu<{ AluOp::Xor as u8 }, { is_wide(Width::$width) }, false>;
            Op::Alu { width: Width::$width, op: AluOp::Lsh, src: Operand::Imm(_), .. } => Alu<{ AluOp::Lsh as u8 }, { is_wide(Width::$width) }, true>;
            Op::Alu { width: Width::$width, op: AluOp::Rsh, src: Operand::Imm(_), .. } => Alu<{ AluOp::Rsh as u8 }, { is_wide(Width::$width) }, true>;
        )
    };
}

/// Matches what often stands before the step of a counter, or the test at a loop's end.
macro_rules! counter {
    ($op:expr, |$x:ident| $answer:expr) => {
        simple!(@rows $op, $x, $answer,
            Op::Mov { width: Width::W64, src: Operand::Reg(_), .. } => MovReg<true>;
            Op::Alu { width: Width::W64, op: AluOp::Add, src: Operand::Imm(_), .. } => Alu<{ AluOp::Add as u8 }, true, true>;
            Op::Alu { width: Width::W32, op: AluOp::Add, src: Operand::Imm(_), .. } => Alu<{ AluOp::Add as u8 }, false, true>;
            Op::Alu { width: Width::W64, op: AluOp::Rsh, src: Operand::Imm(_), .. } => Alu<{ AluOp::Rsh as u8 }, true, true>;
            Op::Load { size: Size::B8, signed: false, .. } => Load<0, false>;
            Op::Load { size: Size::B64, .. } => Load<3, false>;
        )
    };
}

/// Matches what goes on with an address.
macro_rules! farther {
    ($op:expr, |$x:ident| $answer:expr) => {
        simple!(@rows $op, $x, $answer,
            Op::Alu { width: Width::W64, op: AluOp::Add, src: Operand::Imm(_), .. } => Alu<{ AluOp::Add as u8 }, true, true>;
            Op::Alu { width: Width::W64, op: AluOp::Add, src: Operand::Reg(_), .. } => Alu<{ AluOp::Add as u8 }, true, false>;
        )
    };
}

/// Matches what begins an address.
macro_rules! nearer {
    ($op:expr, |$x:ident| $answer:expr) => {
        simple!(@rows $op, $x, $answer,
            Op::Mov { width: Width::W64, src: Operand::Reg(_), .. } => MovReg<true>;
            Op::Alu { width: Width::W64, op: AluOp::Add, src: Operand::Imm(_), .. } => Alu<{ AluOp::Add as u8 }, true, true>;
        )
    };
}

/// Matches an access.
macro_rules! accessing {
    ($op:expr, |$x:ident| $answer:expr) => {
        simple!(@rows $op, $x, $answer,
            Op::Load { size: Size::B8, signed: false, .. } => Load<0, false>;
            Op::Load { size: Size::B16, signed: false, .. } => Load<1, false>;
            Op::Load { size: Size::B32, signed: false, .. } => Load<2, false>;
            Op::Load { size: Size::B64, .. } => Load<3, false>;
            Op::Store { size: Size::B8, src: Operand::Reg(_), .. } => Store<0, false>;
            Op::Store { size: Size::B32, src: Operand::Reg(_), .. } => Store<2, false>;
            Op::Store { size: Size::B64, src: Operand::Reg(_), .. } => Store<3, false>;
        )
    };
}

// Behind the macros, which it uses.
mod longer;
mod rotations;

/// The most instructions that one handler runs.
pub(crate) const FUSED: usize = 6;

/// The handler that runs the first `count` of these instructions at once, when there is one.
/// None of them is a load that may fault.
pub(crate) fn fused(ops: &[&Op], count: usize) -> Option<Handler<Trust>> {
    match *ops.get(..count)? {
        [a, b] => pair(a, b),
        [a, b, c] => three(a, b, c).or_else(|| longer::three(a, b, c)),
        [a, b, c, d] => rotations::rotation([a, b, c, d])
            .or_else(|| far(a, b, c, d))
            .or_else(|| longer::four([a, b, c, d])),
        [a, b, c, d, e] => {
            rotations::of_copy([a, b, c, d, e]).or_else(|| longer::five([a, b, c, d, e]))
        }
        [a, b, c, d, e, f] => longer::six([a, b, c, d, e, f]),
        _ => None,
    }
}

/// The handler of a 64-bit constant and what stands behind it, when that computes in another
/// register with it.
pub(crate) fn with_constant(constant: &Op, op: &Op) -> Option<Handler<Trust>> {
    let (Op::LoadImm64 { dst: loaded, .. }, Op::Alu { dst, src, .. }) = (constant, op) else {
        return None;
    };
    if register(src) != Some(*loaded) || dst == loaded {
        return None;
    }
    simple!(@rows op, Y, Some(then::<Trust, Y> as Handler<Trust>),
        Op::Alu { width: Width::W64, op: AluOp::Add, .. } => Alu<{ AluOp::Add as u8 }, true, false>;
        Op::Alu { width: Width::W64, op: AluOp::Mul, .. } => Alu<{ AluOp::Mul as u8 }, true, false>;
        Op::Alu { width: Width::W64, op: AluOp::And, .. } => Alu<{ AluOp::And as u8 }, true, false>;
        Op::Alu { width: Width::W64, op: AluOp::Or, .. } => Alu<{ AluOp::Or as u8 }, true, false>;
        Op::Alu { width: Width::W64, op: AluOp::Xor, .. } => Alu<{ AluOp::Xor as u8 }, true, false>;
    )
}

/// Whether an access goes to the address that the instruction before it computed, and no
/// store of that address.
fn goes_to(before: &Op, op: &Op) -> bool {
    let (Op::Alu { dst, .. }, false) = (before, matches!(op, Op::Load { signed: true, .. })) else {
        return false;
    };
    match op {
        Op::Load { base, .. } => base == dst,
        Op::Store { base, src, .. } => base == dst && register(src) != Some(*dst),
        _ => false,
    }
}

/// An address in three steps, and an access.
fn far(a: &Op, b: &Op, c: &Op, d: &Op) -> Option<Handler<Trust>> {
    type Plus<const IMM: bool> = Alu<{ AluOp::Add as u8 }, true, IMM>;
    let in_one = linked(a, b) == link::OWN && linked(b, c) == link::OWN;
    let copies = matches!(
        a,
        Op::Mov {
            width: Width::W64,
            src: Operand::Reg(_),
            ..
        }
    );
    if !in_one || !copies || !goes_to(c, d) {
        return None;
    }
    let constant = |op: &Op| match op {
        Op::Alu {
            width: Width::W64,
            op: AluOp::Add,
            src,
            ..
        } => Some(register(src).is_none()),
        _ => None,
    };
    type Copy = MovReg<true>;
    match (constant(b)?, constant(c)?) {
        (true, false) => accessing!(d, |M| Some(
            far_access::<Trust, Copy, Plus<true>, Plus<false>, M> as Handler<Trust>
        )),
        (false, true) => accessing!(d, |M| Some(
            far_access::<Trust, Copy, Plus<false>, Plus<true>, M> as Handler<Trust>
        )),
        _ => None,
    }
}

/// Three instructions that compute in one register, or two and an access or a conditional jump.
fn three(a: &Op, b: &Op, c: &Op) -> Option<Handler<Trust>> {
    if linked(a, b) == link::OWN && goes_to(b, c) {
        let fused: Option<Handler<Trust>> =
            nearer!(a, |X| farther!(b, |Y| accessing!(c, |M| Some(
                access::<Trust, X, Y, M> as Handler<Trust>
            ))));
        if fused.is_some() {
            return fused;
        }
    }
    if let Some(fused) = modification(a, b, c) {
        return Some(fused);
    }
    let in_one = linked(a, b) == link::OWN && linked(b, c) == link::OWN;
    if in_one && !matches!(c, Op::Branch { .. }) {
        return start!(a, |X| chain::<X>(b, c));
    }
    counter!(a, |X| counter!(b, |Y| test!(c, |T| Some(
        then_then_branch::<Trust, X, Y, T>
    ))))
}

/// Matches a change of what was loaded.
macro_rules! changing {
    ($op:expr, |$x:ident| $answer:expr) => {
        simple!(@rows $op, $x, $answer,
            Op::Alu { width: Width::W64, op: AluOp::Add, src: Operand::Imm(_), .. } => Alu<{ AluOp::Add as u8 }, true, true>;
            Op::Alu { width: Width::W64, op: AluOp::Add, src: Operand::Reg(_), .. } => Alu<{ AluOp::Add as u8 }, true, false>;
            Op::Alu { width: Width::W64, op: AluOp::Xor, src: Operand::Reg(_), .. } => Alu<{ AluOp::Xor as u8 }, true, false>;
            Op::Alu { width: Width::W64, op: AluOp::Or, src: Operand::Reg(_), .. } => Alu<{ AluOp::Or as u8 }, true, false>;
            Op::Alu { width: Width::W32, op: AluOp::Add, src: Operand::Imm(_), .. } => Alu<{ AluOp::Add as u8 }, false, true>;
            Op::Alu { width: Width::W32, op: AluOp::Add, src: Operand::Reg(_), .. } => Alu<{ AluOp::Add as u8 }, false, false>;
            Op::Alu { width: Width::W32, op: AluOp::Xor, src: Operand::Reg(_), .. } => Alu<{ AluOp::Xor as u8 }, false, false>;
            Op::Alu { width: Width::W32, op: AluOp::Or, src: Operand::Reg(_), .. } => Alu<{ AluOp::Or as u8 }, false, false>;
        )
    };
}

/// A load, a change of what it gave, and a store of that, of the same size.
fn modification(a: &Op, b: &Op, c: &Op) -> Option<Handler<Trust>> {
    let (
        Op::Load {
            size,
            signed: false,
            dst,
            ..
        },
        Op::Store {
            size: stored,
            base,
            src: Operand::Reg(src),
            ..
        },
    ) = (a, c)
    else {
        return None;
    };
    if size != stored || linked(a, b) != link::OWN || src != dst || base == dst {
        return None;
    }
    match size {
        Size::B32 => changing!(b, |Y| Some(
            modify::<Trust, Load<2, false>, Y, Store<2, false>> as Handler<Trust>
        )),
        Size::B64 => changing!(b, |Y| Some(
            modify::<Trust, Load<3, false>, Y, Store<3, false>> as Handler<Trust>
        )),
        _ => None,
    }
}

fn chain<X: Simple>(b: &Op, c: &Op) -> Option<Handler<Trust>> {
    let wide = step!(b, W64, |Y| step!(c, W64, |Z| Some(
        in_one::<Trust, X, Y, Z> as Handler<Trust>
    )));
    wide.or_else(|| {
        step!(b, W32, |Y| step!(c, W32, |Z| Some(
            in_one::<Trust, X, Y, Z> as Handler<Trust>
        )))
    })
}

/// The handler that runs both instructions, when there is one.
fn pair(first: &Op, second: &Op) -> Option<Handler<Trust>> {
    if matches!(second, Op::Jump { .. }) {
        let either: Option<Handler<Trust>> = test!(first, |T| Some(either::<Trust, T>));
        return either.or_else(|| simple!(first, |X| Some(then_goto::<Trust, X>)));
    }
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
        Op::Mov { dst, .. }
        | Op::Alu { dst, .. }
        | Op::Neg { dst, .. }
        | Op::Swap { dst, .. }
        | Op::Load { dst, .. } => *dst,
        _ => return link::NONE,
    };
    let (own, other) = match second {
        Op::Mov { dst, src, .. } | Op::Alu { dst, src, .. } | Op::Branch { dst, src, .. } => {
            (*dst, register(src))
        }
        Op::Swap { dst, .. } | Op::Neg { dst, .. } => (*dst, None),
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

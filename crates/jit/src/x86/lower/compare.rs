//! Comparisons: in which width, with which side in memory, and when none is needed.

use skep_isa::{AluOp, Cond, Size, Width};

use super::{Lower, wide};
use crate::ir::{BinOp, Op, Test, Val};
use crate::x86::mir::{M, Src};

impl Lower<'_> {
    /// The width in which a comparison is done.
    fn width_of(&self, test: &Test) -> Width {
        let both = self.known[test.a.at()] <= 32 && self.known[test.b.at()] <= 32;
        let signed = matches!(test.cond, Cond::Sgt | Cond::Sge | Cond::Slt | Cond::Sle);
        match both && !signed {
            true => Width::W32,
            false => test.width,
        }
    }

    /// A comparison with its sides turned, where that lets a load be a part of it.
    pub(super) fn turned(&self, test: Test, at: usize) -> Test {
        let Test { cond, a, b, .. } = test;
        let width = self.width_of(&test);
        let whole = if wide(width) { Size::B64 } else { Size::B32 };
        let folds = |v: Val| {
            matches!(self.func.op(v), Op::Load { size, .. } if size == whole) && self.movable(v, at)
        };
        if self.imm(b, width).is_some() || !folds(a) || folds(b) {
            return test;
        }
        let cond = match cond {
            Cond::Gt => Cond::Lt,
            Cond::Lt => Cond::Gt,
            Cond::Ge => Cond::Le,
            Cond::Le => Cond::Ge,
            Cond::Sgt => Cond::Slt,
            Cond::Slt => Cond::Sgt,
            Cond::Sge => Cond::Sle,
            Cond::Sle => Cond::Sge,
            Cond::Eq | Cond::Ne => cond,
            // A mask is not compared.
            Cond::Set => return test,
        };
        Test {
            cond,
            width: test.width,
            a: b,
            b: a,
        }
    }

    /// Compares, so that the condition can be asked.
    pub(super) fn compare(&mut self, test: Test, at: usize) {
        let Test { cond, a, b, .. } = test;
        let zero = self.func.constant(b) == Some(0);
        let width = self.width_of(&test);
        let wide = wide(width);
        // A mask with zero is tested without being computed.
        if zero
            && matches!(cond, Cond::Eq | Cond::Ne)
            && self.uses[a.at()] == 1
            && self.homes[a.at()].0 == self.block
            && let Op::Bin {
                op: BinOp::Alu(AluOp::And),
                width: inner,
                a: x,
                b: y,
            } = self.func.op(a)
            && (inner == width || self.known[a.at()] <= 32)
        {
            let b = match self.imm(y, inner) {
                Some(imm) => Src::Imm(imm),
                None => Src::V(self.v(y)),
            };
            let wide = inner == Width::W64;
            let a = self.v(x);
            return self.push(M::Cmp {
                test: true,
                wide,
                a,
                b,
            });
        }
        if zero && cond != Cond::Set {
            let a = self.v(a);
            return self.push(M::Cmp {
                test: true,
                wide,
                a,
                b: Src::V(a),
            });
        }
        let test = cond == Cond::Set;
        let b = match test {
            true => match self.imm(b, width) {
                Some(imm) => Src::Imm(imm),
                None => Src::V(self.v(b)),
            },
            false => self.src(b, width, at),
        };
        let a = self.v(a);
        self.push(M::Cmp { test, wide, a, b });
    }
}

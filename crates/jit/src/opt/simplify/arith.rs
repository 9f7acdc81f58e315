//! How arithmetic becomes simpler: by rules of algebra, and by what is known of operands.

use skep_isa::{AluOp, Cond, Size, Width, meaning};

use super::{Better, Round, constant, low};
use crate::ir::{BinOp, Func, Op, Test, Val, bits};

impl Round {
    pub(super) fn binary(
        &mut self,
        func: &mut Func,
        op: BinOp,
        width: Width,
        a: Val,
        b: Val,
    ) -> Better {
        let BinOp::Alu(op) = op else {
            return Better::Same;
        };
        let bin = |op, a, b| {
            Better::By(Op::Bin {
                op: BinOp::Alu(op),
                width,
                a,
                b,
            })
        };
        let (ca, cb) = (func.constant(a), func.constant(b));
        if let (Some(x), Some(y)) = (ca, cb) {
            return Better::By(Op::Const(meaning::alu(width, op, x, y)));
        }
        let commutes = matches!(
            op,
            AluOp::Add | AluOp::Mul | AluOp::And | AluOp::Or | AluOp::Xor
        );
        if commutes && ca.is_some() {
            return bin(op, b, a);
        }
        if width == Width::W32 {
            let (x, y) = (low(&func.ops, a, 32), low(&func.ops, b, 32));
            if (x, y) != (a, b) {
                return bin(op, x, y);
            }
        }
        if let Some(rotated) = rotation(&func.ops, op, width, a, b) {
            return Better::By(rotated);
        }
        if op == AluOp::Xor
            && let Some(selected) = self.xor_selected(func, width, a, b)
        {
            return Better::By(selected);
        }
        let Some(c) = cb else {
            if a == b && matches!(op, AluOp::Xor | AluOp::Sub) {
                return Better::By(Op::Const(0));
            }
            return Better::Same;
        };
        let c = meaning::mov(width, c);
        // The value itself, as wide as the operation.
        let itself = |this: &Self| match width {
            Width::W32 if this.known(a) > 32 => Better::By(Op::Zext { from: Size::B32, a }),
            _ => Better::Is(a),
        };
        let width_bits = bits(width);
        match (op, c) {
            (AluOp::Add | AluOp::Sub | AluOp::Or | AluOp::Xor, 0) => itself(self),
            (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, c) if c & u64::from(width_bits - 1) == 0 => {
                itself(self)
            }
            (AluOp::Mul | AluOp::Div, 1) => itself(self),
            (AluOp::And | AluOp::Mul, 0) => Better::By(Op::Const(0)),
            (AluOp::And, c) => match lowest_bit(&func.ops, width, a) {
                // All bits or none, masked: the mask or nothing.
                Some(test) => {
                    let t = self.constant(func, c);
                    let f = self.constant(func, 0);
                    Better::By(Op::Select { test, t, f })
                }
                None => self.masked(width, a, c),
            },
            (AluOp::Sub, c) => {
                let minus = match width {
                    Width::W64 => c.wrapping_neg(),
                    Width::W32 => (c as u32).wrapping_neg() as i32 as u64,
                };
                let b = self.constant(func, minus);
                bin(AluOp::Add, a, b)
            }
            (AluOp::Mul, c) if c.is_power_of_two() => {
                let b = self.constant(func, c.trailing_zeros().into());
                bin(AluOp::Lsh, a, b)
            }
            (AluOp::Div, c) if c.is_power_of_two() => {
                let b = self.constant(func, c.trailing_zeros().into());
                bin(AluOp::Rsh, a, b)
            }
            (AluOp::Mod, c) if c.is_power_of_two() => {
                let b = self.constant(func, c - 1);
                bin(AluOp::And, a, b)
            }
            (AluOp::Add, c) => self.sum(func, width, a, c),
            (AluOp::Rsh | AluOp::Arsh, c) => shifted_back(&func.ops, op, width, a, c),
            _ => Better::Same,
        }
    }

    /// `y ^ (test ? c : 0)` as a selection between `y ^ c` and `y`.
    fn xor_selected(&mut self, func: &mut Func, width: Width, a: Val, b: Val) -> Option<Op> {
        for (y, selected) in [(a, b), (b, a)] {
            if let Op::Select { test, t, f } = func.op(selected)
                && self.uses.get(selected.at()) == Some(&1)
                && func.constant(f) == Some(0)
                && func.constant(t).is_some()
                && (width == Width::W64 || self.known(y) <= 32)
            {
                let op = Op::Bin {
                    op: BinOp::Alu(AluOp::Xor),
                    width,
                    a: y,
                    b: t,
                };
                let t = func.push(op);
                self.alias.push(t);
                self.uses.push(1);
                self.known.push(64);
                self.fresh.push(t);
                return Some(Op::Select { test, t, f: y });
            }
        }
        None
    }

    pub(super) fn masked(&self, width: Width, a: Val, mask: u64) -> Better {
        let known = self.known(a);
        let all = if known >= 64 {
            u64::MAX
        } else {
            (1 << known) - 1
        };
        if mask & all == all && (width == Width::W64 || known <= 32) {
            return Better::Is(a);
        }
        let zext = |from| Better::By(Op::Zext { from, a });
        match mask {
            0xff => zext(Size::B8),
            0xffff => zext(Size::B16),
            0xffff_ffff => zext(Size::B32),
            _ => Better::Same,
        }
    }

    fn sum(&mut self, func: &mut Func, width: Width, a: Val, c: u64) -> Better {
        match func.op(a) {
            Op::Frame(o) if width == Width::W64 => match i32::try_from(c as i64) {
                Ok(c) => o
                    .checked_add(c)
                    .map_or(Better::Same, |o| Better::By(Op::Frame(o))),
                Err(_) => Better::Same,
            },
            Op::Bin {
                op: BinOp::Alu(AluOp::Add),
                width: inner,
                a: x,
                b,
            } if inner == width && self.uses.get(a.at()) == Some(&1) => {
                let Some(d) = func.constant(b) else {
                    return Better::Same;
                };
                let sum = match width {
                    Width::W64 => c.wrapping_add(d),
                    Width::W32 => (c as u32).wrapping_add(d as u32) as i32 as u64,
                };
                let b = self.constant(func, sum);
                Better::By(Op::Bin {
                    op: BinOp::Alu(AluOp::Add),
                    width,
                    a: x,
                    b,
                })
            }
            _ => Better::Same,
        }
    }
}

/// For `-(x & 1)`, the test of the bit.
fn lowest_bit(ops: &[Op], width: Width, v: Val) -> Option<Test> {
    let Op::Neg { width: negated, a } = ops[v.at()] else {
        return None;
    };
    match ops[a.at()] {
        Op::Bin {
            op: BinOp::Alu(AluOp::And),
            a,
            b,
            ..
        } if constant(ops, b) == Some(1) && negated == width => Some(Test {
            cond: Cond::Set,
            width,
            a,
            b,
        }),
        _ => None,
    }
}

/// A shift to the left and back again is an extension.
fn shifted_back(ops: &[Op], op: AluOp, width: Width, a: Val, count: u64) -> Better {
    let Op::Bin {
        op: BinOp::Alu(AluOp::Lsh),
        width: inner,
        a: x,
        b,
    } = ops[a.at()]
    else {
        return Better::Same;
    };
    if inner != width || constant(ops, b) != Some(count) {
        return Better::Same;
    }
    let from = match u64::from(bits(width)).saturating_sub(count) {
        8 => Size::B8,
        16 => Size::B16,
        32 => Size::B32,
        _ => return Better::Same,
    };
    Better::By(match op {
        AluOp::Rsh => Op::Zext { from, a: x },
        _ => Op::Sext { from, width, a: x },
    })
}

/// `x << c | x >> (width - c)`
fn rotation(ops: &[Op], op: AluOp, width: Width, a: Val, b: Val) -> Option<Op> {
    if !matches!(op, AluOp::Or | AluOp::Add | AluOp::Xor) {
        return None;
    }
    let part = |v: Val| match ops[low_if(ops, v, width).at()] {
        Op::Bin {
            op: BinOp::Alu(op @ (AluOp::Lsh | AluOp::Rsh)),
            width: w,
            a,
            b,
        } if w == width => Some((
            op,
            low_if(ops, a, width),
            b,
            constant(ops, b)? & u64::from(bits(width) - 1),
        )),
        _ => None,
    };
    let (first, second) = (part(a)?, part(b)?);
    let (left, right) = match (first.0, second.0) {
        (AluOp::Lsh, AluOp::Rsh) => (first, second),
        (AluOp::Rsh, AluOp::Lsh) => (second, first),
        _ => return None,
    };
    let whole = left.3 + right.3 == u64::from(bits(width)) && left.3 != 0;
    (whole && left.1 == right.1).then_some(Op::Bin {
        op: BinOp::Rotl,
        width,
        a: left.1,
        b: left.2,
    })
}

fn low_if(ops: &[Op], v: Val, width: Width) -> Val {
    match width {
        Width::W32 => low(ops, v, 32),
        Width::W64 => v,
    }
}

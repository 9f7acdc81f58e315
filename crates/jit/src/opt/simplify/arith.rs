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
                None => self.masked(func, width, a, c),
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
            (AluOp::Rsh | AluOp::Arsh, c) => match shifted_back(&func.ops, op, width, a, c) {
                Better::Same if op == AluOp::Rsh => self.shifted(func, op, width, a, b),
                better => better,
            },
            (AluOp::Lsh, _) => self.shifted(func, op, width, a, b),
            _ => Better::Same,
        }
    }

    fn masked(&mut self, func: &mut Func, width: Width, a: Val, mask: u64) -> Better {
        let can = self.possible(a);
        if can & !mask == 0 {
            return Better::Is(a);
        }
        if can & mask == 0 {
            return Better::By(Op::Const(0));
        }
        let zext = |from| Better::By(Op::Zext { from, a });
        match mask {
            0xff => return zext(Size::B8),
            0xffff => return zext(Size::B16),
            0xffff_ffff => return zext(Size::B32),
            _ => {}
        }
        let a = match self.seen(&func.ops, a, mask) {
            inner if inner != a => inner,
            _ => return Better::Same,
        };
        let b = self.constant(func, mask);
        let op = BinOp::Alu(AluOp::And);
        Better::By(Op::Bin { op, width, a, b })
    }

    /// A value that is earlier and agrees in all bits of the mask.
    pub(super) fn seen(&self, ops: &[Op], mut v: Val, mask: u64) -> Val {
        let without = |v: Val| self.possible(v) & mask == 0;
        loop {
            v = match ops[v.at()] {
                Op::Zext { from, a } if mask >> (from.bytes() * 8 - 1) <= 1 => a,
                Op::Sext { from, a, .. } if mask >> (from.bytes() * 8 - 1) <= 1 => a,
                Op::Bin {
                    op: BinOp::Alu(AluOp::Xor | AluOp::Or),
                    width,
                    a,
                    b,
                } if width == Width::W64 || mask >> 32 == 0 => match (without(a), without(b)) {
                    (_, true) => a,
                    (true, _) => b,
                    _ => return v,
                },
                Op::Bin {
                    op: BinOp::Alu(AluOp::And),
                    width,
                    a,
                    b,
                } if width == Width::W64 || mask >> 32 == 0 => match constant(ops, b) {
                    Some(c) if mask & !c == 0 => a,
                    _ => return v,
                },
                _ => return v,
            };
        }
    }

    /// A shift of a shift is one, and that of `x ^ (test ? c : 0)` by `n` is
    /// `(x >> n) ^ (test ? c >> n : 0)`: who needs it then waits for one step less.
    fn shifted(&mut self, func: &mut Func, op: AluOp, width: Width, v: Val, n: Val) -> Better {
        let Op::Bin {
            op: BinOp::Alu(before),
            width: inner,
            a: x,
            b: y,
        } = func.op(v)
        else {
            return Better::Same;
        };
        let (true, Some(count)) = (inner == width, func.constant(n)) else {
            return Better::Same;
        };
        let count = count & u64::from(bits(width) - 1);
        if before == op
            && let Some(so_far) = func.constant(y)
        {
            let total = (so_far & u64::from(bits(width) - 1)) + count;
            if total >= bits(width).into() {
                return Better::By(Op::Const(0));
            }
            let (op, b) = (BinOp::Alu(op), self.constant(func, total));
            return Better::By(Op::Bin { op, width, a: x, b });
        }
        let once = |this: &Self, v: Val| this.uses.get(v.at()) == Some(&1);
        if before != AluOp::Xor || !once(self, v) {
            return Better::Same;
        }
        for (x, selected) in [(x, y), (y, x)] {
            if let Op::Select { test, t, f } = func.op(selected)
                && once(self, selected)
                && let (Some(t), Some(f)) = (func.constant(t), func.constant(f))
            {
                let [t, f] = [t, f].map(|c| self.constant(func, meaning::alu(width, op, c, count)));
                let b = self.fresh(func, Op::Select { test, t, f });
                let op = BinOp::Alu(op);
                let a = self.fresh(
                    func,
                    Op::Bin {
                        op,
                        width,
                        a: x,
                        b: n,
                    },
                );
                let op = BinOp::Alu(AluOp::Xor);
                return Better::By(Op::Bin { op, width, a, b });
            }
        }
        Better::Same
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

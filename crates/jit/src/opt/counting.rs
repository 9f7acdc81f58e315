//! Counts of bits, which programs compute in many steps because the instruction set has no
//! instruction for them, become one operation of the machine.

use skep_isa::{AluOp, Size, Width, meaning};

use super::simplify::low;
use crate::ir::{BinOp, Counted, Func, Op, Val, bits};

/// Steps of a parity below which they are as good as counting.
const STEPS: u32 = 4;
/// Steps that are followed: six halve a word, and some may cut.
const ROUNDS: u32 = 12;

/// Finds them; whether there were any.
pub(super) fn count(func: &mut Func) -> bool {
    // Each ends with a product, or with the lowest bit of many that were joined.
    let begins = |op: &Op| {
        let Op::Bin { op, .. } = op else {
            return false;
        };
        matches!(op, BinOp::Alu(AluOp::Mul | AluOp::Xor))
    };
    if !func.ops.iter().any(begins) {
        return false;
    }
    let mut changed = false;
    for at in 0..func.blocks.len() {
        for i in 0..func.blocks[at].insts.len() {
            let v = func.blocks[at].insts[i];
            if let Some((what, width, a)) = counted(&func.ops, v) {
                func.ops[v.at()] = Op::Count { what, width, a };
                changed = true;
            } else if let Some((width, a)) = parity(&func.ops, v)
                && let Op::Bin { b: one, .. } = func.op(v)
            {
                let what = Counted::Ones;
                let all = func.push(Op::Count { what, width, a });
                func.blocks[at].insts.insert(i, all);
                func.ops[v.at()] = Op::Bin {
                    op: BinOp::Alu(AluOp::And),
                    width: Width::W64,
                    a: all,
                    b: one,
                };
                changed = true;
            }
        }
    }
    changed
}

/// The operands of an operation of this kind and width.
fn of(ops: &[Op], v: Val, wanted: AluOp, wide: Width) -> Option<(Val, Val)> {
    match ops[v.at()] {
        Op::Bin {
            op: BinOp::Alu(op),
            width,
            a,
            b,
        } if op == wanted && width == wide => Some((a, b)),
        _ => None,
    }
}

/// The first operand of such an operation whose second one is this constant.
fn with(ops: &[Op], v: Val, wanted: AluOp, width: Width, constant: u64) -> Option<Val> {
    let (a, b) = of(ops, v, wanted, width)?;
    match ops[b.at()] {
        Op::Const(c) if meaning::mov(width, c) == meaning::mov(width, constant) => Some(a),
        _ => None,
    }
}

/// Both operands, in the order in which `fits` takes them.
fn either<T>((a, b): (Val, Val), fits: impl Fn(Val, Val) -> Option<T>) -> Option<T> {
    fits(a, b).or_else(|| fits(b, a))
}

/// What a value counts, if it does.
fn counted(ops: &[Op], v: Val) -> Option<(Counted, Width, Val)> {
    let Op::Bin {
        op: BinOp::Alu(AluOp::Rsh),
        width,
        ..
    } = ops[v.at()]
    else {
        return None;
    };
    let x = ones(ops, v, width)?;
    let zeros = trailing(ops, x, width)
        .map(|a| (Counted::Trailing, width, a))
        .or_else(|| leading(ops, x, width).map(|a| (Counted::Leading, width, a)));
    Some(zeros.unwrap_or((Counted::Ones, width, x)))
}

/// The value whose ones are counted: pairs are added, then fours, then bytes.
fn ones(ops: &[Op], v: Val, width: Width) -> Option<Val> {
    use AluOp::{Add, And, Mul, Rsh, Sub};
    let fill = |byte: u64| byte * (u64::MAX / 0xff);
    let product = with(ops, v, Rsh, width, u64::from(bits(width)) - 8)?;
    let bytes = with(ops, product, Mul, width, fill(0x01))?;
    let sum = with(ops, bytes, And, width, fill(0x0f))?;
    let fours = either(of(ops, sum, Add, width)?, |a, b| {
        (with(ops, b, Rsh, width, 4)? == a).then_some(a)
    })?;
    let pairs = either(of(ops, fours, Add, width)?, |a, b| {
        let pairs = with(ops, a, And, width, fill(0x33))?;
        let upper = with(ops, b, And, width, fill(0x33))?;
        (with(ops, upper, Rsh, width, 2)? == pairs).then_some(pairs)
    })?;
    let (x, upper) = of(ops, pairs, Sub, width)?;
    let upper = with(ops, upper, And, width, fill(0x55))?;
    (with(ops, upper, Rsh, width, 1)? == x).then_some(x)
}

/// `x & (x - 1 ^ -1)` in either form: a one for each zero below the lowest one.
fn trailing(ops: &[Op], v: Val, width: Width) -> Option<Val> {
    use AluOp::{Add, And, Xor};
    let apart = || {
        either(of(ops, v, And, width)?, |a, b| {
            let x = with(ops, a, Xor, width, u64::MAX)?;
            (with(ops, b, Add, width, u64::MAX)? == x).then_some(x)
        })
    };
    let lowest = || {
        let lowest = with(ops, v, Add, width, u64::MAX)?;
        either(of(ops, lowest, And, width)?, |x, b| match ops[b.at()] {
            Op::Neg { width: negated, a } if negated == width && a == x => Some(x),
            _ => None,
        })
    };
    apart().or_else(lowest)
}

/// The zeros above the highest one, as ones: every bit is joined with all above it.
fn leading(ops: &[Op], v: Val, width: Width) -> Option<Val> {
    let mut v = with(ops, v, AluOp::Xor, width, u64::MAX)?;
    let mut distance = u64::from(bits(width)) / 2;
    while distance > 0 {
        v = either(of(ops, v, AluOp::Or, width)?, |a, b| {
            (with(ops, b, AluOp::Rsh, width, distance)? == a).then_some(a)
        })?;
        distance /= 2;
    }
    Some(v)
}

/// The value the parity of whose bits this is.
///
/// The lowest bit of `x ^ x >> k` is that of two bits of `x` together, and so on: which bits of a
/// value are asked for is followed to its beginning.
fn parity(ops: &[Op], v: Val) -> Option<(Width, Val)> {
    let (mut v, mut asked) = match ops[v.at()] {
        Op::Bin {
            op: BinOp::Alu(AluOp::And),
            a,
            b,
            ..
        } if ops[b.at()] == Op::Const(1) => (a, 1u64),
        _ => return None,
    };
    let all = |width| meaning::mov(width, u64::MAX);
    let mut steps = 0;
    for _ in 0..ROUNDS {
        let (next, now) = match ops[v.at()] {
            Op::Zext { from, a } => (a, asked & meaning::truncate(from, u64::MAX)),
            Op::Bin {
                op: BinOp::Alu(AluOp::Xor),
                width,
                a,
                b,
            } => {
                let asked = asked & all(width);
                let same = |a: Val, b: Val| match width {
                    Width::W64 => a == b,
                    Width::W32 => low(ops, a, 32) == low(ops, b, 32),
                };
                let joined = either((a, b), |x, shifted| {
                    let Op::Bin {
                        op: BinOp::Alu(AluOp::Rsh),
                        width: moved,
                        a: before,
                        b: by,
                    } = ops[shifted.at()]
                    else {
                        return None;
                    };
                    let Op::Const(by) = ops[by.at()] else {
                        return None;
                    };
                    let by = by & u64::from(bits(moved) - 1);
                    // The longer of both has the bits that the shift brings down.
                    let whole = if moved == Width::W64 { before } else { x };
                    let fits = if moved == Width::W64 && width == Width::W32 {
                        low(ops, x, 32) == low(ops, before, 32)
                    } else {
                        same(x, before)
                    };
                    fits.then_some((whole, asked ^ (asked << by & all(moved))))
                });
                match joined {
                    Some(joined) => {
                        steps += 1;
                        joined
                    }
                    None => break,
                }
            }
            _ => break,
        };
        (v, asked) = (next, now);
    }
    let width = [Width::W64, Width::W32].into_iter();
    let width = width.into_iter().find(|width| all(*width) == asked)?;
    (steps >= STEPS).then_some((width, low_if(ops, v, width)))
}

/// A value of 32 bits may be one before its upper half was taken away.
fn low_if(ops: &[Op], v: Val, width: Width) -> Val {
    match width {
        Width::W32 => low(ops, v, Size::B32.bytes() * 8),
        Width::W64 => v,
    }
}

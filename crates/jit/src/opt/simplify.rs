//! Values that are known, equal to others, or cheaper to have in another way.

use skep_isa::{AluOp, Cond, Size, SwapKind, Width, meaning};

use crate::ir::{BinOp, Block, Func, Op, Term, Test, Val, bits};

/// What becomes of a value.
enum Better {
    /// Nothing.
    Same,
    /// It is this other value.
    Is(Val),
    /// It is computed in this way.
    By(Op),
}

impl Better {
    /// A phi that was left as it is may still be equal to another one of its block.
    fn or_twin(self, func: &Func, v: Val, kept: &[Val], round: &Round) -> Better {
        if !matches!((&self, func.op(v)), (Better::Same, Op::Phi)) {
            return self;
        }
        let operands = |phi: Val| func.phis[phi.at()].iter().map(|o| round.find(*o));
        let equal = |a: Val, b: Val| {
            a == b || (func.constant(a).is_some() && func.constant(a) == func.constant(b))
        };
        let twin = |other: &&Val| {
            let mut pairs = operands(**other).zip(operands(v));
            func.op(**other) == Op::Phi && pairs.all(|(a, b)| equal(a, b))
        };
        kept.iter()
            .find(twin)
            .map_or(Better::Same, |twin| Better::Is(*twin))
    }
}

/// One round over all instructions; whether anything changed. `known` tells how many bits of
/// each value count, which stays true whatever a value is replaced by.
pub(crate) fn simplify(func: &mut Func, known: &mut Vec<u8>) -> bool {
    let mut round = Round {
        alias: (0..func.ops.len() as u32).map(Val).collect(),
        uses: use_counts(func),
        known: std::mem::take(known),
        fresh: Vec::new(),
        changed: false,
    };
    for block in func.reverse_post_order() {
        let insts = std::mem::take(&mut func.blocks[block.at()].insts);
        let mut kept = Vec::with_capacity(insts.len());
        for v in insts {
            let mut op = func.ops[v.at()];
            op.visit(&mut |operand| *operand = round.find(*operand));
            func.ops[v.at()] = op;
            // A better form may have a better one still.
            for _ in 0..4 {
                match round.better(func, v).or_twin(func, v, &kept, &round) {
                    Better::Same => break,
                    Better::Is(other) => {
                        round.alias[v.at()] = other;
                        round.changed = true;
                        break;
                    }
                    Better::By(op) => {
                        func.ops[v.at()] = op;
                        round.changed = true;
                    }
                }
            }
            kept.append(&mut round.fresh);
            if round.find(v) == v {
                kept.push(v);
            }
        }
        let body = &mut func.blocks[block.at()];
        body.insts = kept;
        body.term
            .visit(&mut |operand| *operand = round.find(*operand));
        let better = match &mut body.term {
            Term::Branch { test, then, other } => {
                let (then, other) = (*then, *other);
                round.test(&func.ops, test);
                known_test(&func.ops, test)
                    .map(|holds| if holds { (then, other) } else { (other, then) })
            }
            _ => None,
        };
        if let Some((taken, not)) = better {
            func.blocks[block.at()].term = Term::Jump(taken);
            forget_edge(func, block, not);
            round.changed = true;
        }
    }
    // Operands of phis may come from blocks that were looked at later.
    for phi in &mut func.phis {
        for operand in phi {
            *operand = round.find(*operand);
        }
    }
    *known = round.known;
    round.changed | unreachable(func)
}

/// Removes blocks that nothing leads to any more.
fn unreachable(func: &mut Func) -> bool {
    let mut reached = vec![false; func.blocks.len()];
    for block in func.reverse_post_order() {
        reached[block.at()] = true;
    }
    let mut changed = false;
    for (i, reached) in reached.iter().enumerate() {
        if *reached || func.blocks[i].term == Term::Dead {
            continue;
        }
        for to in func.blocks[i].term.successors().into_iter().flatten() {
            forget_edge(func, Block(i as u32), to);
        }
        func.blocks[i].term = Term::Dead;
        func.blocks[i].insts.clear();
        changed = true;
    }
    changed
}

/// Takes a predecessor away from a block, and its operands from the phis there.
pub(super) fn forget_edge(func: &mut Func, from: Block, to: Block) {
    let preds = &mut func.blocks[to.at()].preds;
    let Some(at) = preds.iter().position(|p| *p == from) else {
        return;
    };
    preds.remove(at);
    for &v in &func.blocks[to.at()].insts {
        if func.ops[v.at()] == Op::Phi {
            func.phis[v.at()].remove(at);
        }
    }
}

/// How often each value is used.
pub(crate) fn use_counts(func: &mut Func) -> Vec<u32> {
    let mut uses = vec![0u32; func.ops.len()];
    for body in &mut func.blocks {
        for v in &body.insts {
            func.ops[v.at()].visit(&mut |operand| uses[operand.at()] += 1);
            if func.ops[v.at()] == Op::Phi {
                func.phis[v.at()]
                    .iter()
                    .for_each(|operand| uses[operand.at()] += 1);
            }
        }
        body.term.visit(&mut |operand| uses[operand.at()] += 1);
    }
    uses
}

fn constant(ops: &[Op], v: Val) -> Option<u64> {
    match ops[v.at()] {
        Op::Const(c) => Some(c),
        _ => None,
    }
}

fn known_test(ops: &[Op], test: &Test) -> Option<bool> {
    let (a, b) = (constant(ops, test.a)?, constant(ops, test.b)?);
    Some(meaning::jump_taken(test.width, test.cond, a, b))
}

struct Round {
    alias: Vec<Val>,
    uses: Vec<u32>,
    known: Vec<u8>,
    /// Instructions to put before the one that is looked at.
    fresh: Vec<Val>,
    changed: bool,
}

impl Round {
    fn find(&self, mut v: Val) -> Val {
        while self.alias.get(v.at()).is_some_and(|to| *to != v) {
            v = self.alias[v.at()];
        }
        v
    }

    fn known(&self, v: Val) -> u8 {
        self.known.get(v.at()).copied().unwrap_or(64)
    }

    fn constant(&mut self, func: &mut Func, value: u64) -> Val {
        let v = func.push(Op::Const(value));
        self.alias.push(v);
        self.uses.push(1);
        self.known.push(64 - value.leading_zeros() as u8);
        self.fresh.push(v);
        v
    }

    /// The constant of a comparison goes to the right.
    fn test(&self, ops: &[Op], test: &mut Test) {
        if constant(ops, test.a).is_some() && constant(ops, test.b).is_none() {
            std::mem::swap(&mut test.a, &mut test.b);
            test.cond = swapped(test.cond);
        }
        if test.width == Width::W32 {
            test.a = low(ops, test.a, 32);
            test.b = low(ops, test.b, 32);
        }
    }

    fn better(&mut self, func: &mut Func, v: Val) -> Better {
        match func.op(v) {
            Op::Phi => {
                let mut operands = func.phis[v.at()].iter().map(|o| self.find(*o));
                let mut only = None;
                for operand in operands.by_ref().filter(|o| *o != v) {
                    match only {
                        None => only = Some(operand),
                        Some(before) if before == operand => {}
                        Some(_) => return Better::Same,
                    }
                }
                only.map_or(Better::Same, Better::Is)
            }
            Op::Bin { op, width, a, b } => self.binary(func, op, width, a, b),
            Op::Neg { width, a } => match func.constant(a) {
                Some(c) => Better::By(Op::Const(meaning::neg(width, c))),
                None => Better::Same,
            },
            Op::Zext { from, a } => self.zext(func, from, a),
            Op::Sext { from, width, a } => {
                if let Some(c) = func.constant(a) {
                    return Better::By(Op::Const(meaning::mov_sx(width, from, c)));
                }
                if u32::from(self.known(a)) < from.bytes() * 8 {
                    return Better::Is(a);
                }
                let inner = low(&func.ops, a, from.bytes() * 8);
                if inner != a {
                    return Better::By(Op::Sext {
                        from,
                        width,
                        a: inner,
                    });
                }
                Better::Same
            }
            Op::Swap { size, a } => match func.constant(a) {
                Some(c) => Better::By(Op::Const(meaning::swap(SwapKind::Always, size, c))),
                None => match low(&func.ops, a, size.bytes() * 8) {
                    inner if inner != a => Better::By(Op::Swap { size, a: inner }),
                    _ => Better::Same,
                },
            },
            Op::Select { mut test, t, f } => {
                if t == f {
                    return Better::Is(t);
                }
                let before = test;
                self.test(&func.ops, &mut test);
                match known_test(&func.ops, &test) {
                    Some(true) => Better::Is(t),
                    Some(false) => Better::Is(f),
                    None if test != before => Better::By(Op::Select { test, t, f }),
                    None => Better::Same,
                }
            }
            Op::Store {
                size,
                addr,
                off,
                value,
            } => {
                let value = low(&func.ops, value, size.bytes() * 8);
                let (addr, off) = self.address(func, addr, off);
                let op = Op::Store {
                    size,
                    addr,
                    off,
                    value,
                };
                if op == func.op(v) {
                    Better::Same
                } else {
                    Better::By(op)
                }
            }
            Op::Load {
                size,
                signed,
                addr,
                off,
            } => {
                let (addr, off) = self.address(func, addr, off);
                let op = Op::Load {
                    size,
                    signed,
                    addr,
                    off,
                };
                if op == func.op(v) {
                    Better::Same
                } else {
                    Better::By(op)
                }
            }
            _ => Better::Same,
        }
    }

    /// Moves the constant part of an address on the frame into the offset.
    fn address(&mut self, func: &mut Func, addr: Val, off: i32) -> (Val, i32) {
        match func.op(addr) {
            Op::Frame(o) if o != 0 => match o.checked_add(off) {
                Some(off) => {
                    let base = func.push(Op::Frame(0));
                    self.alias.push(base);
                    self.uses.push(1);
                    self.known.push(64);
                    self.fresh.push(base);
                    (base, off)
                }
                None => (addr, off),
            },
            _ => (addr, off),
        }
    }

    fn zext(&mut self, func: &mut Func, from: Size, a: Val) -> Better {
        let width = from.bytes() * 8;
        if let Some(c) = func.constant(a) {
            return Better::By(Op::Const(meaning::truncate(from, c)));
        }
        if u32::from(self.known(a)) <= width {
            return Better::Is(a);
        }
        match low(&func.ops, a, width) {
            inner if inner != a => Better::By(Op::Zext { from, a: inner }),
            _ => Better::Same,
        }
    }

    fn binary(&mut self, func: &mut Func, op: BinOp, width: Width, a: Val, b: Val) -> Better {
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

    fn masked(&self, width: Width, a: Val, mask: u64) -> Better {
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

/// A value with the same low `width` bits that is earlier.
pub(crate) fn low(ops: &[Op], mut v: Val, width: u32) -> Val {
    loop {
        v = match ops[v.at()] {
            Op::Zext { from, a } if from.bytes() * 8 >= width => a,
            Op::Sext { from, a, .. } if from.bytes() * 8 >= width => a,
            _ => return v,
        };
    }
}

/// The condition with its operands in the other order.
fn swapped(cond: Cond) -> Cond {
    match cond {
        Cond::Gt => Cond::Lt,
        Cond::Ge => Cond::Le,
        Cond::Lt => Cond::Gt,
        Cond::Le => Cond::Ge,
        Cond::Sgt => Cond::Slt,
        Cond::Sge => Cond::Sle,
        Cond::Slt => Cond::Sgt,
        Cond::Sle => Cond::Sge,
        Cond::Eq | Cond::Ne | Cond::Set => cond,
    }
}

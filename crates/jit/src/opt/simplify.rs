//! Values that are known, equal to others, or cheaper to have in another way.

mod arith;

use skep_isa::{AluOp, Cond, Size, SwapKind, Width, meaning};

use super::bits::length;
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
            func.op(**other).is_phi() && pairs.all(|(a, b)| equal(a, b))
        };
        kept.iter()
            .find(twin)
            .map_or(Better::Same, |twin| Better::Is(*twin))
    }
}

/// One round over all instructions; whether anything changed. What is known of the bits of a
/// value stays true whatever it is replaced by. `uses` are those of all values.
pub(crate) fn simplify(func: &mut Func, uses: Vec<u32>) -> bool {
    let mut round = Round {
        alias: (0..func.ops.len() as u32).map(Val).collect(),
        uses,
        known: std::mem::take(&mut func.known),
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
        let mut term = func.blocks[block.at()].term;
        term.visit(&mut |operand| *operand = round.find(*operand));
        let better = match &mut term {
            Term::Branch { test, then, other } => {
                let (then, other) = (*then, *other);
                round.test(func, test);
                kept.append(&mut round.fresh);
                known_test(&func.ops, test)
                    .map(|holds| if holds { (then, other) } else { (other, then) })
            }
            _ => None,
        };
        let body = &mut func.blocks[block.at()];
        (body.insts, body.term) = (kept, term);
        if let Some((taken, not)) = better {
            func.blocks[block.at()].term = Term::Jump(taken);
            forget_edge(func, block, not);
            round.changed = true;
        }
    }
    // Operands of phis may come from blocks that were looked at later.
    for operand in func.phis.operands_mut() {
        *operand = round.find(*operand);
    }
    func.known = round.known;
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
        if func.ops[v.at()].is_phi() {
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
            if func.ops[v.at()].is_phi() {
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
    known: Vec<u64>,
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

    /// Which bits of a value can be set.
    fn possible(&self, v: Val) -> u64 {
        self.known.get(v.at()).copied().unwrap_or(u64::MAX)
    }

    /// How many bits of a value count.
    fn known(&self, v: Val) -> u8 {
        length(self.possible(v))
    }

    /// A new value, which is used once.
    fn fresh(&mut self, func: &mut Func, op: Op) -> Val {
        let v = func.push(op);
        self.alias.push(v);
        self.uses.push(1);
        self.known.push(u64::MAX);
        self.fresh.push(v);
        v
    }

    fn constant(&mut self, func: &mut Func, value: u64) -> Val {
        let v = self.fresh(func, Op::Const(value));
        self.known[v.at()] = value;
        v
    }

    /// The constant of a comparison goes to the right, and bits are asked of what has them first.
    fn test(&mut self, func: &mut Func, test: &mut Test) {
        let ops = &func.ops;
        if constant(ops, test.a).is_some() && constant(ops, test.b).is_none() {
            std::mem::swap(&mut test.a, &mut test.b);
            test.cond = swapped(test.cond);
        }
        if test.width == Width::W32 {
            test.a = low(ops, test.a, 32);
            test.b = low(ops, test.b, 32);
        }
        if test.cond == Cond::Set
            && let Some(mask) = constant(ops, test.b)
        {
            self.bits_of(func, test, meaning::mov(test.width, mask));
        }
    }

    /// Whether one of some bits is set: of an earlier value, and of one before a shift.
    fn bits_of(&mut self, func: &mut Func, test: &mut Test, mut mask: u64) {
        let all = meaning::mov(test.width, u64::MAX);
        let asked = mask;
        loop {
            test.a = self.seen(&func.ops, test.a, mask);
            let Op::Bin {
                op: BinOp::Alu(AluOp::Rsh),
                width,
                a,
                b,
            } = func.op(test.a)
            else {
                break;
            };
            let Some(count) = func.constant(b).map(|c| c & u64::from(bits(width) - 1)) else {
                break;
            };
            // What would come from above the width is zero.
            let before = mask << count & all;
            let whole = mask << count >> count == mask;
            let short = test.width == Width::W32 || before >> 31 == 0;
            if width != test.width || !whole || !short || before == 0 {
                break;
            }
            (mask, test.a) = (before, a);
        }
        if mask != asked {
            test.b = self.constant(func, mask);
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
            Op::Count { what, width, a } => match func.constant(a) {
                Some(c) => Better::By(Op::Const(what.of(width, c))),
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
                self.test(func, &mut test);
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
                faults,
            } => {
                let value = low(&func.ops, value, size.bytes() * 8);
                let (addr, off) = self.address(func, addr, off);
                let op = Op::Store {
                    size,
                    addr,
                    off,
                    value,
                    faults,
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
                    let base = self.fresh(func, Op::Frame(0));
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
        match self.seen(&func.ops, a, meaning::truncate(from, u64::MAX)) {
            inner if inner != a => Better::By(Op::Zext { from, a: inner }),
            _ => Better::Same,
        }
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

//! The order of instructions in blocks that have more values at once than there are registers:
//! what is computed is then used soon.
//!
//! A block is put together from its end. Of the instructions whose users are all placed comes
//! next the one that leaves the fewest values alive before it, and among equals the one that
//! became possible last, so that one thing is followed to its beginning before another is
//! begun. The machine finds what can be done side by side by itself.

use crate::ir::{Func, Op, Val};

/// Values that may be alive at once without one being in memory.
const REGISTERS: usize = 13;

/// Orders what is worth it.
pub(super) fn schedule(func: &mut Func) {
    if func.blocks.iter().all(|b| b.insts.len() <= REGISTERS) {
        return;
    }
    let mut home = vec![u32::MAX; func.ops.len()];
    for (i, body) in func.blocks.iter().enumerate() {
        body.insts.iter().for_each(|v| home[v.at()] = i as u32);
    }
    let outside = used_outside(func, &home);
    let mut index = vec![NONE; func.ops.len()];
    for i in 0..func.blocks.len() {
        // No more than there are can be alive.
        if func.blocks[i].insts.len() <= REGISTERS {
            continue;
        }
        let keeps =
            |v: Val| outside[v.at()] || (home[v.at()] != i as u32 && func.blocks[i].depth > 0);
        let shape = Shape::of(func, i, &keeps, &mut index);
        if shape.pressure() > REGISTERS {
            func.blocks[i].insts = shape.order(&func.blocks[i].insts);
        }
    }
}

/// What is used by other blocks than its own, or by phis.
fn used_outside(func: &mut Func, home: &[u32]) -> Vec<bool> {
    let mut outside = vec![false; func.ops.len()];
    for i in 0..func.blocks.len() {
        let elsewhere = |o: Val| home[o.at()] != i as u32;
        for &v in &func.blocks[i].insts {
            func.ops[v.at()].visit(&mut |o| outside[o.at()] |= elsewhere(*o));
            if func.ops[v.at()].is_phi() {
                let operands = &func.phis[v.at()];
                operands.iter().for_each(|o| outside[o.at()] = true);
            }
        }
        let mut term = func.blocks[i].term;
        term.visit(&mut |o| outside[o.at()] |= elsewhere(*o));
    }
    outside
}

/// Whether a value has a register while it is alive.
fn counts(op: &Op) -> bool {
    !matches!(op, Op::Const(_) | Op::Map { .. } | Op::Frame(_))
}

const NONE: u32 = u32::MAX;

/// Lists of numbers, one for each of so many.
struct Lists {
    ends: Vec<u32>,
    all: Vec<u32>,
}

impl Lists {
    fn of(&self, at: u32) -> &[u32] {
        let start = at
            .checked_sub(1)
            .map_or(0, |before| self.ends[before as usize]);
        &self.all[start as usize..self.ends[at as usize] as usize]
    }

    /// For each number the lists that it is in.
    fn turned(&self, numbers: usize) -> Lists {
        let mut ends = vec![0u32; numbers];
        self.all.iter().for_each(|o| ends[*o as usize] += 1);
        let mut so_far = 0;
        for end in &mut ends {
            so_far += *end;
            *end = so_far - *end;
        }
        let mut all = vec![0; self.all.len()];
        for list in 0..self.ends.len() as u32 {
            for o in self.of(list) {
                let end = &mut ends[*o as usize];
                all[*end as usize] = list;
                *end += 1;
            }
        }
        Lists { ends, all }
    }
}

/// A block as numbers: its instructions are the first ones, and the values that it takes from
/// elsewhere follow.
struct Shape {
    /// The first instruction that may be moved.
    first: u32,
    /// For each instruction the values with registers that it takes, each once.
    takes: Lists,
    /// For each instruction those that must come before it.
    before: Lists,
    /// Values that are alive where the block ends.
    kept: Vec<bool>,
    /// Whether the instruction gives a value that has a register.
    gives: Vec<bool>,
}

impl Shape {
    fn of(func: &Func, block: usize, keeps: &impl Fn(Val) -> bool, index: &mut [u32]) -> Shape {
        let body = &func.blocks[block];
        let insts = &body.insts;
        let fixed = |v: &Val| matches!(func.ops[v.at()], Op::Phi | Op::Param(_));
        let first = insts.iter().position(|v| !fixed(v)).unwrap_or(insts.len());
        for (at, v) in insts.iter().enumerate() {
            index[v.at()] = at as u32;
        }
        let mut kept: Vec<bool> = insts.iter().map(|v| keeps(*v)).collect();
        let gives = insts.iter().map(|v| counts(&func.ops[v.at()])).collect();
        let mut others: Vec<Val> = Vec::new();
        let lists = || Lists {
            ends: Vec::with_capacity(insts.len()),
            all: Vec::with_capacity(2 * insts.len()),
        };
        let (mut takes, mut before) = (lists(), lists());
        let mut number = |v: Val, kept: &mut Vec<bool>| {
            if index[v.at()] == NONE {
                index[v.at()] = kept.len() as u32;
                kept.push(keeps(v));
                others.push(v);
            }
            index[v.at()]
        };
        let (mut last_effect, mut loads) = (None, Vec::new());
        for (at, &v) in insts.iter().enumerate() {
            let start = takes.all.len();
            let mut op = func.op(v);
            if at >= first {
                op.visit(&mut |o| {
                    let counts = counts(&func.ops[o.at()]);
                    let o = number(*o, &mut kept);
                    if (first as u32..insts.len() as u32).contains(&o) {
                        before.all.push(o);
                    }
                    if counts && !takes.all[start..].contains(&o) {
                        takes.all.push(o);
                    }
                });
                let effect = op.clobbers();
                let reads = matches!(op, Op::Load { .. } | Op::Probe { .. });
                if effect || reads {
                    before.all.extend(last_effect);
                }
                if effect {
                    before.all.append(&mut loads);
                    last_effect = Some(at as u32);
                } else if reads {
                    loads.push(at as u32);
                }
            }
            takes.ends.push(takes.all.len() as u32);
            before.ends.push(before.all.len() as u32);
        }
        let mut term = body.term;
        term.visit(&mut |o| {
            if counts(&func.ops[o.at()]) {
                let o = number(*o, &mut kept);
                kept[o as usize] = true;
            }
        });
        insts
            .iter()
            .chain(&others)
            .for_each(|v| index[v.at()] = NONE);
        Shape {
            first: first as u32,
            takes,
            before,
            kept,
            gives,
        }
    }

    fn len(&self) -> u32 {
        self.gives.len() as u32
    }

    /// How many values are alive where the block ends.
    fn at_end(&self) -> usize {
        let elsewhere = |at: usize| at >= self.gives.len();
        let counted = |(at, kept): (usize, &bool)| *kept && (elsewhere(at) || self.gives[at]);
        self.kept
            .iter()
            .enumerate()
            .filter(|one| counted(*one))
            .count()
    }

    /// The most values that are alive at once.
    fn pressure(&self) -> usize {
        let mut live = self.kept.clone();
        let mut now = self.at_end();
        let mut most = now;
        for at in (self.first..self.len()).rev() {
            if std::mem::replace(&mut live[at as usize], false) && self.gives[at as usize] {
                now -= 1;
            }
            for o in self.takes.of(at) {
                now += usize::from(!std::mem::replace(&mut live[*o as usize], true));
            }
            most = most.max(now);
        }
        most
    }

    /// The instructions in their new order.
    fn order(&self, insts: &[Val]) -> Vec<Val> {
        let users = self.takes.turned(self.kept.len());
        let mut live = self.kept.clone();
        let mut after = vec![0u32; insts.len()];
        self.before.all.iter().for_each(|b| after[*b as usize] += 1);
        // How many values more each leaves alive. What is used is alive when its turn comes.
        let mut growth: Vec<i8> = vec![0; insts.len()];
        let mut ready = Ready::default();
        for at in self.first..self.len() {
            let new = self.takes.of(at).iter().filter(|o| !live[**o as usize]);
            let gives = self.gives[at as usize];
            let ends = gives && (live[at as usize] || !users.of(at).is_empty());
            growth[at as usize] = new.count() as i8 - i8::from(ends || !gives);
            if after[at as usize] == 0 {
                ready.push(at, growth[at as usize]);
            }
        }
        let mut placed = vec![false; insts.len()];
        let mut out: Vec<Val> = Vec::with_capacity(insts.len());
        while let Some(at) = ready.pop(&placed, &growth) {
            placed[at as usize] = true;
            out.push(insts[at as usize]);
            for &o in self.takes.of(at) {
                if std::mem::replace(&mut live[o as usize], true) {
                    continue;
                }
                // Others that take what is alive now cost less.
                for &user in users.of(o) {
                    growth[user as usize] -= 1;
                    if after[user as usize] == 0 && !placed[user as usize] {
                        ready.push(user, growth[user as usize]);
                    }
                }
            }
            for &b in self.before.of(at) {
                after[b as usize] -= 1;
                if after[b as usize] == 0 {
                    ready.push(b, growth[b as usize]);
                }
            }
        }
        out.extend(insts[..self.first as usize].iter().rev());
        out.reverse();
        out
    }
}

/// Instructions that wait for nothing any more, by how many values each leaves alive beyond
/// those that are.
#[derive(Default)]
struct Ready {
    stacks: [Vec<u32>; 8],
}

/// Which of the stacks an instruction is in; none takes more than a few values.
fn stack(growth: i8) -> usize {
    (growth + 1).clamp(0, 7) as usize
}

impl Ready {
    fn push(&mut self, at: u32, growth: i8) {
        self.stacks[stack(growth)].push(at);
    }

    /// The best one, without those that were placed since, or that lie in a better stack now.
    fn pop(&mut self, placed: &[bool], growth: &[i8]) -> Option<u32> {
        for (number, one) in self.stacks.iter_mut().enumerate() {
            while let Some(at) = one.pop() {
                if !placed[at as usize] && stack(growth[at as usize]) == number {
                    return Some(at);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{BinOp, Block, Body, Phis, Term};
    use skep_isa::{AluOp, Size, Width};

    fn block() -> Body {
        Body {
            insts: Vec::new(),
            term: Term::Jump(Block(1)),
            preds: Vec::new(),
            depth: 0,
        }
    }

    /// Many loads whose sums are made long after them: then there are few values at once, and
    /// no load has passed a store.
    #[test]
    fn what_is_loaded_is_used_soon() {
        let mut func = Func {
            ops: Vec::new(),
            phis: Phis::default(),
            blocks: vec![block(), block()],
            frame: 0,
            origins: Vec::new(),
            origin: 0,
            known: Vec::new(),
        };
        let push = |func: &mut Func, op| {
            let v = func.push(op);
            func.blocks[1].insts.push(v);
            v
        };
        let addr = func.push(Op::Param(0));
        func.blocks[0].insts.push(addr);
        let load = |off| Op::Load {
            size: Size::B64,
            signed: false,
            addr,
            off,
        };
        let before: Vec<Val> = (0..20).map(|n| push(&mut func, load(8 * n))).collect();
        let store = Op::Store {
            size: Size::B64,
            addr,
            off: 0,
            value: before[0],
            faults: false,
        };
        let store = push(&mut func, store);
        let after: Vec<Val> = (0..20).map(|n| push(&mut func, load(8 * n))).collect();
        let mut sum = before[0];
        for v in before.iter().skip(1).chain(&after) {
            let (op, width) = (BinOp::Alu(AluOp::Add), Width::W64);
            let (a, b) = (sum, *v);
            sum = push(&mut func, Op::Bin { op, width, a, b });
        }
        func.blocks[1].term = Term::Return(sum);
        let insts = func.blocks[1].insts.clone();
        let most = |func: &Func| {
            let mut index = vec![NONE; func.ops.len()];
            Shape::of(func, 1, &|_| false, &mut index).pressure()
        };
        assert!(most(&func) > 20);
        schedule(&mut func);
        assert!(most(&func) < 5);
        let now = &func.blocks[1].insts;
        let place = |v: Val| now.iter().position(|o| *o == v);
        assert!(before.iter().all(|v| place(*v) < place(store)));
        assert!(after.iter().all(|v| place(*v) > place(store)));
        let (mut then, mut now) = (insts, now.clone());
        then.sort_unstable();
        now.sort_unstable();
        assert_eq!(then, now);
    }
}

//! The order of instructions in blocks that have more values at once than there are registers:
//! what is computed is then used soon.
//!
//! A block is put together from its end. Of the instructions whose users are all placed comes
//! next the one that leaves the fewest values alive before it, and among equals the one that
//! became possible last, so that one thing is followed to its beginning before another is
//! begun. The machine finds what can be done side by side by itself.

use crate::ir::{Func, Op, Val};

/// Values that may be alive at once without one being in memory.
const REGISTERS: u32 = 13;

/// Orders what is worth it.
pub(super) fn schedule(func: &mut Func) {
    let mut home = vec![u32::MAX; func.ops.len()];
    for (i, body) in func.blocks.iter().enumerate() {
        body.insts.iter().for_each(|v| home[v.at()] = i as u32);
    }
    let outside = used_outside(func, &home);
    let mut s = Scratch {
        live: vec![false; func.ops.len()],
        index: vec![u32::MAX; func.ops.len()],
    };
    for i in 0..func.blocks.len() {
        let keeps = |func: &Func, v: Val| {
            outside[v.at()] || (home[v.at()] != i as u32 && func.blocks[i].depth > 0)
        };
        if pressure(func, i, &keeps, &mut s) > REGISTERS {
            let insts = order(func, i, &keeps, &mut s);
            func.blocks[i].insts = insts;
        }
    }
}

/// What is used by other blocks than its own, or by phis.
fn used_outside(func: &mut Func, home: &[u32]) -> Vec<bool> {
    let mut outside = vec![false; func.ops.len()];
    for i in 0..func.blocks.len() {
        let mut mark = |o: &mut Val| outside[o.at()] |= home[o.at()] != i as u32;
        for &v in &func.blocks[i].insts {
            func.ops[v.at()].visit(&mut mark);
        }
        func.blocks[i].term.visit(&mut mark);
        for &v in &func.blocks[i].insts {
            if func.ops[v.at()] == Op::Phi {
                func.phis[v.at()]
                    .iter()
                    .for_each(|o| outside[o.at()] = true);
            }
        }
    }
    outside
}

/// What the work on one block leaves as it found it.
struct Scratch {
    live: Vec<bool>,
    /// The place in the block of each value that it computes.
    index: Vec<u32>,
}

/// Whether a value has a register while it is alive.
fn counts(op: &Op) -> bool {
    !matches!(op, Op::Const(_) | Op::Map { .. } | Op::Frame(_))
}

/// Calls with each value that an instruction takes and that has a register.
fn operands(func: &Func, v: Val, f: &mut impl FnMut(Val)) {
    let mut op = func.op(v);
    op.visit(&mut |o| {
        if counts(&func.ops[o.at()]) {
            f(*o);
        }
    });
}

/// The most values that are alive at once.
fn pressure(
    func: &Func,
    block: usize,
    keeps: &impl Fn(&Func, Val) -> bool,
    s: &mut Scratch,
) -> u32 {
    let body = &func.blocks[block];
    // No more than there are can be alive.
    if body.insts.len() <= REGISTERS as usize {
        return 0;
    }
    let mut touched: Vec<Val> = Vec::new();
    let (mut now, mut most) = (0u32, 0);
    let mut begin = |v: Val, live: &mut Vec<bool>, now: &mut u32| {
        if !std::mem::replace(&mut live[v.at()], true) {
            touched.push(v);
            *now += 1;
        }
    };
    for &v in &body.insts {
        if counts(&func.ops[v.at()]) && keeps(func, v) {
            begin(v, &mut s.live, &mut now);
        }
        operands(func, v, &mut |o| {
            if keeps(func, o) {
                begin(o, &mut s.live, &mut now);
            }
        });
    }
    let mut term = body.term;
    term.visit(&mut |o| begin(*o, &mut s.live, &mut now));
    for &v in body.insts.iter().rev() {
        most = most.max(now);
        if func.ops[v.at()] == Op::Phi {
            break;
        }
        if std::mem::replace(&mut s.live[v.at()], false) {
            now -= 1;
        }
        operands(func, v, &mut |o| begin(o, &mut s.live, &mut now));
    }
    touched.into_iter().for_each(|v| s.live[v.at()] = false);
    most
}

/// Instructions that wait for nothing any more, by how many values each leaves alive beyond
/// those that are.
#[derive(Default)]
struct Ready {
    stacks: [Vec<u32>; 8],
}

impl Ready {
    fn push(&mut self, at: u32, growth: i32) {
        // No instruction takes more than a few values.
        let stack = (growth + 1).clamp(0, 7) as usize;
        self.stacks[stack].push(at);
    }
}

/// The instructions of a block in their new order.
fn order(
    func: &Func,
    block: usize,
    keeps: &impl Fn(&Func, Val) -> bool,
    s: &mut Scratch,
) -> Vec<Val> {
    let body = &func.blocks[block];
    let insts = &body.insts;
    let fixed = |v: &Val| matches!(func.ops[v.at()], Op::Phi | Op::Param(_));
    let first = insts.iter().position(|v| !fixed(v)).unwrap_or(insts.len());
    for (at, v) in insts.iter().enumerate().skip(first) {
        s.index[v.at()] = at as u32;
    }
    // For each instruction those that must come before it: operands and, where memory is
    // concerned, others.
    let mut before: Vec<Vec<u32>> = vec![Vec::new(); insts.len()];
    let mut after = vec![0u32; insts.len()];
    let mut users: Vec<Vec<u32>> = vec![Vec::new(); insts.len()];
    let (mut last_effect, mut loads) = (None, Vec::new());
    for (at, &v) in insts.iter().enumerate().skip(first) {
        let mut op = func.op(v);
        op.visit(&mut |o| {
            let o = s.index[o.at()];
            if o != u32::MAX {
                before[at].push(o);
                users[o as usize].push(at as u32);
            }
        });
        let effect = op.clobbers();
        if effect || matches!(op, Op::Load { .. } | Op::Probe { .. }) {
            before[at].extend(last_effect);
        }
        match effect {
            true => {
                before[at].append(&mut loads);
                last_effect = Some(at as u32);
            }
            false if matches!(op, Op::Load { .. } | Op::Probe { .. }) => loads.push(at as u32),
            false => {}
        }
        before[at].iter().for_each(|b| after[*b as usize] += 1);
    }
    // Values from outside that the block takes also have users.
    let mut touched: Vec<Val> = Vec::new();
    let mut live = |v: Val, live: &mut Vec<bool>| {
        let begins = !std::mem::replace(&mut live[v.at()], true);
        if begins {
            touched.push(v);
        }
        begins
    };
    for &v in insts {
        if keeps(func, v) {
            live(v, &mut s.live);
        }
        operands(func, v, &mut |o| {
            if keeps(func, o) {
                live(o, &mut s.live);
            }
        });
    }
    let mut term = body.term;
    term.visit(&mut |o| {
        live(*o, &mut s.live);
    });
    let growth = |at: u32, alive: &[bool]| {
        let v = insts[at as usize];
        let mut new = 0;
        let mut seen = [Val(u32::MAX); 2];
        operands(func, v, &mut |o| {
            if !alive[o.at()] && !seen.contains(&o) {
                seen = [o, seen[0]];
                new += 1;
            }
        });
        new - i32::from(alive[v.at()] || !counts(&func.ops[v.at()]))
    };
    let mut ready = Ready::default();
    let mut placed = vec![false; insts.len()];
    for at in first as u32..insts.len() as u32 {
        if after[at as usize] == 0 {
            ready.push(at, growth(at, &s.live));
        }
    }
    let mut out: Vec<Val> = Vec::with_capacity(insts.len());
    while let Some(at) = next(&mut ready, &placed, &|at| growth(at, &s.live)) {
        placed[at as usize] = true;
        let v = insts[at as usize];
        out.push(v);
        let mut begun: Vec<Val> = Vec::new();
        operands(func, v, &mut |o| {
            if live(o, &mut s.live) {
                begun.push(o);
            }
        });
        // Others that take what is alive now cost less.
        for o in begun {
            let index = s.index[o.at()];
            let others = users.get(index as usize).into_iter().flatten();
            for &other in others.filter(|other| after[**other as usize] == 0) {
                if !placed[other as usize] {
                    ready.push(other, growth(other, &s.live));
                }
            }
        }
        for &b in &before[at as usize] {
            after[b as usize] -= 1;
            if after[b as usize] == 0 {
                ready.push(b, growth(b, &s.live));
            }
        }
    }
    touched.into_iter().for_each(|v| s.live[v.at()] = false);
    insts.iter().for_each(|v| s.index[v.at()] = u32::MAX);
    out.extend(insts[..first].iter().rev());
    out.reverse();
    out
}

/// The best of the instructions that are ready; what was said of one may be out of date.
fn next(ready: &mut Ready, placed: &[bool], growth: &impl Fn(u32) -> i32) -> Option<u32> {
    for stack in 0..ready.stacks.len() {
        while let Some(at) = ready.stacks[stack].pop() {
            if placed[at as usize] {
                continue;
            }
            let now = growth(at);
            if (now + 1).clamp(0, 7) as usize <= stack {
                return Some(at);
            }
            ready.push(at, now);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{BinOp, Block, Body, Term};
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
            phis: Vec::new(),
            blocks: vec![block(), block()],
            frame: 0,
            origins: Vec::new(),
            origin: 0,
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
        let keeps = |_: &Func, _: Val| false;
        let mut s = Scratch {
            live: vec![false; func.ops.len()],
            index: vec![u32::MAX; func.ops.len()],
        };
        let most = |func: &Func, s: &mut Scratch| pressure(func, 1, &keeps, s);
        assert!(most(&func, &mut s) > 20);
        schedule(&mut func);
        assert!(most(&func, &mut s) < 5);
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

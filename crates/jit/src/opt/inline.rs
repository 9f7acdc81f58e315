//! Calls of small functions of the program become what those do.

use crate::ir::{Block, Body, Func, Op, Term, Val};

/// The most instructions of a function that is put in the place of its calls.
const SMALL: usize = 24;
/// The most instructions that a function gains by that.
const GROWTH: usize = 256;

/// The functions of a program, those that are called before those that call them. Functions do
/// not call themselves.
pub(crate) fn callees_first(funcs: &[Func]) -> Vec<usize> {
    let called = |func: &Func| -> Vec<usize> {
        let calls = func.ops.iter().filter_map(|op| match op {
            Op::Local { function, .. } => Some(*function as usize),
            _ => None,
        });
        calls.filter(|f| *f < funcs.len()).collect()
    };
    let mut order = Vec::with_capacity(funcs.len());
    let mut seen = vec![false; funcs.len()];
    let mut open: Vec<(usize, Vec<usize>)> = Vec::new();
    for first in 0..funcs.len() {
        if !std::mem::replace(&mut seen[first], true) {
            open.push((first, called(&funcs[first])));
        }
        while let Some((function, waiting)) = open.last_mut() {
            match waiting.pop() {
                Some(next) if std::mem::replace(&mut seen[next], true) => {}
                Some(next) => open.push((next, called(&funcs[next]))),
                None => {
                    order.push(*function);
                    open.pop();
                }
            }
        }
    }
    order
}

/// Puts small functions in the place of their calls. Those that are called are finished; the
/// function itself is not optimised yet.
pub(crate) fn inline(func: &mut Func, finished: &[Option<Func>]) {
    if !func.ops.iter().any(|op| matches!(op, Op::Local { .. })) {
        return;
    }
    let sizes: Vec<Option<usize>> = finished.iter().map(|f| small(f.as_ref()?)).collect();
    let mut left = GROWTH;
    // What the results of calls have become.
    let mut became: Vec<(Val, Val)> = Vec::new();
    let mut block = 0;
    while block < func.blocks.len() {
        let found = func.blocks[block].insts.iter().position(|v| {
            let Op::Local { function, .. } = func.op(*v) else {
                return false;
            };
            let size = sizes.get(function as usize).copied().flatten();
            size.is_some_and(|size| size <= left)
        });
        if let Some(at) = found
            && let v = func.blocks[block].insts[at]
            && let Op::Local { function, args, .. } = func.op(v)
            && let Some(callee) = &finished[function as usize]
        {
            left -= sizes[function as usize].unwrap_or(0).max(1);
            let result = put(func, (block, at), args, callee);
            func.ops[v.at()] = Op::Gone;
            became.push((v, result));
        }
        block += 1;
    }
    if became.is_empty() {
        return;
    }
    became.sort_unstable();
    let rename = |v: &mut Val| {
        // A result may be an argument that was a result.
        while let Ok(at) = became.binary_search_by_key(v, |(from, _)| *from) {
            *v = became[at].1;
        }
    };
    for body in &mut func.blocks {
        for v in &body.insts {
            func.ops[v.at()].visit(&mut { rename });
        }
        body.term.visit(&mut { rename });
    }
    func.phis.operands_mut().for_each(rename);
}

/// How many instructions a function has, when it can stand in the place of a call: it has no
/// frame and no allowance of its own, and nothing in it ends it early.
fn small(func: &Func) -> Option<usize> {
    let mut count = 0;
    let mut returns = false;
    for body in &func.blocks {
        match body.term {
            Term::MayGoto { .. } => return None,
            Term::Return(_) => returns = true,
            Term::Jump(_) | Term::Branch { .. } | Term::Dead => {}
        }
        for v in &body.insts {
            match func.op(*v) {
                Op::Frame(_) | Op::TailCall { .. } | Op::Packet { .. } => return None,
                Op::Const(_) | Op::Map { .. } | Op::Param(_) | Op::Phi | Op::Gone => {}
                _ => count += 1,
            }
        }
    }
    (returns && count <= SMALL).then_some(count)
}

/// Puts a function in the place of the call at `(block, at)`: its blocks follow the one that
/// ends there, and behind them comes the rest of that. Gives the result.
fn put(func: &mut Func, (block, at): (usize, usize), args: [Val; 5], callee: &Func) -> Val {
    let kept: Vec<usize> = (0..callee.blocks.len())
        .filter(|b| callee.blocks[*b].term != Term::Dead)
        .collect();
    let mut places = vec![Block(0); callee.blocks.len()];
    for (number, from) in kept.iter().enumerate() {
        places[*from] = Block((block + 1 + number) as u32);
    }
    let behind = Block((block + 1 + kept.len()) as u32);
    make_room(func, block, kept.len() + 1);
    // Which value each of the callee's is; phis may name later ones.
    let mut values = vec![Val(0); callee.ops.len()];
    for from in &kept {
        for v in &callee.blocks[*from].insts {
            values[v.at()] = match callee.op(*v) {
                Op::Param(i) => args[usize::from(i)],
                op => {
                    func.origin = callee.origins[v.at()];
                    func.push(op)
                }
            };
        }
    }
    let mut results: Vec<(Block, Val)> = Vec::new();
    for from in &kept {
        let body = &callee.blocks[*from];
        let here = places[*from];
        let mut insts = Vec::with_capacity(body.insts.len());
        for v in &body.insts {
            let (op, new) = (callee.op(*v), values[v.at()]);
            if matches!(op, Op::Param(_)) {
                continue;
            }
            func.ops[new.at()].visit(&mut |o| *o = values[o.at()]);
            if op.is_phi() {
                let operands = callee.phis[v.at()].iter();
                func.phis[new.at()] = operands.map(|o| values[o.at()]).collect();
            }
            insts.push(new);
        }
        let mut term = body.term;
        term.visit(&mut |v| *v = values[v.at()]);
        match &mut term {
            Term::Jump(to) => *to = places[to.at()],
            Term::Branch { then, other, .. } | Term::MayGoto { then, other } => {
                (*then, *other) = (places[then.at()], places[other.at()]);
            }
            Term::Return(v) => {
                results.push((here, *v));
                term = Term::Jump(behind);
            }
            Term::Dead => {}
        }
        let mut preds: Vec<Block> = body.preds.iter().map(|p| places[p.at()]).collect();
        if *from == 0 {
            preds.push(Block(block as u32));
        }
        func.blocks[here.at()] = Body {
            insts,
            term,
            preds,
            depth: 0,
        };
    }
    // The rest goes behind.
    let body = &mut func.blocks[block];
    let mut rest = body.insts.split_off(at);
    let term = std::mem::replace(&mut body.term, Term::Jump(places[0]));
    for to in term.successors().into_iter().flatten() {
        for pred in &mut func.blocks[to.at()].preds {
            if pred.at() == block {
                *pred = behind;
            }
        }
    }
    // The call itself is the first of it.
    let result = match results.as_slice() {
        [(_, only)] => {
            rest.remove(0);
            *only
        }
        _ => {
            let phi = func.push(Op::Phi);
            func.phis[phi.at()] = results.iter().map(|(_, v)| *v).collect();
            rest[0] = phi;
            phi
        }
    };
    func.blocks[behind.at()] = Body {
        insts: rest,
        term,
        preds: results.iter().map(|(from, _)| *from).collect(),
        depth: 0,
    };
    result
}

/// Gives the blocks behind one higher numbers, so that there is room for `more`.
fn make_room(func: &mut Func, block: usize, more: usize) {
    let moved = |b: &mut Block| {
        if b.at() > block {
            b.0 += more as u32;
        }
    };
    for body in &mut func.blocks {
        body.preds.iter_mut().for_each(moved);
        match &mut body.term {
            Term::Jump(to) => moved(to),
            Term::Branch { then, other, .. } | Term::MayGoto { then, other } => {
                moved(then);
                moved(other);
            }
            Term::Return(_) | Term::Dead => {}
        }
    }
    let empty = Body {
        insts: Vec::new(),
        term: Term::Dead,
        preds: Vec::new(),
        depth: 0,
    };
    let at = block + 1;
    func.blocks.splice(at..at, std::iter::repeat_n(empty, more));
}

//! Short loops that are known to run a fixed number of times do several rounds at once.

use skep_isa::{AluOp, meaning};

use super::blocks::always;
use crate::ir::{BinOp, Block, Func, Op, Term, Test, Val};

/// The most instructions that a loop has after unrolling.
const MAX_INSTS: usize = 72;
/// The most rounds that are followed to see how many there are.
const MAX_TRIPS: u64 = 1 << 16;

/// Unrolls the loops of one block; whether there were any.
pub(super) fn unroll(func: &mut Func) -> bool {
    let mut changed = false;
    for i in 1..func.blocks.len() {
        changed |= unroll_block(func, Block(i as u32));
    }
    changed
}

fn unroll_block(func: &mut Func, block: Block) -> bool {
    let body = &func.blocks[block.at()];
    let Term::Branch { test, then, other } = body.term else {
        return false;
    };
    let (exit, stays) = match (then == block, other == block) {
        (true, false) => (other, true),
        (false, true) => (then, false),
        _ => return false,
    };
    if body.preds.len() != 2 {
        return false;
    }
    let Some(back) = body.preds.iter().position(|p| *p == block) else {
        return false;
    };
    let size = body
        .insts
        .iter()
        .filter(|v| !matches!(func.op(**v), Op::Phi | Op::Const(_) | Op::Frame(_)))
        .count();
    let Some(trips) = trips(func, test, stays, back) else {
        return false;
    };
    let fits = |rounds: &u64| trips % rounds == 0 && size as u64 * rounds <= MAX_INSTS as u64;
    let all = Some(trips).filter(|t| (2..=16).contains(t) && fits(t));
    let Some(rounds) = all.or_else(|| [8, 4, 2].into_iter().find(fits)) else {
        return false;
    };
    repeat(func, block, back, rounds);
    if rounds == trips {
        always(func, block, exit, block);
    }
    true
}

/// How often a loop runs whose test stays in it when it gives `stays`.
fn trips(func: &Func, test: Test, stays: bool, back: usize) -> Option<u64> {
    let bound = func.constant(test.b)?;
    // The tested value is the counter after a step, or before it.
    let step_of = |v: Val| match func.op(v) {
        Op::Bin { op: BinOp::Alu(AluOp::Add), width, a, b } => {
            Some((a, width, func.constant(b)?))
        }
        _ => None,
    };
    let is_phi = |v: Val| func.op(v) == Op::Phi && func.phis[v.at()].len() == 2;
    let (phi, before) = match step_of(test.a) {
        Some((phi, ..)) if is_phi(phi) => (phi, false),
        _ if is_phi(test.a) => (test.a, true),
        _ => return None,
    };
    let operands = &func.phis[phi.at()];
    let next = *operands.get(back)?;
    let (from, width, step) = step_of(next)?;
    if from != phi || (!before && next != test.a) {
        return None;
    }
    let mut value = func.constant(*operands.get(1 - back)?)?;
    for trip in 1..=MAX_TRIPS {
        let after = meaning::alu(width, AluOp::Add, value, step);
        let tested = if before { value } else { after };
        if meaning::jump_taken(test.width, test.cond, tested, bound) != stays {
            return Some(trip);
        }
        value = after;
    }
    None
}

/// Puts the body of a loop in itself so often.
fn repeat(func: &mut Func, block: Block, back: usize, rounds: u64) {
    let insts = func.blocks[block.at()].insts.clone();
    let (phis, rest): (Vec<Val>, Vec<Val>) = insts.iter().partition(|v| func.op(**v) == Op::Phi);
    // What each value of the loop is in the present round.
    let mut now: Vec<(Val, Val)> = insts.iter().map(|v| (*v, *v)).collect();
    now.sort_unstable();
    let find = |now: &[(Val, Val)], v: Val| match now.binary_search_by_key(&v, |(k, _)| *k) {
        Ok(at) => now[at].1,
        Err(_) => v,
    };
    for _ in 1..rounds {
        // The phis hold what the round before gave them.
        let given: Vec<(Val, Val)> =
            phis.iter().map(|phi| (*phi, find(&now, func.phis[phi.at()][back]))).collect();
        for (phi, value) in given {
            if let Ok(at) = now.binary_search_by_key(&phi, |(k, _)| *k) {
                now[at].1 = value;
            }
        }
        for &v in &rest {
            let mut op = func.op(v);
            op.visit(&mut |o| *o = find(&now, *o));
            let copy = func.push(op);
            func.blocks[block.at()].insts.push(copy);
            if let Ok(at) = now.binary_search_by_key(&v, |(k, _)| *k) {
                now[at].1 = copy;
            }
        }
    }
    // The last round's values leave the loop, and go back to its start.
    let mut outside = |v: &mut Val| *v = find(&now, *v);
    for phi in &phis {
        let next = &mut func.phis[phi.at()][back];
        outside(next);
    }
    let mut term = func.blocks[block.at()].term;
    term.visit(&mut outside);
    func.blocks[block.at()].term = term;
    for i in 0..func.blocks.len() {
        if i == block.at() {
            continue;
        }
        for at in 0..func.blocks[i].insts.len() {
            let v = func.blocks[i].insts[at];
            let mut op = func.op(v);
            op.visit(&mut outside);
            func.ops[v.at()] = op;
            for operand in &mut func.phis[v.at()] {
                outside(operand);
            }
        }
        let mut term = func.blocks[i].term;
        term.visit(&mut outside);
        func.blocks[i].term = term;
    }
}

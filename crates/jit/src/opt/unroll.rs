//! Short loops that are known to run a fixed number of times do several rounds at once.

use skep_isa::{AluOp, Cond, Width, meaning};

use super::blocks::always;
use super::reduce::sums;
use crate::ir::{BinOp, Block, Func, Op, Term, Test, Val};

/// The most instructions that a loop has after unrolling.
const MAX_INSTS: usize = 72;
/// The most of a loop that adds short numbers, many of which are then added at once.
const MAX_SUMMING: usize = 256;
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
    // A call costs more than what is saved around it.
    if body.insts.iter().any(|v| func.op(*v).is_call()) {
        return false;
    }
    let size = body
        .insts
        .iter()
        .filter(|v| !matches!(func.op(**v), Op::Phi | Op::Const(_) | Op::Frame(_)))
        .count();
    let summing = body.insts.iter().any(|v| sums(func, *v));
    let Some(counted) = trips(func, block, test, stays, back) else {
        return false;
    };
    compare_at_end(func, block, &counted, stays);
    let trips = counted.trips;
    let (most, tries): (_, &[u64]) = match summing {
        true => (MAX_SUMMING, &[32, 16, 8, 4, 2]),
        false => (MAX_INSTS, &[8, 4, 2]),
    };
    let fits = |rounds: &u64| trips % rounds == 0 && size as u64 * rounds <= most as u64;
    let all = Some(trips).filter(|t| (2..=16).contains(t) && fits(t));
    let Some(rounds) = all.or_else(|| tries.iter().copied().find(fits)) else {
        return false;
    };
    repeat(func, block, back, rounds);
    if rounds == trips {
        always(func, block, exit, block);
    }
    true
}

/// A loop whose rounds are known.
struct Counted {
    trips: u64,
    /// When it counts up or down: the value after each step, and what that is at last.
    counter: Option<(Val, Width, u64)>,
}

/// The value of an expression of constants and one phi.
fn evaluate(func: &Func, v: Val, phi: Val, value: u64, depth: u32) -> Option<u64> {
    if v == phi {
        return Some(value);
    }
    if depth == 0 {
        return None;
    }
    let of = |v: Val| evaluate(func, v, phi, value, depth - 1);
    match func.op(v) {
        Op::Const(c) => Some(c),
        Op::Bin {
            op: BinOp::Alu(op),
            width,
            a,
            b,
        } => Some(meaning::alu(width, op, of(a)?, of(b)?)),
        Op::Zext { from, a } => Some(meaning::truncate(from, of(a)?)),
        Op::Sext { from, width, a } => Some(meaning::mov_sx(width, from, of(a)?)),
        _ => None,
    }
}

/// How often a loop runs whose test stays in it when it gives `stays`.
fn trips(func: &Func, block: Block, test: Test, stays: bool, back: usize) -> Option<Counted> {
    let phis = func.blocks[block.at()].insts.iter().copied();
    phis.filter(|v| func.op(*v).is_phi())
        .find_map(|phi| count(func, phi, test, stays, back))
}

fn count(func: &Func, phi: Val, test: Test, stays: bool, back: usize) -> Option<Counted> {
    const DEPTH: u32 = 4;
    let operands = &func.phis[phi.at()];
    let next = *operands.get(back)?;
    let mut value = func.constant(*operands.get(1 - back)?)?;
    let (a, b) = (test.a, test.b);
    // What does not depend on this phi is not worth trying.
    let first = evaluate(func, a, phi, value, DEPTH)?;
    let second = evaluate(func, next, phi, value, DEPTH)?;
    if evaluate(func, a, phi, second, DEPTH)? == first
        && evaluate(func, b, phi, second, DEPTH)? == evaluate(func, b, phi, value, DEPTH)?
    {
        return None;
    }
    for trip in 1..=MAX_TRIPS {
        let left = evaluate(func, a, phi, value, DEPTH)?;
        let right = evaluate(func, b, phi, value, DEPTH)?;
        value = evaluate(func, next, phi, value, DEPTH)?;
        if meaning::jump_taken(test.width, test.cond, left, right) != stays {
            let counter = match func.op(next) {
                Op::Bin {
                    op: BinOp::Alu(AluOp::Add),
                    width,
                    a,
                    b,
                } if a == phi && func.constant(b).is_some_and(|c| c as u32 != 0) => {
                    Some((next, width, value))
                }
                _ => None,
            };
            return Some(Counted {
                trips: trip,
                counter,
            });
        }
    }
    None
}

/// Lets a counted loop compare its counter after the step with what it is at last, so that
/// the value before the step need not be kept. The counter takes no value twice in so few
/// rounds.
fn compare_at_end(func: &mut Func, block: Block, counted: &Counted, stays: bool) {
    let Some((next, width, last)) = counted.counter else {
        return;
    };
    let b = func.push(Op::Const(last));
    func.blocks[block.at()].insts.push(b);
    let cond = if stays { Cond::Ne } else { Cond::Eq };
    if let Term::Branch { test, .. } = &mut func.blocks[block.at()].term {
        *test = Test {
            cond,
            width,
            a: next,
            b,
        };
    }
}

/// Puts the body of a loop in itself so often.
fn repeat(func: &mut Func, block: Block, back: usize, rounds: u64) {
    let insts = func.blocks[block.at()].insts.clone();
    let (phis, rest): (Vec<Val>, Vec<Val>) = insts.iter().partition(|v| func.op(**v).is_phi());
    // What each value of the loop is in the present round.
    let mut now: Vec<(Val, Val)> = insts.iter().map(|v| (*v, *v)).collect();
    now.sort_unstable();
    let find = |now: &[(Val, Val)], v: Val| match now.binary_search_by_key(&v, |(k, _)| *k) {
        Ok(at) => now[at].1,
        Err(_) => v,
    };
    let counters: Vec<(Val, (Val, Width, u64))> = phis
        .iter()
        .filter_map(|phi| {
            let next = func.phis[phi.at()][back];
            match func.op(next) {
                Op::Bin {
                    op: BinOp::Alu(AluOp::Add),
                    width,
                    a,
                    b,
                } if a == *phi => Some((next, (*phi, width, func.constant(b)?))),
                _ => None,
            }
        })
        .collect();
    for round in 1..rounds {
        // The phis hold what the round before gave them.
        let given: Vec<(Val, Val)> = phis
            .iter()
            .map(|phi| (*phi, find(&now, func.phis[phi.at()][back])))
            .collect();
        for (phi, value) in given {
            if let Ok(at) = now.binary_search_by_key(&phi, |(k, _)| *k) {
                now[at].1 = value;
            }
        }
        for &v in &rest {
            func.origin = func.origins[v.at()];
            let mut op = func.op(v);
            // A counter counts from the start of the round, not from step to step.
            if let Some((phi, width, step)) = counters.iter().find(|c| c.0 == v).map(|c| c.1) {
                let so_far = step.wrapping_mul(round + 1);
                let b = func.push(Op::Const(meaning::mov(width, so_far)));
                func.blocks[block.at()].insts.push(b);
                op = Op::Bin {
                    op: BinOp::Alu(AluOp::Add),
                    width,
                    a: phi,
                    b,
                };
                let copy = func.push(op);
                func.blocks[block.at()].insts.push(copy);
                if let Ok(at) = now.binary_search_by_key(&v, |(k, _)| *k) {
                    now[at].1 = copy;
                }
                continue;
            }
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
            if op.is_phi() {
                func.phis[v.at()].iter_mut().for_each(&mut outside);
            }
        }
        let mut term = func.blocks[i].term;
        term.visit(&mut outside);
        func.blocks[i].term = term;
    }
}

//! What is done to a function between building and code: each file is one improvement.

mod bits;
mod blocks;
mod charge;
mod combine;
mod convert;
mod counting;
mod dead;
mod direct;
mod inline;
mod promote;
mod reduce;
mod schedule;
mod simplify;
mod sink;
mod unroll;

pub(crate) use bits::{know, length};
pub(crate) use charge::charge;
pub(crate) use direct::direct;
pub(crate) use inline::{callees_first, inline};
pub(crate) use promote::{plainly_promotable, promotable};
pub(crate) use simplify::{low, use_counts};

use crate::ir::{Func, Op};

/// Rounds of simplification; each one sees what the one before made constant.
const ROUNDS: usize = 6;
/// Rounds of improving loops, from the inside out.
const LOOPS: usize = 2;

/// Improves a function; `counts` tells whether the machine counts bits.
pub(crate) fn optimise(func: &mut Func, counts: bool) {
    let computes_nothing = |op: &Op| matches!(op, Op::Const(_) | Op::Param(_) | Op::Frame(_));
    if func.blocks.len() <= 2 && func.ops.iter().all(computes_nothing) {
        return;
    }
    let mut uses = settle(func);
    if counts && counting::count(func) {
        uses = settle(func);
    }
    // A loop that vanishes may leave its surroundings a loop of one block.
    for _ in 0..LOOPS {
        let mut changed = combine::combine(func, uses.take());
        changed |= reduce::reduce(func);
        changed |= convert::convert(func);
        changed |= unroll::unroll(func);
        if !changed {
            break;
        }
        uses = settle(func);
    }
    know(func);
    sink::sink(func);
    depths(func);
    schedule::schedule(func);
}

/// Finds the addresses on the frame, for a function that is only looked at.
pub(crate) fn find_frame(func: &mut Func) {
    const ROUNDS: usize = 3;
    func.known = vec![u64::MAX; func.ops.len()];
    for _ in 0..ROUNDS {
        let uses = use_counts(func);
        let changed = simplify::simplify(func, uses);
        dead::remove(func);
        // Where ways meet, an address may take a round more to be known.
        if !changed || !func.ops.contains(&Op::Phi) {
            break;
        }
    }
}

/// Simplifies until nothing changes. What has no loops is seen in its order, so that once is
/// enough as long as the blocks stay. Gives how often each value is used, where that is known.
pub(crate) fn settle(func: &mut Func) -> Option<Vec<u32>> {
    know(func);
    let mut uses = dead::remove(func);
    for _ in 0..ROUNDS {
        let changed = simplify::simplify(func, uses);
        let counted = changed.then(|| dead::remove(func));
        let blocks = blocks::clean(func);
        if !blocks && (!changed || loops(func).is_empty()) {
            return counted;
        }
        // Blocks that are joined have other phis.
        uses = match counted {
            Some(counted) if !blocks => counted,
            _ => use_counts(func),
        };
    }
    None
}

/// Counts for each block the loops that it is in, by the layout: a jump back spans a loop.
fn depths(func: &mut Func) {
    for body in &mut func.blocks {
        body.depth = 0;
    }
    for (head, last) in loops(func) {
        for body in &mut func.blocks[head..=last] {
            body.depth += 1;
        }
    }
}

/// The loops by the layout, each once: its first block and its last one.
fn loops(func: &Func) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    for (from, body) in func.blocks.iter().enumerate() {
        for to in body.term.successors().into_iter().flatten() {
            if to.at() <= from {
                spans.push((to.at(), from));
            }
        }
    }
    // Several jumps back to one head are one loop.
    spans.sort_unstable();
    let mut loops: Vec<(usize, usize)> = Vec::new();
    for (head, last) in spans {
        match loops.last_mut() {
            Some((before, end)) if *before == head => *end = (*end).max(last),
            _ => loops.push((head, last)),
        }
    }
    loops
}

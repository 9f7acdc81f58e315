//! Blocks that only pass control on go, and blocks that always follow another join it.

use super::simplify::forget_edge;
use crate::ir::{Block, Func, Term};

/// Cleans the graph; whether anything changed.
pub(super) fn clean(func: &mut Func) -> bool {
    let mut changed = false;
    for i in 0..func.blocks.len() {
        let block = Block(i as u32);
        changed |= skip_empty(func, block);
        while join(func, block) {
            changed = true;
        }
    }
    changed
}

fn has_phi(func: &Func, block: Block) -> bool {
    let first = func.blocks[block.at()].insts.first();
    first.is_some_and(|v| func.op(*v).is_phi())
}

/// Leads the predecessors of a block that holds nothing past it.
fn skip_empty(func: &mut Func, block: Block) -> bool {
    let body = &func.blocks[block.at()];
    let Term::Jump(to) = body.term else {
        return false;
    };
    if block.0 == 0 || to == block || !body.insts.is_empty() || body.preds.is_empty() {
        return false;
    }
    let preds = body.preds.clone();
    // Where the target tells its predecessors apart, each may come only once.
    let target = &func.blocks[to.at()];
    if has_phi(func, to) && preds.iter().any(|p| target.preds.contains(p)) {
        return false;
    }
    // A branch both of whose ways lead to one place would be no branch.
    let twice = |p: &Block| {
        func.blocks[p.at()]
            .term
            .successors()
            .into_iter()
            .flatten()
            .any(|s| s == to)
    };
    if preds.iter().any(twice) {
        return false;
    }
    let Some(edge) = target.preds.iter().position(|p| *p == block) else {
        return false;
    };
    let phis: Vec<_> = target
        .insts
        .iter()
        .copied()
        .filter(|v| func.op(*v).is_phi())
        .collect();
    for (n, pred) in preds.iter().enumerate() {
        redirect(&mut func.blocks[pred.at()].term, block, to);
        if n == 0 {
            func.blocks[to.at()].preds[edge] = *pred;
            continue;
        }
        func.blocks[to.at()].preds.push(*pred);
        for phi in &phis {
            let operand = func.phis[phi.at()][edge];
            func.phis[phi.at()].push(operand);
        }
    }
    let body = &mut func.blocks[block.at()];
    body.preds.clear();
    body.term = Term::Dead;
    true
}

pub(super) fn redirect(term: &mut Term, from: Block, to: Block) {
    let change = |b: &mut Block| {
        if *b == from {
            *b = to;
        }
    };
    match term {
        Term::Jump(b) => change(b),
        Term::Branch { then, other, .. } | Term::MayGoto { then, other } => {
            change(then);
            change(other);
        }
        Term::Return(_) | Term::Dead => {}
    }
}

/// Appends the block that always and only follows this one.
fn join(func: &mut Func, block: Block) -> bool {
    let Term::Jump(to) = func.blocks[block.at()].term else {
        return false;
    };
    // The first block keeps to the arguments.
    if block.0 == 0 || to == block || func.blocks[to.at()].preds.len() != 1 || has_phi(func, to) {
        return false;
    }
    let (insts, term) = {
        let body = &mut func.blocks[to.at()];
        let taken = (std::mem::take(&mut body.insts), body.term);
        body.term = Term::Dead;
        body.preds.clear();
        taken
    };
    for next in term.successors().into_iter().flatten() {
        for pred in &mut func.blocks[next.at()].preds {
            if *pred == to {
                *pred = block;
            }
        }
    }
    let body = &mut func.blocks[block.at()];
    body.insts.extend(insts);
    body.term = term;
    true
}

/// Makes a block go to one of its two successors always.
pub(super) fn always(func: &mut Func, block: Block, to: Block, not: Block) {
    func.blocks[block.at()].term = Term::Jump(to);
    forget_edge(func, block, not);
}

//! Short branches become selections, so that nothing has to be predicted.

use super::blocks::always;
use crate::ir::{BinOp, Block, Func, Op, Term, Test, Val};
use skep_isa::AluOp;

/// Instructions that are worth being done in vain.
const MAX_INSTS: usize = 3;
/// Values that are worth being selected.
const MAX_SELECTS: usize = 2;

/// Converts what is worth it; whether there was anything.
pub(super) fn convert(func: &mut Func) -> bool {
    let mut changed = false;
    for i in (1..func.blocks.len()).rev() {
        changed |= convert_block(func, Block(i as u32));
    }
    changed
}

/// Whether an instruction can be done where it might not have been, at little cost.
fn is_cheap(op: &Op) -> bool {
    match op {
        Op::Const(_) | Op::Zext { .. } | Op::Sext { .. } | Op::Neg { .. } | Op::Frame(_) => true,
        Op::Count { .. } => true,
        Op::Bin { op, .. } => !matches!(
            op,
            BinOp::Alu(AluOp::Div | AluOp::Mod | AluOp::Sdiv | AluOp::Smod | AluOp::Mul)
        ),
        _ => false,
    }
}

/// A block between `from` and somewhere else that only computes a little: where it leads.
fn arm(func: &Func, from: Block, arm: Block) -> Option<Block> {
    let body = &func.blocks[arm.at()];
    let Term::Jump(to) = body.term else {
        return None;
    };
    let costly = body
        .insts
        .iter()
        .filter(|v| !matches!(func.op(**v), Op::Const(_)))
        .count();
    let alone = body.preds.as_slice() == [from];
    let cheap = costly <= MAX_INSTS && body.insts.iter().all(|v| is_cheap(&func.op(*v)));
    (alone && cheap && to != arm && to != from).then_some(to)
}

fn convert_block(func: &mut Func, block: Block) -> bool {
    let Term::Branch { test, then, other } = func.blocks[block.at()].term else {
        return false;
    };
    if then == other {
        return false;
    }
    let (arm_then, arm_other) = (arm(func, block, then), arm(func, block, other));
    // The block at which both ways meet, and the blocks on the way.
    let (meet, through) = match (arm_then, arm_other) {
        (Some(a), Some(b)) if a == b => (a, [Some(then), Some(other)]),
        (Some(a), _) if a == other => (a, [Some(then), None]),
        (_, Some(b)) if b == then => (b, [None, Some(other)]),
        _ => return false,
    };
    let edge = |way: Option<Block>| {
        let from = way.unwrap_or(block);
        func.blocks[meet.at()].preds.iter().position(|p| *p == from)
    };
    let (Some(from_then), Some(from_other)) = (edge(through[0]), edge(through[1])) else {
        return false;
    };
    let phis: Vec<Val> = func.blocks[meet.at()]
        .insts
        .iter()
        .copied()
        .filter(|v| func.op(*v).is_phi())
        .collect();
    let differs = |phi: &&Val| func.phis[phi.at()][from_then] != func.phis[phi.at()][from_other];
    if phis.iter().filter(differs).count() > MAX_SELECTS || !worth(func, &test) {
        return false;
    }
    for way in through.into_iter().flatten() {
        let insts = std::mem::take(&mut func.blocks[way.at()].insts);
        func.blocks[block.at()].insts.extend(insts);
    }
    let mut selected = Vec::new();
    for phi in &phis {
        let (t, f) = (
            func.phis[phi.at()][from_then],
            func.phis[phi.at()][from_other],
        );
        selected.push(if t == f {
            t
        } else {
            let v = func.push(Op::Select { test, t, f });
            func.blocks[block.at()].insts.push(v);
            v
        });
    }
    // One edge remains, from the block itself.
    let kept = if through[0].is_none() {
        from_then
    } else {
        from_other
    };
    let gone = if kept == from_then {
        from_other
    } else {
        from_then
    };
    if through.iter().all(Option::is_some) {
        func.blocks[meet.at()].preds[kept] = block;
        func.blocks[block.at()].term = Term::Jump(meet);
    } else {
        let way = through.into_iter().flatten().next().unwrap_or(meet);
        always(func, block, meet, way);
    }
    for (phi, value) in phis.iter().zip(selected) {
        func.phis[phi.at()][kept] = value;
        func.phis[phi.at()].remove(gone);
    }
    func.blocks[meet.at()].preds.remove(gone);
    for way in through.into_iter().flatten() {
        func.blocks[way.at()].term = Term::Dead;
        func.blocks[way.at()].preds.clear();
    }
    true
}

/// Whether the outcome of a test is hard to foresee: comparisons with zero mostly are easy
/// (null pointers, errors).
fn worth(func: &Func, test: &Test) -> bool {
    func.constant(test.b) != Some(0) || func.constant(test.a).is_some()
}

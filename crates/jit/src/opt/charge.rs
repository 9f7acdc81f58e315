//! Where fuel is used: at the beginning of a function and of every round of its loops.
//!
//! Native code counts its own instructions, before they become machine instructions: what a
//! loop has outside of the loops within it, and what the function has outside of all.

use crate::ir::{Func, Op};

/// Puts the charges in; the loops are those of the layout.
pub(crate) fn charge(func: &mut Func) {
    let cost = |func: &Func, blocks: std::ops::RangeInclusive<usize>, depth: u32| {
        let blocks = func.blocks[blocks].iter().filter(|b| b.depth == depth);
        let counts = blocks.map(|body| {
            let free = |op: Op| matches!(op, Op::Phi | Op::Const(_) | Op::Frame(_) | Op::Param(_));
            let insts = body.insts.iter().filter(|v| !free(func.op(**v))).count();
            insts as u32 + 1
        });
        counts.sum::<u32>()
    };
    let last = func.blocks.len() - 1;
    let mut charges = vec![(0, cost(func, 0..=last, 0))];
    for (head, last) in super::loops(func) {
        let depth = func.blocks[head].depth;
        charges.push((head, cost(func, head..=last, depth)));
    }
    for (block, amount) in charges {
        let v = func.push(Op::Charge(amount));
        let insts = &func.blocks[block].insts;
        let first = |v: &crate::ir::Val| !matches!(func.ops[v.at()], Op::Phi | Op::Param(_));
        let at = insts.iter().position(first).unwrap_or(insts.len());
        func.blocks[block].insts.insert(at, v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Block, Body, Phis, Term};

    #[test]
    fn every_way_back_is_charged() {
        // 0 → 1 → 2 → 1, 2 → 3: the loop is 1 and 2.
        let body = |term, depth| Body {
            insts: Vec::new(),
            term,
            preds: Vec::new(),
            depth,
        };
        let mut func = Func {
            ops: Vec::new(),
            phis: Phis::default(),
            blocks: Vec::new(),
            frame: 0,
            origins: Vec::new(),
            origin: 0,
            known: Vec::new(),
        };
        let v = func.push(Op::CpuId);
        let test = crate::ir::Test {
            cond: skep_isa::Cond::Eq,
            width: skep_isa::Width::W64,
            a: v,
            b: v,
        };
        let branch = Term::Branch {
            test,
            then: Block(1),
            other: Block(3),
        };
        func.blocks = vec![
            body(Term::Jump(Block(1)), 0),
            body(Term::Jump(Block(2)), 1),
            body(branch, 1),
            body(Term::Return(v), 0),
        ];
        charge(&mut func);
        let charged = |block: usize| match func.blocks[block].insts.as_slice() {
            [v] => match func.op(*v) {
                Op::Charge(amount) => Some(amount),
                _ => None,
            },
            _ => None,
        };
        assert_eq!([0, 1, 2, 3].map(charged), [Some(2), Some(2), None, None]);
    }
}

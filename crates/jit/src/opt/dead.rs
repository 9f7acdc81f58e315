//! Values that nobody uses go.

use crate::ir::{Func, Op, Val};

/// Passed by before a use of it was seen.
const PASSED: u32 = 1 << 31;
/// Stays whether it is used or not.
const STAYS: u32 = 1 << 30;

/// Removes instructions without effect whose result is not used, and all traces of those
/// that were replaced. Gives how often each value is used.
///
/// Blocks are walked from their ends, so that a use mostly comes before what is used; only over
/// ways back it may be the other way round.
pub(crate) fn remove(func: &mut Func) -> Vec<u32> {
    let mut uses = vec![0u32; func.ops.len()];
    let mut late: Vec<Val> = Vec::new();
    for block in func.reverse_post_order().into_iter().rev() {
        let body = &mut func.blocks[block.at()];
        body.term.visit(&mut |v| used(&mut uses, &mut late, *v));
        for &v in body.insts.iter().rev() {
            if func.ops[v.at()].has_effect() {
                uses[v.at()] |= STAYS;
            }
            if uses[v.at()] == 0 {
                uses[v.at()] = PASSED;
                continue;
            }
            func.ops[v.at()].visit(&mut |o| used(&mut uses, &mut late, *o));
            if func.ops[v.at()].is_phi() {
                let operands = &func.phis[v.at()];
                operands.iter().for_each(|o| used(&mut uses, &mut late, *o));
            }
        }
    }
    while let Some(v) = late.pop() {
        func.ops[v.at()].visit(&mut |o| used(&mut uses, &mut late, *o));
        if func.ops[v.at()].is_phi() {
            let operands = &func.phis[v.at()];
            operands.iter().for_each(|o| used(&mut uses, &mut late, *o));
        }
    }
    let goes = |uses: u32| uses & !PASSED == 0;
    for body in &mut func.blocks {
        body.insts.retain(|v| !goes(uses[v.at()]));
    }
    for (op, uses) in func.ops.iter_mut().zip(&mut uses) {
        if goes(*uses) {
            *op = Op::Gone;
        }
        *uses &= !(PASSED | STAYS);
    }
    uses
}

/// Counts a use.
fn used(uses: &mut [u32], late: &mut Vec<Val>, v: Val) {
    if uses[v.at()] == PASSED {
        uses[v.at()] = 0;
        late.push(v);
    }
    uses[v.at()] += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{BinOp, Block, Body, Phis, Term, Test};
    use skep_isa::{AluOp, Cond, Width};

    /// What goes round a loop without being used goes, what leaves it or decides stays, and the
    /// counts are those of a plain count.
    #[test]
    fn loops_keep_what_is_used() {
        let mut func = Func {
            ops: Vec::new(),
            phis: Phis::default(),
            blocks: vec![
                Body {
                    insts: Vec::new(),
                    term: Term::Dead,
                    preds: Vec::new(),
                    depth: 0
                };
                3
            ],
            frame: 0,
            origins: Vec::new(),
            origin: 0,
            known: Vec::new(),
        };
        let push = |func: &mut Func, block: usize, op| {
            let v = func.push(op);
            func.blocks[block].insts.push(v);
            v
        };
        let start = push(&mut func, 0, Op::Param(0));
        let one = push(&mut func, 0, Op::Const(1));
        let [counter, kept, lost] = [0; 3].map(|_| push(&mut func, 1, Op::Phi));
        let add = |a| Op::Bin {
            op: BinOp::Alu(AluOp::Add),
            width: Width::W64,
            a,
            b: one,
        };
        let steps = [counter, kept, lost].map(|phi| {
            let step = push(&mut func, 1, add(phi));
            func.phis[phi.at()] = vec![start, step];
            step
        });
        func.blocks[0].term = Term::Jump(Block(1));
        let test = Test {
            cond: Cond::Ne,
            width: Width::W64,
            a: steps[0],
            b: one,
        };
        func.blocks[1].term = Term::Branch {
            test,
            then: Block(1),
            other: Block(2),
        };
        func.blocks[2].term = Term::Return(kept);
        func.blocks[1].preds = vec![Block(0), Block(1)];
        func.blocks[2].preds = vec![Block(1)];
        let counted = remove(&mut func);
        assert_eq!(func.blocks[1].insts, [counter, kept, steps[0], steps[1]]);
        assert_eq!([func.op(lost), func.op(steps[2])], [Op::Gone; 2]);
        assert_eq!(counted, super::super::use_counts(&mut func));
    }
}

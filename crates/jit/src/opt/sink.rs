//! Steps of counters wait until their result is needed, so that the value before the step has
//! had its last use and both can share a register.

use skep_isa::AluOp;

use crate::ir::{BinOp, Func, Op, Val};

/// Moves the steps of all blocks.
pub(super) fn sink(func: &mut Func) {
    for i in 0..func.blocks.len() {
        let is_step = |v: Val| match func.op(v) {
            Op::Bin {
                op: BinOp::Alu(AluOp::Add | AluOp::Rsh | AluOp::Lsh),
                a,
                b,
                ..
            } => func.constant(b).is_some() && func.op(a).is_phi(),
            _ => false,
        };
        // Only what has phis has steps of them.
        let first = func.blocks[i].insts.first();
        if first.is_none_or(|v| !func.op(*v).is_phi()) {
            continue;
        }
        let insts = func.blocks[i].insts.clone();
        let mut waiting: Vec<Val> = Vec::new();
        let mut out: Vec<Val> = Vec::with_capacity(insts.len());
        for v in insts {
            // Who needs a step gets it first.
            let mut op = func.op(v);
            let mut needed = Vec::new();
            op.visit(&mut |o| {
                if let Some(at) = waiting.iter().position(|w| w == o) {
                    needed.push(waiting.remove(at));
                }
            });
            out.append(&mut needed);
            if is_step(v) {
                waiting.push(v);
            } else {
                out.push(v);
            }
        }
        out.append(&mut waiting);
        func.blocks[i].insts = out;
    }
}

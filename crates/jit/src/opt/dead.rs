//! Values that nobody uses go.

use crate::ir::{Func, Op, Val};

/// Removes instructions without effect whose result is not used, and all traces of those
/// that were replaced.
pub(crate) fn remove(func: &mut Func) {
    let mut used = vec![false; func.ops.len()];
    let mut work: Vec<Val> = Vec::new();
    for body in &mut func.blocks {
        body.term.visit(&mut |v| work.push(*v));
        work.extend(body.insts.iter().filter(|v| func.ops[v.at()].has_effect()));
    }
    while let Some(v) = work.pop() {
        if std::mem::replace(&mut used[v.at()], true) {
            continue;
        }
        func.ops[v.at()].visit(&mut |operand| work.push(*operand));
        if func.ops[v.at()] == Op::Phi {
            work.extend(&func.phis[v.at()]);
        }
    }
    for body in &mut func.blocks {
        body.insts.retain(|v| used[v.at()]);
    }
    for (op, used) in func.ops.iter_mut().zip(&used) {
        if !used {
            *op = Op::Gone;
        }
    }
}

//! Which calls of kernel functions a program makes.

use crate::context::{Res, Stop, Verifier};
use crate::setup::flow;

/// Names the first call of a kernel function: none is modelled, so a program that has one
/// is neither taken nor refused.
pub fn refuse_unmodelled(v: &Verifier<'_>) -> Res {
    match v.insns.iter().position(|&insn| flow::is_kfunc_call(insn)) {
        None => Ok(()),
        Some(at) => Err(Stop::Unsupported(format!(
            "call of kernel function with BTF id {} at instruction {at}",
            v.insns[at].imm
        ))),
    }
}

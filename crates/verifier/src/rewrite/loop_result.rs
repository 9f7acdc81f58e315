//! What `bpf_loop` gives where Linux writes it out: the error, for too many rounds, is a 32-bit
//! number there, and not the 64-bit one that the helper gives.

use skep_isa::{Insn, alu, class, src};

use crate::context::Verifier;
use crate::rewrite::draft::Draft;
use crate::rewrite::extra_stack;

/// `w0 = w0`.
const CUT: Insn = Insn::new(class::ALU | alu::MOV | src::X, 0, 0, 0, 0);

/// Zeroes the upper half of what such calls give.
pub fn cut(v: &Verifier<'_>, draft: &mut Draft) {
    let kept = draft.steps.iter_mut().filter(|step| step.kept);
    for step in kept.filter(|step| extra_stack::inlines_loop(v, step.old)) {
        step.after.push(CUT);
    }
}

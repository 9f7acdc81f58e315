//! What `bpf_loop` gives where Linux writes it out: the error, for too many rounds, is a 32-bit
//! number there, and not the 64-bit one that the helper gives.

use crate::context::Verifier;
use crate::rewrite::draft::Draft;
use crate::rewrite::extra_stack;

/// Zeroes the upper half of what such calls give.
pub fn cut(v: &Verifier<'_>, draft: &mut Draft) {
    if !draft.has.loops {
        return;
    }
    let kept = draft.steps.iter_mut().filter(|step| step.kept);
    for step in kept {
        step.cut = extra_stack::inlines_loop(v, step.old);
    }
}

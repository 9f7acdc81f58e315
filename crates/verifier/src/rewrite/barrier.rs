//! Where speculation is stopped.

use crate::context::Verifier;
use crate::rewrite::draft::Draft;

/// Puts barriers before and after the instructions for which the walk asked for them.
pub fn insert(v: &Verifier<'_>, draft: &mut Draft) {
    if v.request.privilege.bypass_spec_v1 && v.request.privilege.bypass_spec_v4 {
        return;
    }
    for step in &mut draft.steps {
        let aux = &v.aux[step.old as usize];
        step.barrier_before = aux.nospec;
        step.barrier_behind = aux.nospec_result;
    }
}

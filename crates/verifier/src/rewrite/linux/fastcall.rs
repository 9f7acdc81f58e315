//! Takes out what saves registers around calls that leave them alone.
//!
//! The program that runs here keeps these instructions, see `setup::fastcall`.

use skep_isa::Insn;

use std::borrow::Cow;

use crate::context::Verifier;
use crate::rewrite::draft::Draft;

/// The program without spills and fills around calls that need none. Without `CAP_BPF` jumps to the
/// next instruction stay in their places.
pub(super) fn without_spills<'d>(v: &Verifier<'_>, draft: &'d Draft) -> Cow<'d, Draft> {
    let mut changed = Cow::Borrowed(draft);
    for (at, step) in draft.steps.iter().enumerate() {
        let pairs = usize::from(v.aux[step.old as usize].fastcall_spills);
        if pairs == 0 || v.subprogs[v.subprog_at(step.old)].keep_fastcall_stack {
            continue;
        }
        let draft = changed.to_mut();
        for distance in 1..=pairs {
            for place in [at.checked_sub(distance), at.checked_add(distance)] {
                let Some(step) = place.and_then(|place| draft.steps.get_mut(place)) else {
                    continue;
                };
                if v.request.privilege.bpf_capable {
                    step.kept = false;
                } else {
                    (step.insn, step.target) = (Insn::goto(0), None);
                }
            }
        }
    }
    changed
}

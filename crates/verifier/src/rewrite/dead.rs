//! What becomes of instructions that no path reaches.

use skep_isa::Insn;

use crate::context::Verifier;
use crate::rewrite::draft::Draft;
use crate::setup::flow;

/// Takes dead code out: branches with one live side become jumps, unreached instructions
/// go, and so do the jumps that then only lead to the next instruction.
pub fn remove(v: &Verifier<'_>, draft: &mut Draft) {
    let seen = |at: u32| v.aux.get(at as usize).is_some_and(|aux| aux.seen);
    for step in &mut draft.steps {
        step.kept = seen(step.old);
        let conditional = flow::is_jump(step.insn) && !flow::is_goto(step.insn);
        if !step.kept || !conditional {
            continue;
        }
        let next = step.old + 1;
        let (next_lives, target_lives) = (seen(next), step.target.is_some_and(seen));
        step.target = match (next_lives, target_lives) {
            (false, _) => step.target,
            (true, false) => Some(next),
            (true, true) => continue,
        };
        step.insn = Insn::goto(0);
    }
    let mut index = 0;
    while index < draft.steps.len() {
        let mut next = index + 1;
        if leads_to_next(draft, index) {
            draft.steps[index].kept = false;
            // Linux looks again at what stands before a may_goto that goes.
            if flow::is_may_goto(draft.steps[index].insn)
                && let Some(before) = draft.steps[..index].iter().rposition(|step| step.kept)
            {
                next = before;
            }
        }
        index = next;
    }
}

/// Whether a jump only skips what is not there.
fn leads_to_next(draft: &Draft, index: usize) -> bool {
    let step = &draft.steps[index];
    if !matches!(step.insn.code, flow::JA | flow::JCOND) || !step.kept {
        return false;
    }
    if step.insn.code == flow::JCOND && !flow::is_may_goto(step.insn) {
        return false;
    }
    let Some(target) = step.target else {
        return false;
    };
    let Some(&to) = draft.step_of.get(target as usize) else {
        return false;
    };
    let to = to as usize;
    to > index
        && draft.steps[index + 1..to]
            .iter()
            .all(|between| !between.kept)
}

/// Without `CAP_BPF` dead code stays, as jumps to themselves: only a mispredicted branch
/// could come there, and it shall find nothing to do.
pub fn trap(v: &Verifier<'_>, draft: &mut Draft) {
    for step in &mut draft.steps {
        if !v.aux[step.old as usize].seen {
            step.insn = Insn::goto(0);
            step.target = Some(step.old);
            if let Some(second) = &mut step.second {
                // The second slot lies at the same old place; its jump is relative.
                *second = Insn::goto(-1);
            }
        }
    }
}

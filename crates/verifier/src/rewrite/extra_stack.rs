//! How much stack Linux's own rewriting adds to each function, which the figures show.
//!
//! The executable here needs none of it.

use crate::context::Verifier;
use crate::rewrite::draft::Draft;
use crate::setup::flow;

/// Three saved registers around an inlined `bpf_loop`.
const INLINED_LOOP: u32 = 24;
/// The count and the deadline of the loops that `may_goto` bounds.
const MAY_GOTO: u32 = 16;

/// Makes the list of functions the one that Linux ends with: without those that became
/// unreachable, and with the stack that the others need after rewriting.
pub fn settle(v: &mut Verifier<'_>, draft: &Draft) {
    let count = v.subprog_count();
    let mut kept = vec![false; count];
    let mut loops = vec![false; count];
    let mut may_goto = vec![false; count];
    let mut throws = false;
    for step in draft.steps.iter().filter(|step| step.kept) {
        let kfunc = v.aux[step.old as usize].kfunc;
        throws |= kfunc.is_some_and(|kfunc| kfunc.name == "bpf_throw");
        let subprog = v.subprog_at(step.old);
        kept[subprog] = true;
        may_goto[subprog] |= flow::is_may_goto(step.insn);
        loops[subprog] |= inlines_loop(v, step.old);
    }
    for index in 0..count {
        let extra = [(loops[index], INLINED_LOOP), (may_goto[index], MAY_GOTO)];
        let extra: u32 = extra
            .iter()
            .map(|&(is, bytes)| if is { bytes } else { 0 })
            .sum();
        v.subprogs[index].stack_depth += extra;
    }
    let mut index = 0;
    v.subprogs.retain(|_| {
        let keep = kept.get(index).copied().unwrap_or(true);
        index += 1;
        keep
    });
    if throws && v.exception_callback.is_none() {
        // Linux adds a function that gives back what was thrown.
        let end = v.subprogs.len().saturating_sub(1);
        v.subprogs.insert(end, Default::default());
    }
}

/// Whether Linux replaces the call at `at`, of `bpf_loop`, by a loop.
pub fn inlines_loop(v: &Verifier<'_>, at: u32) -> bool {
    let inline = v.aux[at as usize].loop_inline;
    inline.initialized && inline.fits
}

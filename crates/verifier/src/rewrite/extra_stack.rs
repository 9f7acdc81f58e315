//! How much stack Linux's own rewriting adds to each function, which the figures show.
//!
//! The executable here needs none of it.

use crate::context::Verifier;
use crate::rewrite::draft::{Draft, Step};
use crate::setup::flow;

/// Three saved registers around an inlined `bpf_loop`.
const INLINED_LOOP: u32 = 24;
/// The count and the deadline of the loops that `may_goto` bounds.
const MAY_GOTO: u32 = 16;

/// What the rewritten code of one function holds.
#[derive(Clone, Default)]
struct Found {
    /// Any instruction at all.
    code: bool,
    inlined_loop: bool,
    may_goto: bool,
}

/// The instructions of the function that Linux adds behind a program that throws.
pub const CATCHER: u32 = 2;

/// Makes the list of functions the one that Linux ends with: without those that became
/// unreachable, and with the stack that the others need after rewriting.
pub fn settle(v: &mut Verifier<'_>, draft: &Draft) {
    let mut found = vec![Found::default(); v.subprog_count()];
    // Steps are in their old order.
    let mut steps = draft.steps.iter().peekable();
    for (index, found) in found.iter_mut().enumerate() {
        let end = v.range_of(index).end;
        while let Some(step) = steps.next_if(|step| step.old < end) {
            found.code |= step.kept;
            if step.kept && (draft.has.may_goto || draft.has.loops) {
                found.may_goto |= flow::is_may_goto(step.insn);
                found.inlined_loop |= inlines_loop(v, step.old);
            }
        }
    }
    for (subprog, found) in v.subprogs.iter_mut().zip(&found) {
        subprog.stack_depth += if found.inlined_loop { INLINED_LOOP } else { 0 };
        subprog.stack_depth += if found.may_goto { MAY_GOTO } else { 0 };
    }
    // The end entry behind the functions stays.
    let mut kept = found.iter().map(|found| found.code);
    v.subprogs.retain(|_| kept.next().unwrap_or(true));
    if throws_uncaught(v, draft) {
        let end = v.subprogs.len().saturating_sub(1);
        v.subprogs.insert(end, Default::default());
    }
}

/// Whether the program throws and has no function to catch it, so that Linux adds one that gives
/// back what was thrown.
pub fn throws_uncaught(v: &Verifier<'_>, draft: &Draft) -> bool {
    let throws = |step: &Step| {
        let kfunc = v.aux[step.old as usize].kfunc;
        kfunc.is_some_and(|kfunc| kfunc.name == "bpf_throw")
    };
    draft.has.kfuncs
        && v.exception_callback.is_none()
        && draft.steps.iter().any(|step| step.kept && throws(step))
}

/// Whether Linux replaces the call at `at`, of `bpf_loop`, by a loop.
pub fn inlines_loop(v: &Verifier<'_>, at: u32) -> bool {
    let inline = v.aux[at as usize].loop_inline;
    inline.initialized && inline.fits
}

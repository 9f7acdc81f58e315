//! Where Linux takes the address of a function that is gone.
//!
//! It takes dead code out stretch by stretch and corrects distances as it goes, but only
//! those that lead beyond a stretch. So the address of a function at the beginning of
//! a stretch becomes that of what follows, and that of one inside, of what lies as many
//! instructions further on.
//! Wherever that leads, some function must begin there.

use crate::context::Verifier;
use crate::rewrite::draft::{Draft, Step};
use crate::rewrite::extra_stack;

/// How many instructions an inlined `bpf_loop` is more than its call and the cut of its result.
const INLINED_LOOP_GROWTH: u32 = 17;

/// The place that the load of the function at `to`, by its old place, leads to: in the new
/// layout, and as Linux counts it, in whose layout loops are inlined.
pub fn place(v: &Verifier<'_>, draft: &Draft, to: u32, places: &[u32]) -> (u32, u32) {
    let end = v.insns.len() as u32;
    let (old, beyond) = leads_to(v, to);
    let place = match old {
        Some(old) => places.get(old as usize).copied().unwrap_or_default(),
        None => {
            let last = places.last().copied().unwrap_or_default();
            last.saturating_add(beyond)
        }
    };
    let before = |step: &&Step| step.kept && step.old < old.unwrap_or(end);
    let inlined = draft.steps.iter().filter(before);
    let inlined = inlined.filter(|step| extra_stack::inlines_loop(v, step.old));
    let growth = (inlined.count() as u32).saturating_mul(INLINED_LOOP_GROWTH);
    (place, place.saturating_add(growth))
}

/// Which instruction the load of the function at `to` leads to, both by their old places; or how
/// many instructions beyond the end.
pub fn leads_to(v: &Verifier<'_>, to: u32) -> (Option<u32>, u32) {
    let target = settle(v, i64::from(to));
    // Which old instruction is there when all dead ones are gone.
    let alive = |at: &u32| v.aux.get(*at as usize).is_some_and(|aux| aux.seen);
    let end = v.insns.len() as u32;
    let index = usize::try_from(target).unwrap_or(usize::MAX);
    let old = (0..end).filter(alive).nth(index);
    let beyond = target.saturating_sub((0..end).filter(alive).count() as i64);
    (old, u32::try_from(beyond).unwrap_or_default())
}

/// Takes the dead stretches out one by one, from the front, and follows where `to` is.
fn settle(v: &Verifier<'_>, mut to: i64) -> i64 {
    let mut gone = 0i64;
    let mut at = 0usize;
    while at < v.aux.len() {
        let dead = v.aux[at..].iter().take_while(|aux| !aux.seen).count();
        let end = at as i64 - gone + dead as i64;
        if to >= end {
            to -= dead as i64;
        }
        gone += dead as i64;
        at += dead.max(1);
    }
    to
}

//! Where functions and source lines begin in the rewritten program.

use crate::context::Verifier;
use crate::env::Records;
use crate::rewrite::draft::Draft;

/// The bytes of a record that say where it begins.
const START: usize = 4;

/// Which slots are left.
pub(super) enum Alive {
    /// All, up to this one.
    All(u32),
    /// For each slot, the first one from there on that is left; `u32::MAX` for none.
    Next(Vec<u32>),
}

impl Alive {
    pub(super) fn of(draft: &Draft) -> Alive {
        let end = draft.step_of.len();
        if draft.steps.iter().all(|step| step.kept) {
            return Alive::All(end as u32);
        }
        let mut next = vec![u32::MAX; end];
        let mut found = u32::MAX;
        for at in (0..end).rev() {
            if draft.steps[draft.step_of[at] as usize].kept {
                found = at as u32;
            }
            next[at] = found;
        }
        Alive::Next(next)
    }

    fn from(&self, at: u32) -> Option<u32> {
        match self {
            Alive::All(end) => (at < *end).then_some(at),
            Alive::Next(next) => {
                let found = next.get(at as usize).copied();
                found.filter(|found| *found != u32::MAX)
            }
        }
    }
}

/// The records of functions that are left: the number of each, and where it begins now.
pub(super) fn functions(
    v: &Verifier<'_>,
    alive: &Alive,
    place: impl Fn(u32) -> u32,
) -> Vec<(u32, u32)> {
    let records = (0..).zip(offsets(v.request.func_info));
    let left = records.filter_map(|(record, old)| {
        let at = alive.from(old)?;
        (v.subprog_at(at) == v.subprog_at(old)).then(|| (record, place(at)))
    });
    left.collect()
}

/// The same of source lines. What a stretch of dead code leaves is the last of its lines, unless
/// a line begins where it ends.
pub(super) fn lines(
    v: &Verifier<'_>,
    alive: &Alive,
    place: impl Fn(u32) -> u32,
) -> Vec<(u32, u32)> {
    let mut records = (0..).zip(offsets(v.request.line_info)).peekable();
    let mut left = Vec::new();
    while let Some((record, old)) = records.next() {
        let Some(at) = alive.from(old) else {
            break;
        };
        let next = records.peek().map_or(u32::MAX, |(_, next)| *next);
        if at == old || next > at {
            left.push((record, place(at)));
        }
    }
    left
}

/// Where each record begins.
fn offsets(records: Records<'_>) -> impl Iterator<Item = u32> + '_ {
    records.iter().map(|record| {
        let start = record.first_chunk::<START>();
        start.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    })
}

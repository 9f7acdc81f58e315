//! In which order instructions are visited from behind, and which of them form loops.

use crate::context::Verifier;
use crate::setup::flow::successors;

/// Numbers the instructions of each function so that, loops aside, an instruction comes
/// after those that may follow it. Fills [`Verifier::postorder`].
///
/// A place is taken on the stack as soon as some instruction leads to it, so that of two
/// ways the jump is finished before the fall-through, whatever lies between them. This is
/// the order in which Linux's log lists changes of stack liveness.
pub fn postorder(v: &mut Verifier<'_>) {
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Progress {
        New,
        Found,
        Expanded,
    }
    let mut order = Vec::with_capacity(v.insns.len());
    let mut starts = Vec::with_capacity(v.subprogs.len());
    starts.push(0);
    let mut progress = vec![Progress::New; v.insns.len()];
    let mut stack = Vec::with_capacity(v.insns.len());
    for index in 0..v.subprog_count() {
        stack.push(v.range_of(index).start);
        while let Some(&top) = stack.last() {
            let known = &mut progress[top as usize];
            if std::mem::replace(known, Progress::Expanded) == Progress::Expanded {
                order.push(top);
                stack.pop();
                continue;
            }
            for next in successors(&v.insns, top) {
                let known = &mut progress[next as usize];
                if *known == Progress::New {
                    *known = Progress::Found;
                    stack.push(next);
                }
            }
        }
        starts.push(order.len() as u32);
    }
    v.postorder = order;
    v.postorder_starts = starts;
}

/// What the search for loops knows of one instruction.
#[derive(Clone, Copy, Default)]
struct Visit {
    /// The order of discovery, from 1; 0 for not yet.
    number: u32,
    /// The lowest number reachable through instructions whose loop is not yet closed.
    low: u32,
    /// Waits for its loop to be closed.
    waiting: bool,
}

/// Finds the strongly connected components of the control flow within functions and
/// numbers those that are loops, from 1, in the order in which they are completed.
pub fn components(v: &mut Verifier<'_>) {
    if !v.has_back_edge {
        return;
    }
    let count = v.insns.len();
    let mut visits = vec![Visit::default(); count];
    let mut waiting: Vec<u32> = Vec::with_capacity(count);
    let mut path: Vec<(u32, u8)> = Vec::with_capacity(count);
    let mut number = 0;
    let mut components = 0;
    for root in 0..count as u32 {
        if visits[root as usize].number == 0 {
            path.push((root, 0));
        }
        while let Some(&(insn, step)) = path.last() {
            let at = insn as usize;
            if step == 0 {
                number += 1;
                visits[at] = Visit {
                    number,
                    low: number,
                    waiting: true,
                };
                waiting.push(insn);
            }
            match successors(&v.insns, insn).nth(usize::from(step)) {
                Some(next) => {
                    if let Some(top) = path.last_mut() {
                        top.1 += 1;
                    }
                    let seen = visits[next as usize];
                    if seen.number == 0 {
                        path.push((next, 0));
                    } else if seen.waiting {
                        visits[at].low = visits[at].low.min(seen.number);
                    }
                }
                None => {
                    path.pop();
                    let own = visits[at];
                    if let Some(&(parent, _)) = path.last() {
                        let parent = &mut visits[parent as usize];
                        parent.low = parent.low.min(own.low);
                    }
                    if own.low == own.number {
                        close(v, &mut visits, &mut waiting, insn, &mut components);
                    }
                }
            }
        }
    }
    v.scc_count = components;
}

/// Takes one component off the waiting list; it gets a number when it is a loop.
fn close(
    v: &mut Verifier<'_>,
    visits: &mut [Visit],
    waiting: &mut Vec<u32>,
    root: u32,
    components: &mut u32,
) {
    let first = waiting.iter().rposition(|&w| w == root).unwrap_or(0);
    let members = waiting.len() - first;
    let is_loop = members > 1 || successors(&v.insns, root).any(|next| next == root);
    *components += u32::from(is_loop);
    for member in waiting.drain(first..) {
        visits[member as usize].waiting = false;
        v.aux[member as usize].scc = if is_loop { *components } else { 0 };
    }
}

//! Carries stack reads and writes over the control flow of a chain of calls.

use std::fmt::Write;

use crate::context::{MAX_CALL_FRAMES, Verifier};
use crate::liveness::stack::{Cell, SlotMask, StackLiveness};
use crate::log::LEVEL2;
use crate::setup::flow::successors;

/// Brings the current state's chain of calls up to date: the innermost function first,
/// then what it does to its callers' frames is noted at the call, and so on outwards.
/// Each function whose marks changed is propagated until nothing moves.
pub fn update(v: &mut Verifier<'_>) {
    let mut liveness = std::mem::take(&mut v.stack_liveness);
    let mut at = liveness.instance_of(&v.cur);
    while let Some(instance) = at {
        let caller = liveness.instances[instance].caller;
        if liveness.instances[instance].changed {
            settle(v, &mut liveness, instance);
            if let Some(caller) = caller {
                summarise(&mut liveness, instance, caller);
            }
        }
        at = caller;
    }
    v.stack_liveness = liveness;
}

/// Notes what one run of a function may read and must write at the call in its caller.
fn summarise(liveness: &mut StackLiveness, callee: usize, caller: usize) {
    let mut reads = [0; MAX_CALL_FRAMES];
    let mut writes = [0; MAX_CALL_FRAMES];
    let instance = &liveness.instances[callee];
    let callsite = instance.callsite;
    for frame in 0..instance.depth {
        if let Some(entry) = instance.cell(frame, instance.range.start) {
            reads[frame] = entry.live_before;
            writes[frame] = entry.written_after;
        }
    }
    let outer = &mut liveness.instances[caller];
    for (frame, &mask) in reads.iter().enumerate() {
        outer.add_read(frame, callsite, mask);
    }
    outer.add_visit(callsite, &writes);
}

/// Repeats passes over one function, last instructions first, until nothing changes.
fn settle(v: &mut Verifier<'_>, liveness: &mut StackLiveness, index: usize) {
    let chain = v.log.at(LEVEL2).then(|| chain_text(liveness, index));
    let instance = &mut liveness.instances[index];
    if std::mem::take(&mut instance.write_dropped) {
        for cell in instance
            .frames
            .iter_mut()
            .flatten()
            .flat_map(|f| f.iter_mut())
        {
            cell.written_after = 0;
        }
    }
    let range = instance.range;
    let order = v.postorder_of(range.index as usize);
    let mut passes = 0;
    let mut moved = true;
    while moved {
        moved = false;
        passes += 1;
        for frame in 0..instance.frames.len() {
            let Some(cells) = instance.frames[frame].as_mut() else {
                continue;
            };
            for &insn in &v.postorder[order.clone()] {
                let at = (insn - range.start) as usize;
                let old = cells[at];
                let new = join(&v.insns, cells, range.start, insn);
                cells[at] = new;
                if new == old {
                    continue;
                }
                moved = true;
                let shown = old.may_read | old.must_write != 0
                    || insn == 0
                    || v.aux[insn as usize].prune_point;
                if let Some(chain) = &chain
                    && shown
                {
                    print_change(&mut v.log, chain, frame, insn, &old, &new);
                }
            }
        }
    }
    instance.changed = false;
    if let Some(chain) = &chain {
        v.log.write(format_args!(
            "{chain} live stack update done in {passes} iterations\n"
        ));
    }
}

/// What holds before an instruction, from what holds before those that follow it.
fn join(insns: &[skep_isa::Insn], cells: &[Cell], start: u32, insn: u32) -> Cell {
    let own = cells[(insn - start) as usize];
    let mut after: Option<SlotMask> = None;
    let mut live = 0;
    for next in successors(insns, insn) {
        let next = next
            .checked_sub(start)
            .and_then(|at| cells.get(at as usize))
            .copied()
            .unwrap_or_default();
        after = Some(after.map_or(next.written_after, |mask| mask & next.written_after));
        live |= next.live_before;
    }
    Cell {
        written_after: after.unwrap_or(0) | own.must_write,
        live_before: live & !own.must_write | own.may_read,
        ..own
    }
}

/// `(4,6)`: the calls of a chain, outermost first, and where the function begins.
fn chain_text(liveness: &StackLiveness, index: usize) -> String {
    let mut calls = Vec::new();
    let mut at = index;
    while let Some(caller) = liveness.instances[at].caller {
        calls.push(liveness.instances[at].callsite);
        at = caller;
    }
    let mut text = String::from("(");
    for call in calls.iter().rev() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{call},");
    }
    let _ = write!(text, "{})", liveness.instances[index].range.start);
    text
}

/// Prints what was gained and lost at one instruction, as Linux words it.
fn print_change(
    log: &mut crate::log::Log,
    chain: &str,
    frame: usize,
    insn: u32,
    old: &Cell,
    new: &Cell,
) {
    let pairs = [
        ("live", old.live_before, new.live_before),
        ("written", old.written_after, new.written_after),
    ];
    for (what, old, new) in pairs {
        let (gained, lost) = (new & !old, old & !new);
        if gained | lost == 0 {
            continue;
        }
        log.write(format_args!("{chain} frame {frame} insn {insn} "));
        if gained != 0 {
            log.write(format_args!("+{what} {} ", slots_text(gained)));
        }
        if lost != 0 {
            log.write(format_args!("-{what} {}", slots_text(lost)));
        }
        log.write(format_args!("\n"));
    }
}

/// `-8,-16`: the offsets of a set of slots.
fn slots_text(mask: SlotMask) -> String {
    let mut text = String::new();
    for slot in (0..64).filter(|slot| mask >> slot & 1 != 0) {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{}", -8 * (slot + 1));
    }
    text
}

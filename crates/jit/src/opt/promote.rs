//! Which pieces of the frame can be values: those whose address goes nowhere.

use std::collections::BTreeMap;

use skep_isa::Size;

use crate::build::{Built, Slot, Slots};
use crate::ir::{Func, Op, Term, Val};

/// The slots of a function that can be promoted, by the accesses of a first, simplified
/// build of it.
pub(crate) fn promotable(built: &mut Built) -> Slots {
    let mut slots = Slots::default();
    if escapes(&mut built.func) {
        return slots;
    }
    // Every access by its place; places that overlap in any other way than wholly are left.
    let mut places: BTreeMap<i32, (Size, Vec<u32>)> = BTreeMap::new();
    let mut bad: Vec<(i32, i32)> = Vec::new();
    let mut insns = BTreeMap::new();
    for (insn, v) in &built.accesses {
        insns.insert(*v, *insn);
    }
    for (v, op) in built.func.ops.iter().enumerate() {
        let v = Val(v as u32);
        let (size, addr, off) = match *op {
            Op::Load {
                size, addr, off, ..
            }
            | Op::Store {
                size, addr, off, ..
            } => (size, addr, off),
            Op::Atomic {
                size, addr, off, ..
            } => (size, addr, off),
            _ => continue,
        };
        let Op::Frame(base) = built.func.op(addr) else {
            continue;
        };
        let start = base + off;
        let Some(insn) = insns.get(&v) else {
            bad.push((start, start + size.bytes() as i32));
            continue;
        };
        let place = places.entry(start).or_insert((size, Vec::new()));
        if place.0 == size {
            place.1.push(*insn);
        } else {
            bad.push((start, start + size.bytes().max(place.0.bytes()) as i32));
        }
    }
    let ranges: Vec<(i32, i32)> = places
        .iter()
        .map(|(start, (size, _))| (*start, start + size.bytes() as i32))
        .collect();
    let mut best: Vec<(Slot, Vec<u32>)> = Vec::new();
    for (start, (size, insns)) in places {
        let end = start + size.bytes() as i32;
        let meets = |(s, e): &(i32, i32)| *s < end && start < *e;
        if bad.iter().any(meets) || ranges.iter().filter(|r| meets(r)).count() > 1 {
            continue;
        }
        best.push(((start, size), insns));
    }
    // When there are too many, those with the most accesses.
    best.sort_by_key(|(_, insns)| std::cmp::Reverse(insns.len()));
    best.truncate(Slots::MAX);
    for (index, (slot, insns)) in best.into_iter().enumerate() {
        slots.slots.push(slot);
        slots
            .by_insn
            .extend(insns.into_iter().map(|insn| (insn, index)));
    }
    slots
}

/// Whether an address on the frame is used for anything but a direct access.
fn escapes(func: &mut Func) -> bool {
    let is_frame: Vec<bool> = func
        .ops
        .iter()
        .map(|op| matches!(op, Op::Frame(_)))
        .collect();
    let mut escapes = false;
    for i in 0..func.blocks.len() {
        for &v in &func.blocks[i].insts {
            let mut op = func.ops[v.at()];
            match &mut op {
                Op::Load { .. } => continue,
                Op::Store { value, .. } => escapes |= is_frame[value.at()],
                Op::Atomic {
                    operand, expected, ..
                } => {
                    escapes |= is_frame[operand.at()] | is_frame[expected.at()];
                }
                Op::Phi => escapes |= func.phis[v.at()].iter().any(|o| is_frame[o.at()]),
                op => op.visit(&mut |o| escapes |= is_frame[o.at()]),
            }
        }
        if let Term::Return(v) = func.blocks[i].term {
            escapes |= is_frame[v.at()];
        }
    }
    escapes
}

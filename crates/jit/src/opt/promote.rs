//! Which pieces of the frame can be values: those whose address goes nowhere.

use std::collections::BTreeMap;

use skep_isa::{Op as Isa, Operand, Reg, Size};

use crate::build::{Built, Code, Slot, Slots};
use crate::ir::{Func, Op, Term};

/// The slots that can be promoted of a function that only ever touches its frame by offsets from
/// the frame pointer; `None` when it does otherwise, so that the addresses must be found.
pub(crate) fn plainly_promotable(code: &Code, probed: &[u32]) -> Option<Slots> {
    let mut found = Accesses::default();
    let fp = |operand: Operand| operand == Operand::Reg(Reg::FP);
    for &(at, op) in &code.ops {
        let (size, off) = match op {
            Isa::Load {
                size, base, off, ..
            } if base == Reg::FP => (size, off),
            Isa::Store {
                size,
                base,
                off,
                src,
            } if base == Reg::FP && !fp(src) => (size, off),
            Isa::Load { .. } | Isa::LoadImm64 { .. } | Isa::LoadPseudo { .. } => continue,
            Isa::Store { src, .. }
            | Isa::Alu { src, .. }
            | Isa::Mov { src, .. }
            | Isa::Branch { src, .. }
                if !fp(src) =>
            {
                continue;
            }
            Isa::Neg { .. } | Isa::Swap { .. } | Isa::MovSx { .. } => continue,
            Isa::Jump { .. } | Isa::MayGoto { .. } | Isa::Exit => continue,
            Isa::CallHelper { .. } | Isa::CallSub { .. } | Isa::Nospec => continue,
            _ => return None,
        };
        if probed.binary_search(&at).is_ok() {
            return None;
        }
        found.add(off.into(), size, at);
    }
    let jumps = code.ops.iter().filter(|(_, op)| {
        matches!(
            op,
            Isa::Jump { .. } | Isa::Branch { .. } | Isa::MayGoto { .. }
        )
    });
    Some(found.slots(2 * jumps.count() + 1))
}

/// Accesses to the frame by their places.
#[derive(Default)]
struct Accesses {
    places: BTreeMap<i32, (Size, Vec<u32>)>,
    /// Stretches that are accessed in a way that does not allow to promote them.
    bad: Vec<(i32, i32)>,
}

impl Accesses {
    fn add(&mut self, start: i32, size: Size, insn: u32) {
        let place = self.places.entry(start).or_insert((size, Vec::new()));
        if size.bytes() > place.0.bytes() {
            place.0 = size;
        }
        place.1.push(insn);
    }

    /// The places that can be promoted: those that overlap no others.
    /// When there are too many for so many blocks, those with the most accesses.
    fn slots(self, blocks: usize) -> Slots {
        let ranges: Vec<(i32, i32)> = self
            .places
            .iter()
            .map(|(start, (size, _))| (*start, start + size.bytes() as i32))
            .collect();
        let mut best: Vec<(Slot, Vec<u32>)> = Vec::new();
        for (at, (start, (size, insns))) in self.places.into_iter().enumerate() {
            let end = start + size.bytes() as i32;
            let meets = |(s, e): &(i32, i32)| *s < end && start < *e;
            // No place is longer than eight bytes, so that only near ones meet this one.
            let near = &ranges[at.saturating_sub(8)..ranges.len().min(at + 9)];
            if self.bad.iter().any(meets) || near.iter().filter(|r| meets(r)).count() > 1 {
                continue;
            }
            best.push(((start, size), insns));
        }
        best.sort_by_key(|(_, insns)| std::cmp::Reverse(insns.len()));
        best.truncate(Slots::most(blocks));
        Slots::new(best)
    }
}

/// The slots of a function that can be promoted, by the accesses of a first, simplified
/// build of it.
pub(crate) fn promotable(built: &mut Built) -> Slots {
    if escapes(&mut built.func) {
        return Slots::default();
    }
    let mut found = Accesses::default();
    let mut insns = vec![None; built.func.ops.len()];
    for (insn, v) in &built.accesses {
        insns[v.at()] = Some(*insn);
    }
    for (op, insn) in built.func.ops.iter().zip(insns) {
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
        match insn {
            Some(insn) => found.add(start, size, insn),
            None => found.bad.push((start, start + size.bytes() as i32)),
        }
    }
    found.slots(built.func.blocks.len())
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

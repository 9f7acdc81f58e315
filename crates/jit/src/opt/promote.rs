//! Which pieces of the frame can be values: those whose address goes nowhere.

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

/// Accesses to the frame.
#[derive(Default)]
struct Accesses {
    /// Where each begins, of which size it is, and the instruction.
    all: Vec<(i32, Size, u32)>,
    /// Stretches that are accessed in a way that does not allow to promote them.
    bad: Vec<(i32, i32)>,
}

/// A place of the frame by where it begins: its longest access, and all as a range of
/// [`Accesses::all`] in order.
struct Place {
    start: i32,
    size: Size,
    accesses: std::ops::Range<usize>,
}

impl Place {
    fn end(&self) -> i32 {
        self.start + self.size.bytes() as i32
    }
}

impl Accesses {
    fn add(&mut self, start: i32, size: Size, insn: u32) {
        self.all.push((start, size, insn));
    }

    /// The places in their order.
    fn places(&mut self) -> Vec<Place> {
        self.sort();
        let mut places: Vec<Place> = Vec::new();
        for (at, (start, size, _)) in self.all.iter().enumerate() {
            match places.last_mut() {
                Some(place) if place.start == *start => {
                    if size.bytes() > place.size.bytes() {
                        place.size = *size;
                    }
                    place.accesses.end = at + 1;
                }
                _ => places.push(Place {
                    start: *start,
                    size: *size,
                    accesses: at..at + 1,
                }),
            }
        }
        places
    }

    /// Puts those together that begin at the same place, in the order of the places.
    fn sort(&mut self) {
        let starts = || self.all.iter().map(|(start, ..)| *start);
        let (first, last) = (starts().min().unwrap_or(0), starts().max().unwrap_or(0));
        let span = last.abs_diff(first) as usize + 1;
        // Frames are small, so that there are far fewer places than accesses, or few of both.
        if span > self.all.len() {
            return self.all.sort_unstable_by_key(|(start, ..)| *start);
        }
        let mut ends = vec![0u32; span];
        starts().for_each(|start| ends[start.abs_diff(first) as usize] += 1);
        let mut so_far = 0;
        for end in &mut ends {
            so_far += std::mem::replace(end, so_far);
        }
        let mut sorted = self.all.clone();
        for access in &self.all {
            let end = &mut ends[access.0.abs_diff(first) as usize];
            sorted[*end as usize] = *access;
            *end += 1;
        }
        self.all = sorted;
    }

    /// The places that can be promoted: those that overlap no others.
    /// When there are too many for so many blocks, those with the most accesses.
    fn slots(mut self, blocks: usize) -> Slots {
        if self.all.is_empty() {
            return Slots::default();
        }
        let places = self.places();
        let mut best: Vec<&Place> = Vec::with_capacity(places.len());
        for (at, place) in places.iter().enumerate() {
            let meets = |start: i32, end: i32| start < place.end() && place.start < end;
            // No place is longer than eight bytes, so that only near ones meet this one.
            let near = &places[at.saturating_sub(8)..places.len().min(at + 9)];
            let near = near.iter().filter(|other| meets(other.start, other.end()));
            if self.bad.iter().any(|(start, end)| meets(*start, *end)) || near.count() > 1 {
                continue;
            }
            best.push(place);
        }
        best.sort_by_key(|place| std::cmp::Reverse(place.accesses.len()));
        best.truncate(Slots::most(blocks));
        let all = &self.all;
        Slots::new(best.iter().map(|place| {
            let slot: Slot = (place.start, place.size);
            let insns = all[place.accesses.clone()].iter();
            (slot, insns.map(|(_, _, insn)| *insn))
        }))
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
                    escapes |= is_frame[operand.at()];
                    escapes |= expected.is_some_and(|o| is_frame[o.at()]);
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

//! What is known of a function before it has values: its instructions and blocks, and which
//! registers and promoted slots matter where.

use skep_isa::{AtomicOp, Insn, Op as Isa, Operand, Reg, Size, decode};
use skep_verifier::Executable;

use super::helper;
use crate::Facts;
use crate::error::Unsupported;

/// Registers that are variables: r0 to r9. Promoted slots follow.
pub(super) const REGS: usize = 10;

/// The most variables of all blocks of a function together, beyond the few that each may have.
const MAX_VARS: usize = 1 << 15;

/// A piece of the frame that is only accessed from its start on: bytes above the frame pointer
/// (so negative), and the size of its longest accesses.
pub(crate) type Slot = (i32, Size);

/// Everything that is known before a function is built.
pub(crate) struct Source<'a> {
    pub executable: &'a Executable,
    pub facts: &'a dyn Facts,
    /// Which of r1 to r5 each function reads, one bit each, bit 0 for r1.
    pub reads: &'a [u8],
}

/// The instructions of one function with their slot indices.
pub(crate) struct Code {
    pub ops: Vec<(u32, Isa)>,
    pub start: u32,
    pub end: u32,
}

impl Code {
    pub(crate) fn decode(insns: &[Insn], start: u32, end: u32) -> Result<Code, Unsupported> {
        let mut ops = Vec::with_capacity(end.saturating_sub(start) as usize);
        let mut at = start;
        while at < end {
            let op = decode(insns, at as usize).map_err(|_| Unsupported {
                at,
                what: "an undecodable slot",
            })?;
            ops.push((at, op));
            at += op.slots() as u32;
        }
        Ok(Code { ops, start, end })
    }
}

/// The slot that the jump at `at` goes to.
pub(super) fn target(at: u32, delta: i32) -> u32 {
    (i64::from(at) + 1 + i64::from(delta)) as u32
}

/// How many arguments a helper reads, as far as the catalog knows.
pub(super) fn arg_count(id: i32) -> u8 {
    // What follows the format is not in its prototype.
    if id == helper::TRACE_PRINTK {
        return 5;
    }
    let known = u32::try_from(id).ok().and_then(skep_catalog::helper);
    known.map_or(5, |helper| {
        let used = |arg: &skep_catalog::Arg| arg.kind != skep_catalog::ArgKind::None;
        helper
            .args
            .iter()
            .rposition(used)
            .map_or(0, |last| last as u8 + 1)
    })
}

/// Registers read and written by an instruction, as masks, and the promoted slots.
#[derive(Default)]
struct Uses {
    registers: (u64, u64),
    slots: (Option<usize>, Option<usize>),
}

/// Variables read and written by an instruction.
fn uses(source: &Source<'_>, slots: &Slots, at: u32, op: &Isa) -> Uses {
    let o = |operand: Operand| match operand {
        Operand::Reg(reg) => bit(reg),
        Operand::Imm(_) => 0,
    };
    let slot = slots.at(at);
    match (*op, slot) {
        (Isa::Load { dst, .. }, Some(_)) => Uses {
            registers: (0, bit(dst)),
            slots: (slot, None),
        },
        // Of a slot that is only written in part, the rest stays.
        (Isa::Store { src, size, .. }, Some(var)) => Uses {
            registers: (o(src), 0),
            slots: (slot.filter(|_| slots.size(var) != Some(size)), slot),
        },
        // The key of a lookup may be in a promoted slot.
        (Isa::CallHelper { .. }, Some(_)) => Uses {
            registers: registers(source, at, op),
            slots: (slot, None),
        },
        _ => Uses {
            registers: registers(source, at, op),
            slots: (None, None),
        },
    }
}

fn bit(reg: Reg) -> u64 {
    if reg.index() < REGS {
        1 << reg.index()
    } else {
        0
    }
}

/// Registers read and written by an instruction that accesses no promoted slot.
fn registers(source: &Source<'_>, at: u32, op: &Isa) -> (u64, u64) {
    let r = bit;
    let o = |operand: Operand| match operand {
        Operand::Reg(reg) => r(reg),
        Operand::Imm(_) => 0,
    };
    const CLOBBERED: u64 = 0x3f;
    match *op {
        Isa::Alu { dst, src, .. } => (r(dst) | o(src), r(dst)),
        Isa::Neg { dst, .. } | Isa::Swap { dst, .. } => (r(dst), r(dst)),
        Isa::Mov { dst, src, .. } => (o(src), r(dst)),
        Isa::MovSx { dst, src, .. }
        | Isa::AddrSpaceCast { dst, src, .. }
        | Isa::PercpuAddr { dst, src } => (r(src), r(dst)),
        Isa::LoadImm64 { dst, .. } | Isa::LoadPseudo { dst, .. } => (0, r(dst)),
        Isa::Packet { index, .. } => (r(reg(6)) | index.map_or(0, r), CLOBBERED),
        Isa::Load { dst, base, .. } | Isa::LoadAcquire { dst, base, .. } => (r(base), r(dst)),
        Isa::Store { base, src, .. } => (r(base) | o(src), 0),
        Isa::StoreRelease { base, src, .. } => (r(base) | r(src), 0),
        Isa::Atomic {
            base,
            src,
            op,
            fetch,
            ..
        } => {
            let old = match op {
                AtomicOp::Cmpxchg => 1,
                _ if fetch => r(src),
                _ => 0,
            };
            let expected = if op == AtomicOp::Cmpxchg { 1 } else { 0 };
            (r(base) | r(src) | expected, old)
        }
        Isa::Branch { dst, src, .. } => (r(dst) | o(src), 0),
        Isa::Jump { .. } | Isa::MayGoto { .. } | Isa::Nospec => (0, 0),
        Isa::CallHelper { id } => (((1 << arg_count(id)) - 1) << 1, CLOBBERED),
        Isa::CallSub { delta } => {
            let reads = function_at(source.executable, target(at, delta))
                .and_then(|f| source.reads.get(f).copied());
            (u64::from(reads.unwrap_or(0x1f)) << 1, CLOBBERED)
        }
        Isa::CallKfunc { .. } => (0x3e, CLOBBERED),
        Isa::Exit => (1, 0),
    }
}

pub(super) fn reg(number: u8) -> Reg {
    Reg::new(number).unwrap_or(Reg::R0)
}

pub(super) fn function_at(executable: &Executable, slot: u32) -> Option<usize> {
    executable.subprograms.iter().position(|s| s.start == slot)
}

/// Which accesses go to promoted slots.
#[derive(Default)]
pub(crate) struct Slots {
    /// The promoted slots, in the order of their variables.
    pub slots: Vec<Slot>,
    /// For the instructions from this slot index on the number of the slot, or no slot's.
    first: u32,
    by_insn: Vec<u16>,
}

impl Slots {
    /// Slots, each with the instructions that access it.
    pub(crate) fn new<I: Iterator<Item = u32>>(
        found: impl Iterator<Item = (Slot, I)> + Clone,
    ) -> Slots {
        let insns = || found.clone().flat_map(|(_, insns)| insns);
        let first = insns().min().unwrap_or(0);
        let count = insns().max().map_or(0, |last| last - first + 1);
        let mut by_insn = vec![u16::MAX; count as usize];
        for (index, (_, insns)) in found.clone().enumerate() {
            for insn in insns {
                by_insn[(insn - first) as usize] = index as u16;
            }
        }
        Slots {
            slots: found.map(|(slot, _)| slot).collect(),
            first,
            by_insn,
        }
    }

    /// How many slots can be promoted in a function of so many blocks.
    pub(crate) fn most(blocks: usize) -> usize {
        const FEW: usize = 54;
        (MAX_VARS / blocks.max(1)).max(FEW)
    }

    /// The size of the slot that is this variable.
    pub(super) fn size(&self, var: usize) -> Option<Size> {
        Some(self.slots.get(var.checked_sub(REGS)?)?.1)
    }

    /// How many variables there are.
    pub(super) fn vars(&self) -> usize {
        REGS + self.slots.len()
    }

    pub(super) fn at(&self, insn: u32) -> Option<usize> {
        let index = self.by_insn.get(insn.wrapping_sub(self.first) as usize)?;
        (*index != u16::MAX).then_some(REGS + usize::from(*index))
    }
}

/// The blocks of a function before they have values.
pub(super) struct Shape {
    /// For each block its instructions as a range of [`Code::ops`].
    pub(super) ranges: Vec<(usize, usize)>,
    pub(super) succs: Vec<[Option<usize>; 2]>,
    /// Variables whose value matters at the start of each block, as masks of so many words.
    live: Vec<u64>,
    words: usize,
}

impl Shape {
    /// Whether the value of a variable matters at the start of a block.
    pub(super) fn is_live(&self, block: usize, var: usize) -> bool {
        self.live[block * self.words + var / 64] >> (var % 64) & 1 != 0
    }
}

pub(super) fn shape(source: &Source<'_>, slots: &Slots, code: &Code) -> Result<Shape, Unsupported> {
    // For each slot the block that begins there.
    const NONE: u32 = u32::MAX;
    let mut starting = vec![NONE; (code.end - code.start) as usize + 1];
    let mut lead = |at: u32, from: u32| match at.checked_sub(code.start) {
        Some(i) if at < code.end => {
            starting[i as usize] = 0;
            Ok(())
        }
        _ => Err(Unsupported {
            at: from,
            what: "a jump out of the function",
        }),
    };
    lead(code.start, code.start)?;
    for &(at, op) in &code.ops {
        let after = at + op.slots() as u32;
        match op {
            Isa::Jump { delta } => lead(target(at, delta), at)?,
            Isa::Branch { delta, .. } | Isa::MayGoto { delta } => {
                lead(target(at, delta.into()), at)?;
                lead(after, at)?;
            }
            Isa::Exit => {}
            _ => continue,
        }
        if after < code.end {
            lead(after, at)?;
        }
    }
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut seen = 0;
    for (i, &(at, _)) in code.ops.iter().enumerate() {
        let slot = (at - code.start) as usize;
        // The second slot of an instruction begins no block.
        starting[seen..slot].fill(NONE);
        seen = slot + 1;
        if starting[slot] != NONE {
            if let Some(last) = ranges.last_mut() {
                last.1 = i;
            }
            starting[slot] = ranges.len() as u32;
            ranges.push((i, code.ops.len()));
        }
    }
    starting[seen..].fill(NONE);
    let find = |at: u32, from: u32| {
        let slot = at.checked_sub(code.start).map(|slot| slot as usize);
        match slot.and_then(|slot| starting.get(slot)) {
            Some(block) if *block != NONE => Ok(*block as usize),
            _ => Err(Unsupported {
                at: from,
                what: "a jump into an instruction",
            }),
        }
    };
    let mut succs = Vec::with_capacity(ranges.len());
    for &(_, end) in &ranges {
        let Some(&(at, op)) = code.ops.get(end - 1) else {
            continue;
        };
        let after = at + op.slots() as u32;
        succs.push(match op {
            Isa::Exit => [None, None],
            Isa::Jump { delta } => [Some(find(target(at, delta), at)?), None],
            Isa::Branch { delta, .. } | Isa::MayGoto { delta } => [
                Some(find(target(at, delta.into()), at)?),
                Some(find(after, at)?),
            ],
            _ => [Some(find(after, at)?), None],
        });
    }
    let words = slots.vars().div_ceil(64);
    let (mut reads, mut writes) = (vec![0; ranges.len() * words], vec![0; ranges.len() * words]);
    for (block, &(start, end)) in ranges.iter().enumerate() {
        let reads = &mut reads[block * words..][..words];
        let writes = &mut writes[block * words..][..words];
        for (at, op) in &code.ops[start..end] {
            let Uses { registers, slots } = uses(source, slots, *at, op);
            reads[0] |= registers.0 & !writes[0];
            writes[0] |= registers.1;
            if let Some(var) = slots.0 {
                reads[var / 64] |= 1 << (var % 64) & !writes[var / 64];
            }
            if let Some(var) = slots.1 {
                writes[var / 64] |= 1 << (var % 64);
            }
        }
    }
    let mut live: Vec<u64> = vec![0; ranges.len() * words];
    let mut changed = true;
    while changed {
        changed = false;
        for block in (0..ranges.len()).rev() {
            for word in 0..words {
                let at = block * words + word;
                let next = |s: &usize| live[s * words + word];
                let out = succs[block]
                    .iter()
                    .flatten()
                    .map(next)
                    .fold(0, |m, s| m | s);
                let now = reads[at] | (out & !writes[at]);
                changed |= now != live[at];
                live[at] = now;
            }
        }
    }
    Ok(Shape {
        ranges,
        succs,
        live,
        words,
    })
}

/// Which of r1 to r5 a function reads, given what is known of those that it calls.
pub(crate) fn params(source: &Source<'_>, code: &Code) -> Result<u8, Unsupported> {
    let shape = shape(source, &Slots::default(), code)?;
    Ok((shape.live.first().copied().unwrap_or(0) >> 1) as u8 & 0x1f)
}

//! Addresses in an arena: what a program computes with them, and where it uses them.
//!
//! In the rewritten program such an address is the low half of the one that the arena's user
//! knows, with zeros above. What keeps accesses inside is not that, but that engines look at
//! the low half only: one instruction may meet addresses on one path and numbers on another.

use skep_abi::MapFlags;
use skep_isa::{Insn, alu as op, class};

use crate::context::Verifier;
use crate::rewrite::draft::{Draft, Step};
use crate::state::Kind;

/// The offset of a move that is a cast, and what it says of one out of the user's space.
const CAST: i16 = 1;
const TO_KERNEL: i32 = 1;

/// Makes 32-bit instructions of casts and of arithmetic.
pub fn convert(v: &Verifier<'_>, draft: &mut Draft) {
    if v.arena().is_none() {
        return;
    }
    for step in draft.steps.iter_mut().filter(|step| step.kept) {
        let before = step.insn;
        // Linux takes numbers for addresses here, of which the verifier then knows something
        // wrong.
        if !v.aux[step.old as usize].on_number {
            convert_one(v, step.old, &mut step.insn);
        }
        let shifts = matches!(before.op(), op::LSH | op::RSH | op::ARSH);
        if step.insn.code != before.code && shifts && !before.is_src_reg() {
            // A distance that has become too long goes around, as on the machine.
            step.insn.imm &= 31;
        }
    }
}

/// What Linux makes of the instruction that was at `old`.
pub fn convert_one(v: &Verifier<'_>, old: u32, insn: &mut Insn) {
    let aux = &v.aux[old as usize];
    if insn.class() != class::ALU64 {
        return;
    }
    let is_cast = insn.op() == op::MOV && insn.is_src_reg() && insn.off == CAST;
    if !is_cast && !aux.on_arena {
        return;
    }
    let Some(arena) = v.arena() else { return };
    let keeps_user = MapFlags(arena.flags).contains(MapFlags::NO_USER_CONV);
    if is_cast && (insn.imm == TO_KERNEL || keeps_user) {
        (insn.off, insn.imm) = (0, 0);
        insn.code = insn.code & !0x7 | class::ALU;
    } else if aux.on_arena {
        insn.code = insn.code & !0x7 | class::ALU;
    }
}

/// Whether an instruction accesses the arena.
pub fn is_access(v: &Verifier<'_>, step: &Step) -> bool {
    let kind = v.aux[step.old as usize].ptr_kind;
    let accesses = matches!(step.insn.class(), class::LDX | class::ST | class::STX);
    accesses && kind.is_some_and(|(kind, _)| kind == Kind::Arena)
}

//! Addresses in an arena: what a program computes with them, and where it uses them.
//!
//! In the rewritten program such an address is the low half of the one that the arena's user
//! knows, with zeros above. What keeps accesses inside is not that, but that engines look at
//! the low half only: one instruction may meet addresses on one path and numbers on another.

use skep_abi::MapFlags;
use skep_isa::{alu as op, class};

use crate::context::Verifier;
use crate::rewrite::draft::{Draft, Step};
use crate::state::Kind;

/// The offset of a move that is a cast, and what it says of one out of the user's space.
const CAST: i16 = 1;
const TO_KERNEL: i32 = 1;

/// Makes 32-bit instructions of casts and of arithmetic.
pub fn convert(v: &Verifier<'_>, draft: &mut Draft) {
    let Some(arena) = v.arena() else { return };
    let keeps_user = MapFlags(arena.flags).contains(MapFlags::NO_USER_CONV);
    for step in draft.steps.iter_mut().filter(|step| step.kept) {
        let insn = &mut step.insn;
        let aux = &v.aux[step.old as usize];
        if insn.class() != class::ALU64 {
            continue;
        }
        let is_cast = insn.op() == op::MOV && insn.is_src_reg() && insn.off == CAST;
        if is_cast && (insn.imm == TO_KERNEL || keeps_user) {
            (insn.off, insn.imm) = (0, 0);
            insn.code = insn.code & !0x7 | class::ALU;
        } else if aux.on_arena && !aux.on_number {
            // Linux does so for numbers, too, of which the verifier then knows something wrong.
            insn.code = insn.code & !0x7 | class::ALU;
            if matches!(insn.op(), op::LSH | op::RSH | op::ARSH) && !insn.is_src_reg() {
                // A distance that has become too long goes around, as on the machine.
                insn.imm &= 31;
            }
        }
    }
}

/// Whether an instruction accesses the arena.
pub fn is_access(v: &Verifier<'_>, step: &Step) -> bool {
    let kind = v.aux[step.old as usize].ptr_kind;
    let accesses = matches!(step.insn.class(), class::LDX | class::ST | class::STX);
    accesses && kind.is_some_and(|(kind, _)| kind == Kind::Arena)
}

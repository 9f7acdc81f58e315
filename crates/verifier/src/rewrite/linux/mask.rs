//! Masks of pointer arithmetic: an offset that a mispredicted branch lets grow too large
//! becomes zero.

use skep_isa::{Insn, alu};

use super::{AX, Writer};
use crate::context::alu_state;
use crate::rewrite::draft::Step;

impl Writer<'_, '_> {
    /// Writes pointer arithmetic with its mask, when it needs one.
    pub(super) fn masked(&mut self, step: &Step, insn: Insn) -> bool {
        let sanitation = self.v.aux[step.old as usize].alu;
        let has = |bit: u32| sanitation.state & bit != 0;
        if !matches!(insn.op(), alu::ADD | alu::SUB)
            || sanitation.state == 0
            || has(alu_state::NON_POINTER)
        {
            return false;
        }
        let in_source = has(alu_state::SANITIZE_SRC);
        let offset = if in_source { insn.src } else { insn.dst };
        let negative = has(alu_state::NEG_VALUE);
        if has(alu_state::IMMEDIATE) {
            self.out.push(Insn::mov32_imm(AX, sanitation.limit as i32));
        } else {
            if negative {
                self.out.push(Insn::alu64_imm(alu::MUL, offset, -1));
            }
            self.out.extend([
                Insn::mov32_imm(AX, sanitation.limit as i32),
                Insn::alu64_reg(alu::SUB, AX, offset),
                Insn::alu64_reg(alu::OR, AX, offset),
                Insn::alu64_imm(alu::NEG, AX, 0),
                Insn::alu64_imm(alu::ARSH, AX, 63),
                Insn::alu64_reg(alu::AND, AX, offset),
            ]);
        }
        if !in_source {
            self.out.push(Insn::mov64_reg(insn.dst, insn.src));
        }
        // A negative offset is masked by its size, so what was added is taken away.
        let op = match (negative, insn.op()) {
            (false, op) => op,
            (true, alu::ADD) => alu::SUB,
            (true, _) => alu::ADD,
        };
        self.out.push(Insn::alu64_reg(op, insn.dst, AX));
        if negative && in_source && !has(alu_state::IMMEDIATE) {
            self.out.push(Insn::alu64_imm(alu::MUL, offset, -1));
        }
        true
    }
}

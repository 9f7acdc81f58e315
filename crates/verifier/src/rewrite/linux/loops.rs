//! `bpf_loop` as a loop, and `may_goto` with the count that bounds it.

use skep_isa::{Insn, alu, class, jmp, pseudo, size};

use super::{AX, FP, Form, Writer};
use crate::rewrite::draft::Step;
use crate::setup::flow;

/// The most rounds of `bpf_loop`.
const MAX_LOOPS: i32 = 8 << 20;
/// How often `may_goto` goes on before time is looked at.
const ROUNDS: i32 = 65535;

impl Writer<'_, '_> {
    /// Bytes of a function's stack, with what the loops written out in it need.
    fn stack_with_loops(&self, index: usize) -> i16 {
        let depth = self.v.subprogs[index].stack_depth;
        match self.functions[index].inlines {
            true => depth.next_multiple_of(8) as i16 + 24,
            false => depth as i16,
        }
    }

    /// What a function with `may_goto` begins with: the count, and no time yet.
    pub(super) fn bound_loops(&mut self, index: usize) {
        if self.functions[index].bounded {
            let below = self.stack_with_loops(index);
            self.out.extend([
                Insn::st(size::DW, FP, -below - 16, ROUNDS),
                Insn::st(size::DW, FP, -below - 8, 0),
            ]);
        }
    }

    /// A jump that is taken when the count or the time is up.
    pub(super) fn may_goto(&mut self, step: &Step) {
        let index = self.v.subprog_at(step.old);
        let count = -self.stack_with_loops(index) - 16;
        self.out.push(Insn::ldx(size::DW, AX, FP, count));
        self.lead(step.target, Form::Jump);
        self.out.extend([
            Insn::jmp_imm(jmp::JEQ, AX, 0, 0),
            Insn::alu64_imm(alu::SUB, AX, 1),
            Insn::jmp_imm(jmp::JNE, AX, 0, 2),
            Insn::mov64_imm(AX, i32::from(count)),
            Insn::call_helper(0),
            Insn::stx(size::DW, FP, AX, count),
        ]);
    }

    /// A call of `bpf_loop` whose callback is known, as a loop around calls of that.
    pub(super) fn inlined_loop(&mut self, step: &Step, callback: u32) {
        const E2BIG: i32 = -7;
        let index = self.v.subprog_at(step.old);
        let depth = self.v.subprogs[index].stack_depth.next_multiple_of(8);
        let base = -(depth as i16) - 24;
        self.out.extend([
            Insn::jmp_imm(jmp::JLE, 1, MAX_LOOPS, 2),
            Insn::mov32_imm(0, E2BIG),
            Insn::goto(16),
            Insn::stx(size::DW, FP, 6, base),
            Insn::stx(size::DW, FP, 7, base + 8),
            Insn::stx(size::DW, FP, 8, base + 16),
            Insn::mov64_reg(6, 1),
            Insn::mov32_imm(7, 0),
            Insn::mov64_reg(8, 3),
            Insn::new(class::JMP | jmp::JGE | skep_isa::src::X, 7, 6, 5, 0),
            Insn::mov64_reg(1, 7),
            Insn::mov64_reg(2, 8),
        ]);
        let start = self.v.subprogs.get(callback as usize).map(|s| s.start);
        self.lead(start, Form::Call);
        self.out.extend([
            Insn::new(flow::CALL, 0, pseudo::CALL, 0, 0),
            Insn::alu64_imm(alu::ADD, 7, 1),
            Insn::jmp_imm(jmp::JEQ, 0, 0, -6),
            Insn::mov64_reg(0, 7),
            Insn::ldx(size::DW, 6, FP, base),
            Insn::ldx(size::DW, 7, FP, base + 8),
            Insn::ldx(size::DW, 8, FP, base + 16),
        ]);
    }
}

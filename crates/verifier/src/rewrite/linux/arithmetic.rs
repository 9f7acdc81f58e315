//! Divisions, which trap on x86 where BPF gives a number, and arithmetic on addresses.

use skep_isa::{Insn, alu, class, jmp, src};

use super::{AX, Writer};
use crate::rewrite::arena;
use crate::rewrite::draft::Step;

/// The offset of a signed division or remainder.
const SIGNED: i16 = 1;

impl Writer<'_, '_> {
    pub(super) fn arithmetic(&mut self, step: &Step) {
        let mut insn = step.insn;
        arena::convert_one(self.v, step.old, &mut insn);
        if !self.masked(step, insn) {
            self.divided(insn);
        }
    }

    /// Writes arithmetic, with what a division needs besides.
    pub(super) fn divided(&mut self, insn: Insn) {
        let divides = matches!(insn.op(), alu::DIV | alu::MOD);
        match (divides, insn.code & src::X != 0) {
            (true, true) => self.division(insn),
            (true, false) if insn.off == SIGNED && insn.imm == -1 => self.by_minus_one(insn),
            _ => self.out.push(insn),
        }
    }

    /// A division by a register: by zero it gives zero, and a remainder the dividend; the
    /// quotient that does not fit wraps.
    fn division(&mut self, insn: Insn) {
        let wide = insn.class() == class::ALU64;
        let divides = insn.op() == alu::DIV;
        let (dst, by) = (insn.dst, insn.src);
        // Jumps look at as many bits as the division.
        let narrow = |jump: Insn| match wide {
            true => jump,
            false => Insn::new(
                jump.code & !7 | class::JMP32,
                jump.dst,
                jump.src,
                jump.off,
                jump.imm,
            ),
        };
        let narrow_alu = |op: Insn| match wide {
            true => op,
            false => Insn::new(op.code & !7 | class::ALU, op.dst, op.src, op.off, op.imm),
        };
        // The remainder of 32 bits zeroes the upper half even where there is none to take.
        let keep = || [Insn::goto(1), Insn::mov32_reg(dst, dst)];
        match (insn.off == SIGNED, divides) {
            (false, true) => self.out.extend([
                narrow(Insn::jmp_imm(jmp::JNE, by, 0, 2)),
                Insn::alu32_reg(alu::XOR, dst, dst),
                Insn::goto(1),
                insn,
            ]),
            (false, false) => {
                self.out.push(narrow(Insn::jmp_imm(
                    jmp::JEQ,
                    by,
                    0,
                    if wide { 1 } else { 2 },
                )));
                self.out.push(insn);
                if !wide {
                    self.out.extend(keep());
                }
            }
            (true, true) => self.out.extend([
                Insn::mov64_reg(AX, by),
                narrow_alu(Insn::alu64_imm(alu::ADD, AX, 1)),
                narrow(Insn::jmp_imm(jmp::JGT, AX, 1, 4)),
                narrow(Insn::jmp_imm(jmp::JEQ, AX, 0, 1)),
                narrow_alu(Insn::mov64_imm(dst, 0)),
                narrow_alu(Insn::alu64_imm(alu::NEG, dst, 0)),
                Insn::goto(1),
                insn,
            ]),
            (true, false) => {
                self.out.extend([
                    Insn::mov64_reg(AX, by),
                    narrow_alu(Insn::alu64_imm(alu::ADD, AX, 1)),
                    narrow(Insn::jmp_imm(jmp::JGT, AX, 1, 3)),
                    narrow(Insn::jmp_imm(jmp::JEQ, AX, 1, if wide { 3 } else { 4 })),
                    Insn::mov32_imm(dst, 0),
                    Insn::goto(1),
                    insn,
                ]);
                if !wide {
                    self.out.extend(keep());
                }
            }
        }
    }

    /// The quotient by -1 is the negation, the remainder nothing.
    fn by_minus_one(&mut self, insn: Insn) {
        let negated = match insn.class() == class::ALU64 {
            true => Insn::alu64_imm(alu::NEG, insn.dst, 0),
            false => Insn::alu32_imm(alu::NEG, insn.dst, 0),
        };
        self.out.push(match insn.op() {
            alu::DIV => negated,
            _ => Insn::mov32_imm(insn.dst, 0),
        });
    }
}

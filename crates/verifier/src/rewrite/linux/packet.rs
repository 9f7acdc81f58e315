//! Packet loads of the old kind as calls.

use skep_isa::{Insn, alu, jmp, mode};

use super::{Writer, alu_imm, alu32_reg, call, exit, jump_imm, mov_imm, mov_reg};

impl Writer<'_, '_> {
    /// A load that ends the program where the packet has no such bytes.
    pub(super) fn packet_load(&mut self, insn: Insn) {
        if insn.mode() == mode::IND {
            self.out.push(mov_reg(2, insn.src));
            if insn.imm != 0 {
                self.out.push(alu_imm(alu::ADD, 2, insn.imm));
            }
        } else {
            self.out.push(mov_imm(2, insn.imm));
        }
        self.out.extend([
            mov_reg(1, 6),
            // No helper has the names of these functions: one for each width.
            call(-(insn.size_bytes() as i32)),
            jump_imm(jmp::JSGE, 0, 0, 2),
            alu32_reg(alu::XOR, 0, 0),
            exit(),
        ]);
    }
}

//! Packet loads of the old kind as calls.

use skep_isa::{Insn, alu, jmp, mode};

use super::Writer;

impl Writer<'_, '_> {
    /// A load that ends the program where the packet has no such bytes.
    pub(super) fn packet_load(&mut self, insn: Insn) {
        if insn.mode() == mode::IND {
            self.out.push(Insn::mov64_reg(2, insn.src));
            if insn.imm != 0 {
                self.out.push(Insn::alu64_imm(alu::ADD, 2, insn.imm));
            }
        } else {
            self.out.push(Insn::mov64_imm(2, insn.imm));
        }
        self.out.extend([
            Insn::mov64_reg(1, 6),
            // No helper has the names of these functions: one for each width.
            Insn::call_helper(-(insn.size_bytes() as i32)),
            Insn::jmp_imm(jmp::JSGE, 0, 0, 2),
            Insn::alu32_reg(alu::XOR, 0, 0),
            Insn::exit(),
        ]);
    }
}

//! Small changes to a finished program: one field of an instruction becomes something else.

use skep_isa::Insn;

use crate::source::Source;

/// The opcode of the 64-bit loads.
const LD_IMM64: u8 = 0x18;

/// Changes one to three fields. References to maps are left alone.
pub(crate) fn mutate(source: &mut Source<'_>, insns: &mut [Insn], map_slots: &[(usize, usize)]) {
    for _ in 0..=source.below(3) {
        let at = source.below(u32::try_from(insns.len()).unwrap_or(0)) as usize;
        let refers = map_slots
            .iter()
            .any(|(slot, _)| *slot == at || *slot + 1 == at);
        let Some(insn) = insns.get_mut(at).filter(|_| !refers) else {
            continue;
        };
        match source.below(8) {
            0 => insn.dst = source.below(12) as u8,
            1 => insn.src = source.below(12) as u8,
            2 => insn.imm = source.imm(),
            3 => insn.imm = insn.imm.wrapping_add(source.between(-2, 2)),
            4 => insn.off = insn.off.wrapping_add(source.between(-4, 4) as i16),
            5 => insn.off = source.between(-64, 64) as i16,
            6 => insn.code ^= 1u8.wrapping_shl(source.below(8)),
            _ => insn.code = source.below(256) as u8,
        }
        if insn.code == LD_IMM64 {
            // A load that now names a descriptor names none that happens to be open.
            insn.imm |= i32::MIN;
        }
    }
}

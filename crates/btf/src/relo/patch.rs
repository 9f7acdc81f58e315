//! Writing an answer into its instruction.

use skep_isa::{Insn, class, jmp, size};

use super::error::PatchError;
use super::value::{Answer, Decision, Width};

/// The number of the helper that stands where a field is missing, as libbpf writes it: the
/// verifier refuses the call, if it can be reached, with `invalid func unknown#195896080`.
pub const POISON: i32 = 0x0bad_2310;

/// What became of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patched {
    /// The number it computes with was that, and is this.
    Imm(i32, u64),
    /// The offset it accesses was that, and is this; and perhaps how many bytes.
    Offset(i16, u64, Option<(u32, u32)>),
    /// The number it loads was that, and is this.
    Wide(u64, u64),
    /// It must not be reached, because what it is about does not exist.
    Absent {
        /// Whether it took the place of two instructions.
        wide: bool,
    },
    /// It must not be reached, because its access cannot stand for the wanted one.
    Unlike,
}

/// Writes what was decided into the instruction at a slot, which must hold what was compiled.
///
/// # Errors
/// [`PatchError`]; the instruction then is as it was.
pub fn apply(insns: &mut [Insn], at: usize, decision: &Decision) -> Result<Patched, PatchError> {
    let insn = *insns.get(at).ok_or(PatchError::NoInsn)?;
    let Answer::Number(value) = decision.answer else {
        let wide = insn.is_ld_imm64();
        poison(insns, at, if wide { 2 } else { 1 });
        return Ok(Patched::Absent { wide });
    };
    let holds = |found: u64| match decision.must_hold {
        true if decision.compiled != found => Err(PatchError::Holds {
            found,
            compiled: decision.compiled,
        }),
        _ => Ok(()),
    };
    let mut changed = insn;
    let done = match insn.class() {
        class::ALU | class::ALU64 => {
            if insn.is_src_reg() {
                return Err(PatchError::Register(insn.code));
            }
            holds(i64::from(insn.imm) as u64)?;
            // What does not fit is cut, as Linux and libbpf do.
            changed.imm = (value as u32).cast_signed();
            Patched::Imm(insn.imm, value)
        }
        class::LDX | class::ST | class::STX => {
            holds(i64::from(insn.off) as u64)?;
            changed.off = i16::try_from(value).map_err(|_| PatchError::TooBig(value))?;
            let width = match decision.width {
                Width::Impossible => {
                    poison(insns, at, 1);
                    return Ok(Patched::Unlike);
                }
                Width::Keep => None,
                Width::Bytes(compiled, bytes) => {
                    let found = insn.size_bytes();
                    let offsets = (insn.off, value);
                    if found != compiled {
                        return Err(PatchError::Access {
                            found,
                            compiled,
                            offsets,
                        });
                    }
                    let size = size_bits(bytes).ok_or(PatchError::Bytes { bytes, offsets })?;
                    changed.code = (insn.code & !0x18) | size;
                    Some((found, bytes))
                }
            };
            Patched::Offset(insn.off, value, width)
        }
        class::LD => {
            let second = insns.get(at + 1).copied();
            let second = second.filter(|second| {
                let is_plain = (second.code, second.dst, second.src, second.off) == (0, 0, 0, 0);
                insn.is_ld_imm64() && insn.src == 0 && insn.off == 0 && is_plain
            });
            let mut second = second.ok_or(PatchError::Wide)?;
            let low = u64::from(insn.imm.cast_unsigned());
            let found = low | u64::from(second.imm.cast_unsigned()) << 32;
            holds(found)?;
            second.imm = ((value >> 32) as u32).cast_signed();
            changed.imm = (value as u32).cast_signed();
            if let Some(place) = insns.get_mut(at + 1) {
                *place = second;
            }
            Patched::Wide(found, value)
        }
        _ => return Err(PatchError::Code(insn.code)),
    };
    if let Some(place) = insns.get_mut(at) {
        *place = changed;
    }
    Ok(done)
}

fn size_bits(bytes: u32) -> Option<u8> {
    match bytes {
        1 => Some(size::B),
        2 => Some(size::H),
        4 => Some(size::W),
        8 => Some(size::DW),
        _ => None,
    }
}

/// Replaces an instruction, both halves of a wide one, by calls that cannot be verified.
fn poison(insns: &mut [Insn], at: usize, slots: usize) {
    for place in insns.iter_mut().skip(at).take(slots) {
        *place = Insn::new(class::JMP | jmp::CALL, 0, 0, 0, POISON);
    }
}

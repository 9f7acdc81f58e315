//! Writing an answer into its instruction.

use skep_isa::{Insn, class, jmp, size};

use super::value::{Answer, Width};

/// The number of the helper that stands where a field is missing, as libbpf writes it: the
/// verifier refuses the call, if it can be reached, with `invalid func unknown#195896080`.
pub(crate) const POISON: i32 = 0x0bad_2310;

/// Writes an answer into the instruction at a slot, which must hold what was compiled.
pub(super) fn apply(
    insns: &mut [Insn],
    at: usize,
    answer: &Answer,
    compiled: Option<u64>,
) -> Result<(), String> {
    let Some(insn) = insns.get(at).copied() else {
        return Err("there is no such instruction".to_string());
    };
    let Answer::Number { value, width } = *answer else {
        poison(insns, at, insn);
        return Ok(());
    };
    let narrow = || {
        let fits = i32::try_from(value)
            .ok()
            .or_else(|| i32::try_from(value as i64).ok());
        let fits = fits.or_else(|| u32::try_from(value).ok().map(u32::cast_signed));
        fits.ok_or_else(|| format!("{value} does not fit the instruction"))
    };
    let holds = |found: u64| match compiled {
        Some(compiled) if compiled != found => Err(format!(
            "the instruction holds {found} where the object's own types give {compiled}"
        )),
        _ => Ok(()),
    };
    let mut changed = insn;
    match insn.class() {
        class::ALU | class::ALU64 if !insn.is_src_reg() => {
            holds(i64::from(insn.imm) as u64)?;
            changed.imm = narrow()?;
        }
        class::LDX | class::ST | class::STX => {
            holds(i64::from(insn.off) as u64)?;
            match width {
                Width::Impossible => {
                    poison(insns, at, insn);
                    return Ok(());
                }
                Width::Bytes(bytes) => changed.code = (insn.code & !0x18) | size_bits(bytes)?,
                Width::Keep => {}
            }
            changed.off = i16::try_from(value)
                .map_err(|_| format!("offset {value} does not fit the instruction"))?;
        }
        class::LD if insn.is_ld_imm64() => {
            let Some(second) = insns.get_mut(at + 1) else {
                return Err("its second half is missing".to_string());
            };
            let is_plain = (second.code, second.dst, second.src, second.off) == (0, 0, 0, 0);
            if insn.src != 0 || !is_plain {
                return Err("the wide load is not one of a number".to_string());
            }
            let low = u64::from(insn.imm.cast_unsigned());
            holds(low | u64::from(second.imm.cast_unsigned()) << 32)?;
            second.imm = ((value >> 32) as u32).cast_signed();
            changed.imm = (value as u32).cast_signed();
        }
        _ => return Err(format!("code {:#04x} cannot be relocated", insn.code)),
    }
    if let Some(place) = insns.get_mut(at) {
        *place = changed;
    }
    Ok(())
}

fn size_bits(bytes: u32) -> Result<u8, String> {
    match bytes {
        1 => Ok(size::B),
        2 => Ok(size::H),
        4 => Ok(size::W),
        8 => Ok(size::DW),
        other => Err(format!("nothing can load {other} bytes")),
    }
}

/// Replaces an instruction, both halves of a wide one, by calls that cannot be verified.
fn poison(insns: &mut [Insn], at: usize, insn: Insn) {
    let slots = if insn.is_ld_imm64() { 2 } else { 1 };
    for place in insns.iter_mut().skip(at).take(slots) {
        *place = Insn::new(class::JMP | jmp::CALL, 0, 0, 0, POISON);
    }
}

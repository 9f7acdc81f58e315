//! Where the runtime context keeps what a program loads from its context.

use skep_abi::ProgType;
use skep_isa::{class, mode, size};

use crate::context::{Res, Verifier};
use crate::rewrite::draft::Draft;
use crate::state::Kind;

/// `BPF_LDX | BPF_MEM | BPF_DW`.
const LOAD_DW: u8 = class::LDX | mode::MEM | size::DW;

/// Makes the loads of packet pointers, which the program writes as four-byte loads, loads of
/// the eight-byte words that hold them, and loads of parts of fields that the kernel keeps
/// short loads of the field. Everything else lies where the program looks for it.
pub fn run(v: &Verifier<'_>, draft: &mut Draft) -> Res {
    let Some(kind) = ProgType::from_u32(v.request.prog_type) else {
        return Ok(());
    };
    for step in draft.steps.iter_mut().filter(|step| step.kept) {
        let through_ctx = matches!(v.aux[step.old as usize].ptr_kind, Some((Kind::Ctx, _)));
        if !through_ctx || step.insn.code & 7 != class::LDX {
            continue;
        }
        let Ok(off) = u32::try_from(step.insn.off) else {
            continue;
        };
        let width = step.insn.size_bytes();
        if let Some(word) = offset(skep_catalog::shadow_offset(kind, off)) {
            step.insn.code = LOAD_DW;
            step.insn.off = word;
        } else if let Some(start) = offset(skep_catalog::load_offset(kind, off, width)) {
            step.insn.off = start;
        }
    }
    Ok(())
}

/// An offset as an instruction holds it.
fn offset(found: Option<u32>) -> Option<i16> {
    found.and_then(|off| i16::try_from(off).ok())
}

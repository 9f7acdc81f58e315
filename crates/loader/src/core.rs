//! Fitting a program to the target's types (CO-RE).

use skep_isa::Insn;

use crate::error::LoadError;
use crate::load::Loaded;
use crate::program::Program;

/// Applies a program's CO-RE relocations to its instructions.
pub(crate) fn relocate(
    loaded: &Loaded<'_>,
    program: &Program,
    _insns: &mut [Insn],
) -> Result<(), LoadError> {
    let Some(relo) = program.core_relos.first() else {
        return Ok(());
    };
    let btf = loaded.object().btf.as_ref();
    let ty = btf
        .and_then(|btf| btf.type_by_id(relo.type_id))
        .map_or("", |ty| ty.name());
    let access = btf.and_then(|btf| btf.string(relo.access)).unwrap_or("");
    Err(LoadError::Unsupported(format!(
        "CO-RE relocation <{}> {ty} ({access}) at instruction {} of program '{}'",
        relo.kind.name(),
        relo.insn_off,
        program.name
    )))
}

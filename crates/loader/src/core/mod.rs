//! Fitting a program to the target's types (CO-RE): each relocation asks something about a
//! type of the object, is answered by the type of the same name in the target, and the
//! answer is written into the instruction.
//!
//! Sources: `Documentation/bpf/llvm_reloc.rst` of Linux, and what libbpf answers.

mod candidates;
mod compat;
mod explain;
mod lookup;
mod minimal;
mod patch;
mod spec;
mod value;

use std::sync::Arc;

use skep_btf::{Btf, CoreKind, CoreRelo};
use skep_isa::Insn;

use crate::error::LoadError;
use crate::load::Loaded;
use crate::program::Program;
use spec::Spec;
use value::Answer;

pub(crate) use candidates::Candidates;
pub(crate) use compat::types as compatible;
pub use explain::{Candidate, Explanation, explain};
pub use minimal::minimal_btf;
pub(crate) use patch::POISON;

/// Applies a program's CO-RE relocations to its instructions.
pub(crate) fn relocate(
    loaded: &Loaded<'_>,
    program: &Program,
    insns: &mut [Insn],
) -> Result<(), LoadError> {
    let (Some(first), Some(local)) = (program.core_relos.first(), &loaded.object().btf) else {
        return Ok(());
    };
    let given = loaded.options.target_btf.as_ref();
    let Some(target) = given.or_else(|| loaded.kernel_btf()) else {
        return Err(LoadError::Unsupported(format!(
            "CO-RE relocation {} of program '{}' needs the BTF of a target kernel, and none is \
             given",
            describe(local, first),
            program.name
        )));
    };
    let mut candidates = loaded.candidates.borrow_mut();
    let candidates = candidates.get_or_insert_with(|| Candidates::new(Arc::clone(target)));
    // Types that the caller gives stand for all of the kernel's, its modules' too, unless
    // those are given with them.
    let modules = || match given.is_some() {
        true => loaded
            .options
            .modules
            .iter()
            .map(|m| Arc::clone(&m.btf))
            .collect(),
        false => loaded
            .modules()
            .iter()
            .map(|m| Arc::clone(&m.btf))
            .collect(),
    };
    for relo in &program.core_relos {
        let refuse = |problem: String| LoadError::Unresolved {
            program: program.name.clone(),
            problem: format!(
                "CO-RE relocation {} at instruction {}: {problem}",
                describe(local, relo),
                relo.insn_off
            ),
        };
        let answer = answer(local, candidates, relo, modules).map_err(refuse)?;
        let compiled = compiled(local, relo).map_err(refuse)?;
        patch::apply(insns, relo.insn_off as usize, &answer, compiled).map_err(refuse)?;
    }
    Ok(())
}

/// The relocation as libbpf prints it: `<byte_off> [7] struct foo.bar.baz (0:1:2)`.
pub(crate) fn describe(btf: &Btf, relo: &CoreRelo) -> String {
    let access = btf.string(relo.access).unwrap_or("");
    let what = match Spec::parse(btf, relo) {
        Ok(spec) => spec.text(btf),
        Err(_) => btf
            .type_by_id(relo.type_id)
            .map_or("", |ty| ty.name())
            .to_string(),
    };
    format!("<{}> {} {what} ({access})", relo.kind.name(), relo.type_id)
}

/// What the compiler must have put into the instruction: the answer of the object's own types.
/// Of bit fields it is not known, for compilers choose words of their own.
fn compiled(local: &Btf, relo: &CoreRelo) -> Result<Option<u64>, String> {
    let spec = Spec::parse(local, relo)?;
    match relo.kind {
        // Compilers number types before they have them all.
        CoreKind::TypeIdLocal | CoreKind::TypeIdTarget => return Ok(None),
        // A type is itself, whatever it is made of.
        CoreKind::TypeMatches => return Ok(Some(1)),
        _ => {}
    }
    let by_word = matches!(
        relo.kind,
        CoreKind::FieldByteOffset | CoreKind::FieldByteSize | CoreKind::FieldLshiftU64
    );
    if by_word && value::is_bitfield(local, &spec)? {
        return Ok(None);
    }
    match value::of(relo.kind, (local, &spec), Some((local, &spec)))? {
        Answer::Number { value, .. } => Ok(Some(value)),
        Answer::Absent => Ok(None),
    }
}

/// What the target answers. Several types of the same name must answer alike.
fn answer(
    local: &Btf,
    candidates: &mut Candidates,
    relo: &CoreRelo,
    modules: impl FnOnce() -> Vec<Arc<Btf>>,
) -> Result<Answer, String> {
    let spec = Spec::parse(local, relo)?;
    if relo.kind == CoreKind::TypeIdLocal {
        return Ok(Answer::number(u64::from(relo.type_id.0)));
    }
    let mut chosen: Option<(Spec, Answer)> = None;
    let places = candidates.of(local, spec.root, modules)?;
    let mut has = vec![false; places.len()];
    for ((target, id), has) in places.iter().zip(&mut has) {
        let Some(found) = lookup::find(local, &spec, target, *id)? else {
            continue;
        };
        *has = true;
        let answer = value::of(relo.kind, (local, &spec), Some((target, &found)))?;
        match &chosen {
            None => chosen = Some((found, answer)),
            Some((first, same))
                if first.bit_offset == found.bit_offset && same.is_like(&answer) => {}
            Some((first, _)) => {
                return Err(format!(
                    "types {} and {} of the target answer differently",
                    first.root, found.root
                ));
            }
        }
    }
    candidates.narrow(spec.root, &has);
    match chosen {
        Some((_, answer)) => Ok(answer),
        None => value::of(relo.kind, (local, &spec), None),
    }
}

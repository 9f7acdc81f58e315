//! Fitting a program to the target's types (CO-RE): which types may answer a relocation is
//! decided here, what they answer and where it goes in [`skep_btf::relo`].
//!
//! Sources: `Documentation/bpf/llvm_reloc.rst` of Linux, and what libbpf answers.

mod candidates;
mod explain;
mod minimal;

use std::sync::Arc;

use skep_btf::relo::{self, Decision, Judged, Levels, ReloError, Spec};
use skep_btf::{Btf, CoreKind, CoreRelo};
use skep_isa::Insn;

use crate::error::LoadError;
use crate::load::Loaded;
use crate::program::Program;

pub(crate) use candidates::Candidates;
pub use explain::{Candidate, Explanation, explain};
pub use minimal::minimal_btf;
pub(crate) use relo::{POISON, compatible, describe};

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
        let decision = answer(local, candidates, relo, modules).map_err(refuse)?;
        relo::apply(insns, relo.insn_off as usize, &decision)
            .map_err(|error| refuse(error.to_string()))?;
    }
    Ok(())
}

/// What the target answers. Several types of the same name must answer alike.
fn answer(
    local: &Btf,
    candidates: &mut Candidates,
    relo: &CoreRelo,
    modules: impl FnOnce() -> Vec<Arc<Btf>>,
) -> Result<Decision, String> {
    let text = |error: ReloError| error.to_string();
    let spec = Spec::parse(local, relo).map_err(|error| error.to_string())?;
    if relo.kind == CoreKind::TypeIdLocal {
        return relo::decide(relo.kind, (local, &spec), None).map_err(text);
    }
    let places = candidates.of(local, spec.root, modules)?;
    let mut has = vec![false; places.len()];
    let types = places.iter().map(|(target, id)| (target.as_ref(), *id));
    let asked = (relo.kind, &spec);
    let decision = relo::answer(local, asked, types, Levels::LIBBPF, |number, judged| {
        if let Some(has) = has.get_mut(number) {
            *has = matches!(judged, Judged::Matches(..));
        }
    });
    let decision = decision.map_err(text)?;
    candidates.narrow(spec.root, &has);
    Ok(decision)
}

//! Fitting instructions to a target's types (CO-RE): each relocation asks something about a
//! type of the program's own, is answered by a type of the same name in the target, and the
//! answer is written into the instruction.
//!
//! Linux does this for programs that are loaded with relocations, and libbpf before it loads
//! them, both in the same way but for how deep they look into types ([`Levels`]) and where they
//! look for candidates, which is their own.
//!
//! Sources: `Documentation/bpf/llvm_reloc.rst` of Linux, and what libbpf and the kernel answer.

mod candidates;
mod compat;
mod error;
mod lookup;
mod patch;
mod spec;
mod value;

use crate::blob::Btf;
use crate::ext::{CoreKind, CoreRelo};
use crate::kind::{Kind, TypeId};

pub use candidates::Flavours;
pub use compat::types as compatible;
pub use error::{PatchError, PathError, ReloError};
pub use lookup::{Looked, find};
pub use patch::{POISON, Patched, apply};
pub use spec::{Spec, Step, Subject};
pub use value::{Answer, Decision, Width, decide};

/// How many prototypes and structures, one inside of the other, are looked into when types are
/// compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Levels(pub usize);

impl Levels {
    /// What libbpf looks into.
    pub const LIBBPF: Levels = Levels(32);
    /// What Linux looks into.
    pub const LINUX: Levels = Levels(2);
}

/// A name without the flavour (`name___flavour`) that lets an object declare a thing twice.
/// Neither side of the three underscores is an underscore.
pub fn essential_name(name: &str) -> &str {
    let separates = |part: &[u8]| matches!(part, [before, b'_', b'_', b'_', after] if *before != b'_' && *after != b'_');
    match name.as_bytes().windows(5).rposition(separates) {
        Some(at) => name.get(..=at).unwrap_or(name),
        None => name,
    }
}

/// The same kind; both widths of enumerations count as one.
pub fn same_kind(a: Kind, b: Kind) -> bool {
    a == b || a.is_enum() && b.is_enum()
}

/// What a candidate turned out to be, in the order in which they are looked at.
#[derive(Clone, Copy, Debug)]
pub enum Judged<'a> {
    /// It has what is asked for, there.
    Matches(&'a Btf, &'a Spec),
    /// It does not; the path goes as far as the search came.
    Differs(&'a Btf, &'a Spec),
    /// It cannot be compared.
    Fails(&'a Btf, TypeId),
}

/// What a relocation puts into its instruction, given the target's types that may answer it.
/// All that have what it asks for must answer alike. `judged` is told of each, by its number.
///
/// # Errors
/// [`ReloError`], also for what the program's own types do not say.
pub fn answer<'t>(
    local: &Btf,
    (kind, spec): (CoreKind, &Spec),
    candidates: impl Iterator<Item = (&'t Btf, TypeId)>,
    levels: Levels,
    mut judged: impl FnMut(usize, Judged<'_>),
) -> Result<Decision, ReloError> {
    let mut chosen: Option<(Spec, Decision)> = None;
    for (number, (target, id)) in candidates.enumerate() {
        let found = match lookup::find(local, spec, target, id, levels) {
            Ok(Looked::Found(found)) => found,
            Err(error) => {
                judged(number, Judged::Fails(target, id));
                return Err(error);
            }
            Ok(Looked::Missing(partial)) => {
                judged(number, Judged::Differs(target, &partial));
                continue;
            }
        };
        judged(number, Judged::Matches(target, &found));
        let decision = decide(kind, (local, spec), Some((target, &found)))?;
        match &chosen {
            None => chosen = Some((found, decision)),
            Some((first, same)) => {
                let types = (first.root, found.root);
                if first.bit_offset != found.bit_offset {
                    let offsets = (found.bit_offset, first.bit_offset);
                    return Err(ReloError::Offsets { types, offsets });
                }
                if !same.answer.is_like(&decision.answer) {
                    let answers = (decision.answer, same.answer);
                    return Err(ReloError::Answers { types, answers });
                }
            }
        }
    }
    match chosen {
        Some((_, decision)) => Ok(decision),
        None => decide(kind, (local, spec), None),
    }
}

/// The relocation as libbpf prints it: `<byte_off> [7] struct foo.bar.baz (0:1:2)`.
pub fn describe(btf: &Btf, relo: &CoreRelo) -> String {
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

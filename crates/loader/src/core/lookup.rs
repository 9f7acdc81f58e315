//! Finding in a type of the target what a relocation asks of the object's type.

use skep_btf::{Btf, Type, TypeId};

use super::compat;
use super::spec::{Spec, Step, Subject, Walk};
use crate::resolve::essential_name;

/// How many members a search through nested nameless structures looks at. A hostile blob
/// could nest them so that there are more ways than time.
const MAX_LOOKS: usize = 1 << 16;

/// The same subject in the target's type `root`; `None` when it is not there.
pub(super) fn find(
    local: &Btf,
    spec: &Spec,
    target: &Btf,
    root: TypeId,
) -> Result<Option<Spec>, String> {
    let subject = match &spec.subject {
        Subject::Type => compat::types(local, spec.root, target, root).then_some(Subject::Type),
        Subject::WholeType => {
            compat::matches(local, spec.root, target, root).then_some(Subject::WholeType)
        }
        Subject::Enumerator(_, name) => enumerator(target, root, name),
        Subject::Field(steps) => return field(local, steps, target, root),
    };
    Ok(subject.map(|subject| Spec {
        root,
        subject,
        bit_offset: 0,
        through: Vec::new(),
    }))
}

fn enumerator(target: &Btf, root: TypeId, name: &str) -> Option<Subject> {
    let wanted = essential_name(name);
    let mut constants = target.resolve(root)?.enumerators().enumerate();
    let (index, found) = constants.find(|(_, c)| essential_name(c.name) == wanted)?;
    Some(Subject::Enumerator(index, found.name.to_string()))
}

fn field(local: &Btf, steps: &[Step], target: &Btf, root: TypeId) -> Result<Option<Spec>, String> {
    let Some(Step::Element { index, .. }) = steps.first() else {
        return Err("its path does not start from a pointer".to_string());
    };
    let mut walk = Walk::start(target, root, *index)?;
    for step in steps.iter().skip(1) {
        let here = walk.here()?;
        match step {
            Step::Field { owner, index, name } => {
                let wanted = local
                    .type_by_id(*owner)
                    .and_then(|ty| ty.members().nth(*index));
                let wanted = wanted.ok_or("a member does not exist")?;
                let mut path = Vec::new();
                let mut looks = MAX_LOOKS;
                let fits = |ty: TypeId| compat::fields(local, wanted.ty, target, ty);
                if !search(here, (name, &fits), &mut path, &mut looks) {
                    return Ok(None);
                }
                for index in path.iter().rev() {
                    let owner = walk.here()?;
                    walk.member(owner, *index)?;
                }
            }
            Step::Element { index, .. } => {
                let Some(array) = here.array() else {
                    return Ok(None);
                };
                if walk.element(array, *index).is_err() {
                    return Ok(None);
                }
            }
        }
    }
    let subject = Subject::Field(walk.steps);
    Ok(Some(Spec {
        root,
        subject,
        bit_offset: walk.bit_offset,
        through: walk.through,
    }))
}

/// A member's name, and whether a type may stand for the member's.
type Wanted<'a> = (&'a str, &'a dyn Fn(TypeId) -> bool);

/// Looks for a member by name, through nameless structures and unions; fills `path` with the
/// member numbers, innermost first.
fn search(ty: Type<'_>, wanted: Wanted<'_>, path: &mut Vec<usize>, looks: &mut usize) -> bool {
    // The depth of nesting is bounded as a chain of references is elsewhere.
    search_within(ty, wanted, path, looks, skep_btf::MAX_RESOLVE_DEPTH)
}

fn search_within(
    ty: Type<'_>,
    wanted: Wanted<'_>,
    path: &mut Vec<usize>,
    looks: &mut usize,
    depth: usize,
) -> bool {
    let Some(depth) = depth.checked_sub(1) else {
        return false;
    };
    for (index, member) in ty.members().enumerate() {
        let Some(left) = looks.checked_sub(1) else {
            return false;
        };
        *looks = left;
        if member.name.is_empty() {
            let inner = ty.btf().resolve(member.ty);
            let inner = inner.filter(|inner| inner.kind().is_composite());
            if inner.is_some_and(|inner| search_within(inner, wanted, path, looks, depth)) {
                path.push(index);
                return true;
            }
        } else if member.name == wanted.0 {
            // Of another type it is not the one, and there is no other of its name here; a
            // structure around this one may have it behind.
            let fits = wanted.1(member.ty);
            if fits {
                path.push(index);
            }
            return fits;
        }
    }
    false
}

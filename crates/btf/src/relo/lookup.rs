//! Finding in a type of the target what a relocation asks of the program's type.

use super::compat::{self, Incomparable};
use super::error::{PathError, ReloError};
use super::spec::{Spec, Step, Subject, Walk};
use super::{Levels, essential_name, same_kind};
use crate::blob::Btf;
use crate::kind::TypeId;
use crate::query::MAX_RESOLVE_DEPTH;
use crate::view::Type;

/// How many members a search through nested nameless structures looks at. A hostile blob
/// could nest them so that there are more ways than time.
const MAX_LOOKS: usize = 1 << 16;

/// What a search came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Looked {
    /// It is there.
    Found(Spec),
    /// It is not there; so far goes the path.
    Missing(Spec),
}

impl Looked {
    /// The path, when it is there.
    pub fn found(self) -> Option<Spec> {
        match self {
            Looked::Found(spec) => Some(spec),
            Looked::Missing(_) => None,
        }
    }
}

/// The same subject in the target's type `root`.
///
/// # Errors
/// [`ReloError`] for types that cannot be compared or make no sense.
pub fn find(
    local: &Btf,
    spec: &Spec,
    target: &Btf,
    root: TypeId,
    levels: Levels,
) -> Result<Looked, ReloError> {
    let incomparable = |_: Incomparable| ReloError::Incomparable(root);
    let (subject, is_there) = match &spec.subject {
        Subject::Type => {
            // A typedef is not what it stands for, although both may have the name.
            let kinds = (local.type_by_id(spec.root)).zip(target.type_by_id(root));
            let alike = kinds.is_some_and(|(own, other)| same_kind(own.kind(), other.kind()));
            let fits = match alike {
                true => compat::compare(local, spec.root, target, root, levels),
                false => Ok(false),
            };
            (Subject::Type, fits.map_err(incomparable)?)
        }
        Subject::WholeType => {
            let fits = compat::matches(local, spec.root, target, root, levels);
            (Subject::WholeType, fits.map_err(incomparable)?)
        }
        Subject::Enumerator(_, name) => match enumerator(target, root, name) {
            Some(found) => (found, true),
            // As if the first one had been found.
            None => (Subject::Enumerator(0, String::new()), false),
        },
        Subject::Field(steps) => return field(local, steps, target, root),
    };
    let found = Spec::plain(root, subject);
    Ok(match is_there {
        true => Looked::Found(found),
        false => Looked::Missing(found),
    })
}

fn enumerator(target: &Btf, root: TypeId, name: &str) -> Option<Subject> {
    let wanted = essential_name(name);
    let mut constants = target.resolve(root)?.enumerators().enumerate();
    let (index, found) = constants.find(|(_, c)| essential_name(c.name) == wanted)?;
    Some(Subject::Enumerator(index, found.name.to_string()))
}

fn field(local: &Btf, steps: &[Step], target: &Btf, root: TypeId) -> Result<Looked, ReloError> {
    let Some(Step::Element { index, .. }) = steps.first() else {
        return Err(PathError::Bad(String::new()).into());
    };
    let mut walk = Walk::start(target, root, *index)?;
    for step in steps.iter().skip(1) {
        let here = walk.here()?;
        let is_there = match step {
            Step::Field { owner, index, name } => {
                let wanted = local
                    .type_by_id(*owner)
                    .and_then(|ty| ty.members().nth(*index));
                let wanted = wanted.ok_or(ReloError::NoType)?;
                let mut search = Search {
                    name,
                    fits: &|ty| compat::fields(local, wanted.ty, target, ty),
                    looks: MAX_LOOKS,
                };
                search.within(here, &mut walk, MAX_RESOLVE_DEPTH)
            }
            Step::Element { index, .. } => match here.array() {
                Some(array) if walk.has_element(array, *index) => {
                    walk.element(array, *index)?;
                    true
                }
                _ => false,
            },
        };
        if !is_there {
            return Ok(Looked::Missing(walk.done(root)));
        }
    }
    Ok(Looked::Found(walk.done(root)))
}

/// A search for a member by name, through nameless structures and unions.
struct Search<'a> {
    name: &'a str,
    /// Whether a type may stand for the member's.
    fits: &'a dyn Fn(TypeId) -> bool,
    looks: usize,
}

impl Search<'_> {
    /// Goes on to the member if it is here. If not, the path keeps what Linux's log shows of
    /// the search: a member of the name whose type does not fit, but not what is around it.
    fn within<'t>(&mut self, ty: Type<'t>, walk: &mut Walk<'t>, depth: usize) -> bool {
        // The depth of nesting is bounded as a chain of references is elsewhere.
        let Some(depth) = depth.checked_sub(1) else {
            return false;
        };
        for (index, member) in ty.members().enumerate() {
            let Some(left) = self.looks.checked_sub(1) else {
                return false;
            };
            self.looks = left;
            walk.enter(ty, index, &member);
            if member.name.is_empty() {
                let inner = ty.btf().resolve(member.ty);
                let inner = inner.filter(|inner| inner.kind().is_composite());
                if inner.is_some_and(|inner| self.within(inner, walk, depth)) {
                    return true;
                }
            } else if member.name == self.name {
                // Of another type it is not the one, and there is no other of its name here; a
                // structure around this one may have it behind.
                let fits = (self.fits)(member.ty);
                match fits {
                    true => walk.arrive(ty, index, &member),
                    false => walk.forget_member(),
                }
                return fits;
            }
            walk.leave(&member);
        }
        false
    }
}

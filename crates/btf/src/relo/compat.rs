//! Whether a type of the object and a type of the target may stand for each other.

use super::{Levels, essential_name, same_kind};
use crate::blob::Btf;
use crate::kind::{Kind, TypeId};
use crate::query::MAX_RESOLVE_DEPTH;
use crate::view::Type;

/// How many pairs one comparison may look at before it gives up.
const MAX_PAIRS: usize = 1 << 16;

/// Two types are too deep for an answer, or make no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Incomparable;

/// Whether a field found by name may stand for the wanted one. Sizes and signs may differ:
/// that is what is relocated.
pub(super) fn fields(local: &Btf, a: TypeId, target: &Btf, b: TypeId) -> bool {
    let (mut a, mut b) = (a, b);
    for _ in 0..MAX_RESOLVE_DEPTH {
        let (Some(x), Some(y)) = (local.resolve(a), target.resolve(b)) else {
            return false;
        };
        if x.kind().is_composite() && y.kind().is_composite() {
            return true;
        }
        if !same_kind(x.kind(), y.kind()) {
            return false;
        }
        return match x.kind() {
            Kind::Ptr | Kind::Float => true,
            Kind::Fwd | Kind::Enum | Kind::Enum64 => {
                let (x, y) = (essential_name(x.name()), essential_name(y.name()));
                x.is_empty() || y.is_empty() || x == y
            }
            Kind::Int => whole(x) && whole(y),
            Kind::Array => {
                let (Some(x), Some(y)) = (x.array(), y.array()) else {
                    return false;
                };
                (a, b) = (x.elem, y.elem);
                continue;
            }
            _ => false,
        };
    }
    false
}

/// Whether an integer begins at its first bit.
fn whole(ty: Type<'_>) -> bool {
    ty.int().is_some_and(|int| int.bit_offset == 0)
}

/// Whether a type of the target may stand for the program's; see [`compare`].
pub fn types(local: &Btf, a: TypeId, target: &Btf, b: TypeId) -> bool {
    compare(local, a, target, b, Levels::LIBBPF).unwrap_or(false)
}

/// Whether a type exists in the target "as the same kind of thing"; names have been compared
/// before, and structures need not have the same members.
pub(super) fn compare(
    local: &Btf,
    a: TypeId,
    target: &Btf,
    b: TypeId,
    levels: Levels,
) -> Result<bool, Incomparable> {
    let mut looks = 0;
    same(local, a, target, b, levels.0, &mut looks)
}

fn same(
    local: &Btf,
    mut a: TypeId,
    target: &Btf,
    mut b: TypeId,
    levels: usize,
    looks: &mut usize,
) -> Result<bool, Incomparable> {
    let levels = levels.checked_sub(1).ok_or(Incomparable)?;
    for _ in 0..MAX_RESOLVE_DEPTH {
        *looks += 1;
        let (Some(x), Some(y)) = (local.resolve(a), target.resolve(b)) else {
            return Err(Incomparable);
        };
        if *looks > MAX_PAIRS {
            return Err(Incomparable);
        }
        if !same_kind(x.kind(), y.kind()) {
            return Ok(false);
        }
        let next = match x.kind() {
            Kind::Int => return Ok(whole(x) && whole(y)),
            Kind::Ptr => x.ref_type().zip(y.ref_type()),
            Kind::Array => x.array().zip(y.array()).map(|(x, y)| (x.elem, y.elem)),
            Kind::FuncProto => {
                if x.vlen() != y.vlen() {
                    return Ok(false);
                }
                for (x, y) in x.params().zip(y.params()) {
                    if !same(local, x.ty, target, y.ty, levels, looks)? {
                        return Ok(false);
                    }
                }
                x.ref_type().zip(y.ref_type())
            }
            // Nobody asks for those of which libbpf knows no relocation; it answers that there
            // is none, and Linux does not survive the question.
            Kind::Float | Kind::Var | Kind::Func | Kind::DataSec => return Ok(false),
            _ => return Ok(true),
        };
        (a, b) = next.ok_or(Incomparable)?;
    }
    Err(Incomparable)
}

/// Whether the target's type has all that the program's type has, with the same types
/// (`bpf_core_type_matches`).
pub(super) fn matches(
    local: &Btf,
    a: TypeId,
    target: &Btf,
    b: TypeId,
    levels: Levels,
) -> Result<bool, Incomparable> {
    Matcher {
        local,
        target,
        looks: 0,
    }
    .pair(a, b, false, levels.0)
}

struct Matcher<'a> {
    local: &'a Btf,
    target: &'a Btf,
    looks: usize,
}

impl Matcher<'_> {
    /// Behind a pointer only names count for structures and unions.
    fn pair(
        &mut self,
        mut a: TypeId,
        mut b: TypeId,
        mut behind_pointer: bool,
        levels: usize,
    ) -> Result<bool, Incomparable> {
        let levels = levels.checked_sub(1).ok_or(Incomparable)?;
        for _ in 0..MAX_RESOLVE_DEPTH {
            self.looks += 1;
            if self.looks > MAX_PAIRS {
                return Err(Incomparable);
            }
            let (Some(x), Some(y)) = (self.local.resolve(a), self.target.resolve(b)) else {
                return Err(Incomparable);
            };
            let names = (essential_name(x.name()), essential_name(y.name()));
            if names.0 != names.1 {
                return Ok(false);
            }
            let forwards = (x.kind() == Kind::Fwd, y.kind() == Kind::Fwd);
            if forwards.0 || forwards.1 {
                // A structure stands for a declaration where neither is looked into.
                let is_enough = behind_pointer || forwards == (true, true);
                return Ok(is_enough && forward_kind(x) == forward_kind(y));
            }
            if !same_kind(x.kind(), y.kind()) {
                return Ok(false);
            }
            let next = match x.kind() {
                Kind::Int => {
                    let shape = |ty: Type<'_>| ty.int().map(|i| (i.signed, i.bool));
                    return Ok(x.size() == y.size() && shape(x) == shape(y));
                }
                Kind::Ptr => {
                    behind_pointer = true;
                    x.ref_type().zip(y.ref_type())
                }
                Kind::Array => {
                    let arrays = x.array().zip(y.array());
                    if arrays.is_some_and(|(x, y)| x.count != y.count) {
                        return Ok(false);
                    }
                    arrays.map(|(x, y)| (x.elem, y.elem))
                }
                Kind::FuncProto => {
                    if x.vlen() != y.vlen() {
                        return Ok(false);
                    }
                    for (x, y) in x.params().zip(y.params()) {
                        if !self.pair(x.ty, y.ty, behind_pointer, levels)? {
                            return Ok(false);
                        }
                    }
                    x.ref_type().zip(y.ref_type())
                }
                // Nobody asks for these either.
                Kind::Float | Kind::Var | Kind::Func | Kind::DataSec => return Ok(false),
                Kind::Struct | Kind::Union if !behind_pointer => {
                    return self.members(x, y, levels);
                }
                Kind::Enum | Kind::Enum64 => {
                    let all = x.enumerators().all(|a| {
                        let name = essential_name(a.name);
                        y.enumerators().any(|b| essential_name(b.name) == name)
                    });
                    // Two flavours of one constant are more than one.
                    return Ok(x.size() == y.size() && x.vlen() <= y.vlen() && all);
                }
                _ => return Ok(true),
            };
            (a, b) = next.ok_or(Incomparable)?;
        }
        Err(Incomparable)
    }

    fn members(&mut self, x: Type<'_>, y: Type<'_>, levels: usize) -> Result<bool, Incomparable> {
        if x.vlen() > y.vlen() {
            return Ok(false);
        }
        for wanted in x.members() {
            // Of members, too, a flavour does not count.
            let name = essential_name(wanted.name);
            let mut found = false;
            let named = y.members().filter(|m| essential_name(m.name) == name);
            for member in named {
                if self.pair(wanted.ty, member.ty, false, levels)? {
                    found = true;
                    break;
                }
            }
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What a forward declaration is of, or what a type is.
fn forward_kind(ty: Type<'_>) -> Kind {
    match (ty.kind(), ty.kind_flag()) {
        (Kind::Fwd, true) => Kind::Union,
        (Kind::Fwd, false) => Kind::Struct,
        (kind, _) => kind,
    }
}

//! Whether a type of the object and a type of the target may stand for each other.

use skep_btf::{Btf, Kind, MAX_RESOLVE_DEPTH, Type, TypeId};

use super::candidates::same_kind;
use crate::resolve::essential_name;

/// How many pairs one comparison may look at before it gives up.
const MAX_PAIRS: usize = 1 << 16;

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

/// Whether a type exists in the target "as the same kind of thing"; names have been compared
/// before, and structures need not have the same members.
pub(crate) fn types(local: &Btf, a: TypeId, target: &Btf, b: TypeId) -> bool {
    let mut pairs = vec![(a, b)];
    let mut looks = 0;
    while let Some((a, b)) = pairs.pop() {
        looks += 1;
        let (Some(x), Some(y)) = (local.resolve(a), target.resolve(b)) else {
            return false;
        };
        if looks > MAX_PAIRS || !same_kind(x.kind(), y.kind()) {
            return false;
        }
        match x.kind() {
            Kind::Int if !(whole(x) && whole(y)) => return false,
            Kind::Ptr => {
                let (Some(x), Some(y)) = (x.ref_type(), y.ref_type()) else {
                    return false;
                };
                pairs.push((x, y));
            }
            Kind::Array => {
                let (Some(x), Some(y)) = (x.array(), y.array()) else {
                    return false;
                };
                pairs.push((x.elem, y.elem));
            }
            Kind::FuncProto => {
                if x.vlen() != y.vlen() {
                    return false;
                }
                pairs.extend(x.ref_type().zip(y.ref_type()));
                pairs.extend(x.params().zip(y.params()).map(|(x, y)| (x.ty, y.ty)));
            }
            Kind::Float | Kind::Var | Kind::Func | Kind::DataSec => return false,
            _ => {}
        }
    }
    true
}

/// Whether the target's type has all that the object's type has, with the same types
/// (`bpf_core_type_matches`).
pub(super) fn matches(local: &Btf, a: TypeId, target: &Btf, b: TypeId) -> bool {
    Matcher {
        local,
        target,
        looks: 0,
    }
    .pair(a, b, false, MAX_RESOLVE_DEPTH)
}

struct Matcher<'a> {
    local: &'a Btf,
    target: &'a Btf,
    looks: usize,
}

impl Matcher<'_> {
    /// Behind a pointer only names count for structures and unions.
    fn pair(&mut self, a: TypeId, b: TypeId, behind_pointer: bool, depth: usize) -> bool {
        self.looks += 1;
        let Some(depth) = depth.checked_sub(1).filter(|_| self.looks <= MAX_PAIRS) else {
            return false;
        };
        let (Some(x), Some(y)) = (self.local.resolve(a), self.target.resolve(b)) else {
            return false;
        };
        let names = (essential_name(x.name()), essential_name(y.name()));
        if names.0 != names.1 {
            return false;
        }
        let forwards = (x.kind() == Kind::Fwd, y.kind() == Kind::Fwd);
        if forwards.0 || forwards.1 {
            // A structure stands for a declaration where neither is looked into.
            let is_enough = behind_pointer || forwards == (true, true);
            return is_enough && forward_kind(x) == forward_kind(y);
        }
        if !same_kind(x.kind(), y.kind()) {
            return false;
        }
        match x.kind() {
            Kind::Int => {
                x.size() == y.size()
                    && x.int().map(|i| (i.signed, i.bool)) == y.int().map(|i| (i.signed, i.bool))
            }
            Kind::Ptr => match (x.ref_type(), y.ref_type()) {
                (Some(x), Some(y)) => self.pair(x, y, true, depth),
                _ => false,
            },
            Kind::Array => match (x.array(), y.array()) {
                (Some(x), Some(y)) => {
                    x.count == y.count && self.pair(x.elem, y.elem, behind_pointer, depth)
                }
                _ => false,
            },
            Kind::FuncProto => {
                let returns = x.ref_type().zip(y.ref_type());
                x.vlen() == y.vlen()
                    && returns.is_some_and(|(x, y)| self.pair(x, y, behind_pointer, depth))
                    && x.params()
                        .zip(y.params())
                        .all(|(x, y)| self.pair(x.ty, y.ty, behind_pointer, depth))
            }
            // libbpf knows no relocation of the others, and answers that there is none.
            Kind::Float | Kind::Var | Kind::Func | Kind::DataSec => false,
            Kind::Struct | Kind::Union if !behind_pointer => self.members(x, y, depth),
            Kind::Enum | Kind::Enum64 => {
                x.size() == y.size()
                    && x.enumerators().all(|a| {
                        let name = essential_name(a.name);
                        y.enumerators().any(|b| essential_name(b.name) == name)
                    })
            }
            _ => true,
        }
    }

    fn members(&mut self, x: Type<'_>, y: Type<'_>, depth: usize) -> bool {
        x.members().all(|wanted| {
            y.members()
                .filter(|member| member.name == wanted.name)
                .any(|member| self.pair(wanted.ty, member.ty, false, depth))
        })
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

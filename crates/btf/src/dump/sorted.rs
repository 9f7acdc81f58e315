//! In which order the types of a blob stand in a header, so that two headers can be compared:
//! by what they are, and then by name. The order is bpftool's (7.5 and later), as it was
//! observed; the types that others need still come before them.

use core::cmp::Ordering;

use crate::blob::Btf;
use crate::kind::{Kind, TypeId};
use crate::query::MAX_RESOLVE_DEPTH;
use crate::view::Type;

/// What a type is, in the order in which a header has them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// An enumeration without a name.
    Constants,
    /// One that has a name, or is given one.
    Enumeration,
    Number,
    Composite,
    Prototype,
    /// What is written with the type that needs it.
    Rest,
}

/// What a type is compared by.
struct Key<'a> {
    rank: Rank,
    /// The name of what it comes down to.
    base: &'a [u8],
    own: &'a [u8],
    /// Tells types of one name apart by what is in them.
    inside: u64,
    id: TypeId,
}

impl Key<'_> {
    fn compare(&self, other: &Key<'_>) -> Ordering {
        self.rank
            .cmp(&other.rank)
            .then_with(|| self.base.cmp(other.base))
            .then_with(|| self.own.cmp(other.own))
            .then_with(|| self.inside.cmp(&other.inside))
            .then_with(|| self.id.0.cmp(&other.id.0))
    }
}

/// All types, in the order of a header. Cost: linear in the blob, but for the sorting.
pub fn sorted(btf: &Btf) -> Vec<TypeId> {
    let all = (1..btf.type_count()).filter_map(|id| btf.type_by_id(TypeId(id)));
    let mut keys: Vec<Key<'_>> = all.map(|ty| key(btf, ty)).collect();
    keys.sort_by(Key::compare);
    keys.iter().map(|key| key.id).collect()
}

fn key<'a>(btf: &'a Btf, ty: Type<'a>) -> Key<'a> {
    let end = end(btf, ty);
    let is_itself = end.id() == ty.id();
    Key {
        rank: rank(end.kind(), is_itself, ty.name_off() != 0),
        base: match end.kind() {
            // Constants are known by the first of them.
            Kind::Enum | Kind::Enum64 if is_itself && ty.name_off() == 0 => {
                let first = ty.enumerators().next();
                first.map_or(b"", |first| first.name.as_bytes())
            }
            _ => end.name_bytes(),
        },
        own: ty.name_bytes(),
        inside: inside(btf, &ty),
        id: ty.id(),
    }
}

/// What a type comes down to.
fn end<'a>(btf: &'a Btf, ty: Type<'a>) -> Type<'a> {
    let mut ty = ty;
    for _ in 0..MAX_RESOLVE_DEPTH {
        let next = match ty.kind() {
            Kind::Array => ty.array().map(|array| array.elem),
            Kind::Ptr | Kind::Typedef | Kind::DeclTag => ty.ref_type(),
            kind if kind.is_modifier() => ty.ref_type(),
            _ => None,
        };
        match next.and_then(|id| btf.type_by_id(id)) {
            Some(next) => ty = next,
            None => break,
        }
    }
    ty
}

/// What a type that comes down to a kind is, when it is of that kind itself, or has a name.
fn rank(end: Kind, is_itself: bool, has_name: bool) -> Rank {
    match (end, has_name) {
        (Kind::Enum | Kind::Enum64, false) if is_itself => Rank::Constants,
        (Kind::Enum | Kind::Enum64, true) => Rank::Enumeration,
        (Kind::Int | Kind::Float, _) if is_itself || has_name => Rank::Number,
        (Kind::Struct | Kind::Union, true) => Rank::Composite,
        (Kind::FuncProto, true) => Rank::Prototype,
        _ => Rank::Rest,
    }
}

fn mix(hash: u64, value: u64) -> u64 {
    hash.wrapping_mul(31).wrapping_add(value)
}

fn mix_name(hash: u64, name: &[u8]) -> u64 {
    match name.is_empty() {
        true => hash,
        false => mix(
            hash,
            name.iter()
                .fold(0, |hash, byte| mix(hash, u64::from(*byte))),
        ),
    }
}

/// A number that tells apart what has the same name.
fn inside(btf: &Btf, ty: &Type<'_>) -> u64 {
    match ty.kind() {
        Kind::Struct | Kind::Union => ty.members().fold(0, |hash, member| {
            let hash = mix_name(hash, member.name.as_bytes());
            let of = btf.type_by_id(member.ty);
            mix_name(hash, of.map_or(b"", |of| of.name_bytes()))
        }),
        Kind::Enum | Kind::Enum64 => ty
            .enumerators()
            .fold(0, |hash, one| mix_name(hash, one.name.as_bytes())),
        _ => 0,
    }
}

//! Moving split types onto another base. A module that is built apart from its kernel brings, in
//! `.BTF.base`, what it needs to know the types it builds on by: names, kinds and sizes (a
//! distilled base). With that its types can stand on a kernel whose types have other numbers.

use std::sync::Arc;

use thiserror::Error;

use crate::blob::Btf;
use crate::builder::Builder;
use crate::error::BtfError;
use crate::kind::{Kind, TypeId};
use crate::view::Type;

/// How many types of one name are looked at. Kernels have a handful; a blob may have a million.
const NAMESAKES_MAX: usize = 1 << 10;

/// Why split types cannot stand on another base.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RebaseError {
    /// The base has no such type.
    #[error("the base has no {kind} '{name}'{}", size.map_or(String::new(), |s| format!(" of {s} bytes")))]
    Missing {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// The size it must have.
        size: Option<u32>,
    },
    /// The base has several that fit.
    #[error("the base has several types that could be {kind} '{name}'")]
    Ambiguous {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// A type of the distilled base cannot be known by anything.
    #[error("type {id} of the distilled base is a {kind}, which cannot be found elsewhere")]
    Unnamed {
        /// Its number.
        id: TypeId,
        /// Its kind.
        kind: Kind,
    },
    /// The types do not stand on a base, or the result cannot be read.
    #[error(transparent)]
    Btf(#[from] BtfError),
}

/// Puts types that stand on a distilled base onto the whole one.
///
/// # Errors
/// [`RebaseError`] names the type that the base lacks. Cost: linear in the split types and the
/// distilled base.
pub fn rebase(split: &Btf, base: &Arc<Btf>) -> Result<Btf, RebaseError> {
    let Some(distilled) = split.base() else {
        // They stand on nothing, so they stand anywhere.
        return Ok(Btf::parse_on(split.raw().to_vec(), None)?);
    };
    let held = held(split, distilled);
    let mut found = vec![TypeId::VOID];
    for (ty, held) in distilled.types().zip(held.iter().skip(1)) {
        found.push(counterpart(&ty, *held, base)?);
    }
    let shift = |id: TypeId| match found.get(id.0 as usize) {
        Some(id) => *id,
        None => {
            let own = id.0.saturating_sub(split.first_id().0);
            TypeId(base.type_count().saturating_add(own))
        }
    };
    let mut builder = Builder::on(base);
    for ty in split.types() {
        builder.copy(&ty, shift);
    }
    Ok(Btf::parse_on(builder.finish(), Some(Arc::clone(base)))?)
}

/// Which types of the distilled base are held by value in a structure of the split types: they
/// must keep their size.
fn held(split: &Btf, distilled: &Btf) -> Vec<bool> {
    let mut held = vec![false; distilled.type_count() as usize];
    for member in split.types().flat_map(|ty| ty.members()) {
        let mut id = member.ty;
        for _ in 0..NAMESAKES_MAX {
            let Some(ty) = split.type_by_id(id) else {
                break;
            };
            id = match ty.kind() {
                Kind::Array => ty.array().map_or(TypeId::VOID, |array| array.elem),
                kind if kind.is_modifier() || kind == Kind::Typedef => {
                    ty.ref_type().unwrap_or_default()
                }
                _ => {
                    if let Some(place) = held.get_mut(id.0 as usize) {
                        *place = true;
                    }
                    break;
                }
            };
        }
    }
    held
}

/// The type of the base that a distilled one stands for.
fn counterpart(wanted: &Type<'_>, held: bool, base: &Btf) -> Result<TypeId, RebaseError> {
    let kind = wanted.kind();
    let name = wanted.name();
    let known_by_name = kind.is_composite()
        || kind.is_enum()
        || matches!(kind, Kind::Int | Kind::Float | Kind::Fwd);
    if !known_by_name || name.is_empty() {
        let id = wanted.id();
        return Err(RebaseError::Unnamed { id, kind });
    }
    let namesakes = || base.find_all(name).take(NAMESAKES_MAX);
    let is_alone = namesakes().filter(|ty| ty.kind().is_composite()).count() == 1;
    // Of one that is held, Linux looks at the size until it has found the first.
    let of_size = |ty: &Type<'_>| {
        let composite = wanted.kind().is_composite();
        !composite || !held || ty.size().unwrap_or(0) == wanted.size().unwrap_or(0)
    };
    let mut fitting = namesakes()
        .filter(|ty| stands_for(ty, wanted, is_alone))
        .skip_while(|ty| !of_size(ty));
    let missing = || RebaseError::Missing {
        kind,
        name: name.to_string(),
        size: wanted.size(),
    };
    let first = fitting.next().ok_or_else(missing)?;
    if fitting.next().is_some() {
        let name = name.to_string();
        return Err(RebaseError::Ambiguous { kind, name });
    }
    Ok(first.id())
}

/// Whether a type of that name can be the one that is wanted. Members are not compared: a
/// distilled base has none. The size of a structure counts if there is another of its name
/// (`is_alone` is false).
fn stands_for(has: &Type<'_>, wanted: &Type<'_>, is_alone: bool) -> bool {
    let same_size = has.size().unwrap_or(0) == wanted.size().unwrap_or(0);
    let sized = match has.kind() {
        Kind::Struct | Kind::Union => same_size || is_alone,
        Kind::Int | Kind::Float | Kind::Enum | Kind::Enum64 => same_size,
        Kind::Fwd => true,
        _ => false,
    };
    let encoding = |ty: &Type<'_>| ty.int().map(|int| (int.signed, int.char, int.bool));
    sized
        && match wanted.kind() {
            Kind::Int => has.kind() == Kind::Int && encoding(has) == encoding(wanted),
            Kind::Float => has.kind() == Kind::Float,
            Kind::Enum | Kind::Enum64 => has.kind().is_enum(),
            Kind::Fwd if has.kind() == Kind::Fwd => has.kind_flag() == wanted.kind_flag(),
            // Where Linux means to ask whether a union is wanted, it asks whether the type has
            // bit fields.
            Kind::Fwd => {
                has.kind().is_composite() && (has.kind() == Kind::Union) == has.kind_flag()
            }
            // Linux does not ask what else of that name and size it is.
            _ => true,
        }
}

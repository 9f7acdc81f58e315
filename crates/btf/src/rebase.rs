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
    let mut found = vec![TypeId::VOID];
    for ty in distilled.types() {
        found.push(counterpart(&ty, base)?);
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

/// The type of the base that a distilled one stands for.
fn counterpart(wanted: &Type<'_>, base: &Btf) -> Result<TypeId, RebaseError> {
    let kind = wanted.kind();
    let name = wanted.name();
    let known_by_name = kind.is_composite()
        || kind.is_enum()
        || matches!(kind, Kind::Int | Kind::Float | Kind::Fwd);
    if !known_by_name || name.is_empty() {
        let id = wanted.id();
        return Err(RebaseError::Unnamed { id, kind });
    }
    let of_name = base.find_all(name).take(NAMESAKES_MAX);
    let mut fitting = of_name.filter(|ty| stands_for(ty, wanted));
    let missing = || RebaseError::Missing {
        kind,
        name: name.to_string(),
        size: wanted.size(),
    };
    let first = fitting.next().ok_or_else(missing)?;
    // Numbers of one name and shape are one type; structures of one name need not be.
    let is_number = matches!(kind, Kind::Int | Kind::Float);
    if !is_number && fitting.any(|other| other.kind() == first.kind()) {
        let name = name.to_string();
        return Err(RebaseError::Ambiguous { kind, name });
    }
    Ok(first.id())
}

/// Members are not compared: a distilled base has none.
fn stands_for(has: &Type<'_>, wanted: &Type<'_>) -> bool {
    match wanted.kind() {
        Kind::Int => {
            has.kind() == Kind::Int && has.size() == wanted.size() && has.int() == wanted.int()
        }
        Kind::Enum | Kind::Enum64 => has.kind().is_enum() && has.size() == wanted.size(),
        Kind::Fwd => {
            let of = if wanted.kind_flag() {
                Kind::Union
            } else {
                Kind::Struct
            };
            has.kind() == of || has.kind() == Kind::Fwd && has.kind_flag() == wanted.kind_flag()
        }
        kind => has.kind() == kind && has.size() == wanted.size(),
    }
}

//! What split types need to know of the types they stand on, so that they can be put onto
//! another base later: a distilled base (`.BTF.base`), and the split types renumbered on it.
//!
//! ```text
//!  base           named:    numbers, structures, enumerations, forwards that are referred to,
//!                           without members or constants
//!  distilled  =   nameless: pointers, arrays, prototypes, nameless structures … (and typedefs)
//!  split          on the way to them come behind the split types themselves
//! ```

use std::sync::Arc;

use thiserror::Error;

use crate::blob::Btf;
use crate::builder::Builder;
use crate::error::BtfError;
use crate::kind::{Kind, TypeId};

/// A distilled base, and what stands on it.
#[derive(Clone, Debug)]
pub struct Distilled {
    /// The distilled base, as `.BTF.base` has it.
    pub base: Arc<Btf>,
    /// The split types on it, as `.BTF` has them.
    pub split: Btf,
}

/// Why no base can be distilled.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DistillError {
    /// The types stand on no base.
    #[error("the types are not split off a base")]
    NoBase,
    /// Functions, variables, sections and tags of a base belong to the base alone.
    #[error("type {id} of the base is a {kind}, to which split types cannot refer")]
    Kind {
        /// Its number.
        id: TypeId,
        /// Its kind.
        kind: Kind,
    },
    /// The result cannot be read: there are too many types.
    #[error(transparent)]
    Btf(#[from] BtfError),
}

/// What becomes of a type of the base.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Left,
    /// It is known by its name.
    Distilled,
    /// It goes to the split types.
    Copied,
}

/// Distils the base of split types: the same two blobs as libbpf's `btf__distill_base`.
///
/// # Errors
/// [`DistillError`]. Cost: linear in the split types and what they reach of the base.
pub fn distill(split: &Btf) -> Result<Distilled, DistillError> {
    let base = split.base().ok_or(DistillError::NoBase)?;
    let fates = fates(split, base)?;
    let mut ids = vec![TypeId::VOID; base.type_count() as usize];
    let of = |fate: Fate| {
        let with_id = (0..).map(TypeId).zip(&fates);
        with_id.filter(move |(_, own)| **own == fate)
    };

    let mut builder = Builder::new();
    for ((id, _), new) in of(Fate::Distilled).zip(1..) {
        let Some(ty) = base.type_by_id(id) else {
            continue;
        };
        let kind = ty.kind();
        match kind {
            Kind::Struct | Kind::Union => {
                builder.add(kind, ty.name(), (0, false), ty.size_or_type(), &[]);
            }
            // Either width of constants: there are none.
            Kind::Enum | Kind::Enum64 => {
                builder.add(Kind::Enum, ty.name(), (0, false), ty.size_or_type(), &[]);
            }
            _ => {
                builder.copy(&ty, |id| id);
            }
        }
        if let Some(place) = ids.get_mut(id.0 as usize) {
            *place = TypeId(new);
        }
    }
    let distilled = Arc::new(Btf::parse_on(builder.finish(), None)?);

    let own = split.types().count() as u32;
    let behind = distilled.type_count().saturating_add(own);
    for ((id, _), new) in of(Fate::Copied).zip(behind..) {
        if let Some(place) = ids.get_mut(id.0 as usize) {
            *place = TypeId(new);
        }
    }
    let moved = |id: TypeId| match ids.get(id.0 as usize) {
        Some(id) => *id,
        None => {
            let own = id.0.saturating_sub(base.type_count());
            TypeId(distilled.type_count().saturating_add(own))
        }
    };
    let mut builder = Builder::on(&distilled);
    builder.share_strings(&distilled);
    for ty in split.types() {
        builder.copy(&ty, moved);
    }
    for (id, _) in of(Fate::Copied) {
        if let Some(ty) = base.type_by_id(id) {
            builder.copy(&ty, moved);
        }
    }
    let split = Btf::parse_on(builder.finish(), Some(Arc::clone(&distilled)))?;
    Ok(Distilled {
        base: distilled,
        split,
    })
}

/// What becomes of each type of the base.
fn fates(split: &Btf, base: &Btf) -> Result<Vec<Fate>, DistillError> {
    let mut fates = vec![Fate::Left; base.type_count() as usize];
    let mut waiting: Vec<TypeId> = Vec::new();
    let mut refer = |ty: &crate::view::Type<'_>, waiting: &mut Vec<TypeId>| {
        ty.each_reference(|_, id| {
            let id = TypeId(id);
            let Some(fate) = fates.get_mut(id.0 as usize) else {
                return Ok(());
            };
            if id == TypeId::VOID || *fate != Fate::Left {
                return Ok(());
            }
            let Some(ty) = base.type_by_id(id) else {
                return Ok(());
            };
            let kind = ty.kind();
            let is_named = ty.name_off() != 0;
            *fate = match kind {
                Kind::Int | Kind::Float | Kind::Fwd => Fate::Distilled,
                Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 if is_named => {
                    Fate::Distilled
                }
                Kind::Func | Kind::Var | Kind::DataSec | Kind::DeclTag => {
                    return Err(DistillError::Kind { id, kind });
                }
                _ => Fate::Copied,
            };
            if *fate == Fate::Copied {
                waiting.push(id);
            }
            Ok(())
        })
    };
    for ty in split.types() {
        refer(&ty, &mut waiting)?;
        while let Some(id) = waiting.pop() {
            if let Some(ty) = base.type_by_id(id) {
                refer(&ty, &mut waiting)?;
            }
        }
    }
    Ok(fates)
}

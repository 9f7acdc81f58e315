//! Questions about types: by name, through modifiers, and how large.

use crate::blob::Btf;
use crate::kind::{Kind, TypeId};
use crate::view::Type;

/// How many references a resolution follows before it gives up (the kernel's bound).
pub const MAX_RESOLVE_DEPTH: usize = 32;

/// Bytes of a pointer on the BPF machine.
const POINTER_SIZE: u32 = 8;

impl Btf {
    /// The first type of this name and kind, looking here and then in the base.
    ///
    /// Cost: constant after the first call, which builds an index over the blob.
    pub fn find_by_name_kind(&self, name: &str, kind: Kind) -> Option<TypeId> {
        self.find_all(name)
            .find(|ty| ty.kind() == kind)
            .map(|ty| ty.id())
            .or_else(|| {
                self.base()
                    .and_then(|base| base.find_by_name_kind(name, kind))
            })
    }

    /// All types of this name that are defined here (not in the base), by ascending id.
    pub fn find_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Type<'a>> + 'a {
        self.names()
            .candidates(name)
            .filter_map(|id| self.type_by_id(id))
            .filter(move |ty| ty.name() == name)
    }

    /// Strips `const`, `volatile`, `restrict` and type tags; stops at a typedef.
    /// `None` when the id does not exist or the chain is longer than [`MAX_RESOLVE_DEPTH`].
    pub fn strip_modifiers(&self, id: impl Into<TypeId>) -> Option<Type<'_>> {
        self.follow(id.into(), Kind::is_modifier)
    }

    /// Strips modifiers and typedefs. `None` as for [`Btf::strip_modifiers`].
    pub fn resolve(&self, id: impl Into<TypeId>) -> Option<Type<'_>> {
        self.follow(id.into(), |kind| {
            kind.is_modifier() || kind == Kind::Typedef
        })
    }

    fn follow(&self, mut id: TypeId, through: impl Fn(Kind) -> bool) -> Option<Type<'_>> {
        for _ in 0..=MAX_RESOLVE_DEPTH {
            let ty = self.type_by_id(id)?;
            if !through(ty.kind()) {
                return Some(ty);
            }
            id = ty.ref_type()?;
        }
        None
    }

    /// The size in bytes of any type that has one: integers, pointers, arrays, composites,
    /// enumerations, floats, sections, and modifiers, typedefs and variables of those.
    ///
    /// `None` for `void`, functions and forwards, for an overflow of 32 bits, and for chains
    /// longer than [`MAX_RESOLVE_DEPTH`].
    pub fn size_of(&self, id: impl Into<TypeId>) -> Option<u32> {
        let mut id = id.into();
        let mut elements = 1u32;
        for _ in 0..=MAX_RESOLVE_DEPTH {
            let ty = self.type_by_id(id)?;
            if let Some(size) = ty.size() {
                return size.checked_mul(elements);
            }
            id = match ty.kind() {
                Kind::Ptr => return POINTER_SIZE.checked_mul(elements),
                Kind::Array => {
                    let array = ty.array()?;
                    elements = elements.checked_mul(array.count)?;
                    array.elem
                }
                kind if kind.is_modifier() || kind == Kind::Typedef || kind == Kind::Var => {
                    ty.ref_type()?
                }
                _ => return None,
            };
        }
        None
    }
}

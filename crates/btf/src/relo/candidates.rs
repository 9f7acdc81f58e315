//! Which types of a blob may stand for a type of a program: those of the same name and kind,
//! whatever flavour (`name___flavour`) either has.

use std::collections::HashMap;

use super::essential_name;
use crate::blob::Btf;
use crate::kind::{Kind, TypeId};

/// The types of one blob that have a flavour, by name without it. Few have one, and to look for
/// them means to look at all names, so it is done once.
#[derive(Clone, Debug, Default)]
pub struct Flavours(HashMap<String, Vec<TypeId>>);

impl Flavours {
    /// Finds them. Cost: linear in the blob.
    pub fn of(btf: &Btf) -> Flavours {
        let mut all: HashMap<String, Vec<TypeId>> = HashMap::new();
        for ty in btf.types() {
            let whole = ty.name();
            let name = essential_name(whole);
            if name.len() != whole.len() {
                all.entry(name.to_string()).or_default().push(ty.id());
            }
        }
        Flavours(all)
    }

    /// What the blob itself, which these are of, defines by the name, and of a kind that fits,
    /// by ascending id. libbpf takes both widths of enumerations for one, Linux does not.
    pub fn candidates(&self, btf: &Btf, name: &str, fits: impl Fn(Kind) -> bool) -> Vec<TypeId> {
        let plain = btf.find_all(name).filter(|ty| {
            // What looks like a name with a flavour goes by the name without.
            essential_name(ty.name()).len() == name.len()
        });
        let flavoured = self.0.get(name).into_iter().flatten().copied();
        let mut ids: Vec<TypeId> = plain.map(|ty| ty.id()).chain(flavoured).collect();
        ids.retain(|id| {
            let other = btf.type_by_id(*id);
            other.is_some_and(|other| fits(other.kind()))
        });
        ids.sort();
        ids
    }
}

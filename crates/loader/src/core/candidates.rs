//! Which types of the target may stand for a type of the object: those of the same name and
//! kind, whatever flavour (`name___flavour`) either has.

use std::collections::HashMap;

use skep_btf::{Btf, Kind, TypeId};

use crate::resolve::essential_name;

/// The candidates found so far.
pub(super) struct Candidates<'a> {
    target: &'a Btf,
    /// The target's types that have a flavour, by name without it.
    flavoured: Option<HashMap<&'a str, Vec<TypeId>>>,
    found: HashMap<TypeId, Vec<TypeId>>,
}

impl<'a> Candidates<'a> {
    pub(super) fn new(target: &'a Btf) -> Candidates<'a> {
        Candidates {
            target,
            flavoured: None,
            found: HashMap::new(),
        }
    }

    /// The candidates for a type of the object, by ascending id.
    pub(super) fn of(&mut self, local: &Btf, root: TypeId) -> Result<&[TypeId], String> {
        if !self.found.contains_key(&root) {
            let ty = local.type_by_id(root).ok_or("its type does not exist")?;
            let name = essential_name(ty.name());
            if name.is_empty() {
                return Err("a type without a name cannot be found in the target".to_string());
            }
            let fits = |id: &TypeId| {
                self.target
                    .type_by_id(*id)
                    .is_some_and(|other| same_kind(ty.kind(), other.kind()))
            };
            let mut ids: Vec<TypeId> = Vec::new();
            let mut blob = Some(self.target);
            while let Some(btf) = blob {
                ids.extend(btf.find_all(name).map(|ty| ty.id()).filter(fits));
                blob = btf.base().map(|base| base.as_ref());
            }
            let target = self.target;
            let flavoured = self.flavoured.get_or_insert_with(|| flavours(target));
            let more = flavoured.get(name).into_iter().flatten().copied();
            ids.extend(more.filter(|id| {
                target
                    .type_by_id(*id)
                    .is_some_and(|other| same_kind(ty.kind(), other.kind()))
            }));
            ids.sort();
            self.found.insert(root, ids);
        }
        Ok(self.found.get(&root).map_or(&[], Vec::as_slice))
    }
}

fn flavours(btf: &Btf) -> HashMap<&str, Vec<TypeId>> {
    let mut all: HashMap<&str, Vec<TypeId>> = HashMap::new();
    for id in 1..btf.type_count() {
        let Some(ty) = btf.type_by_id(id) else {
            continue;
        };
        let name = essential_name(ty.name());
        if name.len() != ty.name().len() {
            all.entry(name).or_default().push(ty.id());
        }
    }
    all
}

/// The same kind; both widths of enumerations count as one.
pub(super) fn same_kind(a: Kind, b: Kind) -> bool {
    a == b || a.is_enum() && b.is_enum()
}

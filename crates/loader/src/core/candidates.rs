//! Which types of the target may stand for a type of the object: those of the same name and
//! kind, whatever flavour (`name___flavour`) either has.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use skep_btf::relo::{Flavours, essential_name, same_kind};
use skep_btf::{Btf, Kind, TypeId};

/// A type of the target: the blob that defines it or stands on the one that does, and its
/// number there.
pub(crate) type Place = (Arc<Btf>, TypeId);

/// The candidates found so far. One serves all programs of an object, so that the target is
/// indexed once.
#[derive(Debug)]
pub(crate) struct Candidates {
    target: Arc<Btf>,
    /// The types of the kernel's modules, which are looked into for what the target lacks.
    modules: Modules,
    /// By blob (where it lies), its types that have a flavour, by name without it.
    flavoured: HashMap<usize, Flavours>,
    found: HashMap<TypeId, Rc<[Place]>>,
}

/// The types of modules, once somebody wants them.
#[derive(Debug)]
enum Modules {
    Unasked,
    Known(Vec<Arc<Btf>>),
}

impl Candidates {
    pub(crate) fn new(target: Arc<Btf>) -> Candidates {
        Candidates {
            target,
            modules: Modules::Unasked,
            flavoured: HashMap::new(),
            found: HashMap::new(),
        }
    }

    /// The candidates for a type of the object, by ascending id. Modules are looked into only
    /// where the kernel proper has none, as libbpf does it; `modules` is asked once.
    pub(crate) fn of(
        &mut self,
        local: &Btf,
        root: TypeId,
        modules: impl FnOnce() -> Vec<Arc<Btf>>,
    ) -> Result<Rc<[Place]>, String> {
        if let Some(found) = self.found.get(&root) {
            return Ok(Rc::clone(found));
        }
        let ty = local.type_by_id(root).ok_or("its type does not exist")?;
        let name = essential_name(ty.name());
        if name.is_empty() {
            return Err("a type without a name cannot be found in the target".to_string());
        }
        let mut places = Vec::new();
        let mut blob = Some(Arc::clone(&self.target));
        while let Some(btf) = blob {
            self.search(&btf, name, ty.kind(), &mut places);
            blob = btf.base().cloned();
        }
        if places.is_empty() {
            if matches!(self.modules, Modules::Unasked) {
                self.modules = Modules::Known(modules());
            }
            let blobs = match &self.modules {
                Modules::Known(blobs) => blobs.clone(),
                Modules::Unasked => Vec::new(),
            };
            for blob in &blobs {
                self.search(blob, name, ty.kind(), &mut places);
            }
        } else {
            places.sort_by_key(|(_, id)| *id);
        }
        let found: Rc<[Place]> = places.into();
        self.found.insert(root, Rc::clone(&found));
        Ok(found)
    }

    /// Keeps those candidates for a type that had what a relocation asked for: later ones for
    /// the type choose among these, as libbpf's do.
    pub(super) fn narrow(&mut self, root: TypeId, keep: &[bool]) {
        if let Some(found) = self.found.get_mut(&root)
            && keep.contains(&true)
            && keep.contains(&false)
        {
            let kept = found.iter().zip(keep).filter(|(_, keep)| **keep);
            *found = kept.map(|(place, _)| place.clone()).collect();
        }
    }

    /// Adds what one blob itself defines.
    fn search(&mut self, btf: &Arc<Btf>, name: &str, kind: Kind, places: &mut Vec<Place>) {
        let key = Arc::as_ptr(btf) as usize;
        let flavours = self.flavoured.entry(key);
        let flavours = flavours.or_insert_with(|| Flavours::of(btf));
        let ids = flavours.candidates(btf, name, |other| same_kind(kind, other));
        places.extend(ids.into_iter().map(|id| (Arc::clone(btf), id)));
    }
}

//! The part of a target's types that objects need to be fitted to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use skep_btf::relo::{self, Levels, Spec, Subject};
use skep_btf::{Btf, Builder, CoreKind, Kind, Type, TypeId};

use super::candidates::Candidates;
use crate::object::Object;

/// How many references are followed from one type.
const LINKS_MAX: usize = 1 << 16;

/// Types that answer the relocations of the objects as the whole target does: of structures
/// only the members that are asked for.
///
/// # Errors
/// A sentence when a relocation cannot be read.
pub fn minimal_btf(target: &Arc<Btf>, objects: &[Object]) -> Result<Vec<u8>, String> {
    let mut kept = Kept {
        target,
        types: BTreeSet::new(),
        members: BTreeMap::new(),
    };
    let mut candidates = Candidates::new(Arc::clone(target));
    for object in objects {
        let Some(local) = &object.btf else { continue };
        let relos = object.programs.iter().flat_map(|p| &p.core_relos);
        for record in relos.filter(|relo| relo.kind != CoreKind::TypeIdLocal) {
            let spec = Spec::parse(local, record).map_err(|error| error.to_string())?;
            for (_, id) in candidates.of(local, spec.root, Vec::new)?.iter() {
                let found = relo::find(local, &spec, target, *id, Levels::LIBBPF);
                let found = found.map_err(|error| error.to_string())?;
                if let Some(found) = found.found() {
                    kept.answer(record.kind, &found);
                }
            }
        }
    }
    Ok(kept.write())
}

/// What stays of the target.
struct Kept<'t> {
    target: &'t Btf,
    types: BTreeSet<TypeId>,
    /// Of structures, the members that stay.
    members: BTreeMap<TypeId, BTreeSet<usize>>,
}

impl Kept<'_> {
    fn answer(&mut self, kind: CoreKind, found: &Spec) {
        self.keep(found.root, false);
        match (&found.subject, kind) {
            (Subject::Field(_), _) => {
                for (owner, index) in &found.through {
                    self.types.insert(*owner);
                    self.members.entry(*owner).or_default().insert(*index);
                    let owner = self.target.type_by_id(*owner);
                    if let Some(member) = owner.and_then(|ty| ty.members().nth(*index)) {
                        self.keep(member.ty, false);
                    }
                }
            }
            (Subject::WholeType, _) => self.keep(found.root, true),
            (Subject::Type | Subject::Enumerator(..), _) => {}
        }
    }

    /// Keeps a type, what its modifiers and arrays lead to, and what its kind is compared by.
    /// `whole` keeps the members of structures too, those behind pointers by name.
    fn keep(&mut self, id: TypeId, whole: bool) {
        let mut open = vec![(id, whole)];
        let mut seen = BTreeSet::new();
        for _ in 0..LINKS_MAX {
            let Some((id, whole)) = open.pop() else {
                return;
            };
            let Some(ty) = self.target.type_by_id(id) else {
                continue;
            };
            if id == TypeId::VOID || !seen.insert((id, whole)) {
                continue;
            }
            self.types.insert(id);
            match ty.kind() {
                Kind::Array => {
                    let array = ty.array();
                    open.extend(array.map(|array| (array.elem, whole)));
                    open.extend(array.map(|array| (array.index, false)));
                }
                Kind::FuncProto => {
                    open.extend(ty.ref_type().map(|id| (id, whole)));
                    open.extend(ty.params().map(|param| (param.ty, whole)));
                }
                Kind::Struct | Kind::Union if whole => {
                    let count = ty.members().len();
                    self.members.entry(id).or_default().extend(0..count);
                    open.extend(ty.members().map(|member| (member.ty, true)));
                }
                Kind::Ptr => open.extend(ty.ref_type().map(|id| (id, false))),
                Kind::Struct | Kind::Union => {}
                _ => open.extend(ty.ref_type().map(|id| (id, whole))),
            }
        }
    }

    fn write(&self) -> Vec<u8> {
        let mut builder = Builder::new();
        // A stand-in for what is pointed at and not kept is `void`, which is id 0.
        let ids: BTreeMap<TypeId, TypeId> = self
            .types
            .iter()
            .zip(1..)
            .map(|(old, new)| (*old, TypeId(new)))
            .collect();
        let map = |id: TypeId| ids.get(&id).copied().unwrap_or_default();
        for ty in self
            .types
            .iter()
            .filter_map(|id| self.target.type_by_id(*id))
        {
            let id = builder.copy(&ty, map);
            if ty.kind().is_composite() {
                self.cut(&mut builder, id, &ty);
            }
        }
        builder.finish()
    }

    /// Leaves a copied structure the members that stay.
    fn cut(&self, builder: &mut Builder, id: TypeId, ty: &Type<'_>) {
        let Some(record) = builder.record(id) else {
            return;
        };
        let members = self.members.get(&ty.id());
        let count = members.map_or(0, BTreeSet::len) as u32;
        let mut words: Vec<u32> = record.iter().take(3).copied().collect();
        if let Some(info) = words.get_mut(1) {
            *info = *info & !0xffff | count;
        }
        for index in members.into_iter().flatten() {
            let from = 3 + 3 * index;
            words.extend(record.get(from..from + 3).unwrap_or(&[]));
        }
        builder.replace(id, words);
    }
}

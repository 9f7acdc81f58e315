//! Structures that hold the kernel's own fields (locks, list heads, tree nodes): each must be
//! one that a program could allocate. Linux objects to them with an errno alone.

use skep_abi::Errno;

use super::records::Records;
use crate::blob::Btf;
use crate::kind::{Kind, TypeId};
use crate::special::{Holder, SpecialField, SpecialKind};

/// Checks every structure that directly holds a special field, and tells the names of the
/// structures that counted pointers in them lead to.
pub(super) fn check(records: &Records<'_>, raw: &[u8]) -> Result<Vec<String>, Errno> {
    if !may_have_fields(records) {
        return Ok(Vec::new());
    }
    // What was checked so far the parser can read.
    let btf = Btf::parse_on(raw.to_vec(), None).map_err(|_| Errno::EINVAL)?;
    let mut kept = Vec::new();
    let mut found: Vec<(TypeId, Vec<SpecialField>)> = Vec::new();
    for id in (1..records.count()).map(TypeId) {
        let Some(ty) = btf.type_by_id(id).filter(|ty| btf.is_object(ty)) else {
            continue;
        };
        let fields = btf.special_fields(id, Holder::Object)?;
        if fields.is_empty() {
            return Err(Errno::EFAULT);
        }
        for field in fields.iter().filter(|f| f.kind == SpecialKind::Kptr) {
            let target = btf.type_by_id(field.target);
            kept.extend(target.map(|ty| ty.name().to_owned()));
        }
        found.push((ty.id(), fields));
    }
    let is_root = |f: &SpecialField| matches!(f.kind, SpecialKind::ListHead | SpecialKind::RbRoot);
    let is_node = |f: &SpecialField| matches!(f.kind, SpecialKind::ListNode | SpecialKind::RbNode);
    let of = |id: TypeId| {
        let at = found.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        found.get(at).map(|(_, fields)| fields)
    };
    for (_, fields) in found.iter().filter(|(_, f)| f.iter().any(is_node)) {
        // What is held and holds others may only hold what holds nothing.
        let mut held = fields.iter().filter(|f| is_root(f)).map(|f| f.target);
        if held.any(|id| of(id).is_some_and(|fields| fields.iter().any(is_root))) {
            return Err(Errno::ELOOP);
        }
    }
    Ok(kept)
}

/// Whether any type has a name by which special fields are known.
fn may_have_fields(records: &Records<'_>) -> bool {
    let mut all = (1..records.count()).filter_map(|id| records.get(id));
    all.any(|ty| {
        let name = records.name(ty.name);
        match ty.kind {
            Kind::Struct => name.starts_with(b"bpf_"),
            Kind::TypeTag => name.ends_with(b"kptr") || name == b"kptr_untrusted",
            _ => false,
        }
    })
}

//! Whether a program of this kind may use a map, and whether its value has an address.

use skep_abi::{Errno, MapType, ProgFlags};
use skep_btf::{Btf, Kind, MAX_RESOLVE_DEPTH, TypeId};

use crate::context::{Res, Stop, Verifier};
use crate::env::MapFacts;
use crate::refuse;

/// Checks a map at its first use.
///
/// # Errors
/// `EINVAL` when Linux refuses the combination; unsupported for maps with fields that the
/// verifier must guard (locks, timers, kernel pointers, lists, trees) and for arenas.
pub fn check(v: &mut Verifier<'_>, map: &MapFacts) -> Res {
    if let Some(field) = special_field(map) {
        return Err(Stop::Unsupported(format!(
            "{field} in the value of map '{}'",
            map.name
        )));
    }
    let Some(kind) = MapType::from_u32(map.map_type) else {
        return Err(Stop::Unsupported(format!("map type {}", map.map_type)));
    };
    if matches!(kind, MapType::Arena) {
        return Err(Stop::Unsupported(format!("arena map '{}'", map.name)));
    }
    if kind == MapType::StructOps {
        refuse!(v, EINVAL, "bpf_struct_ops map cannot be used in prog");
    }
    if v.request.flags & ProgFlags::SLEEPABLE.bits() != 0 && !serves_sleepers(kind) {
        refuse!(
            v,
            EINVAL,
            "Sleepable programs can only use array, hash, ringbuf and local storage maps"
        );
    }
    Ok(())
}

fn serves_sleepers(kind: MapType) -> bool {
    matches!(
        kind,
        MapType::Hash
            | MapType::LruHash
            | MapType::Array
            | MapType::PercpuHash
            | MapType::PercpuArray
            | MapType::LruPercpuHash
            | MapType::ArrayOfMaps
            | MapType::HashOfMaps
            | MapType::Ringbuf
            | MapType::UserRingbuf
            | MapType::InodeStorage
            | MapType::SkStorage
            | MapType::TaskStorage
            | MapType::CgrpStorage
            | MapType::Queue
            | MapType::Stack
            | MapType::Arena
    )
}

/// Whether an offset into the value has an address of its own: only in arrays of one
/// element. `Err(None)` when the kind of map has no such values at all.
pub fn direct_value(map: &MapFacts, offset: u32) -> Result<(), Option<Errno>> {
    if map.map_type != MapType::Array.as_u32() {
        return Err(None);
    }
    if map.max_entries != 1 {
        return Err(Some(Errno::ENOTSUPP));
    }
    if offset >= map.value_size {
        return Err(Some(Errno::EINVAL));
    }
    Ok(())
}

/// The name of a field of the value that plain loads and stores may not touch.
fn special_field(map: &MapFacts) -> Option<String> {
    let (btf, _, value) = map.btf.as_ref()?;
    find_special(btf, TypeId(*value), 0)
}

fn find_special(btf: &Btf, id: TypeId, depth: usize) -> Option<String> {
    if depth > MAX_RESOLVE_DEPTH {
        return None;
    }
    let ty = btf.resolve(id)?;
    match ty.kind() {
        Kind::Struct | Kind::Union => {
            const GUARDED: [&str; 12] = [
                "bpf_spin_lock",
                "bpf_res_spin_lock",
                "bpf_timer",
                "bpf_wq",
                "bpf_task_work",
                "bpf_list_head",
                "bpf_list_node",
                "bpf_rb_root",
                "bpf_rb_node",
                "bpf_refcount",
                "bpf_dynptr",
                "bpf_iter_num",
            ];
            if GUARDED.contains(&ty.name()) {
                return Some(ty.name().to_owned());
            }
            ty.members()
                .find_map(|m| find_special(btf, m.ty, depth + 1))
        }
        Kind::DataSec => ty
            .vars()
            .find_map(|var| find_special(btf, var.ty, depth + 1)),
        Kind::Var => find_special(btf, ty.ref_type()?, depth + 1),
        Kind::Array => find_special(btf, ty.array()?.elem, depth + 1),
        Kind::Ptr => pointer_tag(btf, ty.ref_type()?),
        _ => None,
    }
}

/// The tag by which a pointer in a map value is declared to be the kernel's.
fn pointer_tag(btf: &Btf, mut id: TypeId) -> Option<String> {
    const TAGS: [&str; 4] = ["kptr_untrusted", "kptr", "percpu_kptr", "uptr"];
    for _ in 0..MAX_RESOLVE_DEPTH {
        let ty = btf.type_by_id(id)?;
        if ty.kind() == Kind::TypeTag && TAGS.contains(&ty.name()) {
            return Some(ty.name().to_owned());
        }
        if !ty.kind().is_modifier() {
            return None;
        }
        id = ty.ref_type()?;
    }
    None
}

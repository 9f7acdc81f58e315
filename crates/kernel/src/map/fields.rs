//! What the BTF of a map says: whether key and value fit, and which fields of the value are
//! the kernel's.

use skep_abi::{Errno, MapFlags, MapType};
use skep_btf::{Btf, Kind, Type};
use skep_maps::{Field, FieldKind, Spec};

use super::Types;

/// How deep structures may be nested before fields in them are looked for no more.
const DEPTH: u32 = 8;

/// The special fields of a value.
#[derive(Default)]
pub(crate) struct Fields {
    pub(crate) list: Vec<Field>,
    pub(crate) any: bool,
}

use FieldKind::*;

/// Structure names by which a field is recognised, with the size it must have.
const STRUCTS: [(&str, FieldKind, u32); 10] = [
    ("bpf_spin_lock", SpinLock, 4),
    ("bpf_res_spin_lock", ResSpinLock, 4),
    ("bpf_timer", Timer, 16),
    ("bpf_wq", Workqueue, 16),
    ("bpf_task_work", TaskWork, 8),
    ("bpf_list_head", ListHead, 16),
    ("bpf_list_node", ListNode, 24),
    ("bpf_rb_root", RbRoot, 16),
    ("bpf_rb_node", RbNode, 32),
    ("bpf_refcount", Refcount, 4),
];

/// Type tags that make a pointer the kernel's.
const TAGS: [(&str, FieldKind); 4] = [
    ("kptr", Kptr),
    ("kptr_untrusted", UntrustedKptr),
    ("percpu_kptr", PercpuKptr),
    ("uptr", Uptr),
];

impl Fields {
    /// Checks the types against the map's sizes and collects the special fields.
    ///
    /// # Errors
    /// `EINVAL` for types that do not fit, `ENOTSUPP` for maps that have none,
    /// `EOPNOTSUPP` for a field that such a map cannot hold, `EACCES` for fields in a map
    /// that programs may not both read and write, `E2BIG` for a second lock.
    pub(crate) fn check(spec: &Spec, types: &Types) -> Result<Fields, Errno> {
        let btf: &Btf = &types.btf.btf;
        if types.key != 0 {
            fits(btf, types.key, spec.key_size)?;
        } else if !checks_its_types(spec.map_type) {
            return Err(Errno::EINVAL);
        }
        fits(btf, types.value, spec.value_size)?;
        let mut found = Vec::new();
        if let Some(value) = btf.resolve(types.value) {
            collect(btf, &value, 0, DEPTH, &mut found);
        }
        let mut fields = Fields::default();
        for (offset, size, special) in &found {
            allowed(spec, *special)?;
            let is_lock = *special == SpinLock;
            if is_lock && fields.list.iter().any(|f| f.kind == SpinLock) {
                return Err(Errno::E2BIG);
            }
            fields.any = true;
            fields.list.push(Field {
                offset: *offset,
                size: *size,
                kind: *special,
            });
        }
        check_kind(spec, types, btf)?;
        Ok(fields)
    }
}

/// The special fields of a structure that a program allocates.
pub(crate) fn fields_of(btf: &Btf, ty: &Type<'_>) -> Vec<Field> {
    let mut found = Vec::new();
    collect(btf, ty, 0, DEPTH, &mut found);
    let field = |&(offset, size, kind): &(u32, u32, FieldKind)| Field { offset, size, kind };
    found.iter().map(field).collect()
}

fn fits(btf: &Btf, id: u32, size: u32) -> Result<(), Errno> {
    if id != 0 && btf.size_of(id) == Some(size) {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// Whether a map type judges its types itself, and so may do without a key type.
fn checks_its_types(map_type: MapType) -> bool {
    use MapType::*;
    !matches!(
        map_type,
        Hash | PercpuHash
            | LruHash
            | LruPercpuHash
            | ProgArray
            | Queue
            | Stack
            | Ringbuf
            | ReuseportSockarray
    )
}

fn check_kind(spec: &Spec, types: &Types, btf: &Btf) -> Result<(), Errno> {
    use MapType::*;
    match spec.map_type {
        Array | PercpuArray => {
            if types.key == 0 {
                // One element with a data section as its type: a program's global variables.
                let section = btf.resolve(types.value).map(|t| t.kind());
                let globals = spec.max_entries == 1 && section == Some(Kind::DataSec);
                return if globals { Ok(()) } else { Err(Errno::EINVAL) };
            }
            let whole = btf.resolve(types.key).and_then(|t| t.int());
            match whole {
                Some(int) if int.bits == 32 && int.bit_offset == 0 => Ok(()),
                _ => Err(Errno::EINVAL),
            }
        }
        LpmTrie => {
            let key = btf.resolve(types.key).map(|t| t.kind());
            if key == Some(Kind::Struct) {
                Ok(())
            } else {
                Err(Errno::EINVAL)
            }
        }
        SkStorage | TaskStorage | InodeStorage | CgrpStorage => {
            match btf.resolve(types.key).and_then(|t| t.int()) {
                Some(int) if int.bits == 32 && int.bit_offset == 0 => Ok(()),
                _ => Err(Errno::EINVAL),
            }
        }
        CgroupStorage | PercpuCgroupStorage => {
            let key = btf.resolve(types.key);
            let fits = match spec.key_size {
                8 => key.and_then(|k| k.int()).is_some_and(|int| int.bits == 64),
                _ => key.is_some_and(|k| {
                    // `struct bpf_cgroup_storage_key`.
                    let mut members = k.members();
                    let mut next = |at: u32, bits: u32| {
                        members.next().is_some_and(|m| {
                            let int = btf.resolve(m.ty).and_then(|t| t.int());
                            m.bit_offset == at && int.is_some_and(|int| int.bits == bits)
                        })
                    };
                    k.kind() == Kind::Struct && k.vlen() == 2 && next(0, 64) && next(64, 32)
                }),
            };
            if fits { Ok(()) } else { Err(Errno::EINVAL) }
        }
        PerfEventArray | CgroupArray | ArrayOfMaps | HashOfMaps | StackTrace | Devmap
        | DevmapHash | Cpumap | Xskmap | Sockmap | Sockhash => Err(Errno::ENOTSUPP),
        _ => Ok(()),
    }
}

/// Whether such a field may lie in such a map.
fn allowed(spec: &Spec, special: FieldKind) -> Result<(), Errno> {
    use MapType::*;
    let storage = matches!(
        spec.map_type,
        SkStorage | InodeStorage | TaskStorage | CgrpStorage | CgroupStorage
    );
    let plain = matches!(spec.map_type, Hash | LruHash | Array);
    let fine = match special {
        SpinLock => matches!(spec.map_type, Hash | Array) || storage,
        ResSpinLock => matches!(spec.map_type, Hash | LruHash | Array),
        Timer | Workqueue | TaskWork | ListHead | RbRoot => plain,
        Kptr | UntrustedKptr | PercpuKptr | Uptr | Refcount => {
            plain || storage || matches!(spec.map_type, PercpuHash | LruPercpuHash | PercpuArray)
        }
        ListNode | RbNode => false,
    };
    let rights = MapFlags::RDONLY_PROG | MapFlags::WRONLY_PROG;
    if spec.flags.intersects(rights) {
        return Err(Errno::EACCES);
    }
    if fine { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
}

fn collect(btf: &Btf, ty: &Type<'_>, at: u32, depth: u32, found: &mut Vec<(u32, u32, FieldKind)>) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    match ty.kind() {
        Kind::Struct => {
            for member in ty.members() {
                if let Some(offset) = at.checked_add(member.bit_offset / 8) {
                    field(btf, member.ty.0, offset, depth, found);
                }
            }
        }
        Kind::DataSec => {
            for var in ty.vars() {
                let Some(target) = btf.type_by_id(var.ty).and_then(|v| v.ref_type()) else {
                    continue;
                };
                if let Some(offset) = at.checked_add(var.offset) {
                    field(btf, target.0, offset, depth, found);
                }
            }
        }
        _ => {}
    }
}

fn field(btf: &Btf, id: u32, at: u32, depth: u32, found: &mut Vec<(u32, u32, FieldKind)>) {
    let Some(ty) = btf.resolve(id) else { return };
    match ty.kind() {
        Kind::Struct => {
            let known = STRUCTS.iter().find(|(name, _, _)| *name == ty.name());
            match known {
                Some((_, special, size)) if ty.size() == Some(*size) => {
                    found.push((at, *size, *special));
                }
                _ => collect(btf, &ty, at, depth, found),
            }
        }
        Kind::Ptr => {
            let tag = ty.target().filter(|t| t.kind() == Kind::TypeTag);
            let name = tag.map(|t| t.name());
            if let Some((_, kind)) = TAGS.iter().find(|(known, _)| Some(*known) == name) {
                found.push((at, 8, *kind));
            }
        }
        Kind::Array => {
            let Some(array) = ty.array() else { return };
            let Some(size) = btf.size_of(array.elem) else {
                return;
            };
            let before = found.len();
            for n in 0..array.count {
                let Some(offset) = n.checked_mul(size).and_then(|o| o.checked_add(at)) else {
                    return;
                };
                field(btf, array.elem.0, offset, depth, found);
                if found.len() == before || found.len() > 64 {
                    return;
                }
            }
        }
        _ => {}
    }
}

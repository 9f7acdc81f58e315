//! What the BTF of a map says: whether key and value fit, and which fields of the value are
//! the kernel's.

use skep_abi::{Errno, MapFlags, MapType};
use skep_btf::{Btf, Holder, Kind, SpecialField, SpecialKind, Type};
use skep_maps::{Field, FieldKind, Spec};

use super::Types;

/// The special fields of a value.
#[derive(Default)]
pub(crate) struct Fields {
    pub(crate) list: Vec<Field>,
    pub(crate) any: bool,
}

use FieldKind::*;

impl Fields {
    /// Checks the types against the map's sizes and collects the special fields.
    ///
    /// # Errors
    /// `EINVAL` for types that do not fit, `ENOTSUPP` for maps that have none,
    /// `EOPNOTSUPP` for a field that such a map cannot hold, `EACCES` for fields in a map
    /// that programs may not both read and write.
    pub(crate) fn check(spec: &Spec, types: &Types, kernel: Option<&Btf>) -> Result<Fields, Errno> {
        let btf: &Btf = &types.btf.btf;
        if types.key != 0 {
            fits(btf, types.key, spec.key_size)?;
        } else if !checks_its_types(spec.map_type) {
            return Err(Errno::EINVAL);
        }
        fits(btf, types.value, spec.value_size)?;
        let mut fields = Fields::default();
        // A value with fields that cannot be is one without.
        for field in find(btf, types.value, Holder::MapValue, kernel).unwrap_or_default() {
            allowed(spec, field.kind)?;
            fields.any = true;
            fields.list.push(field);
        }
        check_kind(spec, types, btf)?;
        Ok(fields)
    }
}

/// The special fields of a structure that a program allocates.
pub(crate) fn fields_of(btf: &Btf, ty: &Type<'_>) -> Vec<Field> {
    if !btf.is_object(ty) {
        return Vec::new();
    }
    find(btf, ty.id().0, Holder::Object, None).unwrap_or_default()
}

/// The special fields of a structure.
///
/// # Errors
/// What [`Btf::special_fields`] objects to, and `ENOENT` for a counted pointer to what cannot
/// be given back.
fn find(btf: &Btf, id: u32, holder: Holder, kernel: Option<&Btf>) -> Result<Vec<Field>, Errno> {
    let Some(ty) = btf.resolve(id) else {
        return Ok(Vec::new());
    };
    let found = btf.special_fields(ty.id(), holder)?;
    for field in found.iter().filter(|f| f.kind == SpecialKind::Kptr) {
        let name = btf.type_by_id(field.target).map(|ty| ty.name());
        crate::btf::may_own(kernel, name.unwrap_or_default())?;
    }
    let field = |found: &SpecialField| Field {
        offset: found.offset,
        size: found.size,
        kind: kind_of(found.kind),
    };
    Ok(found.iter().map(field).collect())
}

fn kind_of(kind: SpecialKind) -> FieldKind {
    match kind {
        SpecialKind::SpinLock => SpinLock,
        SpecialKind::ResSpinLock => ResSpinLock,
        SpecialKind::Timer => Timer,
        SpecialKind::Workqueue => Workqueue,
        SpecialKind::TaskWork => TaskWork,
        SpecialKind::ListHead => ListHead,
        SpecialKind::ListNode => ListNode,
        SpecialKind::RbRoot => RbRoot,
        SpecialKind::RbNode => RbNode,
        SpecialKind::Refcount => Refcount,
        SpecialKind::Kptr => Kptr,
        SpecialKind::UntrustedKptr => UntrustedKptr,
        SpecialKind::PercpuKptr => PercpuKptr,
        SpecialKind::Uptr => Uptr,
    }
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
        ResSpinLock => matches!(spec.map_type, Hash | Array) || storage,
        Timer | Workqueue | TaskWork => plain,
        ListHead | RbRoot => matches!(spec.map_type, Hash | Array),
        Uptr => spec.map_type == TaskStorage,
        Kptr | UntrustedKptr | PercpuKptr | Refcount => {
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

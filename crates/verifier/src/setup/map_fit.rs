//! Whether a program of this kind may use a map, and whether its value has an address.

use skep_abi::{Errno, MapType, ProgFlags, ProgType};

use crate::access::special_fields::FieldKind;
use crate::context::{Res, Stop, Verifier};
use crate::env::MapFacts;
use crate::refuse;

/// Checks a map at its first use.
///
/// # Errors
/// `EACCES` for a map that was made for another program, `EINVAL` when Linux refuses the
/// combination.
pub fn check(v: &mut Verifier<'_>, map: &MapFacts) -> Res {
    if map.for_another {
        refuse!(
            v,
            EACCES,
            "program's hash doesn't match map's excl_prog_hash"
        );
    }
    check_fields(v, map)?;
    let Some(kind) = MapType::from_u32(map.map_type) else {
        return Err(Stop::Unsupported(format!("map type {}", map.map_type)));
    };
    if matches!(kind, MapType::Arena) {
        check_arena(v, map)?;
    }
    if kind == MapType::StructOps {
        refuse!(v, EINVAL, "bpf_struct_ops map cannot be used in prog");
    }
    if ProgFlags(v.request.flags).contains(ProgFlags::SLEEPABLE) && !serves_sleepers(kind) {
        refuse!(
            v,
            EINVAL,
            "Sleepable programs can only use array, hash, ringbuf and local storage maps"
        );
    }
    Ok(())
}

/// A program has one arena, whose place in the address space of its user is known.
fn check_arena(v: &mut Verifier<'_>, map: &MapFacts) -> Res {
    if v.has_arena() {
        refuse!(v, EBUSY, "Only one arena per program");
    }
    if !v.request.privilege.allow_ptr_leaks || !v.request.privilege.bpf_capable {
        refuse!(
            v,
            EPERM,
            "CAP_BPF and CAP_PERFMON are required to use arena"
        );
    }
    if map.map_extra == 0 {
        refuse!(
            v,
            EINVAL,
            "arena's user address must be set via map_extra or mmap()"
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

/// Whether the map gives each cgroup that a program is attached to a value of its own.
pub fn is_cgroup_storage(map: &MapFacts) -> bool {
    matches!(
        MapType::from_u32(map.map_type),
        Some(MapType::CgroupStorage | MapType::PercpuCgroupStorage)
    )
}

/// Whether an offset into the value has an address of its own: only in arrays of one
/// element. `Err(None)` when the kind of map has no such values at all.
pub fn direct_value(map: &MapFacts, offset: u32) -> Result<(), Option<Errno>> {
    const PAGE: u64 = 4096;
    if map.map_type == MapType::Arena.as_u32() {
        return match u64::from(offset) > u64::from(map.max_entries) * PAGE {
            true => Err(Some(Errno::ERANGE)),
            false => Ok(()),
        };
    }
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

/// Refuses fields of the value that programs of this kind may not have.
fn check_fields(v: &mut Verifier<'_>, map: &MapFacts) -> Res {
    let fields = v.special_fields(map);
    let has = |kinds: &[FieldKind]| fields.iter().any(|field| kinds.contains(&field.kind));
    let kind = ProgType::from_u32(v.request.prog_type);
    let tracing = kind.is_some_and(is_tracing);
    if tracing && has(&[FieldKind::ListHead, FieldKind::RbRoot]) {
        refuse!(
            v,
            EINVAL,
            "tracing progs cannot use bpf_{{list_head,rb_root}} yet"
        );
    }
    if has(&[FieldKind::SpinLock, FieldKind::ResSpinLock]) {
        if kind == Some(ProgType::SocketFilter) {
            refuse!(
                v,
                EINVAL,
                "socket filter progs cannot use bpf_spin_lock yet"
            );
        }
        if tracing {
            refuse!(v, EINVAL, "tracing progs cannot use bpf_spin_lock yet");
        }
    }
    if tracing && has(&[FieldKind::Timer]) {
        refuse!(v, EINVAL, "tracing progs cannot use bpf_timer yet");
    }
    if tracing && has(&[FieldKind::WorkQueue]) {
        refuse!(v, EINVAL, "tracing progs cannot use bpf_wq yet");
    }
    Ok(())
}

fn is_tracing(kind: ProgType) -> bool {
    matches!(
        kind,
        ProgType::Kprobe
            | ProgType::Tracepoint
            | ProgType::PerfEvent
            | ProgType::RawTracepoint
            | ProgType::RawTracepointWritable
    )
}

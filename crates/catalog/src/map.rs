//! Which map types go with which helpers and programs.

use std::sync::LazyLock;

use skep_abi::{MapType, ProgType};

use crate::avail::{HelperSet, set};
use crate::helper_id::*;
use MapType::{
    ArrayOfMaps, BloomFilter, CgroupArray, CgroupStorage, CgrpStorage, Cpumap, Devmap, DevmapHash,
    HashOfMaps, InodeStorage, PercpuCgroupStorage, PerfEventArray, ProgArray, Queue,
    ReuseportSockarray, Ringbuf, SkStorage, Sockhash, Sockmap, Stack, StackTrace, TaskStorage,
    UserRingbuf, Xskmap,
};

const PERF: &[u32] = &[
    PERF_EVENT_READ,
    PERF_EVENT_READ_VALUE,
    PERF_EVENT_OUTPUT,
    SKB_OUTPUT,
    XDP_OUTPUT,
];
const RING: &[u32] = &[
    RINGBUF_OUTPUT,
    RINGBUF_RESERVE,
    RINGBUF_QUERY,
    RINGBUF_RESERVE_DYNPTR,
    RINGBUF_SUBMIT_DYNPTR,
    RINGBUF_DISCARD_DYNPTR,
];

/// Map types that only these helpers take. All other types are taken by every helper that
/// asks for a map and is not in [`BY_HELPER`].
#[rustfmt::skip]
static BY_MAP: &[(&[MapType], HelperSet)] = &[
    (&[ProgArray], set(&[TAIL_CALL])),
    (&[PerfEventArray], set(PERF)),
    (&[Ringbuf], set(RING)),
    (&[UserRingbuf], set(&[USER_RINGBUF_DRAIN])),
    (&[StackTrace], set(&[GET_STACKID])),
    (
        &[CgroupArray],
        set(&[SKB_UNDER_CGROUP, CURRENT_TASK_UNDER_CGROUP]),
    ),
    (
        &[CgroupStorage, PercpuCgroupStorage],
        set(&[GET_LOCAL_STORAGE]),
    ),
    (
        &[Devmap, DevmapHash, Xskmap],
        set(&[REDIRECT_MAP, MAP_LOOKUP_ELEM]),
    ),
    (&[Cpumap], set(&[REDIRECT_MAP])),
    (&[ArrayOfMaps, HashOfMaps], set(&[MAP_LOOKUP_ELEM])),
    (
        &[Sockmap],
        set(&[
            SK_REDIRECT_MAP,
            SOCK_MAP_UPDATE,
            MSG_REDIRECT_MAP,
            SK_SELECT_REUSEPORT,
            MAP_LOOKUP_ELEM,
            MAP_UPDATE_ELEM,
            MAP_DELETE_ELEM,
        ]),
    ),
    (
        &[Sockhash],
        set(&[
            SK_REDIRECT_HASH,
            SOCK_HASH_UPDATE,
            MSG_REDIRECT_HASH,
            SK_SELECT_REUSEPORT,
            MAP_LOOKUP_ELEM,
            MAP_UPDATE_ELEM,
            MAP_DELETE_ELEM,
        ]),
    ),
    (&[ReuseportSockarray], set(&[SK_SELECT_REUSEPORT])),
    (
        &[Queue, Stack],
        set(&[MAP_PEEK_ELEM, MAP_POP_ELEM, MAP_PUSH_ELEM]),
    ),
    (
        &[SkStorage],
        set(&[SK_STORAGE_GET, SK_STORAGE_DELETE, KPTR_XCHG]),
    ),
    (
        &[InodeStorage],
        set(&[INODE_STORAGE_GET, INODE_STORAGE_DELETE, KPTR_XCHG]),
    ),
    (
        &[TaskStorage],
        set(&[TASK_STORAGE_GET, TASK_STORAGE_DELETE, KPTR_XCHG]),
    ),
    (
        &[CgrpStorage],
        set(&[CGRP_STORAGE_GET, CGRP_STORAGE_DELETE, KPTR_XCHG]),
    ),
    (&[BloomFilter], set(&[MAP_PEEK_ELEM, MAP_PUSH_ELEM])),
];

/// Helpers that only take these map types.
#[rustfmt::skip]
static BY_HELPER: &[(&[u32], &[MapType])] = &[
    (&[TAIL_CALL], &[ProgArray]),
    (PERF, &[PerfEventArray]),
    (RING, &[Ringbuf]),
    (&[USER_RINGBUF_DRAIN], &[UserRingbuf]),
    (&[GET_STACKID], &[StackTrace]),
    (
        &[SKB_UNDER_CGROUP, CURRENT_TASK_UNDER_CGROUP],
        &[CgroupArray],
    ),
    (&[REDIRECT_MAP], &[Devmap, DevmapHash, Cpumap, Xskmap]),
    (
        &[SK_REDIRECT_MAP, MSG_REDIRECT_MAP, SOCK_MAP_UPDATE],
        &[Sockmap],
    ),
    (
        &[SK_REDIRECT_HASH, MSG_REDIRECT_HASH, SOCK_HASH_UPDATE],
        &[Sockhash],
    ),
    (&[GET_LOCAL_STORAGE], &[CgroupStorage, PercpuCgroupStorage]),
    (
        &[SK_SELECT_REUSEPORT],
        &[ReuseportSockarray, Sockmap, Sockhash],
    ),
    (&[MAP_POP_ELEM], &[Queue, Stack]),
    (
        &[MAP_PEEK_ELEM, MAP_PUSH_ELEM],
        &[Queue, Stack, BloomFilter],
    ),
    (
        &[MAP_LOOKUP_PERCPU_ELEM],
        &[
            MapType::PercpuArray,
            MapType::PercpuHash,
            MapType::LruPercpuHash,
        ],
    ),
    (&[SK_STORAGE_GET, SK_STORAGE_DELETE], &[SkStorage]),
    (&[INODE_STORAGE_GET, INODE_STORAGE_DELETE], &[InodeStorage]),
    (&[TASK_STORAGE_GET, TASK_STORAGE_DELETE], &[TaskStorage]),
    (&[CGRP_STORAGE_GET, CGRP_STORAGE_DELETE], &[CgrpStorage]),
];

/// Types of programs that may change a map of sockets with the general helpers.
static SOCKMAP_UPDATERS: &[ProgType] = &[
    ProgType::SocketFilter,
    ProgType::SchedCls,
    ProgType::SchedAct,
    ProgType::Xdp,
    ProgType::SkReuseport,
    ProgType::FlowDissector,
    ProgType::SkLookup,
];

/// The attach type of iterators.
const ITER: u32 = 28;

/// Whether the helper takes maps of this type in programs of some kind.
#[must_use]
pub fn map_takes_helper(map_type: u32, helper: u32) -> bool {
    /// The helpers that take maps of each type, by its number: every call of a program asks.
    static TAKEN_BY: LazyLock<Vec<HelperSet>> = LazyLock::new(|| {
        let last = MapType::ALL.iter().map(|ty| ty.as_u32()).max();
        let types = (0..=last.unwrap_or_default()).map(MapType::from_u32);
        types.map(|ty| ty.map_or(set(&[]), takers)).collect()
    });
    let takers = TAKEN_BY.get(map_type as usize);
    takers.is_some_and(|helpers| helpers.contains(helper))
}

/// The helpers that take maps of a type, as both tables say.
fn takers(map_type: MapType) -> HelperSet {
    let for_others = |helper: u32| {
        let mut rows = BY_MAP.iter();
        rows.any(|(types, set)| types.contains(&map_type) && !set.contains(helper))
    };
    let for_other_maps = |helper: u32| {
        let mut rows = BY_HELPER.iter();
        rows.any(|(ids, types)| ids.contains(&helper) && !types.contains(&map_type))
    };
    let takes = |helper: &u32| !for_others(*helper) && !for_other_maps(*helper);
    let all: Vec<u32> = (0..HelperSet::END).filter(takes).collect();
    set(&all)
}

/// Whether a program of this kind may pass a map of this type to the helper (Linux: `cannot
/// pass map_type 3 into func bpf_map_lookup_elem#1`).
#[must_use]
pub fn map_fits(map_type: MapType, helper: u32, prog_type: ProgType, attach_type: u32) -> bool {
    let changes_sockets = matches!(map_type, Sockmap | Sockhash)
        && matches!(helper, MAP_UPDATE_ELEM | MAP_DELETE_ELEM);
    let may_change = !changes_sockets
        || SOCKMAP_UPDATERS.contains(&prog_type)
        || (prog_type == ProgType::Tracing && attach_type == ITER)
        || (prog_type == ProgType::SockOps && helper == MAP_DELETE_ELEM);
    may_change && map_takes_helper(map_type.into(), helper)
}

/// Whether a program that may sleep may use maps of this type (Linux: `Sleepable programs can
/// only use array, hash, ringbuf and local storage maps`).
#[must_use]
pub fn sleepable_map(map_type: MapType) -> bool {
    matches!(
        map_type,
        MapType::Hash
            | MapType::Array
            | MapType::PercpuHash
            | MapType::PercpuArray
            | MapType::LruHash
            | MapType::LruPercpuHash
            | ArrayOfMaps
            | HashOfMaps
            | Queue
            | Stack
            | SkStorage
            | Ringbuf
            | InodeStorage
            | TaskStorage
            | UserRingbuf
            | CgrpStorage
            | MapType::Arena
    )
}

/// Whether a program may point into the values of such a map without looking one up (Linux:
/// `no direct value access support for this map type`). An array must have one entry.
#[must_use]
pub fn has_direct_values(map_type: MapType) -> bool {
    matches!(map_type, MapType::Array | MapType::Arena)
}

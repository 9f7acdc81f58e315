//! Which helpers take which maps: some maps only certain helpers, some helpers only certain
//! maps.

use skep_abi::MapType;

use crate::helper_id as id;

/// Maps that only these helpers take; a map type without a row goes with every helper that
/// is not itself choosy.
const BY_MAP: &[(&[MapType], &[u32])] = {
    use MapType as M;
    &[
        (&[M::ProgArray], &[id::TAIL_CALL]),
        (
            &[M::PerfEventArray],
            &[
                id::PERF_EVENT_READ,
                id::PERF_EVENT_OUTPUT,
                id::SKB_OUTPUT,
                id::PERF_EVENT_READ_VALUE,
                id::XDP_OUTPUT,
            ],
        ),
        (
            &[M::Ringbuf],
            &[
                id::RINGBUF_OUTPUT,
                id::RINGBUF_RESERVE,
                id::RINGBUF_QUERY,
                id::RINGBUF_RESERVE_DYNPTR,
                id::RINGBUF_SUBMIT_DYNPTR,
                id::RINGBUF_DISCARD_DYNPTR,
            ],
        ),
        (&[M::UserRingbuf], &[id::USER_RINGBUF_DRAIN]),
        (&[M::StackTrace], &[id::GET_STACKID]),
        (
            &[M::CgroupArray],
            &[id::SKB_UNDER_CGROUP, id::CURRENT_TASK_UNDER_CGROUP],
        ),
        (
            &[M::CgroupStorage, M::PercpuCgroupStorage],
            &[id::GET_LOCAL_STORAGE],
        ),
        (
            &[M::Devmap, M::DevmapHash, M::Xskmap],
            &[id::REDIRECT_MAP, id::MAP_LOOKUP_ELEM],
        ),
        (&[M::Cpumap], &[id::REDIRECT_MAP]),
        (&[M::ArrayOfMaps, M::HashOfMaps], &[id::MAP_LOOKUP_ELEM]),
        (
            &[M::Sockmap],
            &[
                id::SK_REDIRECT_MAP,
                id::SOCK_MAP_UPDATE,
                id::MAP_DELETE_ELEM,
                id::MSG_REDIRECT_MAP,
                id::SK_SELECT_REUSEPORT,
                id::MAP_LOOKUP_ELEM,
                id::MAP_UPDATE_ELEM,
            ],
        ),
        (
            &[M::Sockhash],
            &[
                id::SK_REDIRECT_HASH,
                id::SOCK_HASH_UPDATE,
                id::MAP_DELETE_ELEM,
                id::MSG_REDIRECT_HASH,
                id::SK_SELECT_REUSEPORT,
                id::MAP_LOOKUP_ELEM,
                id::MAP_UPDATE_ELEM,
            ],
        ),
        (&[M::ReuseportSockarray], &[id::SK_SELECT_REUSEPORT]),
        (
            &[M::Queue, M::Stack],
            &[id::MAP_PEEK_ELEM, id::MAP_POP_ELEM, id::MAP_PUSH_ELEM],
        ),
        (&[M::BloomFilter], &[id::MAP_PEEK_ELEM, id::MAP_PUSH_ELEM]),
        (
            &[M::SkStorage],
            &[id::SK_STORAGE_GET, id::SK_STORAGE_DELETE, id::KPTR_XCHG],
        ),
        (
            &[M::InodeStorage],
            &[
                id::INODE_STORAGE_GET,
                id::INODE_STORAGE_DELETE,
                id::KPTR_XCHG,
            ],
        ),
        (
            &[M::TaskStorage],
            &[id::TASK_STORAGE_GET, id::TASK_STORAGE_DELETE, id::KPTR_XCHG],
        ),
        (
            &[M::CgrpStorage],
            &[id::CGRP_STORAGE_GET, id::CGRP_STORAGE_DELETE, id::KPTR_XCHG],
        ),
    ]
};

/// Helpers of the table above that also take maps without a row.
const GENERAL: &[u32] = &[
    id::MAP_LOOKUP_ELEM,
    id::MAP_UPDATE_ELEM,
    id::MAP_DELETE_ELEM,
    id::KPTR_XCHG,
];

/// Maps with a value for each CPU of which a program may read another CPU's.
const PERCPU: &[MapType] = &[
    MapType::PercpuArray,
    MapType::PercpuHash,
    MapType::LruPercpuHash,
];

/// Whether a helper takes a map of this type; `cannot pass map_type …` where not.
///
/// What a program type adds (who may update a map of sockets, say) is not part of it.
#[must_use]
pub fn map_takes_helper(map_type: u32, helper: u32) -> bool {
    let Some(map_type) = MapType::from_u32(map_type) else {
        return false;
    };
    if helper == id::MAP_LOOKUP_PERCPU_ELEM {
        return PERCPU.contains(&map_type);
    }
    match BY_MAP.iter().find(|(types, _)| types.contains(&map_type)) {
        Some((_, helpers)) => helpers.contains(&helper),
        None => {
            GENERAL.contains(&helper)
                || !BY_MAP.iter().any(|(_, helpers)| helpers.contains(&helper))
        }
    }
}

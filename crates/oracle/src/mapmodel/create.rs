//! Which maps are made: mostly ones that Linux makes, some with one attribute askew.

use skep_abi::{Cmd, MapFlags, MapType, attr};
use skep_smith::Source;

use super::ask::{Ask, Data};
use super::zoo::Zoo;

/// A map to be made, and what the model has to know of it.
pub(super) struct Plan {
    pub(super) ask: Ask,
    pub(super) map_type: MapType,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    pub(super) entries: u32,
    pub(super) flags: MapFlags,
    /// Whether the value has fields of the kernel.
    pub(super) typed: bool,
}

const TYPES: &[MapType] = &[
    MapType::Hash,
    MapType::Array,
    MapType::ProgArray,
    MapType::PerfEventArray,
    MapType::PercpuHash,
    MapType::PercpuArray,
    MapType::StackTrace,
    MapType::CgroupArray,
    MapType::LruHash,
    MapType::LruPercpuHash,
    MapType::LpmTrie,
    MapType::ArrayOfMaps,
    MapType::HashOfMaps,
    MapType::Devmap,
    MapType::Sockmap,
    MapType::Cpumap,
    MapType::Xskmap,
    MapType::Sockhash,
    MapType::ReuseportSockarray,
    MapType::Queue,
    MapType::Stack,
    MapType::SkStorage,
    MapType::DevmapHash,
    MapType::Ringbuf,
    MapType::InodeStorage,
    MapType::TaskStorage,
    MapType::BloomFilter,
    MapType::UserRingbuf,
    MapType::CgrpStorage,
    MapType::Arena,
    MapType::CgroupStorage,
    MapType::PercpuCgroupStorage,
    MapType::StructOps,
];

pub(super) fn any_type(source: &mut Source<'_>) -> MapType {
    source.pick(TYPES).unwrap_or(MapType::Hash)
}

/// Chooses attributes.
pub(super) fn plan(source: &mut Source<'_>, zoo: &Zoo, map_type: MapType) -> Plan {
    use MapType::*;
    let (mut key, mut value) = match map_type {
        Hash | PercpuHash | LruHash | LruPercpuHash => (
            source.one_of([1, 3, 4, 8, 12, 16, 40]),
            source.one_of([1, 4, 7, 8, 16, 33, 100]),
        ),
        Array | PercpuArray => (4, source.one_of([1, 4, 8, 12, 48])),
        LpmTrie => (
            4 + source.one_of([1, 2, 4, 7, 16]),
            source.one_of([1, 8, 20]),
        ),
        ProgArray | PerfEventArray | CgroupArray | ArrayOfMaps | Xskmap => (4, 4),
        HashOfMaps => (source.one_of([4, 8, 13]), 4),
        Devmap | DevmapHash | Cpumap | Sockmap | ReuseportSockarray => (4, source.one_of([4, 8])),
        Sockhash => (source.one_of([4, 8, 13]), source.one_of([4, 8])),
        StackTrace => (4, source.one_of([8, 64, 127 * 8])),
        Queue | Stack | BloomFilter => (0, source.one_of([1, 4, 8, 24])),
        SkStorage | TaskStorage | InodeStorage | CgrpStorage => (4, source.one_of([4, 8])),
        CgroupStorage | PercpuCgroupStorage => (source.one_of([8, 16]), 8),
        StructOps => (4, 8),
        Ringbuf | UserRingbuf | Arena => (0, 0),
        _ => (4, 4),
    };
    let mut entries = match map_type {
        LruHash | LruPercpuHash => 1000,
        BloomFilter => 256,
        Ringbuf | UserRingbuf => source.one_of([4096, 8192]),
        Cpumap => source.one_of([1, 2, 3]),
        SkStorage | TaskStorage | InodeStorage | CgrpStorage | CgroupStorage
        | PercpuCgroupStorage => 0,
        _ => source.one_of([1, 2, 3, 4, 6, 8]),
    };
    let mut flags = usual_flags(source, map_type);
    let mut create = attr::MapCreate::new();
    let mut typed = false;
    let mut fds = Vec::new();
    let takes_types = matches!(
        map_type,
        Hash | Array | PercpuHash | PercpuArray | LruHash | LruPercpuHash
    );
    let storage = matches!(
        map_type,
        SkStorage | TaskStorage | InodeStorage | CgrpStorage
    );
    if ((takes_types && source.chance(300)) || storage)
        && let Some(ty) = source.pick(&zoo.value_types)
    {
        if takes_types {
            key = 4;
        }
        value = ty.size;
        typed = ty.size != 4;
        create
            .set_btf_key_type_id(zoo.key_type)
            .set_btf_value_type_id(ty.id);
        fds.push((48, zoo.btf));
    }
    if source.chance(250) {
        match source.below(12) {
            0 => key = odd_size(source),
            1 => value = odd_size(source),
            // Small LRU maps evict, and whom is left open.
            2 if matches!(map_type, LruHash | LruPercpuHash) => entries = 0,
            2 => entries = source.one_of([0, 1, 5, 4095, 4096, 12288, 65536]),
            3 | 4 => flags = MapFlags(flags.0 ^ (1 << source.below(20))),
            5 => flags = MapFlags(flags.0 ^ (3 << source.below(20))),
            6 => {
                create.set_map_extra(source.one_of([1, 3, 15, 16, 4096, 1 << 32, u64::MAX]));
            }
            7 => {
                create.set_numa_node(source.one_of([0, 1, 7]));
                flags |= MapFlags::NUMA_NODE;
            }
            8 => {
                create.set_map_ifindex(source.one_of([1, 77]));
            }
            9 => {
                create.set_btf_key_type_id(source.below(20));
                create.set_btf_value_type_id(source.below(20));
                fds = vec![(48, zoo.btf)];
            }
            10 => {
                create.set_map_name(source.one_of([
                    *b"a.b_c9\0\0\0\0\0\0\0\0\0\0",
                    *b"bad-name\0\0\0\0\0\0\0\0",
                    *b"0123456789012345",
                    *b"tail\0after\0\0\0\0\0\0",
                ]));
            }
            _ => {
                create.set_btf_vmlinux_value_type_id(source.below(3));
            }
        }
    }
    if matches!(map_type, ArrayOfMaps | HashOfMaps) {
        if let Some(inner) = source.pick(&zoo.maps) {
            fds.push((20, inner));
        }
        if source.chance(30) {
            fds.clear();
            fds.extend(source.pick(&zoo.progs).map(|twin| (20, twin)));
        }
    }
    create
        .set_map_type(map_type.into())
        .set_key_size(key)
        .set_value_size(value)
        .set_max_entries(entries)
        .set_map_flags(flags.0);
    Plan {
        ask: Ask {
            cmd: Cmd::MapCreate,
            attr: Data {
                bytes: create.as_attr().to_vec(),
                fds,
            },
            pointers: Vec::new(),
        },
        map_type,
        key_size: key,
        value_size: value,
        entries,
        flags,
        typed,
    }
}

fn usual_flags(source: &mut Source<'_>, map_type: MapType) -> MapFlags {
    use MapType::*;
    let mut flags = match map_type {
        Hash | PercpuHash | HashOfMaps if source.coin() => MapFlags::NO_PREALLOC,
        LruHash | LruPercpuHash if source.chance(300) => MapFlags::NO_COMMON_LRU,
        LpmTrie | SkStorage | TaskStorage | InodeStorage | CgrpStorage => MapFlags::NO_PREALLOC,
        Array if source.chance(300) => MapFlags::MMAPABLE,
        Arena => MapFlags::MMAPABLE,
        _ => MapFlags(0),
    };
    if source.chance(120) {
        flags |= source.one_of([
            MapFlags::RDONLY,
            MapFlags::WRONLY,
            MapFlags::RDONLY_PROG,
            MapFlags::WRONLY_PROG,
            MapFlags::NUMA_NODE,
            MapFlags::ZERO_SEED,
            MapFlags::INNER_MAP,
            MapFlags::PRESERVE_ELEMS,
        ]);
    }
    flags
}

fn odd_size(source: &mut Source<'_>) -> u32 {
    source.one_of([
        0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 64, 255, 256, 260, 261, 512, 513, 1016, 1024, 4096,
        32768, 32769,
    ])
}

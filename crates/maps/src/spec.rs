//! What a map is asked to be, and whether Linux would make such a map.
//!
//! The limits and errno values here were asked of Linux 6.18, type by type; the tables in
//! `crates/kernel/tests` hold the answers.

use std::sync::Arc;

use skep_abi::{Errno, MapFlags, MapType};

use crate::region::PAGE;
use crate::value::{Field, Release};

/// The most bytes that one kernel allocation gives (`KMALLOC_MAX_SIZE`).
const ALLOCATION_MAX: u64 = 1 << 22;
/// The most bytes of one per-CPU allocation (`PCPU_MIN_UNIT_SIZE`).
const PERCPU_MAX: u64 = 1 << 15;
/// What Linux adds to key and value of a hash element.
const HASH_HEADER: u64 = 48;
/// The most value bytes of an LPM trie.
const LPM_VALUE_MAX: u32 = 4_194_024;
/// The most value bytes of a socket, task, inode or cgroup storage.
const STORAGE_VALUE_MAX: u32 = 65_407;
/// The deepest stack that a stack trace map keeps.
const STACK_DEPTH_MAX: u32 = 127;
/// Bytes of one entry of a stack by build id.
const BUILD_ID_ENTRY: u32 = 32;
/// The most buckets of a hash.
const BUCKETS_MAX: u64 = (u32::MAX / 16) as u64;

/// What the machine of a map is like.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Virtual CPUs, at least one.
    pub cpus: u32,
    /// The most CPUs that the kernel was built for (bounds cpumaps).
    pub cpus_built: u32,
}

/// What `BPF_MAP_CREATE` says of a map.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The type.
    pub map_type: MapType,
    /// Key bytes.
    pub key_size: u32,
    /// Value bytes.
    pub value_size: u32,
    /// Capacity.
    pub max_entries: u32,
    /// Flags.
    pub flags: MapFlags,
    /// The type's own extra word.
    pub map_extra: u64,
    /// Whether key and value types were given in BTF, as local storages demand.
    pub typed: bool,
    /// The special fields of the value.
    pub fields: Vec<Field>,
    /// Who gets back what special fields own; without, nobody does.
    pub release: Option<Arc<dyn Release>>,
    /// The machine.
    pub limits: Limits,
    /// Where hashes start, unless `ZERO_SEED` asks for zero.
    pub seed: u64,
}

const N: MapFlags = MapFlags::NUMA_NODE;
const RW: MapFlags = MapFlags::RDONLY.union(MapFlags::WRONLY);
const PROG: MapFlags = MapFlags::RDONLY_PROG.union(MapFlags::WRONLY_PROG);

impl Spec {
    /// Whether Linux makes such a map: the type's own checks, in Linux's order.
    ///
    /// # Errors
    /// `EINVAL` for what a type does not allow, `E2BIG` for sizes past its limits,
    /// `ENOTSUPP` for an LRU map without preallocation.
    pub fn check(&self) -> Result<(), Errno> {
        use MapType::*;
        match self.map_type {
            Hash | PercpuHash | LruHash | LruPercpuHash => self.check_hash(),
            HashOfMaps => {
                self.need(self.value_size == 4)?;
                self.check_hash()
            }
            Array => self.check_array(N | RW | PROG | MapFlags::MMAPABLE | MapFlags::INNER_MAP),
            PercpuArray => self.check_array(RW | PROG),
            ReuseportSockarray => {
                self.need(matches!(self.value_size, 4 | 8))?;
                self.check_array(N | RW | PROG)
            }
            ProgArray | CgroupArray | ArrayOfMaps => self.check_slots(N | RW),
            PerfEventArray => self.check_slots(N | RW | MapFlags::PRESERVE_ELEMS),
            Xskmap => self.check_slots(N | RW),
            Devmap | DevmapHash | Sockmap => {
                self.allow(N | RW)?;
                self.need(self.key_size == 4 && matches!(self.value_size, 4 | 8))?;
                self.need(self.max_entries != 0)
            }
            Sockhash => {
                self.allow(N | RW)?;
                self.need(self.key_size != 0 && matches!(self.value_size, 4 | 8))?;
                self.need(self.max_entries != 0)?;
                self.fit(u64::from(self.key_size), 512)
            }
            Cpumap => {
                self.allow(N)?;
                self.need(self.key_size == 4 && matches!(self.value_size, 4 | 8))?;
                self.need(self.max_entries != 0)?;
                self.fit(
                    u64::from(self.max_entries),
                    u64::from(self.limits.cpus_built),
                )
            }
            StackTrace => self.check_stack_trace(),
            LpmTrie => self.check_lpm(),
            Queue | Stack => {
                self.need(self.max_entries != 0 && self.key_size == 0 && self.value_size != 0)?;
                self.allow(N | RW | PROG)?;
                self.fit(u64::from(self.value_size), ALLOCATION_MAX)
            }
            BloomFilter => {
                self.need(self.key_size == 0 && self.value_size != 0 && self.max_entries != 0)?;
                self.allow(N | RW | PROG | MapFlags::ZERO_SEED)?;
                self.need(self.map_extra <= 15)?;
                self.fit(u64::from(self.value_size), ALLOCATION_MAX)
            }
            Ringbuf | UserRingbuf => {
                self.allow(N)?;
                let entries = self.max_entries;
                self.need(self.key_size == 0 && self.value_size == 0)?;
                self.need(entries.is_power_of_two() && (entries as usize).is_multiple_of(PAGE))
            }
            CgroupStorage | PercpuCgroupStorage => {
                let percpu = self.map_type == PercpuCgroupStorage;
                self.need(matches!(self.key_size, 8 | 16) && self.value_size != 0)?;
                let max = if percpu {
                    PERCPU_MAX
                } else {
                    u64::from(STORAGE_VALUE_MAX)
                };
                self.fit(u64::from(self.value_size), max)?;
                self.allow(N | RW | PROG)?;
                self.need(self.max_entries == 0)
            }
            SkStorage | TaskStorage | InodeStorage | CgrpStorage => {
                self.allow(MapFlags::NO_PREALLOC | MapFlags::CLONE)?;
                self.need(self.flags.contains(MapFlags::NO_PREALLOC))?;
                self.need(self.max_entries == 0 && self.key_size == 4 && self.value_size != 0)?;
                self.need(self.typed)?;
                self.fit(u64::from(self.value_size), u64::from(STORAGE_VALUE_MAX))
            }
            Arena => self.check_arena(),
            // The kernel that makes the map knows its type.
            StructOps => self.need(self.key_size == 4 && self.max_entries == 1),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The capacity that the map reports: an LRU map with one list per CPU gets an equal
    /// share for each of them.
    pub(crate) fn capacity(&self) -> u32 {
        let lru = matches!(self.map_type, MapType::LruHash | MapType::LruPercpuHash);
        if !lru || !self.flags.contains(MapFlags::NO_COMMON_LRU) {
            return self.max_entries;
        }
        let cpus = self.limits.cpus.max(1);
        match self.max_entries.checked_next_multiple_of(cpus) {
            Some(rounded) => rounded,
            None => self.max_entries - self.max_entries % cpus,
        }
    }

    fn check_hash(&self) -> Result<(), Errno> {
        use MapFlags as F;
        let percpu = matches!(self.map_type, MapType::PercpuHash | MapType::LruPercpuHash);
        let lru = matches!(self.map_type, MapType::LruHash | MapType::LruPercpuHash);
        self.allow(N | RW | PROG | F::NO_PREALLOC | F::NO_COMMON_LRU | F::ZERO_SEED)?;
        let own_lists = self.flags.contains(F::NO_COMMON_LRU);
        self.need(lru || !own_lists)?;
        if lru && self.flags.contains(F::NO_PREALLOC) {
            return Err(Errno::ENOTSUPP);
        }
        self.need(!(self.flags.contains(N) && (percpu || own_lists)))?;
        self.need(self.max_entries != 0 && self.key_size != 0 && self.value_size != 0)?;
        let element = u64::from(self.key_size) + u64::from(self.value_size);
        self.fit(element, ALLOCATION_MAX - HASH_HEADER - 1)?;
        if percpu {
            self.fit(u64::from(self.value_size).next_multiple_of(8), PERCPU_MAX)?;
        }
        self.fit(u64::from(self.capacity()).next_power_of_two(), BUCKETS_MAX)
    }

    fn check_array(&self, flags: MapFlags) -> Result<(), Errno> {
        self.need(self.max_entries != 0 && self.key_size == 4 && self.value_size != 0)?;
        self.allow(flags)?;
        self.fit(u64::from(self.value_size), i32::MAX as u64)?;
        if self.map_type == MapType::PercpuArray {
            self.fit(u64::from(self.value_size).next_multiple_of(8), PERCPU_MAX)?;
        }
        Ok(())
    }

    fn check_slots(&self, flags: MapFlags) -> Result<(), Errno> {
        self.need(self.value_size == 4)?;
        self.need(self.max_entries != 0 && self.key_size == 4)?;
        self.allow(flags)
    }

    fn check_stack_trace(&self) -> Result<(), Errno> {
        self.allow(N | RW | MapFlags::STACK_BUILD_ID)?;
        let entry = if self.flags.contains(MapFlags::STACK_BUILD_ID) {
            BUILD_ID_ENTRY
        } else {
            8
        };
        self.need(self.max_entries != 0 && self.key_size == 4 && self.value_size >= 8)?;
        self.need(self.value_size.is_multiple_of(entry))?;
        self.need(self.value_size / entry <= STACK_DEPTH_MAX)
    }

    fn check_lpm(&self) -> Result<(), Errno> {
        self.need(self.max_entries != 0)?;
        self.need(self.flags.contains(MapFlags::NO_PREALLOC))?;
        self.allow(N | RW | PROG | MapFlags::NO_PREALLOC)?;
        self.need((5..=260).contains(&self.key_size))?;
        self.need((1..=LPM_VALUE_MAX).contains(&self.value_size))
    }

    fn check_arena(&self) -> Result<(), Errno> {
        self.need(self.key_size == 0 && self.value_size == 0 && self.max_entries != 0)?;
        self.need(self.flags.contains(MapFlags::MMAPABLE))?;
        self.allow(MapFlags::MMAPABLE | MapFlags::SEGV_ON_FAULT | MapFlags::NO_USER_CONV)?;
        self.need(self.map_extra.is_multiple_of(PAGE as u64))?;
        let bytes = u64::from(self.max_entries) * PAGE as u64;
        self.fit(bytes, 1 << 32)?;
        // One window of 4 GiB holds the whole arena in the reader's address space.
        let last = self.map_extra.wrapping_add(bytes).wrapping_sub(1);
        self.need(self.map_extra == 0 || self.map_extra >> 32 == last >> 32)
    }

    /// Only these flags, and at most one of the rights that programs give up.
    fn allow(&self, flags: MapFlags) -> Result<(), Errno> {
        self.need(self.flags.beyond(flags).is_empty())?;
        self.need(!self.flags.contains(PROG) && !self.flags.contains(RW))
    }

    fn need(&self, holds: bool) -> Result<(), Errno> {
        if holds { Ok(()) } else { Err(Errno::EINVAL) }
    }

    fn fit(&self, amount: u64, max: u64) -> Result<(), Errno> {
        if amount <= max {
            Ok(())
        } else {
            Err(Errno::E2BIG)
        }
    }
}

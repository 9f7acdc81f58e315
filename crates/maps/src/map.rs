//! One map of any type: how it is made, and what it is.

mod direct;
mod elem;
mod events;
mod reach;
mod references;

use std::sync::Arc;

pub use direct::{Entry, Operation, Reach, finish_entry};
use skep_abi::{Errno, MapFlags, MapType};
use skep_sync::Rcu;

use crate::arena::Arena;
use crate::array::Array;
use crate::bloom::Bloom;
use crate::hash::Hash;
use crate::ledger::Ledger;
use crate::local::Local;
use crate::lpm::Lpm;
use crate::queue::Queue;
use crate::reclaim::Reclaim;
use crate::refs::Refs;
use crate::ring::Ring;
use crate::slots::Slots;
use crate::spec::Spec;
use crate::stacks::Stacks;
use crate::value::Shape;

/// Who operates on a map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// A system call: values of per-CPU maps are those of all CPUs in a row, each rounded
    /// up to 8 bytes.
    User,
    /// A program on a virtual CPU.
    Program {
        /// The CPU.
        cpu: u32,
    },
}

impl Side {
    pub(crate) fn cpu(self) -> u32 {
        match self {
            Side::User => 0,
            Side::Program { cpu } => cpu,
        }
    }
}

/// The elements of one bucket, copied out.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// How many.
    pub count: u32,
    /// Their keys in a row.
    pub keys: Vec<u8>,
    /// Their values in a row.
    pub values: Vec<u8>,
}

impl Bucket {
    /// Forgets the elements; the memory is for the next ones.
    fn clear(&mut self) {
        self.count = 0;
        self.keys.clear();
        self.values.clear();
    }
}

/// A map. Dropping it frees its memory; every address it gave out dies then.
pub struct Map {
    spec: Spec,
    storage: Storage,
    reclaim: Arc<Reclaim>,
    ledger: Arc<Ledger>,
}

enum Storage {
    Array(Array),
    Percpu(Array),
    Hash(Hash),
    Lpm(Lpm),
    Slots(Slots),
    Refs(Refs),
    Local(Local),
    Queue(Queue),
    Bloom(Bloom),
    Ring(Ring),
    Arena(Arc<Arena>),
    Stacks(Stacks),
    /// One value that registers operations when it is set; none was.
    StructOps,
    /// Made and verified against; elements come from elsewhere, if there are any.
    Opaque,
}

impl Map {
    /// Makes a map; `rcu` is the one of the kernel it belongs to.
    ///
    /// # Errors
    /// Those of [`Spec::check`], and `ENOMEM`.
    pub fn new(spec: Spec, rcu: Arc<Rcu>) -> Result<Map, Errno> {
        Map::with_ledger(spec, rcu, Ledger::default())
    }

    /// Makes a map whose memory `ledger` pays for.
    ///
    /// # Errors
    /// As for [`new`](Self::new); `ENOMEM` also when the account does not reach.
    pub fn with_ledger(mut spec: Spec, rcu: Arc<Rcu>, ledger: Ledger) -> Result<Map, Errno> {
        let paid = Arc::new(ledger);
        let ledger = &paid;
        use MapType::*;
        spec.check()?;
        let reclaim = Reclaim::new(rcu);
        let grace = reclaim.clone();
        let entries = spec.max_entries;
        let shape = Shape::new(spec.value_size, &spec.fields, spec.release.as_ref());
        let storage = match spec.map_type {
            Array => {
                let mappable = spec.flags.contains(MapFlags::MMAPABLE);
                Storage::Array(crate::array::Array::new(
                    shape, entries, 1, mappable, ledger,
                )?)
            }
            PercpuArray => {
                let cpus = spec.limits.cpus.max(1);
                let shape = shape.of_each_cpu();
                Storage::Percpu(crate::array::Array::new(
                    shape, entries, cpus, false, ledger,
                )?)
            }
            Hash | PercpuHash | LruHash | LruPercpuHash => {
                Storage::Hash(crate::hash::Hash::new(&spec, ledger)?)
            }
            LpmTrie => Storage::Lpm(Lpm::new(spec.key_size, shape, entries, grace, ledger)?),
            ProgArray | PerfEventArray | CgroupArray | ArrayOfMaps | Devmap | Cpumap | Xskmap
            | Sockmap | ReuseportSockarray => Storage::Slots(Slots::new(entries, grace, ledger)?),
            HashOfMaps | DevmapHash | Sockhash => Storage::Refs(Refs::new(&spec, grace, ledger)?),
            Queue | Stack => {
                let last_first = spec.map_type == Stack;
                Storage::Queue(crate::queue::Queue::new(
                    spec.value_size,
                    entries,
                    last_first,
                    ledger,
                )?)
            }
            SkStorage | TaskStorage | InodeStorage | CgrpStorage => {
                Storage::Local(Local::new(&spec, ledger)?)
            }
            BloomFilter => Storage::Bloom(Bloom::new(entries, spec.map_extra, spec.seed, ledger)?),
            StackTrace => Storage::Stacks(Stacks::new(&spec, ledger)?),
            Ringbuf | UserRingbuf => Storage::Ring(Ring::new(entries, ledger)?),
            StructOps => Storage::StructOps,
            MapType::Arena => Storage::Arena(Arc::new(crate::arena::Arena::new(&spec, ledger)?)),
            _ => Storage::Opaque,
        };
        spec.max_entries = spec.capacity();
        Ok(Map {
            spec,
            storage,
            reclaim,
            ledger: paid,
        })
    }

    /// What the map was asked to be, with the capacity it really has.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Bytes of one value as system calls copy it.
    pub fn user_value_size(&self) -> usize {
        match &self.storage {
            Storage::Percpu(a) => a.shape.stride() * self.spec.limits.cpus.max(1) as usize,
            Storage::Hash(h) => h.user_value(),
            _ => self.spec.value_size as usize,
        }
    }

    /// Whether the value has the spin lock that `BPF_F_LOCK` takes.
    pub fn has_lock(&self) -> bool {
        match &self.storage {
            Storage::Array(a) | Storage::Percpu(a) => a.shape.has_lock(),
            Storage::Hash(h) => h.shape.has_lock(),
            Storage::Lpm(l) => l.shape.has_lock(),
            _ => Shape::new(self.spec.value_size, &self.spec.fields, None).has_lock(),
        }
    }

    /// The pages of an arena.
    pub fn arena(&self) -> Option<&Arc<crate::Arena>> {
        match &self.storage {
            Storage::Arena(arena) => Some(arena),
            _ => None,
        }
    }

    /// Elements now in the map, for the types that count them.
    pub fn count(&self) -> Option<u32> {
        match &self.storage {
            Storage::Hash(h) => Some(h.len()),
            Storage::Refs(r) => Some(r.table.len()),
            Storage::Stacks(s) => Some(s.len()),
            Storage::Local(l) => Some(l.table().len()),
            _ => None,
        }
    }

    /// Bytes of the memory that its elements and tables take now.
    pub fn bytes(&self) -> u64 {
        self.ledger.used()
    }

    /// The account that its memory is charged to.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How many buckets the batch operations go through, for types that have buckets.
    pub fn buckets(&self) -> Option<u64> {
        match &self.storage {
            Storage::Hash(h) => Some(h.buckets()),
            Storage::Refs(r) => Some(r.table.buckets()),
            _ => None,
        }
    }

    /// Copies the elements of one bucket to `out`, in the place of what is there; at most
    /// `room`, and taken out when `delete` says so.
    ///
    /// # Errors
    /// How many there are, when that is more than `room`.
    pub fn bucket(
        &self,
        number: u64,
        room: u32,
        delete: bool,
        out: &mut Bucket,
    ) -> Result<(), u32> {
        out.clear();
        match &self.storage {
            Storage::Hash(h) => h.bucket(number, room, delete, out),
            Storage::Refs(r) => r.bucket(number, room, delete, out),
            _ => Ok(()),
        }
    }
}

//! One map of any type: which operations it has, and what the others answer.

mod direct;
mod events;
mod reach;
mod references;

use std::sync::Arc;

pub use direct::{Entry, Operation, Reach, finish_entry};
use skep_abi::{ElemFlags, Errno, MapFlags, MapType};
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
use crate::region::copy_out;
use crate::ring::Ring;
use crate::slots::Slots;
use crate::spec::Spec;
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
    /// Stacks, which only programs put in, by a helper that has no stack to take here; so
    /// there are never any.
    Stacks,
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
            StackTrace => Storage::Stacks,
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
        Shape::new(self.spec.value_size, &self.spec.fields, None).has_lock()
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

    /// The address of the value under `key` on `cpu`: what `bpf_map_lookup_elem` returns to
    /// a program. `None` when there is none, or when the type keeps no plain values.
    #[inline]
    pub fn lookup(&self, key: &[u8], cpu: u32) -> Option<u64> {
        let value = match &self.storage {
            Storage::Array(a) => a.value(index(key)?, 0)?,
            Storage::Hash(h) => h.lookup(key, cpu)?,
            Storage::Percpu(a) => a.value(index(key)?, cpu)?,
            Storage::Lpm(l) => l.lookup(key)?,
            _ => return None,
        };
        Some(value as u64)
    }

    /// The address of the value at byte `offset` of an array's values, for direct access.
    pub fn direct_address(&self, offset: u32) -> Option<u64> {
        match &self.storage {
            Storage::Array(a) if u64::from(offset) < a.direct_len() => {
                Some(a.value(0, 0)? as u64 + u64::from(offset))
            }
            // The user's address: programs cast it.
            Storage::Arena(a) => Some(a.user_start().wrapping_add(offset.into())),
            _ => None,
        }
    }

    /// Copies `out.len()` bytes at byte `offset` of an array's values.
    pub fn direct_read(&self, offset: u32, out: &mut [u8]) -> Option<()> {
        let Storage::Array(a) = &self.storage else {
            return None;
        };
        let end = u64::from(offset).checked_add(out.len() as u64)?;
        if end > a.direct_len() {
            return None;
        }
        let (skip, first) = (offset as usize % 8, offset as usize / 8 * 8);
        let mut whole = vec![0; skip + out.len()];
        // SAFETY: `first` is a multiple of 8 and the range ends inside the array.
        unsafe { copy_out(&mut whole, a.value(0, 0)?.add(first)) };
        out.copy_from_slice(whole.get(skip..)?);
        Some(())
    }

    /// `BPF_MAP_LOOKUP_ELEM`: copies the value out, of all CPUs for per-CPU types.
    ///
    /// # Errors
    /// `ENOENT`; `ENOTSUPP`, `EOPNOTSUPP` or `EINVAL` where Linux has no such operation.
    pub fn read(&self, key: &[u8], flags: ElemFlags, out: &mut [u8]) -> Result<(), Errno> {
        let lock = flags.contains(ElemFlags::LOCK);
        match &self.storage {
            Storage::Array(a) => {
                let value = a
                    .value(index(key).ok_or(Errno::ENOENT)?, 0)
                    .ok_or(Errno::ENOENT)?;
                // SAFETY: the value is one of the array's, which lives as long as the map.
                unsafe {
                    match lock {
                        true => a.shape.locked(value, || a.shape.load(out, value)),
                        false => a.shape.load(out, value),
                    }
                }
                Ok(())
            }
            Storage::Percpu(a) => {
                let index = index(key).ok_or(Errno::ENOENT)?;
                for (cpu, part) in out.chunks_mut(a.shape.stride()).enumerate() {
                    let value = a.value(index, cpu as u32).ok_or(Errno::ENOENT)?;
                    // SAFETY: as above.
                    unsafe { a.shape.load(part, value) };
                }
                Ok(())
            }
            Storage::Hash(h) => h.read(key, out, lock),
            Storage::Lpm(l) => l.read(key, out),
            Storage::Queue(q) => q.next(out, false),
            Storage::Bloom(b) => b.peek(out),
            Storage::Stacks => Err(Errno::ENOENT),
            Storage::StructOps => match index(key) {
                Some(0) => {
                    out.fill(0);
                    Ok(())
                }
                _ => Err(Errno::ENOENT),
            },
            Storage::Local(l) => l.read(owner(key)?, out, lock),
            Storage::Slots(_) | Storage::Refs(_) | Storage::Ring(_) => Err(Errno::ENOTSUPP),
            Storage::Arena(_) => Err(Errno::EINVAL),
            Storage::Opaque => Err(self.opaque(Errno::ENOENT)),
        }
    }

    /// `BPF_MAP_UPDATE_ELEM` and its helper.
    ///
    /// # Errors
    /// `EINVAL` for flags that make no sense, `EEXIST`, `ENOENT`, `E2BIG`, `ENOSPC`, `ENOMEM`
    /// as the type has them.
    pub fn update(
        &self,
        key: &[u8],
        value: &[u8],
        flags: ElemFlags,
        side: Side,
    ) -> Result<(), Errno> {
        let plain = flags.beyond(ElemFlags::LOCK);
        let known = plain.0 <= ElemFlags::EXIST.0;
        let lock = flags.contains(ElemFlags::LOCK);
        match &self.storage {
            Storage::Array(a) => {
                if !known {
                    return Err(Errno::EINVAL);
                }
                let to = a
                    .value(index(key).ok_or(Errno::E2BIG)?, 0)
                    .ok_or(Errno::E2BIG)?;
                if flags.contains(ElemFlags::NOEXIST) {
                    return Err(Errno::EEXIST);
                }
                if lock && !a.shape.has_lock() {
                    return Err(Errno::EINVAL);
                }
                // SAFETY: the value is one of the array's, which lives as long as the map.
                unsafe {
                    match lock {
                        true => a.shape.locked(to, || a.shape.store(to, value)),
                        false => a.shape.store(to, value),
                    }
                    a.shape.give_up(to, false);
                }
                Ok(())
            }
            Storage::Percpu(a) => {
                if flags.0 > ElemFlags::EXIST.0 {
                    return Err(Errno::EINVAL);
                }
                let index = index(key).ok_or(Errno::E2BIG)?;
                a.value(index, 0).ok_or(Errno::E2BIG)?;
                if flags.contains(ElemFlags::NOEXIST) {
                    return Err(Errno::EEXIST);
                }
                let store = |cpu: u32, from: &[u8]| {
                    if let Some(to) = a.value(index, cpu) {
                        // SAFETY: as above.
                        unsafe {
                            a.shape.store(to, from);
                            a.shape.give_up(to, false);
                        }
                    }
                };
                match side {
                    Side::Program { cpu } => store(cpu, value),
                    Side::User => {
                        for (cpu, from) in value.chunks(a.shape.stride()).enumerate() {
                            store(cpu as u32, from);
                        }
                    }
                }
                Ok(())
            }
            Storage::Hash(h) => {
                if !known || (lock && !h.shape.has_lock()) {
                    return Err(Errno::EINVAL);
                }
                h.update(key, value, flags, side)
            }
            Storage::Lpm(l) => {
                if flags.0 > ElemFlags::EXIST.0 {
                    return Err(Errno::EINVAL);
                }
                l.update(key, value, flags)
            }
            Storage::Queue(_) | Storage::Bloom(_) if side == Side::User => self.push(value, flags),
            Storage::Queue(_) => Err(Errno::EINVAL),
            Storage::Bloom(_) | Storage::Stacks => Err(Errno::EINVAL),
            Storage::StructOps => Err(Errno::EOPNOTSUPP),
            Storage::Local(l) => l.update(owner(key)?, value, flags),
            Storage::Slots(_) | Storage::Refs(_) | Storage::Ring(_) => Err(Errno::ENOTSUPP),
            Storage::Arena(_) => Err(Errno::EOPNOTSUPP),
            Storage::Opaque => {
                let takes = ElemFlags::EXIST.0 | ElemFlags::LOCK.0;
                let errno = match flags.0 & !takes {
                    0 => Errno::ENOENT,
                    _ => Errno::EINVAL,
                };
                Err(self.opaque(errno))
            }
        }
    }

    /// What a map answers whose elements are never there: a cgroup storage has those of
    /// attached programs.
    fn opaque(&self, storage: Errno) -> Errno {
        match self.spec.map_type {
            MapType::CgroupStorage | MapType::PercpuCgroupStorage => storage,
            _ => Errno::ENOTSUPP,
        }
    }

    /// `BPF_MAP_DELETE_ELEM` and its helper.
    ///
    /// # Errors
    /// `ENOENT`; `EINVAL`, `ENOTSUPP` or `EOPNOTSUPP` for types whose elements stay.
    pub fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        match &self.storage {
            Storage::Hash(h) => h.delete(key, None),
            Storage::Lpm(l) => l.delete(key),
            Storage::Refs(r) => r.remove(key),
            Storage::Slots(s) => self.empty_slot(s, index(key).ok_or(Errno::E2BIG)?),
            Storage::Local(l) => l.delete(owner(key)?),
            Storage::Stacks => match index(key) {
                Some(at) if at < self.spec.max_entries.next_power_of_two() => Err(Errno::ENOENT),
                _ => Err(Errno::E2BIG),
            },
            Storage::Array(_) | Storage::Percpu(_) | Storage::Queue(_) => Err(Errno::EINVAL),
            Storage::Ring(_) => Err(Errno::ENOTSUPP),
            Storage::Bloom(_) => Err(Errno::EOPNOTSUPP),
            Storage::StructOps if index(key) != Some(0) => Err(Errno::EINVAL),
            Storage::StructOps if self.spec.flags.contains(MapFlags::LINK) => {
                Err(Errno::EOPNOTSUPP)
            }
            Storage::StructOps => Err(Errno::ENOENT),
            Storage::Arena(_) => Err(Errno::EOPNOTSUPP),
            Storage::Opaque => Err(self.opaque(Errno::EINVAL)),
        }
    }

    fn empty_slot(&self, slots: &Slots, index: u32) -> Result<(), Errno> {
        use MapType::*;
        let beyond = index >= self.spec.max_entries;
        match self.spec.map_type {
            Devmap | Cpumap | Xskmap | Sockmap if beyond => Err(Errno::EINVAL),
            Devmap | Cpumap | Xskmap => {
                // An empty slot is as good as an emptied one.
                let _ = slots.set(index, None);
                Ok(())
            }
            Sockmap => slots.set(index, None).map_err(|_| Errno::EINVAL),
            _ => slots.set(index, None),
        }
    }

    /// `BPF_MAP_LOOKUP_AND_DELETE_ELEM`.
    ///
    /// # Errors
    /// `ENOENT`; `ENOTSUPP` for types that cannot.
    pub fn take(&self, key: &[u8], flags: ElemFlags, out: &mut [u8]) -> Result<(), Errno> {
        match &self.storage {
            Storage::Hash(h) => h.delete(key, Some((out, flags.contains(ElemFlags::LOCK)))),
            Storage::Queue(q) => q.next(out, true),
            Storage::Stacks => Err(Errno::ENOENT),
            _ => Err(Errno::ENOTSUPP),
        }
    }

    /// `BPF_MAP_GET_NEXT_KEY`.
    ///
    /// # Errors
    /// `ENOENT` after the last key; `EINVAL`, `ENOTSUPP` or `EOPNOTSUPP` for types without.
    pub fn next_key(&self, key: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        match &self.storage {
            Storage::Array(_) | Storage::Percpu(_) | Storage::Slots(_) | Storage::StructOps => {
                let entries = self.spec.max_entries;
                let next = match key.and_then(index) {
                    Some(at) if at < entries => at + 1,
                    _ => 0,
                };
                if next >= entries {
                    return Err(Errno::ENOENT);
                }
                for (to, from) in out.iter_mut().zip(next.to_ne_bytes()) {
                    *to = from;
                }
                Ok(())
            }
            Storage::Hash(h) => h.next_key(key, out),
            Storage::Refs(r) => r.table.next_key(key, out),
            Storage::Lpm(l) => l.next_key(key, out),
            Storage::Queue(_) => Err(Errno::EINVAL),
            Storage::Stacks => Err(Errno::ENOENT),
            Storage::Ring(_) | Storage::Local(_) => Err(Errno::ENOTSUPP),
            Storage::Bloom(_) => Err(Errno::EOPNOTSUPP),
            Storage::Arena(_) => Err(Errno::EOPNOTSUPP),
            Storage::Opaque => Err(self.opaque(Errno::ENOENT)),
        }
    }

    /// `bpf_map_push_elem`, and the update of maps without keys.
    ///
    /// # Errors
    /// `EINVAL` for flags, `E2BIG` when full, `EOPNOTSUPP` for maps with keys.
    pub fn push(&self, value: &[u8], flags: ElemFlags) -> Result<(), Errno> {
        match &self.storage {
            Storage::Queue(q) => q.push(value, flags),
            Storage::Bloom(b) => b.push(value, flags),
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    /// `bpf_map_peek_elem` and, with `take`, `bpf_map_pop_elem`.
    ///
    /// # Errors
    /// `ENOENT` when empty (or surely not in a bloom filter), `EOPNOTSUPP` for other types.
    pub fn peek(&self, value: &mut [u8], take: bool) -> Result<(), Errno> {
        match &self.storage {
            Storage::Queue(q) => q.next(value, take),
            Storage::Bloom(b) if !take => b.peek(value),
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    /// Calls `body` with the addresses of the key and value of each element on `cpu`, until
    /// it answers false; how many calls there were.
    ///
    /// # Errors
    /// `EINVAL` for types that keep no keys: arrays are walked by index.
    pub fn for_each(&self, cpu: u32, body: &mut dyn FnMut(u64, u64) -> bool) -> Result<u32, Errno> {
        match &self.storage {
            Storage::Hash(h) => Ok(h.for_each(cpu, body)),
            _ => Err(Errno::EINVAL),
        }
    }

    /// How many buckets the batch operations go through, for types that have buckets.
    pub fn buckets(&self) -> Option<u64> {
        match &self.storage {
            Storage::Hash(h) => Some(h.buckets()),
            Storage::Refs(r) => Some(r.table.buckets()),
            _ => None,
        }
    }

    /// The elements of one bucket, at most `room`, taken out when `delete` says so.
    ///
    /// # Errors
    /// How many there are, when that is more than `room`.
    pub fn bucket(&self, number: u64, room: u32, delete: bool) -> Result<Bucket, u32> {
        match &self.storage {
            Storage::Hash(h) => h.bucket(number, room, delete),
            Storage::Refs(r) => r.bucket(number, room, delete),
            _ => Ok(Bucket::default()),
        }
    }
}

/// The owner of a value of a local storage: system calls and helpers give its number.
fn owner(key: &[u8]) -> Result<u64, Errno> {
    let bytes = key.first_chunk::<8>().ok_or(Errno::EINVAL)?;
    Ok(u64::from_ne_bytes(*bytes))
}

#[inline]
fn index(key: &[u8]) -> Option<u32> {
    key.first_chunk::<4>().map(|k| u32::from_ne_bytes(*k))
}

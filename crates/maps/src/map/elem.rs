//! What each type of map answers to an operation on one element.

use skep_abi::{ElemFlags, Errno, MapFlags, MapType};

use super::{Map, Side, Storage};
use crate::region::copy_out;
use crate::slots::Slots;
use crate::stacks::Collision;

impl Map {
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
            Storage::Stacks(s) => s.get(index(key).ok_or(Errno::ENOENT)?, out, false),
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
            Storage::Bloom(_) | Storage::Stacks(_) => Err(Errno::EINVAL),
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
            Storage::Stacks(s) => s.delete(index(key).ok_or(Errno::E2BIG)?),
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
            Storage::Stacks(s) => s.get(index(key).ok_or(Errno::ENOENT)?, out, true),
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
            Storage::Stacks(s) => {
                let next = s.next(key.and_then(index))?.to_ne_bytes();
                for (to, from) in out.iter_mut().zip(next) {
                    *to = from;
                }
                Ok(())
            }
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

    /// The number of a stack trace, in the form that the map keeps, which is put in when it is
    /// not there: what `bpf_get_stackid` does.
    ///
    /// # Errors
    /// `EEXIST` when another one has its place, `ENOMEM` when the map is full, `EINVAL` for
    /// other types.
    pub fn stack(&self, trace: &[u8], collision: Collision) -> Result<u32, Errno> {
        match &self.storage {
            Storage::Stacks(s) => s.put(trace, collision),
            _ => Err(Errno::EINVAL),
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
}

/// The owner of a value of a local storage: system calls and helpers give its number.
fn owner(key: &[u8]) -> Result<u64, Errno> {
    let bytes = key.first_chunk::<8>().ok_or(Errno::EINVAL)?;
    Ok(u64::from_ne_bytes(*bytes))
}

#[inline]
pub(super) fn index(key: &[u8]) -> Option<u32> {
    key.first_chunk::<4>().map(|k| u32::from_ne_bytes(*k))
}

//! Hash tables: plain and per-CPU, with or without eviction of the least recently used.
//!
//! Buckets are singly linked lists of elements from a type-stable [`Pool`]. Writers lock one
//! bucket (a bit of its head word). Readers take no lock: they follow links and compare
//! keys, and the end of every list names its bucket, so that a reader who was carried into
//! another list by an element's reuse notices and starts again.
//!
//! ```text
//! element:  0 next link | 8 pool | 16 hash | 20 mark | 24 key … | value (of each CPU) …
//! link:     0 empty (heads only) | address | bucket << 3 | END
//! ```

mod elem;
mod evict;
mod key;
mod reach;
mod values;
mod walk;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use skep_abi::{ElemFlags, Errno, MapFlags, MapType};

use elem::Elem;
use key::padded;
use skep_sync::clock::{Clock, LIVE, USED};

use crate::Spec;
use crate::ledger::Ledger;
use crate::map::Side;
use crate::pool::Pool;
use crate::region::{Region, copy_in};
use crate::value::Shape;

const END: u64 = 1;
const LOCKED: u64 = 2;
const HEADER: usize = 24;

/// A hash table of any of the four kinds.
pub(crate) struct Hash {
    heads: Region,
    mask: u64,
    pool: Pool,
    /// The element that the last replacement took out; the next one goes in there.
    spare: AtomicUsize,
    count: AtomicU32,
    capacity: u32,
    key_size: usize,
    value_at: usize,
    pub(crate) shape: Shape,
    /// Values per element: 1, or one for each CPU.
    planes: u32,
    percpu: bool,
    seed: u64,
    evict: Option<Clock>,
    /// Whether a key is its own hash, which makes the order that Linux's device maps have.
    by_index: bool,
    /// Whether values are words that readers follow.
    pub(crate) references: bool,
}

/// A locked bucket; unlocks when dropped.
struct Locked<'a> {
    head: &'a AtomicU64,
    number: u64,
}

impl Locked<'_> {
    fn first(&self) -> u64 {
        self.head.load(Ordering::Relaxed) & !LOCKED
    }

    fn set_first(&self, link: u64) {
        self.head.store(link | LOCKED, Ordering::Release);
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.head.fetch_and(!LOCKED, Ordering::Release);
    }
}

impl Drop for Hash {
    fn drop(&mut self) {
        self.give_up_all(false);
    }
}

impl Hash {
    pub(crate) fn new(spec: &Spec, ledger: &Arc<Ledger>) -> Result<Hash, Errno> {
        let percpu = matches!(spec.map_type, MapType::PercpuHash | MapType::LruPercpuHash);
        let lru = matches!(spec.map_type, MapType::LruHash | MapType::LruPercpuHash);
        let capacity = spec.capacity();
        let buckets = u64::from(capacity).next_power_of_two();
        let mut shape = Shape::new(spec.value_size, &spec.fields, spec.release.as_ref());
        if percpu {
            shape = shape.of_each_cpu();
        }
        let planes = if percpu { spec.limits.cpus.max(1) } else { 1 };
        let value_at = HEADER + (spec.key_size as usize).next_multiple_of(8);
        Ok(Hash {
            heads: Region::new(buckets * 8, ledger)?,
            mask: buckets - 1,
            pool: Pool::new(
                value_at + shape.stride() * planes as usize,
                // One more for replacements, and one that is in no list meanwhile.
                (capacity as usize).saturating_add(2),
                spec.limits.cpus.max(1) as usize,
                ledger,
            ),
            spare: AtomicUsize::new(0),
            count: AtomicU32::new(0),
            capacity,
            key_size: spec.key_size as usize,
            value_at,
            shape,
            planes,
            percpu,
            seed: if spec.flags.contains(MapFlags::ZERO_SEED) {
                0
            } else {
                spec.seed
            },
            evict: lru.then(Clock::default),
            by_index: spec.map_type == MapType::DevmapHash,
            references: false,
        })
    }

    /// A table that is never full; `max_entries` says how many buckets it has.
    pub(crate) fn unbounded(spec: &Spec, ledger: &Arc<Ledger>) -> Result<Hash, Errno> {
        let mut hash = Hash::new(spec, ledger)?;
        hash.capacity = u32::MAX;
        Ok(hash)
    }

    /// The address of the value under `key` for `cpu`.
    #[inline]
    pub(crate) fn lookup(&self, key: &[u8], cpu: u32) -> Option<*mut u8> {
        let elem = self.find(key, self.hash(key))?;
        if self.evict.is_some() && elem.mark().load(Ordering::Relaxed) & USED == 0 {
            elem.mark().fetch_or(USED, Ordering::Relaxed);
        }
        Some(self.value(elem, cpu))
    }

    /// Copies the value under `key` (of every CPU for the per-CPU kinds) to `out`.
    pub(crate) fn read(&self, key: &[u8], out: &mut [u8], lock: bool) -> Result<(), Errno> {
        let elem = self.find(key, self.hash(key)).ok_or(Errno::ENOENT)?;
        self.read_elem(elem, out, lock);
        Ok(())
    }

    /// `BPF_MAP_UPDATE_ELEM`, from either side.
    ///
    /// # Errors
    /// `EEXIST`, `ENOENT` as the flags demand, `E2BIG` when full, `ENOMEM`.
    pub(crate) fn update(
        &self,
        key: &[u8],
        value: &[u8],
        flags: ElemFlags,
        side: Side,
    ) -> Result<(), Errno> {
        let hash = self.hash(key);
        loop {
            // Eviction locks other buckets, so it comes before this one is locked.
            let fresh = match &self.evict {
                Some(clock) if !self.percpu || self.find(key, hash).is_none() => {
                    Some(self.evict_one(clock)?)
                }
                _ => None,
            };
            let out = self.update_locked(key, hash, value, flags, side, fresh);
            if let (Err(_) | Ok(false), Some(elem)) = (&out, fresh) {
                self.free(elem);
            }
            match out {
                // The element was deleted after it was seen here, so one is needed after all.
                Err(Errno::EAGAIN) => {}
                out => return out.map(|_| ()),
            }
        }
    }

    /// Returns whether `fresh` was used.
    fn update_locked(
        &self,
        key: &[u8],
        hash: u32,
        value: &[u8],
        flags: ElemFlags,
        side: Side,
        fresh: Option<Elem>,
    ) -> Result<bool, Errno> {
        let bucket = self.lock(hash);
        let old = self.find_locked(&bucket, key, hash);
        match old {
            Some(_) if flags.contains(ElemFlags::NOEXIST) => return Err(Errno::EEXIST),
            None if flags.contains(ElemFlags::EXIST) => return Err(Errno::ENOENT),
            _ => {}
        }
        if let Some(old) = old
            && (self.percpu || flags.contains(ElemFlags::LOCK))
        {
            self.store(old, value, side, flags.contains(ElemFlags::LOCK));
            old.mark().fetch_or(USED, Ordering::Relaxed);
            if self.percpu && self.shape.owns() {
                drop(bucket);
                match side {
                    Side::User => self.give_up(old, false),
                    // SAFETY: as in `read_elem`.
                    Side::Program { cpu } => unsafe {
                        self.shape.give_up(self.value(old, cpu), false);
                    },
                }
            }
            return Ok(false);
        }
        let elem = match (fresh, old) {
            (Some(fresh), _) => fresh,
            (None, Some(_)) => self.replacement()?,
            (None, None) if self.evict.is_some() => return Err(Errno::EAGAIN),
            (None, None) => self.another()?,
        };
        // SAFETY: the element is live and has room for the key at `HEADER`.
        unsafe {
            let (whole, tail) = key.split_at(self.key_size & !7);
            copy_in(elem.0.add(HEADER), whole);
            if !tail.is_empty() {
                copy_in(
                    elem.0.add(HEADER + whole.len()),
                    &padded(tail).to_ne_bytes(),
                );
            }
        }
        self.init(elem, value, side);
        elem.hash().store(hash, Ordering::Relaxed);
        elem.mark().store(LIVE, Ordering::Relaxed);
        let first = bucket.first();
        elem.next().store(
            if first == 0 {
                end(bucket.number)
            } else {
                first
            },
            Ordering::Release,
        );
        bucket.set_first(elem.link());
        if let Some(old) = old {
            self.unlink(&bucket, old);
            drop(bucket);
            self.retire(old);
        } else if fresh.is_some() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(true)
    }

    /// `BPF_MAP_DELETE_ELEM`; the value goes to `out` first when it is asked for.
    ///
    /// # Errors
    /// `ENOENT`.
    pub(crate) fn delete(&self, key: &[u8], out: Option<(&mut [u8], bool)>) -> Result<(), Errno> {
        let hash = self.hash(key);
        let bucket = self.lock(hash);
        let elem = self.find_locked(&bucket, key, hash).ok_or(Errno::ENOENT)?;
        if let Some((out, lock)) = out {
            self.read_elem(elem, out, lock);
        }
        self.unlink(&bucket, elem);
        drop(bucket);
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.free(elem);
        Ok(())
    }

    /// Bytes of a key.
    pub(crate) fn key_size(&self) -> usize {
        self.key_size
    }

    /// Elements in the table.
    pub(crate) fn len(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Bytes of a value as system calls see it.
    pub(crate) fn user_value(&self) -> usize {
        if self.percpu {
            self.shape.stride() * self.planes as usize
        } else {
            self.shape.size
        }
    }

    /// An element to take the place of an old one; there is always room for that.
    fn replacement(&self) -> Result<Elem, Errno> {
        match self.spare.swap(0, Ordering::AcqRel) {
            0 => self
                .pool
                .take(usize::MAX)?
                .map(|e| Elem(e.0))
                .ok_or(Errno::ENOMEM),
            spare => Ok(Elem(spare as *mut u8)),
        }
    }

    /// An element for a new key.
    fn another(&self) -> Result<Elem, Errno> {
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.capacity {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno::E2BIG);
        }
        let taken = self
            .pool
            .take(usize::MAX)
            .and_then(|e| e.ok_or(Errno::ENOMEM));
        taken.map(|e| Elem(e.0)).inspect_err(|_| {
            self.count.fetch_sub(1, Ordering::Relaxed);
        })
    }

    /// Puts away an element that was replaced.
    fn retire(&self, elem: Elem) {
        elem.mark().store(0, Ordering::Relaxed);
        self.give_up(elem, false);
        if self.evict.is_some() {
            return self.free(elem);
        }
        let before = self.spare.swap(elem.link() as usize, Ordering::AcqRel);
        if before != 0 {
            self.free(Elem(before as *mut u8));
        }
    }

    /// Gives an element, which is in no list, back to the pool.
    fn free(&self, elem: Elem) {
        elem.mark().store(0, Ordering::Relaxed);
        self.give_up(elem, false);
        // SAFETY: elements come from the pool; the caller unlinked this one or never linked
        // it, and it does so once.
        unsafe { self.pool.give(elem.0) }
    }

    #[inline]
    fn head(&self, hash: u32) -> (&AtomicU64, u64) {
        let number = u64::from(hash) & self.mask;
        (self.heads.word(number as usize), number)
    }

    fn lock(&self, hash: u32) -> Locked<'_> {
        let (head, number) = self.head(hash);
        let mut tries = 0u32;
        while head.fetch_or(LOCKED, Ordering::Acquire) & LOCKED != 0 {
            tries = tries.wrapping_add(1);
            if tries.is_multiple_of(64) {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
        Locked { head, number }
    }

    /// The first element that a link leads to, `None` at the end of a list.
    #[inline]
    fn follow(&self, link: u64) -> Option<Elem> {
        if link == 0 || link & END != 0 {
            None
        } else {
            Some(Elem(link as *mut u8))
        }
    }

    #[inline]
    fn find(&self, key: &[u8], hash: u32) -> Option<Elem> {
        let (head, number) = self.head(hash);
        loop {
            let mut link = head.load(Ordering::Acquire) & !LOCKED;
            while let Some(elem) = self.follow(link) {
                if elem.hash().load(Ordering::Relaxed) == hash && self.key_is(elem, key) {
                    return Some(elem);
                }
                link = elem.next().load(Ordering::Acquire);
            }
            if link == 0 || link == end(number) {
                return None;
            }
        }
    }

    fn find_locked(&self, bucket: &Locked<'_>, key: &[u8], hash: u32) -> Option<Elem> {
        let mut link = bucket.first();
        while let Some(elem) = self.follow(link) {
            if elem.hash().load(Ordering::Relaxed) == hash && self.key_is(elem, key) {
                return Some(elem);
            }
            link = elem.next().load(Ordering::Relaxed);
        }
        None
    }

    /// Takes `elem` out of its list; false when it is not there.
    fn unlink(&self, bucket: &Locked<'_>, elem: Elem) -> bool {
        let mut link = bucket.first();
        let mut before: Option<Elem> = None;
        while let Some(here) = self.follow(link) {
            let next = here.next().load(Ordering::Relaxed);
            if here == elem {
                match before {
                    Some(before) => before.next().store(next, Ordering::Release),
                    None => bucket.set_first(next),
                }
                return true;
            }
            before = Some(here);
            link = next;
        }
        false
    }
}

fn end(bucket: u64) -> u64 {
    bucket << 3 | END
}

//! Which addresses belong to a map's values, and what lies at them: for checked runs, locks
//! and timers.

use super::{Map, Storage};

impl Map {
    /// Whether the bytes lie in one value of this map; with `write` false, or in one key that
    /// a walk shows. Costs a search, so it is for checked runs.
    pub fn owns(&self, addr: u64, len: u64, write: bool) -> bool {
        match &self.storage {
            Storage::Array(a) | Storage::Percpu(a) => a.owns(addr, len),
            Storage::Hash(h) => h.owns(addr, len, write),
            Storage::Local(l) => l.table().owns(addr, len, write),
            Storage::Lpm(l) => l.owns(addr, len),
            Storage::Arena(a) => a.owns(addr, len),
            Storage::Ring(r) => {
                let from_user = self.spec.map_type == skep_abi::MapType::UserRingbuf;
                (from_user || !write) && r.owns(addr, len)
            }
            _ => false,
        }
    }

    /// The key and the start of the value that holds the byte at `addr`, for types whose
    /// values may hold timers. The element may be out of the map already.
    pub fn element(&self, addr: u64) -> Option<(Vec<u8>, u64)> {
        match &self.storage {
            Storage::Array(a) => a.element(addr),
            Storage::Hash(h) => h.element(addr),
            _ => None,
        }
    }

    /// The aligned word at `addr` in a value of this map, which this side shares with nobody
    /// but itself (a special field).
    pub fn word(&self, addr: u64) -> Option<&std::sync::atomic::AtomicU64> {
        if !addr.is_multiple_of(8) || !self.owns(addr, 8, true) {
            return None;
        }
        // SAFETY: the word lies in a value, whose memory lives as long as the map; it is
        // aligned, and only accessed atomically, by this side or by racing copies.
        Some(unsafe { &*(addr as *const std::sync::atomic::AtomicU64) })
    }

    /// Takes, or gives back, the spin lock at `addr`; false when no value of this map has its
    /// lock there.
    pub fn spin(&self, addr: u64, take: bool) -> bool {
        let shape = match &self.storage {
            Storage::Array(a) => &a.shape,
            Storage::Hash(h) => &h.shape,
            Storage::Local(l) => &l.table().shape,
            _ => return false,
        };
        let Some(offset) = shape.lock_offset() else {
            return false;
        };
        let value = addr.wrapping_sub(offset as u64);
        if !self.owns(value, shape.size as u64, true) || !self.starts_value(value) {
            return false;
        }
        // SAFETY: `value` is the start of a live value of this map, so the word at its lock's
        // offset is aligned and live; locks are only accessed atomically.
        let word = unsafe { &*(addr as *const std::sync::atomic::AtomicU32) };
        if take {
            crate::value::lock(word)
        } else {
            crate::value::unlock(word)
        }
        true
    }

    fn starts_value(&self, addr: u64) -> bool {
        match &self.storage {
            Storage::Array(a) => a.starts_value(addr),
            Storage::Hash(h) => h.starts_value(addr),
            Storage::Local(l) => l.table().starts_value(addr),
            _ => false,
        }
    }
}

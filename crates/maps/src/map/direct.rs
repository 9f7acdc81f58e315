//! What native code may know of a map, so that it needs no helper: where an array's elements
//! lie, and functions that can be called with nothing between.

use std::mem::MaybeUninit;

use skep_abi::ElemFlags;

use super::{Map, Side, Storage};
use crate::array::Array;
use crate::hash::Hash;
use crate::ring::Ring;

/// Where the elements of an array lie, which never move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reach {
    /// The address of the first value.
    pub base: u64,
    /// From one value to the next, in bytes.
    pub stride: u32,
    /// How many there are.
    pub entries: u32,
    /// From the values of one CPU to those of the next, in bytes; 0 when all share them.
    pub plane: u64,
}

/// What native code asks of a map most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// `bpf_map_lookup_elem(map, key)`
    Lookup,
    /// `bpf_map_update_elem(map, key, value, flags)`
    Update,
    /// `bpf_map_delete_elem(map, key)`
    Delete,
    /// `bpf_map_push_elem(map, value, flags)`
    Push,
    /// `bpf_map_pop_elem(map, value)`
    Pop,
    /// `bpf_map_peek_elem(map, value)`
    Peek,
    /// `bpf_ringbuf_reserve(map, size, flags)`
    Reserve,
}

/// A function with the C calling convention: the map, the helper's other arguments, and the
/// number of the CPU; it gives r0.
type Code = unsafe extern "C" fn(u64, u64, u64, u64, u64, u64) -> u64;

/// A function for one operation on one map, and what it gets first. Both are addresses, for
/// the map as long as it is not moved.
///
/// Whoever calls it has a program that the verifier accepted make its arguments: addresses of
/// as many bytes as the map's keys and values have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The function.
    pub function: u64,
    /// Its first argument.
    pub object: u64,
}

/// Keys and values up to this length are copied to the stack of the function.
const SHORT: usize = 512;

/// Where they are copied to.
type Room = [MaybeUninit<u8>; SHORT];
const ROOM: Room = [MaybeUninit::uninit(); SHORT];

impl Map {
    /// Where the elements lie, for arrays.
    pub fn reach(&self) -> Option<Reach> {
        let of = |array: &Array, plane: usize| {
            Some(Reach {
                base: array.value(0, 0)? as u64,
                stride: u32::try_from(array.stride()).ok()?,
                entries: array.entries(),
                plane: plane as u64,
            })
        };
        match &self.storage {
            Storage::Array(array) => of(array, 0),
            Storage::Percpu(array) => of(array, array.plane()),
            _ => None,
        }
    }

    /// A function for an operation, where the type has one and keys and values are not long.
    pub fn entry(&self, operation: Operation) -> Option<Entry> {
        use Operation::*;
        let short = |bytes: u32| bytes as usize <= SHORT;
        if !short(self.spec.key_size) || !short(self.spec.value_size) {
            return None;
        }
        let keyed = matches!(
            &self.storage,
            Storage::Array(_) | Storage::Percpu(_) | Storage::Hash(_) | Storage::Lpm(_)
        );
        let lines = matches!(&self.storage, Storage::Queue(_));
        let (code, object) = match (operation, &self.storage) {
            (Lookup, Storage::Hash(hash)) => {
                let code: Code = match self.spec.key_size {
                    4 => find::<4>,
                    8 => find::<8>,
                    12 => find::<12>,
                    16 => find::<16>,
                    _ => find_any,
                };
                (code, std::ptr::from_ref(hash) as u64)
            }
            (Lookup, _) if keyed => (lookup as Code, self.place()),
            (Update, _) if keyed => (update as Code, self.place()),
            (Delete, _) if keyed => (delete as Code, self.place()),
            (Reserve, Storage::Ring(ring)) => (reserve as Code, std::ptr::from_ref(ring) as u64),
            (Push, _) if lines => (push as Code, self.place()),
            (Pop, _) if lines => (take::<true> as Code, self.place()),
            (Peek, _) if lines => (take::<false> as Code, self.place()),
            _ => return None,
        };
        Some(Entry {
            function: code as usize as u64,
            object,
        })
    }

    fn place(&self) -> u64 {
        std::ptr::from_ref(self) as u64
    }
}

/// The function for `bpf_ringbuf_submit(record, flags)` or `bpf_ringbuf_discard`, which needs
/// no map.
pub fn finish_entry(discard: bool) -> Entry {
    let function = match discard {
        false => finish::<false> as Code,
        true => finish::<true> as Code,
    };
    Entry {
        function: function as usize as u64,
        object: 0,
    }
}

unsafe extern "C" fn finish<const DISCARD: bool>(
    _: u64,
    record: u64,
    _: u64,
    _: u64,
    _: u64,
    _: u64,
) -> u64 {
    // SAFETY: the verifier proved that the program holds the record, and that it holds it no
    // more after this; the program keeps the map that the record lies in.
    unsafe { crate::ring::finish_at(record, DISCARD) }
    0
}

unsafe extern "C" fn reserve(ring: u64, size: u64, flags: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: as in `find`, for a ring.
    let ring = unsafe { &*(ring as *const Ring) };
    if flags != 0 {
        return 0;
    }
    ring.reserve(size).map_or(0, |record| record.0)
}

/// Looks a key of fixed length up in a hash table.
unsafe extern "C" fn find<const KEY: usize>(
    hash: u64,
    key: u64,
    _: u64,
    _: u64,
    _: u64,
    cpu: u64,
) -> u64 {
    // SAFETY: the caller got the address from `entry` and keeps the map where it is.
    let hash = unsafe { &*(hash as *const Hash) };
    // SAFETY: the verifier proved that the program may read a key there.
    let key = unsafe { (key as *const [u8; KEY]).read_unaligned() };
    hash.lookup(&key, cpu as u32)
        .map_or(0, |value| value as u64)
}

/// Looks a key of any length up in a hash table.
unsafe extern "C" fn find_any(hash: u64, key: u64, _: u64, _: u64, _: u64, cpu: u64) -> u64 {
    // SAFETY: as in `find`.
    let hash = unsafe { &*(hash as *const Hash) };
    let mut room = ROOM;
    // SAFETY: as in `find`.
    let key = unsafe { copied(key, hash.key_size(), &mut room) };
    hash.lookup(key, cpu as u32).map_or(0, |value| value as u64)
}

unsafe extern "C" fn lookup(map: u64, key: u64, _: u64, _: u64, _: u64, cpu: u64) -> u64 {
    // SAFETY: as in `find`.
    let map = unsafe { &*(map as *const Map) };
    let mut room = ROOM;
    // SAFETY: as in `find`.
    let key = unsafe { copied(key, map.spec.key_size as usize, &mut room) };
    map.lookup(key, cpu as u32).unwrap_or(0)
}

unsafe extern "C" fn update(map: u64, key: u64, value: u64, flags: u64, _: u64, cpu: u64) -> u64 {
    // SAFETY: as in `find`.
    let map = unsafe { &*(map as *const Map) };
    let (mut key_room, mut value_room) = (ROOM, ROOM);
    // SAFETY: as in `find`; a value can be read where the program says that it lies.
    let (key, value) = unsafe {
        (
            copied(key, map.spec.key_size as usize, &mut key_room),
            copied(value, map.spec.value_size as usize, &mut value_room),
        )
    };
    let side = Side::Program { cpu: cpu as u32 };
    status(map.update(key, value, ElemFlags(flags), side))
}

unsafe extern "C" fn delete(map: u64, key: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: as in `find`.
    let map = unsafe { &*(map as *const Map) };
    let mut room = ROOM;
    // SAFETY: as in `find`.
    let key = unsafe { copied(key, map.spec.key_size as usize, &mut room) };
    status(map.delete(key))
}

unsafe extern "C" fn push(map: u64, value: u64, flags: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: as in `find`.
    let map = unsafe { &*(map as *const Map) };
    let mut room = ROOM;
    // SAFETY: as in `update`.
    let value = unsafe { copied(value, map.spec.value_size as usize, &mut room) };
    status(map.push(value, ElemFlags(flags)))
}

unsafe extern "C" fn take<const AWAY: bool>(
    map: u64,
    value: u64,
    _: u64,
    _: u64,
    _: u64,
    _: u64,
) -> u64 {
    // SAFETY: as in `find`.
    let map = unsafe { &*(map as *const Map) };
    let size = (map.spec.value_size as usize).min(SHORT);
    let mut room = [0; SHORT];
    let done = map.peek(&mut room[..size], AWAY);
    // SAFETY: the verifier proved that the program may write a value there.
    unsafe { (value as *mut u8).copy_from(room.as_ptr(), size) };
    status(done)
}

/// Copies bytes of the program to where nobody else writes.
///
/// # Safety
/// The program may read as many bytes at `from`.
#[inline]
unsafe fn copied(from: u64, len: usize, room: &mut Room) -> &[u8] {
    let len = len.min(SHORT);
    let to = room.as_mut_ptr().cast::<u8>();
    // SAFETY: the contract of this function; the room is ours, and as many of its bytes have
    // a value then.
    unsafe {
        (from as *const u8).copy_to(to, len);
        std::slice::from_raw_parts(to, len)
    }
}

/// Nothing, or an errno, as r0.
fn status(done: Result<(), skep_abi::Errno>) -> u64 {
    match done {
        Ok(()) => 0,
        Err(errno) => -i64::from(errno.0) as u64,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use skep_abi::{MapFlags, MapType};

    use super::*;
    use crate::{Limits, Rcu, Spec};

    fn map(map_type: MapType, key_size: u32) -> Map {
        let spec = Spec {
            map_type,
            key_size,
            value_size: 8,
            max_entries: 4,
            flags: MapFlags::default(),
            map_extra: 0,
            typed: false,
            fields: Vec::new(),
            limits: Limits {
                cpus: 2,
                cpus_built: 2,
            },
            release: None,
            seed: 0,
        };
        Map::new(spec, Arc::new(Rcu::default())).expect("a map")
    }

    fn call(map: &Map, operation: Operation, args: [u64; 4], cpu: u64) -> u64 {
        let entry = map.entry(operation).expect("an entry");
        // SAFETY: the address is that of a function of this type.
        let code = unsafe { std::mem::transmute::<usize, Code>(entry.function as usize) };
        let [a, b, c, d] = args;
        // SAFETY: the tests give addresses of keys and values.
        unsafe { code(entry.object, a, b, c, d, cpu) }
    }

    /// The functions do what the methods do.
    #[test]
    fn entries() {
        for (kind, key_size) in [
            (MapType::Hash, 4),
            (MapType::Hash, 8),
            (MapType::Hash, 5),
            (MapType::LruHash, 16),
            (MapType::PercpuHash, 12),
            (MapType::PercpuArray, 4),
            (MapType::Array, 4),
        ] {
            let map = map(kind, key_size);
            let keys = [[0u8; 16], {
                let mut k = [0; 16];
                k[0] = 1;
                k
            }];
            let value = 77u64.to_ne_bytes();
            let key = keys[1].as_ptr() as u64;
            let args = [key, value.as_ptr() as u64, 0, 0];
            assert_eq!(call(&map, Operation::Update, args, 1), 0, "{kind:?}");
            let found = call(&map, Operation::Lookup, [key, 0, 0, 0], 1);
            let same = map.lookup(&keys[1][..key_size as usize], 1);
            assert_eq!(Some(found), same, "{kind:?}");
            // SAFETY: the address is that of a value of eight bytes.
            assert_eq!(unsafe { *(found as *const u64) }, 77, "{kind:?}");
            let gone = call(&map, Operation::Delete, [key, 0, 0, 0], 1) as i64;
            let array = matches!(kind, MapType::Array | MapType::PercpuArray);
            assert_eq!(gone, if array { -22 } else { 0 }, "{kind:?}");
        }
    }

    #[test]
    fn arrays_are_where_they_say() {
        for (kind, cpus) in [(MapType::Array, 1), (MapType::PercpuArray, 2)] {
            let map = map(kind, 4);
            let reach = map.reach().expect("an array");
            for cpu in 0..cpus {
                for index in 0..reach.entries {
                    let at = u64::from(index) * u64::from(reach.stride)
                        + u64::from(cpu) * reach.plane
                        + reach.base;
                    assert_eq!(map.lookup(&index.to_ne_bytes(), cpu), Some(at));
                }
            }
            assert_eq!(map.lookup(&reach.entries.to_ne_bytes(), 0), None);
        }
        assert_eq!(map(MapType::Hash, 4).reach(), None);
    }
}

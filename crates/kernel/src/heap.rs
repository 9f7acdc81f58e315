//! Objects that programs make and hold: of their own types (`bpf_obj_new`), sets of CPUs, and
//! what else lies neither in a map nor on a stack.
//!
//! An object is known by its address. It goes when nobody refers to it any more: no program, no
//! pointer in a map, no list or tree. What maps held finds its way back lazily: the places in
//! map values that hold objects are noted, and when there are twice as many objects as after
//! the last look, places that were cleared or whose map is gone give up what they held.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use skep_abi::Errno;
use skep_btf::Btf;
use skep_maps::{Field, FieldKind, Rcu};

use crate::map::MapObject;
use crate::memory::Block;

/// The most bytes that all objects of a kernel may take.
const BYTES_MAX: usize = 1 << 30;
/// Objects below which nobody looks for lost ones.
const FEW: usize = 64;

/// All objects of a kernel.
pub(crate) struct Heap {
    rcu: Arc<Rcu>,
    objects: RwLock<BTreeMap<u64, Arc<Object>>>,
    /// How many there are, for those who only want to know whether there are any.
    count: AtomicUsize,
    bytes: AtomicUsize,
    /// How many there were after the last look for lost ones.
    after_look: AtomicUsize,
    /// Pointers, lists and trees in map values that hold something.
    places: Mutex<BTreeMap<u64, Place>>,
    /// Resilient locks that are held, by address.
    pub(crate) locks: Mutex<std::collections::BTreeSet<u64>>,
}

/// A place in a map value that holds objects.
struct Place {
    map: Weak<MapObject>,
    /// The object that a pointer points at; 0 for a list or a tree.
    holds: u64,
}

/// One object.
pub(crate) struct Object {
    block: Block,
    len: u64,
    pub(crate) kind: Kind,
    references: AtomicU32,
    /// The list or tree that it is linked into, by the address of the head or root.
    home: AtomicU64,
}

/// What an object is.
pub(crate) enum Kind {
    /// Of a type of the program, with these special fields.
    Own(Arc<[Field]>),
    /// One copy for each CPU, this many bytes apart.
    PerCpu(u64),
    /// A structure of the kernel, which programs do not write to.
    Kernel,
    /// Bytes that an iterator keeps.
    Bytes,
}

impl Object {
    pub(crate) fn address(&self) -> u64 {
        self.block.at(0)
    }

    /// The bytes, to be filled before anybody else knows the object.
    pub(crate) fn block(&self) -> &Block {
        &self.block
    }

    fn holds(&self, addr: u64, len: u64) -> bool {
        let start = self.address();
        addr >= start
            && addr
                .checked_add(len)
                .is_some_and(|end| end <= start + self.len)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Heap {
    pub(crate) fn new(rcu: Arc<Rcu>) -> Heap {
        Heap {
            rcu,
            objects: RwLock::default(),
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            after_look: AtomicUsize::new(0),
            places: Mutex::default(),
            locks: Mutex::default(),
        }
    }

    /// Makes an object of zeros with one reference.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn make(&self, len: u64, kind: Kind) -> Result<Arc<Object>, Errno> {
        let bytes = usize::try_from(len).map_err(|_| Errno::ENOMEM)?;
        let all = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if all.saturating_add(bytes) > BYTES_MAX {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Errno::ENOMEM);
        }
        let object = Arc::new(Object {
            block: Block::new(bytes)?,
            len,
            kind,
            references: AtomicU32::new(1),
            home: AtomicU64::new(0),
        });
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        objects.insert(object.address(), object.clone());
        self.count.store(objects.len(), Ordering::Release);
        Ok(object)
    }

    /// The object that has a byte at this address.
    pub(crate) fn find(&self, addr: u64) -> Option<Arc<Object>> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        let (_, object) = objects.range(..=addr).next_back()?;
        object.holds(addr, 1).then(|| object.clone())
    }

    /// Whether a program may touch these bytes: they lie in one object.
    pub(crate) fn grants(&self, addr: u64, len: u64, write: bool) -> bool {
        self.find(addr).is_some_and(|object| {
            object.holds(addr, len) && !(write && matches!(object.kind, Kind::Kernel))
        })
    }

    /// One more reference to the object at this address; whether there is one.
    pub(crate) fn acquire(&self, addr: u64) -> bool {
        let Some(object) = self.find(addr) else {
            return false;
        };
        let more = |n: u32| if n == 0 { None } else { n.checked_add(1) };
        object
            .references
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .is_ok()
    }

    /// Gives up one reference to the object that has this byte. With the last one it goes, and
    /// with it what only it referred to; its memory stays until no program can see it.
    pub(crate) fn release(&self, addr: u64) {
        let mut waiting = vec![addr];
        while let Some(addr) = waiting.pop() {
            let Some(object) = self.find(addr) else {
                continue;
            };
            if object.references.fetch_sub(1, Ordering::AcqRel) != 1 {
                continue;
            }
            let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
            objects.remove(&object.address());
            self.count.store(objects.len(), Ordering::Release);
            drop(objects);
            self.bytes.fetch_sub(object.len as usize, Ordering::Relaxed);
            if let Kind::Own(fields) = &object.kind {
                for field in fields.iter() {
                    let at = object.address().wrapping_add(field.offset.into());
                    match field.kind {
                        FieldKind::Kptr => {
                            let held = object.block.u64(field.offset as usize);
                            waiting.extend((held != 0).then_some(held));
                        }
                        FieldKind::ListHead | FieldKind::RbRoot => {
                            let tree = field.kind == FieldKind::RbRoot;
                            let first = object.block.u64(field.offset as usize);
                            waiting.extend(self.nodes(at, first, tree));
                        }
                        _ => {}
                    }
                }
            }
            self.rcu.retire(object, true);
        }
    }

    /// The nodes of a list whose head is at `head`, or of a tree whose topmost node is `first`.
    fn nodes(&self, head: u64, first: u64, tree: bool) -> Vec<u64> {
        let mut all = Vec::new();
        let mut waiting = vec![first];
        while let Some(node) = waiting.pop() {
            if node == 0 || node == head {
                continue;
            }
            let Some(object) = self.find(node) else {
                continue;
            };
            let word = |at: u64| object.block.u64((node + at - object.address()) as usize);
            all.push(node);
            // A list goes on behind the first word; a tree's first word is the way back.
            match tree {
                false => waiting.push(word(0)),
                true => waiting.extend([word(8), word(16)]),
            }
        }
        all
    }

    /// The objects of lists and trees that are not there any more.
    fn linked_into(&self, homes: &std::collections::BTreeSet<u64>) -> Vec<u64> {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        let here = |object: &&Arc<Object>| homes.contains(&object.home.load(Ordering::Acquire));
        objects.values().filter(here).map(|o| o.address()).collect()
    }

    /// Notes that the object with this byte is linked into a list or tree, or (with 0) into none.
    pub(crate) fn set_home(&self, addr: u64, home: u64) {
        if let Some(object) = self.find(addr) {
            object.home.store(home, Ordering::Release);
        }
    }

    /// Notes that a place of a map value holds an object (0: has a list or a tree), or nothing.
    pub(crate) fn note_place(&self, at: u64, holds: Option<u64>, map: Option<&Arc<MapObject>>) {
        let mut places = locked(&self.places);
        match (holds, map) {
            (Some(holds), Some(map)) => {
                let map = Arc::downgrade(map);
                places.insert(at, Place { map, holds });
            }
            _ => {
                places.remove(&at);
            }
        }
    }

    /// Takes back what places held that were cleared since, when there are many objects.
    pub(crate) fn look_for_lost(&self) {
        let count = self.count.load(Ordering::Acquire);
        let last = self.after_look.load(Ordering::Relaxed);
        if count < FEW || count < last.saturating_mul(2) {
            return;
        }
        let mut lost = Vec::new();
        locked(&self.places).retain(|at, place| {
            let map = place.map.upgrade().filter(|map| map.has_users());
            let word = map.as_ref().and_then(|map| map.map.word(*at));
            let word = word.map_or(0, |word| word.load(Ordering::Acquire));
            let stays = match place.holds {
                0 => word != 0,
                held => word == held,
            };
            if !stays {
                lost.push((*at, place.holds));
            }
            stays
        });
        let homes = lost
            .iter()
            .filter(|(_, holds)| *holds == 0)
            .map(|(at, _)| *at)
            .collect();
        let linked = self.linked_into(&homes);
        let held = lost
            .iter()
            .map(|(_, holds)| *holds)
            .filter(|holds| *holds != 0);
        held.chain(linked).for_each(|object| self.release(object));
        let left = self.count.load(Ordering::Acquire);
        self.after_look.store(left, Ordering::Relaxed);
    }

    /// Takes, or gives back, the spin lock at this address; false when no object is there.
    pub(crate) fn spin(&self, addr: u64, take: bool) -> bool {
        let Some(object) = self.find(addr).filter(|object| object.holds(addr, 4)) else {
            return false;
        };
        let Some(word) = object.block.word32((addr - object.address()) as usize) else {
            return false;
        };
        if !take {
            word.store(0, Ordering::Release);
            return true;
        }
        while word
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            std::thread::yield_now();
        }
        true
    }
}

/// The size and the special fields of a structure.
pub(crate) fn shape(btf: &Btf, id: u32) -> Option<(u64, Arc<[Field]>)> {
    let ty = btf.resolve(id)?;
    let size = btf.size_of(ty.id())?;
    Some((size.into(), crate::map::fields_of(btf, &ty).into()))
}

//! Objects that programs make and hold: of their own types (`bpf_obj_new`), sets of CPUs, and
//! what else lies neither in a map nor on a stack.
//!
//! An object is known by its address. It goes when nobody refers to it any more: no program, no
//! pointer in a map or another object, no list or tree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use skep_abi::Errno;
use skep_btf::Btf;
use skep_maps::{Charge, Field, FieldKind, Ledger, Rcu};

use crate::memory::Block;

/// All objects of a kernel.
pub(crate) struct Heap {
    rcu: Arc<Rcu>,
    objects: RwLock<BTreeMap<u64, Arc<Object>>>,
    /// How many there are, for those who only want to know whether there are any.
    count: AtomicUsize,
    /// How many of them are the kernel's own.
    lasting: AtomicUsize,
    ledger: Arc<Ledger>,
    /// Resilient locks that are held, by address.
    pub(crate) locks: Mutex<BTreeSet<u64>>,
}

/// From one CPU's copy of an object to the next one's: as many bytes as such an object can have,
/// so that programs find the copies without asking which object it is.
pub(crate) const CPU_STRIDE: u32 = 512;

/// One object.
pub(crate) struct Object {
    block: Block,
    len: u64,
    pub(crate) kind: Kind,
    references: AtomicU32,
    /// Paid for until no program can see the bytes any more; what is the kernel's own is free.
    _charge: Option<Charge>,
}

/// What an object is.
pub(crate) enum Kind {
    /// Of a type of the program, with these special fields.
    Own(Arc<[Field]>),
    /// One copy for each CPU, [`CPU_STRIDE`] bytes apart.
    PerCpu,
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

impl Heap {
    /// No objects yet; what they take is charged to `ledger`.
    pub(crate) fn new(rcu: Arc<Rcu>, ledger: Arc<Ledger>) -> Heap {
        Heap {
            rcu,
            objects: RwLock::default(),
            count: AtomicUsize::new(0),
            lasting: AtomicUsize::new(0),
            ledger,
            locks: Mutex::default(),
        }
    }

    /// Makes an object of zeros with one reference.
    ///
    /// # Errors
    /// `ENOMEM`, also past the ceiling of the kernel's memory.
    pub(crate) fn make(&self, len: u64, kind: Kind) -> Result<Arc<Object>, Errno> {
        let charge = Charge::take(&self.ledger, len)?;
        self.list(len, kind, Some(charge))
    }

    /// Makes an object that stays, whoever gives it up.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn make_lasting(&self, len: u64, kind: Kind) -> Result<Arc<Object>, Errno> {
        let made = self.list(len, kind, None)?;
        self.lasting.fetch_add(1, Ordering::Relaxed);
        Ok(made)
    }

    fn list(&self, len: u64, kind: Kind, charge: Option<Charge>) -> Result<Arc<Object>, Errno> {
        let bytes = usize::try_from(len).map_err(|_| Errno::ENOMEM)?;
        let object = Arc::new(Object {
            block: Block::new(bytes)?,
            len,
            kind,
            references: AtomicU32::new(1),
            _charge: charge,
        });
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        objects.insert(object.address(), object.clone());
        self.count.store(objects.len(), Ordering::Release);
        Ok(object)
    }

    /// Bytes that objects of programs take now.
    pub(crate) fn bytes(&self) -> u64 {
        self.ledger.used()
    }

    /// How many objects of programs there are.
    pub(crate) fn count(&self) -> usize {
        let lasting = self.lasting.load(Ordering::Relaxed);
        self.count.load(Ordering::Acquire).saturating_sub(lasting)
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
            if let Kind::Own(fields) = &object.kind {
                for field in fields.iter() {
                    let at = object.address().wrapping_add(field.offset.into());
                    let word = object.block.u64(field.offset as usize);
                    waiting.extend(self.owned_by(field.kind, at, word));
                }
            }
            self.rcu.retire(object, true);
        }
    }

    /// The objects that a special field owns: where it lies, and its first word.
    fn owned_by(&self, kind: FieldKind, at: u64, word: u64) -> Vec<u64> {
        match kind {
            FieldKind::Kptr | FieldKind::PercpuKptr if word != 0 => vec![word],
            FieldKind::ListHead => self.nodes(at, word, false),
            FieldKind::RbRoot => self.nodes(at, word, true),
            _ => Vec::new(),
        }
    }

    /// Gives up what a special field of a map value owned.
    pub(crate) fn release_field(&self, kind: FieldKind, at: u64, word: u64) {
        for object in self.owned_by(kind, at, word) {
            self.release(object);
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

//! How values are copied around the special fields inside them.
//!
//! A value may contain fields that belong to the kernel: a spin lock, a timer, a kernel
//! pointer. System calls neither see nor write them: a copy out shows zeros, and a copy in
//! leaves a lock as it is and ends what another field held. Whoever deletes, overwrites or
//! drops a value has its fields give up what they own, which goes to the map's [`Release`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::region::{copy_in, copy_out, zero};

/// What a special field is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldKind {
    /// `bpf_spin_lock`, which `BPF_F_LOCK` takes.
    SpinLock,
    /// `bpf_res_spin_lock`.
    ResSpinLock,
    /// `bpf_timer`.
    Timer,
    /// `bpf_wq`.
    Workqueue,
    /// `bpf_task_work`.
    TaskWork,
    /// `bpf_list_head`.
    ListHead,
    /// `bpf_list_node`.
    ListNode,
    /// `bpf_rb_root`.
    RbRoot,
    /// `bpf_rb_node`.
    RbNode,
    /// `bpf_refcount`, which system calls see as 1: a copy has one owner.
    Refcount,
    /// A pointer of the kernel (`__kptr`), which owns a reference.
    Kptr,
    /// A pointer to an object of each CPU (`__percpu_kptr`), which owns it.
    PercpuKptr,
    /// A pointer that owns nothing (`__kptr_untrusted`).
    UntrustedKptr,
    /// A pointer to memory of user space (`__uptr`).
    Uptr,
}

impl FieldKind {
    /// Whether an overwrite leaves the field as it is: others may hold the lock.
    fn outlives_overwrite(self) -> bool {
        matches!(self, FieldKind::SpinLock | FieldKind::ResSpinLock)
    }

    /// Whether the field's first word stands for something that the field owns.
    fn owns(self) -> bool {
        use FieldKind::*;
        match self {
            Timer | Workqueue | TaskWork | ListHead | RbRoot | Kptr | PercpuKptr => true,
            SpinLock | ResSpinLock | ListNode | RbNode | Refcount | UntrustedKptr | Uptr => false,
        }
    }

    /// Whether it is something that happens later, which needs a user of the map.
    fn happens_later(self) -> bool {
        use FieldKind::*;
        matches!(self, Timer | Workqueue | TaskWork)
    }
}

/// Gets back what special fields own, when their element is deleted, overwritten or evicted,
/// and when the map goes. It may be called on any thread, with no lock of the map held.
pub trait Release: fmt::Debug + Send + Sync {
    /// The field of this kind at `address` gave up what it held: its first word was `word`,
    /// which is not 0, and all of it is 0 now.
    fn release(&self, kind: FieldKind, address: u64, word: u64);
}

/// The place of one special field in a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its first byte.
    pub offset: u32,
    /// Its bytes.
    pub size: u32,
    /// What it is for.
    pub kind: FieldKind,
}

impl Field {
    /// Whether the field is cleared word by word when its value ends; others are locks, or
    /// say nothing.
    fn is_given_up(&self) -> bool {
        !self.kind.outlives_overwrite() && (self.offset | self.size).is_multiple_of(8)
    }
}

/// The shape of one value: its size and its special fields by offset.
#[derive(Clone, Default, Debug)]
pub(crate) struct Shape {
    pub(crate) size: usize,
    fields: Box<[Field]>,
    lock: Option<usize>,
    release: Option<Arc<dyn Release>>,
}

impl Shape {
    pub(crate) fn new(size: u32, fields: &[Field], release: Option<&Arc<dyn Release>>) -> Shape {
        let size = size as usize;
        let inside = |f: &Field| f.offset as u64 + u64::from(f.size) <= size as u64;
        let mut kept: Vec<Field> = fields.iter().copied().filter(inside).collect();
        kept.sort_by_key(|f| f.offset);
        let lock = kept
            .iter()
            .find(|f| f.kind == FieldKind::SpinLock && f.size == 4 && f.offset % 4 == 0)
            .map(|f| f.offset as usize);
        Shape {
            size,
            release: release
                .filter(|_| kept.iter().any(|f| f.kind.owns()))
                .cloned(),
            fields: kept.into(),
            lock,
        }
    }

    /// Whether fields own things that somebody wants back.
    pub(crate) fn owns(&self) -> bool {
        self.release.is_some()
    }

    /// The shape of a value of one CPU: system calls copy also the bytes that round it up.
    pub(crate) fn of_each_cpu(mut self) -> Shape {
        if self.fields.is_empty() {
            self.size = self.stride();
        }
        self
    }

    /// Bytes that one value takes in memory.
    pub(crate) fn stride(&self) -> usize {
        self.size.next_multiple_of(8)
    }

    pub(crate) fn lock_offset(&self) -> Option<usize> {
        self.lock
    }

    pub(crate) fn has_lock(&self) -> bool {
        self.lock.is_some()
    }

    /// Has the special fields of a value give up what they own: those that happen later, or
    /// all of them.
    ///
    /// # Safety
    /// `value` is aligned to 8 and is memory of a value of this shape.
    pub(crate) unsafe fn give_up(&self, value: *mut u8, only_later: bool) {
        for field in self.fields.iter().filter(|field| field.is_given_up()) {
            if only_later && !field.kind.happens_later() {
                continue;
            }
            for at in (0..field.size).step_by(8) {
                // SAFETY: by the contract, and because the field lies in the value and is
                // aligned, this is a live word; such words are only accessed atomically.
                let cell = unsafe {
                    let place = value.add((field.offset + at) as usize);
                    &*place.cast::<AtomicU64>()
                };
                let word = match cell.load(Ordering::Relaxed) {
                    0 => 0,
                    _ => cell.swap(0, Ordering::AcqRel),
                };
                if let (Some(release), true) = (&self.release, at == 0 && word != 0)
                    && field.kind.owns()
                {
                    let address = value as u64 + u64::from(field.offset);
                    release.release(field.kind, address, word);
                }
            }
        }
    }

    /// Writes `from` (at least the value's size) to the value at `to`, around the special
    /// fields.
    ///
    /// # Safety
    /// `to` is aligned to 8 and is a live value of this shape.
    pub(crate) unsafe fn store(&self, to: *mut u8, from: &[u8]) {
        let from = &from[..self.size.min(from.len())];
        if self.fields.is_empty() {
            // SAFETY: the contract of this function.
            return unsafe { copy_in(to, from) };
        }
        let mut at = 0;
        for field in &self.fields {
            let (start, end) = (
                field.offset as usize,
                field.offset as usize + field.size as usize,
            );
            if end > from.len() {
                break;
            }
            if at < start {
                // SAFETY: `at..start` lies inside the value; bytes are accessed singly
                // where the start is not aligned.
                unsafe { store_unaligned(to.add(at), &from[at..start]) };
            }
            at = end;
        }
        if at < from.len() {
            // SAFETY: as above.
            unsafe { store_unaligned(to.add(at), &from[at..]) };
        }
    }

    /// Writes `from`, and zeros behind it, to memory that becomes a value. What special fields
    /// still held of the value before, they give up.
    ///
    /// # Safety
    /// As for [`store`](Self::store).
    pub(crate) unsafe fn init(&self, to: *mut u8, from: &[u8]) {
        let from = &from[..self.size.min(from.len())];
        if self.fields.is_empty() {
            // SAFETY: the contract of this function; the stride belongs to the value.
            return unsafe {
                if from.len() < self.size {
                    zero(to, self.stride());
                }
                copy_in(to, from);
            };
        }
        let mut whole = from.to_vec();
        whole.resize(self.size, 0);
        // SAFETY: as above. Fields are cleared by what gives them up, and by nothing else:
        // a program that still knows the value before may just put something in.
        unsafe {
            self.give_up(to, false);
            self.store(to, &whole);
        }
        for field in self.fields.iter().filter(|field| !field.is_given_up()) {
            let zeros = vec![0; field.size as usize];
            // SAFETY: the field lies in the value.
            unsafe { store_unaligned(to.add(field.offset as usize), &zeros) };
        }
    }

    /// Reads the value at `from`, with zeros for the special fields.
    ///
    /// # Safety
    /// `from` is aligned to 8 and is a live value of this shape.
    pub(crate) unsafe fn load(&self, to: &mut [u8], from: *const u8) {
        let size = self.size.min(to.len());
        // SAFETY: the contract of this function.
        unsafe { copy_out(&mut to[..size], from) };
        self.blank(to);
        for field in self.fields.iter().filter(|f| f.kind == FieldKind::Refcount) {
            if let Some(first) = to.get_mut(field.offset as usize) {
                *first = u8::from(cfg!(target_endian = "little"));
            }
            if let Some(last) = to.get_mut(field.offset as usize + 3) {
                *last = u8::from(cfg!(target_endian = "big"));
            }
        }
    }

    fn blank(&self, bytes: &mut [u8]) {
        for field in &self.fields {
            let start = field.offset as usize;
            if let Some(bytes) = bytes.get_mut(start..start + field.size as usize) {
                bytes.fill(0);
            }
        }
    }

    /// Makes the memory at `to` a value of zeros.
    ///
    /// # Safety
    /// As for [`init`](Self::init).
    pub(crate) unsafe fn clear(&self, to: *mut u8) {
        // SAFETY: the contract of this function.
        unsafe { self.init(to, &[]) }
    }

    /// Runs `body` with the value's spin lock held, when it has one.
    ///
    /// # Safety
    /// `value` is aligned to 8 and is a live value of this shape.
    pub(crate) unsafe fn locked<T>(&self, value: *mut u8, body: impl FnOnce() -> T) -> T {
        let Some(offset) = self.lock else {
            return body();
        };
        // SAFETY: the lock is an aligned 32-bit word inside the live value.
        let word = unsafe { &*value.add(offset).cast::<AtomicU32>() };
        lock(word);
        let out = body();
        unlock(word);
        out
    }
}

/// Takes a `bpf_spin_lock`.
pub(crate) fn lock(word: &AtomicU32) {
    let mut tries = 0u32;
    while word
        .compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed)
        .is_err()
    {
        tries = tries.wrapping_add(1);
        if tries.is_multiple_of(64) {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
}

/// Gives a `bpf_spin_lock` back.
pub(crate) fn unlock(word: &AtomicU32) {
    word.store(0, Ordering::Release);
}

/// Copies bytes to an address of any alignment.
///
/// # Safety
/// `from.len()` bytes at `to` are live memory of a region.
unsafe fn store_unaligned(to: *mut u8, from: &[u8]) {
    let lead = to.align_offset(8).min(from.len());
    let (head, rest) = from.split_at(lead);
    for (i, byte) in head.iter().enumerate() {
        // SAFETY: the byte is inside the caller's range.
        unsafe { copy_byte(to.add(i), *byte) };
    }
    if !rest.is_empty() {
        // SAFETY: `to + lead` is aligned to 8 because `rest` is not empty.
        unsafe { copy_in(to.add(lead), rest) };
    }
}

/// # Safety
/// `to` is live memory of a region.
unsafe fn copy_byte(to: *mut u8, byte: u8) {
    // SAFETY: the contract of this function.
    let cell = unsafe { &*to.cast::<std::sync::atomic::AtomicU8>() };
    cell.store(byte, Ordering::Relaxed);
}

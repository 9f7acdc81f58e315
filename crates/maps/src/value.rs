//! How values are copied around the special fields inside them.
//!
//! A value may contain fields that belong to the kernel: a spin lock, a timer, a kernel
//! pointer. System calls neither see nor write them: a copy out shows zeros, and a copy in
//! leaves a lock as it is and ends what another field held.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::region::{copy_in, copy_out, zero};

/// As many zeros as the largest special field takes.
const ZEROS: [u8; 64] = [0; 64];

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
    /// A pointer of the kernel, of any kind.
    Kptr,
}

impl FieldKind {
    /// Whether an overwrite leaves the field as it is: others may hold the lock.
    fn outlives_overwrite(self) -> bool {
        matches!(self, FieldKind::SpinLock | FieldKind::ResSpinLock)
    }
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

/// The shape of one value: its size and its special fields by offset.
#[derive(Clone, Default, Debug)]
pub(crate) struct Shape {
    pub(crate) size: usize,
    fields: Box<[Field]>,
    lock: Option<usize>,
}

impl Shape {
    pub(crate) fn new(size: u32, fields: &[Field]) -> Shape {
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
            fields: kept.into(),
            lock,
        }
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

    /// Writes `from` (at least the value's size) to the value at `to`, around the holes.
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
            if !field.kind.outlives_overwrite() {
                // What the field held belongs to the value that is overwritten.
                // SAFETY: as above.
                unsafe {
                    store_unaligned(
                        to.add(start),
                        &ZEROS[..(field.size as usize).min(ZEROS.len())],
                    )
                };
            }
            at = end;
        }
        if at < from.len() {
            // SAFETY: as above.
            unsafe { store_unaligned(to.add(at), &from[at..]) };
        }
    }

    /// Writes `from` to a value that no one else sees yet: special fields become zero.
    ///
    /// # Safety
    /// As for [`store`](Self::store).
    pub(crate) unsafe fn init(&self, to: *mut u8, from: &[u8]) {
        let from = &from[..self.size.min(from.len())];
        // SAFETY: the contract of this function; the stride belongs to the value.
        unsafe {
            if from.len() < self.size {
                zero(to, self.stride());
            }
            if self.fields.is_empty() {
                copy_in(to, from);
            } else {
                let mut clean = from.to_vec();
                self.blank(&mut clean);
                copy_in(to, &clean);
            }
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

    /// Makes the value at `to` all zeros.
    ///
    /// # Safety
    /// `to` is aligned to 8 and is a live value of this shape that no one holds locked.
    pub(crate) unsafe fn clear(&self, to: *mut u8) {
        // SAFETY: the contract of this function; the stride belongs to the value.
        unsafe { zero(to, self.stride()) }
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

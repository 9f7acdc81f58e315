//! Memory for elements: where it comes from, and how racing sides copy to and from it.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use skep_abi::Errno;

use crate::ledger::Ledger;

/// Bytes of the pages that a mappable array is made of.
pub(crate) const PAGE: usize = 4096;

/// Blocks from this size on lie on huge pages.
const HUGE_FROM: usize = 1 << 20;
/// Bytes of a huge page.
const HUGE: usize = 2 << 20;

/// Where a region's memory came from; given back when dropped.
enum Block {
    Small(*mut u8, Layout),
    /// A mapping: its start and its bytes.
    Huge(*mut u8, usize),
}

/// One zeroed block of memory with a stable address, freed when dropped.
///
/// Large blocks come untouched from the system, so that a map costs what is used of it.
pub(crate) struct Region {
    start: *mut u8,
    _block: Block,
    len: usize,
    ledger: Arc<Ledger>,
}

// SAFETY: a region is plain memory; every access goes through atomics (see `copy_in` and
// `copy_out`) or through addresses handed to programs, whose races are theirs.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// `len` zero bytes at an address aligned to 8, paid for by `ledger`.
    ///
    /// # Errors
    /// `ENOMEM` when there is no such block, or the account does not reach.
    pub(crate) fn new(len: u64, ledger: &Arc<Ledger>) -> Result<Region, Errno> {
        let len = usize::try_from(len).map_err(|_| Errno::ENOMEM)?;
        let len = len
            .max(8)
            .checked_next_multiple_of(8)
            .ok_or(Errno::ENOMEM)?;
        ledger.charge(len as u64)?;
        let block = if len >= HUGE_FROM {
            Block::huge(len)
        } else {
            Block::small(len)
        };
        let Some((block, start)) = block else {
            ledger.refund(len as u64);
            return Err(Errno::ENOMEM);
        };
        Ok(Region {
            start,
            _block: block,
            len,
            ledger: ledger.clone(),
        })
    }

    /// The address of the byte at `offset`; the caller keeps it inside the region.
    #[inline]
    pub(crate) fn at(&self, offset: usize) -> *mut u8 {
        debug_assert!(offset <= self.len);
        // `wrapping_add` is address arithmetic only; what makes an access sound is said at
        // the access.
        self.start.wrapping_add(offset)
    }

    /// Bytes of it.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The 64-bit word number `index`.
    #[inline]
    pub(crate) fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.len / 8);
        // SAFETY: the word lies in the region, is aligned to 8 and initialised (zeroed);
        // it is only ever accessed atomically.
        unsafe { &*self.start.cast::<AtomicU64>().add(index) }
    }
}

impl Block {
    /// From the allocator. The alignment stays small on purpose: with it the allocator hands
    /// out fresh pages without writing zeros to them.
    fn small(len: usize) -> Option<(Block, *mut u8)> {
        let layout = Layout::from_size_align(len, 8).ok()?;
        // SAFETY: the callers ask for at least 8 bytes.
        let start = unsafe { alloc_zeroed(layout) };
        (!start.is_null()).then_some((Block::Small(start, layout), start))
    }

    /// From the system, on huge pages where it has them: elements all over a large map are
    /// then found without a walk through page tables.
    fn huge(len: usize) -> Option<(Block, *mut u8)> {
        let whole = len.checked_next_multiple_of(HUGE)?.checked_add(HUGE)?;
        // SAFETY: a fresh mapping of our own; nothing of anyone's is replaced.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                whole,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return None;
        }
        let base = base.cast::<u8>();
        let start = base.wrapping_add(base.align_offset(HUGE).min(HUGE));
        // SAFETY: the range lies in the mapping. That there are no huge pages is no error.
        unsafe { libc::madvise(start.cast(), whole - HUGE, libc::MADV_HUGEPAGE) };
        Some((Block::Huge(base, whole), start))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        match *self {
            // SAFETY: the block came from `alloc_zeroed` with this layout.
            Block::Small(start, layout) => unsafe { dealloc(start, layout) },
            // SAFETY: the range was mapped by `huge`, and is unmapped once.
            Block::Huge(base, whole) => unsafe {
                libc::munmap(base.cast(), whole);
            },
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.ledger.refund(self.len as u64);
    }
}

/// Copies `from` to `to`, word by word.
///
/// # Safety
/// `to` is aligned to 8 and `from.len()` bytes from it on are live memory of a region.
#[inline]
pub(crate) unsafe fn copy_in(to: *mut u8, from: &[u8]) {
    let (words, tail) = from.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        // SAFETY: by the contract the word is live and aligned.
        let cell = unsafe { &*to.cast::<AtomicU64>().add(i) };
        cell.store(u64::from_ne_bytes(*word), Relaxed);
    }
    for (i, byte) in tail.iter().enumerate() {
        // SAFETY: by the contract the byte is live.
        let cell = unsafe { &*to.add(words.len() * 8 + i).cast::<AtomicU8>() };
        cell.store(*byte, Relaxed);
    }
}

/// Copies to `to` from `from`, word by word.
///
/// # Safety
/// `from` is aligned to 8 and `to.len()` bytes from it on are live memory of a region.
#[inline]
pub(crate) unsafe fn copy_out(to: &mut [u8], from: *const u8) {
    let (words, tail) = to.as_chunks_mut::<8>();
    let whole = words.len() * 8;
    for (i, word) in words.iter_mut().enumerate() {
        // SAFETY: by the contract the word is live and aligned.
        let cell = unsafe { &*from.cast::<AtomicU64>().add(i) };
        *word = cell.load(Relaxed).to_ne_bytes();
    }
    for (i, byte) in tail.iter_mut().enumerate() {
        // SAFETY: by the contract the byte is live.
        let cell = unsafe { &*from.add(whole + i).cast::<AtomicU8>() };
        *byte = cell.load(Relaxed);
    }
}

/// Writes `len` zero bytes at `to`.
///
/// # Safety
/// As for [`copy_in`].
#[inline]
pub(crate) unsafe fn zero(to: *mut u8, len: usize) {
    const ZEROS: [u8; 64] = [0; 64];
    let mut done = 0;
    while done < len {
        let step = (len - done).min(ZEROS.len());
        // SAFETY: `done` is a multiple of 64 here, so the alignment is kept; the rest is
        // the caller's contract.
        unsafe { copy_in(to.add(done), &ZEROS[..step]) };
        done += step;
    }
}

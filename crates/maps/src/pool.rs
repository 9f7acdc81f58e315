//! The pool that hash elements and trie nodes come from: type-stable and never moved.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use skep_abi::Errno;
use skep_sync::{FreeList, Links, thread_number};

use crate::ledger::Ledger;
use crate::region::Region;

/// Bytes of the first block; each further block is twice as long, up to a limit.
const FIRST_BLOCK: usize = 16 << 10;
const LAST_BLOCK: usize = 8 << 20;

/// Equally long pieces of memory at stable addresses.
///
/// Threads take from and give to free lists of their own; making new pieces takes a lock. The
/// word at [`FREE_LINK`] of each piece belongs to the pool, which links free pieces with it; a
/// piece is at least 16 bytes.
pub(crate) struct Pool {
    piece: usize,
    /// Bytes of the first block.
    first: usize,
    /// So many pieces are made without looking for one that another thread gave back.
    expected: usize,
    ledger: Arc<Ledger>,
    free: FreeList,
    inner: Mutex<Inner>,
    /// Pieces ever handed out, which is what the memory in use grows with.
    made: AtomicUsize,
}

/// The offset of the word that links free pieces.
pub(crate) const FREE_LINK: usize = 8;

struct Inner {
    blocks: Vec<Region>,
    /// Unused rest of the last block.
    next: usize,
    end: usize,
}

/// The links of free pieces, in the pieces.
struct InPieces;

impl Links for InPieces {
    #[inline]
    fn next(&self, piece: usize) -> usize {
        // SAFETY: pieces on a free list are live memory of a pool, whose link word nobody else
        // touches than who has the list.
        unsafe { (piece as *const u8).add(FREE_LINK).cast::<usize>().read() }
    }

    #[inline]
    fn set_next(&self, piece: usize, next: usize) {
        // SAFETY: as above; who gives a piece back vouches that it is out of use.
        unsafe {
            let link = (piece as *mut u8).add(FREE_LINK).cast::<usize>();
            link.write(next);
        }
    }
}

impl Pool {
    /// Of pieces of so many bytes; `expected` of them will do at most, as far as is known. As
    /// many threads as there are `lists` do not get in each other's way.
    pub(crate) fn new(piece: usize, expected: usize, lists: usize, ledger: &Arc<Ledger>) -> Pool {
        /// With fewer pieces there is nothing to be kept apart.
        const FEW: usize = 64;
        let inner = Inner {
            blocks: Vec::new(),
            next: 0,
            end: 0,
        };
        let piece = piece.next_multiple_of(8).max(16);
        Pool {
            piece,
            first: expected.saturating_mul(piece).min(FIRST_BLOCK),
            expected,
            ledger: ledger.clone(),
            free: FreeList::new(if expected < FEW { 1 } else { lists }),
            inner: Mutex::new(inner),
            made: AtomicUsize::new(0),
        }
    }

    /// A piece, one that was freed lately when there is one, and whether it is a new one; its
    /// bytes are whatever they were (zeros when new). `None` when all pieces are in use and
    /// there are `most` of them.
    ///
    /// # Errors
    /// `ENOMEM`.
    #[inline]
    pub(crate) fn take(&self, most: usize) -> Result<Option<(*mut u8, bool)>, Errno> {
        let here = thread_number();
        if let Some(piece) = self.free.take(here, &InPieces) {
            return Ok(Some((piece as *mut u8, false)));
        }
        if self.made.load(Relaxed) >= self.expected.min(most)
            && let Some(piece) = self.free.take_from_others(here, &InPieces)
        {
            return Ok(Some((piece as *mut u8, false)));
        }
        self.make(most)
    }

    /// A new piece, unless there are `most`.
    fn make(&self, most: usize) -> Result<Option<(*mut u8, bool)>, Errno> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if self.made.load(Relaxed) >= most {
            return Ok(None);
        }
        if inner.next + self.piece > inner.end {
            let wanted = match inner.blocks.len() {
                0 => self.first,
                blocks => (FIRST_BLOCK << blocks.min(16)).min(LAST_BLOCK),
            };
            inner.blocks.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            let block = Region::new(wanted.max(self.piece) as u64, &self.ledger)?;
            inner.next = block.at(0) as usize;
            inner.end = inner.next + wanted.max(self.piece);
            inner.blocks.push(block);
        }
        let piece = inner.next as *mut u8;
        inner.next += self.piece;
        self.made.fetch_add(1, Relaxed);
        Ok(Some((piece, true)))
    }

    /// Takes back a piece that [`take`](Self::take) gave.
    ///
    /// # Safety
    /// The piece came from this pool and is not given back twice.
    #[inline]
    pub(crate) unsafe fn give(&self, piece: *mut u8) {
        self.free.give(thread_number(), piece as usize, &InPieces);
    }

    /// Calls `body` with every piece that was ever handed out. Pieces may be taken meanwhile.
    pub(crate) fn each(&self, mut body: impl FnMut(*mut u8)) {
        let ranges: Vec<(usize, usize)> = {
            let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let full = |block: &Region| {
                let start = block.at(0) as usize;
                (start, start + block.len() / self.piece * self.piece)
            };
            let mut ranges: Vec<_> = inner.blocks.iter().map(full).collect();
            if let Some((_, end)) = ranges.last_mut() {
                *end = inner.next;
            }
            ranges
        };
        for (start, end) in ranges {
            for piece in (start..end).step_by(self.piece) {
                body(piece as *mut u8);
            }
        }
    }

    /// How far into a piece an address lies, when it lies in one that was handed out.
    pub(crate) fn within(&self, addr: u64) -> Option<usize> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let addr = usize::try_from(addr).ok()?;
        let (last, full) = inner.blocks.split_last()?;
        let inside = |start: usize, end: usize| {
            (addr >= start && addr < end).then(|| (addr - start) % self.piece)
        };
        let block = full.iter().find_map(|block| {
            let start = block.at(0) as usize;
            inside(start, start + block.len() / self.piece * self.piece)
        });
        block.or_else(|| inside(last.at(0) as usize, inner.next))
    }
}

//! Ring buffers: records that programs write in place and one consumer reads in order; and
//! the other way round.
//!
//! Layout as Linux documents it: a page with the consumer's position, a page with the
//! producers', then the data twice. An 8-byte header (length with a busy and a discard bit)
//! stands before each record; records are aligned to 8.
//!
//! The consumer may be another process and write what it likes to its page; what producers
//! need to know they keep to themselves ([`skep_sync::ring`]).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use skep_abi::Errno;
use skep_sync::SpinLock;
use skep_sync::ring::{BUSY, DISCARD, HEADER, Producers, RingMemory};

use crate::ledger::Ledger;
use crate::region::{PAGE, copy_in, copy_out};
use crate::shared::{Shared, View};

/// Where the positions and the data are.
const CONSUMER: usize = 0;
const PRODUCER: usize = PAGE;
const DATA: usize = 2 * PAGE;

/// A place that a program reserved: the address of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record(pub u64);

/// What `bpf_ringbuf_query` tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RingInfo {
    /// Bytes not consumed yet.
    pub available: u64,
    /// Bytes of the ring.
    pub size: u64,
    /// The consumer's position.
    pub consumer: u64,
    /// The producers' position.
    pub producer: u64,
}

/// A record of a user ring buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sample {
    /// Its address, its bytes and what it takes with its header.
    Record {
        /// Where its bytes begin.
        addr: u64,
        /// How many there are.
        len: u32,
        /// The bytes to go on by.
        total: u64,
    },
    /// One that its producer dropped: the bytes to go on by.
    Dropped(u64),
}

pub(crate) struct Ring {
    memory: Shared,
    size: u64,
    producers: Producers,
    /// How far this side is in a user ring buffer.
    read: SpinLock<u64>,
    reading: Mutex<()>,
}

impl Ring {
    pub(crate) fn new(size: u32, ledger: &Arc<Ledger>) -> Result<Ring, Errno> {
        let data = size as usize;
        Ok(Ring {
            memory: Shared::new(DATA + data, data, ledger)?,
            size: size.into(),
            producers: Producers::new(size.into()),
            read: SpinLock::new(0),
            reading: Mutex::new(()),
        })
    }

    /// Room for `len` bytes, or `None` when there is none.
    #[inline]
    pub(crate) fn reserve(&self, len: u64) -> Option<Record> {
        let at = self.producers.reserve(self, len)?;
        Some(Record(self.address(at) as u64 + HEADER))
    }

    /// Hands a reserved record to the consumer, or drops it. False when the address is no
    /// reserved record of this ring.
    pub(crate) fn commit(&self, record: Record, discard: bool) -> bool {
        let start = self.address(0) as u64;
        let Some(at) = record.0.checked_sub(start + HEADER) else {
            return false;
        };
        if at >= self.size || !at.is_multiple_of(8) {
            return false;
        }
        let header = self.header(at);
        if header.load(Ordering::Relaxed) & BUSY == 0 {
            return false;
        }
        finish(header, discard);
        true
    }

    /// Copies a whole record in.
    ///
    /// # Errors
    /// `EAGAIN` when there is no room.
    pub(crate) fn output(&self, bytes: &[u8]) -> Result<(), Errno> {
        let record = self.reserve(bytes.len() as u64).ok_or(Errno::EAGAIN)?;
        // SAFETY: the record is reserved, so its bytes are ours until it is committed, and a
        // record is contiguous in the two copies and aligned to 8.
        unsafe { copy_in(record.0 as *mut u8, bytes) };
        self.commit(record, false);
        Ok(())
    }

    /// Gives each committed record to `body`, in order, until one is not committed yet;
    /// answers how many there were.
    pub(crate) fn consume(&self, body: &mut dyn FnMut(&[u8])) -> usize {
        let _one = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = self.word(CONSUMER).load(Ordering::Relaxed);
        let mut seen = 0;
        loop {
            let end = self.producers.position();
            // Somebody else may have written another position to the page.
            let waiting = end.wrapping_sub(at);
            if waiting == 0 || waiting > self.size || !at.is_multiple_of(8) {
                break;
            }
            let word = self.header(at).load(Ordering::Acquire);
            let len = u64::from(word & !(DISCARD | BUSY));
            if word & BUSY != 0 || len + HEADER > waiting {
                break;
            }
            if word & DISCARD == 0 {
                let mut bytes = vec![0; len as usize];
                // SAFETY: the record is shorter than what waits, which is at most the ring,
                // so it lies in the two copies; it is not reused before the consumer's
                // position moves past it, and torn bytes would be bytes.
                unsafe { copy_out(&mut bytes, self.address(at).add(HEADER as usize)) };
                body(&bytes);
                seen += 1;
            }
            at += (len + HEADER).next_multiple_of(8);
            self.word(CONSUMER).store(at, Ordering::Release);
        }
        seen
    }

    /// The next record of a user ring buffer, whose producer is outside and may write
    /// anything anywhere in its pages.
    ///
    /// # Errors
    /// `EINVAL` for positions and lengths that make no sense, `E2BIG` for a record longer
    /// than the ring, `ENODATA` when there is none.
    pub(crate) fn sample(&self) -> Result<Sample, Errno> {
        let producer = self.word(PRODUCER).load(Ordering::Acquire);
        if !producer.is_multiple_of(8) {
            return Err(Errno::EINVAL);
        }
        // This side alone writes the consumer's page, and keeps its position beside it.
        let at = *self.read.lock();
        if at >= producer {
            return Err(Errno::ENODATA);
        }
        let word = self.header(at).load(Ordering::Acquire);
        let len = word & !(BUSY | DISCARD);
        let total = (u64::from(len) + HEADER).next_multiple_of(8);
        if total > producer - at {
            return Err(Errno::EINVAL);
        }
        if u64::from(len) > self.size || total > self.size {
            return Err(Errno::E2BIG);
        }
        if word & DISCARD != 0 {
            return Ok(Sample::Dropped(total));
        }
        if word & BUSY != 0 {
            return Err(Errno::ENODATA);
        }
        Ok(Sample::Record {
            addr: self.address(at) as u64 + HEADER,
            len,
            total,
        })
    }

    /// Goes on behind a sample of `total` bytes.
    pub(crate) fn release(&self, total: u64) {
        let mut read = self.read.lock();
        *read += total;
        self.word(CONSUMER).store(*read, Ordering::Release);
    }

    /// Whether one reader at a time is kept by `body`.
    ///
    /// # Errors
    /// `EBUSY` when another one reads.
    pub(crate) fn alone<T>(&self, body: impl FnOnce() -> T) -> Result<T, Errno> {
        let _one = self.reading.try_lock().map_err(|_| Errno::EBUSY)?;
        Ok(body())
    }

    pub(crate) fn info(&self) -> RingInfo {
        let consumer = self.word(CONSUMER).load(Ordering::Acquire);
        let producer = self.word(PRODUCER).load(Ordering::Acquire);
        RingInfo {
            available: producer.wrapping_sub(consumer),
            size: self.size,
            consumer,
            producer,
        }
    }

    /// Maps the pages for somebody outside: its own position for writing, in a user ring
    /// buffer also the data, and all of it for reading.
    ///
    /// # Errors
    /// `EPERM` for writing where the other side writes, `EINVAL` beyond the end.
    pub(crate) fn map(
        &self,
        (offset, len): (usize, usize),
        writable: bool,
        from_user: bool,
    ) -> Result<View, Errno> {
        let own = match from_user {
            false => offset == 0 && len == PAGE,
            true => offset != 0,
        };
        if writable && !own {
            return Err(Errno::EPERM);
        }
        self.memory.map(offset, len, writable)
    }

    /// Whether the bytes lie in the data.
    pub(crate) fn owns(&self, addr: u64, len: u64) -> bool {
        let start = self.address(0) as u64;
        let end = start + 2 * self.size;
        addr >= start && addr.checked_add(len).is_some_and(|last| last <= end)
    }

    fn address(&self, position: u64) -> *mut u8 {
        // The size is a power of two.
        let at = (position & (self.size - 1)) as usize;
        self.memory.base().wrapping_add(DATA + at)
    }

    fn header(&self, position: u64) -> &AtomicU32 {
        // SAFETY: positions are multiples of 8, so the word is aligned; it lies in the data,
        // and headers are only accessed atomically.
        unsafe { &*self.address(position).cast::<AtomicU32>() }
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: `at` is the start of one of the two pages of positions, which are only
        // accessed atomically.
        unsafe { &*self.memory.base().add(at).cast::<AtomicU64>() }
    }
}

impl RingMemory for Ring {
    #[inline]
    fn consumer(&self) -> u64 {
        self.word(CONSUMER).load(Ordering::Acquire)
    }

    #[inline]
    fn set_producer(&self, position: u64) {
        self.word(PRODUCER).store(position, Ordering::Release);
    }

    #[inline]
    fn header(&self, position: u64) -> u32 {
        Ring::header(self, position).load(Ordering::Acquire)
    }

    #[inline]
    fn set_header(&self, position: u64, word: u32) {
        Ring::header(self, position).store(word, Ordering::Relaxed);
    }
}

fn finish(header: &AtomicU32, discard: bool) {
    let word = header.load(Ordering::Relaxed);
    let flag = if discard { DISCARD } else { 0 };
    header.swap(word & !BUSY | flag, Ordering::AcqRel);
}

/// Submits, or discards, a record of whichever ring it lies in.
///
/// # Safety
/// The address is that of a record that [`Ring::reserve`] gave, which was neither submitted
/// nor discarded, of a ring that is still there.
pub(crate) unsafe fn finish_at(record: u64, discard: bool) {
    // SAFETY: by the contract the header stands before the record, in live memory.
    let header = unsafe { &*((record.wrapping_sub(HEADER)) as *const AtomicU32) };
    finish(header, discard);
}

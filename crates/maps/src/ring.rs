//! Ring buffers: records that programs write in place and one consumer reads in order.
//!
//! Layout as Linux documents it: an 8-byte header (length with a busy and a discard bit)
//! before each record, records aligned to 8. A record that crosses the end of the ring runs
//! on into a second copy of the ring's size behind it, so that it is always contiguous;
//! every reader finds it by its start, as with Linux's double mapping.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use skep_abi::Errno;

use crate::region::{Region, copy_in, copy_out};

const HEADER: u64 = 8;
const BUSY: u32 = 1 << 31;
const DISCARD: u32 = 1 << 30;
/// The longest record.
const RECORD_MAX: u64 = u32::MAX as u64 / 4;

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

pub(crate) struct Ring {
    data: Region,
    size: u64,
    producer: AtomicU64,
    consumer: AtomicU64,
    /// The oldest record that is not committed; guarded by the producers' lock.
    pending: Mutex<u64>,
    reading: Mutex<()>,
}

impl Ring {
    pub(crate) fn new(size: u32) -> Result<Ring, Errno> {
        let size = u64::from(size);
        Ok(Ring {
            data: Region::new(size * 2, true)?,
            size,
            producer: AtomicU64::new(0),
            consumer: AtomicU64::new(0),
            pending: Mutex::new(0),
            reading: Mutex::new(()),
        })
    }

    /// Room for `len` bytes, or `None` when there is none.
    pub(crate) fn reserve(&self, len: u64) -> Option<Record> {
        if len > RECORD_MAX {
            return None;
        }
        let whole = (len + HEADER).next_multiple_of(8);
        if whole > self.size {
            return None;
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let consumer = self.consumer.load(Ordering::Acquire);
        let at = self.producer.load(Ordering::Relaxed);
        while *pending < at {
            let word = self.header(*pending).load(Ordering::Acquire);
            if word & BUSY != 0 {
                break;
            }
            *pending += (u64::from(word & !DISCARD) + HEADER).next_multiple_of(8);
        }
        let end = at + whole;
        if end - consumer > self.size || end - *pending > self.size {
            return None;
        }
        self.header(at).store(len as u32 | BUSY, Ordering::Relaxed);
        self.producer.store(end, Ordering::Release);
        Some(Record(self.address(at) as u64 + HEADER))
    }

    /// Hands a reserved record to the consumer, or drops it. False when the address is no
    /// reserved record of this ring.
    pub(crate) fn commit(&self, record: Record, discard: bool) -> bool {
        let start = self.data.at(0) as u64;
        let Some(at) = record.0.checked_sub(start + HEADER) else {
            return false;
        };
        if at >= self.size || !at.is_multiple_of(8) {
            return false;
        }
        let header = self.header(at);
        let word = header.load(Ordering::Relaxed);
        if word & BUSY == 0 {
            return false;
        }
        let flag = if discard { DISCARD } else { 0 };
        header.store(word & !BUSY | flag, Ordering::Release);
        true
    }

    /// Copies a whole record in.
    ///
    /// # Errors
    /// `EAGAIN` when there is no room.
    pub(crate) fn output(&self, bytes: &[u8]) -> Result<(), Errno> {
        let record = self.reserve(bytes.len() as u64).ok_or(Errno::EAGAIN)?;
        // SAFETY: the record is reserved, so its bytes are ours until it is committed, and a
        // record is contiguous in the region and aligned to 8.
        unsafe { copy_in(record.0 as *mut u8, bytes) };
        self.commit(record, false);
        Ok(())
    }

    /// Gives each committed record to `body`, in order, until one is not committed yet;
    /// answers how many there were.
    pub(crate) fn consume(&self, body: &mut dyn FnMut(&[u8])) -> usize {
        let _one = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = self.consumer.load(Ordering::Relaxed);
        let mut seen = 0;
        while at < self.producer.load(Ordering::Acquire) {
            let word = self.header(at).load(Ordering::Acquire);
            if word & BUSY != 0 {
                break;
            }
            let len = (word & !DISCARD) as usize;
            if word & DISCARD == 0 {
                let mut bytes = vec![0; len];
                // SAFETY: a committed record lies in the region and is not reused before the
                // consumer's position moves past it.
                unsafe { copy_out(&mut bytes, self.address(at).add(HEADER as usize)) };
                body(&bytes);
                seen += 1;
            }
            at += (len as u64 + HEADER).next_multiple_of(8);
            self.consumer.store(at, Ordering::Release);
        }
        seen
    }

    pub(crate) fn info(&self) -> RingInfo {
        let consumer = self.consumer.load(Ordering::Acquire);
        let producer = self.producer.load(Ordering::Acquire);
        RingInfo {
            available: producer - consumer,
            size: self.size,
            consumer,
            producer,
        }
    }

    fn address(&self, position: u64) -> *mut u8 {
        self.data.at((position % self.size) as usize)
    }

    fn header(&self, position: u64) -> &AtomicU32 {
        // SAFETY: positions are multiples of 8, so the word is aligned; it lies in the
        // region and records' headers are only accessed atomically.
        unsafe { &*self.address(position).cast::<AtomicU32>() }
    }
}

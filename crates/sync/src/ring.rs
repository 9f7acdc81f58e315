//! What the producers of a ring buffer agree on, whatever its consumer writes to its page.
//!
//! The consumer may be another process: its position only decides whether there is room, and
//! never becomes an address. What producers need to know of each other they keep here, behind
//! a lock, and not in the pages that others see.

use crate::spin::SpinLock;

/// Bytes of the header before each record: its length, with two flags.
pub const HEADER: u64 = 8;
/// The record is not committed.
pub const BUSY: u32 = 1 << 31;
/// The consumer shall pass the record over.
pub const DISCARD: u32 = 1 << 30;
/// The longest record.
pub const RECORD_MAX: u64 = u32::MAX as u64 / 4;

/// The pages of a ring. Positions grow without end; the memory takes them modulo its size.
pub trait RingMemory {
    /// What the consumer's page says, read with acquire order.
    fn consumer(&self) -> u64;
    /// Tells the consumer how far producers are, with release order.
    fn set_producer(&self, position: u64);
    /// The header at a position, read with acquire order.
    fn header(&self, position: u64) -> u32;
    /// Writes a header that no consumer reads yet.
    fn set_header(&self, position: u64, word: u32);
}

/// The producers' side of one ring. A reservation costs one lock that is held for a few
/// instructions.
pub struct Producers {
    size: u64,
    ends: SpinLock<Ends>,
}

/// What producers know, wherever the pages say they are.
struct Ends {
    producer: u64,
    /// The oldest record that is not committed.
    pending: u64,
}

impl Producers {
    /// Of a ring of `size` bytes, a power of two.
    pub fn new(size: u64) -> Producers {
        Producers {
            size,
            ends: SpinLock::new(Ends {
                producer: 0,
                pending: 0,
            }),
        }
    }

    /// The position of a record of `len` bytes, at which its header stands, or `None` when
    /// there is no room. One byte always stays free, so that a full ring is not an empty one.
    #[inline]
    pub fn reserve(&self, memory: &impl RingMemory, len: u64) -> Option<u64> {
        if len > RECORD_MAX {
            return None;
        }
        let whole = (len + HEADER).next_multiple_of(8);
        if whole > self.size {
            return None;
        }
        let consumer = memory.consumer();
        let mut ends = self.ends.lock();
        let at = ends.producer;
        while ends.pending < at {
            let word = memory.header(ends.pending);
            if word & BUSY != 0 {
                break;
            }
            ends.pending += (u64::from(word & !DISCARD) + HEADER).next_multiple_of(8);
        }
        let end = at + whole;
        // A consumer that claims to be ahead of the producers leaves no room; one that claims
        // to be further than it is cannot make a record that is not committed be overwritten.
        if end.wrapping_sub(consumer) >= self.size || end - ends.pending >= self.size {
            return None;
        }
        memory.set_header(at, len as u32 | BUSY);
        ends.producer = end;
        memory.set_producer(end);
        Some(at)
    }

    /// How far producers are.
    pub fn position(&self) -> u64 {
        self.ends.lock().producer
    }
}

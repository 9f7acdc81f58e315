//! The operations of ring buffers.

use skep_abi::Errno;

use super::{Map, Storage};
use crate::ring::{Record, RingInfo};

impl Map {
    /// `bpf_ringbuf_reserve`: the address of `len` bytes, `None` when there is no room.
    pub fn reserve(&self, len: u64) -> Option<Record> {
        match &self.storage {
            Storage::Ring(r) => r.reserve(len),
            _ => None,
        }
    }

    /// `bpf_ringbuf_submit` and `bpf_ringbuf_discard`; false when the record is not one that
    /// was reserved here.
    pub fn commit(&self, record: Record, discard: bool) -> bool {
        match &self.storage {
            Storage::Ring(r) => r.commit(record, discard),
            _ => false,
        }
    }

    /// `bpf_ringbuf_output`.
    ///
    /// # Errors
    /// `EAGAIN` when there is no room, `EINVAL` for other types.
    pub fn output(&self, bytes: &[u8]) -> Result<(), Errno> {
        match &self.storage {
            Storage::Ring(r) => r.output(bytes),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Consumes the committed records of a ring buffer in order; how many there were.
    pub fn consume(&self, body: &mut dyn FnMut(&[u8])) -> usize {
        match &self.storage {
            Storage::Ring(r) => r.consume(body),
            _ => 0,
        }
    }

    /// The positions of a ring buffer.
    pub fn ring(&self) -> Option<RingInfo> {
        match &self.storage {
            Storage::Ring(r) => Some(r.info()),
            _ => None,
        }
    }
}

//! The operations of ring buffers.

use skep_abi::{Errno, MapType, Mapping};

use super::{Map, Storage};
use crate::ring::{Record, RingInfo, Sample};

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

    /// The next record of a user ring buffer.
    ///
    /// # Errors
    /// `ENODATA` when there is none; `EINVAL` and `E2BIG` for what makes no sense.
    pub fn sample(&self) -> Result<Sample, Errno> {
        match &self.storage {
            Storage::Ring(r) => r.sample(),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Goes on behind a sample of so many bytes.
    pub fn release_sample(&self, total: u64) {
        if let Storage::Ring(r) = &self.storage {
            r.release(total);
        }
    }

    /// Runs `body` as the only reader of a user ring buffer.
    ///
    /// # Errors
    /// `EBUSY` when another one reads, `EINVAL` for other types.
    pub fn drain_alone<T>(&self, body: impl FnOnce() -> T) -> Result<T, Errno> {
        match &self.storage {
            Storage::Ring(r) => r.alone(body),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Whether the type has memory that can be mapped at all.
    pub fn can_be_mapped(&self) -> bool {
        matches!(
            &self.storage,
            Storage::Array(_) | Storage::Ring(_) | Storage::Arena(_)
        )
    }

    /// Maps the map's memory for somebody outside, an arena at `address` when that is not 0.
    ///
    /// # Errors
    /// `ENODEV` for types without such memory; `EINVAL` and `EPERM` as Linux.
    pub fn mmap(
        &self,
        address: u64,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> Result<Box<dyn Mapping>, Errno> {
        let offset = usize::try_from(offset).map_err(|_| Errno::EINVAL)?;
        let view = match &self.storage {
            Storage::Array(a) => a.map(offset, len, writable)?,
            Storage::Ring(r) => {
                let from_user = self.spec.map_type == MapType::UserRingbuf;
                r.map((offset, len), writable, from_user)?
            }
            Storage::Arena(a) => return a.mmap(address, offset, len),
            _ => return Err(Errno::ENOTSUPP),
        };
        Ok(Box::new(view))
    }

    /// A descriptor of the memory of a mappable map, by which other processes can map it.
    ///
    /// # Errors
    /// `EINVAL` for maps that cannot be mapped, `EMFILE`.
    pub fn memory_fd(&self) -> Result<std::os::fd::OwnedFd, Errno> {
        match &self.storage {
            Storage::Array(a) => a.descriptor(),
            _ => Err(Errno::EINVAL),
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

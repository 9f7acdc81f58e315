//! `mmap(2)` of a map: who may, and what a mapping keeps.

use std::sync::Arc;

use skep_abi::{Errno, MapFlags, Mapping};

use super::MapFile;
use crate::fds::File;
use crate::kernel::Kernel;

/// Bytes of a page.
const PAGE: u64 = 4096;

/// A mapping that keeps its map, and keeps it from being frozen when it can be written.
struct Held {
    memory: Box<dyn Mapping>,
    file: Arc<MapFile>,
    writable: bool,
}

impl Kernel {
    /// # Errors
    /// As Linux: `EINVAL` for places that are none, `EBADF`, `ENODEV` when there is nothing to
    /// map behind the descriptor, `EACCES` for what it does not allow, `EPERM` for writing to
    /// a frozen map, `ENOTSUPP` for types that cannot be mapped.
    pub(crate) fn mmap_map(
        &self,
        fd: u32,
        address: u64,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> Result<Box<dyn Mapping>, Errno> {
        if !offset.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let file = match self.fds.get(fd).map_err(|_| Errno::EBADF)? {
            File::Map(file) => file,
            _ => return Err(Errno::ENODEV),
        };
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = len
            .checked_next_multiple_of(PAGE as usize)
            .ok_or(Errno::ENOMEM)?;
        if !file.readable || writable && !file.writable {
            return Err(Errno::EACCES);
        }
        let object = file.object().clone();
        if object.has_fields || !object.map.can_be_mapped() {
            return Err(Errno::ENOTSUPP);
        }
        if !file.writable {
            // Linux takes such a mapping for a private one.
            return Err(Errno::EINVAL);
        }
        let _writer = writable.then(|| object.writing.begin()).transpose()?;
        if writable && object.flags.contains(MapFlags::RDONLY_PROG) {
            return Err(Errno::EACCES);
        }
        let memory = object.map.mmap(address, offset, len, writable)?;
        if writable {
            object.writing.count()?;
        }
        Ok(Box::new(Held {
            memory,
            file,
            writable,
        }))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.writable {
            self.file.object().writing.uncount();
        }
    }
}

impl Mapping for Held {
    fn len(&self) -> usize {
        self.memory.len()
    }

    fn address(&self) -> u64 {
        self.memory.address()
    }

    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), Errno> {
        self.memory.read(offset, out)
    }

    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Errno> {
        self.memory.write(offset, bytes)
    }

    fn load(&self, offset: usize) -> Result<u64, Errno> {
        self.memory.load(offset)
    }

    fn store(&self, offset: usize, value: u64) -> Result<(), Errno> {
        self.memory.store(offset, value)
    }
}

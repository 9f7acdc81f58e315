//! What a map costs and how much it is used, as the embedding program asks.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

use skep_abi::Errno;

use super::MapObject;
use crate::kernel::Kernel;

/// The accounts of one map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapUsage {
    /// Bytes of its elements and tables.
    pub bytes: u64,
    /// Elements that are in it, for the types that count them.
    pub elements: Option<u32>,
    /// Commands on elements that found the map, whether or not they succeeded; a batch is
    /// one.
    pub commands: u64,
    /// Helpers that programs called on the map, when the kernel was told to count them
    /// ([`Builder::map_statistics`](crate::Builder::map_statistics)).
    pub operations: Option<u64>,
}

impl MapObject {
    /// Counts what a program does.
    pub(crate) fn count_operation(&self) {
        self.operations.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a command.
    pub(super) fn count_command(&self) {
        self.commands.fetch_add(1, Ordering::Relaxed);
    }
}

impl Kernel {
    /// What the map behind a descriptor costs, and how often commands used it.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL` for a descriptor of something else.
    pub fn map_usage(&self, fd: u32) -> Result<MapUsage, Errno> {
        let file = self.fds.map(fd)?;
        let object = file.object();
        Ok(MapUsage {
            bytes: object.map.bytes(),
            elements: object.map.count(),
            commands: object.commands.load(Ordering::Relaxed),
            operations: self
                .map_statistics
                .then(|| object.operations.load(Ordering::Relaxed)),
        })
    }

    /// A descriptor of the memory of a `BPF_F_MMAPABLE` array, by which other processes map it
    /// and then share its values. Whoever has it may write, and nobody can say until when: from
    /// then on the map cannot be frozen.
    ///
    /// # Errors
    /// `EBADF`; `EINVAL` for a descriptor of something else and for maps that cannot be mapped;
    /// `EPERM` for a descriptor that is not for writing, and a frozen map; `EMFILE`.
    pub fn map_memory_fd(&self, fd: u32) -> Result<OwnedFd, Errno> {
        let file = self.fds.map(fd)?;
        let (object, _writer) = file.need_write()?;
        let memory = object.map.memory_fd()?;
        object.writing.count()?;
        Ok(memory)
    }
}

//! The seam: how callers reach a BPF kernel, be it Linux or skep.
//!
//! A caller hands over the raw attribute bytes of `bpf(2)` and the memory those
//! attributes may point into. Nothing else crosses.

use crate::Errno;

/// The memory of the caller, as far as it granted access.
///
/// Addresses are those found in the attribute bytes. They need not be addresses of this
/// process: a kernel only ever copies through this trait, the real one included.
pub trait UserMemory {
    /// Copies `into.len()` bytes at `addr`, or fails with `EFAULT`.
    fn read(&self, addr: u64, into: &mut [u8]) -> Result<(), Errno>;
    /// Writes `from` at `addr`, or fails with `EFAULT`.
    fn write(&mut self, addr: u64, from: &[u8]) -> Result<(), Errno>;
}

/// One BPF kernel: `bpf(cmd, attr)`.
///
/// `attr` is the caller's attribute union, as long as the caller says it is; the
/// kernel writes its answers back into it where Linux does. A non-negative result
/// is what the system call returns (a descriptor for the commands that make one).
pub trait Bpf {
    /// Carries out one command.
    fn bpf(&self, cmd: u32, attr: &mut [u8], memory: &mut dyn UserMemory) -> Result<u32, Errno>;
}

/// What surrounds `bpf(2)`: the operations on its descriptors that are other
/// system calls, and the facts a loader reads from files.
pub trait Files {
    /// Closes a descriptor; `EBADF` when it is not open.
    fn close(&self, fd: u32) -> Result<(), Errno>;
    /// Duplicates a descriptor.
    fn dup(&self, fd: u32) -> Result<u32, Errno>;
    /// Maps memory behind a descriptor, shared: `mmap(2)` of `len` bytes from `offset` on, for
    /// reading and perhaps writing. An `address` other than 0 is where the memory shall lie,
    /// which matters to arenas.
    ///
    /// # Errors
    /// As Linux; `EOPNOTSUPP` where this is not modelled.
    fn mmap_at(
        &self,
        fd: u32,
        address: u64,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> Result<Box<dyn Mapping>, Errno> {
        let _ = (fd, address, offset, len, writable);
        Err(Errno::EOPNOTSUPP)
    }
    /// Maps memory behind a descriptor wherever there is room.
    ///
    /// # Errors
    /// As for [`mmap_at`](Files::mmap_at).
    fn mmap(
        &self,
        fd: u32,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> Result<Box<dyn Mapping>, Errno> {
        self.mmap_at(fd, 0, offset, len, writable)
    }
    /// The raw BTF of the kernel itself, when it has one (`ENOENT` otherwise).
    fn kernel_btf(&self) -> Result<Vec<u8>, Errno>;
    /// What `/proc/self/fdinfo` says of a descriptor, as lines of `name:\tvalue`: the facts
    /// (`memlock`, `frozen`, `owner_prog_type`) that no info structure holds.
    ///
    /// # Errors
    /// `EBADF`; `EOPNOTSUPP` from a kernel that keeps none.
    fn fdinfo(&self, _fd: u32) -> Result<String, Errno> {
        Err(Errno::EOPNOTSUPP)
    }
}

/// Memory of a map that this process shares with the kernel, as `mmap(2)` gives it. Accesses
/// are atomic byte by byte, or word by word.
pub trait Mapping: Send + Sync {
    /// Bytes of it.
    fn len(&self) -> usize;
    /// Whether there are none, which is never so.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Where it lies.
    fn address(&self) -> u64;
    /// Copies bytes out, aligned words at once; `EFAULT` beyond the end.
    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), Errno>;
    /// Copies bytes in, aligned words at once; `EFAULT` beyond the end, or where nothing may be
    /// written.
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Errno>;
    /// Reads an aligned word, and sees what was written before it; `EFAULT`, `EINVAL`.
    fn load(&self, offset: usize) -> Result<u64, Errno>;
    /// Writes an aligned word, after all that was written before; `EFAULT`, `EINVAL`.
    fn store(&self, offset: usize, value: u64) -> Result<(), Errno>;
}

/// Both halves of the seam, which is what a loader asks for.
pub trait Backend: Bpf + Files {}
impl<T: Bpf + Files> Backend for T {}

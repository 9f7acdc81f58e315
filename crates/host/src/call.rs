//! The system calls themselves: everything unsafe in this crate.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use skep_abi::{Capabilities, Errno};

use crate::bounce::Bounces;

/// Bytes that an attribute always has behind its address, whatever its stated length:
/// Linux writes some answers without looking at the length.
const ATTR_ROOM: usize = 256;

/// The last error of this thread.
fn last_error() -> Errno {
    Errno(
        io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(Errno::EIO.0),
    )
}

/// An attribute with room behind it for what Linux writes.
pub(crate) struct Attr {
    bytes: Vec<u8>,
    size: usize,
}

impl Attr {
    pub(crate) fn new(attr: &[u8]) -> Attr {
        let mut bytes = attr.to_vec();
        bytes.resize(attr.len().max(ATTR_ROOM), 0);
        Attr {
            bytes,
            size: attr.len(),
        }
    }

    /// The bytes of the length it came with.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.size).unwrap_or(&[])
    }

    /// The same, to be changed.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.size).unwrap_or(&mut [])
    }
}

/// One `bpf(2)` whose every pointer was put into `attr` by `bounces`.
pub(crate) fn bpf(cmd: u32, attr: &mut Attr, bounces: &mut Bounces) -> Result<u32, Errno> {
    let Attr { bytes, size } = attr;
    bounces.hold();
    // SAFETY:
    // - `attr` has at least `ATTR_ROOM` bytes, more than any answer of Linux is away from
    //   its start, and `size` of them are said to be there.
    // - `plan` checked `attr` with the view of `cmd`, so no byte outside of the fields it
    //   knows is set, and it replaced each nonzero pointer by the address of a buffer in
    //   `bounces` with as many bytes as the command may read or write there.
    // - These buffers are exclusively borrowed for the whole call.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, cmd, bytes.as_mut_ptr(), *size) };
    u32::try_from(answer).map_err(|_| last_error())
}

/// Takes ownership of a descriptor that `bpf(2)` has just returned.
pub(crate) fn own(fd: u32) -> Result<OwnedFd, Errno> {
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the caller got `fd` from the kernel as a new descriptor and nobody else
    // knows it yet.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A second descriptor for whatever `fd` is open on.
pub(crate) fn dup(fd: u32) -> Result<OwnedFd, Errno> {
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: `F_DUPFD_CLOEXEC` touches no memory and leaves `fd` as it is.
    let new = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
    if new < 0 {
        return Err(last_error());
    }
    // SAFETY: `new` was just made by the kernel for this call alone.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

/// Takes from the calling thread, and from it alone, all capabilities but these.
pub(crate) fn keep_capabilities(keep: Capabilities) -> Result<(), Errno> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    // Two records of effective, permitted and inheritable sets: 64 capabilities.
    let mut sets = [0u32; 6];
    // SAFETY: version 3 fills two records of three words, which is what the second pointer
    // leads to; pid 0 means the calling thread.
    let answer = unsafe { libc::syscall(libc::SYS_capget, &raw const header, sets.as_mut_ptr()) };
    if answer < 0 {
        return Err(last_error());
    }
    let [low, high] = [keep.0 as u32, (keep.0 >> 32) as u32];
    for (set, kept) in sets.iter_mut().zip([low, low, 0, high, high, 0]) {
        *set &= kept;
    }
    // SAFETY: version 3 reads the header and two records of three words, which is what
    // both pointers lead to; pid 0 means the calling thread.
    let answer = unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) };
    if answer < 0 {
        Err(last_error())
    } else {
        Ok(())
    }
}

/// Waits until no other process holds the lock of this file, then holds it until it closes.
pub(crate) fn lock(file: &File) -> Result<(), Errno> {
    // SAFETY: `flock` touches no memory, and `file` is open during the call.
    let answer = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) };
    if answer < 0 {
        Err(last_error())
    } else {
        Ok(())
    }
}

//! `mmap(2)` of a descriptor of the running kernel.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use skep_abi::{Cells, Errno, Mapping};

/// Memory shared with the kernel; unmapped when dropped.
pub(crate) struct Shared {
    base: *mut u8,
    len: usize,
    writable: bool,
}

// SAFETY: the memory is at a stable address, and every access to it is atomic.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// # Errors
    /// What the kernel says.
    pub(crate) fn new(
        fd: BorrowedFd<'_>,
        address: u64,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> Result<Shared, Errno> {
        let offset = libc::off_t::try_from(offset).map_err(|_| Errno::EINVAL)?;
        let protection = match writable {
            true => libc::PROT_READ | libc::PROT_WRITE,
            false => libc::PROT_READ,
        };
        let place = usize::try_from(address).map_err(|_| Errno::EINVAL)?;
        let fixed = match place {
            0 => 0,
            _ => libc::MAP_FIXED_NOREPLACE,
        };
        // SAFETY: nothing of ours is replaced, wherever the place is.
        let base = unsafe {
            libc::mmap(
                std::ptr::without_provenance_mut(place),
                len,
                protection,
                libc::MAP_SHARED | fixed,
                fd.as_raw_fd(),
                offset,
            )
        };
        if base == libc::MAP_FAILED {
            let code = std::io::Error::last_os_error().raw_os_error();
            return Err(Errno(code.unwrap_or(Errno::EINVAL.0)));
        }
        Ok(Shared {
            base: base.cast(),
            len,
            writable,
        })
    }

    fn check(&self, offset: usize, len: usize, writes: bool) -> Result<(), Errno> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len && (self.writable || !writes) => Ok(()),
            _ => Err(Errno::EFAULT),
        }
    }

    fn word(&self, offset: usize, writes: bool) -> Result<&AtomicU64, Errno> {
        self.check(offset, 8, writes)?;
        if !offset.is_multiple_of(8) {
            return Err(Errno::EINVAL);
        }
        Ok(self.cell64(offset))
    }
}

impl Cells for Shared {
    fn cell8(&self, at: usize) -> &AtomicU8 {
        // SAFETY: the callers have checked that it lies inside; every access is atomic.
        unsafe { &*self.base.add(at).cast() }
    }

    fn cell16(&self, at: usize) -> &AtomicU16 {
        // SAFETY: as above; it is aligned, as the mapping is to a page.
        unsafe { &*self.base.add(at).cast() }
    }

    fn cell32(&self, at: usize) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { &*self.base.add(at).cast() }
    }

    fn cell64(&self, at: usize) -> &AtomicU64 {
        // SAFETY: as above.
        unsafe { &*self.base.add(at).cast() }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new` and is unmapped once.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}

impl Mapping for Shared {
    fn len(&self) -> usize {
        self.len
    }

    fn address(&self) -> u64 {
        self.base as u64
    }

    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), Errno> {
        self.check(offset, out.len(), false)?;
        self.copy_out(offset, out);
        Ok(())
    }

    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Errno> {
        self.check(offset, bytes.len(), true)?;
        self.copy_in(offset, bytes);
        Ok(())
    }

    fn load(&self, offset: usize) -> Result<u64, Errno> {
        Ok(self.word(offset, false)?.load(Ordering::Acquire))
    }

    fn store(&self, offset: usize, value: u64) -> Result<(), Errno> {
        self.word(offset, true)?.store(value, Ordering::Release);
        Ok(())
    }
}

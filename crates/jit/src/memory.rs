//! Memory for code: written once, and executable only from then on.

use std::io;

/// Bytes of code that can run. They are never writable while they are executable.
#[derive(Debug)]
pub(crate) struct Published {
    start: *mut libc::c_void,
    len: usize,
    code: usize,
}

// SAFETY: the memory is never written after it was published, and unmapped by its only owner.
unsafe impl Send for Published {}
// SAFETY: as above.
unsafe impl Sync for Published {}

impl Published {
    /// Copies code into new pages and makes them executable.
    ///
    /// Errors: what the system says when it gives no memory or forbids code.
    pub(crate) fn new(code: &[u8]) -> io::Result<Published> {
        let page = 4096;
        let len = code.len().max(1).next_multiple_of(page);
        let rw = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new anonymous mapping overlaps nothing.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, rw, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let published = Published {
            start,
            len,
            code: code.len(),
        };
        // SAFETY: the mapping has at least as many bytes, is writable, and nobody else knows it.
        unsafe {
            std::ptr::write_bytes(start.cast::<u8>(), 0xcc, len);
            std::ptr::copy_nonoverlapping(code.as_ptr(), start.cast::<u8>(), code.len());
        }
        // SAFETY: the range is the mapping made above.
        let done = unsafe { libc::mprotect(start, len, libc::PROT_READ | libc::PROT_EXEC) };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(published)
    }

    /// The address of the byte at `offset`.
    pub(crate) fn at(&self, offset: usize) -> *const u8 {
        self.start.cast::<u8>().cast_const().wrapping_add(offset)
    }

    /// The code as it was published.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `code` bytes from `start` were written and stay mapped and unchanged as long
        // as `self` lives.
        unsafe { std::slice::from_raw_parts(self.at(0), self.code) }
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and whoever runs code in it borrows `self`.
        unsafe { libc::munmap(self.start, self.len) };
    }
}

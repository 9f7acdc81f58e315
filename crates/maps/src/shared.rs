//! Memory that can be mapped again, by this process or by others: pages behind a descriptor.
//!
//! ```text
//! an array:          [ values … ]
//! a ring buffer:     [ consumer ][ producer ][ data … ][ the same data again … ]
//! ```
//!
//! The second copy of a ring's data makes every record contiguous.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

use skep_abi::{Cells, Errno, Mapping};

use crate::ledger::Ledger;
use crate::region::PAGE;

/// Rings up to this many bytes have all their pages from the start.
const POPULATED: usize = 64 << 20;

/// Pages of zeros behind a descriptor, mapped for reading and writing.
pub(crate) struct Shared {
    fd: OwnedFd,
    view: View,
    /// Bytes of the file.
    len: usize,
    /// How much of its end is mapped a second time behind it.
    again: usize,
    _paid: Paid,
}

/// A charge that is given back when dropped.
struct Paid {
    ledger: Arc<Ledger>,
    bytes: u64,
}

impl Paid {
    fn new(ledger: &Arc<Ledger>, bytes: u64) -> Result<Paid, Errno> {
        ledger.charge(bytes)?;
        Ok(Paid {
            ledger: ledger.clone(),
            bytes,
        })
    }
}

impl Drop for Paid {
    fn drop(&mut self) {
        self.ledger.refund(self.bytes);
    }
}

/// One mapping; unmapped when dropped.
pub(crate) struct View {
    base: *mut u8,
    len: usize,
    writable: bool,
}

// SAFETY: a view is plain memory at a stable address; every access goes through atomics or
// through addresses handed to programs, whose races are theirs.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

fn errno() -> Errno {
    let code = std::io::Error::last_os_error().raw_os_error();
    Errno(code.unwrap_or(Errno::ENOMEM.0))
}

impl Shared {
    /// `len` bytes of zeros, a multiple of the page; the last `again` of them are mapped
    /// twice, one behind the other.
    ///
    /// # Errors
    /// `ENOMEM`, or what the system says.
    pub(crate) fn new(len: usize, again: usize, ledger: &Arc<Ledger>) -> Result<Shared, Errno> {
        let paid = Paid::new(ledger, len as u64)?;
        // SAFETY: the name is a constant that ends in a zero.
        let fd = unsafe { libc::memfd_create(c"skep-map".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(errno());
        }
        // SAFETY: the descriptor was just made and belongs to nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let size = libc::off_t::try_from(len).map_err(|_| Errno::ENOMEM)?;
        // SAFETY: the call takes a descriptor of ours and a number.
        if unsafe { libc::ftruncate(fd.as_raw_fd(), size) } != 0 {
            return Err(errno());
        }
        let view = map(
            &fd,
            (len, again),
            0,
            len.checked_add(again).ok_or(Errno::ENOMEM)?,
            true,
        )?;
        Ok(Shared {
            fd,
            view,
            len,
            again,
            _paid: paid,
        })
    }

    #[inline]
    pub(crate) fn base(&self) -> *mut u8 {
        self.view.base
    }

    /// Maps `len` bytes from `offset` on once more, for somebody outside.
    ///
    /// # Errors
    /// `EINVAL` beyond the end.
    pub(crate) fn map(&self, offset: usize, len: usize, writable: bool) -> Result<View, Errno> {
        map(&self.fd, (self.len, self.again), offset, len, writable)
    }

    /// A descriptor of the memory, to be handed to other processes.
    ///
    /// # Errors
    /// `EMFILE`.
    pub(crate) fn descriptor(&self) -> Result<OwnedFd, Errno> {
        self.fd.try_clone().map_err(|_| Errno::EMFILE)
    }
}

/// Maps a part of a file of `whole` bytes whose last `again` ones come twice.
fn map(
    fd: &OwnedFd,
    (whole, again): (usize, usize),
    offset: usize,
    len: usize,
    writable: bool,
) -> Result<View, Errno> {
    let end = offset.checked_add(len).ok_or(Errno::EINVAL)?;
    if len == 0 || !offset.is_multiple_of(PAGE) || end > whole + again {
        return Err(Errno::EINVAL);
    }
    let protection = match writable {
        true => libc::PROT_READ | libc::PROT_WRITE,
        false => libc::PROT_READ,
    };
    // SAFETY: a fresh place of our own, of which nothing is accessible yet.
    let base = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            len,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if base == libc::MAP_FAILED {
        return Err(errno());
    }
    let view = View {
        base: base.cast(),
        len,
        writable,
    };
    // Producers never wait for a page of a ring that is not enormous.
    let populate = match again {
        1..=POPULATED => libc::MAP_POPULATE,
        _ => 0,
    };
    // The part before the end of the file, and the part behind it, which is the file's end.
    let once = len.min(whole.saturating_sub(offset));
    let parts = [
        (0, offset, once),
        (once, offset + once - again.min(offset + once), len - once),
    ];
    for (at, from, part) in parts.into_iter().filter(|(_, _, part)| *part > 0) {
        let from = libc::off_t::try_from(from).map_err(|_| Errno::EINVAL)?;
        // SAFETY: the range lies in the place reserved above, which nobody uses yet.
        let placed = unsafe {
            libc::mmap(
                view.base.add(at).cast(),
                part,
                protection,
                libc::MAP_SHARED | libc::MAP_FIXED | populate,
                fd.as_raw_fd(),
                from,
            )
        };
        if placed == libc::MAP_FAILED {
            return Err(errno());
        }
    }
    Ok(view)
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `map` and is unmapped once; who handed addresses in
        // it out keeps the view.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}

impl View {
    /// Takes a mapping over, which is unmapped when the view is dropped.
    ///
    /// # Safety
    /// `len` bytes at `base`, of whole pages, were mapped by the caller, and are nobody
    /// else's to unmap.
    pub(crate) unsafe fn own(base: *mut u8, len: usize, writable: bool) -> View {
        View {
            base,
            len,
            writable,
        }
    }

    fn check(&self, offset: usize, len: usize, writes: bool) -> Result<(), Errno> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len && (self.writable || !writes) => Ok(()),
            _ => Err(Errno::EFAULT),
        }
    }

    fn word(&self, offset: usize, writes: bool) -> Result<&AtomicU64, Errno> {
        self.check(offset, 8, writes && offset.is_multiple_of(8))?;
        match offset.is_multiple_of(8) {
            true => Ok(self.cell64(offset)),
            false => Err(Errno::EINVAL),
        }
    }
}

impl Cells for View {
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

impl Mapping for View {
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
        Ok(self.word(offset, false)?.load(Acquire))
    }

    fn store(&self, offset: usize, value: u64) -> Result<(), Errno> {
        self.word(offset, true)?.store(value, Release);
        Ok(())
    }
}

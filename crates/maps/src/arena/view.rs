//! The memory of an arena, and the places where it is mapped.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{null_mut, with_exposed_provenance_mut};
use std::sync::{Arc, PoisonError, RwLock};

use skep_abi::{Errno, Mapping};

use crate::region::PAGE;
use crate::shared::View;

/// Bytes that the low half of an address can name.
pub(super) const WINDOW: u64 = 1 << 32;
/// Bytes on each side of a window in which nothing lies: as far as an instruction's offset
/// can lead, and the bytes of its access.
const GUARD: usize = (1 << 15) + PAGE;

fn errno() -> Errno {
    let code = std::io::Error::last_os_error().raw_os_error();
    Errno(code.unwrap_or(Errno::ENOMEM.0))
}

fn bytes(pages: u32) -> libc::off_t {
    pages as libc::off_t * PAGE as libc::off_t
}

/// Pages behind a descriptor, which come to be when they are touched.
pub(super) struct Memory {
    fd: OwnedFd,
    len: usize,
}

impl Memory {
    /// # Errors
    /// `ENOMEM`, or what the system says.
    pub(super) fn new(len: u64) -> Result<Memory, Errno> {
        let size = libc::off_t::try_from(len).map_err(|_| Errno::ENOMEM)?;
        // SAFETY: the name is a constant that ends in a zero.
        let fd = unsafe { libc::memfd_create(c"skep-arena".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(errno());
        }
        // SAFETY: the descriptor was just made and belongs to nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: the call takes a descriptor of ours and a number.
        if unsafe { libc::ftruncate(fd.as_raw_fd(), size) } != 0 {
            return Err(errno());
        }
        let len = usize::try_from(len).map_err(|_| Errno::ENOMEM)?;
        Ok(Memory { fd, len })
    }

    /// The first page from `from` on, before `end`, that was touched.
    pub(super) fn next_data(&self, from: u32, end: u32) -> Option<u32> {
        // SAFETY: the call takes a descriptor of ours and numbers; nobody uses its position.
        let at = unsafe { libc::lseek(self.fd.as_raw_fd(), bytes(from), libc::SEEK_DATA) };
        let page = u32::try_from(at.checked_div(PAGE as libc::off_t)?).ok()?;
        (at >= 0 && page < end).then_some(page)
    }

    /// Whether a page was touched, and where the pages end that were touched with it. May be
    /// called in a signal handler.
    pub(super) fn data_at(&self, page: u32) -> Option<u32> {
        let fd = self.fd.as_raw_fd();
        // SAFETY: as above.
        let at = unsafe { libc::lseek(fd, bytes(page), libc::SEEK_DATA) };
        if at != bytes(page) {
            return None;
        }
        // SAFETY: as above.
        let end = unsafe { libc::lseek(fd, at, libc::SEEK_HOLE) };
        let end = u32::try_from(end.checked_div(PAGE as libc::off_t)?).ok()?;
        Some(end.max(page + 1))
    }

    /// Makes pages untouched again, in every view.
    pub(super) fn forget(&self, page: u32, count: u32) {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: the call takes a descriptor of ours and numbers; the mappings of the file
        // stay, and show zeros.
        let done = unsafe { libc::fallocate(self.fd.as_raw_fd(), mode, bytes(page), bytes(count)) };
        debug_assert_eq!(done, 0, "memory files can have holes");
    }

    /// Maps the start of the file over a place that is reserved, `shown` or so that nothing can
    /// be accessed yet.
    ///
    /// # Safety
    /// `len` bytes at `place` were reserved by the caller, and nobody uses them.
    unsafe fn map_at(&self, place: *mut u8, len: usize, shown: bool) -> Result<(), Errno> {
        // SAFETY: the contract of this function.
        let placed = unsafe {
            libc::mmap(
                place.cast(),
                len.min(self.len),
                protection(shown),
                libc::MAP_SHARED | libc::MAP_FIXED | libc::MAP_NORESERVE,
                self.fd.as_raw_fd(),
                0,
            )
        };
        match placed {
            libc::MAP_FAILED => Err(errno()),
            _ => Ok(()),
        }
    }
}

fn protection(shown: bool) -> libc::c_int {
    match shown {
        true => libc::PROT_READ | libc::PROT_WRITE,
        false => libc::PROT_NONE,
    }
}

/// Reserves addresses at which nothing can be accessed.
fn reserve(place: *mut u8, len: usize, flags: libc::c_int) -> Result<*mut u8, Errno> {
    // SAFETY: a fresh place; nothing of anyone's is replaced.
    let base = unsafe {
        libc::mmap(
            place.cast(),
            len,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | flags,
            -1,
            0,
        )
    };
    match base {
        libc::MAP_FAILED => Err(errno()),
        base => Ok(base.cast()),
    }
}

/// Where programs see the pages: everything that an address's low half and an instruction's
/// offset can name.
pub(super) struct Window(View);

impl Window {
    const LEN: usize = WINDOW as usize + 2 * GUARD;

    pub(super) fn new() -> Result<Window, Errno> {
        let start = reserve(null_mut(), Window::LEN, 0)?;
        start.expose_provenance();
        // SAFETY: the place was just reserved, and is nobody else's.
        Ok(Window(unsafe { View::own(start, Window::LEN, false) }))
    }

    /// The address of place 0.
    pub(super) fn base(&self) -> u64 {
        self.0.address() + GUARD as u64
    }

    /// Maps the memory from `place` on.
    ///
    /// # Errors
    /// `ENOMEM`; `EINVAL` when it does not fit.
    pub(super) fn map(&self, memory: &Memory, place: u64) -> Result<(), Errno> {
        if place + memory.len as u64 > WINDOW {
            return Err(Errno::EINVAL);
        }
        let at = with_exposed_provenance_mut((self.base() + place) as usize);
        // SAFETY: the range lies in the window, of which nothing is used before this.
        unsafe { memory.map_at(at, memory.len, false) }
    }

    /// Lets programs touch pages from `place` on, or not. May be called in a signal handler.
    ///
    /// # Errors
    /// `ENOMEM`, when the system keeps no more such differences.
    pub(super) fn show(&self, place: u64, count: u32, shown: bool) -> Result<(), Errno> {
        let at = with_exposed_provenance_mut::<libc::c_void>((self.base() + place) as usize);
        // SAFETY: the range is one of pages that `map` put there. No reference to them is ever
        // made, and programs access them by instructions that may fault.
        match unsafe { libc::mprotect(at, count as usize * PAGE, protection(shown)) } {
            0 => Ok(()),
            _ => Err(errno()),
        }
    }

    /// Where it begins, and how many bytes it has, its guards among them.
    pub(super) fn range(&self) -> (u64, u64) {
        (self.0.address(), Window::LEN as u64)
    }
}

/// The one mapping outside, at the address that users know.
pub(super) struct Outside {
    view: View,
    /// Bytes that the user asked for; there may be fewer pages, or more.
    len: usize,
    /// Which pages can be touched. Held while somebody accesses them through the seam.
    shown: RwLock<Vec<bool>>,
}

impl Outside {
    /// # Errors
    /// `EINVAL` where the pages would not have the upper half of their addresses in common,
    /// `EEXIST` when something else lies at the address, `ENOMEM`.
    pub(super) fn new(memory: &Memory, address: u64, len: usize) -> Result<Outside, Errno> {
        let whole = len.max(memory.len);
        let start = match address {
            0 => Outside::find(whole)?,
            address if crosses(address, whole) => return Err(Errno::EINVAL),
            address => reserve(
                with_exposed_provenance_mut(address as usize),
                whole,
                libc::MAP_FIXED_NOREPLACE,
            )?,
        };
        start.expose_provenance();
        // SAFETY: the place was just reserved, and is nobody else's.
        let view = unsafe { View::own(start, whole, true) };
        let pages = len.min(memory.len) / PAGE;
        // SAFETY: as above.
        unsafe { memory.map_at(start, pages * PAGE, true)? };
        Ok(Outside {
            view,
            len,
            shown: RwLock::new(vec![true; pages]),
        })
    }

    /// Reserves a place whose addresses have the same upper half.
    fn find(len: usize) -> Result<*mut u8, Errno> {
        let start = reserve(null_mut(), len, 0)?;
        if !crosses(start as u64, len) {
            return Ok(start);
        }
        // SAFETY: the range was just reserved, and is unmapped once.
        unsafe { libc::munmap(start.cast(), len) };
        // Twice the window holds a whole one at an even place.
        let wide = 2 * WINDOW as usize;
        let found = reserve(null_mut(), wide, 0)?;
        let lead = found.align_offset(WINDOW as usize);
        let end = lead + len;
        // SAFETY: what lies before and behind the place was just reserved with it.
        unsafe {
            if lead > 0 {
                libc::munmap(found.cast(), lead);
            }
            if end < wide {
                libc::munmap(found.add(end).cast(), wide - end);
            }
            Ok(found.add(lead))
        }
    }

    pub(super) fn start(&self) -> u64 {
        self.view.address()
    }

    /// Lets pages be touched, or not.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn show(&self, page: u32, count: u32, shown: bool) -> Result<(), Errno> {
        let mut pages = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        let first = (page as usize).min(pages.len());
        let end = first.saturating_add(count as usize).min(pages.len());
        let range = pages.get_mut(first..end).unwrap_or_default();
        if range.iter().all(|page| *page == shown) {
            return Ok(());
        }
        let place =
            with_exposed_provenance_mut::<libc::c_void>(self.start() as usize + first * PAGE);
        // SAFETY: the range lies in the mapping. Whoever accesses pages that are taken away
        // by a native address does so at the risk that Linux also has.
        if unsafe { libc::mprotect(place, (end - first) * PAGE, protection(shown)) } != 0 {
            return Err(errno());
        }
        range.fill(shown);
        Ok(())
    }

    /// Runs `body` when all bytes can be touched, and keeps them so meanwhile.
    fn touch<T>(
        &self,
        offset: usize,
        len: usize,
        body: impl FnOnce(&View) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let pages = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        let end = offset.checked_add(len).ok_or(Errno::EFAULT)?;
        let range = pages.get(offset / PAGE..end.div_ceil(PAGE));
        if end > self.len || range.is_none_or(|range| range.contains(&false)) {
            return Err(Errno::EFAULT);
        }
        body(&self.view)
    }
}

fn crosses(address: u64, len: usize) -> bool {
    address >> 32 != (address + len as u64 - 1) >> 32
}

/// A mapping as the seam hands it out.
pub(super) struct Shown(pub(super) Arc<Outside>);

impl Mapping for Shown {
    fn len(&self) -> usize {
        self.0.len
    }

    fn address(&self) -> u64 {
        self.0.start()
    }

    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), Errno> {
        let len = out.len();
        self.0.touch(offset, len, |view| view.read(offset, out))
    }

    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Errno> {
        self.0
            .touch(offset, bytes.len(), |view| view.write(offset, bytes))
    }

    fn load(&self, offset: usize) -> Result<u64, Errno> {
        self.0.touch(offset, 8, |view| view.load(offset))
    }

    fn store(&self, offset: usize, value: u64) -> Result<(), Errno> {
        self.0.touch(offset, 8, |view| view.store(offset, value))
    }
}

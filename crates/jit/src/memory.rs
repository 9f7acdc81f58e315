//! Memory for code: images are packed into runs of pages that no mapping ever lets anybody
//! write.
//!
//! A run is a piece of anonymous shared memory, mapped once to be read and executed between
//! two pages that cannot be touched. Code gets into it by a system call on its descriptor, so
//! that there is no writable mapping at any moment. What an image leaves behind is filled with
//! breakpoints and given to later images.
//!
//! An image is given back when the last [`Published`] of it is dropped. Whoever runs code
//! holds its program, so that no run, callback or timer can still be in it then.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::{Mutex, PoisonError};

/// Bytes of a run that has no image which needs more.
const RUN: usize = 256 << 10;
const PAGE: usize = 4096;
/// Images begin on a cache line.
const LINE: usize = 64;
/// A breakpoint.
const TRAP: u8 = 0xcc;

/// The runs of this process: like the heap, code memory belongs to nobody in particular.
static RUNS: Mutex<Vec<Run>> = Mutex::new(Vec::new());

/// Where code had best lie: near the code that calls it, because machines foresee calls of what
/// is far away later. At a distance, so that nothing is in the way there, and not at the same
/// one each time, so that one address does not tell of the other.
fn near() -> *mut libc::c_void {
    const DISTANCE: usize = 256 << 20;
    /// Pages that the place may be farther away.
    const PLACES: usize = 1 << 12;
    let own = near as *const () as usize & !(PAGE - 1);
    let chance = RandomState::new().build_hasher().finish() as usize % PLACES * PAGE;
    let place = match own.checked_sub(2 * DISTANCE) {
        Some(low) => low + DISTANCE - chance,
        // Where there is too little room below.
        None => own + 4 * DISTANCE + chance,
    };
    std::ptr::without_provenance_mut(place)
}

/// Pages of code.
struct Run {
    fd: libc::c_int,
    /// The process that made it. A child of it shares the pages, and must not write them.
    owner: u32,
    /// The executable mapping, behind its first guard page.
    start: usize,
    len: usize,
    /// How far it was ever used.
    fresh: usize,
    /// Stretches that were given back, ascending and not touching: offset and length.
    free: Vec<(usize, usize)>,
}

impl Run {
    /// Maps an empty run with room for `len` bytes.
    fn new(len: usize) -> io::Result<Run> {
        let len = len.max(1).next_multiple_of(PAGE).max(RUN);
        let whole = len + 2 * PAGE;
        // SAFETY: the name is a C string; the call takes no other memory.
        let fd = unsafe { libc::memfd_create(c"skep-code".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is ours.
        let sized = unsafe { libc::ftruncate(fd, len as libc::off_t) };
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping that overlaps nothing: the address is a wish.
        let reserved = unsafe { libc::mmap(near(), whole, libc::PROT_NONE, flags, -1, 0) };
        if sized != 0 || reserved == libc::MAP_FAILED {
            let error = io::Error::last_os_error();
            // SAFETY: the descriptor is ours and not used again.
            unsafe { libc::close(fd) };
            return Err(error);
        }
        let start = reserved as usize + PAGE;
        let prot = libc::PROT_READ | libc::PROT_EXEC;
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        // SAFETY: the range is the inside of the reservation made above, which is ours.
        let mapped = unsafe { libc::mmap(start as *mut libc::c_void, len, prot, flags, fd, 0) };
        if mapped == libc::MAP_FAILED {
            let error = io::Error::last_os_error();
            // SAFETY: as above; the reservation is ours, too.
            unsafe {
                libc::munmap(reserved, whole);
                libc::close(fd);
            }
            return Err(error);
        }
        Ok(Run {
            fd,
            owner: std::process::id(),
            start,
            len,
            fresh: 0,
            free: Vec::new(),
        })
    }

    /// Takes a stretch that nothing was ever in, or else the first one that is long enough;
    /// tells which.
    fn take(&mut self, len: usize) -> Option<(usize, bool)> {
        if self.len - self.fresh >= len {
            self.fresh += len;
            return Some((self.fresh - len, false));
        }
        let at = self.free.iter().position(|(_, room)| *room >= len)?;
        let (offset, room) = self.free[at];
        if room == len {
            self.free.remove(at);
        } else {
            self.free[at] = (offset + len, room - len);
        }
        Some((offset, true))
    }

    fn give(&mut self, offset: usize, len: usize) {
        let at = self.free.partition_point(|(start, _)| *start < offset);
        self.free.insert(at, (offset, len));
        if let Some((next, more)) = self.free.get(at + 1).copied()
            && offset + len == next
        {
            self.free[at].1 += more;
            self.free.remove(at + 1);
        }
        if let Some(before) = at.checked_sub(1)
            && self.free[before].0 + self.free[before].1 == self.free[at].0
        {
            self.free[before].1 += self.free[at].1;
            self.free.remove(at);
        }
    }

    /// Whether nothing is in use.
    fn is_empty(&self) -> bool {
        self.free.iter().map(|(_, len)| len).sum::<usize>() == self.fresh
    }

    fn write(&self, mut offset: usize, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // SAFETY: the descriptor is ours, and the buffer as long as is said.
            let done = unsafe {
                libc::pwrite(
                    self.fd,
                    bytes.as_ptr().cast(),
                    bytes.len(),
                    offset as libc::off_t,
                )
            };
            match usize::try_from(done) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(done) => {
                    offset += done;
                    bytes = bytes.get(done..).unwrap_or_default();
                }
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // SAFETY: the mapping with its guard pages is ours, and all images in it were given
        // back: only a run that is wholly free is dropped.
        unsafe {
            libc::munmap(
                (self.start - PAGE) as *mut libc::c_void,
                self.len + 2 * PAGE,
            );
            libc::close(self.fd);
        }
    }
}

/// Makes every processor of this process forget what it fetched from reused places.
fn forget_fetched() {
    const REGISTER: libc::c_int = 1 << 6;
    const SYNC: libc::c_int = 1 << 5;
    // SAFETY: the call takes no memory. Where it is refused, the jump to new code through a
    // lock that this thread took orders the fetches on x86-64 as well.
    unsafe {
        if libc::syscall(libc::SYS_membarrier, SYNC, 0, 0) != 0 {
            libc::syscall(libc::SYS_membarrier, REGISTER, 0, 0);
            libc::syscall(libc::SYS_membarrier, SYNC, 0, 0);
        }
    }
}

/// Bytes of code that can run, as long as it lives.
#[derive(Debug)]
pub(crate) struct Published {
    start: usize,
    len: usize,
    code: usize,
}

impl Published {
    /// Puts code where it can run.
    ///
    /// Errors: what the system says when it gives no memory or forbids code.
    pub(crate) fn new(code: &[u8]) -> io::Result<Published> {
        let len = code.len().max(1).next_multiple_of(LINE);
        let mut padded = Vec::with_capacity(len);
        padded.extend_from_slice(code);
        padded.resize(len, TRAP);
        let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
        let found = runs
            .iter_mut()
            .enumerate()
            .filter(|(_, run)| run.owner == std::process::id())
            .find_map(|(at, run)| Some((at, run.take(len)?)));
        let (at, (offset, reused)) = match found {
            Some(found) => found,
            None => {
                let mut run = Run::new(len)?;
                let place = run.take(len).ok_or(io::ErrorKind::OutOfMemory)?;
                runs.push(run);
                (runs.len() - 1, place)
            }
        };
        let run = &mut runs[at];
        if let Err(error) = run.write(offset, &padded) {
            run.give(offset, len);
            return Err(error);
        }
        if reused {
            forget_fetched();
        }
        Ok(Published {
            start: run.start + offset,
            len,
            code: code.len(),
        })
    }

    /// The address of the byte at `offset`.
    pub(crate) fn at(&self, offset: usize) -> *const u8 {
        std::ptr::with_exposed_provenance::<u8>(self.start).wrapping_add(offset)
    }

    /// The code as it was published.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `code` bytes from `start` were written, and stay mapped and unchanged as
        // long as `self` lives.
        unsafe { std::slice::from_raw_parts(self.at(0), self.code) }
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = |run: &Run| self.start >= run.start && self.start < run.start + run.len;
        let Some(at) = runs.iter().position(inside) else {
            return;
        };
        let run = &mut runs[at];
        if run.owner != std::process::id() {
            return;
        }
        let offset = self.start - run.start;
        // Bytes that could not be overwritten are not handed out again.
        if run.write(offset, &vec![TRAP; self.len]).is_ok() {
            run.give(offset, self.len);
        }
        // One empty run is kept for what comes next.
        if runs.len() > 1 && runs[at].is_empty() {
            runs.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of this process's map of memory that show the pages around an address.
    fn maps(address: usize) -> Vec<String> {
        let text = std::fs::read_to_string("/proc/self/maps").expect("a map of memory");
        let near = |line: &&str| {
            let (range, _) = line.split_once(' ')?;
            let (start, end) = range.split_once('-')?;
            let start = usize::from_str_radix(start, 16).ok()?;
            let end = usize::from_str_radix(end, 16).ok()?;
            (start <= address && address < end).then_some(())
        };
        let lines = text.lines().filter(|line| near(line).is_some());
        lines.map(str::to_string).collect()
    }

    #[test]
    fn images_share_pages_that_nobody_can_write() {
        let images: Vec<Published> = (0..20u8)
            .map(|n| Published::new(&[n; 100]).expect("memory"))
            .collect();
        for (n, image) in images.iter().enumerate() {
            assert_eq!(image.bytes(), [n as u8; 100]);
            assert!(image.start.is_multiple_of(LINE));
            let shown = maps(image.start);
            assert!(
                shown.iter().all(|line| line.contains(" r-xs ")),
                "{shown:?}"
            );
        }
        let runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
        for run in runs.iter() {
            for guard in [run.start - 1, run.start + run.len] {
                let shown = maps(guard);
                assert!(
                    shown.iter().all(|line| line.contains(" ---p ")),
                    "{shown:?}"
                );
            }
        }
        assert!(runs.len() < images.len());
    }

    #[test]
    fn stretches_join_again() {
        let mut run = Run::new(1).expect("memory");
        let quarter = run.len / 4;
        let places: Vec<_> = (0..4).filter_map(|_| run.take(quarter)).collect();
        assert_eq!(places, [0, 1, 2, 3].map(|n| (n * quarter, false)));
        for place in [1, 3, 0, 2] {
            assert!(!run.is_empty());
            run.give(place * quarter, quarter);
        }
        assert!(run.is_empty());
        assert_eq!(run.free, [(0, run.len)]);
        assert_eq!(run.take(run.len + 1), None);
        assert_eq!(run.take(64), Some((0, true)));
        let large = Published::new(&vec![0x90; RUN + 1]).expect("memory");
        assert_eq!(large.bytes().len(), RUN + 1);
    }
}

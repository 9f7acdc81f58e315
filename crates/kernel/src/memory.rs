//! Memory that programs reach by native address: contexts and packets; and the promises
//! that the interpreter needs. The only place of this crate with `unsafe`.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::{with_exposed_provenance, with_exposed_provenance_mut};
use std::sync::Arc;

use skep_abi::Errno;
use skep_catalog::helper_id;
use skep_vm::world::{Clock, World};
use skep_vm::{Grants, Mode, Pager, Pages, Trust};

use crate::run::host::RunHost;

/// A block of zeroed bytes at a stable address, aligned to 64.
///
/// No reference to its bytes is ever made: a program writes to them by address while the
/// block is shared, so this side only copies.
pub(crate) struct Block {
    addr: u64,
    layout: Layout,
}

impl Block {
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn new(len: usize) -> Result<Block, Errno> {
        let layout = Layout::from_size_align(len.max(64), 64).map_err(|_| Errno::ENOMEM)?;
        // SAFETY: the layout is not of size zero.
        let start = unsafe { alloc_zeroed(layout) };
        if start.is_null() {
            return Err(Errno::ENOMEM);
        }
        Ok(Block {
            addr: start.expose_provenance() as u64,
            layout,
        })
    }

    /// The address of the byte at `offset`.
    #[inline]
    pub(crate) fn at(&self, offset: usize) -> u64 {
        self.addr.wrapping_add(offset as u64)
    }

    pub(crate) fn len(&self) -> usize {
        self.layout.size()
    }

    /// Copies bytes out; those beyond the end stay as they are in `out`.
    pub(crate) fn read(&self, offset: usize, out: &mut [u8]) {
        let len = out.len().min(self.len().saturating_sub(offset));
        // SAFETY: `len` bytes from `offset` on lie in the block, which lives as long as
        // `self`; `out` is a buffer of ours and no part of it.
        unsafe {
            let from = with_exposed_provenance::<u8>(self.at(offset) as usize);
            from.copy_to_nonoverlapping(out.as_mut_ptr(), len);
        }
    }

    /// Copies bytes in, as far as they fit.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        let len = bytes.len().min(self.len().saturating_sub(offset));
        // SAFETY: as in `read`. The program whose memory this is does not run meanwhile: it
        // waits in a helper, or has not begun, or has ended.
        unsafe {
            let to = with_exposed_provenance_mut::<u8>(self.at(offset) as usize);
            to.copy_from_nonoverlapping(bytes.as_ptr(), len);
        }
    }

    /// Copies `len` bytes from one place of the block to another; they may overlap.
    pub(crate) fn shift(&self, from: usize, to: usize, len: usize) {
        let len = len.min(self.len().saturating_sub(from.max(to)));
        // SAFETY: both ranges lie in the block; see `write`.
        unsafe {
            let source = with_exposed_provenance::<u8>(self.at(from) as usize);
            let target = with_exposed_provenance_mut::<u8>(self.at(to) as usize);
            source.copy_to(target, len);
        }
    }

    pub(crate) fn bytes(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut out = vec![0; len.min(self.len().saturating_sub(offset))];
        self.read(offset, &mut out);
        out
    }

    pub(crate) fn u32(&self, offset: usize) -> u32 {
        let mut raw = [0; 4];
        self.read(offset, &mut raw);
        u32::from_ne_bytes(raw)
    }

    pub(crate) fn u64(&self, offset: usize) -> u64 {
        let mut raw = [0; 8];
        self.read(offset, &mut raw);
        u64::from_ne_bytes(raw)
    }

    /// The aligned word at an offset, for locks: programs never touch it themselves.
    pub(crate) fn word32(&self, offset: usize) -> Option<&std::sync::atomic::AtomicU32> {
        if !offset.is_multiple_of(4) || offset.checked_add(4)? > self.len() {
            return None;
        }
        // SAFETY: the word lies in the block, which lives as long as `self`; it is aligned,
        // initialised, and only accessed atomically or by copies that race with nothing else.
        Some(unsafe { &*(self.at(offset) as *const std::sync::atomic::AtomicU32) })
    }

    pub(crate) fn set_u32(&self, offset: usize, value: u32) {
        self.write(offset, &value.to_ne_bytes());
    }

    pub(crate) fn set_u64(&self, offset: usize, value: u64) {
        self.write(offset, &value.to_ne_bytes());
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the address came from `alloc_zeroed` with this layout.
        unsafe { dealloc(with_exposed_provenance_mut(self.addr as usize), self.layout) }
    }
}

// SAFETY: `is_granted` answers true for the present context and packet blocks, which the
// host owns until the run ends or one of its own helpers replaces them; for values and
// records of maps that the host keeps alive, at places that hold nothing but values; and for
// memory that a helper lent for this run. All of it takes plain accesses.
unsafe impl Grants for RunHost<'_> {
    fn granted(&self, addr: u64, len: u64, write: bool) -> bool {
        self.is_granted(addr, len, write)
    }
}

/// The pages of an arena, for programs whose accesses fault.
struct ArenaPages(Arc<skep_maps::Arena>);

// SAFETY: the arena answers without a lock or memory of its own, by calls of the system that a
// handler may make. Where it answers true, it has let the page be read and written.
unsafe impl Pages for ArenaPages {
    fn fetch(&self, addr: u64) -> bool {
        self.0.fetch(addr)
    }

    fn miss(&self, addr: u64, write: bool) {
        self.0.miss(addr, write);
    }
}

/// Lets programs find pages of an arena that were touched outside, as long as the answer lives.
pub(crate) fn pager(arena: &Arc<skep_maps::Arena>) -> Pager {
    let (start, len) = arena.range();
    Pager::new(start, len, Arc::new(ArenaPages(arena.clone())))
}

/// A function that native code calls in the place of a helper that asks the world. What it
/// gets first is the address of the program's own reference to it.
type Asked = unsafe extern "C" fn(*const Arc<dyn World>) -> u64;

/// The function for a helper that asks the world and nothing else.
pub(crate) fn ask_world(helper: u32, world: &Arc<dyn World>) -> Option<skep_jit::Direct> {
    let code: Asked = match helper {
        helper_id::KTIME_GET_NS => now::<0>,
        helper_id::KTIME_GET_BOOT_NS => now::<1>,
        helper_id::KTIME_GET_TAI_NS => now::<2>,
        helper_id::GET_PRANDOM_U32 => random,
        helper_id::GET_CURRENT_PID_TGID => pid_tgid,
        helper_id::GET_CURRENT_UID_GID => uid_gid,
        _ => return None,
    };
    Some(skep_jit::Direct {
        function: code as usize as u64,
        object: std::ptr::from_ref(world) as u64,
    })
}

// SAFETY: of all of these, the address is the one that `ask_world` gave, where the program
// that calls keeps the reference as long as it lives.
unsafe extern "C" fn now<const CLOCK: u8>(world: *const Arc<dyn World>) -> u64 {
    let clock = match CLOCK {
        0 => Clock::Monotonic,
        1 => Clock::Boot,
        _ => Clock::Tai,
    };
    // SAFETY: see above.
    unsafe { &*world }.now_ns(clock)
}

unsafe extern "C" fn random(world: *const Arc<dyn World>) -> u64 {
    // SAFETY: see above.
    unsafe { &*world }.random_u32().into()
}

unsafe extern "C" fn pid_tgid(world: *const Arc<dyn World>) -> u64 {
    // SAFETY: see above.
    let task = unsafe { &*world }.task();
    u64::from(task.tgid) << 32 | u64::from(task.pid)
}

unsafe extern "C" fn uid_gid(world: *const Arc<dyn World>) -> u64 {
    // SAFETY: see above.
    let task = unsafe { &*world }.task();
    u64::from(task.gid) << 32 | u64::from(task.uid)
}

/// How an accepted program runs.
pub(crate) fn trusting() -> Mode {
    // SAFETY: this kernel only links executables that its own verifier produced, and its
    // contexts, map values and helper results are those that the verifier assumes: contexts
    // by the layouts of the catalog, values and records at stable addresses of maps that the
    // run keeps alive.
    Mode::Trusting(unsafe { Trust::promise() })
}

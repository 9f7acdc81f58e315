//! The only place where a number becomes memory: accesses of programs, and their stacks.
//!
//! An access is either *trusted* (the verifier proved it, and somebody promised with
//! [`Trust`] that only such programs run) or *checked* against the live stack and what the
//! host granted ([`Grants`]). Accesses are plain machine loads and stores: where a program
//! races with another thread on a map value it sees what the hardware gives, as on Linux.

mod attempt;
mod code;
mod fault;
mod number;
mod registry;

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::mem::MaybeUninit;
use std::ptr::{with_exposed_provenance, with_exposed_provenance_mut};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use skep_isa::AtomicOp;

use crate::host::Host;
use number::Number;

pub(crate) use attempt::can_attempt;
pub(crate) use code::{At, Code};
pub use fault::{Forgiven, Pager, Pages, Recovery};

/// Bytes of stack that each frame owns, below its r10.
pub const FRAME_BYTES: u64 = 512;

/// Frames that one virtual CPU can hold: eight for each program of a full chain of tail calls.
pub(crate) const MAX_FRAMES: u32 = 8 * 34;

/// The promise that every program run in trusting mode was accepted by the verifier.
#[derive(Clone, Copy, Debug)]
pub struct Trust(());

impl Trust {
    /// Makes the promise.
    ///
    /// # Safety
    /// Every program that is run with it is linked from an executable that the verifier
    /// produced, with a host whose contexts, map values and helper results are what the
    /// verifier assumed and stay valid for as long as a run can reach them. Native code given
    /// to a program ([`Program::with_native`](crate::Program::with_native)) was compiled from
    /// the same executable with the same linker.
    pub unsafe fn promise() -> Trust {
        Trust(())
    }
}

/// Where the machine's stack ends at this moment: frames of what is called from here lie below.
///
/// A sanitizer keeps variables elsewhere, so that the address of one says nothing.
#[inline(always)]
pub fn stack_pointer() -> u64 {
    let at: u64;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: copies a register.
    unsafe {
        std::arch::asm!("mov {}, rsp", out(reg) at, options(nomem, nostack, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: copies a register.
    unsafe {
        std::arch::asm!("mov {}, sp", out(reg) at, options(nomem, nostack, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        // There is no native code.
        at = 0;
    }
    at
}

/// How native code is called.
#[cfg(target_arch = "x86_64")]
type LeafCode = unsafe extern "sysv64" fn(u64, Any, Any, Any, Any, *const LeafState) -> u64;
/// Nothing is ever compiled here.
#[cfg(not(target_arch = "x86_64"))]
type LeafCode = unsafe extern "C" fn(u64, Any, Any, Any, Any, *const LeafState) -> u64;

/// r2 to r5, which no entry function reads: whatever is there.
type Any = MaybeUninit<u64>;

/// All that such code is told besides its context.
#[repr(C)]
struct LeafState {
    /// What other code keeps here.
    unused: MaybeUninit<[u32; 3]>,
    cpu: u32,
}

/// Native code that can only end by returning: it needs a context and the CPU's number.
#[derive(Clone, Copy, Debug)]
pub struct Leaf(LeafCode);

impl Leaf {
    /// Where the code finds the CPU's number, from what its sixth argument points at.
    pub const CPU_AT: usize = std::mem::offset_of!(LeafState, cpu);

    /// Takes code by its address.
    ///
    /// # Safety
    /// At `code` there is a function of the native calling convention (on x86-64, that of
    /// System V) with six arguments: r1 to r5, and the address of a block of which it reads
    /// nothing but the four bytes at [`CPU_AT`](Self::CPU_AT). It is made from a program that
    /// the promise of [`Trust`] covers, and stays as long as the [`Native`](crate::Native)
    /// that gave it.
    pub unsafe fn new(code: *const u8) -> Leaf {
        // SAFETY: the contract of this function.
        Leaf(unsafe { std::mem::transmute::<*const u8, LeafCode>(code) })
    }

    /// Runs it. The program it belongs to must be borrowed meanwhile.
    #[inline(always)]
    pub(crate) fn call(self, _: Trust, _: &crate::Program, ctx: u64, cpu: u32) -> u64 {
        let state = LeafState {
            unused: MaybeUninit::uninit(),
            cpu,
        };
        // SAFETY: the contract of `new`; the program keeps the code, and its verifier lets the
        // entry function read r1 only.
        unsafe {
            let any = Any::uninit();
            (self.0)(ctx, any, any, any, any, &raw const state)
        }
    }
}

/// What a checked program may touch besides its stack.
///
/// # Safety
/// Where [`granted`](Self::granted) answers true, the bytes may be read (and, with `write`,
/// written) by plain accesses at any moment until the program that asked ends or the host
/// withdraws the grant inside one of its own calls.
pub unsafe trait Grants {
    /// Whether `len` bytes at `addr` are context, packet, map value or memory that a helper
    /// returned.
    fn granted(&self, addr: u64, len: u64, write: bool) -> bool;
}

/// An access that is not allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Denied {
    pub addr: u64,
    pub len: u64,
    pub write: bool,
}

/// As much memory as all frames need, a frame beginning on a cache line.
#[repr(align(64))]
#[allow(dead_code)]
struct Frames([[u8; FRAME_BYTES as usize]; MAX_FRAMES as usize]);

/// The stack memory of one virtual CPU.
#[derive(Debug)]
pub(crate) struct Stack {
    base: u64,
}

impl Stack {
    const LAYOUT: Layout = Layout::new::<Frames>();

    pub(crate) fn new() -> Stack {
        // SAFETY: the layout is not of size zero.
        let memory = unsafe { alloc_zeroed(Self::LAYOUT) };
        if memory.is_null() {
            handle_alloc_error(Self::LAYOUT);
        }
        Stack {
            base: memory.expose_provenance() as u64,
        }
    }

    /// The r10 of a frame, the first being 1: one past its highest byte.
    pub(crate) fn top(&self, frame: u32) -> u64 {
        self.base + u64::from(frame.min(MAX_FRAMES)) * FRAME_BYTES
    }

    /// Whether the bytes lie in the frames up to `frame`.
    pub(crate) fn covers(&self, frame: u32, addr: u64, len: u64) -> bool {
        addr >= self.base
            && addr
                .checked_add(len)
                .is_some_and(|end| end <= self.top(frame))
    }

    /// The word at an address of the frames up to `frame`.
    pub(crate) fn word(&self, frame: u32, addr: u64) -> Option<u64> {
        if !self.covers(frame, addr, 8) {
            return None;
        }
        // SAFETY: the bytes lie in the allocation, which lives as long as `self` and was
        // exposed; every bit pattern is a word; unaligned reads are allowed.
        Some(unsafe { with_exposed_provenance::<u64>(addr as usize).read_unaligned() })
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: `base` came from `alloc_zeroed` with the same layout and is freed once.
        unsafe {
            dealloc(
                with_exposed_provenance_mut(self.base as usize),
                Self::LAYOUT,
            )
        }
    }
}

/// How accesses are allowed; the two ways are compiled separately.
pub(crate) trait Access: Copy {
    /// Whether anything is checked.
    const CHECKED: bool;

    /// Allows an access or denies it. `Ok` means that the bytes may be accessed so now.
    fn permit(
        self,
        host: &dyn Host,
        stack: &Stack,
        frame: u32,
        addr: u64,
        len: u64,
        write: bool,
    ) -> Result<(), Denied>;

    /// Reads a number.
    #[inline(always)]
    fn load<T: Number>(
        self,
        host: &dyn Host,
        stack: &Stack,
        frame: u32,
        addr: u64,
    ) -> Result<u64, Denied> {
        self.permit(host, stack, frame, addr, size_of::<T>() as u64, false)?;
        // SAFETY: `permit` allowed the read.
        Ok(unsafe { T::read(addr) })
    }

    /// Reads a number where it may be that nothing can be read; that is `otherwise` then.
    ///
    /// With checks, only what may be read at all is looked at.
    fn attempt_load(
        self,
        at: (&dyn Host, &Stack, u32),
        addr: u64,
        size: u32,
        otherwise: u64,
    ) -> u64 {
        let (host, stack, frame) = at;
        match self.permit(host, stack, frame, addr, size.into(), false) {
            Ok(()) => attempt::load(addr, size, otherwise),
            Err(_) => otherwise,
        }
    }

    /// Writes a number where it may be that nothing can be written.
    fn attempt_store(self, at: (&dyn Host, &Stack, u32), addr: u64, size: u32, value: u64) {
        let (host, stack, frame) = at;
        if self
            .permit(host, stack, frame, addr, size.into(), true)
            .is_ok()
        {
            attempt::store(addr, size, value);
        }
    }

    /// Changes memory in one step where there may be none, and gives what the register holds
    /// then that gets the old value.
    fn attempt_atomic(self, at: (&dyn Host, &Stack, u32), addr: u64, change: Change) -> u64 {
        let (host, stack, frame) = at;
        let len = if change.wide { 8 } else { 4 };
        match self.permit(host, stack, frame, addr, len, true) {
            Ok(()) => attempt::atomic(addr, change),
            Err(_) => {
                let kept = match change.op {
                    AtomicOp::Cmpxchg => change.expected,
                    _ => change.operand,
                };
                if change.wide {
                    kept
                } else {
                    kept & 0xffff_ffff
                }
            }
        }
    }

    /// Writes the low bits of a register.
    #[inline(always)]
    fn store<T: Number>(
        self,
        host: &dyn Host,
        stack: &Stack,
        frame: u32,
        addr: u64,
        value: u64,
    ) -> Result<(), Denied> {
        self.permit(host, stack, frame, addr, size_of::<T>() as u64, true)?;
        // SAFETY: `permit` allowed the write.
        unsafe { T::write(addr, value) };
        Ok(())
    }

    /// Changes four or eight aligned bytes in one step and gives the old value.
    fn atomic(
        self,
        host: &dyn Host,
        stack: &Stack,
        frame: u32,
        addr: u64,
        change: Change,
    ) -> Result<u64, Denied> {
        let len = if change.wide { 8 } else { 4 };
        let denied = Denied {
            addr,
            len,
            write: true,
        };
        self.permit(host, stack, frame, addr, len, true)?;
        if !addr.is_multiple_of(len) {
            return Err(denied);
        }
        let Change {
            op,
            operand,
            expected,
            ..
        } = change;
        if change.wide {
            // SAFETY: `permit` allowed the write, the address is aligned, and the bytes stay
            // valid during this call. Every write of a program to them is as wide or plain.
            let cell = unsafe { AtomicU64::from_ptr(with_exposed_provenance_mut(addr as usize)) };
            Ok(match op {
                AtomicOp::Add => cell.fetch_add(operand, SeqCst),
                AtomicOp::Or => cell.fetch_or(operand, SeqCst),
                AtomicOp::And => cell.fetch_and(operand, SeqCst),
                AtomicOp::Xor => cell.fetch_xor(operand, SeqCst),
                AtomicOp::Xchg => cell.swap(operand, SeqCst),
                AtomicOp::Cmpxchg => {
                    let (Ok(old) | Err(old)) =
                        cell.compare_exchange(expected, operand, SeqCst, SeqCst);
                    old
                }
            })
        } else {
            let (operand, expected) = (operand as u32, expected as u32);
            // SAFETY: as above, for four bytes.
            let cell = unsafe { AtomicU32::from_ptr(with_exposed_provenance_mut(addr as usize)) };
            Ok(u64::from(match op {
                AtomicOp::Add => cell.fetch_add(operand, SeqCst),
                AtomicOp::Or => cell.fetch_or(operand, SeqCst),
                AtomicOp::And => cell.fetch_and(operand, SeqCst),
                AtomicOp::Xor => cell.fetch_xor(operand, SeqCst),
                AtomicOp::Xchg => cell.swap(operand, SeqCst),
                AtomicOp::Cmpxchg => {
                    let (Ok(old) | Err(old)) =
                        cell.compare_exchange(expected, operand, SeqCst, SeqCst);
                    old
                }
            }))
        }
    }

    /// Copies memory of the program out.
    fn read(
        self,
        host: &dyn Host,
        stack: &Stack,
        frame: u32,
        addr: u64,
        out: &mut [u8],
    ) -> Result<(), Denied> {
        if out.is_empty() {
            return Ok(());
        }
        self.permit(host, stack, frame, addr, out.len() as u64, false)?;
        let from = with_exposed_provenance::<u8>(addr as usize);
        // SAFETY: `permit` allowed the read of as many bytes. A host's own buffer is no
        // memory of the program, so the two do not overlap.
        unsafe { from.copy_to_nonoverlapping(out.as_mut_ptr(), out.len()) };
        Ok(())
    }

    /// Copies bytes into memory of the program.
    fn write(
        self,
        host: &dyn Host,
        stack: &Stack,
        frame: u32,
        addr: u64,
        bytes: &[u8],
    ) -> Result<(), Denied> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.permit(host, stack, frame, addr, bytes.len() as u64, true)?;
        let to = with_exposed_provenance_mut::<u8>(addr as usize);
        // SAFETY: as for `read`, with a write allowed.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }
}

/// What an atomic operation does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// Eight bytes rather than four.
    pub wide: bool,
    /// The operation.
    pub op: AtomicOp,
    /// The source register.
    pub operand: u64,
    /// r0, for compare-and-exchange.
    pub expected: u64,
}

impl Access for Trust {
    const CHECKED: bool = false;

    // The promise behind `Trust` is that the verifier proved every access.
    #[inline(always)]
    fn permit(
        self,
        _: &dyn Host,
        _: &Stack,
        _: u32,
        _: u64,
        _: u64,
        _: bool,
    ) -> Result<(), Denied> {
        Ok(())
    }
}

/// Accesses that must lie in the live stack or in granted memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked;

impl Access for Checked {
    const CHECKED: bool = true;

    fn permit(
        self,
        host: &dyn Host,
        stack: &Stack,
        frame: u32,
        addr: u64,
        len: u64,
        write: bool,
    ) -> Result<(), Denied> {
        if stack.covers(frame, addr, len) || host.granted(addr, len, write) {
            Ok(())
        } else {
            Err(Denied { addr, len, write })
        }
    }
}

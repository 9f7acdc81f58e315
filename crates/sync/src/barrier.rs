//! Barriers of which one side is cheap: readers only keep the compiler in order, writers make
//! every thread of the process pass a barrier (`membarrier(2)`).
//!
//! Where the system has no such call, both sides use a full fence.

use crate::prim::{Ordering, fence};

#[cfg(all(target_os = "linux", not(loom), not(miri)))]
mod system {
    use std::sync::OnceLock;

    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;

    fn call(command: libc::c_int) -> bool {
        // SAFETY: the call takes two numbers and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    /// Whether the system makes threads pass barriers.
    pub(super) fn available() -> bool {
        static REGISTERED: OnceLock<bool> = OnceLock::new();
        *REGISTERED.get_or_init(|| call(REGISTER_PRIVATE_EXPEDITED))
    }

    pub(super) fn all_threads() -> bool {
        call(PRIVATE_EXPEDITED)
    }
}

#[cfg(not(all(target_os = "linux", not(loom), not(miri))))]
mod system {
    pub(super) fn available() -> bool {
        false
    }

    pub(super) fn all_threads() -> bool {
        false
    }
}

/// Which fences the two sides use; the same for both, from the start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Barrier {
    asymmetric: bool,
}

impl Barrier {
    pub(crate) fn new() -> Barrier {
        Barrier {
            asymmetric: system::available(),
        }
    }

    /// The frequent side: what was stored before is seen by the other side, or what is loaded
    /// after sees what the other side stored before its barrier.
    #[inline]
    pub(crate) fn light(self) {
        if self.asymmetric {
            std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
    }

    /// The rare side.
    pub(crate) fn heavy(self) {
        fence(Ordering::SeqCst);
        // A registered process is never refused.
        let passed = !self.asymmetric || system::all_threads();
        debug_assert!(passed, "membarrier(2) was refused");
    }
}

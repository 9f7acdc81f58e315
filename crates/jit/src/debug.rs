//! How debuggers learn of native code: gdb's JIT interface.
//!
//! A debugger stops in `__jit_debug_register_code` and reads, from `__jit_debug_descriptor`, a
//! list of object files in memory. Each of ours says where an image lies, how its functions
//! are called, and which lines of the source they come from. The interface is described in gdb's manual ("JIT Compilation Interface").

mod dwarf;
mod object;

use std::sync::{Mutex, PoisonError};

pub use dwarf::SourceLine;
pub(crate) use object::{Described, object};

/// One object file of the list.
#[repr(C)]
struct Entry {
    next: *mut Entry,
    previous: *mut Entry,
    file: *const u8,
    size: u64,
}

/// What the debugger reads.
#[repr(C)]
struct Descriptor {
    version: u32,
    action: u32,
    relevant: *mut Entry,
    first: *mut Entry,
}

const REGISTERED: u32 = 1;
const UNREGISTERED: u32 = 2;

// Weak, so that a program with another compiler of this kind in it has one list for both.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
std::arch::global_asm!(
    ".pushsection .text.__jit_debug_register_code,\"ax\",@progbits",
    ".weak __jit_debug_register_code",
    ".type __jit_debug_register_code,@function",
    "__jit_debug_register_code:",
    "ret",
    ".size __jit_debug_register_code, 1",
    ".popsection",
    ".pushsection .data.__jit_debug_descriptor,\"aw\",@progbits",
    ".weak __jit_debug_descriptor",
    ".type __jit_debug_descriptor,@object",
    ".size __jit_debug_descriptor, 24",
    ".balign 8",
    "__jit_debug_descriptor:",
    ".long 1, 0",
    ".quad 0, 0",
    ".popsection",
);

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod names {
    use super::Descriptor;

    unsafe extern "C" {
        #[link_name = "__jit_debug_register_code"]
        pub(super) fn tell();
        #[link_name = "__jit_debug_descriptor"]
        pub(super) static mut DESCRIPTOR: Descriptor;
    }
}

// Elsewhere nothing runs that a debugger could be told of.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod names {
    use super::Descriptor;

    pub(super) unsafe fn tell() {}
    pub(super) static mut DESCRIPTOR: Descriptor = Descriptor {
        version: 1,
        action: 0,
        relevant: std::ptr::null_mut(),
        first: std::ptr::null_mut(),
    };
}

/// Held while the list is changed.
static LIST: Mutex<()> = Mutex::new(());

/// An object file that debuggers know, until it is dropped.
pub(crate) struct Announced {
    entry: *mut Entry,
    /// What the entry points at.
    _file: Box<[u8]>,
}

// SAFETY: the entry is only touched under the lock of the list.
unsafe impl Send for Announced {}
// SAFETY: as above.
unsafe impl Sync for Announced {}

impl Announced {
    /// Tells debuggers of an object file.
    pub(crate) fn new(file: Vec<u8>) -> Announced {
        let file = file.into_boxed_slice();
        let entry = Box::into_raw(Box::new(Entry {
            next: std::ptr::null_mut(),
            previous: std::ptr::null_mut(),
            file: file.as_ptr(),
            size: file.len() as u64,
        }));
        let _held = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        let list = &raw mut names::DESCRIPTOR;
        // SAFETY: the list is only changed under its lock; the entries on it live until they
        // are taken off in `drop`, and so does this one.
        unsafe {
            let first = (*list).first;
            (*entry).next = first;
            if !first.is_null() {
                (*first).previous = entry;
            }
            (*list).first = entry;
            (*list).relevant = entry;
            (*list).action = REGISTERED;
            names::tell();
        }
        Announced { entry, _file: file }
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        let _held = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        let list = &raw mut names::DESCRIPTOR;
        let entry = self.entry;
        // SAFETY: as in `new`; nobody else has the entry once it is off the list and the
        // debugger, which reads it while this thread is stopped, was told.
        unsafe {
            let Entry { next, previous, .. } = *entry;
            match previous.is_null() {
                true => (*list).first = next,
                false => (*previous).next = next,
            }
            if !next.is_null() {
                (*next).previous = previous;
            }
            (*list).relevant = entry;
            (*list).action = UNREGISTERED;
            names::tell();
            (*list).relevant = std::ptr::null_mut();
            drop(Box::from_raw(entry));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 0x7f00_1234_5000;

    fn listed() -> Vec<(usize, u64)> {
        let _held = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = Vec::new();
        // SAFETY: entries are changed under the lock only.
        unsafe {
            let list = &raw const names::DESCRIPTOR;
            let mut at = (*list).first;
            while !at.is_null() {
                out.push(((*at).file.addr(), (*at).size));
                at = (*at).next;
            }
        }
        out
    }

    #[test]
    fn the_list_follows_what_lives() {
        let announce = |len| {
            Announced::new(object(&Described {
                address: AT,
                len,
                functions: &[],
                lines: &[],
            }))
        };
        let (a, b, c) = (announce(1), announce(2), announce(3));
        let of = |one: &Announced| (one._file.as_ptr().addr(), one._file.len() as u64);
        let (of_a, of_b, of_c) = (of(&a), of(&b), of(&c));
        let known = |one| listed().contains(&one);
        assert!(known(of_a) && known(of_b) && known(of_c));
        drop(b);
        assert!(known(of_a) && !known(of_b) && known(of_c));
        drop(a);
        drop(c);
        assert!(!known(of_a) && !known(of_c));
    }
}

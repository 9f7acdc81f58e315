//! How debuggers learn of native code: gdb's JIT interface.
//!
//! A debugger stops in `__jit_debug_register_code` and reads, from `__jit_debug_descriptor`, a
//! list of object files in memory. Each of ours says where an image lies and how its functions
//! are called. The interface is described in gdb's manual ("JIT Compilation Interface").

use std::sync::{Mutex, PoisonError};

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

/// A function of an image: where it begins, how long it is, and its name.
pub(crate) type Named<'a> = (usize, usize, &'a str);

/// An object file that has no bytes of code but says where they are, with a symbol for each
/// function.
///
/// ```text
/// header | sections: null, .text (at its address, not in the file), .symtab, .strtab | symbols | names
/// ```
pub(crate) fn object(address: u64, len: usize, functions: &[Named<'_>]) -> Vec<u8> {
    const HEADER: u64 = 64;
    const SECTIONS: u64 = 4;
    const SYMBOL: u64 = 24;
    let mut names = b"\0.text\0.symtab\0.strtab\0".to_vec();
    let mut symbols = vec![0u8; SYMBOL as usize];
    for &(start, size, name) in functions {
        // A global function in section 1.
        symbols.extend((names.len() as u32).to_le_bytes());
        symbols.extend([0x12, 0, 1, 0]);
        symbols.extend((start as u64).to_le_bytes());
        symbols.extend((size as u64).to_le_bytes());
        names.extend(name.bytes().filter(|b| *b != 0));
        names.push(0);
    }
    let symbols_at = HEADER + SECTIONS * HEADER;
    let names_at = symbols_at + symbols.len() as u64;
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    // A relocatable file for x86-64, of version 1.
    out.extend([1, 0, 62, 0, 1, 0, 0, 0]);
    for word in [0, 0, HEADER] {
        out.extend(word.to_le_bytes());
    }
    out.extend([0; 4]);
    for half in [HEADER as u16, 0, 0, HEADER as u16, SECTIONS as u16, 3] {
        out.extend(half.to_le_bytes());
    }
    const NOTHING: u32 = 8;
    let table = [
        // name, type, flags, address, offset, size, link, info, alignment, entry size
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        (1, NOTHING, 6, address, symbols_at, len as u64, 0, 0, 16, 0),
        (
            7,
            2,
            0,
            0,
            symbols_at,
            symbols.len() as u64,
            3,
            1,
            8,
            SYMBOL,
        ),
        (15, 3, 0, 0, names_at, names.len() as u64, 0, 0, 1, 0),
    ];
    for (name, kind, flags, at, offset, size, link, info, align, entry) in table {
        let (name, kind, link, info): (u32, u32, u32, u32) = (name, kind, link, info);
        out.extend([name, kind].map(u32::to_le_bytes).concat());
        let words: [u64; 4] = [flags, at, offset, size];
        out.extend(words.map(u64::to_le_bytes).concat());
        out.extend([link, info].map(u32::to_le_bytes).concat());
        out.extend([align, entry].map(u64::to_le_bytes).concat());
    }
    out.extend(symbols);
    out.extend(names);
    out
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
    fn objects_say_where_functions_are() {
        let functions = [(0, 32, "bpf_prog_01_main"), (32, 68, "bpf_prog_01_sub")];
        let mut file = object(AT, 100, &functions);
        assert_eq!(file[18..20], [62, 0], "the machine is x86-64");
        // Our reader takes objects of BPF, or of no machine.
        file[18] = 0;
        let read = skep_elf::ObjectFile::parse(&file).expect("an object file");
        let text = read.section_by_name(".text").expect("code");
        assert_eq!(text.size, 100);
        // The address of the second section, which is nothing to the linker of objects.
        assert_eq!(file[144..152], AT.to_le_bytes());
        assert!(text.data.is_empty() && text.flags.exec() && text.flags.alloc());
        let symbols: Vec<_> = read.symbols().iter().skip(1).collect();
        assert_eq!(symbols.len(), functions.len());
        for (symbol, (start, size, name)) in symbols.iter().zip(functions) {
            assert_eq!(symbol.name, name);
            assert_eq!((symbol.value, symbol.size), (start as u64, size as u64));
            assert_eq!(symbol.section(), Some(text.index));
            assert!(symbol.is_global());
        }
    }

    #[test]
    fn the_list_follows_what_lives() {
        let announce = |len| Announced::new(object(AT, len, &[]));
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

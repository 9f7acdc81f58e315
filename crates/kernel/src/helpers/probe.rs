//! Helpers that read memory at addresses a program found somewhere. Only what the run owns
//! can be read; every other address faults.

use skep_abi::Errno;
use skep_catalog::helper_id as id;

use super::{Call, Done, Kfuncs, Rows, dynptr, err, int, ok};

pub(super) const ROWS: Rows = &[
    (id::PROBE_READ, read),
    (id::PROBE_READ_KERNEL, read),
    (id::PROBE_READ_USER, fault),
    (id::COPY_FROM_USER, fault),
    (id::PROBE_READ_STR, read_str),
    (id::PROBE_READ_KERNEL_STR, read_str),
    (id::PROBE_READ_USER_STR, fault),
];

pub(super) const KFUNCS: Kfuncs = &[
    ("bpf_copy_from_user_str", |c| {
        // The last argument may ask for zeros behind the end; a fault leaves zeros anyway.
        let len = u64::from(c.arg32(1));
        if c.arg(3) & !1 != 0 {
            return int(-Errno::EINVAL.0);
        }
        if len == 0 {
            return int(0);
        }
        c.zero(c.arg(0), len)?;
        int(-Errno::EFAULT.0)
    }),
    ("bpf_probe_read_kernel_dynptr", |c| {
        into_dynptr(c, From::Kernel)
    }),
    ("bpf_probe_read_kernel_str_dynptr", |c| {
        into_dynptr(c, From::KernelText)
    }),
    ("bpf_probe_read_user_dynptr", |c| into_dynptr(c, From::User)),
    ("bpf_probe_read_user_str_dynptr", |c| {
        into_dynptr(c, From::User)
    }),
    ("bpf_copy_from_user_dynptr", |c| into_dynptr(c, From::User)),
    ("bpf_copy_from_user_str_dynptr", |c| {
        into_dynptr(c, From::User)
    }),
    // Of an address that may be any number, only what the run owns is there.
    ("bpf_get_kmem_cache", |_| ok(0)),
];

fn read(c: &mut Call<'_, '_, '_>) -> Done {
    let (to, len, from) = (c.arg(0), u64::from(c.arg32(1)), c.arg(2));
    if len == 0 {
        return ok(0);
    }
    if !c.reaches(from, len) {
        return refuse(c, from);
    }
    let bytes = c.read(from, len)?;
    c.write(to, &bytes)?;
    ok(0)
}

/// Where bytes for a dynptr come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Kernel,
    KernelText,
    /// No task of this kernel has memory of its own.
    User,
}

/// Copies bytes from an address that may be any number to a place behind a dynptr.
fn into_dynptr(c: &mut Call<'_, '_, '_>, from: From) -> Done {
    let (offset, size, source) = (u64::from(c.arg32(1)), u64::from(c.arg32(2)), c.arg(3));
    let to = dynptr::load(c, c.arg(0))?;
    if let Err(errno) = to.check(offset, size) {
        return int(-errno.0);
    }
    if size == 0 {
        return int(0);
    }
    if to.read_only() {
        return int(-Errno::EINVAL.0);
    }
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < size {
        let at = source.wrapping_add(bytes.len() as u64);
        if from == From::User || !c.reaches(at, 1) {
            let low = from != From::User && at < KERNEL_START;
            return int(if low {
                -Errno::ERANGE.0
            } else {
                -Errno::EFAULT.0
            });
        }
        let last = bytes.len() as u64 + 1 == size;
        let byte = match from {
            From::KernelText if last => vec![0],
            _ => c.read(at, 1)?,
        };
        bytes.extend_from_slice(&byte);
        if from == From::KernelText && byte == [0] {
            break;
        }
    }
    if let Err(errno) = c.set_dynptr_bytes(&to, offset, &bytes)? {
        return int(-errno.0);
    }
    int(match from {
        From::KernelText => bytes.len() as i32,
        _ => 0,
    })
}

/// Where the kernel's own memory begins.
const KERNEL_START: u64 = 0xffff_8000_0000_0000;

/// What a read of kernel memory at an address of nobody answers.
fn refuse(c: &mut Call<'_, '_, '_>, addr: u64) -> Done {
    c.zero(c.arg(0), u64::from(c.arg32(1)))?;
    err(if addr < KERNEL_START {
        Errno::ERANGE
    } else {
        Errno::EFAULT
    })
}

/// No task of this kernel has memory of its own, so user addresses always fault.
fn fault(c: &mut Call<'_, '_, '_>) -> Done {
    let len = u64::from(c.arg32(1));
    c.zero(c.arg(0), len)?;
    if len == 0 { ok(0) } else { err(Errno::EFAULT) }
}

fn read_str(c: &mut Call<'_, '_, '_>) -> Done {
    let (to, room, from) = (c.arg(0), u64::from(c.arg32(1)), c.arg(2));
    if room == 0 {
        return ok(0);
    }
    let mut text = Vec::new();
    while (text.len() as u64) < room - 1 {
        let at = from.wrapping_add(text.len() as u64);
        if !c.reaches(at, 1) {
            return refuse(c, at);
        }
        let byte = c.read(at, 1)?;
        if byte == [0] {
            break;
        }
        text.extend_from_slice(&byte);
    }
    text.push(0);
    c.write(to, &text)?;
    ok(text.len() as u64)
}

//! Dynamic pointers: a place and a length that are checked when they are used.
//!
//! ```text
//! struct bpf_dynptr: 0 address | 8 size (24 bits), kind above | 12 offset
//! ```

use skep_abi::Errno;
use skep_catalog::helper_id as id;
use skep_vm::Trap;

use super::{Call, Done, Rows, err, ok};

pub(super) const ROWS: Rows = &[
    (id::DYNPTR_FROM_MEM, from_mem),
    (id::RINGBUF_RESERVE_DYNPTR, reserve),
    (id::RINGBUF_SUBMIT_DYNPTR, |c| commit(c, false)),
    (id::RINGBUF_DISCARD_DYNPTR, |c| commit(c, true)),
    (id::DYNPTR_READ, read),
    (id::DYNPTR_WRITE, write),
    (id::DYNPTR_DATA, data),
];

const SIZE_MAX: u64 = (1 << 24) - 1;
const READ_ONLY: u32 = 1 << 31;

struct Dynptr {
    addr: u64,
    size: u32,
    offset: u32,
    read_only: bool,
}

impl Dynptr {
    /// The address of `len` bytes at `offset`.
    fn range(&self, offset: u64, len: u64) -> Result<u64, Errno> {
        let fits = offset
            .checked_add(len)
            .is_some_and(|end| end <= u64::from(self.size));
        if !fits {
            return Err(Errno::E2BIG);
        }
        Ok(self
            .addr
            .wrapping_add(u64::from(self.offset))
            .wrapping_add(offset))
    }
}

fn load(c: &Call<'_, '_, '_>, at: u64) -> Result<Dynptr, Trap> {
    let raw = c.read_u32(at.wrapping_add(8))?;
    Ok(Dynptr {
        addr: c.read_u64(at)?,
        size: raw & SIZE_MAX as u32,
        offset: c.read_u32(at.wrapping_add(12))?,
        read_only: raw & READ_ONLY != 0,
    })
}

fn store(c: &Call<'_, '_, '_>, at: u64, addr: u64, size: u64) -> Result<(), Trap> {
    let mut raw = addr.to_ne_bytes().to_vec();
    raw.extend_from_slice(&(size as u32).to_ne_bytes());
    raw.extend_from_slice(&[0; 4]);
    c.write(at, &raw)
}

fn from_mem(c: &mut Call<'_, '_, '_>) -> Done {
    let (addr, size, flags, at) = (c.arg(0), u64::from(c.arg32(1)), c.arg(2), c.arg(3));
    let refused = if size > SIZE_MAX {
        Some(Errno::E2BIG)
    } else if flags != 0 {
        Some(Errno::EINVAL)
    } else {
        None
    };
    if let Some(errno) = refused {
        store(c, at, 0, 0)?;
        return err(errno);
    }
    store(c, at, addr, size)?;
    ok(0)
}

fn reserve(c: &mut Call<'_, '_, '_>) -> Done {
    let (size, flags, at) = (u64::from(c.arg32(1)), c.arg(2), c.arg(3));
    let refused = if flags != 0 {
        Some(Errno::EINVAL)
    } else if size > SIZE_MAX {
        Some(Errno::E2BIG)
    } else {
        None
    };
    if let Some(errno) = refused {
        store(c, at, 0, 0)?;
        return err(errno);
    }
    match c.reserve(size)? {
        Some(record) => {
            store(c, at, record.0, size)?;
            ok(0)
        }
        None => {
            store(c, at, 0, 0)?;
            err(Errno::EINVAL)
        }
    }
}

fn commit(c: &mut Call<'_, '_, '_>, discard: bool) -> Done {
    let at = c.arg(0);
    let dynptr = load(c, at)?;
    if dynptr.addr == 0 {
        return ok(0);
    }
    c.commit(dynptr.addr, discard)?;
    store(c, at, 0, 0)?;
    ok(0)
}

fn read(c: &mut Call<'_, '_, '_>) -> Done {
    let (to, len, offset, flags) = (c.arg(0), c.arg(1), c.arg(3), c.arg(4));
    let from = load(c, c.arg(2))?;
    if from.addr == 0 || flags != 0 {
        return err(Errno::EINVAL);
    }
    match from.range(offset, len) {
        Ok(addr) => {
            let bytes = c.read(addr, len)?;
            c.write(to, &bytes)?;
            ok(0)
        }
        Err(errno) => err(errno),
    }
}

fn write(c: &mut Call<'_, '_, '_>) -> Done {
    let (offset, from, len, flags) = (c.arg(1), c.arg(2), c.arg(3), c.arg(4));
    let to = load(c, c.arg(0))?;
    if to.addr == 0 || to.read_only {
        return err(Errno::EINVAL);
    }
    match to.range(offset, len) {
        Ok(_) if flags != 0 => err(Errno::EINVAL),
        Ok(addr) => {
            let bytes = c.read(from, len)?;
            c.write(addr, &bytes)?;
            ok(0)
        }
        Err(errno) => err(errno),
    }
}

fn data(c: &mut Call<'_, '_, '_>) -> Done {
    let dynptr = load(c, c.arg(0))?;
    if dynptr.addr == 0 || dynptr.read_only {
        return ok(0);
    }
    ok(dynptr.range(c.arg(1), c.arg(2)).unwrap_or(0))
}

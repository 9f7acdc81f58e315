//! Dynamic pointers: a place and a length that are checked when they are used.
//!
//! ```text
//! struct bpf_dynptr: 0 address | 8 size (24 bits), kind and whether read-only above | 12 offset
//! ```
//!
//! Of a packet the address only says that there is one: its bytes are asked for anew each time.

use skep_abi::{Errno, ProgType};
use skep_catalog::helper_id as id;
use skep_vm::Trap;

use super::{Call, Done, Kfuncs, Rows, err, int, ok};

pub(super) const ROWS: Rows = &[
    (id::DYNPTR_FROM_MEM, from_mem),
    (id::RINGBUF_RESERVE_DYNPTR, reserve),
    (id::RINGBUF_SUBMIT_DYNPTR, |c| commit(c, false)),
    (id::RINGBUF_DISCARD_DYNPTR, |c| commit(c, true)),
    (id::DYNPTR_READ, read),
    (id::DYNPTR_WRITE, write),
    (id::DYNPTR_DATA, data),
];

pub(super) const KFUNCS: Kfuncs = &[
    ("bpf_dynptr_from_skb", |c| from_packet(c, SKB)),
    ("bpf_dynptr_from_xdp", |c| from_packet(c, XDP)),
    ("bpf_dynptr_from_skb_meta", |c| from_packet(c, SKB_META)),
    ("bpf_dynptr_adjust", adjust),
    ("bpf_dynptr_is_null", |c| {
        ok(load(c, c.arg(0))?.is_null().into())
    }),
    ("bpf_dynptr_is_rdonly", |c| {
        let dynptr = load(c, c.arg(0))?;
        ok((!dynptr.is_null() && dynptr.read_only()).into())
    }),
    ("bpf_dynptr_size", |c| {
        let dynptr = load(c, c.arg(0))?;
        match dynptr.is_null() {
            true => int(-Errno::EINVAL.0),
            false => ok(dynptr.size().into()),
        }
    }),
    ("bpf_dynptr_clone", clone),
    ("bpf_dynptr_slice", |c| slice(c, false)),
    ("bpf_dynptr_slice_rdwr", |c| slice(c, true)),
    ("bpf_dynptr_copy", copy),
    ("bpf_dynptr_memset", memset),
];

const SIZE_MAX: u64 = (1 << 24) - 1;
const READ_ONLY: u32 = 1 << 31;
/// Kinds, in bits 28 to 30.
const KIND: u32 = 7 << 28;
const LOCAL: u32 = 1 << 28;
const RINGBUF: u32 = 2 << 28;
const SKB: u32 = 3 << 28;
const XDP: u32 = 4 << 28;
const SKB_META: u32 = 5 << 28;

#[derive(Clone, Copy)]
pub(super) struct Dynptr {
    addr: u64,
    word: u32,
    offset: u32,
}

impl Dynptr {
    pub(super) fn is_null(&self) -> bool {
        self.addr == 0
    }

    fn size(&self) -> u32 {
        self.word & SIZE_MAX as u32
    }

    pub(super) fn read_only(&self) -> bool {
        self.word & READ_ONLY != 0
    }

    fn is_packet(&self) -> bool {
        matches!(self.word & KIND, SKB | XDP)
    }

    pub(super) fn check(&self, offset: u64, len: u64) -> Result<(), Errno> {
        match offset.checked_add(len) {
            Some(end) if end <= u64::from(self.size()) => Ok(()),
            _ => Err(Errno::E2BIG),
        }
    }

    /// The address of the byte at `offset`, where the bytes lie in one piece.
    fn at(&self, offset: u64) -> u64 {
        self.addr
            .wrapping_add(u64::from(self.offset))
            .wrapping_add(offset)
    }

    /// The place of the byte at `offset` in the packet.
    fn in_packet(&self, offset: u64) -> usize {
        u64::from(self.offset).saturating_add(offset) as usize
    }
}

pub(super) fn load(c: &Call<'_, '_, '_>, at: u64) -> Result<Dynptr, Trap> {
    Ok(Dynptr {
        addr: c.read_u64(at)?,
        word: c.read_u32(at.wrapping_add(8))?,
        offset: c.read_u32(at.wrapping_add(12))?,
    })
}

fn save(c: &Call<'_, '_, '_>, at: u64, dynptr: Dynptr) -> Result<(), Trap> {
    let mut raw = dynptr.addr.to_ne_bytes().to_vec();
    raw.extend_from_slice(&dynptr.word.to_ne_bytes());
    raw.extend_from_slice(&dynptr.offset.to_ne_bytes());
    c.write(at, &raw)
}

const NULL: Dynptr = Dynptr {
    addr: 0,
    word: 0,
    offset: 0,
};

/// Saves a dynptr of `size` bytes, or null with an errno.
fn fill(
    c: &Call<'_, '_, '_>,
    at: u64,
    (addr, kind): (u64, u32),
    size: u64,
    refused: Option<Errno>,
) -> Result<Option<Errno>, Trap> {
    let dynptr = match refused {
        Some(_) => NULL,
        None => Dynptr {
            addr,
            word: kind | size as u32,
            offset: 0,
        },
    };
    save(c, at, dynptr)?;
    Ok(refused)
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
    fill(c, at, (addr, LOCAL), size, refused)?.map_or(ok(0), err)
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
    let record = match refused {
        None => c.reserve(size)?,
        Some(_) => None,
    };
    let place = (record.map_or(0, |record| record.0), RINGBUF);
    let refused = refused.or(record.is_none().then_some(Errno::EINVAL));
    fill(c, at, place, size, refused)?.map_or(ok(0), err)
}

fn commit(c: &mut Call<'_, '_, '_>, discard: bool) -> Done {
    let at = c.arg(0);
    let dynptr = load(c, at)?;
    if dynptr.is_null() {
        return ok(0);
    }
    c.commit(dynptr.addr, discard)?;
    save(c, at, NULL)?;
    ok(0)
}

/// A dynptr of the packet behind the context, or of its metadata.
fn from_packet(c: &mut Call<'_, '_, '_>, kind: u32) -> Done {
    let (flags, at) = (c.arg(1), c.arg(2));
    let Some(packet) = c.host.packet() else {
        return Err(Trap::Host("a dynptr of no packet".into()));
    };
    let (addr, size) = match kind {
        SKB_META => (packet.meta_address(), packet.data - packet.meta),
        _ => (packet.data_address(), packet.len()),
    };
    let refused = (flags != 0).then_some(Errno::EINVAL);
    let kind = match may_write(c.host.prog_type) {
        true => kind,
        false => kind | READ_ONLY,
    };
    int(-fill(c, at, (addr, kind), size as u64, refused)?.map_or(0, |errno| errno.0))
}

/// Whether programs of this type may write to their packet.
fn may_write(prog_type: Option<ProgType>) -> bool {
    use ProgType::*;
    matches!(
        prog_type,
        Some(SchedCls | SchedAct | Xdp | LwtXmit | SkSkb | SkMsg)
    )
}

impl Call<'_, '_, '_> {
    /// Bytes behind a dynptr.
    fn dynptr_bytes(
        &self,
        dynptr: &Dynptr,
        offset: u64,
        len: u64,
    ) -> Result<Result<Vec<u8>, Errno>, Trap> {
        if !dynptr.is_packet() {
            return self.read(dynptr.at(offset), len).map(Ok);
        }
        let mut out = vec![0; len as usize];
        let packet = self.host.packet().ok_or(Trap::PastEnd)?;
        let done = packet.load(dynptr.in_packet(offset), &mut out);
        Ok(done.map(|()| out))
    }

    /// Writes bytes behind a dynptr.
    pub(super) fn set_dynptr_bytes(
        &mut self,
        dynptr: &Dynptr,
        offset: u64,
        bytes: &[u8],
    ) -> Result<Result<(), Errno>, Trap> {
        if !dynptr.is_packet() {
            return self.write(dynptr.at(offset), bytes).map(Ok);
        }
        let packet = self.host.packet_mut().ok_or(Trap::PastEnd)?;
        Ok(packet.store(dynptr.in_packet(offset), bytes))
    }
}

fn read(c: &mut Call<'_, '_, '_>) -> Done {
    let (to, len, offset, flags) = (c.arg(0), u64::from(c.arg32(1)), c.arg(3), c.arg(4));
    let from = load(c, c.arg(2))?;
    if from.is_null() || flags != 0 {
        return err(Errno::EINVAL);
    }
    let offset = u64::from(offset as u32);
    if let Err(errno) = from.check(offset, len) {
        return err(errno);
    }
    match c.dynptr_bytes(&from, offset, len)? {
        Ok(bytes) => {
            c.write(to, &bytes)?;
            ok(0)
        }
        Err(errno) => err(errno),
    }
}

/// `BPF_F_RECOMPUTE_CSUM` and `BPF_F_INVALIDATE_HASH`, of packets.
const STORE_FLAGS: u64 = 3;
const INVALIDATE_HASH: u64 = 2;

fn write(c: &mut Call<'_, '_, '_>) -> Done {
    let (offset, from, len, flags) = (c.arg32(1), c.arg(2), u64::from(c.arg32(3)), c.arg(4));
    let offset = u64::from(offset);
    let to = load(c, c.arg(0))?;
    if to.is_null() || to.read_only() {
        return err(Errno::EINVAL);
    }
    let allowed = if to.word & KIND == SKB {
        STORE_FLAGS
    } else {
        0
    };
    if let Err(errno) = to.check(offset, len) {
        return err(errno);
    }
    if flags & !allowed != 0 {
        return err(Errno::EINVAL);
    }
    let bytes = c.read(from, len)?;
    match c.set_dynptr_bytes(&to, offset, &bytes)? {
        Ok(()) if flags & INVALIDATE_HASH != 0 => {
            c.host.ctx.set_u32(crate::run::skb::HASH, 0);
            ok(0)
        }
        Ok(()) => ok(0),
        Err(errno) => err(errno),
    }
}

fn data(c: &mut Call<'_, '_, '_>) -> Done {
    let dynptr = load(c, c.arg(0))?;
    let (offset, len) = (u64::from(c.arg32(1)), u64::from(c.arg32(2)));
    let in_one_piece = matches!(dynptr.word & KIND, LOCAL | RINGBUF);
    if dynptr.is_null() || dynptr.read_only() || !in_one_piece {
        return ok(0);
    }
    ok(dynptr.check(offset, len).map_or(0, |()| dynptr.at(offset)))
}

fn adjust(c: &mut Call<'_, '_, '_>) -> Done {
    let (at, start, end) = (c.arg(0), c.arg32(1), c.arg32(2));
    let mut dynptr = load(c, at)?;
    if dynptr.is_null() || start > end {
        return int(-Errno::EINVAL.0);
    }
    if start > dynptr.size() || end > dynptr.size() {
        return int(-Errno::ERANGE.0);
    }
    dynptr.offset = dynptr.offset.wrapping_add(start);
    dynptr.word = dynptr.word & !(SIZE_MAX as u32) | (end - start);
    save(c, at, dynptr)?;
    int(0)
}

fn clone(c: &mut Call<'_, '_, '_>) -> Done {
    let dynptr = load(c, c.arg(0))?;
    if dynptr.is_null() {
        save(c, c.arg(1), NULL)?;
        return int(-Errno::EINVAL.0);
    }
    save(c, c.arg(1), dynptr)?;
    int(0)
}

/// The address of a part, or of the program's buffer with a copy of it where the part lies in
/// pieces.
fn slice(c: &mut Call<'_, '_, '_>, to_write: bool) -> Done {
    let (offset, buffer, len) = (u64::from(c.arg32(1)), c.arg(2), u64::from(c.arg32(3)));
    let dynptr = load(c, c.arg(0))?;
    if dynptr.is_null() || (to_write && dynptr.read_only()) {
        return ok(0);
    }
    if dynptr.check(offset, len).is_err() {
        return ok(0);
    }
    if !dynptr.is_packet() {
        return ok(dynptr.at(offset));
    }
    let packet = c.host.packet().ok_or(Trap::PastEnd)?;
    let start = dynptr.in_packet(offset);
    if start as u64 + len <= packet.linear() as u64 {
        return ok(packet.data_address().wrapping_add(start as u64));
    }
    if buffer == 0 {
        return ok(0);
    }
    match c.dynptr_bytes(&dynptr, offset, len)? {
        Ok(bytes) => {
            c.write(buffer, &bytes)?;
            ok(buffer)
        }
        Err(_) => ok(0),
    }
}

fn copy(c: &mut Call<'_, '_, '_>) -> Done {
    let (to_at, from_at) = (u64::from(c.arg32(1)), u64::from(c.arg32(3)));
    let len = u64::from(c.arg32(4));
    let (to, from) = (load(c, c.arg(0))?, load(c, c.arg(2))?);
    if to.is_null() || from.is_null() {
        return int(-Errno::EINVAL.0);
    }
    if to.check(to_at, len).is_err() || from.check(from_at, len).is_err() {
        return int(-Errno::E2BIG.0);
    }
    if to.read_only() {
        return int(-Errno::EINVAL.0);
    }
    let bytes = match c.dynptr_bytes(&from, from_at, len)? {
        Ok(bytes) => bytes,
        Err(errno) => return int(-errno.0),
    };
    let done = c.set_dynptr_bytes(&to, to_at, &bytes)?;
    int(done.map_or_else(|errno| -errno.0, |()| 0))
}

fn memset(c: &mut Call<'_, '_, '_>) -> Done {
    let (offset, len, value) = (u64::from(c.arg32(1)), u64::from(c.arg32(2)), c.arg(3) as u8);
    let to = load(c, c.arg(0))?;
    if to.is_null() || to.read_only() {
        return int(-Errno::EINVAL.0);
    }
    if to.check(offset, len).is_err() {
        return int(-Errno::E2BIG.0);
    }
    let done = c.set_dynptr_bytes(&to, offset, &vec![value; len as usize])?;
    int(done.map_or_else(|errno| -errno.0, |()| 0))
}

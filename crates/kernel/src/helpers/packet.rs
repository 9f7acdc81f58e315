//! Helpers that copy bytes of a socket buffer, and the offsets of classic BPF.

use skep_abi::Errno;
use skep_catalog::helper_id as id;

use super::{Call, Done, Rows, err, ok, status};
use crate::run::host::{Input, Skb};
use crate::run::skb::HASH;

pub(super) const ROWS: Rows = &[
    (id::SKB_LOAD_BYTES, |c| {
        load(c, c.arg(1), c.arg(2), c.arg(3), None)
    }),
    (id::SKB_LOAD_BYTES_RELATIVE, |c| {
        load(c, c.arg(1), c.arg(2), c.arg(3), Some(c.arg(4)))
    }),
    (id::SKB_STORE_BYTES, store),
    (id::SKB_PULL_DATA, |c| {
        let len = u64::from(c.arg32(1));
        let there = c.host.packet().map_or(0, |p| p.len() as u64);
        status(if len > there {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        })
    }),
];

/// `BPF_F_RECOMPUTE_CSUM` and `BPF_F_INVALIDATE_HASH`.
const RECOMPUTE: u64 = 1;
const INVALIDATE: u64 = 2;
/// Negative offsets of classic BPF count from the network or the link header.
const NET: i32 = -0x10_0000;
const LINK: i32 = -0x20_0000;

/// The place in the packet's block that a classic offset means. Headers before the data are
/// still there.
pub(crate) fn classic_place(skb: &Skb, offset: i32) -> Option<usize> {
    let (base, offset) = match offset {
        0.. => (skb.packet.data, offset),
        NET..0 => (skb.network, offset - NET),
        LINK..NET => (skb.mac, offset - LINK),
        _ => return None,
    };
    base.checked_add_signed(offset as isize)
}

fn load(c: &mut Call<'_, '_, '_>, offset: u64, to: u64, len: u64, from: Option<u64>) -> Done {
    let (offset, len) = (offset as u32, u64::from(len as u32));
    let mut out = vec![0; len.min(1 << 20) as usize];
    let done = read(c, offset, &mut out, from);
    if done.is_err() {
        c.zero(to, len)?;
        return err(Errno::EFAULT);
    }
    c.write(to, &out)?;
    ok(0)
}

fn read(c: &Call<'_, '_, '_>, offset: u32, out: &mut [u8], from: Option<u64>) -> Result<(), Errno> {
    let Input::Skb(skb) = &c.host.input else {
        return Err(Errno::EFAULT);
    };
    if offset > i32::MAX as u32 {
        return Err(Errno::EFAULT);
    }
    let Some(header) = from else {
        return skb.packet.load(offset as usize, out);
    };
    if offset > 0xffff {
        return Err(Errno::EFAULT);
    }
    let start = match header as u32 {
        0 => skb.mac,
        1 => skb.network,
        _ => return Err(Errno::EFAULT),
    };
    skb.packet.load_at(
        start.checked_add(offset as usize).ok_or(Errno::EFAULT)?,
        out,
    )
}

fn store(c: &mut Call<'_, '_, '_>) -> Done {
    let (offset, flags) = (c.arg32(1), c.arg(4));
    let len = u64::from(c.arg32(3));
    if flags & !(RECOMPUTE | INVALIDATE) != 0 {
        return err(Errno::EINVAL);
    }
    if offset > i32::MAX as u32 {
        return err(Errno::EFAULT);
    }
    let bytes = c.read(c.arg(2), len)?;
    let Input::Skb(skb) = &mut c.host.input else {
        return err(Errno::EFAULT);
    };
    let done = skb.packet.store(offset as usize, &bytes);
    if done.is_ok() && flags & INVALIDATE != 0 {
        c.host.ctx.set_u32(HASH, 0);
    }
    status(done)
}

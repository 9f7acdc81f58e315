//! Internet checksums: differences, and their application to headers of a packet.

use skep_abi::Errno;
use skep_catalog::helper_id as id;

use super::{Call, Done, Rows, err, ok, status};
use crate::run::host::Input;

pub(super) const ROWS: Rows = &[
    (id::CSUM_DIFF, diff),
    (id::L3_CSUM_REPLACE, |c| {
        let done = l3(c);
        status(done)
    }),
    (id::L4_CSUM_REPLACE, |c| {
        let done = l4(c);
        status(done)
    }),
    // The packet of a test run has no checksum of its own, so there is none to update.
    (id::CSUM_UPDATE, |_| err(Errno::ENOTSUPP)),
    (id::CSUM_LEVEL, |c| match c.arg(1) {
        0 => err(Errno::EACCES),
        1..=3 => ok(0),
        _ => err(Errno::EINVAL),
    }),
];

/// `BPF_F_HDR_FIELD_MASK`.
const FIELD: u64 = 0xf;
/// `BPF_F_PSEUDO_HDR`, `BPF_F_MARK_MANGLED_0`, `BPF_F_MARK_ENFORCE`, `BPF_F_IPV6`.
const PSEUDO: u64 = 0x10;
const MANGLED_0: u64 = 0x20;
const ENFORCE: u64 = 0x40;
const IPV6: u64 = 0x80;
/// What a zero checksum is written as where zero means none.
const NO_ZERO: u16 = 0xffff;

/// One's complement addition.
fn add(a: u32, b: u32) -> u32 {
    let (sum, carry) = a.overflowing_add(b);
    sum.wrapping_add(u32::from(carry))
}

/// The sum of all words, added to `seed`.
pub(super) fn partial(bytes: &[u8], seed: u32) -> u32 {
    let (words, tail) = bytes.as_chunks::<4>();
    let mut sum = words
        .iter()
        .fold(seed, |sum, word| add(sum, u32::from_ne_bytes(*word)));
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    if !tail.is_empty() {
        sum = add(sum, u32::from_ne_bytes(last));
    }
    sum
}

/// The 16 bits that a sum comes to.
fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

fn diff(c: &mut Call<'_, '_, '_>) -> Done {
    let (from_len, to_len, seed) = (c.arg32(1), c.arg32(3), c.arg(4) as u32);
    let from = c.read(c.arg(0), u64::from(from_len))?;
    let to = c.read(c.arg(2), u64::from(to_len))?;
    let sum = if to.is_empty() && from.is_empty() {
        seed
    } else if to.is_empty() {
        add(seed, !partial(&from, 0))
    } else {
        add(
            partial(&to, seed),
            if from.is_empty() {
                0
            } else {
                !partial(&from, 0)
            },
        )
    };
    ok(u64::from(fold(sum)))
}

/// The checksum field at the second argument's offset.
fn field(c: &Call<'_, '_, '_>) -> Result<(usize, u16), Errno> {
    let offset = c.arg32(1);
    if offset > 0xffff || offset & 1 != 0 {
        return Err(Errno::EFAULT);
    }
    let Input::Skb(skb) = &c.host.input else {
        return Err(Errno::EFAULT);
    };
    let mut raw = [0; 2];
    skb.packet.load(offset as usize, &mut raw)?;
    Ok((offset as usize, u16::from_ne_bytes(raw)))
}

fn put(c: &mut Call<'_, '_, '_>, at: usize, sum: u16) -> Result<(), Errno> {
    let Input::Skb(skb) = &mut c.host.input else {
        return Err(Errno::EFAULT);
    };
    skb.packet.store(at, &sum.to_ne_bytes())
}

/// A checksum in which `from` becomes `to`.
fn replaced(sum: u16, from: u32, to: u32) -> u16 {
    !fold(add(add(u32::from(!sum), !from), to))
}

/// A checksum to which a difference is applied.
fn shifted(sum: u16, diff: u32) -> u16 {
    !fold(add(diff, u32::from(!sum)))
}

fn l3(c: &mut Call<'_, '_, '_>) -> Result<(), Errno> {
    let (from, to, flags) = (c.arg(2), c.arg(3), c.arg(4));
    if flags & !FIELD != 0 {
        return Err(Errno::EINVAL);
    }
    let (at, sum) = field(c)?;
    let sum = match flags & FIELD {
        0 if from != 0 => return Err(Errno::EINVAL),
        0 => shifted(sum, to as u32),
        2 => replaced(sum, u32::from(from as u16), u32::from(to as u16)),
        4 => replaced(sum, from as u32, to as u32),
        _ => return Err(Errno::EINVAL),
    };
    put(c, at, sum)
}

fn l4(c: &mut Call<'_, '_, '_>) -> Result<(), Errno> {
    let (from, to, flags) = (c.arg(2), c.arg(3), c.arg(4));
    if flags & !(MANGLED_0 | ENFORCE | PSEUDO | IPV6 | FIELD) != 0 {
        return Err(Errno::EINVAL);
    }
    let (at, sum) = field(c)?;
    let mangled = flags & MANGLED_0 != 0;
    if mangled && flags & ENFORCE == 0 && sum == 0 {
        return Ok(());
    }
    let sum = match flags & FIELD {
        0 if from != 0 => return Err(Errno::EINVAL),
        0 => shifted(sum, to as u32),
        2 => replaced(sum, u32::from(from as u16), u32::from(to as u16)),
        4 => replaced(sum, from as u32, to as u32),
        _ => return Err(Errno::EINVAL),
    };
    put(c, at, if mangled && sum == 0 { NO_ZERO } else { sum })
}

//! Helpers that change the length of a socket buffer, at its head, tail, or in between.

use skep_abi::Errno;
use skep_catalog::helper_id as id;

use super::{Call, Rows, status};
use crate::run::host::{Input, Skb};
use crate::run::skb::{HASH, PROTOCOL};

pub(super) const ROWS: Rows = &[
    (id::SKB_CHANGE_HEAD, |c| {
        let done = change_head(c);
        finish(c, done)
    }),
    (id::SKB_CHANGE_TAIL, |c| {
        let done = change_tail(c);
        finish(c, done)
    }),
    (id::SKB_CHANGE_PROTO, |c| {
        let done = change_proto(c);
        finish(c, done)
    }),
    (id::SKB_ADJUST_ROOM, |c| {
        let done = adjust_room(c);
        finish(c, done)
    }),
];

/// The longest packet that a helper makes (`SKB_MAX_ALLOC`).
const LEN_MAX: usize = 16064;
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
const IP_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

fn finish(c: &mut Call<'_, '_, '_>, done: Result<(), Errno>) -> super::Done {
    c.host.sync_packet();
    status(done)
}

fn skb<'a>(c: &'a mut Call<'_, '_, '_>) -> Result<&'a mut Skb, Errno> {
    match &mut c.host.input {
        Input::Skb(skb) => Ok(skb),
        _ => Err(Errno::EINVAL),
    }
}

fn protocol(c: &Call<'_, '_, '_>) -> u16 {
    u16::from_be(c.host.ctx.u32(PROTOCOL) as u16)
}

fn change_head(c: &mut Call<'_, '_, '_>) -> Result<(), Errno> {
    let (more, flags) = (c.arg32(1) as i32, c.arg(2));
    let more = usize::try_from(more).map_err(|_| Errno::EINVAL)?;
    let skb = skb(c)?;
    if flags != 0 || skb.packet.len() + more > LEN_MAX {
        return Err(Errno::EINVAL);
    }
    let network = skb.network - skb.packet.data.min(skb.network);
    skb.packet.splice(0, 0, more)?;
    // The new bytes are the place of a new link header; the one behind it stays where it is.
    skb.mac = skb.packet.data;
    skb.network = skb.packet.data + more + network;
    Ok(())
}

fn change_tail(c: &mut Call<'_, '_, '_>) -> Result<(), Errno> {
    let (len, flags) = (c.arg32(1) as usize, c.arg(2));
    let skb = skb(c)?;
    let least = skb.network.saturating_sub(skb.packet.data);
    if flags != 0 || len > LEN_MAX || len < least {
        return Err(Errno::EINVAL);
    }
    let (mac, network) = skb.headers();
    skb.packet.resize(len)?;
    skb.set_headers(mac, network);
    c.host.ctx.set_u32(HASH, 0);
    Ok(())
}

fn change_proto(c: &mut Call<'_, '_, '_>) -> Result<(), Errno> {
    let (wanted, flags) = (u16::from_be(c.arg32(1) as u16), c.arg(2));
    let now = protocol(c);
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let skb = skb(c)?;
    let at = skb.network.saturating_sub(skb.packet.data);
    let more = IPV6_HEADER - IP_HEADER;
    match (now, wanted) {
        (ETH_P_IP, ETH_P_IPV6) => skb.splice(at, 0, more)?,
        (ETH_P_IPV6, ETH_P_IP) => skb.splice(at, more, 0)?,
        _ => return Err(Errno::ENOTSUPP),
    }
    c.host.ctx.set_u32(PROTOCOL, u32::from(wanted.to_be()));
    c.host.ctx.set_u32(HASH, 0);
    Ok(())
}

/// Flags of `bpf_skb_adjust_room`.
mod adjust {
    pub(super) const FIXED_GSO: u64 = 1;
    pub(super) const ENCAP_IPV4: u64 = 1 << 1;
    pub(super) const ENCAP_IPV6: u64 = 1 << 2;
    pub(super) const ENCAP_GRE: u64 = 1 << 3;
    pub(super) const ENCAP_UDP: u64 = 1 << 4;
    pub(super) const NO_CSUM_RESET: u64 = 1 << 5;
    pub(super) const ENCAP_ETH: u64 = 1 << 6;
    pub(super) const DECAP_IPV4: u64 = 1 << 7;
    pub(super) const DECAP_IPV6: u64 = 1 << 8;
    /// The length of an inner link header, in the highest byte.
    pub(super) const ENCAP_L2: u64 = 0xff << 56;
    pub(super) const DECAP: u64 = DECAP_IPV4 | DECAP_IPV6;
    pub(super) const ENCAP: u64 =
        ENCAP_IPV4 | ENCAP_IPV6 | ENCAP_GRE | ENCAP_UDP | ENCAP_ETH | ENCAP_L2;
    pub(super) const ALL: u64 = FIXED_GSO | ENCAP | DECAP | NO_CSUM_RESET;
}

fn adjust_room(c: &mut Call<'_, '_, '_>) -> Result<(), Errno> {
    let (diff, mode, flags) = (c.arg32(1) as i32, c.arg32(2), c.arg(3));
    let amount = diff.unsigned_abs() as usize;
    let shrink = diff < 0;
    let now = protocol(c);
    if flags & !adjust::ALL != 0 {
        return Err(Errno::EINVAL);
    }
    if amount > 0xfff {
        return Err(Errno::EFAULT);
    }
    let mut least = match now {
        ETH_P_IP => IP_HEADER,
        ETH_P_IPV6 => IPV6_HEADER,
        _ => return Err(Errno::ENOTSUPP),
    };
    let skb = skb(c)?;
    let link = skb.network.saturating_sub(skb.mac);
    let at = match mode {
        0 => link + least,
        1 => link,
        _ => return Err(Errno::ENOTSUPP),
    };
    if flags & adjust::DECAP != 0 {
        if !shrink {
            return Err(Errno::EINVAL);
        }
        least = match flags & adjust::DECAP {
            adjust::DECAP_IPV4 => IP_HEADER,
            adjust::DECAP_IPV6 => IPV6_HEADER,
            _ => return Err(Errno::EINVAL),
        };
    }
    let behind = skb.packet.end.saturating_sub(skb.network);
    let too_short = shrink && (amount >= behind || behind - amount < least);
    let too_long = !shrink && skb.packet.len() + amount > LEN_MAX;
    if too_short || too_long {
        return Err(Errno::ENOTSUPP);
    }
    let after = if shrink {
        shrunk(flags, now)?
    } else {
        grown(flags)?
    };
    if shrink {
        skb.splice(at, amount, 0)?;
    } else {
        skb.splice(at, 0, amount)?;
    }
    if let Some(after) = after {
        c.host.ctx.set_u32(PROTOCOL, u32::from(after.to_be()));
    }
    c.host.ctx.set_u32(HASH, 0);
    Ok(())
}

/// Checks the flags of growth; the protocol that the packet has afterwards, when it changes.
fn grown(flags: u64) -> Result<Option<u16>, Errno> {
    let both = |a: u64, b: u64| flags & a != 0 && flags & b != 0;
    let inner_link = flags >> 56;
    if both(adjust::ENCAP_IPV4, adjust::ENCAP_IPV6)
        || both(adjust::ENCAP_GRE, adjust::ENCAP_UDP)
        || (flags & adjust::ENCAP_ETH != 0 && inner_link < 14)
    {
        return Err(Errno::EINVAL);
    }
    Ok(if flags & adjust::ENCAP_IPV4 != 0 {
        Some(ETH_P_IP)
    } else if flags & adjust::ENCAP_IPV6 != 0 {
        Some(ETH_P_IPV6)
    } else {
        None
    })
}

fn shrunk(flags: u64, now: u16) -> Result<Option<u16>, Errno> {
    let allowed = adjust::FIXED_GSO | adjust::DECAP | adjust::NO_CSUM_RESET;
    if flags & !allowed != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(match flags & adjust::DECAP {
        adjust::DECAP_IPV4 if now != ETH_P_IP => Some(ETH_P_IP),
        adjust::DECAP_IPV6 if now != ETH_P_IPV6 => Some(ETH_P_IPV6),
        _ => None,
    })
}

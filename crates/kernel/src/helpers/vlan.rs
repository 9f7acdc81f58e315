//! VLAN tags: the one noted beside the packet, and those in its bytes.

use skep_abi::Errno;

use super::Call;
use crate::run::host::Input;
use crate::run::skb::{HASH, PROTOCOL, VLAN_PRESENT, VLAN_PROTO, VLAN_TCI};

const ETH_P_8021Q: u16 = 0x8100;
const ETH_P_8021AD: u16 = 0x88a8;
/// Bytes of the two addresses before a tag, and of a tag.
const ADDRESSES: usize = 12;
const TAG: usize = 4;
const ETH_HLEN: usize = 14;

fn is_vlan(protocol: u16) -> bool {
    matches!(protocol, ETH_P_8021Q | ETH_P_8021AD)
}

/// Notes a tag beside the packet; one that was noted moves into the bytes.
pub(super) fn push(c: &mut Call<'_, '_, '_>) -> Result<(), Errno> {
    let wanted = u16::from_be(c.arg32(1) as u16);
    let protocol = if is_vlan(wanted) { wanted } else { ETH_P_8021Q };
    let tci = c.arg32(2) as u16;
    if c.host.ctx.u32(VLAN_PRESENT) != 0 {
        let (old_proto, old_tci) = (c.host.ctx.u32(VLAN_PROTO), c.host.ctx.u32(VLAN_TCI));
        insert(
            c,
            (old_proto as u16).to_ne_bytes(),
            (old_tci as u16).to_be_bytes(),
        )?;
        c.host.ctx.set_u32(PROTOCOL, old_proto);
    }
    note(c, true, protocol, tci);
    c.host.ctx.set_u32(HASH, 0);
    c.host.sync_packet();
    Ok(())
}

/// Takes the outermost tag away; the next one in the bytes, if any, is noted instead.
pub(super) fn pop(c: &mut Call<'_, '_, '_>) -> Result<(), Errno> {
    if c.host.ctx.u32(VLAN_PRESENT) != 0 {
        note(c, false, 0, 0);
    } else {
        if !is_vlan(protocol(c)) {
            return Ok(());
        }
        remove(c)?;
    }
    // What comes next in the bytes becomes the noted tag.
    if is_vlan(protocol(c)) {
        let outer = protocol(c);
        let tci = remove(c)?;
        note(c, true, outer, tci);
    }
    c.host.ctx.set_u32(HASH, 0);
    c.host.sync_packet();
    Ok(())
}

fn protocol(c: &Call<'_, '_, '_>) -> u16 {
    u16::from_be(c.host.ctx.u32(PROTOCOL) as u16)
}

fn note(c: &mut Call<'_, '_, '_>, present: bool, protocol: u16, tci: u16) {
    c.host.ctx.set_u32(VLAN_PRESENT, u32::from(present));
    c.host.ctx.set_u32(VLAN_PROTO, u32::from(protocol.to_be()));
    c.host.ctx.set_u32(VLAN_TCI, u32::from(tci));
}

/// Puts a tag behind the addresses.
fn insert(c: &mut Call<'_, '_, '_>, protocol: [u8; 2], tci: [u8; 2]) -> Result<(), Errno> {
    let Input::Skb(skb) = &mut c.host.input else {
        return Err(Errno::EINVAL);
    };
    skb.splice(ADDRESSES, 0, TAG)?;
    let [a, b] = protocol;
    let [d, e] = tci;
    skb.packet.store(ADDRESSES, &[a, b, d, e])
}

/// Takes the tag behind the addresses away, and gives its control information. The protocol
/// becomes that of what follows.
fn remove(c: &mut Call<'_, '_, '_>) -> Result<u16, Errno> {
    let Input::Skb(skb) = &mut c.host.input else {
        return Err(Errno::EINVAL);
    };
    let mut tag = [0; 6];
    if skb.packet.linear() < ETH_HLEN + TAG {
        return Err(Errno::ENOMEM);
    }
    skb.packet.load(ADDRESSES, &mut tag)?;
    let [_, _, high, low, next_high, next_low] = tag;
    skb.splice(ADDRESSES, TAG, 0)?;
    let next = u16::from_ne_bytes([next_high, next_low]);
    c.host.ctx.set_u32(PROTOCOL, u32::from(next));
    Ok(u16::from_be_bytes([high, low]))
}

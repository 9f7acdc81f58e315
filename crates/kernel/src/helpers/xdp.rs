//! Helpers on XDP packets: moving their ends, and copying bytes also out of fragments.

use skep_abi::Errno;
use skep_catalog::helper_id as id;

use super::{Call, Done, Kfuncs, Rows, err, ok, status};
use crate::run::host::Input;
use crate::run::packet::Packet;
use crate::run::xdp::{FRAME, metadata_fits};

pub(super) const ROWS: Rows = &[
    (id::XDP_ADJUST_HEAD, |c| {
        let done = adjust_head(c);
        finish(c, done)
    }),
    (id::XDP_ADJUST_META, |c| {
        let done = adjust_meta(c);
        finish(c, done)
    }),
    (id::XDP_ADJUST_TAIL, |c| {
        let done = adjust_tail(c);
        finish(c, done)
    }),
    (id::XDP_GET_BUFF_LEN, |c| {
        ok(c.host.packet().map_or(0, |p| p.len() as u64))
    }),
    (id::XDP_LOAD_BYTES, load),
    (id::XDP_STORE_BYTES, store),
];

pub(super) const KFUNCS: Kfuncs = &[("bpf_xdp_pull_data", |c| {
    let done = pull_data(c);
    finish(c, done)
})];

const ETH_HLEN: usize = 14;
/// The most bytes that a load or store moves.
const MOVE_MAX: u32 = 0xffff;

fn finish(c: &mut Call<'_, '_, '_>, done: Result<(), Errno>) -> Done {
    c.host.sync_packet();
    status(done)
}

fn packet<'a>(c: &'a mut Call<'_, '_, '_>) -> Result<&'a mut Packet, Errno> {
    match &mut c.host.input {
        Input::Xdp(packet) => Ok(packet),
        _ => Err(Errno::EINVAL),
    }
}

fn adjust_head(c: &mut Call<'_, '_, '_>) -> Result<(), Errno> {
    let by = c.arg32(1) as i32;
    let packet = packet(c)?;
    let meta_len = packet.data - packet.meta;
    let data = packet
        .data
        .checked_add_signed(by as isize)
        .ok_or(Errno::EINVAL)?;
    if data < FRAME + meta_len || data + ETH_HLEN > packet.end {
        return Err(Errno::EINVAL);
    }
    packet.move_head(data);
    Ok(())
}

fn pull_data(c: &mut Call<'_, '_, '_>) -> Result<(), Errno> {
    let wanted = c.arg32(1) as usize;
    let packet = packet(c)?;
    match wanted.checked_sub(packet.linear()) {
        None | Some(0) => Ok(()),
        Some(missing) => packet.pull(missing, FRAME),
    }
}

fn adjust_meta(c: &mut Call<'_, '_, '_>) -> Result<(), Errno> {
    let by = c.arg32(1) as i32;
    let packet = packet(c)?;
    let meta = packet
        .meta
        .checked_add_signed(by as isize)
        .ok_or(Errno::EINVAL)?;
    if meta < FRAME || meta > packet.data {
        return Err(Errno::EINVAL);
    }
    if !metadata_fits(packet.data - meta) {
        return Err(Errno::EACCES);
    }
    packet.meta = meta;
    Ok(())
}

fn adjust_tail(c: &mut Call<'_, '_, '_>) -> Result<(), Errno> {
    let by = c.arg32(1) as i32;
    let packet = packet(c)?;
    if !packet.frags.is_empty() {
        return adjust_frags(packet, by);
    }
    let end = packet
        .end
        .checked_add_signed(by as isize)
        .ok_or(Errno::EINVAL)?;
    if end > packet.end + packet.tailroom() || end < packet.data + ETH_HLEN {
        return Err(Errno::EINVAL);
    }
    packet.clear(packet.end, end);
    packet.end = end;
    Ok(())
}

/// The last fragment shrinks, then the ones before it, then the linear part.
fn adjust_frags(packet: &mut Packet, by: i32) -> Result<(), Errno> {
    if by >= 0 {
        // Growth stays inside the page of the last fragment.
        let more = by as usize;
        if more > packet.fragment_room() {
            return Err(Errno::EINVAL);
        }
        packet.frags.resize(packet.frags.len() + more, 0);
        return Ok(());
    }
    let less = by.unsigned_abs() as usize;
    if packet.len() < ETH_HLEN + less {
        return Err(Errno::EINVAL);
    }
    let from_frags = less.min(packet.frags.len());
    packet.frags.truncate(packet.frags.len() - from_frags);
    packet.end -= less - from_frags;
    Ok(())
}

fn load(c: &mut Call<'_, '_, '_>) -> Done {
    let (offset, to, len) = (c.arg32(1), c.arg(2), c.arg32(3));
    if offset > MOVE_MAX || len > MOVE_MAX {
        return err(Errno::EFAULT);
    }
    let mut out = vec![0; len as usize];
    let Some(packet) = c.host.packet() else {
        return err(Errno::EINVAL);
    };
    match out_of_range(packet.load(offset as usize, &mut out)) {
        Ok(()) => {
            c.write(to, &out)?;
            ok(0)
        }
        Err(errno) => err(errno),
    }
}

fn store(c: &mut Call<'_, '_, '_>) -> Done {
    let (offset, from, len) = (c.arg32(1), c.arg(2), c.arg32(3));
    if offset > MOVE_MAX || len > MOVE_MAX {
        return err(Errno::EFAULT);
    }
    let bytes = c.read(from, u64::from(len))?;
    let stored = packet(c).and_then(|p| out_of_range(p.store(offset as usize, &bytes)));
    status(stored)
}

/// Bytes beyond the packet are a wrong argument here, not a fault.
fn out_of_range(done: Result<(), Errno>) -> Result<(), Errno> {
    done.map_err(|_| Errno::EINVAL)
}

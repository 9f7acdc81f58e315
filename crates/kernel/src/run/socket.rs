//! The socket that the packets of test runs belong to, as programs read it.

use skep_abi::Errno;

use crate::memory::Block;

/// Bytes of `struct bpf_sock`.
const SIZE: usize = 80;
/// Offsets of its fields.
const FAMILY: usize = 4;
const SRC_IP4: usize = 24;
const SRC_IP6: usize = 28;
const DST_IP4: usize = 52;
const DST_IP6: usize = 56;
const STATE: usize = 72;
const RX_QUEUE: usize = 76;
/// Offsets of the same facts in `struct __sk_buff`, and of the pointer to the socket.
const SKB_FAMILY: usize = 88;
const SKB_REMOTE_IP4: usize = 92;
const SKB_LOCAL_IP4: usize = 96;
const SKB_REMOTE_IP6: usize = 100;
const SKB_LOCAL_IP6: usize = 116;
const SKB_SOCKET: usize = 168;

pub(super) const AF_INET: u32 = 2;
pub(super) const AF_INET6: u32 = 10;
/// `TCP_CLOSE`: the socket was never connected.
const CLOSED: u32 = 7;

/// Makes the socket for a packet whose network header begins `bytes`, and notes it in the
/// context. Its addresses are those of the packet.
///
/// # Errors
/// `ENOMEM`.
pub(super) fn make(protocol: u16, bytes: &[u8], ctx: &Block) -> Result<Block, Errno> {
    let sock = Block::new(SIZE)?;
    sock.set_u32(STATE, CLOSED);
    sock.set_u32(RX_QUEUE, u32::MAX);
    let part = |range: std::ops::Range<usize>| bytes.get(range).unwrap_or_default();
    let (family, source, target) = match protocol {
        0x0800 => (AF_INET, part(12..16), part(16..20)),
        0x86dd => (AF_INET6, part(8..24), part(24..40)),
        _ => (0, part(0..0), part(0..0)),
    };
    sock.set_u32(FAMILY, family);
    ctx.set_u32(SKB_FAMILY, family);
    let (from, to, local, remote) = match family {
        AF_INET6 => (SRC_IP6, DST_IP6, SKB_LOCAL_IP6, SKB_REMOTE_IP6),
        _ => (SRC_IP4, DST_IP4, SKB_LOCAL_IP4, SKB_REMOTE_IP4),
    };
    for (place, block, address) in [
        (from, &sock, source),
        (to, &sock, target),
        (local, ctx, source),
        (remote, ctx, target),
    ] {
        block.write(place, address);
    }
    ctx.set_u64(SKB_SOCKET, sock.at(0));
    Ok(sock)
}

//! Whether a read through a socket pointer is allowed.

use crate::access::Attempt;
use crate::context::{Res, Verifier};
use crate::refuse;
use crate::state::Kind;

impl Verifier<'_> {
    pub(crate) fn access_sock(&mut self, at: &Attempt) -> Res {
        let (reg, off, size) = (at.reg, at.off, at.size);
        if at.writes() {
            return self.refuse_write(reg);
        }
        let pointer = *self.reg(reg);
        if pointer.num.smin < 0 {
            return self.refuse_negative(reg);
        }
        let Some(field_size) = readable(pointer.kind, off, size) else {
            let name = self.kind_name(reg);
            refuse!(
                self,
                EACCES,
                "R{reg} invalid {name} access off={off} size={size}"
            );
        };
        self.aux[at.insn as usize].ctx_field_size = field_size;
        if let Some(value) = at.value {
            self.mark_unknown(value);
        }
        Ok(())
    }
}

/// The size of the field that holds `size` bytes at `off`, 0 when only the whole field may
/// be read; `None` when nothing may be read there.
fn readable(kind: Kind, off: i32, size: i32) -> Option<u8> {
    if off < 0 || size <= 0 || off % size != 0 {
        return None;
    }
    match kind {
        // The type, protocol, mark and priority belong to full sockets only.
        Kind::SockCommon if (8..24).contains(&off) => None,
        Kind::SockCommon | Kind::Socket => sock_field(off, size),
        Kind::TcpSock => tcp_field(off, size),
        // `queue_id` is all there is.
        Kind::XdpSock => (off == 0 && size == 4).then_some(0),
        _ => None,
    }
}

/// `struct bpf_sock`.
fn sock_field(off: i32, size: i32) -> Option<u8> {
    match off {
        // family, type, protocol, src_port, state, rx_queue_mapping: from their start.
        4 | 8 | 12 | 44 | 72 | 76 => (size <= 4).then_some(4),
        // src_ip4, src_ip6, dst_ip4, dst_ip6: any part.
        24..44 | 52..72 => (size <= 4).then_some(4),
        // dst_port has two bytes, and two of padding behind.
        48..50 if size == 4 => Some(4),
        48..50 => (size <= 2).then_some(2),
        50..52 => None,
        0..80 => (size == 4).then_some(0),
        _ => None,
    }
}

/// `struct bpf_tcp_sock`.
fn tcp_field(off: i32, size: i32) -> Option<u8> {
    match off {
        // bytes_received, bytes_acked.
        80 | 88 => (size == 8).then_some(0),
        0..112 => (size == 4).then_some(0),
        _ => None,
    }
}

//! What a packet is to be sent through, and the secret numbers of TCP handshakes.

use skep_abi::Errno;
use skep_catalog::helper_id as id;

use super::{Call, Done, Rows, err, ok};

pub(super) const ROWS: Rows = &[
    (id::SKB_SET_TUNNEL_KEY, set_key),
    (id::SKB_GET_TUNNEL_KEY, get_key),
    (id::SKB_SET_TUNNEL_OPT, set_option),
    (id::SKB_GET_TUNNEL_OPT, |c| {
        c.zero(c.arg(1), u64::from(c.arg32(2)))?;
        err(Errno::ENOENT)
    }),
    (id::SKB_GET_XFRM_STATE, |c| {
        // No packet of a test run was encrypted.
        c.zero(c.arg(2), u64::from(c.arg32(3)))?;
        err(Errno::EINVAL)
    }),
    (id::TCP_CHECK_SYNCOOKIE, |_| err(Errno::EINVAL)),
    (id::TCP_GEN_SYNCOOKIE, |_| err(Errno::EINVAL)),
];

/// `struct bpf_tunnel_key`, and the sizes it had before it grew.
const KEY: usize = 44;
const SIZES: [u32; 5] = [8, 22, 24, 28, 44];
/// All flags of `bpf_skb_set_tunnel_key`.
const SET_FLAGS: u64 = 0x1f;
/// `BPF_F_TUNINFO_IPV6` and `BPF_F_TUNINFO_FLAGS`.
const GET_FLAGS: u64 = 0x11;
/// The most bytes of options.
const OPTIONS_MAX: u32 = 252;

fn set_key(c: &mut Call<'_, '_, '_>) -> Done {
    let (size, flags) = (c.arg32(2), c.arg(3));
    if flags & !SET_FLAGS != 0 || !SIZES.contains(&size) {
        return err(Errno::EINVAL);
    }
    let mut key = [0; KEY];
    if let Some(part) = key.get_mut(..size as usize) {
        c.read_into(c.arg(1), part)?;
    }
    c.host.tunnel = Some(key);
    ok(0)
}

fn get_key(c: &mut Call<'_, '_, '_>) -> Done {
    let (size, flags) = (c.arg32(2), c.arg(3));
    let known = c.host.tunnel.filter(|_| flags & !GET_FLAGS == 0);
    let part = known.as_ref().filter(|_| SIZES.contains(&size));
    match part.and_then(|key| key.get(..size as usize)) {
        Some(part) => {
            c.write(c.arg(1), part)?;
            ok(0)
        }
        None => {
            c.zero(c.arg(1), size.into())?;
            err(Errno::EINVAL)
        }
    }
}

fn set_option(c: &mut Call<'_, '_, '_>) -> Done {
    let size = c.arg32(2);
    if c.host.tunnel.is_none() || !size.is_multiple_of(4) {
        return err(Errno::EINVAL);
    }
    match size {
        ..=OPTIONS_MAX => ok(0),
        _ => err(Errno::ENOMEM),
    }
}

//! Helpers that tell of a socket buffer or change what is noted beside its bytes.

use skep_abi::{Errno, MapType, ProgType};
use skep_catalog::helper_id as id;

use super::{Call, Done, Rows, err, ok, status, vlan};
use crate::map::references::Device;
use crate::run::host::Input;
use crate::run::skb::{HASH, PKT_TYPE, PROTOCOL, TSTAMP, TSTAMP_TYPE};

pub(super) const ROWS: Rows = &[
    (id::SKB_VLAN_PUSH, |c| {
        let done = vlan::push(c);
        status(done)
    }),
    (id::SKB_VLAN_POP, |c| {
        let done = vlan::pop(c);
        status(done)
    }),
    (id::SKB_CHANGE_TYPE, change_type),
    (id::GET_HASH_RECALC, hash),
    (id::SET_HASH, |c| {
        c.host.ctx.set_u32(HASH, c.arg32(1));
        ok(0)
    }),
    (id::SET_HASH_INVALID, |c| {
        c.host.ctx.set_u32(HASH, 0);
        ok(0)
    }),
    (id::REDIRECT, redirect),
    (id::CLONE_REDIRECT, clone_redirect),
    (id::REDIRECT_NEIGH, |c| {
        let refused = c.arg(3) != 0 || (c.arg(2) != 0 && c.arg(2) < 20);
        c.go(c.arg(0), 0, refused)
    }),
    (id::REDIRECT_PEER, |c| c.go(c.arg(0), 0, c.arg(1) != 0)),
    (id::REDIRECT_MAP, redirect_map),
    (id::GET_SOCKET_COOKIE, |_| ok(SOCKET_COOKIE)),
    // Root made that socket.
    (id::GET_SOCKET_UID, |_| ok(0)),
    // Nothing in a test run has a traffic class or a routing realm.
    (id::GET_CGROUP_CLASSID, |_| ok(0)),
    (id::GET_ROUTE_REALM, |_| ok(0)),
    (id::SKB_ECN_SET_CE, set_ce),
    (id::SKB_SET_TSTAMP, set_tstamp),
    (id::FIB_LOOKUP, fib_lookup),
    (id::CHECK_MTU, check_mtu),
    // The packet's socket is a whole one, but speaks no protocol and listens to nobody.
    (id::SK_FULLSOCK, |c| ok(c.arg(0))),
    (id::TCP_SOCK, |_| ok(0)),
    (id::GET_LISTENER_SOCK, |_| ok(0)),
    (id::SKC_TO_TCP6_SOCK, |_| ok(0)),
    (id::SKC_TO_TCP_SOCK, |_| ok(0)),
    (id::SKC_TO_TCP_TIMEWAIT_SOCK, |_| ok(0)),
    (id::SKC_TO_TCP_REQUEST_SOCK, |_| ok(0)),
    (id::SKC_TO_UDP6_SOCK, |_| ok(0)),
    (id::SKC_TO_UNIX_SOCK, |_| ok(0)),
    (id::SKC_TO_MPTCP_SOCK, |_| ok(0)),
    // There are no sockets to be found, so nothing that was found is ever given back.
    (id::SK_LOOKUP_TCP, |_| ok(0)),
    (id::SK_LOOKUP_UDP, |_| ok(0)),
    (id::SKC_LOOKUP_TCP, |_| ok(0)),
    (id::SK_RELEASE, |_| ok(0)),
    (id::SK_ASSIGN, assign),
];

/// The cookie of the one socket that the packets of test runs belong to.
const SOCKET_COOKIE: u64 = 1;
/// Verdicts of traffic control.
const TC_SHOT: u64 = 2;
const TC_REDIRECT: u64 = 7;
/// Verdicts of XDP.
const XDP_ABORTED: u64 = 0;
const XDP_REDIRECT: u64 = 4;
/// `BPF_F_INGRESS`.
const INGRESS: u64 = 1;
/// The loopback interface's limits.
const MTU: u32 = 65536;
const LINK_HEADER: u32 = 14;

/// `BPF_SK_LOOKUP_F_REPLACE` and `BPF_SK_LOOKUP_F_NO_REUSEPORT`.
const ASSIGN_FLAGS: u64 = 3;

impl Call<'_, '_, '_> {
    /// Notes where a packet goes and gives the verdict that sends it there.
    fn go(&mut self, ifindex: u64, flags: u64, refused: bool) -> Done {
        let xdp = matches!(self.host.input, Input::Xdp(_));
        if refused {
            return ok(if xdp { XDP_ABORTED } else { TC_SHOT });
        }
        self.host.redirect = Some((ifindex as u32, flags));
        ok(if xdp { XDP_REDIRECT } else { TC_REDIRECT })
    }
}

fn redirect(c: &mut Call<'_, '_, '_>) -> Done {
    let (ifindex, flags) = (c.arg(0), c.arg(1));
    let allowed = if matches!(c.host.input, Input::Xdp(_)) {
        0
    } else {
        INGRESS
    };
    c.go(ifindex, flags, flags & !allowed != 0)
}

/// The copy goes nowhere, but whether it could go is answered.
fn clone_redirect(c: &mut Call<'_, '_, '_>) -> Done {
    let (ifindex, flags) = (c.arg32(1), c.arg(2));
    if flags & !INGRESS != 0 || ifindex == 0 || ifindex > c.host.kernel.interfaces {
        return err(Errno::EINVAL);
    }
    c.host.redirect = Some((ifindex, flags));
    ok(0)
}

/// To the target under a key, or to all devices; without one, the action in the flags.
fn redirect_map(c: &mut Call<'_, '_, '_>) -> Done {
    let flags = c.arg(2);
    const ACTIONS: u64 = 3;
    const BROADCAST: u64 = 1 << 3;
    const EXCLUDE_INGRESS: u64 = 1 << 4;
    let to_devices = matches!(
        c.host.map(c.arg(0))?.kind(),
        MapType::Devmap | MapType::DevmapHash
    );
    let allowed = if to_devices {
        ACTIONS | BROADCAST | EXCLUDE_INGRESS
    } else {
        ACTIONS
    };
    if flags & !allowed != 0 {
        return ok(XDP_ABORTED);
    }
    // To all devices is a way out even when there are none.
    let key = c.arg32(1).to_ne_bytes();
    let found = {
        let map = c.host.map(c.arg(0))?;
        let held = map.map.held(&key, &c.host.pass);
        held.map(|held| held.object.downcast_ref::<Device>().map(|d| d.ifindex))
    };
    if flags & BROADCAST != 0 {
        return ok(XDP_REDIRECT);
    }
    let Some(device) = found else {
        return ok(flags & ACTIONS);
    };
    if let Some(ifindex) = device {
        c.host.redirect = Some((ifindex, 0));
    }
    ok(XDP_REDIRECT)
}

fn change_type(c: &mut Call<'_, '_, '_>) -> Done {
    let wanted = c.arg32(1);
    if c.host.ctx.u32(PKT_TYPE) > 3 || wanted > 3 {
        return err(Errno::EINVAL);
    }
    c.host.ctx.set_u32(PKT_TYPE, wanted);
    ok(0)
}

/// The flow's hash: what was set, or one over the addresses and ports.
fn hash(c: &mut Call<'_, '_, '_>) -> Done {
    let noted = c.host.ctx.u32(HASH);
    if noted != 0 {
        return ok(u64::from(noted));
    }
    let Input::Skb(skb) = &c.host.input else {
        return ok(0);
    };
    let mut header = [0; 40];
    let there = skb.packet.end.saturating_sub(skb.network).min(header.len());
    let Some(bytes) = header.get_mut(..there) else {
        return ok(0);
    };
    if skb.packet.load_at(skb.network, bytes).is_err() {
        return ok(0);
    }
    // FNV-1a over the addresses and what follows them. Linux's hash is keyed by a secret, so
    // no program can expect a particular number.
    let flow = bytes.get(8..).unwrap_or_default();
    let hash = flow.iter().fold(0x811c_9dc5u32, |h, b| {
        (h ^ u32::from(*b)).wrapping_mul(0x0100_0193)
    });
    let hash = hash.max(1);
    c.host.ctx.set_u32(HASH, hash);
    ok(u64::from(hash))
}

/// Marks congestion, where the transport can: 1 when the packet carries the mark now.
fn set_ce(c: &mut Call<'_, '_, '_>) -> Done {
    let protocol = u16::from_be(c.host.ctx.u32(PROTOCOL) as u16);
    let Input::Skb(skb) = &mut c.host.input else {
        return ok(0);
    };
    let at = skb.network.saturating_sub(skb.packet.data);
    let mut head = [0; 20];
    match protocol {
        0x0800 if skb.packet.load(at, &mut head).is_ok() => {
            let [_, tos, ..] = head;
            match tos & 3 {
                0 => ok(0),
                3 => ok(1),
                ecn => {
                    // The header's checksum falls by what the field rises.
                    let sum = u16::from_be_bytes([head[10], head[11]]);
                    let up = u32::from(3 - ecn);
                    let lower = u32::from(!sum) + up;
                    let sum = !((lower & 0xffff) + (lower >> 16)) as u16;
                    head[1] = tos | 3;
                    [head[10], head[11]] = sum.to_be_bytes();
                    ok(u64::from(skb.packet.store(at, &head).is_ok()))
                }
            }
        }
        0x86dd if skb.packet.load(at, &mut head).is_ok() => {
            let [_, low, ..] = head;
            match low >> 4 & 3 {
                0 => ok(0),
                _ => {
                    head[1] = low | 0x30;
                    ok(u64::from(skb.packet.store(at, &head).is_ok()))
                }
            }
        }
        _ => ok(0),
    }
}

fn set_tstamp(c: &mut Call<'_, '_, '_>) -> Done {
    let (tstamp, kind) = (c.arg(1), c.arg32(2));
    let protocol = u16::from_be(c.host.ctx.u32(PROTOCOL) as u16);
    if !matches!(protocol, 0x0800 | 0x86dd) {
        return err(Errno::EOPNOTSUPP);
    }
    match kind {
        1 | 2 if tstamp == 0 => return err(Errno::EINVAL),
        0..=2 => {}
        _ => return err(Errno::EINVAL),
    }
    c.host.ctx.set_u64(TSTAMP, tstamp);
    c.host.ctx.write(TSTAMP_TYPE, &[kind as u8]);
    ok(0)
}

/// Nothing is forwarded here.
fn fib_lookup(c: &mut Call<'_, '_, '_>) -> Done {
    const PARAMS: u64 = 64;
    const FLAGS: u64 = 0x3f;
    const FORWARDING_DISABLED: u64 = 5;
    if c.arg(2) < PARAMS || c.arg(3) & !FLAGS != 0 {
        return err(Errno::EINVAL);
    }
    let family = c.read(c.arg(1), 1)?;
    let ifindex = c.read_u32(c.arg(1).wrapping_add(8))?;
    match family.as_slice() {
        [2 | 10] if ifindex == 0 || ifindex > c.host.kernel.interfaces => err(Errno::ENODEV),
        [2 | 10] => ok(FORWARDING_DISABLED),
        _ => err(Errno::EAFNOSUPPORT),
    }
}

fn check_mtu(c: &mut Call<'_, '_, '_>) -> Done {
    const FRAG_NEEDED: u64 = 1;
    let (ifindex, at, diff, flags) = (c.arg32(1), c.arg(2), c.arg(3) as i32, c.arg(4));
    let xdp = matches!(c.host.input, Input::Xdp(_));
    if flags & !u64::from(!xdp) != 0 {
        return err(Errno::EINVAL);
    }
    if ifindex > c.host.kernel.interfaces {
        return err(Errno::ENODEV);
    }
    let given = c.read_u32(at)?;
    let len = match given {
        // Of an XDP packet only the linear part counts.
        0 => c
            .host
            .packet()
            .map_or(0, |p| if xdp { p.linear() } else { p.len() } as u32),
        given => given.saturating_add(LINK_HEADER),
    };
    c.write(at, &MTU.to_ne_bytes())?;
    let len = i64::from(len) + i64::from(diff);
    ok(if len <= i64::from(MTU + LINK_HEADER) {
        0
    } else {
        FRAG_NEEDED
    })
}

/// There are no sockets to be found, so that programs come here without one.
fn assign(c: &mut Call<'_, '_, '_>) -> Done {
    match c.host.prog_type {
        // No socket is chosen.
        Some(ProgType::SkLookup) if c.arg(2) & !ASSIGN_FLAGS == 0 => ok(0),
        Some(ProgType::SkLookup) => err(Errno::EINVAL),
        _ => err(Errno::EOPNOTSUPP),
    }
}

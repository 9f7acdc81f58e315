//! Test runs of programs that see a socket buffer.

use std::sync::Arc;

use skep_abi::context::SkBuff;
use skep_abi::{Errno, ProgType, TestRunFlags, UserMemory, attr, copy_in};

use super::host::{Input, RunHost, Skb};
use super::packet::{HEADROOM, Packet};
use super::{ETH_HLEN, LOOPBACK, PAGE, SHARED_INFO, ctx, finish, socket};
use crate::kernel::Kernel;
use crate::prog::Program;

/// The most bytes of a packet: a page without what Linux keeps around the data.
const SIZE_MAX: usize = PAGE - 64 - SHARED_INFO;
/// The most bytes that a packet may claim to have had on the wire.
const WIRE_MAX: u32 = 65536;
/// The most segments of a packet.
const SEGMENTS_MAX: u32 = 65535;
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
/// The least type that is one; below it the field is a length.
const ETH_P_MIN: u16 = 0x0600;

/// Offsets of the fields of `struct __sk_buff` that are set apart from the view.
pub(crate) const LEN: usize = 0;
pub(crate) const PKT_TYPE: usize = 4;
pub(crate) const PROTOCOL: usize = 16;
pub(crate) const VLAN_PRESENT: usize = 20;
pub(crate) const VLAN_TCI: usize = 24;
pub(crate) const VLAN_PROTO: usize = 28;
pub(crate) const HASH: usize = 68;
pub(crate) const TSTAMP: usize = 152;
pub(crate) const TSTAMP_TYPE: usize = 180;
/// Offsets of the shadow words behind the structure.
pub(crate) const SHADOW_DATA: usize = 192;
pub(crate) const SHADOW_END: usize = 200;
pub(crate) const SHADOW_META: usize = 208;
pub(super) const CTX_BYTES: usize = 216;

/// The bytes of the structure that a caller may set.
const SETTABLE: [std::ops::Range<usize>; 7] = [
    8..12,
    32..44,
    48..68,
    152..164,
    164..168,
    176..180,
    184..192,
];

/// What the program sees, with what goes back to the caller.
pub(super) struct Begun<'k> {
    pub(super) host: RunHost<'k>,
    sk: SkBuff,
    ifindex: u32,
    /// Whether the program sees the Ethernet header.
    link_layer: bool,
}

impl Kernel {
    /// Lays packet and context out.
    ///
    /// # Errors
    /// As Linux.
    pub(super) fn begin_skb(
        &self,
        prog: &Program,
        view: &attr::ProgTestRun,
        memory: &dyn UserMemory,
    ) -> Result<Begun<'_>, Errno> {
        let flags = TestRunFlags(view.flags());
        if !flags.beyond(TestRunFlags::SKB_CHECKSUM_COMPLETE).is_empty()
            || view.cpu() != 0
            || view.batch_size() != 0
        {
            return Err(Errno::EINVAL);
        }
        let size = view.data_size_in() as usize;
        if !(ETH_HLEN..=SIZE_MAX).contains(&size) {
            return Err(Errno::EINVAL);
        }
        let bytes = copy_in(memory, view.data_in(), size)?;
        let given = ctx::read(view, SkBuff::SIZE, memory)?;
        let protocol = protocol_of(&bytes);
        // The first header must be there whole.
        let network = size - ETH_HLEN;
        let short = match protocol {
            ETH_P_IP => network < 20,
            ETH_P_IPV6 => network < 40,
            _ => false,
        };
        if short {
            return Err(Errno::EINVAL);
        }
        // Programs at the traffic control hooks see the packet with its Ethernet header.
        let link_layer = matches!(
            ProgType::from_u32(prog.prog_type),
            Some(ProgType::SchedCls | ProgType::SchedAct)
        );
        let mut packet = Packet::new(&bytes, 0, HEADROOM, HEADROOM)?;
        let start = packet.data;
        if !link_layer {
            packet.data += ETH_HLEN;
            packet.meta = packet.data;
        }
        let len = packet.linear() as u32;
        let mut sk = SkBuff::prefix(given.as_deref().unwrap_or_default());
        if let Some(given) = &given {
            self.check_context(&sk, given, len)?;
            if sk.wire_len() == 0 {
                sk.set_wire_len(len);
            }
        }
        let skb = Skb {
            packet,
            mac: start,
            network: start + ETH_HLEN,
        };
        let mut host = RunHost::new(self, Input::Skb(skb), CTX_BYTES)?;
        host.ctx.write(0, sk.bytes());
        let ifindex = if sk.ifindex() == 0 {
            LOOPBACK
        } else {
            sk.ifindex()
        };
        host.ctx.set_u32(40, ifindex);
        host.ctx.set_u32(PROTOCOL, u32::from(protocol.to_be()));
        host.ctx.set_u32(PKT_TYPE, packet_type(&bytes));
        let header = bytes.get(ETH_HLEN..).unwrap_or_default();
        host.socket = Some(socket::make(protocol, header, &host.ctx)?);
        host.sync_packet();
        Ok(Begun {
            host,
            sk,
            ifindex,
            link_layer,
        })
    }

    pub(super) fn run_skb(
        &self,
        prog: &Arc<Program>,
        view: &mut attr::ProgTestRun,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let Begun {
            mut host,
            mut sk,
            ifindex,
            link_layer,
        } = self.begin_skb(prog, view, memory)?;
        let flags = TestRunFlags(view.flags());
        let before = match &host.input {
            Input::Skb(skb) if flags.contains(TestRunFlags::SKB_CHECKSUM_COMPLETE) => {
                Some(skb.packet.whole())
            }
            _ => None,
        };
        let done = self.repeat(prog, &mut host, view.repeat(), None)?;
        let Input::Skb(skb) = &mut host.input else {
            return Err(Errno::EFAULT);
        };
        if before.is_some_and(|before| before != skb.packet.whole()) {
            // The checksum of the whole packet would have to follow every helper.
            return Err(Errno::EOPNOTSUPP);
        }
        if !link_layer {
            // Linux puts an empty header back where one was taken away.
            skb.packet.splice(0, 0, ETH_HLEN)?;
        }
        let out = skb.packet.whole();
        answer(&mut sk, &host.ctx.bytes(0, SkBuff::SIZE), ifindex);
        finish(view, memory, &out, &[], done)?;
        ctx::write(view, sk.bytes(), memory)
    }

    /// # Errors
    /// `EINVAL` for a field that callers may not set or a value that makes no sense,
    /// `ENODEV` for an interface that does not exist.
    fn check_context(&self, sk: &SkBuff, given: &[u8], len: u32) -> Result<(), Errno> {
        let settable = |at: usize| SETTABLE.iter().any(|range| range.contains(&at));
        if given
            .iter()
            .enumerate()
            .any(|(at, byte)| *byte != 0 && !settable(at))
        {
            return Err(Errno::EINVAL);
        }
        if sk.ifindex() > self.interfaces {
            return Err(Errno::ENODEV);
        }
        if sk.wire_len() != 0 && (sk.wire_len() < len || sk.wire_len() > WIRE_MAX) {
            return Err(Errno::EINVAL);
        }
        if sk.gso_segs() > SEGMENTS_MAX {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }
}

/// What goes back to the caller: the fields that it may set, as the program left them.
fn answer(sk: &mut SkBuff, ctx: &[u8], ifindex: u32) {
    let after = SkBuff::prefix(ctx);
    sk.set_mark(after.mark())
        .set_priority(after.priority())
        .set_cb(after.cb());
    if sk.wire_len() == 0 {
        sk.set_wire_len(after.wire_len());
    }
    sk.set_ifindex(ifindex).set_tstamp(after.tstamp());
    sk.set_gso_segs(after.gso_segs());
}

/// The protocol behind the Ethernet header, in host order.
fn protocol_of(bytes: &[u8]) -> u16 {
    let word = |at: usize| match bytes.get(at..at + 2) {
        Some(&[high, low]) => u16::from_be_bytes([high, low]),
        _ => 0,
    };
    match word(12) {
        kind if kind >= ETH_P_MIN => kind,
        // A length: raw 802.3 frames begin with all ones, others have an 802.2 header.
        _ if word(14) == 0xffff => 0x0001,
        _ => 0x0004,
    }
}

/// Whom the packet is for, seen from the loopback interface, whose address is all zeros.
fn packet_type(bytes: &[u8]) -> u32 {
    const HOST: u32 = 0;
    const BROADCAST: u32 = 1;
    const MULTICAST: u32 = 2;
    const OTHER_HOST: u32 = 3;
    let to = bytes.get(..6).unwrap_or_default();
    let group = to.first().is_some_and(|b| b & 1 != 0);
    // The loopback's broadcast address is all zeros as well, so no group address is it.
    match (group, to.iter().all(|b| *b == 0)) {
        (true, true) => BROADCAST,
        (true, false) => MULTICAST,
        (false, true) => HOST,
        (false, false) => OTHER_HOST,
    }
}

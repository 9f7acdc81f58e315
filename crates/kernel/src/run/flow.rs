//! Test runs of flow dissectors: a packet in, what was found out about its headers out.

use std::ops::Range;
use std::sync::Arc;

use skep_abi::{Errno, UserMemory, attr, copy_in};

use super::host::{Flow, Input, RunHost};
use super::packet::Packet;
use super::skb::CTX_BYTES;
use super::{ETH_HLEN, PAGE, ctx, finish};
use crate::kernel::Kernel;
use crate::memory::Block;
use crate::prog::Program;

/// Bytes of `struct bpf_flow_keys`.
const KEYS: usize = 56;
/// Offsets of its fields.
const NETWORK: usize = 0;
const TRANSPORT: usize = 2;
const PROTOCOL: usize = 10;
/// `flags`, the one field that callers may set.
const FLAGS: Range<usize> = 48..52;
/// The offset of `flow_keys` in `struct __sk_buff`.
const SKB_FLOW_KEYS: usize = 144;
/// Where the Ethernet header keeps the protocol.
const ETH_PROTOCOL: Range<usize> = 12..14;

/// What the program sees, and what the caller gave.
pub(super) struct Begun<'k> {
    pub(super) host: RunHost<'k>,
    packet: Vec<u8>,
    ctx: Option<Vec<u8>>,
}

impl Kernel {
    /// Lays packet, keys and context out.
    ///
    /// # Errors
    /// As Linux.
    pub(super) fn begin_flow(
        &self,
        view: &attr::ProgTestRun,
        memory: &dyn UserMemory,
    ) -> Result<Begun<'_>, Errno> {
        let size = view.data_size_in() as usize;
        if view.flags() != 0
            || view.cpu() != 0
            || view.batch_size() != 0
            || !(ETH_HLEN..=PAGE).contains(&size)
        {
            return Err(Errno::EINVAL);
        }
        let packet = copy_in(memory, view.data_in(), size)?;
        let ctx = ctx::read(view, KEYS, memory)?;
        let mut given = ctx.iter().flatten().enumerate();
        if given.any(|(at, byte)| *byte != 0 && !FLAGS.contains(&at)) {
            return Err(Errno::EINVAL);
        }
        let flow = Flow {
            packet: Packet::new(&packet, 0, 0, 0)?,
            keys: Block::new(KEYS)?,
        };
        let keys = flow.keys.at(0);
        let mut host = RunHost::new(self, Input::Flow(flow), CTX_BYTES)?;
        host.ctx.set_u64(SKB_FLOW_KEYS, keys);
        host.sync_packet();
        let begun = Begun { host, packet, ctx };
        begun.reset();
        Ok(begun)
    }

    pub(super) fn run_flow_dissector(
        &self,
        prog: &Arc<Program>,
        view: &mut attr::ProgTestRun,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let mut begun = self.begin_flow(view, memory)?;
        let rounds = view.repeat().max(1);
        let mut last = 0;
        let mut spent = 0u64;
        for _ in 0..rounds {
            begun.reset();
            let (retval, ns) = self.repeat(prog, &mut begun.host, 1, None)?;
            last = retval;
            spent += u64::from(ns);
        }
        let average = u32::try_from(spent / u64::from(rounds)).unwrap_or(u32::MAX);
        finish(view, memory, &begun.found(), &[], (last, average))?;
        match &begun.ctx {
            Some(ctx) => ctx::write(view, ctx, memory),
            None => Ok(()),
        }
    }
}

impl Begun<'_> {
    fn keys(&self) -> Option<&Block> {
        match &self.host.input {
            Input::Flow(flow) => Some(&flow.keys),
            _ => None,
        }
    }

    /// Puts into the keys what is known before the program looks.
    fn reset(&self) {
        let Some(keys) = self.keys() else { return };
        keys.write(0, &[0; KEYS]);
        keys.write(NETWORK, &offset(ETH_HLEN));
        keys.write(TRANSPORT, &offset(ETH_HLEN));
        keys.write(PROTOCOL, self.packet.get(ETH_PROTOCOL).unwrap_or_default());
        let given = self.ctx.as_deref().and_then(|ctx| ctx.get(FLAGS));
        keys.write(FLAGS.start, given.unwrap_or_default());
    }

    /// What the program found; the headers lie in the packet, in order.
    fn found(&self) -> Vec<u8> {
        let Some(keys) = self.keys() else {
            return Vec::new();
        };
        let at = |field: usize| {
            let mut raw = [0; 2];
            keys.read(field, &mut raw);
            usize::from(u16::from_ne_bytes(raw))
        };
        let len = self.packet.len();
        let network = at(NETWORK).clamp(ETH_HLEN, len);
        let transport = at(TRANSPORT).clamp(network, len);
        keys.write(NETWORK, &offset(network));
        keys.write(TRANSPORT, &offset(transport));
        keys.bytes(0, KEYS)
    }
}

/// An offset as the keys hold it; packets are a page at most.
fn offset(at: usize) -> [u8; 2] {
    (at as u16).to_ne_bytes()
}

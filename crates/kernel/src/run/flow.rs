//! Test runs of flow dissectors: a packet in, what was found out about its headers out.

use std::ops::Range;
use std::sync::Arc;

use skep_abi::context::FlowKeys;
use skep_abi::{Errno, UserMemory, attr, copy_in};

use super::host::{Flow, Input, RunHost};
use super::packet::Packet;
use super::skb::CTX_BYTES;
use super::{ETH_HLEN, PAGE, ctx, finish};
use crate::kernel::Kernel;
use crate::memory::Block;
use crate::prog::Program;

/// The offset of `flow_keys` in `struct __sk_buff`.
const SKB_FLOW_KEYS: usize = 144;
/// Where the Ethernet header keeps the protocol.
const ETH_PROTOCOL: Range<usize> = 12..14;

/// What the program sees, and what the caller gave.
pub(super) struct Begun<'k> {
    pub(super) host: RunHost<'k>,
    packet: Vec<u8>,
    ctx: Option<FlowKeys>,
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
        let ctx = ctx::read(view, FlowKeys::SIZE, memory)?.map(|bytes| FlowKeys::prefix(&bytes));
        // The flags are all that callers may set.
        let only_flags = |given: &FlowKeys| given == FlowKeys::new().set_flags(given.flags());
        if !ctx.iter().all(only_flags) {
            return Err(Errno::EINVAL);
        }
        let flow = Flow {
            packet: Packet::new(&packet, 0, 0, 0)?,
            keys: Block::new(FlowKeys::SIZE)?,
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
        finish(view, memory, begun.found().bytes(), &[], (last, average))?;
        match &begun.ctx {
            Some(ctx) => ctx::write(view, ctx.bytes(), memory),
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
        let protocol = self.packet.get(ETH_PROTOCOL).unwrap_or_default();
        let protocol = protocol.try_into().map_or(0, u16::from_ne_bytes);
        let mut known = FlowKeys::new();
        known
            .set_nhoff(offset(ETH_HLEN))
            .set_thoff(offset(ETH_HLEN))
            .set_n_proto(protocol)
            .set_flags(self.ctx.as_ref().map_or(0, FlowKeys::flags));
        keys.write(0, known.bytes());
    }

    /// What the program found; the headers lie in the packet, in order.
    fn found(&self) -> FlowKeys {
        let Some(keys) = self.keys() else {
            return FlowKeys::new();
        };
        let mut found = FlowKeys::prefix(&keys.bytes(0, FlowKeys::SIZE));
        let len = offset(self.packet.len());
        let network = found.nhoff().clamp(offset(ETH_HLEN), len);
        let transport = found.thoff().clamp(network, len);
        found.set_nhoff(network).set_thoff(transport);
        found
    }
}

/// An offset as the keys hold it; packets are a page at most.
fn offset(at: usize) -> u16 {
    at as u16
}

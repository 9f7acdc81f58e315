//! Test runs of programs on netfilter's hooks: which packets and hooks Linux takes. Programs that
//! look at the packet need the kernel's own structures and do not run here.

use std::sync::Arc;

use skep_abi::{Errno, UserMemory, attr, copy_in};

use super::host::{Input, RunHost};
use super::{PAGE, ctx};
use crate::kernel::Kernel;
use crate::prog::Program;

/// Bytes of an Ethernet header, and of the smallest ones behind it.
const ETH_HLEN: usize = 14;
const IP_HLEN: usize = 20;
const IPV6_HLEN: usize = 40;
/// Where an Ethernet header says what follows, and what it says.
const ETH_TYPE: usize = 12;
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
/// The most bytes of a packet: a page with room in front and Linux's own data behind.
const SIZE_MAX: usize = PAGE - 64 - 320;
/// Bytes of `struct nf_hook_state`; only the first two may be set.
const STATE_SIZE: usize = 48;
const SETTABLE: usize = 8;
/// The hook and the family of a run that names none: IPv4 on its way out.
const LOCAL_OUT: u8 = 3;
const FAMILIES: [u8; 2] = [2, 10];
/// The context: a pointer to the packet, and one to the hook.
const CTX_BYTES: usize = 16;

impl Kernel {
    pub(super) fn run_netfilter(
        &self,
        prog: &Arc<Program>,
        view: &mut attr::ProgTestRun,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let size = view.data_size_in() as usize;
        if view.flags() != 0
            || view.cpu() != 0
            || view.batch_size() != 0
            || !(IP_HLEN..=SIZE_MAX).contains(&size)
        {
            return Err(Errno::EINVAL);
        }
        let state = ctx::read(view, STATE_SIZE, memory)?;
        let packet = copy_in(memory, view.data_in(), size)?;
        let (hook, family) = match &state {
            Some(state) => hook(state)?,
            None => (LOCAL_OUT, FAMILIES[0]),
        };
        if hook != LOCAL_OUT {
            check_packet(&packet, family)?;
        }
        let mut host = RunHost::new(self, Input::None, CTX_BYTES)?;
        let (retval, duration) = self.repeat(prog, &mut host, view.repeat(), None)?;
        if view.data_out() != 0 && view.data_size_out() == 0 {
            return Err(Errno::EFAULT);
        }
        // Nothing of the packet is given back.
        view.set_data_size_out(0);
        view.set_retval(retval).set_duration(duration);
        Ok(())
    }
}

/// The hook and the family that the caller asked for.
fn hook(state: &[u8]) -> Result<(u8, u8), Errno> {
    let set = state.iter().skip(SETTABLE).any(|byte| *byte != 0);
    match state {
        [hook, family, ..] if !set && FAMILIES.contains(family) => Ok((*hook, *family)),
        _ => Err(Errno::EINVAL),
    }
}

/// Except on its way out, a packet has an Ethernet header, and one of the family behind it.
fn check_packet(packet: &[u8], family: u8) -> Result<(), Errno> {
    let kind = packet
        .get(ETH_TYPE..ETH_HLEN)
        .and_then(|b| b.try_into().ok());
    let network = packet.len().saturating_sub(ETH_HLEN);
    if network < IP_HLEN {
        return Err(Errno::EINVAL);
    }
    let fits = match kind.map(u16::from_be_bytes) {
        Some(ETH_P_IP) => family == FAMILIES[0],
        Some(ETH_P_IPV6) => network >= IPV6_HLEN && family == FAMILIES[1],
        _ => return Err(Errno::EPROTO),
    };
    if fits { Ok(()) } else { Err(Errno::EINVAL) }
}

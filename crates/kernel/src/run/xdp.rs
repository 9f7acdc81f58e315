//! Test runs of XDP programs.

use std::sync::Arc;

use skep_abi::context::XdpMd;
use skep_abi::{AttachType, Errno, TestRunFlags, UserMemory, attr, copy_in};

use super::host::{Input, RunHost};
use super::packet::{HEADROOM, Packet};
use super::{ETH_HLEN, LOOPBACK, PAGE, SHARED_INFO, ctx, finish};
use crate::kernel::Kernel;
use crate::prog::Program;

/// The most linear bytes of a packet.
const LINEAR_MAX: usize = PAGE - HEADROOM - SHARED_INFO;
/// The most bytes of fragments: seventeen pages.
const FRAGS_MAX: usize = 17 * PAGE;
/// Bytes that a frame's own description takes of the headroom.
pub(crate) const FRAME: usize = 40;

/// Offsets of the shadow words behind `struct xdp_md`.
pub(crate) const SHADOW_DATA: usize = 24;
pub(crate) const SHADOW_END: usize = 32;
pub(crate) const SHADOW_META: usize = 40;
const CTX_BYTES: usize = 48;

/// What the program sees, and how the packet looked before it ran.
pub(super) struct Begun<'k> {
    pub(super) host: RunHost<'k>,
    /// The caller's context, and whether it gave one.
    md: XdpMd,
    given: bool,
    /// Bytes in all, of metadata, and of both the metadata and the linear part.
    size: usize,
    meta_len: usize,
    linear: usize,
}

impl Kernel {
    /// Lays packet and context out.
    ///
    /// # Errors
    /// As Linux.
    pub(super) fn begin_xdp(
        &self,
        prog: &Program,
        view: &attr::ProgTestRun,
        memory: &dyn UserMemory,
    ) -> Result<Begun<'_>, Errno> {
        let flags = TestRunFlags(view.flags());
        let elsewhere = [AttachType::XdpDevmap, AttachType::XdpCpumap];
        if elsewhere.iter().any(|a| a.as_u32() == prog.attach_type)
            || !flags.beyond(TestRunFlags::XDP_LIVE_FRAMES).is_empty()
        {
            return Err(Errno::EINVAL);
        }
        if flags.contains(TestRunFlags::XDP_LIVE_FRAMES) {
            // Frames would have to go through a network stack.
            return Err(Errno::EOPNOTSUPP);
        }
        if view.batch_size() != 0 {
            return Err(Errno::EINVAL);
        }
        let size = view.data_size_in() as usize;
        let given = ctx::read(view, XdpMd::SIZE, memory)?.map(|bytes| XdpMd::prefix(&bytes));
        let md = given.clone().unwrap_or_default();
        let meta_len = md.data() as usize;
        let mut linear = size;
        if given.is_some() {
            if md.data_meta() != 0
                || md.data_end() as usize > size
                || md.data() > md.data_end()
                || !metadata_fits(meta_len)
            {
                return Err(Errno::EINVAL);
            }
            linear = md.data_end() as usize;
        }
        // The metadata comes out of the headroom.
        if size.saturating_sub(meta_len) < ETH_HLEN || meta_len + FRAME > HEADROOM {
            return Err(Errno::EINVAL);
        }
        let linear = linear.min(LINEAR_MAX);
        if size - linear > FRAGS_MAX {
            return Err(Errno::ENOMEM);
        }
        let bytes = copy_in(memory, view.data_in(), size)?;
        let ingress = self.ingress(&md)?;
        let (near, far) = bytes.split_at_checked(linear).ok_or(Errno::EINVAL)?;
        let tailroom = PAGE - SHARED_INFO - HEADROOM + meta_len - linear;
        let mut packet = Packet::new(near, meta_len, HEADROOM - meta_len, tailroom)?;
        packet.frags = far.to_vec();
        let mut host = RunHost::new(self, Input::Xdp(packet), CTX_BYTES)?;
        host.ctx.set_u32(12, ingress);
        host.sync_packet();
        Ok(Begun {
            host,
            md,
            given: given.is_some(),
            size,
            meta_len,
            linear,
        })
    }

    pub(super) fn run_xdp(
        &self,
        prog: &Arc<Program>,
        view: &mut attr::ProgTestRun,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let begun = self.begin_xdp(prog, view, memory)?;
        let Begun {
            mut host,
            mut md,
            given,
            size,
            meta_len,
            linear,
        } = begun;
        let done = self.repeat(prog, &mut host, view.repeat(), None)?;
        let Input::Xdp(packet) = &host.input else {
            return Err(Errno::EFAULT);
        };
        let out = packet.linear_with_meta();
        let changed = out.len() + packet.frags.len() != size
            || packet.data - packet.meta != meta_len
            || packet.end - packet.meta != linear;
        if given && changed {
            md.set_data((packet.data - packet.meta) as u32);
            md.set_data_end((packet.end - packet.meta) as u32);
        }
        finish(view, memory, &out, &packet.frags, done)?;
        ctx::write(view, md.bytes(), memory)
    }

    /// The interface that the packet comes from.
    fn ingress(&self, md: &XdpMd) -> Result<u32, Errno> {
        if md.egress_ifindex() != 0 || (md.ingress_ifindex() == 0 && md.rx_queue_index() != 0) {
            return Err(Errno::EINVAL);
        }
        match md.ingress_ifindex() {
            0 => Ok(LOOPBACK),
            index if index > self.interfaces => Err(Errno::ENODEV),
            // Every interface here has one queue.
            _ if md.rx_queue_index() != 0 => Err(Errno::EINVAL),
            index => Ok(index),
        }
    }
}

/// Whether metadata may have this length.
pub(crate) fn metadata_fits(len: usize) -> bool {
    len.is_multiple_of(4) && len < 256
}

//! Test runs of programs that choose the socket for a packet.

use std::sync::Arc;

use skep_abi::context::SkLookup;
use skep_abi::{Errno, UserMemory, attr};

use super::ctx;
use super::host::{Input, RunHost};
use super::socket::{AF_INET, AF_INET6};
use crate::kernel::Kernel;
use crate::prog::Program;

/// Where the fields end; what follows must be zero.
const END: usize = 68;

impl Kernel {
    /// Lays the context out; gives the caller's as well.
    ///
    /// # Errors
    /// As Linux.
    pub(super) fn begin_lookup(
        &self,
        view: &attr::ProgTestRun,
        memory: &dyn UserMemory,
    ) -> Result<(RunHost<'_>, SkLookup), Errno> {
        if view.flags() != 0
            || view.cpu() != 0
            || view.batch_size() != 0
            || view.data_in() != 0
            || view.data_size_in() != 0
            || view.data_out() != 0
            || view.data_size_out() != 0
        {
            return Err(Errno::EINVAL);
        }
        let given = ctx::read(view, SkLookup::SIZE, memory)?.ok_or(Errno::EINVAL)?;
        let given = SkLookup::prefix(&given);
        let host = RunHost::new(self, Input::None, SkLookup::SIZE)?;
        host.ctx.write(0, shown(&given)?.bytes());
        Ok((host, given))
    }

    pub(super) fn run_sk_lookup(
        &self,
        prog: &Arc<Program>,
        view: &mut attr::ProgTestRun,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let (mut host, given) = self.begin_lookup(view, memory)?;
        let (retval, duration) = self.repeat(prog, &mut host, view.repeat(), None)?;
        view.set_retval(retval).set_duration(duration);
        // Where the program sees a socket, the caller gets the cookie of the chosen one: zero,
        // as there are no sockets to choose here.
        ctx::write(view, given.bytes(), memory)
    }
}

/// The context as programs see it: only the addresses of its family, and ports and protocol
/// in the bytes that Linux keeps of them.
///
/// # Errors
/// `EINVAL` for fields that callers may not set, `ERANGE` for a port that is none,
/// `EAFNOSUPPORT`.
fn shown(given: &SkLookup) -> Result<SkLookup, Errno> {
    let rest = given.bytes().iter().skip(END);
    if given.cookie() != 0 || given.ingress_ifindex() != 0 || rest.copied().any(|byte| byte != 0) {
        return Err(Errno::EINVAL);
    }
    if given.local_port() > u32::from(u16::MAX) {
        return Err(Errno::ERANGE);
    }
    let mut shown = SkLookup::new();
    match given.family() {
        AF_INET => shown
            .set_remote_ip4(given.remote_ip4())
            .set_local_ip4(given.local_ip4()),
        AF_INET6 => shown
            .set_remote_ip6(given.remote_ip6())
            .set_local_ip6(given.local_ip6()),
        _ => return Err(Errno::EAFNOSUPPORT),
    };
    shown
        .set_family(given.family())
        .set_protocol(given.protocol() & u32::from(u16::MAX))
        .set_remote_port(given.remote_port())
        .set_local_port(given.local_port());
    Ok(shown)
}

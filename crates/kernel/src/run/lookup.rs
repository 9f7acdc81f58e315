//! Test runs of programs that choose the socket for a packet.

use std::ops::Range;
use std::sync::Arc;

use skep_abi::{Errno, UserMemory, attr};

use super::ctx;
use super::host::{Input, RunHost};
use crate::kernel::Kernel;
use crate::prog::Program;

/// Bytes of `struct bpf_sk_lookup`.
const SIZE: usize = 72;
/// Offsets of its fields.
const SOCKET: Range<usize> = 0..8;
const FAMILY: usize = 8;
const PROTOCOL: usize = 12;
const IP4: [Range<usize>; 2] = [16..20, 40..44];
const IP6: [Range<usize>; 2] = [20..36, 44..60];
const REMOTE_PORT: usize = 36;
const LOCAL_PORT: usize = 60;
/// What callers may not set: the interface, and what follows.
const UNUSED: Range<usize> = 64..SIZE;

const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;

impl Kernel {
    /// Lays the context out; gives the caller's as well.
    ///
    /// # Errors
    /// As Linux.
    pub(super) fn begin_lookup(
        &self,
        view: &attr::ProgTestRun,
        memory: &dyn UserMemory,
    ) -> Result<(RunHost<'_>, Vec<u8>), Errno> {
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
        let given = ctx::read(view, SIZE, memory)?.ok_or(Errno::EINVAL)?;
        let host = RunHost::new(self, Input::None, SIZE)?;
        host.ctx.write(0, &shown(&given)?);
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
        ctx::write(view, &given, memory)
    }
}

/// The context as programs see it: only the addresses of its family, and ports and protocol
/// in the bytes that Linux keeps of them.
///
/// # Errors
/// `EINVAL` for fields that callers may not set, `ERANGE` for a port that is none,
/// `EAFNOSUPPORT`.
fn shown(given: &[u8]) -> Result<Vec<u8>, Errno> {
    let part = |range: Range<usize>| given.get(range).unwrap_or_default();
    let word = |at: usize| {
        let bytes = given.get(at..at + 4).and_then(|b| b.try_into().ok());
        bytes.map_or(0, u32::from_ne_bytes)
    };
    let zero = |range: Range<usize>| part(range).iter().all(|byte| *byte == 0);
    if !zero(SOCKET) || !zero(UNUSED) {
        return Err(Errno::EINVAL);
    }
    if word(LOCAL_PORT) > u32::from(u16::MAX) {
        return Err(Errno::ERANGE);
    }
    let addresses = match word(FAMILY) {
        AF_INET => IP4,
        AF_INET6 => IP6,
        _ => return Err(Errno::EAFNOSUPPORT),
    };
    let mut shown = vec![0; given.len()];
    let mut copy = |range: Range<usize>| {
        if let Some(to) = shown.get_mut(range.clone()) {
            to.copy_from_slice(part(range));
        }
    };
    let [remote, local] = addresses;
    // The protocol is one byte here, the remote port two in network order.
    for range in [
        FAMILY..FAMILY + 4,
        PROTOCOL..PROTOCOL + 2,
        REMOTE_PORT..REMOTE_PORT + 2,
        LOCAL_PORT..LOCAL_PORT + 4,
        remote,
        local,
    ] {
        copy(range);
    }
    Ok(shown)
}

//! A program held ready on a virtual CPU: entering it costs hardly more than a call.

use std::sync::Arc;
use std::time::Instant;

use skep_abi::{Buffers, Errno, ProgFlags, ProgType, attr};
use skep_maps::Grace;
use skep_vm::{CpuGuard, Prepared};

use super::host::{Input, RunHost};
use crate::kernel::Kernel;
use crate::prog::Program;
use crate::stats::Counting;

/// A program with its input, ready to run again and again.
///
/// It owns a virtual CPU: runs that other threads begin meanwhile take another one or wait for
/// it, and those of the same thread answer `EBUSY` when it has them all. So a runner is kept as
/// long as it is used, and not longer. Between runs it lets go of what maps gave up, so that
/// elements which others delete do not pile up.
///
/// Cost of a run: about two nanoseconds above the program's own time when it only computes and
/// calls maps, about ten when it calls other helpers; limits and statistics are extra.
///
/// ```
/// use skep_abi::{Bpf, Buffers, Cmd, ProgType, attr};
/// use skep_isa::Insn;
/// use skep_kernel::Kernel;
///
/// let kernel = Kernel::builder().build();
/// // r0 = *(u32 *)(ctx + 0); exit
/// let insns = Insn::slice_to_bytes(&[Insn::new(0x61, 0, 1, 0, 0), Insn::exit()]);
/// let mut memory = Buffers::new();
/// let mut load = attr::ProgLoad::new();
/// load.set_prog_type(ProgType::Syscall.into())
///     .set_prog_flags(1 << 4) // such programs may sleep
///     .set_insn_cnt(2)
///     .set_insns(memory.input(&insns))
///     .set_license(memory.input(b"GPL\0"));
/// let fd = kernel.bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory)?;
///
/// let mut runner = kernel.runner(fd, &[], &7u32.to_ne_bytes())?;
/// assert_eq!(runner.run()?, 7);
/// runner.write_ctx(0, &8u32.to_ne_bytes())?;
/// assert_eq!(runner.run()?, 8);
/// # Ok::<(), skep_abi::Errno>(())
/// ```
pub struct Runner<'k> {
    kernel: &'k Kernel,
    /// Who waits for its runs, and whether they are counted.
    grace: &'k Grace,
    counting: &'k Counting,
    prog: Arc<Program>,
    prepared: Prepared,
    // The host goes before the CPU that its programs ran on.
    host: RunHost<'k>,
    cpu: CpuGuard<'k>,
    /// Bytes of the context that the caller gave.
    ctx_len: usize,
    /// Why the last run that did not end had to.
    stopped: Errno,
}

impl Kernel {
    /// Holds a program ready for runs on a packet, where its type has one, and on a context:
    /// the arguments of a raw tracepoint, the structure of a `syscall` or `sk_lookup` program,
    /// or that of a packet program (which may be empty).
    ///
    /// # Errors
    /// `EBADF` and `EINVAL` when the descriptor is no program, or for input that does not suit
    /// it, as for `BPF_PROG_TEST_RUN`; `ENOTSUPP` and `EOPNOTSUPP` for programs that it does
    /// not run; `EBUSY` when the thread has all CPUs in other runners.
    pub fn runner(&self, prog_fd: u32, data: &[u8], ctx: &[u8]) -> Result<Runner<'_>, Errno> {
        let prog = self.fds.prog(prog_fd)?;
        let mut memory = Buffers::new();
        let mut view = attr::ProgTestRun::new();
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| Errno::E2BIG);
        if !data.is_empty() {
            view.set_data_size_in(len(data)?)
                .set_data_in(memory.input(data));
        }
        if !ctx.is_empty() {
            view.set_ctx_size_in(len(ctx)?)
                .set_ctx_in(memory.input(ctx));
        }
        use ProgType::*;
        let mut host = match ProgType::from_u32(prog.prog_type) {
            Some(SocketFilter | SchedCls | SchedAct | CgroupSkb | LwtIn | LwtOut | LwtXmit) => {
                self.begin_skb(&prog, &view, &memory)?.host
            }
            Some(Xdp) => self.begin_xdp(&prog, &view, &memory)?.host,
            Some(RawTracepoint | Syscall) if !data.is_empty() => return Err(Errno::EINVAL),
            Some(RawTracepoint) => self.plain_host(&prog, ctx, true)?,
            Some(Syscall) => self.plain_host(&prog, ctx, false)?,
            Some(FlowDissector) => self.begin_flow(&view, &memory)?.host,
            Some(SkLookup) if !data.is_empty() => return Err(Errno::EINVAL),
            Some(SkLookup) => self.begin_lookup(&view, &memory)?.0,
            _ => return Err(Errno::ENOTSUPP),
        };
        let linked = prog.runnable()?;
        let cpu = self.vcpus.take_any().ok_or(Errno::EBUSY)?;
        host.enter(&prog, cpu.id())?;
        let sleeps = prog.flags.contains(ProgFlags::SLEEPABLE);
        let rcu = &self.rcu;
        Ok(Runner {
            kernel: self,
            grace: if sleeps { &rcu.sleepable } else { &rcu.plain },
            counting: &self.counting,
            prepared: self.prepared(linked),
            prog,
            host,
            cpu,
            ctx_len: ctx.len(),
            stopped: Errno::EFAULT,
        })
    }
}

impl Runner<'_> {
    /// Runs the program once and gives r0. Packet and context stay as it leaves them.
    ///
    /// # Errors
    /// `EFAULT` when the run was stopped, with the reason in [`Kernel::last_trap`];
    /// `EOPNOTSUPP` for a helper that does not run here. What the run had reserved is given
    /// back with the runner.
    #[inline]
    pub fn run(&mut self) -> Result<u64, Errno> {
        if !self.grace.is_waited_for()
            && !self.counting.is_on()
            && let Some(r0) = self.prepared.run_leaf(&self.cpu, self.host.ctx_address())
        {
            return Ok(r0);
        }
        self.run_wholly().ok_or(self.stopped)
    }

    /// A run with all that can be to it. The answer comes back in registers, which a `Result`
    /// does not, so that callers keep that of simple runs in one, too.
    #[cold]
    #[inline(never)]
    fn run_wholly(&mut self) -> Option<u64> {
        if self.grace.is_waited_for() {
            self.host.pass = self.grace.enter();
        }
        let started = self.counting.is_on().then(Instant::now);
        let (kernel, ctx) = (self.kernel, self.host.ctx_address());
        let ran = self
            .prepared
            .run(&mut self.cpu, &mut self.host, ctx, || kernel.limits());
        if let Some(started) = started {
            self.prog.count(1, started.elapsed().as_nanos());
        }
        match ran {
            Ok(r0) => Some(r0),
            Err(stopped) => {
                self.stopped = kernel.note_stop(&stopped);
                None
            }
        }
    }

    /// The context as the last run left it, for programs without a packet; empty for others.
    pub fn ctx(&self) -> Vec<u8> {
        match self.host.input {
            Input::None => self.host.ctx.bytes(0, self.ctx_len),
            _ => Vec::new(),
        }
    }

    /// Overwrites bytes of the context, for programs without a packet.
    ///
    /// # Errors
    /// `EINVAL` for programs that have one, and for bytes beyond the context's end.
    pub fn write_ctx(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Errno> {
        let end = offset.checked_add(bytes.len());
        let fits = end.is_some_and(|end| end <= self.ctx_len);
        if !matches!(self.host.input, Input::None) || !fits {
            return Err(Errno::EINVAL);
        }
        self.host.ctx.write(offset, bytes);
        Ok(())
    }

    /// The packet as the last run left it; empty for programs without one.
    pub fn packet(&self) -> Vec<u8> {
        self.host
            .packet()
            .map_or_else(Vec::new, |packet| packet.whole())
    }

    /// Overwrites bytes of the packet, counted from where its data begin.
    ///
    /// # Errors
    /// `EINVAL` when there is no packet, `EFAULT` for bytes beyond its end.
    pub fn write_packet(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Errno> {
        let packet = self.host.packet_mut().ok_or(Errno::EINVAL)?;
        packet.store(offset, bytes)
    }
}

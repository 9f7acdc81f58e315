//! Test runs of programs without a packet: raw tracepoints and system calls.

use std::sync::Arc;

use skep_abi::{AttachType, Errno, TestRunFlags, UserMemory, attr, copy_in};

use super::host::{Input, RunHost};
use crate::kernel::Kernel;
use crate::prog::Program;

/// The most arguments of a raw tracepoint, in bytes.
const RAW_ARGS_MAX: usize = 12 * 8;
/// The most bytes of a system call program's context.
const SYSCALL_CTX_MAX: usize = u16::MAX as usize;

impl Kernel {
    fn raw_tracepoint_host(&self, args: &[u8]) -> Result<RunHost<'_>, Errno> {
        let host = RunHost::new(self, Input::None, RAW_ARGS_MAX)?;
        host.ctx.write(0, args);
        Ok(host)
    }

    fn syscall_host(&self, ctx: &[u8]) -> Result<RunHost<'_>, Errno> {
        let host = RunHost::new(self, Input::None, ctx.len().max(8))?;
        host.ctx.write(0, ctx);
        Ok(host)
    }

    /// What a program without a packet sees when it is held ready.
    ///
    /// # Errors
    /// `EINVAL` for a context that is too short or too long.
    pub(super) fn plain_host(
        &self,
        prog: &Program,
        ctx: &[u8],
        raw: bool,
    ) -> Result<RunHost<'_>, Errno> {
        let most = if raw { RAW_ARGS_MAX } else { SYSCALL_CTX_MAX };
        if !(prog.ctx_needed()..=most).contains(&ctx.len()) {
            return Err(Errno::EINVAL);
        }
        match raw {
            true => self.raw_tracepoint_host(ctx),
            false => self.syscall_host(ctx),
        }
    }

    pub(super) fn run_raw_tracepoint(
        &self,
        prog: &Arc<Program>,
        view: &mut attr::ProgTestRun,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let flags = TestRunFlags(view.flags());
        let size = view.ctx_size_in() as usize;
        if unused(view)
            || view.batch_size() != 0
            || size < prog.ctx_needed()
            || size > RAW_ARGS_MAX
            || !flags.beyond(TestRunFlags::RUN_ON_CPU).is_empty()
        {
            return Err(Errno::EINVAL);
        }
        let here = !flags.contains(TestRunFlags::RUN_ON_CPU);
        if here && view.cpu() != 0 {
            return Err(Errno::EINVAL);
        }
        let bytes = copy_in(memory, view.ctx_in(), size)?;
        if !here && view.cpu() >= self.cpus {
            return Err(Errno::ENXIO);
        }
        let cpu = (!here).then_some(view.cpu());
        let mut host = self.raw_tracepoint_host(&bytes)?;
        let (retval, _) = self.repeat(prog, &mut host, 1, cpu)?;
        view.set_retval(retval);
        Ok(())
    }

    /// Linux calls functions of its own that programs can be attached to, and runs nothing for
    /// tracepoints and iterators.
    ///
    /// # Errors
    /// `EINVAL` for what this kind of run does not take; `EFAULT` for programs on tracepoints and
    /// iterators; `EOPNOTSUPP` for the others, as nothing is attached here yet.
    pub(super) fn run_tracing(
        &self,
        prog: &Program,
        view: &attr::ProgTestRun,
    ) -> Result<(), Errno> {
        if view.flags() != 0 || view.cpu() != 0 || view.batch_size() != 0 {
            return Err(Errno::EINVAL);
        }
        if hooks_functions(prog) {
            self.note_trap("unsupported: functions of the kernel are not called here".to_owned());
            return Err(Errno::EOPNOTSUPP);
        }
        Err(Errno::EFAULT)
    }

    pub(super) fn run_syscall(
        &self,
        prog: &Arc<Program>,
        view: &mut attr::ProgTestRun,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let size = view.ctx_size_in() as usize;
        if unused(view)
            || view.flags() != 0
            || view.batch_size() != 0
            || size < prog.ctx_needed()
            || size > SYSCALL_CTX_MAX
        {
            return Err(Errno::EINVAL);
        }
        let bytes = copy_in(memory, view.ctx_in(), size)?;
        let mut host = self.syscall_host(&bytes)?;
        let (retval, _) = self.repeat(prog, &mut host, 1, None)?;
        memory.write(view.ctx_in(), &host.ctx.bytes(0, size))?;
        view.set_retval(retval);
        Ok(())
    }
}

/// Whether a program is called where functions of the kernel begin, return, or give a result.
fn hooks_functions(prog: &Program) -> bool {
    [
        AttachType::TraceFentry,
        AttachType::TraceFexit,
        AttachType::ModifyReturn,
    ]
    .iter()
    .any(|hook| prog.attach_type == *hook as u32)
}

/// Whether the caller set something that neither kind takes.
fn unused(view: &attr::ProgTestRun) -> bool {
    view.data_in() != 0
        || view.data_out() != 0
        || view.ctx_out() != 0
        || view.duration() != 0
        || view.repeat() != 0
}

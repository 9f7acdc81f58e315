//! Test runs of programs without a packet: raw tracepoints and system calls.

use std::sync::Arc;

use skep_abi::{Errno, TestRunFlags, UserMemory, attr, copy_in};

use super::host::{Input, RunHost};
use crate::kernel::Kernel;
use crate::prog::Program;

/// The most arguments of a raw tracepoint, in bytes.
const RAW_ARGS_MAX: usize = 12 * 8;
/// The most bytes of a system call program's context.
const SYSCALL_CTX_MAX: usize = u16::MAX as usize;

impl Kernel {
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
        let mut host = RunHost::new(self, Input::None, RAW_ARGS_MAX)?;
        host.ctx.write(0, &bytes);
        let (retval, _) = self.repeat(prog, &mut host, 1, cpu)?;
        view.set_retval(retval);
        Ok(())
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
            || view.cpu() != 0
            || view.batch_size() != 0
            || size < prog.ctx_needed()
            || size > SYSCALL_CTX_MAX
        {
            return Err(Errno::EINVAL);
        }
        let bytes = copy_in(memory, view.ctx_in(), size)?;
        let mut host = RunHost::new(self, Input::None, size.max(8))?;
        host.ctx.write(0, &bytes);
        let (retval, _) = self.repeat(prog, &mut host, 1, None)?;
        memory.write(view.ctx_in(), &host.ctx.bytes(0, size))?;
        view.set_retval(retval);
        Ok(())
    }
}

/// Whether the caller set something that neither kind takes.
fn unused(view: &attr::ProgTestRun) -> bool {
    view.data_in() != 0
        || view.data_out() != 0
        || view.ctx_out() != 0
        || view.duration() != 0
        || view.repeat() != 0
}

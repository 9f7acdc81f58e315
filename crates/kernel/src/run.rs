//! `BPF_PROG_TEST_RUN`: one program on one input.

use skep_abi::{Errno, UserMemory, attr};

use crate::kernel::Kernel;

impl Kernel {
    /// Runs a program.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL` for what is no program, `EOPNOTSUPP` for types that do not run here.
    pub(crate) fn test_run(
        &self,
        view: &mut attr::ProgTestRun,
        _memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        self.fds.prog(view.prog_fd())?;
        Err(Errno::EOPNOTSUPP)
    }
}

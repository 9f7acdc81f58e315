//! The kernel as the process sees it that holds it, whoever else it serves.

use skep_abi::{Bpf, Cmd, Errno, Files, UserMemory, attr};

use crate::kernel::Kernel;

/// A kernel whose answers about programs leave nothing out; everything else passes through.
#[derive(Clone, Copy)]
pub struct Inside<'k>(&'k Kernel);

impl Kernel {
    /// The same kernel for looking at programs that were loaded by somebody without rights.
    pub fn inside(&self) -> Inside<'_> {
        Inside(self)
    }
}

impl Bpf for Inside<'_> {
    fn bpf(&self, cmd: u32, attr: &mut [u8], memory: &mut dyn UserMemory) -> Result<u32, Errno> {
        if Cmd::from_u32(cmd) != Some(Cmd::ObjGetInfoByFd) {
            return self.0.bpf(cmd, attr, memory);
        }
        let mut view = attr::ObjGetInfo::checked(attr)?;
        self.0.info_for(&mut view, memory, true)?;
        view.write_back(attr);
        Ok(0)
    }
}

impl Files for Inside<'_> {
    fn close(&self, fd: u32) -> Result<(), Errno> {
        self.0.close(fd)
    }

    fn dup(&self, fd: u32) -> Result<u32, Errno> {
        self.0.dup(fd)
    }

    fn kernel_btf(&self) -> Result<Vec<u8>, Errno> {
        self.0.kernel_btf()
    }
}

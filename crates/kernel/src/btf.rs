//! `BPF_BTF_LOAD`: type information as an object of the kernel.

mod check;

use std::sync::Arc;

use skep_abi::{Errno, UserMemory, attr, copy_in};
use skep_btf::{Btf, BtfError, Problem};

use crate::fds::File;
use crate::id::Id;
use crate::kernel::Kernel;
use crate::log::UserLog;

/// The most bytes of a BTF blob (`BTF_MAX_SIZE`).
const SIZE_MAX: u32 = 16 << 20;
/// `BPF_F_TOKEN_FD`, the only flag.
const TOKEN_FD: u32 = 1 << 16;

/// Loaded BTF.
pub(crate) struct BtfObject {
    pub(crate) id: Id<BtfObject>,
    pub(crate) btf: Arc<Btf>,
    /// Whether it describes the kernel itself.
    pub(crate) is_kernel: bool,
    pub(crate) name: String,
}

impl Kernel {
    /// Loads BTF and opens it.
    ///
    /// # Errors
    /// `E2BIG` for a blob past 16 MiB, `EINVAL` for one that is malformed, `EFAULT`, and
    /// `ENOSPC` when the log did not fit.
    pub(crate) fn btf_load(
        &self,
        view: &mut attr::BtfLoad,
        memory: &mut dyn UserMemory,
    ) -> Result<u32, Errno> {
        if view.btf_flags() & !TOKEN_FD != 0 {
            return Err(Errno::EINVAL);
        }
        if view.btf_flags() & TOKEN_FD != 0 {
            self.fds
                .get(u32::try_from(view.btf_token_fd()).map_err(|_| Errno::EBADF)?)?;
            return Err(Errno::EINVAL);
        }
        self.need_capable()?;
        if view.btf_size() > SIZE_MAX {
            return Err(Errno::E2BIG);
        }
        let log = UserLog::new(
            view.btf_log_level(),
            view.btf_log_buf(),
            view.btf_log_size(),
        )?;
        let raw = copy_in(memory, view.btf(), view.btf_size() as usize)?;
        let (text, parsed) = match Btf::parse(&raw) {
            Ok(btf) => match check::check(&btf) {
                Ok(()) => (String::new(), Ok(btf)),
                Err((errno, why)) => (format!("{why}\n"), Err(errno)),
            },
            Err(problem) => (format!("{problem}\n"), Err(errno_of(&problem))),
        };
        let written = log.finish(text.as_bytes(), text.len() as u64, memory);
        view.set_btf_log_true_size(log.true_size(text.len() as u64));
        let btf = Arc::new(parsed?);
        written?;
        let object = self.btfs.register(|id| BtfObject {
            id,
            btf,
            is_kernel: false,
            name: String::new(),
        });
        self.fds.insert(File::Btf(object))
    }
}

/// What Linux answers to a blob that cannot be read.
fn errno_of(error: &BtfError) -> Errno {
    match error.problem {
        // Versions and flags of the future are not wrong, only unknown.
        Problem::Version(_) | Problem::Flags(_) => Errno::ENOTSUPP,
        _ => Errno::EINVAL,
    }
}

//! `BPF_BTF_LOAD`: type information as an object of the kernel.

use std::sync::Arc;

use skep_abi::{Capabilities, Errno, UserMemory, attr, copy_in};
use skep_btf::Btf;
use skep_verifier::ModuleFacts;

use crate::fds::File;
use crate::id::{Id, Ids};
use crate::kernel::Kernel;
use crate::log::UserLog;
use crate::module::Module;

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
    /// What is known of it when it is a module's.
    pub(crate) module: Option<Arc<ModuleFacts>>,
}

impl Kernel {
    /// Loads BTF and opens it.
    ///
    /// # Errors
    /// `E2BIG` for a blob past 16 MiB, what [`skep_btf::check`] objects to, `EFAULT`, and
    /// before those `ENOSPC` when the log did not fit.
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
        self.need(Capabilities::BPF)?;
        if view.btf_size() > SIZE_MAX {
            return Err(Errno::E2BIG);
        }
        let log = UserLog::new(
            view.btf_log_level(),
            view.btf_log_buf(),
            view.btf_log_size(),
        )?;
        let raw = copy_in(memory, view.btf(), view.btf_size() as usize)?;
        let report = skep_btf::check(&raw, log.level() != 0);
        let peak = report.log.len() as u64;
        let written = log.finish(&report.log, peak, memory);
        view.set_btf_log_true_size(log.true_size(peak));
        written?;
        report.verdict?;
        for name in &report.kept {
            may_own(self.kernel_btf.as_deref(), name)?;
        }
        // What Linux takes, the parser can read.
        let btf = Arc::new(Btf::parse_on(raw, None).map_err(|_| Errno::EINVAL)?);
        let object = self.btfs.register(|id| BtfObject {
            id,
            btf,
            is_kernel: false,
            name: String::new(),
            module: None,
        });
        self.fds.insert(File::Btf(object))
    }
}

/// The types that are there before the first command: the kernel's own and, behind them, those of
/// its modules.
pub(crate) fn built_in(
    btfs: &Arc<Ids<BtfObject>>,
    kernel: Option<&Arc<Btf>>,
    modules: Vec<Module>,
) -> Vec<Arc<BtfObject>> {
    let Some(kernel) = kernel else {
        return Vec::new();
    };
    let own = btfs.register(|id| BtfObject {
        id,
        btf: kernel.clone(),
        is_kernel: true,
        name: "vmlinux".into(),
        module: None,
    });
    let modules = modules.into_iter().map(|module| {
        btfs.register(|id| BtfObject {
            id,
            btf: module.facts.btf.clone(),
            is_kernel: true,
            name: module.facts.name.clone(),
            module: Some(Arc::new(module.facts)),
        })
    });
    std::iter::once(own).chain(modules).collect()
}

/// Whether a counted pointer to a structure of this name may be kept: to the program's own
/// structures, and to those of the kernel that can be given back.
///
/// # Errors
/// `ENOENT`.
pub(crate) fn may_own(kernel: Option<&Btf>, name: &str) -> Result<(), Errno> {
    let foreign = kernel.is_some_and(|btf| {
        btf.find_by_name_kind(name, skep_btf::Kind::Struct)
            .is_some()
    });
    if foreign && !skep_catalog::has_destructor(name) {
        return Err(Errno::ENOENT);
    }
    Ok(())
}

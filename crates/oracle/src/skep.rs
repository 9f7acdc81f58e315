//! skep's own kernel as one who is asked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use skep_abi::{Capabilities, Errno};
use skep_btf::Btf;
use skep_kernel::{Credentials, Kernel, Module};
use skep_loader::inspect;

use crate::ask::Unasked;
use crate::subject::{LookingWork, Subject, Work};

/// The count of CPUs of every kernel that is asked.
const CPUS: u32 = 2;
/// Where a Linux kernel shows its own types.
const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// skep, a new kernel for each question.
#[derive(Default)]
pub struct Skep {
    btf: OnceLock<Option<Arc<Btf>>>,
    modules: Vec<Arc<Btf>>,
    last: Mutex<(u64, u64)>,
}

impl Skep {
    /// skep with the types of the running kernel, where these can be read.
    pub fn new() -> Skep {
        Skep::default()
    }

    /// skep with the types of a kernel, and of modules of it, each in its file.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn with_types(kernel: &Path, modules: &[PathBuf]) -> Result<Skep, String> {
        let read = |path: &Path, base: Option<&Arc<Btf>>| {
            let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
            let types = Btf::parse_on(bytes, base.cloned());
            types
                .map(Arc::new)
                .map_err(|e| format!("{}: {e}", path.display()))
        };
        let base = read(kernel, None)?;
        let modules = modules.iter().map(|path| read(path, Some(&base)));
        Ok(Skep {
            modules: modules.collect::<Result<_, _>>()?,
            btf: OnceLock::from(Some(base)),
            ..Skep::default()
        })
    }

    /// The instructions walked by the last verification, and the bytes of the states that it
    /// kept at most.
    pub fn last_verification(&self) -> (u64, u64) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kernel_btf(&self) -> Option<Arc<Btf>> {
        self.btf.get_or_init(running_btf).clone()
    }
}

/// The types of the running kernel, where these can be read.
pub(crate) fn running_btf() -> Option<Arc<Btf>> {
    let bytes = std::fs::read(Path::new(KERNEL_BTF)).ok()?;
    Btf::parse_on(bytes, None).ok().map(Arc::new)
}

impl Subject for Skep {
    fn name(&self) -> String {
        "skep".to_owned()
    }

    /// A panic of skep is a failure to ask, so that one report names every trouble.
    fn with(&self, capabilities: Capabilities, work: Work<'_>) -> Result<(), Unasked> {
        self.with_look(capabilities, &mut |kernel, _| work(kernel))
    }

    fn with_look(&self, capabilities: Capabilities, work: LookingWork<'_>) -> Result<(), Unasked> {
        let credentials = match capabilities {
            Capabilities::ALL => Credentials::root(),
            some => Credentials::with(some),
        };
        let mut builder = Kernel::builder()
            .cpus(CPUS)
            .credentials(credentials)
            .unprivileged_bpf(true);
        if let Some(btf) = self.kernel_btf() {
            builder = builder.kernel_btf(btf);
        }
        for module in &self.modules {
            let module = Module::new("module", Arc::clone(module));
            builder = builder.module(module).map_err(|error| Unasked {
                what: error.to_string(),
                errno: Errno::EINVAL,
            })?;
        }
        let kernel = builder.build();
        let look = |fd| inspect::prog_details(&kernel.inside(), fd);
        let done = catch_unwind(AssertUnwindSafe(|| work(&kernel, &look))).map_err(|_| Unasked {
            what: "skep panicked".to_owned(),
            errno: Errno::EFAULT,
        });
        let stats = kernel.last_stats();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) =
            (stats.insns_processed.into(), stats.peak_bytes);
        done
    }
}

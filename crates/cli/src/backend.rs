//! Which kernel answers, and what the loader must know of the machine it runs on.

use std::collections::BTreeMap;
use std::sync::Arc;

use skep::{Extern, ExternKind, KernelConfig, LoadOptions, Object};
use skep_abi::{Backend, Capabilities};

use crate::args::{Common, Engine};
use crate::gunzip::gunzip;
use crate::types::KernelTypes;

/// Where Linux shows its own types.
const RUNNING_KERNEL: &str = "/sys/kernel/btf";

/// A kernel, and how to load into it.
pub struct Chosen {
    kernel: Answering,
    /// What a load depends on besides.
    pub options: LoadOptions,
}

/// Who answers. There is one of these in a run of the command, so size does not matter.
#[allow(clippy::large_enum_variant)]
enum Answering {
    Skep(skep::Kernel),
    Linux(skep_host::Host),
}

impl Chosen {
    /// The kernel.
    pub fn kernel(&self) -> &dyn Backend {
        match &self.kernel {
            Answering::Skep(kernel) => kernel,
            Answering::Linux(host) => host,
        }
    }

    /// Does `work` as a caller with these capabilities: with Linux the thread that does it
    /// gives up the others, skep's kernel was made so.
    pub fn with_capabilities<T: Send>(
        &self,
        capabilities: Option<Capabilities>,
        work: impl FnOnce() -> T + Send,
    ) -> Result<T, String> {
        match (&self.kernel, capabilities) {
            (Answering::Linux(_), Some(keep)) => skep_host::with_capabilities(keep, work)
                .map_err(|errno| format!("capabilities cannot be given up: {errno}")),
            _ => Ok(work()),
        }
    }

    /// Where the native code of skep's programs lies, for profilers.
    pub fn perf_map(&self) -> Option<String> {
        match &self.kernel {
            Answering::Skep(kernel) => Some(kernel.perf_map()),
            Answering::Linux(_) => None,
        }
    }

    /// Why the last run was stopped, when the kernel can tell more than an error number.
    pub fn stopped_because(&self) -> Option<String> {
        match &self.kernel {
            Answering::Skep(kernel) => kernel.last_trap(),
            Answering::Linux(_) => None,
        }
    }
}

/// Makes the kernel that the command line asks for; `engine` tells how skep runs programs.
pub fn choose(common: &Common, engine: Engine) -> Result<Chosen, String> {
    choose_for(common, engine, None)
}

/// The same for a caller with these capabilities, if they are given.
pub fn choose_for(
    common: &Common,
    engine: Engine,
    capabilities: Option<Capabilities>,
) -> Result<Chosen, String> {
    let given = match &common.btf {
        Some(path) => Some(KernelTypes::read(path)?),
        None => None,
    };
    let mut options = LoadOptions {
        target_btf: given.as_ref().map(|types| Arc::clone(&types.own)),
        modules: given
            .iter()
            .flat_map(|types| types.modules.clone())
            .collect(),
        config: config(common)?,
        ..LoadOptions::default()
    };
    let cpus = std::thread::available_parallelism().map_or(1, |n| n.get());
    options.possible_cpus = u32::try_from(cpus).unwrap_or(1);
    if common.backend == "kernel" {
        let host = skep_host::Host::new();
        options.possible_cpus = host.possible_cpus().unwrap_or(options.possible_cpus);
        return Ok(Chosen {
            kernel: Answering::Linux(host),
            options,
        });
    }
    let mut builder = skep::Kernel::builder()
        .native(engine.native)
        .debugger(engine.debugger)
        .fuel(engine.fuel)
        .deadline(engine.deadline);
    if let Some(capabilities) = capabilities {
        // The question is what the verifier says, not whether everybody may ask it.
        builder = builder
            .credentials(skep::Credentials::with(capabilities))
            .unprivileged_bpf(true);
    }
    if let Some(types) = given.or_else(|| KernelTypes::read(RUNNING_KERNEL).ok()) {
        options.modules = types.modules;
        builder = builder.kernel_btf(types.own);
    }
    Ok(Chosen {
        kernel: Answering::Skep(builder.build()),
        options,
    })
}

/// The configuration that `.kconfig` variables read: a file's, or the running kernel's as
/// far as files tell.
fn config(common: &Common) -> Result<KernelConfig, String> {
    let mut config = KernelConfig::default();
    let release = skep_host::Host::release();
    // skep's own kernel has a version, whatever it runs on.
    if let Some(release) = release.as_ref().filter(|_| common.backend == "kernel") {
        let mut parts = release
            .split(|c: char| !c.is_ascii_digit())
            .map(|part| part.parse().ok());
        let mut part = || parts.next().flatten().unwrap_or(0u32);
        config.version = part() << 16 | part() << 8 | part().min(255);
    }
    let running = release.map(|release| format!("/boot/config-{release}"));
    let given = common.kconfig.as_deref();
    let text = match (given, running.and_then(|path| std::fs::read(path).ok())) {
        (Some(path), _) => std::fs::read(path).map_err(|error| format!("{path}: {error}"))?,
        (None, Some(text)) => text,
        (None, None) => std::fs::read("/proc/config.gz").unwrap_or_default(),
    };
    let text = match text.starts_with(&[0x1f, 0x8b]) {
        true => gunzip(&text).unwrap_or_default(),
        false => text,
    };
    config.read_options(&String::from_utf8_lossy(&text));
    Ok(config)
}

/// The addresses of the running kernel's symbols; `None` when they are hidden.
fn symbols() -> Option<BTreeMap<String, u64>> {
    let text = std::fs::read_to_string("/proc/kallsyms").ok()?;
    let mut symbols = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(address), Some(_), Some(name)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let address = u64::from_str_radix(address, 16).unwrap_or(0);
        if address != 0 {
            symbols.entry(name.to_string()).or_insert(address);
        }
    }
    (!symbols.is_empty()).then_some(symbols)
}

impl Chosen {
    /// Whether the running Linux answers.
    pub fn is_linux(&self) -> bool {
        matches!(self.kernel, Answering::Linux(_))
    }

    /// The addresses of the running kernel's symbols; `None` when they are hidden.
    pub fn symbols(&self) -> Option<BTreeMap<String, u64>> {
        symbols()
    }

    /// How to load this object: what is costly to find out is found out only for objects
    /// that need it.
    pub fn options_for(&self, object: &Object) -> LoadOptions {
        let mut options = self.options.clone();
        let untyped = |ext: &Extern| ext.kind == ExternKind::Variable { ty: None };
        if object.externs.iter().any(untyped) {
            options.symbols = symbols().map(Arc::new);
        }
        options
    }
}

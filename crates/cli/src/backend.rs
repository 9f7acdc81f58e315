//! Which kernel answers, and what the loader must know of the machine it runs on.

use std::sync::Arc;

use skep::{KernelConfig, LoadOptions};
use skep_abi::Backend;
use skep_btf::Btf;
use skep_elf::ObjectFile;

use crate::args::Common;

/// Where Linux shows its own types.
const RUNNING_KERNEL: &str = "/sys/kernel/btf/vmlinux";

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

    /// Why the last run was stopped, when the kernel can tell more than an error number.
    pub fn stopped_because(&self) -> Option<String> {
        match &self.kernel {
            Answering::Skep(kernel) => kernel.last_trap(),
            Answering::Linux(_) => None,
        }
    }
}

/// Makes the kernel that the command line asks for; `native` tells how skep runs programs.
pub fn choose(common: &Common, native: bool) -> Result<Chosen, String> {
    let given = match &common.btf {
        Some(path) => Some(Arc::new(read_btf(path)?)),
        None => None,
    };
    let mut options = LoadOptions {
        target_btf: given.clone(),
        ..LoadOptions::default()
    };
    let cpus = std::thread::available_parallelism().map_or(1, |n| n.get());
    options.possible_cpus = u32::try_from(cpus).unwrap_or(1);
    if common.backend == "kernel" {
        let host = skep_host::Host::new();
        options.possible_cpus = host.possible_cpus().unwrap_or(options.possible_cpus);
        options.config = running_config();
        return Ok(Chosen {
            kernel: Answering::Linux(host),
            options,
        });
    }
    let mut builder = skep::Kernel::builder().native(native);
    if let Some(btf) = given.or_else(|| read_btf(RUNNING_KERNEL).ok().map(Arc::new)) {
        builder = builder.kernel_btf(btf);
    }
    Ok(Chosen {
        kernel: Answering::Skep(builder.build()),
        options,
    })
}

/// Reads types from a file that holds nothing else, or from the `.BTF` section of an ELF file.
fn read_btf(path: &str) -> Result<Btf, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let raw = match ObjectFile::parse(&bytes) {
        Ok(file) => match file.section_by_name(".BTF") {
            Some(section) => section.data.to_vec(),
            None => return Err(format!("{path}: the file has no section .BTF")),
        },
        Err(_) => bytes,
    };
    Btf::parse_on(raw, None).map_err(|error| format!("{path}: {error}"))
}

/// The configuration of the running kernel, as far as files tell.
fn running_config() -> KernelConfig {
    let mut config = KernelConfig::default();
    let Some(release) = skep_host::Host::release() else {
        return config;
    };
    let mut parts = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().ok());
    let mut part = || parts.next().flatten().unwrap_or(0u32);
    config.version = part() << 16 | part() << 8 | part().min(255);
    if let Ok(text) = std::fs::read_to_string(format!("/boot/config-{release}")) {
        config.read_options(&text);
    }
    config
}

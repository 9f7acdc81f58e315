//! Where types are read from: files, objects, and directories that hold a kernel's and its
//! modules' as `/sys/kernel/btf` does.

use std::path::Path;
use std::sync::Arc;

use skep::ModuleBtf;
use skep_btf::{Btf, rebase};
use skep_elf::ObjectFile;

/// Where a directory has the types of the kernel proper.
const KERNEL: &str = "vmlinux";

/// Reads types from a file that holds nothing else, or from the `.BTF` section of an object.
pub fn read(path: &str, base: Option<Arc<Btf>>) -> Result<Btf, String> {
    let failed = |why: String| format!("failed to load BTF from {path}: {why}");
    // As other programs say it, without the number.
    let reason = |error: std::io::Error| {
        let text = error.to_string();
        let end = text.find(" (os error").unwrap_or(text.len());
        failed(text.get(..end).unwrap_or(&text).to_string())
    };
    let bytes = std::fs::read(path).map_err(reason)?;
    let bytes = match skep_elf::little(&bytes) {
        Ok(native) => native.into_owned(),
        Err(error) => return Err(failed(error.to_string())),
    };
    let raw = match ObjectFile::parse(&bytes) {
        Ok(file) => match file.section_by_name(".BTF") {
            Some(section) => {
                if let (Some(distilled), Some(base)) = (file.section_by_name(".BTF.base"), &base) {
                    return moved(section.data, distilled.data, base).map_err(failed);
                }
                section.data.to_vec()
            }
            None => return Err(failed("no section .BTF".to_string())),
        },
        Err(_) if bytes.starts_with(&skep_btf::MAGIC.to_be_bytes()) => {
            skep_btf::reversed(&bytes, false).unwrap_or(bytes)
        }
        Err(_) => bytes,
    };
    Btf::parse_on(raw, base).map_err(|error| failed(error.to_string()))
}

/// The types of a module that was built apart from its kernel: they stand on a distilled base
/// and are moved onto the kernel's.
fn moved(split: &[u8], distilled: &[u8], base: &Arc<Btf>) -> Result<Btf, String> {
    let distilled = Btf::parse(distilled).map_err(|error| format!(".BTF.base: {error}"))?;
    let split = Btf::parse_split(split, Arc::new(distilled)).map_err(|error| error.to_string())?;
    rebase(&split, base).map_err(|error| error.to_string())
}

/// The types of a kernel.
#[derive(Clone, Debug)]
pub struct KernelTypes {
    /// The kernel's own.
    pub own: Arc<Btf>,
    /// Its modules', by name.
    pub modules: Vec<ModuleBtf>,
}

impl KernelTypes {
    /// Reads a file of a kernel's types, or a directory of them: `vmlinux`, and a file for each
    /// module.
    pub fn read(path: &str) -> Result<KernelTypes, String> {
        if !Path::new(path).is_dir() {
            let own = Arc::new(read(path, None)?);
            let modules = Vec::new();
            return Ok(KernelTypes { own, modules });
        }
        let place = |name: &str| Path::new(path).join(name).to_string_lossy().into_owned();
        let own = Arc::new(read(&place(KERNEL), None)?);
        let entries = std::fs::read_dir(path).map_err(|error| format!("{path}: {error}"))?;
        let names = entries.flatten().map(|entry| entry.file_name());
        let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
        names.retain(|name| name != KERNEL);
        names.sort();
        let mut modules = Vec::new();
        for name in names {
            let btf = Arc::new(read(&place(&name), Some(Arc::clone(&own)))?);
            modules.push(ModuleBtf { name, btf });
        }
        Ok(KernelTypes { own, modules })
    }
}

//! The types of the kernel's modules: split BTF on the kernel's own, from the caller or, through
//! the seam, from a kernel that has them.

use std::sync::Arc;

use skep_abi::{Backend, Errno};
use skep_btf::{Btf, Kind, TypeId};

use crate::fd::Fd;
use crate::inspect;
use crate::load::Loaded;

/// What the kernel calls its own types.
const KERNEL: &str = "vmlinux";

/// The types of a module.
#[derive(Clone, Debug)]
pub struct ModuleBtf {
    /// The module's name.
    pub name: String,
    /// Its types, on the kernel's.
    pub btf: Arc<Btf>,
}

/// A module of the kernel at hand.
#[derive(Debug)]
pub(crate) struct Module<'k> {
    pub(crate) btf: Arc<Btf>,
    /// The kernel's own object of these types, by which a program names them.
    pub(crate) fd: Option<Fd<'k>>,
}

/// A type of the kernel.
pub(crate) struct KernelType<'a> {
    pub(crate) btf: &'a Arc<Btf>,
    pub(crate) id: TypeId,
    /// The module that defines it; `None` for the kernel proper.
    pub(crate) module: Option<&'a Module<'a>>,
}

impl<'k> Loaded<'k> {
    /// The modules' types, read when first needed: those that the caller gave, with the
    /// kernel's objects of the same names, and else those that the kernel has.
    pub(crate) fn modules(&self) -> &[Module<'k>] {
        self.modules.get_or_init(|| {
            let backend = self.backend.0;
            let mut objects = named_objects(backend).unwrap_or_default();
            if self.options.modules.is_empty() {
                let base = self.kernel_btf();
                let read = objects.into_iter().filter_map(|(_, fd)| {
                    let raw = inspect::btf_bytes(backend, fd.raw()).ok()?;
                    let btf = Btf::parse_on(raw, Some(Arc::clone(base?))).ok()?;
                    let (btf, fd) = (Arc::new(btf), Some(fd));
                    Some(Module { btf, fd })
                });
                return read.collect();
            }
            let given = self.options.modules.iter().map(|module| {
                let at = objects.iter().position(|(name, _)| *name == module.name);
                Module {
                    btf: Arc::clone(&module.btf),
                    fd: at.map(|at| objects.swap_remove(at).1),
                }
            });
            given.collect()
        })
    }

    /// A type of the kernel by name and kind: its own, or else the first module's.
    pub(crate) fn kernel_type(&self, name: &str, kind: Kind) -> Option<KernelType<'_>> {
        let btf = self.kernel_btf()?;
        if let Some(id) = btf.find_by_name_kind(name, kind) {
            let module = None;
            return Some(KernelType { btf, id, module });
        }
        self.modules().iter().find_map(|module| {
            let found = module.btf.find_all(name).find(|ty| ty.kind() == kind);
            Some(KernelType {
                btf: &module.btf,
                id: found?.id(),
                module: Some(module),
            })
        })
    }
}

/// The kernel's objects of its modules' types, by name.
fn named_objects(backend: &dyn Backend) -> Result<Vec<(String, Fd<'_>)>, Errno> {
    let mut named = Vec::new();
    for id in inspect::ids(backend, inspect::Kind::Btf)? {
        // What another took away in between is not there.
        let Ok(fd) = inspect::open(backend, inspect::Kind::Btf, id) else {
            continue;
        };
        match inspect::btf_name(backend, fd.raw())? {
            Some(name) if name != KERNEL => named.push((name, fd)),
            _ => {}
        }
    }
    Ok(named)
}

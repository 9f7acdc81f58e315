//! Modules of the kernel: what their types are, and which of their functions programs may call.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use skep_abi::ProgType;
use skep_btf::{Btf, Kind};
use skep_catalog::{Kfunc, KfuncFlags};
use skep_verifier::ModuleFacts;

/// A module that the kernel is built with ([`Builder::module`](crate::Builder::module)): programs
/// may call those of its functions that are named here, by its types in the `fd_array` of a load.
/// They are verified, as Linux verifies calls into modules; they cannot be run.
///
/// ```
/// use std::sync::Arc;
/// use skep_abi::ProgType;
/// use skep_btf::{Btf, Builder, Linkage, TypeId};
/// use skep_catalog::KfuncFlags;
/// use skep_kernel::{Kernel, Module};
///
/// let mut types = Builder::new();
/// types.int("int", 4, true);
/// let kernel = Arc::new(Btf::parse(&types.finish())?);
/// let mut types = Builder::on(&kernel);
/// let proto = types.func_proto(TypeId(1), &[("n", TypeId(1))]);
/// types.func("twice", proto, Linkage::Static);
/// let module = Btf::parse_on(types.finish(), Some(kernel.clone()))?;
/// let module = Module::new("doubler", Arc::new(module))
///     .kfunc("twice", &[ProgType::SchedCls, ProgType::Xdp], KfuncFlags::NONE)?;
/// let kernel = Kernel::builder().kernel_btf(kernel).module(module)?.build();
/// # let _ = kernel;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Module {
    pub(crate) facts: ModuleFacts,
}

/// Why there can be no such module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ModuleError {
    /// Its types name no function like this, or only the kernel's own do.
    NoFunction(String),
    /// The kernel has a function of this name, whose rules are its own.
    Known(String),
    /// Its types do not go on where those of the kernel end that was given before.
    OtherKernel(String),
}

impl fmt::Display for ModuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModuleError::NoFunction(name) => write!(f, "the module has no function {name}"),
            ModuleError::Known(name) => write!(f, "the kernel itself has a function {name}"),
            ModuleError::OtherKernel(name) => {
                write!(f, "the types of {name} are not built on this kernel's")
            }
        }
    }
}

impl std::error::Error for ModuleError {}

impl Module {
    /// A module with these types, which are split types on the kernel's, and no functions for
    /// programs yet.
    pub fn new(name: impl Into<String>, btf: Arc<Btf>) -> Module {
        Module {
            facts: ModuleFacts {
                name: name.into(),
                btf,
                kfuncs: BTreeMap::new(),
            },
        }
    }

    /// Lets programs of these types call a function of the module.
    ///
    /// # Errors
    /// When it has no such function, or the kernel itself has one.
    pub fn kfunc(
        mut self,
        name: &str,
        types: &[ProgType],
        flags: KfuncFlags,
    ) -> Result<Module, ModuleError> {
        if skep_catalog::kfunc(name).is_some() {
            return Err(ModuleError::Known(name.into()));
        }
        let btf = &self.facts.btf;
        let first = btf.base().map_or(1, |base| base.type_count());
        let found = btf.find_by_name_kind(name, Kind::Func);
        let Some(id) = found.filter(|id| id.0 >= first) else {
            return Err(ModuleError::NoFunction(name.into()));
        };
        self.facts.kfuncs.insert(id.0, keep(name, types, flags));
        Ok(self)
    }

    /// Whether its types are built on those of this kernel.
    pub(crate) fn fits(&self, kernel: Option<&Arc<Btf>>) -> bool {
        let base = self.facts.btf.base();
        base.zip(kernel)
            .is_some_and(|(base, kernel)| Arc::ptr_eq(base, kernel) || base.raw() == kernel.raw())
    }
}

/// The row of a function, which lasts as long as the process, as those of the kernel's own do;
/// equal ones are kept once.
fn keep(name: &str, types: &[ProgType], flags: KfuncFlags) -> &'static Kfunc {
    static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    static ROWS: Mutex<Option<HashSet<&'static Kfunc>>> = Mutex::new(None);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_with(HashSet::new);
    let name = match names.get(name) {
        Some(name) => name,
        None => {
            let name: &'static str = Box::leak(name.into());
            names.insert(name);
            name
        }
    };
    let row = Kfunc::of_module(name, types, flags);
    let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
    let rows = rows.get_or_insert_with(HashSet::new);
    match rows.get(&row) {
        Some(row) => row,
        None => {
            let row: &'static Kfunc = Box::leak(Box::new(row));
            rows.insert(row);
            row
        }
    }
}

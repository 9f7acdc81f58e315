//! Which variables and functions an object expects the kernel or the configuration to have.

use std::collections::HashMap;

use skep_btf::{Btf, Kind, Type, TypeId};
use skep_elf::{Binding, ObjectFile, Place, SymbolKind};

use crate::error::OpenError;

/// The number of an extern in its object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ExternIndex(pub usize);

/// How the value of a `.kconfig` variable is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KconfigKind {
    /// A character: `y`, `m`, `n`.
    Char,
    /// A truth value.
    Bool,
    /// A number.
    Int {
        /// It has a sign.
        signed: bool,
    },
    /// `enum libbpf_tristate`
    Tristate,
    /// An array of characters.
    Text,
}

/// What an extern is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExternKind {
    /// A variable of `.kconfig`.
    Kconfig {
        /// How its value is written.
        kind: KconfigKind,
        /// Its size in bytes.
        size: u32,
        /// Its alignment in bytes.
        align: u32,
        /// Its offset in the map that stands for `.kconfig`.
        offset: u32,
    },
    /// A variable of the kernel; without a type when declared as `void`.
    Variable {
        /// Its type in the object's BTF.
        ty: Option<TypeId>,
    },
    /// A function of the kernel.
    Function {
        /// Its `FUNC` in the object's BTF.
        func: TypeId,
    },
}

/// A variable or function that the object only declares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extern {
    /// Its name.
    pub name: String,
    /// Whether the object can do without it.
    pub weak: bool,
    /// What it is.
    pub kind: ExternKind,
    /// The symbol in the file.
    pub(crate) symbol: usize,
    /// Its `VAR` or `FUNC` in the object's BTF.
    pub(crate) type_id: TypeId,
}

/// Finds the externs of a file and lays out `.kconfig`.
pub(crate) fn collect(file: &ObjectFile<'_>, btf: Option<&Btf>) -> Result<Vec<Extern>, OpenError> {
    let declared = btf.map(declared).unwrap_or_default();
    let mut externs = Vec::new();
    for symbol in file.symbols() {
        let undefined = symbol.place == Place::Undefined && symbol.kind == SymbolKind::None;
        if !undefined || !symbol.is_global() || symbol.name.is_empty() {
            continue;
        }
        let Some((section, ty)) = declared.get(symbol.name).copied() else {
            let problem = "it is not defined in the object, and BTF does not say what it is \
                           (declare it with __ksym or __kconfig)";
            return Err(OpenError::external(symbol.name, problem));
        };
        externs.push(Extern {
            name: symbol.name.to_string(),
            weak: symbol.binding == Binding::Weak,
            kind: kind_of(symbol.name, section, ty)?,
            symbol: symbol.index.0,
            type_id: ty.id(),
        });
    }
    lay_out(&mut externs);
    Ok(externs)
}

/// What BTF places in the sections of externs, by name: the section, and the `VAR` or `FUNC`.
fn declared(btf: &Btf) -> HashMap<&str, (&'static str, Type<'_>)> {
    let mut all = HashMap::new();
    for section in [".kconfig", ".ksyms"] {
        let datasec = btf.find_by_name_kind(section, Kind::DataSec);
        let Some(datasec) = datasec.and_then(|id| btf.type_by_id(id)) else {
            continue;
        };
        for ty in datasec.vars().filter_map(|var| btf.type_by_id(var.ty)) {
            all.entry(ty.name()).or_insert((section, ty));
        }
    }
    all
}

fn kind_of(name: &str, section: &str, ty: Type<'_>) -> Result<ExternKind, OpenError> {
    let refuse = |problem: &str| Err(OpenError::external(name, problem));
    let value = ty.ref_type().unwrap_or_default();
    match (section, ty.kind()) {
        (".ksyms", Kind::Func) => Ok(ExternKind::Function { func: ty.id() }),
        (".ksyms", Kind::Var) => {
            let void = ty
                .btf()
                .strip_modifiers(value)
                .is_some_and(|ty| ty.kind() == Kind::Void);
            Ok(ExternKind::Variable {
                ty: (!void).then_some(value),
            })
        }
        (_, Kind::Var) => {
            let Some(kind) = kconfig_kind(ty.btf(), value) else {
                return refuse(
                    "a variable of .kconfig must be a char, bool, integer, \
                               enum libbpf_tristate or array of char",
                );
            };
            let size = ty.btf().size_of(value).unwrap_or(0);
            let element = match kind {
                KconfigKind::Text => 1,
                _ => size,
            };
            if size == 0 {
                return refuse("a variable of .kconfig must have a size");
            }
            Ok(ExternKind::Kconfig {
                kind,
                size,
                align: element,
                offset: 0,
            })
        }
        _ => refuse("functions cannot be in .kconfig"),
    }
}

fn kconfig_kind(btf: &Btf, id: TypeId) -> Option<KconfigKind> {
    let ty = btf.resolve(id)?;
    match ty.kind() {
        Kind::Int => {
            let int = ty.int()?;
            let size = ty.size()?;
            if int.bool {
                return (size == 1).then_some(KconfigKind::Bool);
            }
            if size == 1 && (int.char || ty.name() == "char") {
                return Some(KconfigKind::Char);
            }
            let fits = size.is_power_of_two() && size <= 8;
            fits.then_some(KconfigKind::Int { signed: int.signed })
        }
        Kind::Enum if ty.size() == Some(4) && ty.name() == "libbpf_tristate" => {
            Some(KconfigKind::Tristate)
        }
        Kind::Array => {
            let array = ty.array()?;
            let is_char = kconfig_kind(btf, array.elem)? == KconfigKind::Char;
            (is_char && array.count > 0).then_some(KconfigKind::Text)
        }
        _ => None,
    }
}

/// Puts externs in libbpf's order and lays out `.kconfig`: its variables come first, by
/// alignment from large to small, then by size, then by name; kernel symbols by name.
fn lay_out(externs: &mut [Extern]) {
    externs.sort_by_cached_key(|ext| match ext.kind {
        ExternKind::Kconfig { size, align, .. } => {
            (false, u32::MAX - align, size, ext.name.clone())
        }
        _ => (true, 0, 0, ext.name.clone()),
    });
    let mut end = 0u32;
    for ext in externs {
        if let ExternKind::Kconfig {
            size,
            align,
            offset,
            ..
        } = &mut ext.kind
        {
            *offset = end.next_multiple_of((*align).max(1));
            end = offset.saturating_add(*size);
        }
    }
}

/// The bytes of the map that stands for `.kconfig`.
pub(crate) fn kconfig_size(externs: &[Extern]) -> u32 {
    let ends = externs.iter().filter_map(|ext| match ext.kind {
        ExternKind::Kconfig { size, offset, .. } => Some(offset.saturating_add(size)),
        _ => None,
    });
    ends.max().unwrap_or(0)
}

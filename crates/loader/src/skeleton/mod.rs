//! Skeletons: source code that holds an object and names its programs, maps and variables,
//! so that a compiler checks what a program in user space says of them.

mod c;
mod decl;
mod rust;

pub use c::{c, subskeleton};
pub use rust::rust;

use skep_btf::{Btf, Kind, Linkage, TypeId};

use crate::map::{MapDef, MapOrigin};
use crate::object::Object;

/// Why there can be no skeleton.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkeletonError {
    /// Names are made of letters, digits and underscores.
    #[error(
        "'{0}' is no name for a skeleton: use letters, digits and '_', and begin with a letter"
    )]
    Name(String),
    /// A variable's type cannot be written down.
    #[error("variable '{variable}' of section '{section}': its type cannot be written down")]
    Type {
        /// The section.
        section: String,
        /// The variable.
        variable: String,
    },
}

/// A name that a compiler takes, out of an object's name.
fn check_name(name: &str) -> Result<(), SkeletonError> {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let goes_on = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match begins && goes_on {
        true => Ok(()),
        false => Err(SkeletonError::Name(name.to_string())),
    }
}

/// Holds every name that goes into source code against what a name is: an object's own names
/// may be anything.
fn check_names(object: &Object, name: &str) -> Result<(), SkeletonError> {
    check_name(name)?;
    programs(object).try_for_each(check_name)?;
    for map in &object.maps {
        if map.origin == MapOrigin::Declared {
            check_name(&map.name)?;
        }
        let vars = object.btf.as_ref().map(|btf| variables(btf, map));
        for variable in vars.into_iter().flatten() {
            check_name(variable.name)?;
        }
    }
    Ok(())
}

/// What a map is called in a skeleton: its name, or its section's without the first dot.
fn map_ident(map: &MapDef) -> String {
    let name = match map.origin {
        MapOrigin::Declared | MapOrigin::StructOps => map.name.as_str(),
        _ => map.section.trim_start_matches('.'),
    };
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

/// What the variables of a map are called together: as the map, but those of an arena by what
/// they lie in.
fn variables_ident(map: &MapDef) -> String {
    match map.is_arena() {
        true => "arena".to_string(),
        false => map_ident(map),
    }
}

/// Whether a map holds a section, user space can map it, and BTF tells what is in it.
fn has_variables(map: &MapDef) -> bool {
    map.value_type.is_some()
        && map.flags & skep_abi::MapFlags::MMAPABLE.0 != 0
        && match map.origin {
            MapOrigin::Declared => map.is_arena() && map.initial.is_some(),
            origin => origin != MapOrigin::StructOps,
        }
}

/// A variable that user space can know by name.
struct Variable<'a> {
    name: &'a str,
    ty: TypeId,
    offset: u32,
}

/// The variables of a map's section, in their order.
fn variables<'a>(btf: &'a Btf, map: &MapDef) -> Vec<Variable<'a>> {
    let section = map.value_type.and_then(|id| btf.type_by_id(id));
    let Some(section) = section.filter(|ty| ty.kind() == Kind::DataSec) else {
        return Vec::new();
    };
    let visible = section.vars().filter_map(|entry| {
        let var = btf.type_by_id(entry.ty)?;
        let shown = var.linkage() != Some(Linkage::Static);
        shown.then_some(Variable {
            name: var.name(),
            ty: var.ref_type()?,
            offset: entry.offset,
        })
    });
    visible.collect()
}

/// The programs' names.
fn programs(object: &Object) -> impl Iterator<Item = &str> {
    object.programs.iter().map(|program| program.name.as_str())
}

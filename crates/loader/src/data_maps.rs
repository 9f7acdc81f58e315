//! How data sections become array maps of one element, or the first pages of an arena.

use skep_abi::{MapFlags, MapType};
use skep_btf::{Btf, Kind, Linkage, TypeId};
use skep_elf::{Section, SectionKind};

use crate::error::OpenError;
use crate::externs::{Extern, kconfig_size};
use crate::map::{MapDef, MapOrigin};
use crate::names::data_map_name;

/// The most bytes a zero-filled section may claim: a claim costs the file nothing, and an
/// array of one element cannot be larger than this in Linux either.
const MAX_SECTION: u64 = 1 << 30;

/// The map that stands for a data section.
pub(crate) fn of_section(
    object: &str,
    section: &Section<'_>,
    origin: MapOrigin,
    btf: Option<&Btf>,
) -> Result<MapDef, OpenError> {
    if section.size > MAX_SECTION {
        return Err(OpenError::section(section.name, "larger than 1 GiB"));
    }
    let size = u32::try_from(section.size).unwrap_or(u32::MAX);
    let mut def = one_element(object, section.name, origin, size, btf);
    let initial = match section.kind {
        SectionKind::NoBits => vec![0; size as usize],
        _ => section.data.to_vec(),
    };
    def.initial = Some(initial);
    Ok(def)
}

/// Puts the variables of a section into the declared arena, whose first pages they take.
pub(crate) fn in_arena(
    arena: &mut MapDef,
    section: &Section<'_>,
    btf: Option<&Btf>,
) -> Result<(), OpenError> {
    /// Bytes of a page, on all machines that arenas are known to work on.
    const PAGE: u64 = 4096;
    let room = u64::from(arena.max_entries) * PAGE;
    if section.size > room {
        let (size, name) = (section.size, &arena.name);
        let problem = format!("{size} bytes do not fit into the {room} bytes of arena '{name}'");
        return Err(OpenError::section(section.name, problem));
    }
    arena.section = section.name.to_string();
    arena.initial = Some(section.data.to_vec());
    arena.value_type = btf.and_then(|btf| btf.find_by_name_kind(section.name, Kind::DataSec));
    Ok(())
}

/// The map that stands for the variables of `.kconfig`; `None` when there are none.
pub(crate) fn of_kconfig(object: &str, externs: &[Extern], btf: Option<&Btf>) -> Option<MapDef> {
    let size = kconfig_size(externs);
    (size > 0).then(|| one_element(object, ".kconfig", MapOrigin::Kconfig, size, btf))
}

fn one_element(
    object: &str,
    section: &str,
    origin: MapOrigin,
    size: u32,
    btf: Option<&Btf>,
) -> MapDef {
    let mut def = MapDef::new(&data_map_name(object, section), section, origin);
    let datasec = btf.and_then(|btf| Some((btf, btf.find_by_name_kind(section, Kind::DataSec)?)));
    def.map_type = MapType::Array.as_u32();
    def.key_size = 4;
    def.value_size = size;
    def.max_entries = 1;
    def.value_type = datasec.map(|(_, id)| id);
    if matches!(origin, MapOrigin::Rodata | MapOrigin::Kconfig) {
        def.flags |= MapFlags::RDONLY_PROG.0;
    }
    if datasec.is_some_and(|(btf, id)| has_visible_variable(btf, id)) {
        def.flags |= MapFlags::MMAPABLE.0;
    }
    def
}

/// Whether user space can know any variable of the section by name; only then is the map
/// made so that it can be mapped.
fn has_visible_variable(btf: &Btf, datasec: TypeId) -> bool {
    btf.type_by_id(datasec).is_some_and(|ty| {
        ty.vars().any(|var| {
            btf.type_by_id(var.ty)
                .is_some_and(|var| var.linkage() != Some(Linkage::Static))
        })
    })
}

//! Which structures of operations an object defines, and which program is which operation.

use skep_abi::{MapFlags, MapType};
use skep_btf::{Btf, Kind, Type};
use skep_elf::{ObjectFile, Relocation, Section, SymbolKind};

use crate::error::OpenError;
use crate::layout::Layout;
use crate::map::{MapDef, MapOrigin};
use crate::program::Program;

/// Adds the maps of `.struct_ops*` and tells each program what it implements.
pub(crate) fn collect(
    file: &ObjectFile<'_>,
    layout: &Layout<'_>,
    btf: Option<&Btf>,
    maps: &mut Vec<MapDef>,
    programs: &mut [Program],
) -> Result<(), OpenError> {
    for section in &layout.struct_ops {
        let described = btf.and_then(|btf| {
            let id = btf.find_by_name_kind(section.name, Kind::DataSec)?;
            Some((btf, btf.type_by_id(id)?))
        });
        let Some((btf, datasec)) = described else {
            let problem = "no BTF describes its structures (compile with -g)";
            return Err(OpenError::section(section.name, problem));
        };
        for var in datasec.vars() {
            let Some(variable) = btf.type_by_id(var.ty) else {
                continue;
            };
            let mut def = define(section, variable);
            let (start, size) = (var.offset as usize, var.size as usize);
            let bytes = start
                .checked_add(size)
                .and_then(|end| section.data.get(start..end));
            def.value_type = variable.ref_type();
            def.value_size = var.size;
            def.initial = bytes.map(<[u8]>::to_vec);
            maps.push(def);
        }
        for relocation in file.relocations(section.index)? {
            implement(file, section, btf, datasec, &relocation, maps, programs)?;
        }
    }
    Ok(())
}

fn define(section: &Section<'_>, variable: Type<'_>) -> MapDef {
    let mut def = MapDef::new(variable.name(), section.name, MapOrigin::StructOps);
    def.map_type = MapType::StructOps.as_u32();
    def.key_size = 4;
    def.max_entries = 1;
    def.autocreate = !section.name.starts_with('?');
    if section.name.ends_with(".link") {
        def.flags |= MapFlags::LINK.0;
    }
    def
}

fn implement(
    file: &ObjectFile<'_>,
    section: &Section<'_>,
    btf: &Btf,
    datasec: Type<'_>,
    relocation: &Relocation,
    maps: &mut [MapDef],
    programs: &mut [Program],
) -> Result<(), OpenError> {
    let Some(symbol) = file.symbol(relocation.symbol) else {
        return Ok(());
    };
    let refuse = |problem: &str| {
        Err(OpenError::Relocation {
            section: section.name.to_string(),
            offset: relocation.offset,
            symbol: symbol.name.to_string(),
            problem: problem.to_string(),
        })
    };
    if symbol.kind != SymbolKind::Func {
        return refuse("only programs can be operations");
    }
    let owner = datasec.vars().find_map(|var| {
        let inside = relocation.offset.checked_sub(u64::from(var.offset))?;
        let structure = btf.resolve(btf.type_by_id(var.ty)?.ref_type()?)?;
        let name = btf.type_by_id(var.ty)?.name();
        (inside < u64::from(var.size)).then_some((name, structure, inside))
    });
    let member = owner.and_then(|(variable, structure, inside)| {
        let member = structure
            .members()
            .find(|m| u64::from(m.bit_offset) == inside * 8)?;
        Some((
            variable,
            structure.name().to_string(),
            member.name.to_string(),
        ))
    });
    let Some((variable, structure, member)) = member else {
        return refuse("it is not a member of a structure");
    };
    let program = programs
        .iter_mut()
        .find(|program| program.name == symbol.name);
    let Some(program) = program else {
        return refuse("the operation is no program (it must lie in a section 'struct_ops')");
    };
    let owner = maps
        .iter_mut()
        .find(|map| map.origin == MapOrigin::StructOps && map.name == variable);
    if let Some(owner) = owner {
        owner
            .operations
            .push((member.clone(), program.name.clone()));
        clear(owner, relocation, datasec, btf);
    }
    program.implements = Some((structure, member));
    Ok(())
}

/// Clears what a compiler may have left in the place of a program's address.
fn clear(owner: &mut MapDef, relocation: &Relocation, datasec: Type<'_>, btf: &Btf) {
    let start = datasec
        .vars()
        .find(|var| {
            btf.type_by_id(var.ty)
                .is_some_and(|ty| ty.name() == owner.name)
        })
        .map_or(0, |var| u64::from(var.offset));
    let at = usize::try_from(relocation.offset.saturating_sub(start)).unwrap_or(usize::MAX);
    let bytes = owner.initial.as_mut().and_then(|bytes| bytes.get_mut(at..));
    for byte in bytes.into_iter().flatten().take(8) {
        *byte = 0;
    }
}

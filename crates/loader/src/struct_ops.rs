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
            maps.push(define(section, variable));
        }
        for relocation in file.relocations(section.index)? {
            implement(file, section, btf, datasec, &relocation, programs)?;
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
        (inside < u64::from(var.size)).then_some((structure, inside))
    });
    let member = owner.and_then(|(structure, inside)| {
        let member = structure
            .members()
            .find(|m| u64::from(m.bit_offset) == inside * 8)?;
        Some((structure.name().to_string(), member.name.to_string()))
    });
    let Some(member) = member else {
        return refuse("it is not a member of a structure");
    };
    let program = programs
        .iter_mut()
        .find(|program| program.name == symbol.name);
    let Some(program) = program else {
        return refuse("the operation is no program (it must lie in a section 'struct_ops')");
    };
    program.implements = Some(member);
    Ok(())
}

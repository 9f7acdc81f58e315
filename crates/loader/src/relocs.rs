//! What each relocated instruction stands for: a map, a variable, a function, an extern.

use std::collections::HashMap;

use skep_elf::{Binding, ObjectFile, Place, Relocation, Section, SectionIndex, Symbol, SymbolKind};
use skep_isa::{INSN_SIZE, Insn};

use crate::error::OpenError;
use crate::externs::{Extern, ExternIndex};
use crate::functions::{Functions, Needs};
use crate::layout::Layout;
use crate::map::MapIndex;
use crate::program::Reference;

/// Where things of the object lie in the file.
#[derive(Default)]
pub(crate) struct Places {
    /// The number of the section `.maps`, and its maps by offset.
    pub(crate) declared: Option<(SectionIndex, HashMap<u64, MapIndex>)>,
    /// The maps that stand for data sections.
    pub(crate) data: HashMap<SectionIndex, MapIndex>,
    /// The map of the arena's variables.
    pub(crate) arena: Option<(SectionIndex, MapIndex)>,
    /// The externs by symbol number.
    pub(crate) externs: HashMap<usize, ExternIndex>,
}

impl Places {
    pub(crate) fn add_externs(&mut self, externs: &[Extern]) {
        for (index, ext) in externs.iter().enumerate() {
            self.externs.insert(ext.symbol, ExternIndex(index));
        }
    }
}

/// Reads the relocations of all code sections into the functions they are about.
pub(crate) fn apply(
    file: &ObjectFile<'_>,
    layout: &Layout<'_>,
    places: &Places,
    functions: &mut Functions,
) -> Result<(), OpenError> {
    for section in &layout.code {
        for relocation in file.relocations(section.index)? {
            one(file, layout, places, functions, section, &relocation)?;
        }
    }
    for function in &mut functions.all {
        function.needs.sort_by_key(|(slot, _)| *slot);
        let twice = function
            .needs
            .windows(2)
            .find(|pair| matches!(pair, [a, b] if a.0 == b.0));
        if let Some([(slot, _), ..]) = twice {
            let problem = format!("instruction {slot} is relocated twice");
            return Err(OpenError::function(&function.name, problem));
        }
    }
    Ok(())
}

fn one(
    file: &ObjectFile<'_>,
    layout: &Layout<'_>,
    places: &Places,
    functions: &mut Functions,
    section: &Section<'_>,
    relocation: &Relocation,
) -> Result<(), OpenError> {
    let Some(symbol) = file.symbol(relocation.symbol) else {
        return Ok(());
    };
    let refuse = |problem: String| OpenError::Relocation {
        section: section.name.to_string(),
        offset: relocation.offset,
        symbol: symbol_name(file, symbol),
        problem,
    };
    let offset = usize::try_from(relocation.offset).unwrap_or(usize::MAX);
    if !offset.is_multiple_of(INSN_SIZE) {
        return Err(refuse(
            "it is about bytes inside an instruction".to_string(),
        ));
    }
    // Instructions that belong to no function were left over when another definition of a
    // weak function won.
    let Some(index) = functions.at(section.index, offset / INSN_SIZE) else {
        return Ok(());
    };
    let Some(function) = functions.all.get_mut(index.0) else {
        return Ok(());
    };
    let slot = offset / INSN_SIZE - function.start;
    let Some(insn) = function.insns.get(slot).copied() else {
        return Ok(());
    };
    let addend = relocation.addend.unwrap_or(i64::from(insn.imm));
    let needs = classify(layout, places, symbol, insn, addend).map_err(refuse)?;
    function.needs.push((slot, needs));
    Ok(())
}

fn symbol_name(file: &ObjectFile<'_>, symbol: &Symbol<'_>) -> String {
    let section = || {
        symbol
            .section()
            .and_then(|index| file.section(index))
            .map(|s| s.name)
    };
    let name = if symbol.name.is_empty() {
        section().unwrap_or("")
    } else {
        symbol.name
    };
    name.to_string()
}

fn classify(
    layout: &Layout<'_>,
    places: &Places,
    symbol: &Symbol<'_>,
    insn: Insn,
    addend: i64,
) -> Result<Needs, String> {
    let wide = insn.is_ld_imm64();
    if symbol.place == Place::Undefined {
        let ext = places.externs.get(&symbol.index.0);
        let reference = ext.map(|index| Needs::Reference(Reference::Extern(*index)));
        return reference
            .filter(|_| wide || insn.is_call())
            .ok_or_else(|| "an undefined symbol that is no extern".to_string());
    }
    let Place::Section(section) = symbol.place else {
        return Err("the symbol lies in no section".to_string());
    };
    let value = i64::try_from(symbol.value).map_err(|_| "it lies too far away".to_string())?;
    let in_code = layout.code_section(section).is_some();
    if insn.is_pseudo_call() {
        if !in_code {
            return Err("it lies in no section of code".to_string());
        }
        // A call through a section counts from the instruction behind the call.
        let slot = slots(value)?
            .checked_add(addend)
            .and_then(|sum| sum.checked_add(1));
        let slot = slot.ok_or("the call goes too far")?;
        return Ok(Needs::Code { section, slot });
    }
    if !wide {
        return Err(format!(
            "an instruction with code {:#04x} cannot be relocated",
            insn.code
        ));
    }
    let is_function = symbol.kind == SymbolKind::Func
        || symbol.kind == SymbolKind::Section && symbol.binding == Binding::Local;
    if in_code && is_function {
        return Ok(Needs::Code {
            section,
            slot: slots(value)? + slots(addend)?,
        });
    }
    let at = value.checked_add(addend).ok_or("it lies too far away")?;
    variable(places, section, at).map(Needs::Reference)
}

/// A map, or an address in the value of a map that stands for a section.
fn variable(places: &Places, section: SectionIndex, at: i64) -> Result<Reference, String> {
    if let Some((_, maps)) = places
        .declared
        .as_ref()
        .filter(|(index, _)| *index == section)
    {
        let map = u64::try_from(at).ok().and_then(|at| maps.get(&at));
        return map
            .map(|map| Reference::Map(*map))
            .ok_or_else(|| format!("no map is declared at offset {at} of .maps"));
    }
    let arena = places
        .arena
        .filter(|(index, _)| *index == section)
        .map(|(_, map)| map);
    let Some(map) = arena.or_else(|| places.data.get(&section).copied()) else {
        return Err("its section holds neither maps nor data that programs can reach".to_string());
    };
    // The kernel takes the offset as 32 bits and checks it against the value's size.
    let offset = i32::try_from(at).map_err(|_| format!("offset {at} is too large"))?;
    Ok(Reference::MapValue {
        map,
        offset: offset.cast_unsigned(),
    })
}

fn slots(bytes: i64) -> Result<i64, String> {
    let size = INSN_SIZE as i64;
    match bytes % size {
        0 => Ok(bytes / size),
        _ => Err("it points inside an instruction".to_string()),
    }
}

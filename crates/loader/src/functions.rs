//! Which functions a file holds, each with its instructions, references and debug records.

use std::collections::HashMap;
use std::ops::Range;

use skep_btf::{Btf, BtfExt, CoreRelo, FuncInfo, LineInfo, SectionRecords};
use skep_elf::{Binding, ObjectFile, Section, SectionIndex, SymbolKind};
use skep_isa::{INSN_SIZE, Insn};

use crate::error::OpenError;
use crate::layout::Layout;
use crate::program::Reference;

/// The most instruction slots that all functions of a file may have together. A file of
/// overlapping symbols could claim far more than it holds.
const MAX_SLOTS: usize = 1 << 23;

/// The number of a function in its file, in the order of sections and offsets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct FunctionIndex(pub(crate) usize);

/// What an instruction of a function stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Needs {
    /// Something outside of the code.
    Reference(Reference),
    /// A call of, or the address of, the function at this slot of a section.
    Code { section: SectionIndex, slot: i64 },
}

/// A function as the file has it.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) section: SectionIndex,
    pub(crate) section_name: String,
    /// It can only be called from this file.
    pub(crate) is_static: bool,
    /// Its first slot in the section.
    pub(crate) start: usize,
    pub(crate) insns: Vec<Insn>,
    /// By slot in the function, ascending.
    pub(crate) needs: Vec<(usize, Needs)>,
    pub(crate) func_info: Vec<FuncInfo>,
    pub(crate) line_info: Vec<LineInfo>,
    pub(crate) core_relos: Vec<CoreRelo>,
}

impl Function {
    /// The slots of its section that it takes.
    fn slots(&self) -> Range<usize> {
        self.start..self.start + self.insns.len()
    }

    /// What the instruction at a slot stands for.
    pub(crate) fn needs_at(&self, slot: usize) -> Option<Needs> {
        let at = self
            .needs
            .binary_search_by_key(&slot, |(slot, _)| *slot)
            .ok()?;
        self.needs.get(at).map(|(_, needs)| *needs)
    }
}

/// The functions of a file, sorted by section and offset.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    pub(crate) all: Vec<Function>,
}

impl Functions {
    pub(crate) fn collect(
        file: &ObjectFile<'_>,
        layout: &Layout<'_>,
        debug: Option<(&Btf, &BtfExt)>,
    ) -> Result<Functions, OpenError> {
        let mut all = Vec::new();
        let mut slots = 0usize;
        for symbol in file.symbols().iter().filter(|s| s.kind == SymbolKind::Func) {
            let Some(section) = symbol
                .section()
                .and_then(|index| layout.code_section(index))
            else {
                continue;
            };
            let function = read(symbol.name, section, symbol.value, symbol.size)?;
            slots = slots.saturating_add(function.insns.len());
            if slots > MAX_SLOTS {
                let problem = format!("the functions of the file exceed {MAX_SLOTS} instructions");
                return Err(OpenError::function(symbol.name, problem));
            }
            all.push(Function {
                is_static: symbol.binding == Binding::Local,
                ..function
            });
        }
        all.sort_by_key(|f| (f.section, f.start));
        let mut functions = Functions { all };
        if let Some((btf, ext)) = debug {
            functions.add_records(btf, ext)?;
        }
        Ok(functions)
    }

    /// The function that covers a slot of a section.
    pub(crate) fn at(&self, section: SectionIndex, slot: usize) -> Option<FunctionIndex> {
        let after = self
            .all
            .partition_point(|f| (f.section, f.start) <= (section, slot));
        let index = after.checked_sub(1)?;
        let function = self.all.get(index)?;
        let covers = function.section == section && function.slots().contains(&slot);
        covers.then_some(FunctionIndex(index))
    }

    pub(crate) fn get(&self, index: FunctionIndex) -> Option<&Function> {
        self.all.get(index.0)
    }

    /// Sorts the records of `.BTF.ext` to the functions they are about.
    fn add_records(&mut self, btf: &Btf, ext: &BtfExt) -> Result<(), OpenError> {
        let mut sections: HashMap<String, SectionIndex> = HashMap::new();
        for function in &self.all {
            sections
                .entry(function.section_name.clone())
                .or_insert(function.section);
        }
        let index_of = |name: u32| {
            btf.string(name)
                .and_then(|name| sections.get(name))
                .copied()
        };
        self.sort_in(
            &ext.func_info,
            index_of,
            |r| &mut r.insn_off,
            |f| &mut f.func_info,
        )?;
        self.sort_in(
            &ext.line_info,
            index_of,
            |r| &mut r.insn_off,
            |f| &mut f.line_info,
        )?;
        self.sort_in(
            &ext.core_relo,
            index_of,
            |r| &mut r.insn_off,
            |f| &mut f.core_relos,
        )
    }

    /// Gives each record to the function that covers it, and counts its offset in slots from
    /// the start of that function.
    fn sort_in<T: Copy>(
        &mut self,
        lists: &[SectionRecords<T>],
        index_of: impl Fn(u32) -> Option<SectionIndex>,
        offset_of: impl Fn(&mut T) -> &mut u32,
        list_of: impl Fn(&mut Function) -> &mut Vec<T>,
    ) -> Result<(), OpenError> {
        for list in lists {
            let Some(section) = index_of(list.section_name) else {
                continue;
            };
            for record in &list.records {
                let mut record = *record;
                let offset = offset_of(&mut record);
                if !(*offset as usize).is_multiple_of(INSN_SIZE) {
                    let problem = format!("a record is about byte {offset}, inside an instruction");
                    return Err(OpenError::section(".BTF.ext", problem));
                }
                let slot = *offset as usize / INSN_SIZE;
                let Some(function) = self.at(section, slot) else {
                    continue;
                };
                let Some(function) = self.all.get_mut(function.0) else {
                    continue;
                };
                *offset = u32::try_from(slot - function.start).unwrap_or(u32::MAX);
                list_of(function).push(record);
            }
        }
        Ok(())
    }
}

fn read(name: &str, section: &Section<'_>, offset: u64, size: u64) -> Result<Function, OpenError> {
    let refuse = |problem: String| Err(OpenError::function(name, problem));
    let bounds = usize::try_from(offset).ok().zip(usize::try_from(size).ok());
    let bytes = bounds.and_then(|(from, len)| section.data.get(from..from.checked_add(len)?));
    let Some(bytes) = bytes else {
        return refuse(format!(
            "bytes {offset}+{size} lie outside section '{}' of {} bytes",
            section.name, section.size
        ));
    };
    if bytes.is_empty() || !offset.is_multiple_of(INSN_SIZE as u64) {
        return refuse(format!("bytes {offset}+{size} are not whole instructions"));
    }
    let Ok(insns) = Insn::slice_from_bytes(bytes) else {
        return refuse(format!("bytes {offset}+{size} are not whole instructions"));
    };
    Ok(Function {
        name: name.to_string(),
        section: section.index,
        section_name: section.name.to_string(),
        is_static: false,
        start: usize::try_from(offset).unwrap_or(usize::MAX) / INSN_SIZE,
        insns,
        needs: Vec::new(),
        func_info: Vec::new(),
        line_info: Vec::new(),
        core_relos: Vec::new(),
    })
}

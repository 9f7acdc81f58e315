//! The types of the result: those of all files, each once; sections with the variables of
//! all; and which instruction belongs to which function, line and question.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use skep_btf::{
    Btf, BtfExt, Builder, CoreRelo, FuncInfo, Kind, LineInfo, Linkage, SectionRecords, TypeId,
    dedup,
};

use super::File;
use super::agree::Agreement;
use super::error::LinkError;
use super::sections::{SHARED, Sections};
use super::symbols::Symbols;
use crate::{Place, Section, Symbol};

/// `.BTF` and `.BTF.ext`, if the files have types.
#[derive(Default)]
pub(super) struct Types {
    pub(super) btf: Vec<u8>,
    pub(super) ext: Vec<u8>,
}

/// Records of one kind, by the name of their section.
type ByName<T> = BTreeMap<String, Vec<T>>;

/// The types while files are being added.
struct Merge<'m> {
    sections: &'m Sections,
    symbols: &'m Symbols,
    agreement: Agreement,
    builder: Builder,
    /// Declarations that stand for a definition, and repeated definitions.
    same: HashMap<TypeId, TypeId>,
    /// The variable or function that a global name means; whether that is its definition.
    globals: HashMap<String, (TypeId, bool)>,
    /// The entries of sections: variable, offset, size.
    entries: BTreeMap<String, Vec<(TypeId, u32, u32)>>,
    functions: ByName<FuncInfo>,
    lines: ByName<LineInfo>,
    relocations: ByName<CoreRelo>,
}

impl Types {
    pub(super) fn merge(
        files: &[File<'_>],
        sections: &Sections,
        symbols: &Symbols,
    ) -> Result<Types, LinkError> {
        let has = |file: &&File<'_>| file.object.section_by_name(".BTF").is_some();
        let Some(with) = files.iter().find(has) else {
            return untyped(files);
        };
        if let Some(without) = files.iter().find(|file| !has(file)) {
            return Err(LinkError::NoTypes {
                file: without.name.to_string(),
                other: with.name.to_string(),
            });
        }
        let mut merge = Merge {
            sections,
            symbols,
            agreement: Agreement::default(),
            builder: Builder::new(),
            same: HashMap::new(),
            globals: HashMap::new(),
            entries: BTreeMap::new(),
            functions: BTreeMap::new(),
            lines: BTreeMap::new(),
            relocations: BTreeMap::new(),
        };
        for (number, file) in files.iter().enumerate() {
            merge.add(number, file)?;
        }
        merge.finish()
    }
}

/// Without types there is nothing to merge, but who takes the place of whom among global
/// symbols could not be told.
fn untyped(files: &[File<'_>]) -> Result<Types, LinkError> {
    for file in files {
        let mut symbols = file.object.symbols().iter();
        if let Some(symbol) = symbols.find(|s| s.is_global() && !s.name.is_empty()) {
            let problem = match symbol.place {
                Place::Undefined => {
                    "it is extern, and the file has no BTF to say what it is (compile with -g)"
                }
                _ => "it is global, and the file has no BTF to say what it is (compile with -g)",
            };
            return Err(LinkError::symbol(file.name, symbol.name, problem));
        }
    }
    Ok(Types::default())
}

impl Merge<'_> {
    fn add(&mut self, number: usize, file: &File<'_>) -> Result<(), LinkError> {
        let Some(section) = file.object.section_by_name(".BTF") else {
            return Ok(());
        };
        let broken = |section| {
            move |error| LinkError::Btf {
                file: file.name.to_string(),
                section,
                error,
            }
        };
        let btf = Arc::new(Btf::parse(section.data).map_err(broken(".BTF"))?);
        described(file, &btf)?;
        let symbols = by_name(file);
        let is_global = |name: &str| symbols.get(name).is_some_and(|symbol| symbol.is_global());
        self.agreement.add(file.name, &btf, is_global)?;
        // Ids are given out as the copies come, so they are known before.
        let mut ids = vec![TypeId::VOID];
        let mut next = self.builder.next_id().0;
        for ty in btf.types() {
            if ty.kind() == Kind::DataSec {
                ids.push(TypeId::VOID);
            } else {
                ids.push(TypeId(next));
                next += 1;
            }
        }
        let map = |id: TypeId| ids.get(id.0 as usize).copied().unwrap_or_default();
        for ty in btf.types() {
            match ty.kind() {
                Kind::DataSec => {}
                Kind::Var | Kind::Func => {
                    let id = self.builder.copy(&ty, map);
                    self.global(number, file, &ty, id, &symbols);
                }
                _ => {
                    self.builder.copy(&ty, map);
                }
            }
        }
        for ty in btf.types().filter(|ty| ty.kind() == Kind::DataSec) {
            // A section without variables, such as one of constants alone, is described too.
            if self.sections.by_name(ty.name()).is_some() {
                self.entries.entry(ty.name().to_string()).or_default();
            }
            self.variables(number, file, &ty, &map, &symbols)?;
        }
        if let Some(section) = file.object.section_by_name(".BTF.ext") {
            let ext = BtfExt::parse(section.data).map_err(broken(".BTF.ext"))?;
            self.extended(number, file, &btf, &ext, &map);
        }
        Ok(())
    }

    /// A variable or function: is it another one's declaration, or does it have one?
    fn global(
        &mut self,
        number: usize,
        _file: &File<'_>,
        ty: &skep_btf::Type<'_>,
        id: TypeId,
        symbols: &HashMap<&str, &Symbol<'_>>,
    ) {
        let name = ty.name();
        let is_local = ty.linkage() == Some(Linkage::Static)
            && symbols.get(name).is_none_or(|symbol| !symbol.is_global());
        let Some(global) = self.symbols.global(name).filter(|_| !is_local) else {
            return;
        };
        let wins = match global.place {
            Some(_) => global.file == number && ty.linkage() != Some(Linkage::Extern),
            None => false,
        };
        match self.globals.get(name).copied() {
            Some((old, _)) if wins => {
                self.same.insert(old, id);
                self.globals.insert(name.to_string(), (id, true));
            }
            Some((old, _)) => {
                self.same.insert(id, old);
            }
            None => {
                self.globals.insert(name.to_string(), (id, wins));
            }
        }
    }

    /// The variables of a section of a file, where they lie in the result.
    fn variables(
        &mut self,
        number: usize,
        file: &File<'_>,
        ty: &skep_btf::Type<'_>,
        map: &dyn Fn(TypeId) -> TypeId,
        symbols: &HashMap<&str, &Symbol<'_>>,
    ) -> Result<(), LinkError> {
        let btf = ty.btf();
        let place = file.object.section_by_name(ty.name());
        let place = place.and_then(|section| self.sections.place(number, section.index));
        // Of the sections that all files have alike, the first file's stays.
        let is_shared = SHARED.contains(&ty.name());
        if is_shared && self.entries.get(ty.name()).is_some_and(|e| !e.is_empty()) {
            return Ok(());
        }
        for var in ty.vars() {
            let Some(target) = btf.type_by_id(var.ty) else {
                continue;
            };
            let symbol = symbols.get(target.name());
            let is_global = target.linkage() != Some(Linkage::Static)
                || symbol.is_some_and(|symbol| symbol.is_global());
            let id = map(var.ty);
            let entries = self.entries.entry(ty.name().to_string()).or_default();
            let Some((_, start)) = place else {
                // Of kernel symbols and configuration each name is there once.
                let meant = self.globals.get(target.name()).map_or(id, |(id, _)| *id);
                if !entries.iter().any(|(other, ..)| *other == meant) {
                    entries.push((meant, 0, var.size));
                }
                continue;
            };
            if !is_global {
                let offset = at(start, u64::from(var.offset), file, ty.name())?;
                entries.push((id, offset, var.size));
                continue;
            }
            // A definition that did not win leaves its bytes, and no variable.
            let winner = self.symbols.global(target.name());
            let wins = winner.is_some_and(|winner| winner.file == number && winner.place.is_some());
            if target.linkage() == Some(Linkage::Extern) || !wins {
                continue;
            }
            let value = symbol.map_or(u64::from(var.offset), |symbol| symbol.value);
            let offset = at(start, value, file, ty.name())?;
            entries.push((id, offset, var.size));
        }
        Ok(())
    }

    fn extended(
        &mut self,
        number: usize,
        file: &File<'_>,
        btf: &Btf,
        ext: &BtfExt,
        map: &dyn Fn(TypeId) -> TypeId,
    ) {
        let sections = self.sections;
        let start_of = |name: &str| {
            let named = |section: &&Section<'_>| section.name == name;
            let section = file.object.sections().iter().find(named)?;
            sections
                .place(number, section.index)
                .map(|(_, start)| start as u32)
        };
        let Merge {
            builder,
            functions,
            lines,
            relocations,
            ..
        } = self;
        let mut string = |offset: u32| builder.string(btf.string(offset).unwrap_or(""));
        let place = |records: u32| {
            let name = btf.string(records).unwrap_or("");
            Some((name.to_string(), start_of(name)?))
        };
        for list in &ext.func_info {
            let Some((name, start)) = place(list.section_name) else {
                continue;
            };
            let moved = list.records.iter().map(|record| FuncInfo {
                insn_off: record.insn_off.saturating_add(start),
                type_id: map(record.type_id),
            });
            functions.entry(name).or_default().extend(moved);
        }
        for list in &ext.line_info {
            let Some((name, start)) = place(list.section_name) else {
                continue;
            };
            let moved = list.records.iter().map(|record| LineInfo {
                insn_off: record.insn_off.saturating_add(start),
                file_name: string(record.file_name),
                line_text: string(record.line_text),
                line_col: record.line_col,
            });
            lines.entry(name).or_default().extend(moved);
        }
        for list in &ext.core_relo {
            let Some((name, start)) = place(list.section_name) else {
                continue;
            };
            let moved = list.records.iter().map(|record| CoreRelo {
                insn_off: record.insn_off.saturating_add(start),
                type_id: map(record.type_id),
                access: string(record.access),
                kind: record.kind,
            });
            relocations.entry(name).or_default().extend(moved);
        }
    }

    fn finish(mut self) -> Result<Types, LinkError> {
        for (name, mut entries) in core::mem::take(&mut self.entries) {
            entries.sort_by_key(|(_, offset, _)| *offset);
            let size = self
                .sections
                .by_name(&name)
                .map_or(0, |output| output.size as u32);
            let entries: Vec<(TypeId, u32, u32)> = entries;
            self.builder.datasec(&name, size, &entries);
        }
        // Chains of declarations lead to one definition.
        let ends: Vec<(TypeId, TypeId)> = self
            .same
            .iter()
            .map(|(from, to)| (*from, self.same.get(to).copied().unwrap_or(*to)))
            .collect();
        let same = ends.into_iter().collect();
        let broken = |error| LinkError::Btf {
            file: "the result".to_string(),
            section: ".BTF",
            error,
        };
        let merged = Btf::parse_on(self.builder.finish(), None).map_err(broken)?;
        let deduped = dedup(&merged, &same);
        let btf = Btf::parse_on(deduped.raw.clone(), None).map_err(broken)?;
        // Strings of lines are not names of types, so they are added after those.
        let mut builder = Builder::from_btf(&btf);
        let mut seen: HashMap<u32, u32> = HashMap::new();
        let mut string = |old: u32| {
            *seen
                .entry(old)
                .or_insert_with(|| builder.string(merged.string(old).unwrap_or("")))
        };
        let mut ext = BtfExt::default();
        for (name, records) in self.functions {
            let records = records.into_iter().map(|mut record| {
                record.type_id = deduped.id(record.type_id);
                record
            });
            let records: Vec<FuncInfo> = records.collect();
            ext.func_info.push(SectionRecords {
                section_name: 0,
                records,
            });
            self.entries.insert(name, Vec::new());
        }
        let names: Vec<String> = core::mem::take(&mut self.entries).into_keys().collect();
        let mut line_names = Vec::new();
        for (name, records) in self.lines {
            let records = records.into_iter().map(|mut record| {
                record.file_name = string(record.file_name);
                record.line_text = string(record.line_text);
                record
            });
            let records: Vec<LineInfo> = records.collect();
            ext.line_info.push(SectionRecords {
                section_name: 0,
                records,
            });
            line_names.push(name);
        }
        let mut relo_names = Vec::new();
        for (name, records) in self.relocations {
            let records = records.into_iter().map(|mut record| {
                record.type_id = deduped.id(record.type_id);
                record.access = string(record.access);
                record
            });
            let records: Vec<CoreRelo> = records.collect();
            ext.core_relo.push(SectionRecords {
                section_name: 0,
                records,
            });
            relo_names.push(name);
        }
        let set = |builder: &mut Builder, names: &[String], at: &mut dyn FnMut(usize, u32)| {
            for (index, name) in names.iter().enumerate() {
                at(index, builder.string(name));
            }
        };
        set(&mut builder, &names, &mut |index, name| {
            if let Some(list) = ext.func_info.get_mut(index) {
                list.section_name = name;
            }
        });
        set(&mut builder, &line_names, &mut |index, name| {
            if let Some(list) = ext.line_info.get_mut(index) {
                list.section_name = name;
            }
        });
        set(&mut builder, &relo_names, &mut |index, name| {
            if let Some(list) = ext.core_relo.get_mut(index) {
                list.section_name = name;
            }
        });
        // Objects of maps alone have no records, and then no section for them either.
        let is_empty =
            ext.func_info.is_empty() && ext.line_info.is_empty() && ext.core_relo.is_empty();
        Ok(Types {
            btf: builder.finish(),
            ext: match is_empty {
                true => Vec::new(),
                false => ext.to_bytes(),
            },
        })
    }
}

fn at(start: u64, offset: u64, file: &File<'_>, section: &str) -> Result<u32, LinkError> {
    let sum = start
        .checked_add(offset)
        .and_then(|sum| u32::try_from(sum).ok());
    sum.ok_or_else(|| LinkError::section(file.name, section, "a variable lies beyond 4 GiB"))
}

/// Every global name of a file that has types must have one, or other files cannot be held
/// against it.
fn described(file: &File<'_>, btf: &Btf) -> Result<(), LinkError> {
    let is_named = |ty: &skep_btf::Type<'_>| matches!(ty.kind(), Kind::Var | Kind::Func);
    let known: HashSet<&str> = btf.types().filter(is_named).map(|ty| ty.name()).collect();
    let unknown = file.object.symbols().iter().find(|symbol| {
        symbol.is_global() && !symbol.name.is_empty() && !known.contains(symbol.name)
    });
    match unknown {
        None => Ok(()),
        Some(symbol) => {
            let problem = "it is global, but BTF does not say what it is (declare it with a type, \
                           and compile with -g)";
            Err(LinkError::symbol(file.name, symbol.name, problem))
        }
    }
}

/// The named symbols of a file; a global one wins over a local one.
fn by_name<'f, 'a>(file: &'f File<'a>) -> HashMap<&'a str, &'f Symbol<'a>> {
    let mut found: HashMap<&str, &Symbol<'_>> = HashMap::new();
    for symbol in file.object.symbols() {
        if !symbol.name.is_empty() && (symbol.is_global() || !found.contains_key(symbol.name)) {
            found.insert(symbol.name, symbol);
        }
    }
    found
}

//! Opening an object: from the bytes of a file to a blueprint that can be looked at, edited
//! and loaded, the same on every machine.

use std::collections::HashMap;
use std::sync::Arc;

use skep_abi::{ProgFlags, ProgType};
use skep_btf::{Btf, BtfExt, Kind};
use skep_elf::{ByteOrder, ObjectFile, Section, SymbolKind};

use crate::attach::{AttachForm, AttachTarget};
use crate::error::OpenError;
use crate::externs::{self, Extern};
use crate::functions::{Function, FunctionIndex, Functions};
use crate::layout::Layout;
use crate::link;
use crate::map::{MapDef, MapIndex, MapOrigin, SlotTarget};
use crate::program::{ProgIndex, Program};
use crate::relocs::{self, Places};
use crate::section_table::SectionDef;
use crate::{btf_fix, data_maps, map_defs, names, struct_ops};

/// An opened object: what would be loaded. Every public field may be edited before that.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its name, from which the names of its data maps are made.
    pub name: String,
    /// The byte order of its data; all else is read into that of this machine. An object of another
    /// order can be looked at and linked, and not loaded.
    pub byte_order: ByteOrder,
    /// The programs, in the order of their sections and offsets.
    pub programs: Vec<Program>,
    /// The maps: declared ones, data sections, `.kconfig`, struct_ops.
    pub maps: Vec<MapDef>,
    /// What the object expects from the kernel and its configuration.
    pub externs: Vec<Extern>,
    /// The licence it states.
    pub license: String,
    /// The kernel version it states, 0 for none.
    pub version: u32,
    /// Its types, corrected so that a kernel takes them.
    pub btf: Option<Arc<Btf>>,
}

impl Object {
    /// Opens an object file.
    ///
    /// `file_name` gives the object its name: the part after the last `/` and before the
    /// first `.`, at most 15 bytes.
    ///
    /// # Errors
    /// [`OpenError`] says which section, symbol or byte is at fault. Never panics.
    pub fn open(bytes: &[u8], file_name: &str) -> Result<Object, OpenError> {
        let native = skep_elf::little(bytes)?;
        let file = ObjectFile::parse(&native)?;
        let layout = Layout::of(&file)?;
        let raw = parse_btf(&layout)?;
        let ext = parse_ext(&layout)?;
        let externs = externs::collect(&file, raw.as_ref())?;
        let btf = match &raw {
            Some(raw) => Some(btf_fix::fixed(raw, &file, &externs)?),
            None => None,
        };
        let name = names::object_name(file_name);
        let debug = btf.as_ref().zip(ext.as_ref());
        let mut functions = Functions::collect(&file, &layout, debug)?;
        let mut maps = Maps::collect(&name, &file, &layout, &externs, btf.as_ref())?;
        maps.places.add_externs(&externs);
        relocs::apply(&file, &layout, &maps.places, &mut functions)?;
        let mut programs = link_programs(&functions, &layout, btf.as_ref())?;
        struct_ops::collect(&file, &layout, btf.as_ref(), &mut maps.defs, &mut programs)?;
        Ok(Object {
            name,
            byte_order: skep_elf::byte_order(bytes),
            programs,
            maps: maps.defs,
            externs,
            license: layout.license.map(|s| text_of(&s)).unwrap_or_default(),
            version: layout.version.map_or(Ok(0), |s| version_of(&s))?,
            btf: btf.map(Arc::new),
        })
    }

    /// The program of this name.
    pub fn program(&self, name: &str) -> Option<ProgIndex> {
        self.programs
            .iter()
            .position(|program| program.name == name)
            .map(ProgIndex)
    }

    /// The map of this name: the kernel's name, or for data maps the section.
    pub fn map(&self, name: &str) -> Option<MapIndex> {
        let by_name = |map: &MapDef| map.name == name;
        let by_section = |map: &MapDef| map.origin != MapOrigin::Declared && map.section == name;
        let found = self.maps.iter().position(by_name);
        found
            .or_else(|| self.maps.iter().position(by_section))
            .map(MapIndex)
    }

    /// The place of a global variable: its map, and its bytes in `initial`.
    pub fn variable(&self, name: &str) -> Option<(MapIndex, core::ops::Range<usize>)> {
        let btf = self.btf.as_ref()?;
        for section in btf.types().filter(|ty| ty.kind() == Kind::DataSec) {
            let Some(map) = self
                .maps
                .iter()
                .position(|map| map.is_section() && map.section == section.name())
            else {
                continue;
            };
            let var = section
                .vars()
                .find(|var| btf.type_by_id(var.ty).is_some_and(|ty| ty.name() == name));
            if let Some(var) = var {
                let start = var.offset as usize;
                return Some((MapIndex(map), start..start.checked_add(var.size as usize)?));
            }
        }
        None
    }

    /// Gives a global variable another first value.
    ///
    /// # Errors
    /// A sentence when there is no such variable, or it has another size.
    pub fn set_variable(&mut self, name: &str, value: &[u8]) -> Result<(), String> {
        let (map, range) = self
            .variable(name)
            .ok_or_else(|| format!("no global variable '{name}'"))?;
        let size = range.len();
        let initial = self
            .maps
            .get_mut(map.0)
            .and_then(|map| map.initial.as_mut());
        let place = initial.and_then(|bytes| bytes.get_mut(range));
        match place {
            Some(place) if place.len() == value.len() => {
                place.copy_from_slice(value);
                Ok(())
            }
            _ => Err(format!(
                "variable '{name}' has {size} bytes, not {}",
                value.len()
            )),
        }
    }
}

fn parse_btf(layout: &Layout<'_>) -> Result<Option<Btf>, OpenError> {
    let parse = |section: Section<'_>| {
        Btf::parse(section.data).map_err(|error| OpenError::Btf {
            section: ".BTF",
            error,
        })
    };
    layout.btf.map(parse).transpose()
}

fn parse_ext(layout: &Layout<'_>) -> Result<Option<BtfExt>, OpenError> {
    let parse = |section: Section<'_>| {
        BtfExt::parse(section.data).map_err(|error| OpenError::Btf {
            section: ".BTF.ext",
            error,
        })
    };
    layout.btf_ext.map(parse).transpose()
}

fn text_of(section: &Section<'_>) -> String {
    let end = section
        .data
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(section.data.len());
    String::from_utf8_lossy(section.data.get(..end).unwrap_or(&[])).into_owned()
}

fn version_of(section: &Section<'_>) -> Result<u32, OpenError> {
    match section.data.try_into() {
        Ok(bytes) => Ok(u32::from_le_bytes(bytes)),
        Err(_) => {
            let problem = format!("must be 4 bytes, not {}", section.data.len());
            Err(OpenError::section("version", problem))
        }
    }
}

/// The maps of an object under construction.
struct Maps {
    defs: Vec<MapDef>,
    places: Places,
}

impl Maps {
    fn collect(
        object: &str,
        file: &ObjectFile<'_>,
        layout: &Layout<'_>,
        externs: &[Extern],
        btf: Option<&Btf>,
    ) -> Result<Maps, OpenError> {
        let mut maps = Maps {
            defs: Vec::new(),
            places: Places::default(),
        };
        if let Some(section) = &layout.maps {
            maps.declared(file, layout, section, btf)?;
        }
        for (section, origin) in &layout.data {
            let def = data_maps::of_section(object, section, *origin, btf)?;
            maps.places
                .data
                .insert(section.index, MapIndex(maps.defs.len()));
            maps.defs.push(def);
        }
        if let Some(section) = &layout.arena {
            let arena = maps
                .defs
                .iter_mut()
                .zip(0..)
                .find(|(def, _)| def.is_arena());
            let Some((def, index)) = arena else {
                let problem = "there are arena variables, but no arena map is declared";
                return Err(OpenError::section(section.name, problem));
            };
            data_maps::in_arena(def, section, btf)?;
            maps.places.arena = Some((section.index, MapIndex(index)));
        }
        maps.defs
            .extend(data_maps::of_kconfig(object, externs, btf));
        Ok(maps)
    }

    fn declared(
        &mut self,
        file: &ObjectFile<'_>,
        layout: &Layout<'_>,
        section: &Section<'_>,
        btf: Option<&Btf>,
    ) -> Result<(), OpenError> {
        let Some(btf) = btf else {
            let problem = "the object has no BTF, which describes the maps (compile with -g)";
            return Err(OpenError::section(section.name, problem));
        };
        let mut declared = map_defs::collect(btf, section.size)?;
        fill_slots(file, layout, section, &mut declared)?;
        let by_offset: HashMap<u64, MapIndex> = declared
            .iter()
            .enumerate()
            .map(|(index, map)| (u64::from(map.offset), MapIndex(index)))
            .collect();
        self.places.declared = Some((section.index, by_offset));
        self.defs.extend(declared.into_iter().map(|map| map.def));
        Ok(())
    }
}

/// Reads the relocations of `.maps`: the initial elements of maps of maps and program arrays.
fn fill_slots(
    file: &ObjectFile<'_>,
    layout: &Layout<'_>,
    section: &Section<'_>,
    declared: &mut [map_defs::Declared],
) -> Result<(), OpenError> {
    for relocation in file.relocations(section.index)? {
        let Some(symbol) = file.symbol(relocation.symbol) else {
            continue;
        };
        let refuse = |problem: &str| OpenError::Relocation {
            section: section.name.to_string(),
            offset: relocation.offset,
            symbol: symbol.name.to_string(),
            problem: problem.to_string(),
        };
        let target = if symbol.section() == Some(section.index) {
            let map = declared
                .iter()
                .position(|map| u64::from(map.offset) == symbol.value);
            map.map(|index| SlotTarget::Map(MapIndex(index)))
        } else {
            let code = symbol
                .section()
                .and_then(|index| layout.code_section(index));
            let is_program = symbol.kind == SymbolKind::Func && code.is_some();
            is_program.then(|| SlotTarget::Program(symbol.name.to_string()))
        };
        let target = target.ok_or_else(|| refuse("only maps and programs can be values"))?;
        let map = declared.iter_mut().find(|map| {
            relocation
                .offset
                .checked_sub(u64::from(map.offset))
                .is_some_and(|inside| {
                    inside < u64::from(map.size)
                        && map.values_at.is_some_and(|at| inside >= u64::from(at))
                })
        });
        let map = map.ok_or_else(|| refuse("it is not inside the 'values' of a map"))?;
        let wants_map = map.def.inner.is_some();
        if wants_map != matches!(target, SlotTarget::Map(_)) {
            return Err(refuse("a map of maps holds maps, a program array programs"));
        }
        let start = u64::from(map.offset) + u64::from(map.values_at.unwrap_or(0));
        let inside = relocation.offset.saturating_sub(start);
        if inside % 8 != 0 {
            return Err(refuse("it is not a whole element of 'values'"));
        }
        let key = u32::try_from(inside / 8).map_err(|_| refuse("it lies too far away"))?;
        map.def.slots.push((key, target));
    }
    Ok(())
}

/// Links a program for each function that is one.
///
/// Functions of `.text` are only called by others; static functions anywhere likewise (libbpf
/// refuses those outside of `.text`).
fn link_programs(
    functions: &Functions,
    layout: &Layout<'_>,
    btf: Option<&Btf>,
) -> Result<Vec<Program>, OpenError> {
    let callbacks = btf
        .map(|btf| exception_callbacks(functions, btf))
        .unwrap_or_default();
    let mut programs = Vec::new();
    let mut slots = 0usize;
    for (index, function) in functions.all.iter().enumerate() {
        if function.is_static || Some(function.section) == layout.text {
            continue;
        }
        let callback = callbacks.get(&function.name).copied();
        let linked = link::link(functions, FunctionIndex(index), callback)?;
        slots = slots.saturating_add(linked.insns.len());
        if slots > MAX_LINKED {
            let problem = format!("the linked programs exceed {MAX_LINKED} instructions");
            return Err(OpenError::function(&function.name, problem));
        }
        let mut program = describe(function);
        linked.put(&mut program);
        programs.push(program);
    }
    Ok(programs)
}

/// The most instruction slots of all programs of an object together, so that a small file
/// in which many programs share many functions cannot fill the memory.
const MAX_LINKED: usize = 1 << 24;

/// The functions that declaration tags name as exception callbacks, by the program's name.
fn exception_callbacks(functions: &Functions, btf: &Btf) -> HashMap<String, FunctionIndex> {
    let by_name: HashMap<&str, usize> = functions
        .all
        .iter()
        .enumerate()
        .map(|(index, f)| (f.name.as_str(), index))
        .collect();
    let named = btf.decl_tags().filter_map(|tag| {
        let callback = by_name.get(tag.name().strip_prefix("exception_callback:")?)?;
        let on = tag.target().filter(|ty| ty.kind() == Kind::Func)?;
        Some((on.name().to_string(), FunctionIndex(*callback)))
    });
    named.collect()
}

/// What the name of a function's section says of the program.
fn describe(function: &Function) -> Program {
    let section = function.section_name.as_str();
    let (autoload, bare) = match section.strip_prefix('?') {
        Some(bare) => (false, bare),
        None => (true, section),
    };
    let found = SectionDef::find(bare);
    let def = found.map(|(def, _)| def);
    let target_text = found.and_then(|(_, target)| target);
    let mut flags = 0;
    if def.is_some_and(|def| def.sleepable) {
        flags |= ProgFlags::SLEEPABLE.0;
    }
    if def.is_some_and(|def| def.frags) {
        flags |= ProgFlags::XDP_HAS_FRAGS.0;
    }
    let form = def.map_or(AttachForm::None, |def| def.form);
    Program {
        name: function.name.clone(),
        section: section.to_string(),
        def,
        prog_type: def
            .map(|def| def.prog_type)
            .filter(|ty| *ty != ProgType::Unspec),
        expected_attach_type: def.and_then(|def| def.attach_type),
        target_text: target_text.map(str::to_string),
        target: target_text.and_then(|text| AttachTarget::parse(form, text)),
        attach_prog: None,
        flags: ProgFlags(flags),
        autoload,
        autoattach: true,
        insns: Vec::new(),
        functions: Vec::new(),
        fixups: Vec::new(),
        func_info: Vec::new(),
        line_info: Vec::new(),
        core_relos: Vec::new(),
        implements: None,
    }
}

//! What has to change in an object's BTF before a kernel takes it.
//!
//! A compiler does not know where the linker puts variables, so it leaves the sizes of
//! sections and the offsets of global variables open; and what is extern has to be turned
//! into something that is defined.

use std::collections::HashMap;

use skep_btf::{Btf, Builder, Kind, Linkage, TypeId};
use skep_elf::{ObjectFile, Place, Symbol, SymbolKind, Visibility};

use crate::error::OpenError;
use crate::externs::{Extern, ExternKind};

/// The word of a `VAR` record that holds the linkage.
const VAR_LINKAGE: usize = 3;
const INFO: usize = 1;
const SIZE_OR_TYPE: usize = 2;

/// Returns the corrected BTF.
pub(crate) fn fixed(
    btf: &Btf,
    file: &ObjectFile<'_>,
    externs: &[Extern],
) -> Result<Btf, OpenError> {
    let mut builder = Builder::from_btf(btf);
    let symbols = defined_symbols(file);
    let mut ksym_types = KsymTypes::default();
    for ty in btf.types() {
        match ty.kind() {
            Kind::DataSec => match ty.name() {
                ".kconfig" => kconfig_section(btf, &mut builder, ty.id(), externs),
                ".ksyms" => ksym_section(btf, &mut builder, ty.id(), &mut ksym_types),
                _ => data_section(btf, &mut builder, ty.id(), file, &symbols)?,
            },
            Kind::Func if ty.linkage() == Some(Linkage::Global) => {
                let hidden = symbols
                    .get(ty.name())
                    .is_some_and(|symbol| is_hidden(symbol));
                if hidden {
                    // Hidden functions are verified with their callers, as static ones are.
                    builder.set_word(ty.id(), INFO, ty.info() & !0xffff);
                }
            }
            _ => {}
        }
    }
    Btf::parse(&builder.finish()).map_err(|error| OpenError::Btf {
        section: ".BTF",
        error,
    })
}

fn is_hidden(symbol: &Symbol<'_>) -> bool {
    symbol.is_global() && matches!(symbol.visibility, Visibility::Hidden | Visibility::Internal)
}

/// The named symbols that lie in a section; a global one wins over a local one.
fn defined_symbols<'a, 'f>(file: &'f ObjectFile<'a>) -> HashMap<&'a str, &'f Symbol<'a>> {
    let mut symbols = HashMap::new();
    for symbol in file.symbols() {
        let named = matches!(
            symbol.kind,
            SymbolKind::Object | SymbolKind::Func | SymbolKind::None
        );
        if !named || symbol.name.is_empty() || !matches!(symbol.place, Place::Section(_)) {
            continue;
        }
        if symbol.is_global() || !symbols.contains_key(symbol.name) {
            symbols.insert(symbol.name, symbol);
        }
    }
    symbols
}

/// A `DATASEC` record whose entries were changed: sorted by offset and put back.
fn put_entries(builder: &mut Builder, id: TypeId, size: u32, mut entries: Vec<[u32; 3]>) {
    entries.sort_by_key(|[_, offset, _]| *offset);
    let Some(record) = builder.record(id) else {
        return;
    };
    let mut words: Vec<u32> = record.iter().take(SIZE_OR_TYPE).copied().collect();
    words.push(size);
    words.extend(entries.into_iter().flatten());
    builder.replace(id, words);
}

/// Gives a section its size and its global variables their offsets, unless a static linker
/// has done that already.
fn data_section(
    btf: &Btf,
    builder: &mut Builder,
    id: TypeId,
    file: &ObjectFile<'_>,
    symbols: &HashMap<&str, &Symbol<'_>>,
) -> Result<(), OpenError> {
    let Some(ty) = btf.type_by_id(id) else {
        return Ok(());
    };
    let linked = ty.size_or_type() != 0;
    let section = file.section_by_name(ty.name());
    let size = match section {
        _ if linked => ty.size_or_type(),
        Some(section) if section.size > 0 => u32::try_from(section.size)
            .map_err(|_| OpenError::section(ty.name(), "larger than 4 GiB"))?,
        _ => {
            let problem = "BTF describes its variables, but the file has no such section";
            return Err(OpenError::section(ty.name(), problem));
        }
    };
    let mut entries = Vec::with_capacity(ty.vars().len());
    for var in ty.vars() {
        let mut offset = var.offset;
        let target = btf.type_by_id(var.ty);
        let is_global = target.is_some_and(|ty| ty.linkage() == Some(Linkage::Global));
        let symbol = target.and_then(|ty| symbols.get(ty.name()));
        if let (true, Some(symbol)) = (is_global, symbol) {
            if !linked {
                offset = u32::try_from(symbol.value)
                    .map_err(|_| OpenError::section(ty.name(), "a variable lies beyond 4 GiB"))?;
            }
            if is_hidden(symbol) {
                builder.set_word(var.ty, VAR_LINKAGE, Linkage::Static.number());
            }
        }
        entries.push([var.ty.0, offset, var.size]);
    }
    put_entries(builder, id, size, entries);
    Ok(())
}

/// Turns the variables of `.kconfig` into those of the map that stands for it.
fn kconfig_section(btf: &Btf, builder: &mut Builder, id: TypeId, externs: &[Extern]) {
    let Some(ty) = btf.type_by_id(id) else { return };
    let mut entries = Vec::with_capacity(ty.vars().len());
    for var in ty.vars() {
        let found = externs.iter().find(|ext| ext.type_id == var.ty);
        let Some(ExternKind::Kconfig { size, offset, .. }) = found.map(|ext| &ext.kind) else {
            continue;
        };
        builder.set_word(var.ty, VAR_LINKAGE, Linkage::Global.number());
        entries.push([var.ty.0, *offset, *size]);
    }
    if let Some(info) = builder.word(id, INFO) {
        let count = u32::try_from(entries.len()).unwrap_or(0) & 0xffff;
        builder.set_word(id, INFO, info & !0xffff | count);
    }
    put_entries(builder, id, crate::externs::kconfig_size(externs), entries);
}

/// The types that stand in for kernel symbols, made when first needed.
#[derive(Default)]
struct KsymTypes {
    int: Option<TypeId>,
    var: Option<TypeId>,
}

impl KsymTypes {
    fn int(&mut self, btf: &Btf, builder: &mut Builder) -> TypeId {
        let found = || {
            btf.types()
                .find(|ty| ty.kind() == Kind::Int && ty.size() == Some(4))
                .map(|t| t.id())
        };
        *self
            .int
            .get_or_insert_with(|| found().unwrap_or_else(|| builder.int("int", 4, true)))
    }

    fn var(&mut self, btf: &Btf, builder: &mut Builder) -> TypeId {
        let int = self.int(btf, builder);
        *self
            .var
            .get_or_insert_with(|| builder.var("dummy_ksym", int, Linkage::Global))
    }
}

/// Makes a section of ordinary four-byte variables out of `.ksyms`: a kernel takes neither
/// functions in a section nor extern variables.
fn ksym_section(btf: &Btf, builder: &mut Builder, id: TypeId, types: &mut KsymTypes) {
    let Some(ty) = btf.type_by_id(id) else { return };
    let mut entries = Vec::with_capacity(ty.vars().len());
    for (index, var) in ty.vars().enumerate() {
        let offset = u32::try_from(index * 4).unwrap_or(u32::MAX);
        let Some(target) = btf.type_by_id(var.ty) else {
            continue;
        };
        if target.kind() == Kind::Func {
            let stand_in = types.var(btf, builder);
            name_params(builder, target.ref_type().unwrap_or_default(), stand_in);
            let info = target.info() & !0xffff | Linkage::Global.number();
            builder.set_word(var.ty, INFO, info);
            entries.push([stand_in.0, offset, 4]);
        } else {
            let int = types.int(btf, builder);
            builder.set_word(var.ty, SIZE_OR_TYPE, int.0);
            builder.set_word(var.ty, VAR_LINKAGE, Linkage::Global.number());
            entries.push([var.ty.0, offset, 4]);
        }
    }
    let size = u32::try_from(entries.len() * 4).unwrap_or(u32::MAX);
    put_entries(builder, id, size, entries);
}

/// Gives the nameless parameters of a declared function a name, as a kernel demands one of
/// functions that are defined.
fn name_params(builder: &mut Builder, proto: TypeId, stand_in: TypeId) {
    let name = builder.word(stand_in, 0).unwrap_or(0);
    let len = builder.record(proto).map_or(0, <[u32]>::len);
    for at in (3..len).step_by(2) {
        let nameless = builder.word(proto, at) == Some(0);
        let is_type = builder.word(proto, at + 1).is_some_and(|ty| ty != 0);
        if nameless && is_type {
            builder.set_word(proto, at, name);
        }
    }
}

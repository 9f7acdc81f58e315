//! Types as C: every structure, union, enumeration and typedef, in an order that compiles,
//! with the padding and the attributes that give the same sizes and offsets.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::HashSet;
use std::fmt::Write;

use thiserror::Error;

use crate::blob::Btf;
use crate::hash::Fast;
use crate::kind::{Kind, TypeId};
use crate::view::Type;

use super::declare::{BUILTIN, Names, Plain, declare};
use super::layout::{Layouts, natural_start, padding};
use super::order::{Event, Order};

/// How deep nameless structures may be nested in each other.
const NESTING_MAX: usize = 64;
/// The longest text. Nameless types that hold each other twice would double it each time.
const TEXT_MAX: usize = 1 << 26;

/// Why types cannot be written as C.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DumpError {
    /// A reference leads nowhere.
    #[error("there is no type {0}")]
    NoType(TypeId),
    /// Declarations or nameless structures lie too deep in each other.
    #[error("types are nested too deeply to be written as C")]
    TooDeep,
    /// The text would be larger than anybody wants.
    #[error("the types would fill more than {TEXT_MAX} bytes")]
    TooLong,
}

/// Writes all types.
///
/// # Errors
/// [`DumpError`] for blobs that no compiler wrote. Cost: linear in blob and text.
pub fn all(btf: &Btf) -> Result<String, DumpError> {
    roots(btf, (1..btf.type_count()).map(TypeId))
}

/// Writes the types of these ids and what they need.
///
/// # Errors
/// As [`all`].
pub fn roots(btf: &Btf, ids: impl Iterator<Item = TypeId>) -> Result<String, DumpError> {
    let mut dumper = Dumper {
        btf,
        layouts: Layouts::new(btf),
        names: Spelling::of(btf),
        declared: HashSet::default(),
        referred: referred(btf),
        out: String::with_capacity(btf.raw().len()),
    };
    let mut order = Order::new(btf);
    let mut result = Ok(());
    for id in ids {
        // Records that are not types of C, and what is only behind them.
        let is_type = btf.type_by_id(id).is_some_and(|ty| {
            let kind = ty.kind();
            kind.is_composite() || kind.is_enum() || matches!(kind, Kind::Typedef | Kind::Fwd)
        });
        if is_type {
            order.whole(id, |event| {
                if result.is_ok() {
                    result = dumper.event(event);
                }
            });
            result?;
        }
    }
    Ok(dumper.out)
}

/// What a dump calls each structure and union that has a name, by id: `struct x`, and
/// `struct x___2` for the second of that name.
pub fn composites(btf: &Btf) -> Vec<(TypeId, String)> {
    let names = Spelling::of(btf);
    let all = (1..btf.type_count()).filter_map(|id| btf.type_by_id(id));
    all.filter(|ty| ty.kind().is_composite())
        .filter_map(|ty| Some((ty.id(), names.spelled(&ty)?)))
        .collect()
}

/// The text that stands around a dump in a header file.
pub const HEADER: (&str, &str) = (
    "#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n\n\
     #ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n\
     #pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)\n\
     #endif\n\n",
    "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n#pragma clang attribute pop\n#endif\n\n\
     #endif /* __VMLINUX_H__ */\n",
);

/// What types and constants are called; those that share a name get a number.
struct Spelling {
    /// The number of a type that is not the first of its name.
    numbers: HashMap<TypeId, u32, Fast>,
    /// The structures that are named among the parameters of what is being written.
    in_parameters: RefCell<Vec<String>>,
}

impl Spelling {
    fn of(btf: &Btf) -> Spelling {
        let mut numbers: HashMap<TypeId, u32, Fast> = HashMap::default();
        let about = btf.type_count() as usize / 8;
        let mut tags: HashMap<&str, (u32, Kind), Fast> =
            HashMap::with_capacity_and_hasher(about, Fast::default());
        let mut words: HashMap<&str, u32, Fast> = HashMap::default();
        let mut forwards = Vec::new();
        for id in 1..btf.type_count() {
            let Some(ty) = btf.type_by_id(id) else {
                continue;
            };
            let kind = ty.kind();
            if kind == Kind::Fwd {
                forwards.push(ty);
                continue;
            }
            let has_name = kind.is_composite() || kind.is_enum() || kind == Kind::Typedef;
            let name = if has_name { ty.name() } else { "" };
            if name.is_empty() {
                continue;
            }
            let count = if kind == Kind::Typedef {
                let count = words.entry(name).or_default();
                *count += 1;
                *count
            } else {
                let (count, _) = tags.entry(name).or_insert((0, kind));
                *count += 1;
                *count
            };
            if count > 1 {
                numbers.insert(ty.id(), count);
            }
        }
        for ty in forwards {
            // A forward of another kind than the type of that name is of something else.
            let kind = if ty.kind_flag() {
                Kind::Union
            } else {
                Kind::Struct
            };
            match tags.get_mut(ty.name()) {
                Some((count, first)) if *first != kind => {
                    *count += 1;
                    numbers.insert(ty.id(), *count);
                }
                Some(_) => {}
                None => {
                    tags.insert(ty.name(), (1, kind));
                }
            }
        }
        Spelling {
            numbers,
            in_parameters: RefCell::default(),
        }
    }

    fn name<'a>(&self, ty: &Type<'a>) -> Cow<'a, str> {
        match self.numbers.get(&ty.id()) {
            Some(number) => Cow::Owned(format!("{}___{number}", ty.name())),
            None => Cow::Borrowed(ty.name()),
        }
    }

    /// Writes what `spelled` answers; `false` for a type without a name.
    fn write(&self, ty: &Type<'_>, out: &mut String) -> bool {
        let Some(word) = tag(ty) else {
            let spelled = self.spelled(ty);
            out.push_str(spelled.as_deref().unwrap_or_default());
            return spelled.is_some();
        };
        let name = ty.name();
        if name.is_empty() {
            return false;
        }
        out.push_str(word);
        out.push_str(name);
        if let Some(number) = self.numbers.get(&ty.id()) {
            let _ = write!(out, "___{number}");
        }
        true
    }
}

/// The word before the name of a type that has one of its own.
fn tag(ty: &Type<'_>) -> Option<&'static str> {
    match ty.kind() {
        Kind::Struct => Some("struct "),
        Kind::Union => Some("union "),
        Kind::Enum | Kind::Enum64 => Some("enum "),
        Kind::Fwd if ty.kind_flag() => Some("union "),
        Kind::Fwd => Some("struct "),
        Kind::Typedef => Some(""),
        _ => None,
    }
}

impl Names for Spelling {
    fn spelled(&self, ty: &Type<'_>) -> Option<String> {
        let word = match ty.kind() {
            Kind::Void => return Some("void".to_string()),
            Kind::Int | Kind::Float if ty.name().is_empty() => return Some(number(ty)),
            _ => tag(ty).unwrap_or(""),
        };
        (!ty.name().is_empty()).then(|| format!("{word}{}", self.name(ty)))
    }

    fn in_parameter(&self, ty: &Type<'_>, spelled: &str) {
        if ty.kind().is_composite() || ty.kind() == Kind::Fwd {
            self.in_parameters.borrow_mut().push(spelled.to_string());
        }
    }
}

/// A number without a name, by its size.
fn number(ty: &Type<'_>) -> String {
    let word = match (ty.kind(), ty.size()) {
        (Kind::Float, Some(4)) => "float",
        (Kind::Float, _) => "double",
        (_, Some(1)) => "char",
        (_, Some(2)) => "short",
        (_, Some(8)) => "long long",
        (_, Some(16)) => "__int128",
        _ => "int",
    };
    let signed = match ty.kind() {
        Kind::Int => ty.int().is_some_and(|int| int.signed),
        Kind::Enum | Kind::Enum64 => ty.kind_flag(),
        _ => true,
    };
    format!("{}{word}", if signed { "" } else { "unsigned " })
}

fn referred(btf: &Btf) -> HashSet<TypeId, Fast> {
    let mut nameless = vec![false; btf.type_count() as usize];
    for (id, place) in (0..).zip(&mut nameless) {
        let ty = btf.type_by_id(id);
        *place = ty.is_some_and(|ty| ty.kind().is_enum() && ty.name_off() == 0);
    }
    let mut found = HashSet::default();
    for ty in (1..btf.type_count()).filter_map(|id| btf.type_by_id(id)) {
        let _ = ty.each_reference(|_, id| {
            if nameless.get(id as usize).is_some_and(|nameless| *nameless) {
                found.insert(TypeId(id));
            }
            Ok::<(), core::convert::Infallible>(())
        });
    }
    found
}

struct Dumper<'a> {
    btf: &'a Btf,
    layouts: Layouts,
    names: Spelling,
    /// The constants and forwards that have been written, as they may be only once.
    declared: HashSet<Cow<'a, str>, Fast>,
    /// The nameless enumerations that other types use.
    referred: HashSet<TypeId, Fast>,
    out: String,
}

impl<'a> Dumper<'a> {
    fn event(&mut self, event: Event) -> Result<(), DumpError> {
        let (Event::Declare(id) | Event::Define(id) | Event::Complete(id)) = event;
        let Some(ty) = self.btf.type_by_id(id) else {
            return Ok(());
        };
        let start = self.out.len();
        match event {
            Event::Complete(_) => {
                self.layouts.complete(&ty);
                return Ok(());
            }
            Event::Declare(_) => {
                let name = self.names.spelled(&ty).unwrap_or_default();
                if !self.declared.contains(name.as_str()) {
                    let _ = write!(self.out, "{name};\n\n");
                    self.declared.insert(name.into());
                }
                return Ok(());
            }
            Event::Define(_) if ty.kind() == Kind::Typedef => {
                if ty.name() == BUILTIN {
                    return Ok(());
                }
                self.out.push_str("typedef ");
                let name = self.names.name(&ty);
                self.declaration(ty.ref_type().unwrap_or_default(), &name, 0)?;
            }
            Event::Define(_) if ty.kind().is_enum() => {
                // A nameless one is written where it is first used.
                if ty.name().is_empty() && (self.referred.contains(&id) || !self.is_free(&ty)) {
                    return Ok(());
                }
                self.enumeration(&ty, 0);
            }
            Event::Define(_) => {
                let name = self.names.spelled(&ty).unwrap_or_default();
                self.declared.insert(name.into());
                self.composite(&ty, 0)?;
            }
        }
        self.out.push_str(";\n\n");
        for name in self.names.in_parameters.take() {
            if !self.declared.contains(name.as_str()) {
                self.out.insert_str(start, &format!("{name};\n\n"));
                self.declared.insert(name.into());
            }
        }
        if self.out.len() > TEXT_MAX {
            return Err(DumpError::TooLong);
        }
        Ok(())
    }

    /// Whether none of its constants has been written, so that they can be.
    fn is_free(&self, ty: &Type<'_>) -> bool {
        let mut constants = ty.enumerators();
        constants.len() != 0 && constants.all(|c| !self.declared.contains(c.name))
    }

    fn indent(&mut self, level: usize) {
        for _ in 0..level {
            self.out.push('\t');
        }
    }

    /// Writes a declaration; a nameless base is written out.
    fn declaration(&mut self, id: TypeId, name: &str, level: usize) -> Result<(), DumpError> {
        if let Some(plain) = Plain::of(self.btf, id) {
            self.out
                .push_str(if plain.is_const { "const " } else { "" });
            if self.names.write(&plain.base, &mut self.out) {
                plain.finish(name, &mut self.out);
                return Ok(());
            }
            self.out
                .truncate(self.out.len() - if plain.is_const { "const ".len() } else { 0 });
        }
        let parts = declare(self.btf, &self.names, id, name, 0)?;
        self.out.push_str(&parts.before);
        match self.names.spelled(&parts.base) {
            Some(spelled) => self.out.push_str(&spelled),
            None if parts.base.kind().is_composite() => self.composite(&parts.base, level)?,
            None if parts.base.kind().is_enum() && self.is_free(&parts.base) => {
                self.enumeration(&parts.base, level);
            }
            None => self.out.push_str(&number(&parts.base)),
        }
        self.out.push_str(&parts.after);
        if !parts.declarator.is_empty() {
            self.out.push(' ');
            self.out.push_str(&parts.declarator);
        }
        Ok(())
    }

    fn enumeration(&mut self, ty: &Type<'a>, level: usize) {
        let name = self.names.spelled(ty);
        self.out.push_str(name.as_deref().unwrap_or("enum"));
        self.out.push_str(" {\n");
        let wide = ty.kind() == Kind::Enum64;
        for constant in ty.enumerators() {
            self.indent(level + 1);
            let mut name = Cow::Borrowed(constant.name);
            let mut number = 1u32;
            while !self.declared.insert(name.clone()) {
                number += 1;
                name = Cow::Owned(format!("{}___{number}", constant.name));
            }
            let _ = match (wide, ty.kind_flag()) {
                (false, true) => writeln!(self.out, "{name} = {},", constant.value as i32),
                (false, false) => writeln!(self.out, "{name} = {},", constant.value as u32),
                (true, true) => writeln!(self.out, "{name} = {}LL,", constant.value as i64),
                (true, false) => writeln!(self.out, "{name} = {}ULL,", constant.value),
            };
        }
        self.indent(level);
        self.out.push('}');
        let mode = match ty.size() {
            Some(1) => " __attribute__((mode(byte)))",
            Some(2) => " __attribute__((mode(HI)))",
            Some(8) if !wide => " __attribute__((mode(word)))",
            _ => "",
        };
        self.out.push_str(mode);
    }

    fn composite(&mut self, ty: &Type<'a>, level: usize) -> Result<(), DumpError> {
        if level > NESTING_MAX {
            return Err(DumpError::TooDeep);
        }
        if self.out.len() > TEXT_MAX {
            return Err(DumpError::TooLong);
        }
        let (packed, places) = self.layouts.complete(ty);
        let union = ty.kind() == Kind::Union;
        let bare = if union { "union" } else { "struct" };
        if !self.names.write(ty, &mut self.out) {
            self.out.push_str(bare);
        }
        let size = u64::from(ty.size().unwrap_or(0)) * 8;
        if ty.members().len() == 0 && size == 0 {
            self.out.push_str(" {}");
            return Ok(());
        }
        self.out.push_str(" {\n");
        let (mut end, mut align, mut last_at) = (0u64, 8u64, 0u64);
        for (member, mut place) in ty.members().zip(places) {
            let own = match place.bitfield {
                Some(_) => place.own_align,
                None => place.align,
            };
            if packed {
                place.align = if place.bitfield.is_some() {
                    u64::MAX
                } else {
                    8
                };
            }
            if !union && last_at <= place.at {
                let natural = if packed {
                    end.next_multiple_of(if place.bitfield.is_some() { 1 } else { 8 })
                } else {
                    natural_start(&place, end)
                };
                if natural < place.at {
                    self.pad(end, place.at, level + 1);
                }
            }
            last_at = place.at;
            self.indent(level + 1);
            self.declaration(member.ty, member.name, level + 1)?;
            if let Some(bits) = place.bitfield {
                let _ = write!(self.out, ": {bits}");
            }
            self.out.push_str(";\n");
            end = if union {
                end.max(place.bits)
            } else {
                place.at + place.bits
            };
            if !packed {
                align = align.max(own);
            }
        }
        if end.next_multiple_of(align) < size {
            if union {
                self.indent(level + 1);
                let _ = writeln!(self.out, "char __padding[{}];", size / 8);
            } else {
                self.pad(end, size, level + 1);
            }
        }
        self.indent(level);
        self.out.push('}');
        if packed {
            self.out.push_str(" __attribute__((packed))");
        }
        Ok(())
    }

    fn pad(&mut self, from: u64, to: u64, level: usize) {
        // A hole of gigabytes is not said bit by bit.
        if to.saturating_sub(from) > 1 << 16 {
            self.indent(level);
            let from = from.next_multiple_of(8);
            let _ = writeln!(self.out, "char __hole_{}[{}];", from / 8, (to - from) / 8);
            return;
        }
        let out = &mut self.out;
        padding(from, to, |unit, bits| {
            for _ in 0..level {
                out.push('\t');
            }
            let _ = writeln!(out, "{unit}: {bits};");
        });
    }
}

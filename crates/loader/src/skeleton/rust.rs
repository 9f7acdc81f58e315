//! Skeletons in Rust, for programs that depend on the `skep` crate.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use skep_abi::MapType;
use skep_btf::{Btf, Kind, Type, TypeId};

use crate::map::{MapDef, MapOrigin};
use crate::object::Object;

use super::{SkeletonError, check_names, map_ident, programs, variables};

/// How deep types may nest before they are written as bytes.
const MAX_DEPTH: usize = 16;
/// The most types that a skeleton may be made of.
const MAX_TYPES: usize = 1 << 16;

/// Words that Rust keeps for itself.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// A name that Rust takes for a field or function.
fn ident(name: &str) -> String {
    let clean: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    match KEYWORDS.contains(&clean.as_str()) || clean.is_empty() {
        true => format!("{clean}_"),
        false => clean,
    }
}

/// A name that Rust takes for a type: `flow_key` becomes `FlowKey`.
fn camel(name: &str) -> String {
    let parts = name.split(|c: char| !c.is_ascii_alphanumeric());
    let mut out = String::new();
    for part in parts.filter(|part| !part.is_empty()) {
        let mut chars = part.chars();
        out.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        out.push_str(chars.as_str());
    }
    match out.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => out,
        false => format!("T{out}"),
    }
}

/// The structures that a skeleton needs, by name, as they are met.
struct Types<'a> {
    btf: &'a Btf,
    /// Names that are taken by other things.
    prefix: String,
    /// How many types may still be looked at: damaged ones can hold themselves.
    left: usize,
    written: BTreeMap<TypeId, (String, String)>,
}

impl Types<'_> {
    /// A type as Rust writes it. What Rust has no plain type for is bytes.
    fn name(&mut self, id: TypeId, depth: usize) -> Option<String> {
        let ty = self.btf.resolve(id)?;
        let size = self.btf.size_of(id)?;
        let bytes = format!("[u8; {size}]");
        self.left = self.left.saturating_sub(1);
        let Some(depth) = depth.checked_sub(1).filter(|_| self.left > 0) else {
            return Some(bytes);
        };
        Some(match ty.kind() {
            Kind::Int => int(ty).map_or(bytes, str::to_string),
            Kind::Enum | Kind::Enum64 => match (size, ty.kind_flag()) {
                (1, false) => "u8".to_string(),
                (2, false) => "u16".to_string(),
                (4, false) => "u32".to_string(),
                (8, false) => "u64".to_string(),
                (4, true) => "i32".to_string(),
                (8, true) => "i64".to_string(),
                _ => bytes,
            },
            Kind::Ptr => "u64".to_string(),
            Kind::Float if size == 4 => "f32".to_string(),
            Kind::Float if size == 8 => "f64".to_string(),
            Kind::Array => {
                let array = ty.array()?;
                let element = self.name(array.elem, depth)?;
                format!("[{element}; {}]", array.count)
            }
            Kind::Struct => self.structure(ty, size, depth).unwrap_or(bytes),
            _ => bytes,
        })
    }

    /// Writes a structure out; `None` when Rust has to see it as bytes.
    fn structure(&mut self, ty: Type<'_>, size: u32, depth: usize) -> Option<String> {
        if let Some((name, _)) = self.written.get(&ty.id()) {
            return Some(name.clone());
        }
        let plain = ty.members().all(|member| {
            member.bitfield_size == 0 && member.bit_offset % 8 == 0 && !member.name.is_empty()
        });
        if ty.name().is_empty() || !plain {
            return None;
        }
        let name = camel(ty.name());
        let taken = self.written.values().any(|(other, _)| *other == name);
        let name = match taken || name.starts_with(&self.prefix) {
            true => format!("{name}{}", ty.id().0),
            false => name,
        };
        let (mut fields, mut read, mut write) = (String::new(), String::new(), String::new());
        for member in ty.members() {
            let field = ident(member.name);
            let text = self.name(member.ty, depth)?;
            let at = member.bit_offset / 8;
            let _ = writeln!(
                fields,
                "    /// `{}`\n    pub {field}: {text},",
                member.name
            );
            let _ = writeln!(
                read,
                "            {field}: skep::Plain::read(skep::plain_at(bytes, {at})),"
            );
            let _ = writeln!(
                write,
                "        skep::Plain::write(&self.{field}, skep::plain_at_mut(bytes, {at}));"
            );
        }
        let text = format!(
            "/// `struct {c}` of the object.\n\
             #[derive(Clone, Copy, Debug, PartialEq)]\npub struct {name} {{\n{fields}}}\n\n\
             impl skep::Plain for {name} {{\n    const SIZE: usize = {size};\n\n    \
             fn read(bytes: &[u8]) -> Self {{\n        {name} {{\n{read}        }}\n    }}\n\n    \
             fn write(&self, bytes: &mut [u8]) {{\n{write}    }}\n}}\n\n",
            c = ident(ty.name())
        );
        self.written.insert(ty.id(), (name.clone(), text));
        Some(name)
    }
}

fn int(ty: Type<'_>) -> Option<&'static str> {
    let int = ty.int()?;
    let size = ty.size()?;
    if Some(int.bits) != size.checked_mul(8) || int.bit_offset != 0 {
        return None;
    }
    match (size, int.signed) {
        (1, _) if int.bool => Some("bool"),
        (1, false) => Some("u8"),
        (2, false) => Some("u16"),
        (4, false) => Some("u32"),
        (8, false) => Some("u64"),
        (16, false) => Some("u128"),
        (1, true) => Some("i8"),
        (2, true) => Some("i16"),
        (4, true) => Some("i32"),
        (8, true) => Some("i64"),
        (16, true) => Some("i128"),
        _ => None,
    }
}

/// The type of a map's field.
fn map_type(types: &mut Types<'_>, map: &MapDef) -> String {
    let side = |types: &mut Types<'_>, ty: Option<TypeId>, size: u32| {
        ty.and_then(|ty| types.name(ty, MAX_DEPTH))
            .unwrap_or_else(|| format!("[u8; {size}]"))
    };
    let key = side(types, map.key_type, map.key_size);
    let value = side(types, map.value_type, map.value_size);
    match MapType::from_u32(map.map_type) {
        Some(MapType::Hash | MapType::Array | MapType::LruHash | MapType::LpmTrie) => {
            format!("skep::Map<'l, {key}, {value}>")
        }
        Some(MapType::PercpuHash | MapType::PercpuArray | MapType::LruPercpuHash) => {
            format!("skep::PerCpuMap<'l, {key}, {value}>")
        }
        _ => "skep::RawMap<'l>".to_string(),
    }
}

/// The skeleton of an object whose bytes the compiler finds at `file`.
///
/// It is a module's contents: a structure for the opened object, with a method for each
/// variable; one for the loaded object, with typed maps and programs by name.
///
/// # Errors
/// [`SkeletonError::Name`] for a name that Rust does not take.
pub fn rust(object: &Object, file: &str, name: &str) -> Result<String, SkeletonError> {
    check_names(object, name)?;
    let own = camel(name);
    let empty = Btf::parse(&skep_btf::Builder::new().finish());
    let btf = object.btf.as_deref().or(empty.as_ref().ok());
    let Some(btf) = btf else {
        return Err(SkeletonError::Name(name.to_string()));
    };
    let mut types = Types {
        btf,
        prefix: own.clone(),
        left: MAX_TYPES,
        written: BTreeMap::new(),
    };
    let setters = setters(object, &mut types);
    let (mut fields, mut fill) = (String::new(), String::new());
    for (index, map) in object.maps.iter().enumerate() {
        if map.origin != MapOrigin::Declared {
            continue;
        }
        let (field, ty) = (ident(&map_ident(map)), map_type(&mut types, map));
        let _ = write!(
            fields,
            "    /// Map `{}`.\n    pub {field}: {ty},\n",
            map.name
        );
        let _ = writeln!(
            fill,
            "            {field}: skep::typed_map(&self.0, {index})?,"
        );
    }
    let (mut progs, mut fill_progs) = (String::new(), String::new());
    for (index, program) in programs(object).enumerate() {
        let field = ident(program);
        let _ = write!(
            progs,
            "    /// Program `{program}`.\n    pub {field}: skep::Prog<'l>,\n"
        );
        let _ = writeln!(
            fill_progs,
            "            {field}: skep::Prog::of(&self.0, {index})?,"
        );
    }
    let getters = getters(object, &mut types);
    let structures: String = types
        .written
        .values()
        .map(|(_, text)| text.as_str())
        .collect();
    Ok(format!(
        "// Made by skep out of {name}.bpf.o.\n\n{structures}\
         /// The object `{name}`, opened.\n#[derive(Clone, Debug)]\n\
         pub struct {own} {{\n    /// All that can be edited before loading.\n    \
         pub object: skep::Object,\n}}\n\n\
         impl {own} {{\n    /// The object file.\n    \
         pub const BYTES: &'static [u8] = include_bytes!({file:?});\n\n    \
         /// Opens the object.\n    ///\n    /// # Errors\n    \
         /// None, unless the file was damaged since.\n    \
         pub fn open() -> Result<{own}, skep::OpenError> {{\n        \
         let object = skep::Object::open(Self::BYTES, {file_name:?})?;\n        \
         Ok({own} {{ object }})\n    }}\n\n    \
         /// Loads its maps and programs.\n    ///\n    /// # Errors\n    \
         /// What the kernel refuses.\n    \
         pub fn load<'k>(\n        &'k self,\n        kernel: &'k dyn skep::abi::Backend,\n        \
         options: skep::LoadOptions,\n    ) -> Result<{own}Loaded<'k>, skep::LoadError> {{\n        \
         self.object.load(kernel, options).map({own}Loaded)\n    }}\n{setters}}}\n\n\
         /// The object `{name}` in a kernel.\n#[derive(Debug)]\n\
         pub struct {own}Loaded<'k>(pub skep::Loaded<'k>);\n\n\
         impl {own}Loaded<'_> {{\n    /// Its maps.\n    ///\n    /// # Errors\n    \
         /// `ENOENT` when one was not created.\n    \
         pub fn maps(&self) -> Result<{own}Maps<'_>, skep::abi::Errno> {{\n        \
         Ok({own}Maps {{\n{fill}            _object: core::marker::PhantomData,\n        }})\n    }}\n\n    \
         /// Its programs.\n    ///\n    /// # Errors\n    \
         /// `ENOENT` when one was not loaded.\n    \
         pub fn progs(&self) -> Result<{own}Progs<'_>, skep::abi::Errno> {{\n        \
         Ok({own}Progs {{\n{fill_progs}            _object: core::marker::PhantomData,\n        }})\n    }}\n{getters}}}\n\n\
         /// The maps of `{name}`.\n#[derive(Debug)]\npub struct {own}Maps<'l> {{\n{fields}    \
         _object: core::marker::PhantomData<&'l ()>,\n}}\n\n\
         /// The programs of `{name}`.\n#[derive(Debug)]\npub struct {own}Progs<'l> {{\n{progs}    \
         _object: core::marker::PhantomData<&'l ()>,\n}}\n",
        file_name = format!("{name}.bpf.o"),
    ))
}

/// The variables of all data sections, with the number of the section's map and their type.
fn all_variables(object: &Object, types: &mut Types<'_>) -> Vec<(usize, String, String, u32)> {
    let mut all = Vec::new();
    for (index, map) in object
        .maps
        .iter()
        .enumerate()
        .filter(|(_, map)| map.is_section())
    {
        let btf = types.btf;
        for variable in variables(btf, map) {
            let Some(ty) = types.name(variable.ty, MAX_DEPTH) else {
                continue;
            };
            let taken = ["open", "load", "maps", "progs"].contains(&variable.name);
            let name = match taken {
                true => format!("{}_", variable.name),
                false => variable.name.to_string(),
            };
            all.push((index, name, ty, variable.offset));
        }
    }
    all
}

/// Methods that give variables another first value.
fn setters(object: &Object, types: &mut Types<'_>) -> String {
    let mut out = String::new();
    for (index, name, ty, offset) in all_variables(object, types) {
        let _ = write!(
            out,
            "\n    /// Gives variable `{name}` another first value.\n    \
             pub fn set_{}(&mut self, value: &{ty}) {{\n        \
             skep::set_initial(&mut self.object, {index}, {offset}, value);\n    }}\n",
            ident(&name)
        );
    }
    out
}

/// Methods that read and write variables of a loaded object. Constants are frozen.
fn getters(object: &Object, types: &mut Types<'_>) -> String {
    let mut out = String::new();
    let all = all_variables(object, types);
    let mut taken: BTreeSet<String> = all.iter().map(|(_, name, ..)| ident(name)).collect();
    for (index, name, ty, offset) in all {
        let _ = write!(
            out,
            "\n    /// The value that variable `{name}` has now.\n    ///\n    /// # Errors\n    \
             /// What the kernel answers.\n    \
             pub fn {}(&self) -> Result<{ty}, skep::abi::Errno> {{\n        \
             skep::read_variable(&self.0, {index}, {offset})\n    }}\n",
            ident(&name)
        );
        if object.maps.get(index).is_none_or(MapDef::is_frozen) {
            continue;
        }
        let mut put = format!("put_{name}");
        while !taken.insert(ident(&put)) {
            put.push('_');
        }
        let _ = write!(
            out,
            "\n    /// Gives variable `{name}` another value, which programs see at once.\n    \
             ///\n    /// # Errors\n    \
             /// `ENODEV` when the kernel does not share the section.\n    \
             pub fn {}(&self, value: &{ty}) -> Result<(), skep::abi::Errno> {{\n        \
             skep::write_variable(&self.0, {index}, {offset}, value)\n    }}\n",
            ident(&put)
        );
    }
    out
}

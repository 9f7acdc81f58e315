//! Whether files mean the same by a global name: variables and functions of the same type, maps
//! with the same attributes. The rules are libbpf's, as they were observed: names, sizes, fields
//! and their offsets count; signs, `const` and the like, and counts of elements do not, and behind a
//! pointer structures are known by their names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use skep_btf::{Btf, Kind, Type, TypeId};

use super::error::LinkError;

/// How deep types may lie in each other.
const DEPTH_MAX: usize = 32;
/// How many types one comparison may look at.
const STEPS_MAX: usize = 1 << 16;

/// What a name meant where it was met first.
struct Meaning {
    file: String,
    btf: Arc<Btf>,
    id: TypeId,
}

/// The names of the files so far.
#[derive(Default)]
pub(super) struct Agreement {
    names: HashMap<String, Meaning>,
}

impl Agreement {
    /// Holds a file's global variables and functions against those of the files before.
    ///
    /// # Errors
    /// [`LinkError::Symbol`] with what differs, and both sides of it.
    pub(super) fn add(
        &mut self,
        file: &str,
        btf: &Arc<Btf>,
        is_global: impl Fn(&str) -> bool,
    ) -> Result<(), LinkError> {
        let sections = btf.types().filter(|ty| ty.kind() == Kind::DataSec);
        let maps: HashSet<TypeId> = sections
            .filter(|section| section.name() == ".maps")
            .flat_map(|section| section.vars().map(|var| var.ty))
            .collect();
        let mut met = HashSet::new();
        for ty in btf.types() {
            let is_named = matches!(ty.kind(), Kind::Var | Kind::Func);
            if !is_named || !is_global(ty.name()) || !met.insert(ty.name()) {
                continue;
            }
            let Some(old) = self.names.get(ty.name()) else {
                let (file, btf) = (file.to_string(), btf.clone());
                let meaning = Meaning {
                    file,
                    btf,
                    id: ty.id(),
                };
                self.names.insert(ty.name().to_string(), meaning);
                continue;
            };
            let mut pair = Pair {
                new: btf,
                old: &old.btf,
                steps: STEPS_MAX,
            };
            let Some(before) = old.btf.type_by_id(old.id) else {
                continue;
            };
            let same = match (ty.ref_type(), before.ref_type()) {
                _ if ty.kind() != before.kind() => unlike("it is a", &ty, &before),
                (Some(a), Some(b)) if maps.contains(&ty.id()) => pair.maps(a, b, 0),
                (Some(a), Some(b)) => pair.types(a, b, true, 0),
                _ => Ok(()),
            };
            same.map_err(|differs| {
                let Differs {
                    what,
                    new,
                    old: was,
                } = differs;
                let problem = format!("{what} {new}, but {was} in {}", old.file);
                LinkError::symbol(file, ty.name(), problem)
            })?;
        }
        Ok(())
    }
}

/// What differs, and both sides.
struct Differs {
    what: String,
    new: String,
    old: String,
}

type Same = Result<(), Differs>;

fn equal<T: PartialEq + ToString>(what: impl ToString, new: T, old: T) -> Same {
    match new == old {
        true => Ok(()),
        false => Err(Differs {
            what: what.to_string(),
            new: new.to_string(),
            old: old.to_string(),
        }),
    }
}

fn unlike(what: &str, new: &Type<'_>, old: &Type<'_>) -> Same {
    equal(what, described(new), described(old))
}

fn described(ty: &Type<'_>) -> String {
    match ty.kind() {
        Kind::Void => "void".to_string(),
        Kind::Ptr => "pointer".to_string(),
        Kind::Array => "array".to_string(),
        Kind::FuncProto | Kind::Func => "function".to_string(),
        Kind::Var => "variable".to_string(),
        Kind::Struct => format!("struct {}", ty.name()),
        Kind::Union => format!("union {}", ty.name()),
        Kind::Enum => format!("enum {}", ty.name()),
        Kind::Enum64 => format!("64-bit enum {}", ty.name()),
        Kind::Fwd if ty.kind_flag() => format!("union {}", ty.name()),
        Kind::Fwd => format!("struct {}", ty.name()),
        _ => ty.name().to_string(),
    }
}

/// Two files that are held against each other.
struct Pair<'a> {
    new: &'a Btf,
    old: &'a Btf,
    steps: usize,
}

impl Pair<'_> {
    /// `exact` is no longer so behind a pointer.
    fn types(&mut self, a: TypeId, b: TypeId, exact: bool, depth: usize) -> Same {
        self.steps = self.steps.saturating_sub(1);
        let (Some(x), Some(y)) = (self.new.resolve(a), self.old.resolve(b)) else {
            return Ok(());
        };
        if depth > DEPTH_MAX || self.steps == 0 {
            return equal("its types are nested", "too deeply", "deeply");
        }
        let is_forward = (x.kind() == Kind::Fwd, y.kind() == Kind::Fwd);
        let by_name = |ty: &Type<'_>| {
            let named = matches!(ty.kind(), Kind::Enum | Kind::Enum64);
            named || ty.kind().is_composite()
        };
        match is_forward {
            (true, true) => return equal("its type is", x.name(), y.name()),
            (true, false) | (false, true) => return unlike("its type is", &x, &y),
            _ if x.kind() != y.kind() => return unlike("its type is", &x, &y),
            _ if !exact && by_name(&x) => return unlike("its type is", &x, &y),
            _ => {}
        }
        match x.kind() {
            Kind::Int | Kind::Float => self.size(&x, &y),
            Kind::Enum | Kind::Enum64 => {
                unlike("its type is", &x, &y)?;
                self.size(&x, &y)
            }
            Kind::Ptr => match (x.ref_type(), y.ref_type()) {
                (Some(a), Some(b)) => self.types(a, b, false, depth + 1),
                _ => Ok(()),
            },
            Kind::Array => match (x.array(), y.array()) {
                (Some(a), Some(b)) => self.types(a.elem, b.elem, exact, depth + 1),
                _ => Ok(()),
            },
            Kind::FuncProto => {
                equal("its number of parameters is", x.vlen(), y.vlen())?;
                if let (Some(a), Some(b)) = (x.ref_type(), y.ref_type()) {
                    self.types(a, b, exact, depth + 1)?;
                }
                x.params()
                    .zip(y.params())
                    .try_for_each(|(a, b)| self.types(a.ty, b.ty, exact, depth + 1))
            }
            Kind::Struct | Kind::Union => {
                unlike("its type is", &x, &y)?;
                let what = format!("the number of fields of {} is", described(&x));
                equal(what, x.vlen(), y.vlen())?;
                for (a, b) in x.members().zip(y.members()) {
                    let what = format!("a field of {} is", described(&x));
                    equal(what, a.name, b.name)?;
                    let field = format!("field '{}' of {}", a.name, described(&x));
                    let at = format!("{field} lies at bit");
                    equal(at, a.bit_offset, b.bit_offset)?;
                    let wide = format!("the bits of {field} are");
                    equal(wide, a.bitfield_size, b.bitfield_size)?;
                    self.types(a.ty, b.ty, exact, depth + 1)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn size(&self, x: &Type<'_>, y: &Type<'_>) -> Same {
        let what = format!("the size of {} is", described(x));
        equal(what, x.size().unwrap_or(0), y.size().unwrap_or(0))
    }

    /// The attributes of a map, and of the maps in it.
    fn maps(&mut self, a: TypeId, b: TypeId, depth: usize) -> Same {
        let (x, y) = (Attributes::of(self.new, a), Attributes::of(self.old, b));
        for name in ATTRIBUTES {
            let what = format!("the map's {name} is");
            let (new, old) = (x.number(name), y.number(name));
            if name == "type" && new == 0 && old == 0 {
                return equal(what, "not said", "not either");
            }
            equal(what, new, old)?;
        }
        for name in ["key", "value"] {
            match (x.types.get(name), y.types.get(name)) {
                (Some(a), Some(b)) => self.types(*a, *b, true, 0)?,
                (a, b) => {
                    let said = |ty: Option<&TypeId>| match ty {
                        Some(_) => "a type",
                        None => "no type",
                    };
                    equal(format!("the map's {name} has"), said(a), said(b))?;
                }
            }
        }
        match (x.inner, y.inner) {
            (Some(a), Some(b)) if depth == 0 => self.maps(a, b, depth + 1),
            (a, b) => {
                let said = |inner: Option<TypeId>| match inner {
                    Some(_) => "maps",
                    None => "no maps",
                };
                equal("the map holds", said(a), said(b))
            }
        }
    }
}

/// The numbers that a map's definition gives, in the order in which they are compared.
const ATTRIBUTES: [&str; 8] = [
    "type",
    "key_size",
    "value_size",
    "max_entries",
    "map_flags",
    "map_extra",
    "numa_node",
    "pinning",
];

/// A map's definition.
#[derive(Default)]
struct Attributes {
    numbers: HashMap<String, u64>,
    types: HashMap<String, TypeId>,
    inner: Option<TypeId>,
}

impl Attributes {
    fn of(btf: &Btf, id: TypeId) -> Attributes {
        let mut found = Attributes::default();
        let definition = btf.resolve(id).filter(|ty| ty.kind() == Kind::Struct);
        for member in definition.iter().flat_map(|ty| ty.members()) {
            let name = member.name.to_string();
            let Some(ty) = btf.resolve(member.ty) else {
                continue;
            };
            match ty.kind() {
                // `__uint`: a pointer to an array of so many elements; `__type`: to a type.
                Kind::Ptr => {
                    let Some(to) = ty.ref_type() else { continue };
                    match btf.resolve(to).and_then(|to| to.array()) {
                        Some(array) if name != "key" && name != "value" => {
                            found.numbers.insert(name, u64::from(array.count));
                        }
                        _ => {
                            let size = u64::from(btf.size_of(to).unwrap_or(0));
                            found.numbers.insert(format!("{name}_size"), size);
                            found.types.insert(name, to);
                        }
                    }
                }
                // `__ulong`: the only constant of an enumeration.
                Kind::Enum | Kind::Enum64 => {
                    if let Some(constant) = ty.enumerators().next() {
                        found.numbers.insert(name, constant.value);
                    }
                }
                // `values`: an array of pointers to maps, or to functions.
                Kind::Array => {
                    let elem = ty.array().and_then(|array| btf.resolve(array.elem));
                    let to = elem.and_then(|elem| btf.resolve(elem.ref_type()?));
                    let inner = to.filter(|to| to.kind() == Kind::Struct);
                    found.inner = inner.map(|inner| inner.id());
                }
                _ => {}
            }
        }
        found
    }

    fn number(&self, name: &str) -> u64 {
        self.numbers.get(name).copied().unwrap_or(0)
    }
}

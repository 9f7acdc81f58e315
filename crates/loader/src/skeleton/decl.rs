//! A variable as C declares it.

use skep_btf::{Btf, Kind, MAX_RESOLVE_DEPTH, Type, TypeId};

/// How deep structures without a name may nest.
const MAX_DEPTH: usize = 16;
/// The most types that one declaration may be made of: damaged types can hold themselves.
const MAX_TYPES: usize = 1 << 14;

/// The types, and how many may still be looked at.
struct Reader<'a> {
    btf: &'a Btf,
    left: usize,
}

/// `name` declared with a type: `int name[3]`, `struct s *name`, `void (*name)(int)`. Named
/// structures are referred to; nameless ones are written out, indented by `depth` tabs.
/// Qualifiers are left away, as user space is to write what programs only read.
pub(super) fn declare(btf: &Btf, ty: TypeId, name: &str, depth: usize) -> Option<String> {
    Reader::of(btf).declare(ty, name.to_string(), depth, MAX_DEPTH)
}

/// A pointer to the type, declared likewise.
pub(super) fn declare_pointer(btf: &Btf, ty: TypeId, name: &str, depth: usize) -> Option<String> {
    Reader::of(btf).declare(ty, format!("*{name}"), depth, MAX_DEPTH)
}

impl<'a> Reader<'a> {
    fn of(btf: &'a Btf) -> Reader<'a> {
        Reader {
            btf,
            left: MAX_TYPES,
        }
    }

    fn declare(&mut self, ty: TypeId, name: String, depth: usize, left: usize) -> Option<String> {
        let left = left.checked_sub(1)?;
        self.left = self.left.checked_sub(1)?;
        let btf = self.btf;
        // The declarator grows around the name; pointers need parentheses inside arrays and
        // functions.
        let mut name = name;
        let mut id = ty;
        let mut is_pointer = name.starts_with('*');
        for _ in 0..MAX_RESOLVE_DEPTH {
            let ty = btf.type_by_id(id)?;
            match ty.kind() {
                Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                    id = ty.ref_type()?
                }
                Kind::Ptr => {
                    name.insert(0, '*');
                    is_pointer = true;
                    id = ty.ref_type()?;
                }
                Kind::Array => {
                    let array = ty.array()?;
                    if is_pointer {
                        name = format!("({name})");
                        is_pointer = false;
                    }
                    name += &format!("[{}]", array.count);
                    id = array.elem;
                }
                Kind::FuncProto => {
                    let params: Option<Vec<String>> = ty
                        .params()
                        .map(|param| match param.ty {
                            TypeId::VOID => Some("...".to_string()),
                            ty => self.declare(ty, String::new(), depth, left),
                        })
                        .collect();
                    let params = match params?.join(", ") {
                        params if params.is_empty() => "void".to_string(),
                        params => params,
                    };
                    name = format!("({name})({params})");
                    is_pointer = false;
                    id = ty.ref_type()?;
                }
                _ => {
                    let base = self.base(ty, depth, left)?;
                    return Some(format!("{base} {name}").trim_end().to_string());
                }
            }
        }
        None
    }

    /// The type that a declaration begins with.
    fn base(&mut self, ty: Type<'_>, depth: usize, left: usize) -> Option<String> {
        words(ty.name())?;
        let word = match ty.kind() {
            Kind::Void => return Some("void".to_string()),
            Kind::Int | Kind::Float | Kind::Typedef => return Some(ty.name().to_string()),
            Kind::Struct => "struct",
            Kind::Union => "union",
            Kind::Enum | Kind::Enum64 => "enum",
            Kind::Fwd if ty.kind_flag() => "union",
            Kind::Fwd => "struct",
            _ => return None,
        };
        if !ty.name().is_empty() {
            return Some(format!("{word} {}", ty.name()));
        }
        let tabs = "\t".repeat(depth);
        let mut out = format!("{word} {{\n");
        if ty.kind().is_enum() {
            for constant in ty.enumerators() {
                let value = match ty.kind_flag() {
                    true => constant.value.cast_signed().to_string(),
                    false => constant.value.to_string(),
                };
                out += &format!("{tabs}\t{} = {value},\n", words(constant.name)?);
            }
        } else {
            let mut end = 0u32;
            for member in ty.members() {
                words(member.name)?;
                let text = self.declare(member.ty, member.name.to_string(), depth + 1, left)?;
                if member.bitfield_size != 0 {
                    // Bits that nobody named lie between.
                    if member.bit_offset > end && !end.is_multiple_of(8) {
                        out += &format!("{tabs}\tint: {};\n", member.bit_offset - end);
                    }
                    out += &format!("{tabs}\t{text}: {};\n", member.bitfield_size);
                    end = member.bit_offset.saturating_add(member.bitfield_size);
                } else {
                    out += &format!("{tabs}\t{text};\n");
                    let bytes = self.btf.size_of(member.ty).unwrap_or(0);
                    end = member.bit_offset.saturating_add(bytes.saturating_mul(8));
                }
            }
        }
        Some(out + &tabs + "}")
    }

    fn alignment(&mut self, ty: TypeId, left: usize) -> u32 {
        self.left = self.left.saturating_sub(1);
        let Some((left, ty)) = left.checked_sub(1).zip(self.btf.resolve(ty)) else {
            return 1;
        };
        match ty.kind() {
            _ if self.left == 0 => 1,
            Kind::Ptr => 8,
            Kind::Array => ty
                .array()
                .map_or(1, |array| self.alignment(array.elem, left)),
            Kind::Struct | Kind::Union => ty
                .members()
                .map(|member| self.alignment(member.ty, left))
                .max()
                .unwrap_or(1),
            _ => ty.size().unwrap_or(1).clamp(1, 16),
        }
    }
}

/// A name, if it is one: an object's own may be anything.
fn words(name: &str) -> Option<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ' ';
    name.chars().all(is_word).then_some(name)
}

/// The alignment that C gives a type.
pub(super) fn alignment(btf: &Btf, ty: TypeId) -> u32 {
    Reader::of(btf).alignment(ty, MAX_DEPTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_btf::Builder;

    #[test]
    fn declarations() {
        let mut types = Builder::new();
        let int = types.int("int", 4, true);
        let named = types.struct_("pair", 8, &[("a", int, 0), ("b", int, 32)]);
        let pointer = types.ptr(named);
        let constant = types.refer(Kind::Const, "", int);
        let row = types.array(constant, int, 3);
        let table = types.array(row, int, 2);
        let to_table = types.ptr(table);
        let alias = types.refer(Kind::Typedef, "u32", int);
        let proto = types.func_proto(TypeId::VOID, &[("", int), ("", pointer)]);
        let callback = types.ptr(proto);
        let callbacks = types.array(callback, int, 4);
        let nothing = types.func_proto(int, &[]);
        let plain = types.ptr(nothing);
        let nameless = types.struct_("", 4, &[("inside", alias, 0)]);
        let color = types.enum_("", false, &[("RED", 0), ("BLUE", 7)]);
        let btf = Btf::parse(&types.finish()).unwrap();
        let check = |ty, wanted: &str| {
            assert_eq!(declare(&btf, ty, "x", 1).as_deref(), Some(wanted));
        };
        check(int, "int x");
        check(pointer, "struct pair *x");
        check(constant, "int x");
        check(table, "int x[2][3]");
        check(to_table, "int (*x)[2][3]");
        check(alias, "u32 x");
        check(callback, "void (*x)(int, struct pair *)");
        check(callbacks, "void (*x[4])(int, struct pair *)");
        check(plain, "int (*x)(void)");
        check(nameless, "struct {\n\t\tu32 inside;\n\t} x");
        check(color, "enum {\n\t\tRED = 0,\n\t\tBLUE = 7,\n\t} x");
        assert_eq!(declare(&btf, TypeId(999), "x", 0), None);
        let check = |ty, wanted: &str| {
            assert_eq!(declare_pointer(&btf, ty, "x", 1).as_deref(), Some(wanted));
        };
        check(int, "int *x");
        check(table, "int (*x)[2][3]");
    }
}

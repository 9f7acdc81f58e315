//! How C writes that a name has a type: the base on the left, the rest wound around the name.

use core::fmt::Write;

use crate::blob::Btf;
use crate::kind::{Kind, TypeId};
use crate::view::Type;

use super::c::DumpError;

/// What the compiler brings itself.
pub(super) const BUILTIN: &str = "__builtin_va_list";
/// How many pointers, arrays and modifiers one declaration can have.
const LINKS_MAX: usize = 256;
/// How deep prototypes may lie inside prototypes.
const PROTOTYPES_MAX: u32 = 16;

/// A declaration: what stands before the name, the type on the left, the name and what
/// stands around it.
pub(super) struct Declaration<'a> {
    /// `const`, `volatile`, and the attributes that follow the type.
    pub(super) before: String,
    pub(super) base: Type<'a>,
    pub(super) after: String,
    pub(super) declarator: String,
}

/// How a type is spelled that has a name of its own.
pub(super) trait Names {
    /// `struct x`, `x_t`, `int`; `None` for a nameless structure or enumeration.
    fn spelled(&self, ty: &Type<'_>) -> Option<String>;

    /// A type is named among parameters, where a name that is not known yet would mean
    /// something else.
    fn in_parameter(&self, ty: &Type<'_>, spelled: &str);
}

/// Winds the type around a name, down to the base.
pub(super) fn declare<'a>(
    btf: &'a Btf,
    names: &dyn Names,
    mut id: TypeId,
    name: &str,
    depth: u32,
) -> Result<Declaration<'a>, DumpError> {
    let mut before = String::new();
    let mut after = String::new();
    let mut declarator = name.to_string();
    for _ in 0..LINKS_MAX {
        let ty = btf.type_by_id(id).ok_or(DumpError::NoType(id))?;
        let next = ty.ref_type().unwrap_or_default();
        id = match ty.kind() {
            Kind::Ptr => {
                let adorned = ["const", "volatile", "restrict", "__attribute__"]
                    .iter()
                    .any(|word| declarator.starts_with(word));
                let spaced = adorned && declarator != name;
                declarator.insert_str(0, if spaced { "* " } else { "*" });
                next
            }
            Kind::Array => {
                let array = ty.array().ok_or(DumpError::NoType(id))?;
                wrap(&mut declarator);
                let _ = write!(declarator, "[{}]", array.count);
                array.elem
            }
            Kind::FuncProto => {
                wrap(&mut declarator);
                parameters(btf, names, &ty, &mut declarator, depth)?;
                next
            }
            kind if kind.is_modifier() => {
                let word = modifier(&ty);
                match behind_modifiers(btf, next).map(|ty| ty.kind()) {
                    // A pointer itself is adorned.
                    Some(Kind::Ptr) => {
                        let space = if declarator.is_empty() { "" } else { " " };
                        declarator.insert_str(0, &format!("{word}{space}"));
                    }
                    Some(Kind::FuncProto) => {}
                    _ if kind == Kind::TypeTag => {
                        after.push(' ');
                        after.push_str(&word);
                    }
                    _ if kind == Kind::Restrict => {}
                    _ if before.contains(&word) => {}
                    _ => {
                        before.push_str(&word);
                        before.push(' ');
                    }
                }
                next
            }
            // Targets have ideas of their own of this one.
            Kind::Typedef if ty.name() == BUILTIN => next,
            _ => {
                return Ok(Declaration {
                    before,
                    base: ty,
                    after,
                    declarator,
                });
            }
        };
    }
    Err(DumpError::TooDeep)
}

/// A declaration that needs no winding: a base, perhaps constant, stars, a name, and brackets.
/// Nearly all are.
pub(super) struct Plain<'a> {
    pub(super) base: Type<'a>,
    pub(super) is_const: bool,
    stars: usize,
    counts: [u32; 4],
    arrays: usize,
}

impl<'a> Plain<'a> {
    /// `None` for what has to be wound.
    pub(super) fn of(btf: &'a Btf, mut id: TypeId) -> Option<Plain<'a>> {
        let (mut stars, mut arrays, mut is_const) = (0, 0, false);
        let mut counts = [0; 4];
        for _ in 0..LINKS_MAX {
            let ty = btf.type_by_id(id)?;
            id = match ty.kind() {
                Kind::Array if stars == 0 && !is_const => {
                    let array = ty.array()?;
                    *counts.get_mut(arrays)? = array.count;
                    arrays += 1;
                    array.elem
                }
                Kind::Ptr if !is_const => {
                    stars += 1;
                    ty.ref_type()?
                }
                Kind::Const if !is_const => {
                    is_const = true;
                    ty.ref_type()?
                }
                Kind::Typedef if ty.name() == BUILTIN => return None,
                Kind::Int
                | Kind::Float
                | Kind::Void
                | Kind::Struct
                | Kind::Union
                | Kind::Enum
                | Kind::Enum64
                | Kind::Fwd
                | Kind::Typedef => {
                    return Some(Plain {
                        base: ty,
                        is_const,
                        stars,
                        counts,
                        arrays,
                    });
                }
                _ => return None,
            };
        }
        None
    }

    /// Writes what follows the base.
    pub(super) fn finish(&self, name: &str, out: &mut String) {
        if self.stars == 0 && self.arrays == 0 && name.is_empty() {
            return;
        }
        out.push(' ');
        for _ in 0..self.stars {
            out.push('*');
        }
        out.push_str(name);
        for count in self.counts.iter().take(self.arrays) {
            let _ = write!(out, "[{count}]");
        }
    }
}

/// A pointer to an array or function has to be held together.
fn wrap(declarator: &mut String) {
    if declarator.starts_with('*') {
        declarator.insert(0, '(');
        declarator.push(')');
    }
}

fn parameters(
    btf: &Btf,
    names: &dyn Names,
    proto: &Type<'_>,
    out: &mut String,
    depth: u32,
) -> Result<(), DumpError> {
    let depth = depth
        .checked_add(1)
        .filter(|depth| *depth <= PROTOTYPES_MAX);
    let depth = depth.ok_or(DumpError::TooDeep)?;
    let mut params = proto.params().peekable();
    if params.peek().is_none() {
        out.push_str("(void)");
        return Ok(());
    }
    let many = params.len();
    out.push('(');
    for (index, param) in params.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        if param.ty == TypeId::VOID && index + 1 == many {
            // C before its next version wants something before the dots.
            out.push_str(if many == 1 { "void" } else { "..." });
            continue;
        }
        // Names of parameters would only be in the way of macros and other names.
        let parts = declare(btf, names, param.ty, "", depth)?;
        out.push_str(&joined(&parts, names));
    }
    out.push(')');
    Ok(())
}

/// The declaration of a parameter.
fn joined(parts: &Declaration<'_>, names: &dyn Names) -> String {
    let base = match names.spelled(&parts.base) {
        Some(spelled) => {
            names.in_parameter(&parts.base, &spelled);
            spelled
        }
        None => nameless(&parts.base).to_string(),
    };
    let space = if parts.declarator.is_empty() { "" } else { " " };
    let (before, after) = (&parts.before, &parts.after);
    format!("{before}{base}{after}{space}{}", parts.declarator)
}

/// Stands for a type that C cannot name where it is used.
fn nameless(ty: &Type<'_>) -> &'static str {
    if ty.kind().is_enum() { "int" } else { "void" }
}

fn behind_modifiers(btf: &Btf, mut id: TypeId) -> Option<Type<'_>> {
    for _ in 0..LINKS_MAX {
        let ty = btf.type_by_id(id)?;
        if !ty.kind().is_modifier() {
            return Some(ty);
        }
        id = ty.ref_type()?;
    }
    None
}

fn modifier(ty: &Type<'_>) -> String {
    match ty.kind() {
        Kind::Const => "const".to_string(),
        Kind::Volatile => "volatile".to_string(),
        Kind::Restrict => "restrict".to_string(),
        _ if ty.kind_flag() => format!("__attribute__(({}))", ty.name()),
        _ => format!("__attribute__((btf_type_tag(\"{}\")))", ty.name()),
    }
}

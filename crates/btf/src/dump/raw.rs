//! Records as lines, in the words of `bpftool btf dump … format raw`.

use core::fmt::{self, Write};

use crate::blob::Btf;
use crate::kind::{Kind, Linkage};
use crate::view::Type;

/// Writes all types that the blob itself defines.
///
/// # Errors
/// When `out` does not take text.
pub fn all(btf: &Btf, out: &mut impl Write) -> fmt::Result {
    btf.types().try_for_each(|ty| one(&ty, out))
}

/// Writes one type and its list.
///
/// # Errors
/// When `out` does not take text.
pub fn one(ty: &Type<'_>, out: &mut impl Write) -> fmt::Result {
    let (id, kind) = (ty.id().0, ty.kind());
    write!(out, "[{id}] {} '{}'", kind.name(), shown(ty.name()))?;
    let third = ty.size_or_type();
    match kind {
        Kind::Int => {
            let int = ty.int();
            let (offset, bits) = int.map_or((0, 0), |int| (int.bit_offset, int.bits));
            writeln!(
                out,
                " size={third} bits_offset={offset} nr_bits={bits} encoding={}",
                encoding(ty)
            )
        }
        Kind::Array => {
            let (elem, index, count) = ty
                .array()
                .map_or((0, 0, 0), |a| (a.elem.0, a.index.0, a.count));
            writeln!(
                out,
                " type_id={elem} index_type_id={index} nr_elems={count}"
            )
        }
        Kind::Struct | Kind::Union => {
            writeln!(out, " size={third} vlen={}", ty.vlen())?;
            ty.members().try_for_each(|member| {
                let (name, of, at) = (shown(member.name), member.ty.0, member.bit_offset);
                write!(out, "\t'{name}' type_id={of} bits_offset={at}")?;
                if member.bitfield_size != 0 {
                    write!(out, " bitfield_size={}", member.bitfield_size)?;
                }
                writeln!(out)
            })
        }
        Kind::Enum | Kind::Enum64 => {
            let sign = sign(ty);
            writeln!(out, " encoding={sign} size={third} vlen={}", ty.vlen())?;
            let wide = kind == Kind::Enum64;
            ty.enumerators().try_for_each(|constant| {
                let name = shown(constant.name);
                match (wide, ty.kind_flag()) {
                    (false, true) => writeln!(out, "\t'{name}' val={}", constant.value as i32),
                    (false, false) => writeln!(out, "\t'{name}' val={}", constant.value as u32),
                    (true, true) => writeln!(out, "\t'{name}' val={}LL", constant.value as i64),
                    (true, false) => writeln!(out, "\t'{name}' val={}ULL", constant.value),
                }
            })
        }
        Kind::Fwd => writeln!(out, " fwd_kind={}", forward(ty)),
        Kind::Func => writeln!(out, " type_id={third} linkage={}", linkage(ty)),
        Kind::FuncProto => {
            writeln!(out, " ret_type_id={third} vlen={}", ty.vlen())?;
            ty.params().try_for_each(|param| {
                writeln!(out, "\t'{}' type_id={}", shown(param.name), param.ty.0)
            })
        }
        Kind::Var => writeln!(out, " type_id={third}, linkage={}", linkage(ty)),
        Kind::DataSec => {
            writeln!(out, " size={third} vlen={}", ty.vlen())?;
            ty.vars().try_for_each(|var| {
                let (of, at, size) = (var.ty.0, var.offset, var.size);
                write!(out, "\ttype_id={of} offset={at} size={size}")?;
                if let Some(target) = ty.btf().type_by_id(var.ty) {
                    let (kind, name) = (target.kind().name(), target.name());
                    write!(out, " ({kind} '{}')", shown(name))?;
                }
                writeln!(out)
            })
        }
        Kind::Float => writeln!(out, " size={third}"),
        Kind::DeclTag => {
            let component = ty.component_idx().unwrap_or(-1);
            writeln!(out, " type_id={third} component_idx={component}")
        }
        _ => writeln!(out, " type_id={third}"),
    }
}

/// A name, or the word for none.
pub fn shown(name: &str) -> &str {
    if name.is_empty() { "(anon)" } else { name }
}

/// The word for the encoding of an integer.
pub fn encoding(ty: &Type<'_>) -> &'static str {
    let int = ty.int();
    match int.map(|int| (int.signed, int.char, int.bool)) {
        Some((false, false, false)) => "(none)",
        Some((true, false, false)) => "SIGNED",
        Some((false, true, false)) => "CHAR",
        Some((false, false, true)) => "BOOL",
        _ => "UNKN",
    }
}

/// The word for whether constants have signs.
pub fn sign(ty: &Type<'_>) -> &'static str {
    if ty.kind_flag() { "SIGNED" } else { "UNSIGNED" }
}

/// The word for what is declared ahead.
pub fn forward(ty: &Type<'_>) -> &'static str {
    if ty.kind_flag() { "union" } else { "struct" }
}

/// The word for the linkage of a function or variable.
pub fn linkage(ty: &Type<'_>) -> &'static str {
    match ty.linkage() {
        Some(Linkage::Static) => "static",
        Some(Linkage::Global) => "global",
        Some(Linkage::Extern) => "extern",
        _ => "(unknown)",
    }
}

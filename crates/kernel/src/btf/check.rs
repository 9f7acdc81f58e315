//! Whether Linux would take BTF that is well formed: what each kind of type must say.
//!
//! The parser has already made sure that records are whole, and that ids and names exist.

use skep_abi::Errno;
use skep_btf::{Btf, Kind, Type};

/// The most members, and the deepest chain of references, that are followed.
const DEPTH_MAX: u32 = 32;
/// The most bytes of an integer.
const INT_MAX: u32 = 16;

/// Why BTF is refused: the errno, and the line that says so.
pub(super) type Refusal = (Errno, String);

/// Checks every type.
///
/// # Errors
/// `EINVAL` for a type that says something impossible, `EEXIST` for a type that is made of
/// itself, `E2BIG` for a chain of references that is too long.
pub(super) fn check(btf: &Btf) -> Result<(), Refusal> {
    if btf.types().next().is_none() {
        return Err((Errno::EINVAL, "No type found".into()));
    }
    btf.types().try_for_each(|ty| check_type(btf, &ty))?;
    btf.types().try_for_each(|ty| check_ends(btf, &ty))
}

fn refuse<T>(ty: &Type<'_>, why: &str) -> Result<T, Refusal> {
    let kind = ty.kind().name().to_ascii_uppercase();
    Err((
        Errno::EINVAL,
        format!("[{}] {kind} {} {why}", ty.id().0, named(ty)),
    ))
}

fn named<'a>(ty: &Type<'a>) -> &'a str {
    if ty.name().is_empty() {
        "(anon)"
    } else {
        ty.name()
    }
}

fn check_type(btf: &Btf, ty: &Type<'_>) -> Result<(), Refusal> {
    match ty.kind() {
        Kind::Int => check_int(ty),
        Kind::Struct | Kind::Union => check_members(btf, ty),
        Kind::Array => match ty.array() {
            Some(array) if array.elem.0 == 0 || array.index.0 == 0 => refuse(ty, "Invalid type"),
            Some(array) => match btf.resolve(array.index).and_then(|index| index.int()) {
                Some(_) => Ok(()),
                None => refuse(ty, "Invalid index"),
            },
            None => refuse(ty, "Invalid type"),
        },
        Kind::Typedef | Kind::Fwd | Kind::TypeTag | Kind::Func | Kind::Var
            if ty.name().is_empty() =>
        {
            refuse(ty, "Invalid name")
        }
        Kind::Ptr | Kind::Const | Kind::Volatile | Kind::Restrict if !ty.name().is_empty() => {
            refuse(ty, "Invalid name")
        }
        Kind::Func => match ty.target().map(|t| t.kind()) {
            Some(Kind::FuncProto) => Ok(()),
            _ => refuse(ty, "Invalid type_id"),
        },
        _ => Ok(()),
    }
}

fn check_int(ty: &Type<'_>) -> Result<(), Refusal> {
    let (Some(int), Some(size)) = (ty.int(), ty.size()) else {
        return refuse(ty, "Invalid int_data");
    };
    let bits = int.bit_offset.saturating_add(int.bits);
    if bits > 128 {
        return refuse(ty, "nr_bits exceeds 128");
    }
    if size > INT_MAX || size.saturating_mul(8) < bits {
        return refuse(ty, "nr_bits exceeds type_size");
    }
    Ok(())
}

/// Members lie inside, in order, and have a size.
fn check_members(btf: &Btf, ty: &Type<'_>) -> Result<(), Refusal> {
    let size = u64::from(ty.size().unwrap_or(0));
    let mut last = 0;
    for member in ty.members() {
        let at = u64::from(member.bit_offset);
        if ty.kind() == Kind::Union && at != 0 {
            return refuse(ty, "Invalid member bits_offset");
        }
        if at < last {
            return refuse(ty, "Invalid member bits_offset");
        }
        last = at;
        let Some(target) = btf.resolve(member.ty).filter(|_| member.ty.0 != 0) else {
            return refuse(ty, "Invalid type_id");
        };
        let bits = if ty.kind_flag() && member.bitfield_size != 0 {
            u64::from(member.bitfield_size)
        } else if let Some(int) = target.int() {
            u64::from(int.bit_offset + int.bits)
        } else {
            match btf.size_of(member.ty) {
                Some(bytes) => u64::from(bytes) * 8,
                None => return refuse(ty, "Invalid member"),
            }
        };
        if at + bits > size * 8 {
            return refuse(ty, "Member exceeds struct_size");
        }
    }
    Ok(())
}

/// A chain of references must come to an end.
fn check_ends(btf: &Btf, ty: &Type<'_>) -> Result<(), Refusal> {
    let mut at = ty.id();
    let mut through_pointer = false;
    for _ in 0..DEPTH_MAX * 4 {
        let Some(here) = btf.type_by_id(at) else {
            return Ok(());
        };
        through_pointer |= here.kind() == Kind::Ptr;
        let refers = here.kind().is_modifier() || matches!(here.kind(), Kind::Ptr | Kind::Typedef);
        match here.ref_type() {
            Some(next) if refers && next == ty.id() => {
                return Err((Errno::EEXIST, format!("[{}] Loop detected", ty.id().0)));
            }
            Some(next) if refers && next.0 != 0 => at = next,
            _ => return Ok(()),
        }
    }
    // Never its own start again, but inside a loop that starts further on.
    let errno = if through_pointer {
        Errno::EEXIST
    } else {
        Errno::E2BIG
    };
    Err((errno, format!("[{}] Loop detected", ty.id().0)))
}

//! Whether a member fits its structure: inside, at a place where its kind may be.

use super::records::{Record, Records};
use super::resolve::Sizes;
use crate::kind::Kind;

/// Bits of an enumeration in a structure, whatever its size.
const ENUM_BITS: u32 = 32;
/// The most bits that are copied to show a number.
const COPY_BITS_MAX: u32 = 128;

/// A member as it is stored.
#[derive(Clone, Copy)]
pub(super) struct Member {
    pub(super) name: u32,
    pub(super) ty: u32,
    pub(super) bit_offset: u32,
    /// There if the structure says so, whether or not this is a bit field.
    pub(super) bitfield_size: Option<u32>,
}

impl Member {
    pub(super) fn read(ty: &Record<'_>, index: usize) -> Member {
        let [name, member, offset] = ty.variable(index);
        Member {
            name,
            ty: member,
            bit_offset: if ty.flag() {
                offset & 0x00ff_ffff
            } else {
                offset
            },
            bitfield_size: ty.flag().then_some(offset >> 24),
        }
    }
}

/// What is wrong with a member in a structure of `size` bytes. When something is,
/// `member.ty` becomes what stands behind its modifiers, as the log shows that.
pub(super) fn misfit(
    records: &Records<'_>,
    sizes: &Sizes,
    size: u32,
    member: &mut Member,
) -> Option<&'static str> {
    let Some((id, _)) = sizes.of(records, member.ty) else {
        return Some("Invalid member");
    };
    member.ty = id;
    let ty = records.get(id)?;
    match (ty.kind, member.bitfield_size) {
        (Kind::Int, None) => int(&ty, size, member.bit_offset),
        (Kind::Int, Some(bits)) => int_or_bits(&ty, size, member.bit_offset, bits),
        (Kind::Enum | Kind::Enum64, Some(bits)) => enum_or_bits(size, member.bit_offset, bits),
        (_, Some(bits)) if bits != 0 => Some("Invalid member bitfield_size"),
        _ => {
            let bytes = sizes.of(records, id).map_or(0, |(_, size)| size);
            whole(&ty, bytes, size, member.bit_offset)
        }
    }
}

/// A number that may lie across bytes, as compilers wrote bit fields before there were flags.
fn int(ty: &Record<'_>, size: u32, at: u32) -> Option<&'static str> {
    let Some(at) = at.checked_add(ty.int_offset()) else {
        return Some("bits_offset exceeds U32_MAX");
    };
    bits_fit(size, at, ty.int_bits())
}

fn int_or_bits(ty: &Record<'_>, size: u32, at: u32, bits: u32) -> Option<&'static str> {
    if !ty.is_regular_int() {
        return Some("Invalid member base type");
    }
    let bits = match bits {
        0 if !at.is_multiple_of(8) => return Some("Invalid member offset"),
        0 => ty.int_bits(),
        more if more > ty.int_bits() => return Some("Invalid member bitfield_size"),
        bits => bits,
    };
    bits_fit(size, at, bits)
}

fn bits_fit(size: u32, at: u32, bits: u32) -> Option<&'static str> {
    let copied = bits + at % 8;
    if copied > COPY_BITS_MAX {
        return Some("nr_copy_bits exceeds 128");
    }
    let room = size.checked_sub(at / 8);
    (room.is_none_or(|room| room < copied.div_ceil(8))).then_some("Member exceeds struct_size")
}

fn enum_or_bits(size: u32, at: u32, bits: u32) -> Option<&'static str> {
    let bits = match bits {
        0 if !at.is_multiple_of(8) => return Some("Member is not byte aligned"),
        0 => ENUM_BITS,
        more if more > ENUM_BITS => return Some("Invalid member bitfield_size"),
        bits => bits,
    };
    let end = (u64::from(at) + u64::from(bits)).div_ceil(8);
    (u64::from(size) < end).then_some("Member exceeds struct_size")
}

/// A member of whole bytes.
fn whole(ty: &Record<'_>, bytes: u32, size: u32, at: u32) -> Option<&'static str> {
    if ty.kind == Kind::Float {
        // Numbers past eight bytes are kept on eight.
        let align = if bytes.is_power_of_two() {
            bytes.min(8)
        } else {
            8
        };
        if !u64::from(at).is_multiple_of(u64::from(align) * 8) {
            return Some("Member is not properly aligned");
        }
    } else if !at.is_multiple_of(8) {
        return Some("Member is not byte aligned");
    }
    let room = size.checked_sub(at / 8);
    (room.is_none_or(|room| room < bytes)).then_some("Member exceeds struct_size")
}

//! What a C compiler would make of a structure, and what has to be said so that it makes
//! what BTF states.

use crate::blob::Btf;
use crate::kind::{Kind, TypeId};
use crate::view::{Member, Type};

/// The strictest alignment of a type, in bytes.
const ALIGN_MAX: u32 = 16;
/// How many references are followed to what is behind modifiers and arrays.
const REFERENCES_MAX: usize = 1024;

/// Alignments of structures that are complete, by id; 0 while not known.
pub(super) struct Layouts {
    aligns: Vec<u8>,
}

/// The shape of one member.
pub(super) struct Place {
    /// Where it begins, in bits.
    pub(super) at: u64,
    /// How many bits it has.
    pub(super) bits: u64,
    /// Its alignment, in bits.
    pub(super) align: u64,
    /// Its width if it is a bit field.
    pub(super) bitfield: Option<u32>,
}

impl Layouts {
    pub(super) fn new(btf: &Btf) -> Layouts {
        Layouts {
            aligns: vec![0; btf.type_count() as usize],
        }
    }

    /// Notes the alignment of a structure whose members are complete; answers whether it
    /// must be packed.
    pub(super) fn complete(&mut self, ty: &Type<'_>) -> bool {
        let packed = self.is_packed(ty);
        let align = if packed { 1 } else { self.natural(ty) };
        if let Some(place) = self.aligns.get_mut(ty.id().0 as usize) {
            *place = align as u8;
        }
        packed
    }

    fn natural(&self, ty: &Type<'_>) -> u32 {
        let aligns = ty.places().map(|member| self.align(ty.btf(), member.ty));
        aligns.max().unwrap_or(1)
    }

    /// The alignment of any type in bytes.
    pub(super) fn align(&self, btf: &Btf, id: TypeId) -> u32 {
        let Some(ty) = base(btf, id) else { return 1 };
        match ty.kind() {
            Kind::Ptr => 8,
            Kind::Struct | Kind::Union => {
                let known = self.aligns.get(ty.id().0 as usize);
                known.map_or(1, |align| u32::from(*align)).max(1)
            }
            Kind::Int | Kind::Float | Kind::Enum | Kind::Enum64 => {
                let size = ty.size().unwrap_or(1).clamp(1, ALIGN_MAX);
                if size.is_power_of_two() {
                    size
                } else {
                    size.next_power_of_two() / 2
                }
            }
            _ => 1,
        }
    }

    /// Where a member lies.
    pub(super) fn place(&self, btf: &Btf, member: &Member<'_>) -> Place {
        let size = u64::from(btf.size_of(member.ty).unwrap_or(0)) * 8;
        let align = u64::from(self.align(btf, member.ty)) * 8;
        let mut place = Place {
            at: u64::from(member.bit_offset),
            bits: size,
            align,
            bitfield: None,
        };
        if member.bitfield_size != 0 {
            place.bitfield = Some(member.bitfield_size);
        } else if let Some(int) = btf.resolve(member.ty).and_then(|ty| ty.int()) {
            // Compilers used to say with the type that a member has fewer bits.
            if u64::from(int.bits) != size || int.bit_offset != 0 {
                place.at += u64::from(int.bit_offset);
                place.bitfield = Some(int.bits);
            }
        }
        if let Some(bits) = place.bitfield {
            place.bits = u64::from(bits);
            place.align = size.max(8);
        }
        place
    }

    fn is_packed(&self, ty: &Type<'_>) -> bool {
        let size = u64::from(ty.size().unwrap_or(0)) * 8;
        let odd = !size.is_multiple_of(u64::from(self.natural(ty)) * 8);
        odd || ty.places().any(|member| {
            let place = self.place(ty.btf(), &member);
            match place.bitfield {
                Some(_) => natural_start(&place, place.at) != place.at,
                None => !place.at.is_multiple_of(place.align),
            }
        })
    }
}

/// Where a compiler puts a member if the bits before `from` are taken.
pub(super) fn natural_start(place: &Place, from: u64) -> u64 {
    let fits = |at: u64| at / place.align == (at + place.bits.max(1) - 1) / place.align;
    match place.bitfield {
        Some(_) if fits(from) => from,
        _ => from.next_multiple_of(place.align),
    }
}

/// What is behind modifiers, typedefs and arrays.
pub(super) fn base(btf: &Btf, mut id: TypeId) -> Option<Type<'_>> {
    for _ in 0..REFERENCES_MAX {
        let ty = btf.type_by_id(id)?;
        id = match ty.kind() {
            Kind::Array => ty.array()?.elem,
            kind if kind.is_modifier() || kind == Kind::Typedef => ty.ref_type()?,
            _ => return Some(ty),
        };
    }
    None
}

/// The bits of a gap as nameless bit fields, each inside a unit of its type.
pub(super) fn padding(mut from: u64, to: u64, mut say: impl FnMut(&'static str, u64)) {
    const UNITS: [(&str, u64); 4] = [("long", 64), ("int", 32), ("short", 16), ("char", 8)];
    while from < to {
        let whole = UNITS
            .iter()
            .find(|(_, bits)| from.is_multiple_of(*bits) && to - from >= *bits);
        let (unit, bits) = match whole {
            Some((unit, bits)) => (*unit, *bits),
            None => ("char", (8 - from % 8).min(to - from)),
        };
        say(unit, bits);
        from += bits;
    }
}

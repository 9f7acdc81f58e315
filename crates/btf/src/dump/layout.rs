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
    /// The alignment of its type, in bits: another one for a bit field.
    pub(super) own_align: u64,
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
    /// must be packed, and where its members lie.
    pub(super) fn complete(&mut self, ty: &Type<'_>) -> (bool, Vec<Place>) {
        let places = ty.places().map(|member| self.place(ty.btf(), &member));
        let places: Vec<Place> = places.collect();
        let natural = places
            .iter()
            .map(|place| place.own_align)
            .max()
            .unwrap_or(8);
        let size = u64::from(ty.size().unwrap_or(0)) * 8;
        let packed = !size.is_multiple_of(natural)
            || places.iter().any(|place| match place.bitfield {
                Some(_) => natural_start(place, place.at) != place.at,
                None => !place.at.is_multiple_of(place.align),
            });
        let align = if packed { 1 } else { natural / 8 };
        if let Some(place) = self.aligns.get_mut(ty.id().0 as usize) {
            *place = align as u8;
        }
        (packed, places)
    }

    /// The alignment in bytes of a type that is nothing but itself.
    fn align(&self, ty: &Type<'_>) -> u32 {
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
    fn place(&self, btf: &Btf, member: &Member<'_>) -> Place {
        let (base, count) = behind(btf, member.ty);
        let is_array = count.is_some();
        let count = count.unwrap_or(1);
        let align = u64::from(base.map_or(1, |base| self.align(&base))) * 8;
        let one = match base.map(|base| (base.kind(), base.size())) {
            Some((Kind::Ptr, _)) => 8,
            Some((_, Some(size))) => size,
            _ => 0,
        };
        let size = u64::from(one.checked_mul(count).unwrap_or(0)) * 8;
        let mut place = Place {
            at: u64::from(member.bit_offset),
            bits: size,
            align,
            own_align: align,
            bitfield: None,
        };
        if member.bitfield_size != 0 {
            place.bitfield = Some(member.bitfield_size);
        } else if !is_array && let Some(int) = base.and_then(|ty| ty.int()) {
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
}

/// Where a compiler puts a member if the bits before `from` are taken.
pub(super) fn natural_start(place: &Place, from: u64) -> u64 {
    let fits = |at: u64| at / place.align == (at + place.bits.max(1) - 1) / place.align;
    match place.bitfield {
        Some(_) if fits(from) => from,
        _ => from.next_multiple_of(place.align),
    }
}

/// What is behind modifiers, typedefs and arrays, and for arrays, how many of it there are.
fn behind(btf: &Btf, mut id: TypeId) -> (Option<Type<'_>>, Option<u32>) {
    let mut count: Option<u32> = None;
    for _ in 0..REFERENCES_MAX {
        let Some(ty) = btf.type_by_id(id) else { break };
        let next = match ty.kind() {
            Kind::Array => ty.array().map(|array| {
                count = Some(count.unwrap_or(1).saturating_mul(array.count));
                array.elem
            }),
            kind if kind.is_modifier() || kind == Kind::Typedef => ty.ref_type(),
            _ => return (Some(ty), count),
        };
        match next {
            Some(next) => id = next,
            None => break,
        }
    }
    (None, None)
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

//! What a C compiler would make of a structure, and what has to be said so that it makes
//! what BTF states.

use crate::blob::Btf;
use crate::kind::{Kind, TypeId};
use crate::view::Type;

/// The strictest alignment that a compiler gives by itself, in bytes.
const ALIGN_MAX: u32 = 8;
/// How many references are followed to what is behind modifiers and arrays.
const REFERENCES_MAX: usize = 1024;

/// The alignment of structures whose members are known, by id.
#[derive(Default)]
pub(super) struct Layouts {
    notes: Vec<Note>,
}

#[derive(Clone, Copy, Default)]
struct Note {
    /// In bytes; 0 while it is not known.
    align: u8,
    packed: bool,
}

/// The shape of one member's type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    /// In bytes.
    pub(super) size: u64,
    /// In bytes.
    pub(super) align: u64,
}

impl Layouts {
    pub(super) fn new(btf: &Btf) -> Layouts {
        Layouts {
            notes: vec![Note::default(); btf.type_count() as usize],
        }
    }

    /// Notes the layout of a structure or union. Those that it holds have been noted.
    pub(super) fn note(&mut self, ty: &Type<'_>) {
        let (mut strictest, mut fits) = (1, true);
        for member in ty.places() {
            let align = self.shape(ty.btf(), member.ty).align;
            strictest = align.max(strictest);
            fits &=
                member.bitfield_size != 0 || u64::from(member.bit_offset).is_multiple_of(align * 8);
        }
        fits &= u64::from(ty.size().unwrap_or(0)).is_multiple_of(strictest);
        if let Some(note) = self.notes.get_mut(ty.id().0 as usize) {
            note.packed = !fits && ty.kind() == Kind::Struct;
            note.align = if fits { strictest as u8 } else { 1 };
        }
    }

    fn of(&self, ty: &Type<'_>) -> Note {
        let note = self.notes.get(ty.id().0 as usize);
        note.copied().unwrap_or_default()
    }

    /// Whether a structure has to say that it is packed.
    pub(super) fn is_packed(&self, ty: &Type<'_>) -> bool {
        self.of(ty).packed
    }

    /// The alignment of a structure, in bytes.
    pub(super) fn align(&self, ty: &Type<'_>) -> u64 {
        u64::from(self.of(ty).align.max(1))
    }

    /// Size and alignment of what a member has as its type.
    pub(super) fn shape(&self, btf: &Btf, mut id: TypeId) -> Shape {
        let mut count = 1u32;
        let mut fits = true;
        for _ in 0..REFERENCES_MAX {
            let Some(ty) = btf.type_by_id(id) else { break };
            let (size, align) = match ty.kind() {
                Kind::Ptr => (8, 8),
                Kind::Struct | Kind::Union => (ty.size_or_type(), self.align(&ty)),
                Kind::Int | Kind::Float | Kind::Enum | Kind::Enum64 => {
                    let size = ty.size_or_type();
                    (size, u64::from(size.clamp(1, ALIGN_MAX)))
                }
                Kind::Array => {
                    let Some(array) = ty.array() else { break };
                    match count.checked_mul(array.count) {
                        Some(product) => count = product,
                        None => fits = false,
                    }
                    id = array.elem;
                    continue;
                }
                kind if kind.is_modifier() || kind == Kind::Typedef => {
                    id = ty.ref_type().unwrap_or_default();
                    continue;
                }
                _ => break,
            };
            let size = size.checked_mul(count).filter(|_| fits).unwrap_or(0);
            return Shape {
                size: u64::from(size),
                align,
            };
        }
        Shape { size: 0, align: 1 }
    }
}

/// The units in which a gap is filled, largest first.
const UNITS: [(&str, u64); 4] = [("long", 64), ("int", 32), ("short", 16), ("char", 8)];

/// Says how a gap between two members is filled, as nameless bit fields of a type and a width.
/// What a compiler leaves free by itself, to align `next`, need not be said. `in_bits`: the gap
/// lies between bit fields, where a compiler leaves nothing free.
pub(super) fn padding(
    mut from: u64,
    to: u64,
    next_align: u64,
    in_bits: bool,
    mut say: impl FnMut(&'static str, u64) -> bool,
) {
    if from >= to {
        return;
    }
    // The largest unit of which one can begin within the gap.
    let start = |bits: &u64| from.next_multiple_of(*bits);
    let unit = UNITS.iter().find(|(_, bits)| start(bits) <= to);
    let Some(&(word, bits)) = unit else {
        say("char", to - from);
        return;
    };
    let aligned = start(&bits);
    if aligned > from {
        let (before, behind) = (aligned - from, to - aligned);
        let by_itself = from.next_multiple_of(next_align.max(1) * 8) == aligned;
        // A unit of which all fits into what is left would not move to its own start.
        let must = in_bits || (behind == 0 && !by_itself) || (behind != 0 && behind <= before);
        if must && !say(word, if in_bits { before } else { 0 }) {
            return;
        }
        from = aligned;
    }
    while from < to {
        let left = to - from;
        let (word, width) = if left >= bits {
            (word, bits)
        } else {
            let smallest = UNITS.iter().rev().find(|(_, unit)| *unit >= left);
            (smallest.map_or(word, |(word, _)| word), left)
        };
        if !say(word, width) {
            return;
        }
        from += width;
    }
}

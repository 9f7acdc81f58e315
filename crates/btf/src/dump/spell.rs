//! What types and constants are called: C lets a name stand once in each of its two spaces,
//! so the second of a name that is written gets a number.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::blob::Btf;
use crate::hash::Fast;
use crate::kind::{Kind, TypeId};
use crate::view::Type;

/// How often each name was given out, and what each type was given.
pub(super) struct Names<'a> {
    /// Names behind `struct`, `union` and `enum`.
    tags: HashMap<&'a [u8], u32, Fast>,
    /// Names that stand alone: typedefs and constants.
    words: HashMap<&'a [u8], u32, Fast>,
    /// By type: 0 while it has not been written, else the how manieth of its name it is.
    numbers: Vec<u32>,
}

impl<'a> Names<'a> {
    /// For about so many names.
    pub(super) fn of(btf: &Btf, about: usize) -> Names<'a> {
        Names {
            tags: HashMap::with_capacity_and_hasher(about, Fast::default()),
            words: HashMap::with_capacity_and_hasher(about, Fast::default()),
            numbers: vec![0; btf.type_count() as usize],
        }
    }

    /// Writes the name of a structure, union, enumeration, forward or typedef.
    pub(super) fn put(&mut self, ty: &Type<'a>, out: &mut Vec<u8>) {
        let name = ty.name_bytes();
        out.extend_from_slice(name);
        put_suffix(self.number(ty, name), out);
    }

    /// Writes the name of a constant, which no two may share.
    pub(super) fn put_constant(&mut self, name: &'a [u8], out: &mut Vec<u8>) {
        out.extend_from_slice(name);
        put_suffix(count(&mut self.words, name), out);
    }

    /// The how manieth of its name a type is, if it has been written.
    pub(super) fn written(&self, id: TypeId) -> Option<u32> {
        let number = self.numbers.get(id.0 as usize).copied();
        number.filter(|number| *number != 0)
    }

    /// The how manieth of its name a type is, which it is from now on.
    pub(super) fn number(&mut self, ty: &Type<'a>, name: &'a [u8]) -> u32 {
        let Some(number) = self.numbers.get_mut(ty.id().0 as usize) else {
            return 1;
        };
        if *number == 0 {
            *number = match ty.kind() {
                Kind::Typedef => count(&mut self.words, name),
                // What is only declared may be declared again.
                Kind::Fwd => 1,
                Kind::Enum if ty.vlen() == 0 => 1,
                _ if name.is_empty() => 1,
                _ => count(&mut self.tags, name),
            };
        }
        *number
    }
}

fn count<'a>(names: &mut HashMap<&'a [u8], u32, Fast>, name: &'a [u8]) -> u32 {
    match names.entry(name) {
        Entry::Vacant(slot) => *slot.insert(1),
        Entry::Occupied(mut slot) => {
            let number = slot.get_mut();
            *number = number.saturating_add(1);
            *number
        }
    }
}

/// Writes what tells a name from the first one of it.
pub(super) fn put_suffix(number: u32, out: &mut Vec<u8>) {
    if number > 1 {
        out.extend_from_slice(b"___");
        put_number(u64::from(number), out);
    }
}

/// Writes a number in decimal.
pub(super) fn put_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (number % 10) as u8;
        }
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or(&[]));
}

/// Writes a number in decimal, with its sign.
pub(super) fn put_signed(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    put_number(number.unsigned_abs(), out);
}

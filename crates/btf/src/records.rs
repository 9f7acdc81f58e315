//! Where the records of a type section begin: one walk, in which the next step seldom waits for
//! what this one reads.

use crate::error::{BtfError, Problem};
use crate::kind::Kind;
use crate::words::word;

/// `BTF_MAX_TYPE`: the highest id that Linux gives out.
const MAX_TYPES: u32 = 0x000f_ffff;
/// Every type record begins with three words.
pub(crate) const RECORD_LEN: usize = 12;
/// The `info` bits that mean something: kind flag, kind, vlen.
const INFO_MASK: u32 = 0x9f00_ffff;

/// What the walk finds.
pub(crate) struct Records {
    /// Where in the blob each type begins.
    pub(crate) offsets: Vec<u32>,
    /// The ids of the declaration tags.
    pub(crate) decl_tags: Vec<u32>,
    pub(crate) most: Most,
}

impl Records {
    /// Walks the type section once and notes where each record begins.
    ///
    /// `section` begins `start` bytes into the blob.
    pub(crate) fn find(section: &[u8], start: usize, first_id: u32) -> Result<Records, BtfError> {
        let end = start + section.len();
        let too_many = |at| BtfError::new(at, Problem::TooManyTypes(MAX_TYPES));
        u32::try_from(end).map_err(|_| too_many(start))?;
        let mut rest = section;
        let mut id = first_id;
        let mut most = Most::default();
        let mut decl_tags = Vec::new();
        let shapes = Kind::ALL.map(Shape::of);
        // Compilers' records take some twenty bytes on average.
        let mut offsets = Vec::with_capacity(rest.len() / 20);
        while let Some((head, list)) = rest.split_first_chunk::<RECORD_LEN>() {
            let at = end - rest.len();
            let [name, info, third] = words(head);
            let number = (info >> 24) & 0x1f;
            if id > MAX_TYPES {
                return Err(too_many(at));
            }
            if info & !INFO_MASK != 0 {
                return Err(BtfError::new(at + 4, record_problem(id, info)));
            }
            most.name(name);
            // Where the next record begins is then known before this one has been read.
            if BARE >> number & 1 != 0 {
                most.reference(third & all(REFERRING >> number & 1 != 0));
                offsets.push(at as u32);
                rest = list;
                id += 1;
                continue;
            }
            let shape = shapes.get(number as usize);
            let Some(shape) = shape.filter(|shape| shape.kind != Kind::Void) else {
                return Err(BtfError::new(at + 4, record_problem(id, info)));
            };
            let need = shape.fixed + shape.each * (info & 0xffff) as usize;
            let Some((list, behind)) = list.split_at_checked(need) else {
                return Err(truncated(at, RECORD_LEN + need, rest.len()));
            };
            most.reference(third & shape.is_ref);
            most.see(shape, list);
            if shape.kind == Kind::DeclTag {
                decl_tags.push(id);
            }
            offsets.push(at as u32);
            rest = behind;
            id += 1;
        }
        if !rest.is_empty() {
            return Err(truncated(end - rest.len(), RECORD_LEN, rest.len()));
        }
        Ok(Records {
            offsets,
            decl_tags,
            most,
        })
    }
}

/// The kinds, as bits, of which nothing follows the first words.
const BARE: u32 = of_kinds(&[
    Kind::Ptr,
    Kind::Fwd,
    Kind::Typedef,
    Kind::Volatile,
    Kind::Const,
    Kind::Restrict,
    Kind::Func,
    Kind::Float,
    Kind::TypeTag,
]);
/// Those of them whose third word is a reference.
const REFERRING: u32 = BARE & !of_kinds(&[Kind::Fwd, Kind::Float]);

const fn of_kinds(kinds: &[Kind]) -> u32 {
    let (mut bits, mut rest) = (0, kinds);
    while let [kind, others @ ..] = rest {
        bits |= 1 << *kind as u32;
        rest = others;
    }
    bits
}

/// All bits, or none.
fn all(set: bool) -> u32 {
    if set { u32::MAX } else { 0 }
}

/// What is wrong with the second word of a record.
#[cold]
fn record_problem(id: u32, info: u32) -> Problem {
    let kind = (info >> 24) & 0x1f;
    match Kind::from_number(kind) {
        Some(known) if known != Kind::Void => Problem::Info { id, info },
        _ => Problem::Kind { id, kind },
    }
}

#[cold]
fn truncated(at: usize, need: usize, have: usize) -> BtfError {
    let what = "type record";
    BtfError::new(at, Problem::Truncated { what, need, have })
}

/// What follows the first words of a kind's record, so that finding its end takes no branch.
#[derive(Clone, Copy)]
struct Shape {
    kind: Kind,
    /// Bytes that are always there.
    fixed: usize,
    /// Bytes of each element.
    each: usize,
    /// All ones if the third word is a reference.
    is_ref: u32,
    /// All ones if the first word of an element is a name; else it is a reference.
    first_is_name: u32,
    /// All ones if the second word of an element is a reference.
    second_is_ref: u32,
}

impl Shape {
    fn of(kind: Kind) -> Shape {
        let fixed = 4 * kind.extra_words(0);
        Shape {
            kind,
            fixed,
            each: 4 * kind.extra_words(1) - fixed,
            is_ref: all(kind.has_type()),
            first_is_name: all(kind != Kind::DataSec),
            second_is_ref: all(kind.is_composite() || kind == Kind::FuncProto),
        }
    }
}

/// The furthest that the records of a blob point.
#[derive(Default)]
pub(crate) struct Most {
    pub(crate) name: u32,
    pub(crate) reference: u32,
}

impl Most {
    fn name(&mut self, name: u32) {
        self.name = self.name.max(name);
    }

    fn reference(&mut self, id: u32) {
        self.reference = self.reference.max(id);
    }

    /// Looks at what is behind a record. Most lists are short, and which kind comes next is
    /// hard to foretell, so all kinds take the same way.
    #[inline(always)]
    fn see(&mut self, shape: &Shape, list: &[u8]) {
        if shape.kind == Kind::Array {
            self.reference(word(list, 0).max(word(list, 1)));
        }
        if shape.each == 0 {
            return;
        }
        let mut rest = list;
        while let Some((element, _)) = rest.split_first_chunk() {
            let [first, second] = pair(element);
            self.name(first & shape.first_is_name);
            self.reference(first & !shape.first_is_name);
            self.reference(second & shape.second_is_ref);
            rest = rest.get(shape.each..).unwrap_or(&[]);
        }
    }
}

/// Three words.
#[inline(always)]
fn words([a, b, c, d, e, f, g, h, i, j, k, l]: &[u8; 12]) -> [u32; 3] {
    [[*a, *b, *c, *d], [*e, *f, *g, *h], [*i, *j, *k, *l]].map(u32::from_le_bytes)
}

/// Two words.
#[inline(always)]
fn pair([a, b, c, d, e, f, g, h]: &[u8; 8]) -> [u32; 2] {
    [[*a, *b, *c, *d], [*e, *f, *g, *h]].map(u32::from_le_bytes)
}

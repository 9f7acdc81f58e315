//! One BTF type as a typed view over its bytes.

use crate::blob::Btf;
use crate::kind::{Kind, Linkage, TypeId};
use crate::records::RECORD_LEN;
use crate::words::word;

/// A type of a [`Btf`]. Copying it is free; its lists are decoded while iterating.
#[derive(Clone, Copy)]
pub struct Type<'a> {
    btf: &'a Btf,
    id: TypeId,
    kind: Kind,
    name_off: u32,
    info: u32,
    size_or_type: u32,
    extra: &'a [u8],
}

impl core::fmt::Debug for Type<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} {} '{}'", self.id, self.kind, self.name())
    }
}

/// How an integer is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IntInfo {
    /// It has a sign.
    pub signed: bool,
    /// It is meant as a character.
    pub char: bool,
    /// It is a truth value.
    pub bool: bool,
    /// Where the value begins inside its bytes.
    pub bit_offset: u32,
    /// How many bits it has.
    pub bits: u32,
}

/// The element, index and count of an array.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArrayInfo {
    /// The type of the elements.
    pub elem: TypeId,
    /// The type of the index.
    pub index: TypeId,
    /// How many there are; 0 for a flexible array.
    pub count: u32,
}

/// A field of a structure or union.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member<'a> {
    /// Empty for an anonymous structure or union.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
    /// Where it begins, in bits from the start of the structure.
    pub bit_offset: u32,
    /// Its width when it is a bit field written with the kind flag, else 0.
    pub bitfield_size: u32,
}

/// A member whose name has not been read.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) name: u32,
    pub(crate) ty: TypeId,
    pub(crate) bit_offset: u32,
    pub(crate) bitfield_size: u32,
}

/// A parameter of a function prototype. A last one with type `void` and no name is `...`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Param<'a> {
    /// Its name, if any.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
}

/// One constant of an enumeration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Enumerator<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value, sign-extended when the enumeration is signed.
    pub value: u64,
}

/// A variable's place in a section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VarSecInfo {
    /// The variable (or function, in `.ksyms`).
    pub ty: TypeId,
    /// Its offset in the section, in bytes.
    pub offset: u32,
    /// Its size in bytes.
    pub size: u32,
}

impl<'a> Type<'a> {
    pub(crate) fn void(btf: &'a Btf) -> Type<'a> {
        let id = TypeId::VOID;
        Type {
            btf,
            id,
            kind: Kind::Void,
            name_off: 0,
            info: 0,
            size_or_type: 0,
            extra: &[],
        }
    }

    /// `record` begins with the type's first word; the parser has checked its extent.
    pub(crate) fn new(btf: &'a Btf, id: TypeId, record: &'a [u8]) -> Type<'a> {
        let info = word(record, 1);
        let kind = Kind::from_number((info >> 24) & 0x1f).unwrap_or(Kind::Void);
        let len = 4 * kind.extra_words((info & 0xffff) as usize);
        Type {
            btf,
            id,
            kind,
            name_off: word(record, 0),
            info,
            size_or_type: word(record, 2),
            extra: record.get(RECORD_LEN..RECORD_LEN + len).unwrap_or(&[]),
        }
    }

    /// The blob it was read from.
    pub fn btf(&self) -> &'a Btf {
        self.btf
    }

    /// Its id.
    pub fn id(&self) -> TypeId {
        self.id
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name, empty when it has none.
    pub fn name(&self) -> &'a str {
        self.btf.string(self.name_off).unwrap_or("")
    }

    /// Its name as it is stored, empty when it has none.
    pub(crate) fn name_bytes(&self) -> &'a [u8] {
        self.btf.bytes_at(self.name_off)
    }

    /// The offset of its name among the strings.
    pub fn name_off(&self) -> u32 {
        self.name_off
    }

    /// The `info` word as it is stored.
    pub fn info(&self) -> u32 {
        self.info
    }

    /// The number of elements in its list (or a function's linkage).
    pub fn vlen(&self) -> u32 {
        self.info & 0xffff
    }

    /// Bit 31 of `info`: bit fields present, signed enumeration, union forward, attribute tag.
    pub fn kind_flag(&self) -> bool {
        self.info >> 31 != 0
    }

    /// The third word, whatever it means for the kind.
    pub fn size_or_type(&self) -> u32 {
        self.size_or_type
    }

    /// The size in bytes that the record itself states; see [`Btf::size_of`] for any type.
    pub fn size(&self) -> Option<u32> {
        self.kind.has_size().then_some(self.size_or_type)
    }

    /// The type it refers to: pointee, modified type, a function's prototype, a prototype's
    /// return, a variable's type, or what a tag is on.
    pub fn ref_type(&self) -> Option<TypeId> {
        self.kind.has_type().then_some(TypeId(self.size_or_type))
    }

    /// The encoding of an integer.
    pub fn int(&self) -> Option<IntInfo> {
        if self.kind != Kind::Int {
            return None;
        }
        let data = word(self.extra, 0);
        let encoding = (data >> 24) & 0xf;
        Some(IntInfo {
            signed: encoding & 1 != 0,
            char: encoding & 2 != 0,
            bool: encoding & 4 != 0,
            bit_offset: (data >> 16) & 0xff,
            bits: data & 0xff,
        })
    }

    /// The parts of an array.
    pub fn array(&self) -> Option<ArrayInfo> {
        (self.kind == Kind::Array).then(|| ArrayInfo {
            elem: TypeId(word(self.extra, 0)),
            index: TypeId(word(self.extra, 1)),
            count: word(self.extra, 2),
        })
    }

    /// The fields of a structure or union, in order; nothing for other kinds.
    pub fn members(&self) -> impl ExactSizeIterator<Item = Member<'a>> + use<'a> {
        let btf = self.btf;
        self.places().map(move |place| Member {
            name: btf.string(place.name).unwrap_or(""),
            ty: place.ty,
            bit_offset: place.bit_offset,
            bitfield_size: place.bitfield_size,
        })
    }

    /// As [`members`](Type::members), with the offsets of the names.
    pub(crate) fn places(
        &self,
    ) -> impl ExactSizeIterator<Item = Place> + DoubleEndedIterator + use<'a> {
        let flag = self.kind_flag();
        self.list(self.kind.is_composite(), 12).map(move |record| {
            let offset = word(record, 2);
            Place {
                name: word(record, 0),
                ty: TypeId(word(record, 1)),
                bit_offset: if flag { offset & 0x00ff_ffff } else { offset },
                bitfield_size: if flag { offset >> 24 } else { 0 },
            }
        })
    }

    /// As [`params`](Type::params), with the offsets of the names.
    pub(crate) fn raw_params(&self) -> impl DoubleEndedIterator<Item = (u32, TypeId)> + use<'a> {
        self.list(self.kind == Kind::FuncProto, 8)
            .map(|record| (word(record, 0), TypeId(word(record, 1))))
    }

    /// As [`enumerators`](Type::enumerators), with the offsets of the names.
    pub(crate) fn raw_enumerators(&self) -> impl ExactSizeIterator<Item = (u32, u64)> + use<'a> {
        let (signed, wide) = (self.kind_flag(), self.kind == Kind::Enum64);
        let size = if wide { 12 } else { 8 };
        self.list(self.kind.is_enum(), size).map(move |record| {
            let low = word(record, 1);
            let value = match (wide, signed) {
                (true, _) => u64::from(low) | u64::from(word(record, 2)) << 32,
                (false, true) => i64::from(low as i32) as u64,
                (false, false) => u64::from(low),
            };
            (word(record, 0), value)
        })
    }

    /// The parameters of a prototype, in order; nothing for other kinds.
    pub fn params(&self) -> impl ExactSizeIterator<Item = Param<'a>> + use<'a> {
        let btf = self.btf;
        self.list(self.kind == Kind::FuncProto, 8)
            .map(move |record| Param {
                name: btf.string(word(record, 0)).unwrap_or(""),
                ty: TypeId(word(record, 1)),
            })
    }

    /// The constants of an enumeration of either width; nothing for other kinds.
    pub fn enumerators(&self) -> impl ExactSizeIterator<Item = Enumerator<'a>> + use<'a> {
        let btf = self.btf;
        self.raw_enumerators().map(move |(name, value)| Enumerator {
            name: btf.string(name).unwrap_or(""),
            value,
        })
    }

    /// The variables of a section, in order; nothing for other kinds.
    pub fn vars(&self) -> impl ExactSizeIterator<Item = VarSecInfo> + use<'a> {
        self.list(self.kind == Kind::DataSec, 12)
            .map(|record| VarSecInfo {
                ty: TypeId(word(record, 0)),
                offset: word(record, 1),
                size: word(record, 2),
            })
    }

    /// The linkage of a function or variable.
    pub fn linkage(&self) -> Option<Linkage> {
        match self.kind {
            Kind::Func => Some(Linkage::from_number(self.vlen())),
            Kind::Var => Some(Linkage::from_number(word(self.extra, 0))),
            _ => None,
        }
    }

    /// Which member or parameter a declaration tag is on; -1 for the whole.
    pub fn component_idx(&self) -> Option<i32> {
        (self.kind == Kind::DeclTag).then(|| word(self.extra, 0) as i32)
    }

    /// The words after the first three, as stored.
    pub fn extra(&self) -> &'a [u8] {
        self.extra
    }

    /// The type it refers to, as a view.
    pub fn target(&self) -> Option<Type<'a>> {
        self.btf.type_by_id(self.ref_type()?)
    }

    fn list(&self, present: bool, size: usize) -> core::slice::ChunksExact<'a, u8> {
        let bytes = if present { self.extra } else { &[] };
        bytes.chunks_exact(size)
    }

    /// Calls `f` with the word number and value of each string offset in the record.
    pub(crate) fn each_name<E>(
        &self,
        mut f: impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<(), E> {
        f(0, self.name_off)?;
        let step = match self.kind {
            Kind::Struct | Kind::Union | Kind::Enum64 => 3,
            Kind::Enum | Kind::FuncProto => 2,
            _ => return Ok(()),
        };
        for index in 0..self.extra.len() / (4 * step) {
            f(3 + index * step, word(self.extra, index * step))?;
        }
        Ok(())
    }

    /// Calls `f` with the word number and value of each type id in the record.
    pub(crate) fn each_reference<E>(
        &self,
        mut f: impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.kind.has_type() {
            f(2, self.size_or_type)?;
        }
        let (first, step) = match self.kind {
            Kind::Array => {
                f(3, word(self.extra, 0))?;
                return f(4, word(self.extra, 1));
            }
            Kind::Struct | Kind::Union => (1, 3),
            Kind::FuncProto => (1, 2),
            Kind::DataSec => (0, 3),
            _ => return Ok(()),
        };
        for index in 0..self.extra.len() / (4 * step) {
            f(
                3 + index * step + first,
                word(self.extra, index * step + first),
            )?;
        }
        Ok(())
    }
}

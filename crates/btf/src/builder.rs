//! Writing BTF: new blobs, and edited copies of parsed ones.

use std::collections::HashMap;

use crate::blob::{Btf, HEADER_LEN, MAGIC};
use crate::hash::Fast;
use crate::kind::{Kind, Linkage, TypeId};
use crate::view::Type;

/// A blob under construction.
///
/// ```
/// use skep_btf::{Btf, Builder, Kind};
/// let mut builder = Builder::new();
/// let int = builder.int("int", 4, true);
/// builder.struct_("pair", 8, &[("a", int, 0), ("b", int, 32)]);
/// let btf = Btf::parse(&builder.finish()).unwrap();
/// assert_eq!(btf.find_by_name_kind("pair", Kind::Struct).unwrap().0, 2);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    first_id: u32,
    records: Vec<Vec<u32>>,
    strings: Vec<u8>,
    first_string: u32,
    /// What a header has behind the fields of version 1: newer compilers write fields that
    /// are zero there, and who looks at the bytes should find them again.
    header_tail: Vec<u8>,
    interned: HashMap<String, u32, Fast>,
}

impl Builder {
    /// An empty, self-contained blob.
    pub fn new() -> Builder {
        Builder {
            first_id: 1,
            strings: vec![0],
            ..Builder::default()
        }
    }

    /// An empty split blob that continues `base`.
    pub fn on(base: &Btf) -> Builder {
        Builder {
            first_id: base.type_count(),
            first_string: base.string_end(),
            ..Builder::default()
        }
    }

    /// A copy of a parsed blob, ids and string offsets unchanged, to edit and extend.
    pub fn from_btf(btf: &Btf) -> Builder {
        let records = btf.types().map(|ty| {
            let mut words = vec![ty.name_off(), ty.info(), ty.size_or_type()];
            let extra = ty.extra().chunks_exact(4);
            words.extend(extra.filter_map(|c| Some(u32::from_le_bytes(c.try_into().ok()?))));
            words
        });
        Builder {
            first_id: btf.first_id().0,
            records: records.collect(),
            strings: btf.string_bytes().to_vec(),
            first_string: btf.base().map_or(0, |base| base.string_end()),
            header_tail: btf.header_tail().to_vec(),
            interned: HashMap::default(),
        }
    }

    /// Lets names that the base has be found there, not added again. Linear in its strings.
    pub(crate) fn share_strings(&mut self, base: &Btf) {
        let mut at = 0u32;
        for text in base.string_bytes().split(|byte| *byte == 0) {
            if let Ok(text) = core::str::from_utf8(text) {
                self.interned.entry(text.to_string()).or_insert(at);
            }
            at = at.saturating_add(u32::try_from(text.len()).unwrap_or(u32::MAX));
            at = at.saturating_add(1);
        }
    }

    /// The offset of a string, added if this builder did not add it before.
    /// The empty string is 0.
    pub fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(offset) = self.interned.get(text) {
            return *offset;
        }
        let own = u32::try_from(self.strings.len()).unwrap_or(u32::MAX);
        let offset = self.first_string.saturating_add(own);
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        self.interned.insert(text.to_string(), offset);
        offset
    }

    /// Adds a record word by word: `info` is made from kind, flag and vlen.
    pub fn add(
        &mut self,
        kind: Kind,
        name: &str,
        (vlen, kind_flag): (u16, bool),
        size_or_type: u32,
        extra: &[u32],
    ) -> TypeId {
        let name = self.string(name);
        let info = u32::from(kind_flag) << 31 | kind.number() << 24 | u32::from(vlen);
        let mut words = vec![name, info, size_or_type];
        words.extend_from_slice(extra);
        self.records.push(words);
        let own = u32::try_from(self.records.len() - 1).unwrap_or(u32::MAX);
        TypeId(self.first_id.saturating_add(own))
    }

    /// An integer of `size` bytes, all of its bits used.
    pub fn int(&mut self, name: &str, size: u32, signed: bool) -> TypeId {
        let data = u32::from(signed) << 24 | (size * 8).min(0xff);
        self.add(Kind::Int, name, (0, false), size, &[data])
    }

    /// A pointer.
    pub fn ptr(&mut self, to: TypeId) -> TypeId {
        self.add(Kind::Ptr, "", (0, false), to.0, &[])
    }

    /// A typedef, or any of the kinds that only refer to another type.
    pub fn refer(&mut self, kind: Kind, name: &str, to: TypeId) -> TypeId {
        self.add(kind, name, (0, false), to.0, &[])
    }

    /// An array.
    pub fn array(&mut self, elem: TypeId, index: TypeId, count: u32) -> TypeId {
        self.add(Kind::Array, "", (0, false), 0, &[elem.0, index.0, count])
    }

    /// A structure of (name, type, bit offset) members without bit fields.
    pub fn struct_(&mut self, name: &str, size: u32, members: &[(&str, TypeId, u32)]) -> TypeId {
        self.composite(Kind::Struct, name, size, members)
    }

    /// A union of (name, type, bit offset) members without bit fields.
    pub fn union_(&mut self, name: &str, size: u32, members: &[(&str, TypeId, u32)]) -> TypeId {
        self.composite(Kind::Union, name, size, members)
    }

    fn composite(
        &mut self,
        kind: Kind,
        name: &str,
        size: u32,
        members: &[(&str, TypeId, u32)],
    ) -> TypeId {
        let mut extra = Vec::with_capacity(members.len() * 3);
        for (name, ty, offset) in members {
            extra.extend([self.string(name), ty.0, *offset]);
        }
        self.add(kind, name, (vlen(members.len()), false), size, &extra)
    }

    /// A 32-bit enumeration.
    pub fn enum_(&mut self, name: &str, signed: bool, values: &[(&str, i32)]) -> TypeId {
        let mut extra = Vec::with_capacity(values.len() * 2);
        for (name, value) in values {
            extra.extend([self.string(name), *value as u32]);
        }
        self.add(Kind::Enum, name, (vlen(values.len()), signed), 4, &extra)
    }

    /// A 64-bit enumeration.
    pub fn enum64(&mut self, name: &str, signed: bool, values: &[(&str, u64)]) -> TypeId {
        let mut extra = Vec::with_capacity(values.len() * 3);
        for (name, value) in values {
            extra.extend([self.string(name), *value as u32, (*value >> 32) as u32]);
        }
        self.add(Kind::Enum64, name, (vlen(values.len()), signed), 8, &extra)
    }

    /// A function prototype.
    pub fn func_proto(&mut self, ret: TypeId, params: &[(&str, TypeId)]) -> TypeId {
        let mut extra = Vec::with_capacity(params.len() * 2);
        for (name, ty) in params {
            extra.extend([self.string(name), ty.0]);
        }
        self.add(
            Kind::FuncProto,
            "",
            (vlen(params.len()), false),
            ret.0,
            &extra,
        )
    }

    /// A function.
    pub fn func(&mut self, name: &str, proto: TypeId, linkage: Linkage) -> TypeId {
        let linkage = u16::try_from(linkage.number()).unwrap_or(u16::MAX);
        self.add(Kind::Func, name, (linkage, false), proto.0, &[])
    }

    /// A variable.
    pub fn var(&mut self, name: &str, ty: TypeId, linkage: Linkage) -> TypeId {
        self.add(Kind::Var, name, (0, false), ty.0, &[linkage.number()])
    }

    /// A data section of (variable, offset, size).
    pub fn datasec(&mut self, name: &str, size: u32, vars: &[(TypeId, u32, u32)]) -> TypeId {
        let extra: Vec<u32> = vars
            .iter()
            .flat_map(|(ty, off, len)| [ty.0, *off, *len])
            .collect();
        self.add(Kind::DataSec, name, (vlen(vars.len()), false), size, &extra)
    }

    /// A declaration tag on a type (-1) or one of its components.
    pub fn decl_tag(&mut self, tag: &str, on: TypeId, component: i32) -> TypeId {
        self.add(Kind::DeclTag, tag, (0, false), on.0, &[component as u32])
    }

    /// The id that the next type gets.
    pub fn next_id(&self) -> TypeId {
        let own = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        TypeId(self.first_id.saturating_add(own))
    }

    /// Adds a copy of a type of another blob; `map` gives the ids that it refers to here.
    pub fn copy(&mut self, ty: &Type<'_>, map: impl Fn(TypeId) -> TypeId) -> TypeId {
        let btf = ty.btf();
        self.copy_with(ty, map, |builder, offset| {
            builder.string(btf.string(offset).unwrap_or(""))
        })
    }

    /// As [`copy`](Builder::copy); `string` gives the offset here of a string there.
    pub(crate) fn copy_with(
        &mut self,
        ty: &Type<'_>,
        map: impl Fn(TypeId) -> TypeId,
        mut string: impl FnMut(&mut Builder, u32) -> u32,
    ) -> TypeId {
        let mut words = vec![0, ty.info(), ty.size_or_type()];
        let extra = ty.extra().chunks_exact(4);
        words.extend(extra.filter_map(|c| Some(u32::from_le_bytes(c.try_into().ok()?))));
        let mut put = |at: usize, word: u32| {
            if let Some(place) = words.get_mut(at) {
                *place = word;
            }
        };
        let _ = ty.each_reference(|at, id| {
            put(at, map(TypeId(id)).0);
            Ok::<(), core::convert::Infallible>(())
        });
        let _ = ty.each_name(|at, name| {
            put(at, string(self, name));
            Ok::<(), core::convert::Infallible>(())
        });
        self.records.push(words);
        let own = u32::try_from(self.records.len() - 1).unwrap_or(u32::MAX);
        TypeId(self.first_id.saturating_add(own))
    }

    /// Word `index` of a record (0 name, 1 info, 2 size or type, then the rest).
    pub fn word(&self, id: TypeId, index: usize) -> Option<u32> {
        self.record(id)?.get(index).copied()
    }

    /// Replaces word `index` of a record; `false` when there is no such word.
    pub fn set_word(&mut self, id: TypeId, index: usize, value: u32) -> bool {
        let word = self
            .slot(id)
            .and_then(|slot| self.records.get_mut(slot)?.get_mut(index));
        word.map(|word| *word = value).is_some()
    }

    /// Replaces a record as a whole, keeping its id; `false` when there is no such record.
    pub fn replace(&mut self, id: TypeId, words: Vec<u32>) -> bool {
        let record = self.slot(id).and_then(|slot| self.records.get_mut(slot));
        record.map(|record| *record = words).is_some()
    }

    /// The words of a record.
    pub fn record(&self, id: TypeId) -> Option<&[u32]> {
        self.records.get(self.slot(id)?).map(Vec::as_slice)
    }

    fn slot(&self, id: TypeId) -> Option<usize> {
        usize::try_from(id.0.checked_sub(self.first_id)?).ok()
    }

    /// The blob.
    pub fn finish(&self) -> Vec<u8> {
        let words = self.records.iter().map(Vec::len).sum::<usize>();
        let type_len = u32::try_from(words * 4).unwrap_or(u32::MAX);
        let str_len = u32::try_from(self.strings.len()).unwrap_or(u32::MAX);
        let header = HEADER_LEN + self.header_tail.len();
        let mut out = Vec::with_capacity(header + words * 4 + self.strings.len());
        out.extend(MAGIC.to_le_bytes());
        out.extend([1, 0]);
        for word in [header as u32, 0, type_len, type_len, str_len] {
            out.extend(word.to_le_bytes());
        }
        out.extend(&self.header_tail);
        for word in self.records.iter().flatten() {
            out.extend(word.to_le_bytes());
        }
        out.extend(&self.strings);
        out
    }
}

fn vlen(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

//! A whole BTF blob: how its bytes are checked once, so that views need not doubt them.
//!
//! ```text
//!  0      2        3      4        8         12        16       20       24
//!  | magic| version| flags| hdr_len| type_off| type_len| str_off| str_len| … types … strings
//! ```

use std::ffi::CStr;
use std::sync::{Arc, OnceLock};

use crate::error::{BtfError, Problem};
use crate::kind::TypeId;
use crate::names::NameIndex;
use crate::records::Records;
use crate::view::Type;
use crate::words::{u16_at, u32_at, word};

/// `BTF_MAGIC`.
pub const MAGIC: u16 = 0xeb9f;
/// Bytes of the header of version 1.
pub const HEADER_LEN: usize = 24;

/// A parsed BTF blob. Share it as `Arc<Btf>`.
#[derive(Clone, Debug)]
pub struct Btf {
    raw: Vec<u8>,
    /// Byte offset in `raw` of each own type; the first is type `first_id`.
    offsets: Vec<u32>,
    first_id: u32,
    strings: (usize, usize),
    /// Where this blob's strings begin in the numbering shared with the base.
    first_string: u32,
    base: Option<Arc<Btf>>,
    names: OnceLock<NameIndex>,
    /// The ids of the declaration tags defined here: programs ask for them at every function.
    decl_tags: Vec<u32>,
}

impl Btf {
    /// Parses a self-contained blob.
    ///
    /// Checks the header, the bounds of every record, every string offset and every type
    /// reference. Cost: linear in the input.
    ///
    /// # Errors
    /// [`BtfError`] names the byte and the problem.
    pub fn parse(bytes: &[u8]) -> Result<Btf, BtfError> {
        Btf::parse_on(bytes.to_vec(), None)
    }

    /// Parses a split blob, whose ids and strings continue those of `base`.
    ///
    /// # Errors
    /// As [`Btf::parse`].
    pub fn parse_split(bytes: &[u8], base: Arc<Btf>) -> Result<Btf, BtfError> {
        Btf::parse_on(bytes.to_vec(), Some(base))
    }

    /// As [`Btf::parse`] and [`Btf::parse_split`], keeping the given bytes without a copy.
    ///
    /// # Errors
    /// As [`Btf::parse`].
    pub fn parse_on(raw: Vec<u8>, base: Option<Arc<Btf>>) -> Result<Btf, BtfError> {
        let header = Header::parse(&raw)?;
        let (first_id, first_string) = match &base {
            Some(base) => (base.type_count(), base.string_end()),
            None => (1, 0),
        };
        let mut btf = Btf {
            raw,
            offsets: Vec::new(),
            first_id,
            strings: header.strings,
            first_string,
            base,
            names: OnceLock::new(),
            decl_tags: Vec::new(),
        };
        btf.check_strings()?;
        let types = btf.raw.get(header.types.0..header.types.1).unwrap_or(&[]);
        let Records {
            offsets,
            decl_tags,
            most,
        } = Records::find(types, header.types.0, first_id)?;
        (btf.offsets, btf.decl_tags) = (offsets, decl_tags);
        // Only when something points too far it is worth looking where.
        if most.name >= btf.string_end() || most.reference >= btf.type_count() {
            btf.check_references()?;
        }
        Ok(btf)
    }

    /// The bytes this was parsed from.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The bytes of the header behind the fields of version 1.
    pub(crate) fn header_tail(&self) -> &[u8] {
        let end = word(&self.raw, 1) as usize;
        self.raw.get(HEADER_LEN..end).unwrap_or(&[])
    }

    /// The blob this one continues.
    pub fn base(&self) -> Option<&Arc<Btf>> {
        self.base.as_ref()
    }

    /// One more than the highest type id, counting `void` and the base.
    pub fn type_count(&self) -> u32 {
        self.first_id
            .saturating_add(u32::try_from(self.offsets.len()).unwrap_or(u32::MAX))
    }

    /// The lowest id that is defined here and not in the base.
    pub fn first_id(&self) -> TypeId {
        TypeId(self.first_id)
    }

    /// The view of a type; id 0 is `void`. `None` when there is no such type.
    pub fn type_by_id(&self, id: impl Into<TypeId>) -> Option<Type<'_>> {
        let id = id.into();
        if id == TypeId::VOID {
            return Some(Type::void(self));
        }
        let Some(own) = id.0.checked_sub(self.first_id) else {
            // The base's records are read with this blob as their context: ids agree, and
            // name offsets below `first_string` go back to the base.
            return self
                .base
                .as_ref()?
                .record(id)
                .map(|record| Type::new(self, id, record));
        };
        let offset = *self.offsets.get(usize::try_from(own).ok()?)? as usize;
        Some(Type::new(self, id, self.raw.get(offset..)?))
    }

    /// All types defined here (not those of the base), by id.
    pub fn types(&self) -> impl Iterator<Item = Type<'_>> {
        (self.first_id..self.type_count()).filter_map(|id| self.type_by_id(id))
    }

    /// The declaration tags defined here, by id.
    pub fn decl_tags(&self) -> impl Iterator<Item = Type<'_>> {
        self.decl_tags.iter().filter_map(|id| self.type_by_id(*id))
    }

    /// Whether an offset lies in the string sections of this blob and its base.
    pub fn has_string(&self, offset: u32) -> bool {
        offset < self.string_end()
    }

    /// The string at an offset of the string section; `None` when it is out of range.
    pub fn string(&self, offset: u32) -> Option<&str> {
        core::str::from_utf8(self.string_at(offset)?).ok()
    }

    /// The bytes of a string, up to its NUL.
    fn string_at(&self, offset: u32) -> Option<&[u8]> {
        let Some(own) = offset.checked_sub(self.first_string) else {
            return self.base.as_ref()?.string_at(offset);
        };
        let own = usize::try_from(own).ok()?;
        let rest = self.string_bytes().get(own..)?;
        Some(CStr::from_bytes_until_nul(rest).ok()?.to_bytes())
    }

    /// As [`string`](Btf::string), whatever the bytes are; empty when it is out of range.
    pub(crate) fn bytes_at(&self, offset: u32) -> &[u8] {
        self.string_at(offset).unwrap_or(&[])
    }

    /// This blob's own string section.
    pub fn string_bytes(&self) -> &[u8] {
        self.raw.get(self.strings.0..self.strings.1).unwrap_or(&[])
    }

    /// One past the last string offset, counting the base.
    pub(crate) fn string_end(&self) -> u32 {
        let own = u32::try_from(self.strings.1 - self.strings.0).unwrap_or(u32::MAX);
        self.first_string.saturating_add(own)
    }

    /// The record of type `id` in `raw`, found in this blob or its base.
    pub(crate) fn record(&self, id: TypeId) -> Option<&[u8]> {
        match id.0.checked_sub(self.first_id) {
            Some(own) => {
                let offset = *self.offsets.get(usize::try_from(own).ok()?)? as usize;
                self.raw.get(offset..)
            }
            None => self.base.as_ref()?.record(id),
        }
    }

    pub(crate) fn names(&self) -> &NameIndex {
        self.names.get_or_init(|| NameIndex::build(self))
    }

    fn check_strings(&self) -> Result<(), BtfError> {
        let strings = self.string_bytes();
        let at = |problem| BtfError::new(self.strings.0, problem);
        match (strings.first(), strings.last()) {
            // A split blob need not repeat the empty string.
            (None, None) if self.base.is_some() => {}
            (Some(first), Some(0)) if *first == 0 || self.base.is_some() => {}
            _ => return Err(at(Problem::Strings)),
        }
        Ok(())
    }

    /// Checks that every name and every type id that a record mentions exists.
    fn check_references(&self) -> Result<(), BtfError> {
        let count = self.type_count();
        let end = self.string_end();
        for ty in self.types() {
            let at = self.offsets.get((ty.id().0 - self.first_id) as usize);
            let at = at.map_or(0, |offset| *offset as usize);
            ty.each_name(|word, name| {
                if name < end {
                    return Ok(());
                }
                Err(BtfError::new(at + 4 * word, Problem::Name(name)))
            })?;
            ty.each_reference(|word, target| {
                if target < count {
                    return Ok(());
                }
                let problem = Problem::Reference {
                    id: ty.id().0,
                    target,
                };
                Err(BtfError::new(at + 4 * word, problem))
            })?;
        }
        Ok(())
    }
}

/// The header's facts: where types and strings lie, as absolute byte ranges.
struct Header {
    types: (usize, usize),
    strings: (usize, usize),
}

impl Header {
    fn parse(raw: &[u8]) -> Result<Header, BtfError> {
        let truncated = || {
            let problem = Problem::Truncated {
                what: "header",
                need: HEADER_LEN,
                have: raw.len(),
            };
            BtfError::new(0, problem)
        };
        let hdr_len = check_preamble(raw, HEADER_LEN)?;
        let types = section(raw, hdr_len, "type", 8).ok_or_else(truncated)??;
        let strings = section(raw, hdr_len, "string", 16).ok_or_else(truncated)??;
        if (types.0 - hdr_len) % 4 != 0 {
            let problem = Problem::Section {
                what: "type",
                offset: word(raw, 2),
                len: word(raw, 3),
                have: raw.len() - hdr_len,
            };
            return Err(BtfError::new(8, problem));
        }
        Ok(Header { types, strings })
    }
}

/// Checks magic, version, flags and length of a `.BTF` or `.BTF.ext` header; returns its length.
pub(crate) fn check_preamble(raw: &[u8], least: usize) -> Result<usize, BtfError> {
    let (Some(magic), Some(&version), Some(&flags), Some(hdr_len)) =
        (u16_at(raw, 0), raw.get(2), raw.get(3), u32_at(raw, 4))
    else {
        let problem = Problem::Truncated {
            what: "header",
            need: least,
            have: raw.len(),
        };
        return Err(BtfError::new(0, problem));
    };
    let problem = match (magic, version, flags) {
        (m, _, _) if m == MAGIC.swap_bytes() => Some((0, Problem::BigEndian)),
        (m, _, _) if m != MAGIC => Some((0, Problem::Magic(m))),
        (_, v, _) if v != 1 => Some((2, Problem::Version(v))),
        (_, _, f) if f != 0 => Some((3, Problem::Flags(f))),
        _ => None,
    };
    if let Some((offset, problem)) = problem {
        return Err(BtfError::new(offset, problem));
    }
    let len = hdr_len as usize;
    if len < least {
        return Err(BtfError::new(4, Problem::HeaderLength(hdr_len)));
    }
    if raw.len() < len {
        let problem = Problem::Truncated {
            what: "header",
            need: len,
            have: raw.len(),
        };
        return Err(BtfError::new(0, problem));
    }
    Ok(len)
}

/// Reads an (offset, length) pair of the header and turns it into a checked byte range.
pub(crate) fn section(
    raw: &[u8],
    hdr_len: usize,
    what: &'static str,
    at: usize,
) -> Option<Result<(usize, usize), BtfError>> {
    let (offset, len) = (u32_at(raw, at)?, u32_at(raw, at + 4)?);
    let have = raw.len().checked_sub(hdr_len)?;
    let range = (offset as usize)
        .checked_add(len as usize)
        .filter(|end| *end <= have)
        .map(|end| (hdr_len + offset as usize, hdr_len + end));
    Some(range.ok_or_else(|| {
        BtfError::new(
            at,
            Problem::Section {
                what,
                offset,
                len,
                have,
            },
        )
    }))
}

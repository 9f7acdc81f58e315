//! `.BTF.ext`: which instruction belongs to which function, source line and CO-RE relocation.
//!
//! ```text
//!  header (24 or 32 bytes): magic, version, flags, hdr_len,
//!                           func_info off+len, line_info off+len [, core_relo off+len]
//!  each part: u32 record size, then per section: u32 name, u32 count, count records
//! ```

use crate::blob::{MAGIC, check_preamble, section};
use crate::error::{BtfError, Problem};
use crate::kind::TypeId;
use crate::words::{u32_at, word};

/// The records of one ELF section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SectionRecords<T> {
    /// The offset of the section's name among the strings of `.BTF`.
    pub section_name: u32,
    /// The records, in the order found.
    pub records: Vec<T>,
}

/// A function begins here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FuncInfo {
    /// Bytes from the start of the section.
    pub insn_off: u32,
    /// The `FUNC` type.
    pub type_id: TypeId,
}

/// A source line begins here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LineInfo {
    /// Bytes from the start of the section.
    pub insn_off: u32,
    /// String offset of the file's name.
    pub file_name: u32,
    /// String offset of the line's text.
    pub line_text: u32,
    /// Line (upper 22 bits) and column (lower 10).
    pub line_col: u32,
}

impl LineInfo {
    /// The line number, from 1.
    pub fn line(&self) -> u32 {
        self.line_col >> 10
    }

    /// The column, from 1.
    pub fn column(&self) -> u32 {
        self.line_col & 0x3ff
    }
}

/// An instruction to be fitted to the target's types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreRelo {
    /// Bytes from the start of the section.
    pub insn_off: u32,
    /// The local type the access starts from.
    pub type_id: TypeId,
    /// String offset of the access path (`0:1:2`), or of a number.
    pub access: u32,
    /// What is asked.
    pub kind: CoreKind,
}

/// `enum bpf_core_relo_kind`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // The names are those of the UAPI header.
pub enum CoreKind {
    FieldByteOffset,
    FieldByteSize,
    FieldExists,
    FieldSigned,
    FieldLshiftU64,
    FieldRshiftU64,
    TypeIdLocal,
    TypeIdTarget,
    TypeExists,
    TypeSize,
    EnumvalExists,
    EnumvalValue,
    TypeMatches,
    Unknown(u32),
}

impl CoreKind {
    /// The kind of a number.
    pub fn from_number(number: u32) -> CoreKind {
        const ALL: [CoreKind; 13] = [
            CoreKind::FieldByteOffset,
            CoreKind::FieldByteSize,
            CoreKind::FieldExists,
            CoreKind::FieldSigned,
            CoreKind::FieldLshiftU64,
            CoreKind::FieldRshiftU64,
            CoreKind::TypeIdLocal,
            CoreKind::TypeIdTarget,
            CoreKind::TypeExists,
            CoreKind::TypeSize,
            CoreKind::EnumvalExists,
            CoreKind::EnumvalValue,
            CoreKind::TypeMatches,
        ];
        ALL.get(number as usize)
            .copied()
            .unwrap_or(CoreKind::Unknown(number))
    }

    /// The number in the format.
    pub fn number(self) -> u32 {
        match self {
            CoreKind::Unknown(number) => number,
            known => (0..13)
                .find(|number| CoreKind::from_number(*number) == known)
                .unwrap_or(0),
        }
    }

    /// The word libbpf uses for it in messages.
    pub fn name(self) -> &'static str {
        match self {
            CoreKind::FieldByteOffset => "byte_off",
            CoreKind::FieldByteSize => "byte_sz",
            CoreKind::FieldExists => "field_exists",
            CoreKind::FieldSigned => "signed",
            CoreKind::FieldLshiftU64 => "lshift_u64",
            CoreKind::FieldRshiftU64 => "rshift_u64",
            CoreKind::TypeIdLocal => "local_type_id",
            CoreKind::TypeIdTarget => "target_type_id",
            CoreKind::TypeExists => "type_exists",
            CoreKind::TypeSize => "type_size",
            CoreKind::EnumvalExists => "enumval_exists",
            CoreKind::EnumvalValue => "enumval_value",
            CoreKind::TypeMatches => "type_matches",
            CoreKind::Unknown(_) => "unknown",
        }
    }
}

/// A parsed `.BTF.ext` section.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BtfExt {
    /// Functions by section.
    pub func_info: Vec<SectionRecords<FuncInfo>>,
    /// Source lines by section.
    pub line_info: Vec<SectionRecords<LineInfo>>,
    /// CO-RE relocations by section.
    pub core_relo: Vec<SectionRecords<CoreRelo>>,
}

impl BtfExt {
    /// Parses the section. Records longer than known are cut to what is known. Linear.
    ///
    /// # Errors
    /// [`BtfError`] names the byte and the problem.
    pub fn parse(raw: &[u8]) -> Result<BtfExt, BtfError> {
        let hdr_len = check_preamble(raw, 24)?;
        let func_info = part(raw, hdr_len, ("func_info", 8, 8), |r| FuncInfo {
            insn_off: word(r, 0),
            type_id: TypeId(word(r, 1)),
        })?;
        let line_info = part(raw, hdr_len, ("line_info", 16, 16), |r| LineInfo {
            insn_off: word(r, 0),
            file_name: word(r, 1),
            line_text: word(r, 2),
            line_col: word(r, 3),
        })?;
        let core_relo = if hdr_len < 32 {
            Vec::new()
        } else {
            part(raw, hdr_len, ("core_relo", 24, 16), |r| CoreRelo {
                insn_off: word(r, 0),
                type_id: TypeId(word(r, 1)),
                access: word(r, 2),
                kind: CoreKind::from_number(word(r, 3)),
            })?
        };
        Ok(BtfExt {
            func_info,
            line_info,
            core_relo,
        })
    }
}

impl BtfExt {
    /// The section, with records of the lengths that are known.
    pub fn to_bytes(&self) -> Vec<u8> {
        const HEADER: u32 = 32;
        let func = written(&self.func_info, 8, |r| vec![r.insn_off, r.type_id.0]);
        let line = written(&self.line_info, 16, |r| {
            vec![r.insn_off, r.file_name, r.line_text, r.line_col]
        });
        let core = written(&self.core_relo, 16, |r| {
            vec![r.insn_off, r.type_id.0, r.access, r.kind.number()]
        });
        let mut words = vec![u32::from(MAGIC) | 1 << 16, HEADER];
        let mut at = 0;
        for part in [&func, &line, &core] {
            let len = u32::try_from(part.len() * 4).unwrap_or(u32::MAX);
            words.extend([at, len]);
            at += len;
        }
        words.extend(func);
        words.extend(line);
        words.extend(core);
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

/// The words of one part; a part without sections is empty.
fn written<T>(
    sections: &[SectionRecords<T>],
    size: u32,
    words: impl Fn(&T) -> Vec<u32>,
) -> Vec<u32> {
    if sections.is_empty() {
        return Vec::new();
    }
    let mut out = vec![size];
    for section in sections {
        let count = u32::try_from(section.records.len()).unwrap_or(u32::MAX);
        out.extend([section.section_name, count]);
        out.extend(section.records.iter().flat_map(&words));
    }
    out
}

/// Reads one part: its name, where the header says it lies, the least size of a record.
fn part<T>(
    raw: &[u8],
    hdr_len: usize,
    (what, header_at, least): (&'static str, usize, usize),
    decode: impl Fn(&[u8]) -> T,
) -> Result<Vec<SectionRecords<T>>, BtfError> {
    let truncated =
        |at: usize, need, have| BtfError::new(at, Problem::Truncated { what, need, have });
    let (start, end) = section(raw, hdr_len, what, header_at)
        .ok_or_else(|| truncated(header_at, 8, raw.len().saturating_sub(header_at)))??;
    let mut sections = Vec::new();
    if start == end {
        return Ok(sections);
    }
    let bytes = raw.get(..end).unwrap_or(&[]);
    let size = u32_at(bytes, start).ok_or_else(|| truncated(start, 4, end - start))?;
    let record_len = size as usize;
    if record_len < least || !record_len.is_multiple_of(4) {
        return Err(BtfError::new(start, Problem::RecordSize { what, size }));
    }
    let mut at = start + 4;
    while at < end {
        let (Some(section_name), Some(count)) = (u32_at(bytes, at), u32_at(bytes, at + 4)) else {
            return Err(truncated(at, 8, end - at));
        };
        if count == 0 {
            return Err(BtfError::new(at + 4, Problem::NoRecords(what)));
        }
        at += 8;
        let need = (count as usize).saturating_mul(record_len);
        let Some(body) = at.checked_add(need).and_then(|stop| bytes.get(at..stop)) else {
            return Err(truncated(at, need, end - at));
        };
        let records = body.chunks_exact(record_len).map(&decode).collect();
        sections.push(SectionRecords {
            section_name,
            records,
        });
        at += need;
    }
    Ok(sections)
}

//! What can be wrong with a BTF blob, and where.

use thiserror::Error;

/// A malformed blob: what is wrong and at which byte of the input.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("BTF is malformed at byte {offset}: {problem}")]
pub struct BtfError {
    /// The offset of the offending bytes from the start of the blob.
    pub offset: usize,
    /// What is wrong there.
    pub problem: Problem,
}

impl BtfError {
    pub(crate) fn new(offset: usize, problem: Problem) -> BtfError {
        BtfError { offset, problem }
    }
}

/// The ways in which a blob can be malformed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The input ends inside a record.
    #[error("{what} needs {need} bytes, {have} are left")]
    Truncated {
        /// Which record.
        what: &'static str,
        /// Its size.
        need: usize,
        /// What the input still holds.
        have: usize,
    },
    /// The first two bytes are not the magic number.
    #[error("bad magic {0:#06x} (expected 0xeb9f)")]
    Magic(u16),
    /// The magic number is byte-swapped.
    #[error("big-endian BTF is not supported")]
    BigEndian,
    /// A version other than 1.
    #[error("unknown version {0}")]
    Version(u8),
    /// Header flags, of which none is defined.
    #[error("unknown header flags {0:#x}")]
    Flags(u8),
    /// A header shorter than the format's.
    #[error("header length {0} is too short")]
    HeaderLength(u32),
    /// A longer header with something in the part that is not known here.
    #[error("unknown non-zero bytes in the header")]
    HeaderTail,
    /// A section lies outside the blob, or is misaligned.
    #[error(
        "{what} section at {offset}+{len} does not fit or is misaligned (blob has {have} bytes of sections)"
    )]
    Section {
        /// Which section.
        what: &'static str,
        /// Its offset after the header.
        offset: u32,
        /// Its length.
        len: u32,
        /// Bytes after the header.
        have: usize,
    },
    /// The string section does not begin or end with NUL, or is empty.
    #[error("the string section must begin and end with NUL")]
    Strings,
    /// A kind number that is not known.
    #[error("type {id} has unknown kind {kind}")]
    Kind {
        /// The type.
        id: u32,
        /// The number found.
        kind: u32,
    },
    /// Undefined bits of the `info` word are set.
    #[error("type {id} has undefined info bits set ({info:#010x})")]
    Info {
        /// The type.
        id: u32,
        /// The word found.
        info: u32,
    },
    /// A string offset outside the string section.
    #[error("string offset {0} is out of range")]
    Name(u32),
    /// A reference to a type that does not exist.
    #[error("type {id} refers to type {target}, which does not exist")]
    Reference {
        /// The referring type.
        id: u32,
        /// The id it names.
        target: u32,
    },
    /// More types than ids can name.
    #[error("more than {0} types")]
    TooManyTypes(u32),
    /// A record size of `.BTF.ext` that is too small or not a multiple of four.
    #[error("{what} records cannot be {size} bytes long")]
    RecordSize {
        /// Which records.
        what: &'static str,
        /// The size found.
        size: u32,
    },
    /// A section of `.BTF.ext` with no records.
    #[error("{0} lists a section with no records")]
    NoRecords(&'static str),
}

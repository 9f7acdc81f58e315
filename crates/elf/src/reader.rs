//! Bytes, words and strings out of the file, without panics.

use crate::error::{ElfError, Problem};

/// `len` bytes at `offset`, or an error that says what they were needed for.
pub(crate) fn bytes<'a>(
    data: &'a [u8],
    offset: u64,
    len: u64,
    what: &'static str,
) -> Result<&'a [u8], ElfError> {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let range = usize::try_from(len)
        .ok()
        .and_then(|len| Some(start..start.checked_add(len)?));
    range.and_then(|range| data.get(range)).ok_or_else(|| {
        let have = data.len().saturating_sub(start);
        ElfError::new(
            start,
            Problem::Truncated {
                what,
                need: len,
                have,
            },
        )
    })
}

/// The little-endian words of one record; a record shorter than a field reads as zero, so
/// callers size their records with [`bytes`] first.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a>(pub(crate) &'a [u8]);

impl Record<'_> {
    pub(crate) fn u8(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    pub(crate) fn u16(self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    pub(crate) fn u32(self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    pub(crate) fn u64(self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }

    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        let bytes = at
            .checked_add(N)
            .and_then(|end| self.0.get(at..end)?.try_into().ok());
        bytes.unwrap_or([0; N])
    }
}

/// The NUL-terminated string at `offset` of a string table; `at` is where the reference
/// to it lies in the file.
pub(crate) fn string<'a>(
    table: &'a [u8],
    offset: u32,
    at: usize,
    what: &'static str,
) -> Result<&'a str, ElfError> {
    let rest = usize::try_from(offset)
        .ok()
        .and_then(|offset| table.get(offset..));
    let text = rest.and_then(|rest| {
        let end = rest.iter().position(|byte| *byte == 0)?;
        rest.get(..end)
    });
    let text = text.ok_or_else(|| ElfError::new(at, Problem::Name { what, offset }))?;
    core::str::from_utf8(text).map_err(|_| ElfError::new(at, Problem::Encoding { what }))
}

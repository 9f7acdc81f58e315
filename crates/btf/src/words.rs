//! Little-endian words out of byte slices, without panics.

/// The 32-bit word at `offset`.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let end = offset.checked_add(4)?;
    Some(u32::from_le_bytes(bytes.get(offset..end)?.try_into().ok()?))
}

/// The 16-bit word at `offset`.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    let end = offset.checked_add(2)?;
    Some(u16::from_le_bytes(bytes.get(offset..end)?.try_into().ok()?))
}

/// Word number `index` of a record, 0 when it is not there.
pub(crate) fn word(bytes: &[u8], index: usize) -> u32 {
    index
        .checked_mul(4)
        .and_then(|offset| u32_at(bytes, offset))
        .unwrap_or(0)
}

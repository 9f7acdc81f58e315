//! Which names an object may have.

use skep_abi::{Errno, Name};

/// Reads the name field of an attribute.
///
/// # Errors
/// `EINVAL` for a byte that is no letter, digit, `_` or `.`, and for a name without NUL. Letters
/// are those of Latin-1, as everywhere in Linux.
pub(crate) fn object_name(field: Name) -> Result<String, Errno> {
    let end = field.iter().position(|b| *b == 0).ok_or(Errno::EINVAL)?;
    let name = field.get(..end).unwrap_or_default();
    let fits = |b: &u8| is_letter(*b) || b.is_ascii_digit() || matches!(b, b'_' | b'.');
    if !name.iter().all(fits) {
        return Err(Errno::EINVAL);
    }
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// Whether a byte is a letter in Latin-1.
fn is_letter(byte: u8) -> bool {
    // The signs of multiplication and division lie among the letters.
    byte.is_ascii_alphabetic() || byte >= 0xc0 && !matches!(byte, 0xd7 | 0xf7)
}

//! Which names an object may have.

use skep_abi::{Errno, Name};

/// Reads the name field of an attribute.
///
/// # Errors
/// `EINVAL` for a byte that is no letter, digit, `_` or `.`, and for a name without NUL.
pub(crate) fn object_name(field: Name) -> Result<String, Errno> {
    let end = field.iter().position(|b| *b == 0).ok_or(Errno::EINVAL)?;
    let name = field.get(..end).unwrap_or_default();
    let fits = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'.';
    if !name.iter().all(fits) {
        return Err(Errno::EINVAL);
    }
    Ok(String::from_utf8_lossy(name).into_owned())
}

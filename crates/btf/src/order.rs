//! Types in the other byte order, as compilers for the other kind of machine write them.

use crate::blob::MAGIC;
use crate::words::{u16_at, u32_at};

/// Turns a `.BTF` or `.BTF.ext` blob into the same in the other byte order; `None` when it is
/// neither, or ends within its header. What lies outside of its parts stays as it is. Turning it
/// twice gives the blob again.
///
/// All there is in both but the four bytes at the beginning and the strings are words of 32 bits.
#[must_use]
pub fn reversed(blob: &[u8], is_ext: bool) -> Option<Vec<u8>> {
    let foreign = match u16_at(blob, 0)? {
        MAGIC => false,
        magic if magic == MAGIC.swap_bytes() => true,
        _ => return None,
    };
    let word = |at: usize| {
        let word = u32_at(blob, at)?;
        Some(if foreign { word.swap_bytes() } else { word } as usize)
    };
    let header = word(4)?;
    let mut out = blob.to_vec();
    out.get_mut(..2)?.reverse();
    let types = match is_ext {
        true => header..blob.len(),
        false => {
            let start = header.checked_add(word(8)?)?;
            start..start.checked_add(word(12)?)?
        }
    };
    turn_words(out.get_mut(4..header)?);
    if types.start >= header {
        turn_words(out.get_mut(types)?);
    }
    Some(out)
}

fn turn_words(bytes: &mut [u8]) {
    for word in bytes.chunks_exact_mut(4) {
        word.reverse();
    }
}

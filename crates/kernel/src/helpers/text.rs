//! Helpers on strings: numbers out of text, comparison, formatting into a buffer.

use skep_abi::Errno;
use skep_catalog::helper_id as id;

use super::{Call, Done, Rows, err, format, ok};

pub(super) const ROWS: Rows = &[
    (id::STRTOL, |c| number(c, true)),
    (id::STRTOUL, |c| number(c, false)),
    (id::STRNCMP, strncmp),
    (id::SNPRINTF, snprintf),
];

/// The bits of the flags that hold the base.
const BASE: u64 = 0x1f;
/// The most bytes of a number's text that are looked at.
const DIGITS_MAX: usize = 64;

/// What a text begins with: its value without sign, whether it was negative, and the bytes
/// it took.
fn parse(text: &[u8], flags: u64) -> Result<(u64, bool, usize), Errno> {
    let base = flags & BASE;
    if text.is_empty() || flags & !BASE != 0 || !matches!(base, 0 | 8 | 10 | 16) {
        return Err(Errno::EINVAL);
    }
    let space = |b: &&u8| matches!(**b, b' ' | 0x09..=0x0d | 0xa0);
    let mut at = text.iter().take_while(space).count();
    let negative = text.get(at) == Some(&b'-');
    at += usize::from(negative);
    let rest = text.get(at..).unwrap_or_default();
    let rest = rest
        .get(..rest.len().min(DIGITS_MAX - 1))
        .unwrap_or_default();
    if rest.is_empty() {
        return Err(Errno::EINVAL);
    }
    let hex_prefix = matches!(rest, [b'0', b'x' | b'X', d, ..] if d.is_ascii_hexdigit());
    let (base, skip) = match (base, rest) {
        (0, _) if hex_prefix => (16, 2),
        (0, [b'0', ..]) => (8, 0),
        (0, _) => (10, 0),
        (16, [b'0', b'x' | b'X', ..]) => (16, 2),
        (base, _) => (base, 0),
    };
    let mut value = 0u64;
    let mut digits = 0;
    for byte in rest.get(skip..).unwrap_or_default() {
        let Some(digit) = char::from(*byte).to_digit(base as u32) else {
            break;
        };
        let next = value
            .checked_mul(base)
            .and_then(|v| v.checked_add(u64::from(digit)));
        value = next.ok_or(Errno::ERANGE)?;
        digits += 1;
    }
    if digits == 0 {
        return Err(Errno::EINVAL);
    }
    Ok((value, negative, at + skip + digits))
}

fn number(c: &mut Call<'_, '_, '_>, signed: bool) -> Done {
    c.zero(c.arg(3), 8)?;
    let text = c.read(c.arg(0), c.arg(1))?;
    let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
    let parsed = parse(text.get(..end).unwrap_or_default(), c.arg(2));
    let (value, negative, used) = match parsed {
        Ok(parsed) => parsed,
        Err(errno) => return err(errno),
    };
    let value = match (signed, negative) {
        (false, true) => return err(Errno::EINVAL),
        (false, false) => value,
        (true, true) if value <= 1 << 63 => value.wrapping_neg(),
        (true, false) if value < 1 << 63 => value,
        _ => return err(Errno::ERANGE),
    };
    c.write(c.arg(3), &value.to_ne_bytes())?;
    ok(used as u64)
}

fn strncmp(c: &mut Call<'_, '_, '_>) -> Done {
    let len = u64::from(c.arg32(1));
    for i in 0..len {
        let a = c.read(c.arg(0).wrapping_add(i), 1)?;
        let b = c.read(c.arg(2).wrapping_add(i), 1)?;
        if a != b {
            return ok(if a < b { u64::MAX } else { 1 });
        }
        if a == [0] {
            break;
        }
    }
    ok(0)
}

fn snprintf(c: &mut Call<'_, '_, '_>) -> Done {
    let (to, room, data_len) = (c.arg(0), u64::from(c.arg32(1)), c.arg(4) as u32);
    if !data_len.is_multiple_of(8) || data_len / 8 > 12 || (data_len != 0 && c.arg(3) == 0) {
        return err(Errno::EINVAL);
    }
    let template = c.read_text(c.arg(2), 4096)?;
    let raw = c.read(c.arg(3), u64::from(data_len))?;
    let args: Vec<u64> = raw
        .as_chunks::<8>()
        .0
        .iter()
        .map(|b| u64::from_ne_bytes(*b))
        .collect();
    let text = match format::format(c, &template, &args)? {
        Ok(text) => text,
        Err(errno) => return err(errno),
    };
    if room > 0 {
        let kept = text.len().min(room as usize - 1);
        let mut out = text.get(..kept).unwrap_or_default().to_vec();
        out.push(0);
        c.write(to, &out)?;
    }
    ok(text.len() as u64 + 1)
}

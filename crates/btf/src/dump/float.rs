//! Floating point numbers of sixteen bytes as `printf` writes them with `%Lf`.

/// Digits in a part of a large number.
const PART: u64 = 1_000_000_000;

/// A number of the x87's format: 64 bits of mantissa, 15 of exponent, a sign.
pub(super) fn extended(number: u128) -> String {
    let mantissa = number as u64;
    let exponent = (number >> 64) as i32 & 0x7fff;
    let sign = if number >> 79 & 1 != 0 { "-" } else { "" };
    match (exponent, mantissa >> 63) {
        (0x7fff, 1) if mantissa << 1 == 0 => format!("{sign}inf"),
        // With an exponent, the highest bit of the mantissa is set in all numbers that there are.
        (0x7fff, _) | (1.., 0) => format!("{sign}nan"),
        _ => {
            let power = exponent.max(1) - 16383 - 63;
            let shift = power.unsigned_abs();
            match power < 0 {
                true => format!("{sign}{}", fraction(mantissa, shift)),
                false => format!("{sign}{}.000000", shifted(mantissa, shift)),
            }
        }
    }
}

/// `mantissa / 2^shift`, to six digits, halves to the even one.
fn fraction(mantissa: u64, shift: u32) -> String {
    let scaled = u128::from(mantissa) * 1_000_000;
    let whole = scaled.checked_shr(shift).unwrap_or(0);
    let rest = scaled - whole.checked_shl(shift).unwrap_or(0);
    let half = 1u128.checked_shl(shift - 1).unwrap_or(u128::MAX);
    let up = rest > half || (rest == half && whole & 1 == 1);
    let whole = whole + u128::from(up);
    format!("{}.{:06}", whole / 1_000_000, whole % 1_000_000)
}

/// `mantissa * 2^shift`.
fn shifted(mantissa: u64, mut shift: u32) -> String {
    // The lowest part first.
    let mut parts = vec![
        mantissa % PART,
        mantissa / PART % PART,
        mantissa / PART / PART,
    ];
    while shift > 0 {
        let step = shift.min(29);
        let mut carry = 0;
        for part in &mut parts {
            let product = (*part << step) + carry;
            *part = product % PART;
            carry = product / PART;
        }
        if carry > 0 {
            parts.push(carry);
        }
        shift -= step;
    }
    while parts.last() == Some(&0) && parts.len() > 1 {
        parts.pop();
    }
    let mut digits = parts.iter().rev();
    let first = digits.next().copied().unwrap_or(0);
    digits.fold(first.to_string(), |text, part| format!("{text}{part:09}"))
}

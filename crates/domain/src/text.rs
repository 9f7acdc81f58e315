//! How the verifier's log writes a scalar.

use std::fmt::{Result, Write};

use crate::{Scalar, Tnum};

/// A signed number as the log writes it: decimal when it fits 16 bits, else hexadecimal.
///
/// # Errors
/// Those of `out`.
pub fn format_signed(value: i64, out: &mut impl Write) -> Result {
    match i16::try_from(value) {
        Ok(small) => write!(out, "{small}"),
        Err(_) => write!(out, "{value:#x}"),
    }
}

/// The value under which a signed bound of the low half is grouped and printed: as a signed
/// number when that is short, else as its 32 bits.
fn signed_half(value: i32) -> i64 {
    match i16::try_from(value) {
        Ok(small) => small.into(),
        Err(_) => value.cast_unsigned().into(),
    }
}

/// An unsigned number as the log writes it: decimal when it fits 16 bits, else hexadecimal.
///
/// # Errors
/// Those of `out`.
pub fn format_unsigned(value: u64, out: &mut impl Write) -> Result {
    match u16::try_from(value) {
        Ok(small) => write!(out, "{small}"),
        Err(_) => write!(out, "{value:#x}"),
    }
}

/// A known number, as in `R0=5`; `None` when the scalar is not one number.
///
/// # Errors
/// Those of `out`.
pub fn format_const(scalar: &Scalar, out: &mut impl Write) -> Option<Result> {
    scalar
        .const_value()
        .map(|value| format_signed(value.cast_signed(), out))
}

/// The bounds and bits, as in `smin=0,smax=umax=15,var_off=(0x0; 0xf)`: no leading comma,
/// equal numbers joined by `=`, and nothing said of what is unbounded.
///
/// # Errors
/// Those of `out`.
pub fn format_bounds(scalar: &Scalar, out: &mut impl Write) -> Result {
    let s = scalar;
    let mut parts = [
        ("smin", s.smin, s.smin == i64::MIN),
        ("smax", s.smax, s.smax == i64::MAX),
        ("umin", s.umin.cast_signed(), s.umin == 0),
        ("umax", s.umax.cast_signed(), s.umax == u64::MAX),
        ("smin32", signed_half(s.s32_min), s.s32_min == i32::MIN),
        ("smax32", signed_half(s.s32_max), s.s32_max == i32::MAX),
        ("umin32", i64::from(s.u32_min), s.u32_min == 0),
        ("umax32", i64::from(s.u32_max), s.u32_max == u32::MAX),
    ];
    let mut separator = "";
    let mut rest = parts.as_mut_slice();
    while let Some(((name, value, said), later)) = rest.split_first_mut() {
        if !*said {
            write!(out, "{separator}{name}=")?;
            separator = ",";
            // A minimum is grouped with minimums only, a maximum with maximums.
            for (other, same, said) in later.iter_mut().skip(1).step_by(2) {
                // A negative number is not the unsigned one of the same bits.
                let negative = |name: &str| name.starts_with('s') && *value < 0;
                if !*said && same == value && negative(name) == negative(other) {
                    *said = true;
                    write!(out, "{other}=")?;
                }
            }
            if name.starts_with('s') {
                format_signed(*value, out)?;
            } else {
                format_unsigned(value.cast_unsigned(), out)?;
            }
        }
        rest = later;
    }
    if s.var_off != Tnum::UNKNOWN {
        write!(
            out,
            "{separator}var_off=({:#x}; {:#x})",
            s.var_off.value, s.var_off.mask
        )?;
    }
    Ok(())
}

/// The line that reports contradictory bounds after `context` (such as `true_reg1`), without
/// its newline.
///
/// # Errors
/// Those of `out`.
pub fn format_violation(scalar: &Scalar, why: &str, context: &str, out: &mut impl Write) -> Result {
    let s = scalar;
    write!(
        out,
        "REG INVARIANTS VIOLATION ({context}): {why} u64=[{:#x}, {:#x}] s64=[{:#x}, {:#x}] \
         u32=[{:#x}, {:#x}] s32=[{:#x}, {:#x}] var_off=({:#x}, {:#x})",
        s.umin,
        s.umax,
        s.smin,
        s.smax,
        s.u32_min,
        s.u32_max,
        s.s32_min,
        s.s32_max,
        s.var_off.value,
        s.var_off.mask
    )
}

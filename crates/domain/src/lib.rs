//! The abstract numbers of the verifier: tristate numbers and ranges.
#![forbid(unsafe_code)]

/// A tristate number: bits set in `mask` are unknown, the others are as in `value`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tnum {
    /// The known bits.
    pub value: u64,
    /// The unknown bits.
    pub mask: u64,
}

/// Everything known of one 64-bit scalar: the eight bounds and the tristate number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scalar {
    /// Known and unknown bits.
    pub var_off: Tnum,
    /// Signed 64-bit minimum.
    pub smin: i64,
    /// Signed 64-bit maximum.
    pub smax: i64,
    /// Unsigned 64-bit minimum.
    pub umin: u64,
    /// Unsigned 64-bit maximum.
    pub umax: u64,
    /// Signed minimum of the low half.
    pub s32_min: i32,
    /// Signed maximum of the low half.
    pub s32_max: i32,
    /// Unsigned minimum of the low half.
    pub u32_min: u32,
    /// Unsigned maximum of the low half.
    pub u32_max: u32,
}

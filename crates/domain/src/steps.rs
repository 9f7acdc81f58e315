//! The steps that a proof of the products takes one by one; nobody else needs them.

use crate::bounds::Bounds;
use crate::tnum::TnumOf;
use crate::word::Word;

/// One round of [`TnumOf::mul`]: factor, summand and sum before and after it.
#[must_use]
pub fn tnum_mul_step<W: Word>(
    factor: TnumOf<W>,
    summand: TnumOf<W>,
    sum: TnumOf<W>,
) -> (TnumOf<W>, TnumOf<W>, TnumOf<W>) {
    TnumOf::mul_step(factor, summand, sum)
}

/// The bounds of a product.
#[must_use]
pub fn bounds_mul<W: Word>(a: &Bounds<W>, b: &Bounds<W>) -> Bounds<W> {
    crate::alu::mul(a, b)
}

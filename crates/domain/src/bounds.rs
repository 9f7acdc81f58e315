//! The four bounds of one width, and how the unsigned and the signed pair inform each other.

use crate::tnum::TnumOf;
use crate::word::{SignedWord, Word};

/// Signed and unsigned bounds of one word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Bounds<W: Word> {
    /// Unsigned minimum.
    pub umin: W,
    /// Unsigned maximum.
    pub umax: W,
    /// Signed minimum.
    pub smin: W::Signed,
    /// Signed maximum.
    pub smax: W::Signed,
}

impl<W: Word> Bounds<W> {
    /// No bound at all.
    #[inline]
    #[must_use]
    pub fn unbounded() -> Self {
        Self {
            umin: W::ZERO,
            umax: W::MAX,
            smin: W::Signed::MIN,
            smax: W::Signed::MAX,
        }
    }

    /// Exactly `value`.
    #[inline]
    #[must_use]
    pub fn constant(value: W) -> Self {
        Self {
            umin: value,
            umax: value,
            smin: value.signed(),
            smax: value.signed(),
        }
    }

    /// Unsigned bounds, the signed ones following where the sign is the same at both ends.
    #[inline]
    #[must_use]
    pub fn from_unsigned(umin: W, umax: W) -> Self {
        let (smin, smax) = (umin.signed(), umax.signed());
        if smin <= smax {
            Self {
                umin,
                umax,
                smin,
                smax,
            }
        } else {
            Self {
                umin,
                umax,
                smin: W::Signed::MIN,
                smax: W::Signed::MAX,
            }
        }
    }

    /// Whether all bounds are the number that `bits` says; `bits` must be constant.
    #[inline]
    #[must_use]
    pub fn are_exactly(&self, value: W) -> bool {
        *self == Self::constant(value)
    }

    /// Whether a minimum lies above its maximum.
    #[inline]
    #[must_use]
    pub fn are_contradictory(&self) -> bool {
        self.umin > self.umax || self.smin > self.smax
    }

    /// Whether `number` satisfies all four.
    #[inline]
    #[must_use]
    pub fn contain(&self, number: W) -> bool {
        (self.umin..=self.umax).contains(&number)
            && (self.smin..=self.smax).contains(&number.signed())
    }

    /// Narrows the unsigned pair to what lies in `min..=max` too.
    #[inline]
    pub fn clamp_unsigned(&mut self, min: W, max: W) {
        self.umin = self.umin.max(min);
        self.umax = self.umax.min(max);
    }

    /// Narrows the signed pair to what lies in `min..=max` too.
    #[inline]
    pub fn clamp_signed(&mut self, min: W::Signed, max: W::Signed) {
        self.smin = self.smin.max(min);
        self.smax = self.smax.min(max);
    }

    /// Narrows to what the single bits allow.
    #[inline]
    pub fn clamp_to_bits(&mut self, bits: TnumOf<W>) {
        let sign = W::Signed::MIN.unsigned();
        self.clamp_unsigned(bits.min(), bits.max());
        self.clamp_signed(
            (bits.value | (bits.mask & sign)).signed(),
            (bits.value | (bits.mask & !sign)).signed(),
        );
    }

    /// The unsigned pair narrows the signed one where it does not span the change of sign,
    /// and the other way round where the signed pair does not span zero.
    ///
    /// A signed range across zero is two unsigned ranges, one at each end; where the unsigned
    /// pair touches only one of them, that one is the answer for both pairs.
    #[inline]
    #[must_use]
    pub fn unsigned_and_signed(mut self) -> Self {
        let (min, max) = (self.umin.signed(), self.umax.signed());
        if min <= max {
            self.clamp_signed(min, max);
        }
        let (min, max) = (self.smin.unsigned(), self.smax.unsigned());
        if min <= max {
            self.clamp_unsigned(min, max);
        } else if self.umax < min {
            self.smin = self.umin.signed();
            self.umax = self.umax.min(max);
        } else if max < self.umin {
            self.smax = self.umax.signed();
            self.umin = self.umin.max(min);
        }
        self
    }
}

//! Tristate numbers: what is known of each single bit.
//!
//! The algorithms of sum, difference and the bit operations are those of "Sound, Precise,
//! and Fast Abstract Interpretation with Tristate Numbers" (Vishwanathan, Shachnai,
//! Narayana, Nagarakatte; CGO 2022). The product adds one shifted summand per bit and
//! joins both possibilities where the bit is unknown.

use crate::word::{SignedWord, Wide, Word};

/// A tristate number: bits set in `mask` are unknown, the others are as in `value`.
///
/// A bit is never set in both: such a pair would stand for no number at all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TnumOf<W> {
    /// The known bits.
    pub value: W,
    /// The unknown bits.
    pub mask: W,
}

impl TnumOf<u64> {
    /// Nothing is known.
    pub const UNKNOWN: Self = TnumOf {
        value: 0,
        mask: u64::MAX,
    };

    /// The low `size` bytes, zeros above them; `size` of 8 and more changes nothing.
    #[inline]
    #[must_use]
    pub fn cast(self, size: u32) -> Self {
        self.cast_bits(size.saturating_mul(8))
    }

    /// Whether every number of it is a multiple of `size`, a power of two; zero asks nothing.
    #[inline]
    #[must_use]
    pub fn is_aligned(self, size: u64) -> bool {
        size == 0 || (self.value | self.mask) & (size - 1) == 0
    }
}

#[expect(
    clippy::should_implement_trait,
    reason = "an operator sign on a set of numbers would read as exact arithmetic"
)]
impl<W: Word> TnumOf<W> {
    /// Exactly `value`.
    #[inline]
    #[must_use]
    pub fn constant(value: W) -> Self {
        Self {
            value,
            mask: W::ZERO,
        }
    }

    /// Nothing is known.
    #[inline]
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            value: W::ZERO,
            mask: W::MAX,
        }
    }

    /// The bits `value` where known; a bit of `value` that is in `mask` is dropped.
    #[inline]
    fn known_outside(value: W, mask: W) -> Self {
        Self {
            value: value & !mask,
            mask,
        }
    }

    /// The least tnum that holds every number from `min` to `max`: their common prefix.
    #[inline]
    #[must_use]
    pub fn range(min: W, max: W) -> Self {
        let differing = min ^ max;
        Self::known_outside(min, differing.filled())
    }

    /// Whether it stands for one number.
    #[inline]
    #[must_use]
    pub fn is_const(self) -> bool {
        self.mask == W::ZERO
    }

    /// Whether it stands for `value` and nothing else.
    #[inline]
    #[must_use]
    pub fn equals_const(self, value: W) -> bool {
        self.is_const() && self.value == value
    }

    /// Whether nothing is known.
    #[inline]
    #[must_use]
    pub fn is_unknown(self) -> bool {
        self.mask == W::MAX
    }

    /// The lowest number of it.
    #[inline]
    #[must_use]
    pub fn min(self) -> W {
        self.value
    }

    /// The highest number of it.
    #[inline]
    #[must_use]
    pub fn max(self) -> W {
        self.value | self.mask
    }

    /// Whether `number` is one of its numbers.
    #[inline]
    #[must_use]
    pub fn contains(self, number: W) -> bool {
        number & !self.mask == self.value
    }

    /// The lowest of its numbers above `number`.
    #[inline]
    #[must_use]
    pub fn next_above(self, number: W) -> Option<W> {
        let wrong = (number ^ self.value) & !self.mask;
        // Below the highest known bit that `number` gets wrong, its own bits say nothing.
        let free = wrong.filled();
        let prefix = number & self.mask & !free;
        if wrong & (free ^ free.shr(1)) & self.value != W::ZERO {
            return Some(prefix | self.value);
        }
        let last = prefix | (self.mask & free);
        let next = (last | !self.mask).plus(W::ONE) & self.mask;
        (last != self.mask).then_some(next | self.value)
    }

    /// Whether every number of `other` is one of its own.
    #[inline]
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        other.mask & !self.mask == W::ZERO && self.contains(other.value)
    }

    /// Whether some number belongs to both.
    #[inline]
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        (self.value ^ other.value) & !self.mask & !other.mask == W::ZERO
    }

    /// What both know together; meaningful when they overlap.
    #[inline]
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self::known_outside(self.value | other.value, self.mask & other.mask)
    }

    /// The least tnum that holds the numbers of both.
    #[inline]
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        let mask = self.mask | other.mask | (self.value ^ other.value);
        Self::known_outside(self.value, mask)
    }

    /// The sum.
    #[inline]
    #[must_use]
    pub fn add(self, other: Self) -> Self {
        let least = self.value.plus(other.value);
        let most = least.plus(self.mask.plus(other.mask));
        Self::known_outside(least, (least ^ most) | self.mask | other.mask)
    }

    /// The difference.
    #[inline]
    #[must_use]
    pub fn sub(self, other: Self) -> Self {
        let difference = self.value.minus(other.value);
        let most = difference.plus(self.mask);
        let least = difference.minus(other.mask);
        Self::known_outside(difference, (least ^ most) | self.mask | other.mask)
    }

    /// Zero minus it.
    #[inline]
    #[must_use]
    pub fn neg(self) -> Self {
        Self::constant(W::ZERO).sub(self)
    }

    /// Bitwise and.
    #[inline]
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let ones = self.value & other.value;
        Self {
            value: ones,
            mask: self.max() & other.max() & !ones,
        }
    }

    /// Bitwise or.
    #[inline]
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let ones = self.value | other.value;
        Self {
            value: ones,
            mask: (self.mask | other.mask) & !ones,
        }
    }

    /// Bitwise exclusive or.
    #[inline]
    #[must_use]
    pub fn xor(self, other: Self) -> Self {
        Self::known_outside(self.value ^ other.value, self.mask | other.mask)
    }

    /// The product.
    #[inline]
    #[must_use]
    pub fn mul(self, other: Self) -> Self {
        let (mut factor, mut summand) = (self, other);
        let mut sum = Self::constant(W::ZERO);
        while factor.max() != W::ZERO {
            (factor, summand, sum) = Self::mul_step(factor, summand, sum);
        }
        sum
    }

    /// One bit of a product: `factor * summand + sum` stays what it is, and `factor` loses its
    /// lowest bit.
    #[inline]
    pub(crate) fn mul_step(factor: Self, summand: Self, sum: Self) -> (Self, Self, Self) {
        let sum = if factor.value & W::ONE != W::ZERO {
            sum.add(summand)
        } else if factor.mask & W::ONE != W::ZERO {
            sum.union(sum.add(summand))
        } else {
            sum
        };
        (factor.shr(1), summand.shl(1), sum)
    }

    /// Shifted left; `count` is below the width.
    #[inline]
    #[must_use]
    pub fn shl(self, count: u32) -> Self {
        Self {
            value: self.value.shl(count),
            mask: self.mask.shl(count),
        }
    }

    /// Shifted right, zeros coming in; `count` is below the width.
    #[inline]
    #[must_use]
    pub fn shr(self, count: u32) -> Self {
        Self {
            value: self.value.shr(count),
            mask: self.mask.shr(count),
        }
    }

    /// Shifted right, the sign (known or not) coming in; `count` is below the width.
    #[inline]
    #[must_use]
    pub fn arsh(self, count: u32) -> Self {
        Self {
            value: self.value.signed().sar(count).unsigned(),
            mask: self.mask.signed().sar(count).unsigned(),
        }
    }

    /// The low `bits` bits, zeros above them.
    #[inline]
    #[must_use]
    pub fn cast_bits(self, bits: u32) -> Self {
        let keep = W::low_mask(bits.min(W::BITS));
        Self {
            value: self.value & keep,
            mask: self.mask & keep,
        }
    }
}

impl<W: Wide> TnumOf<W> {
    /// The low half as a word of its own.
    #[inline]
    #[must_use]
    pub fn low(self) -> TnumOf<W::Half> {
        TnumOf {
            value: self.value.low(),
            mask: self.mask.low(),
        }
    }

    /// The half as a full word, zeros above it.
    #[inline]
    #[must_use]
    pub fn from_half(half: TnumOf<W::Half>) -> Self {
        Self {
            value: W::from_half(half.value),
            mask: W::from_half(half.mask),
        }
    }

    /// The low half, zeros above it.
    #[inline]
    #[must_use]
    pub fn subreg(self) -> Self {
        Self::from_half(self.low())
    }

    /// The high half, zeros below it.
    #[inline]
    #[must_use]
    pub fn clear_subreg(self) -> Self {
        self.with_low(TnumOf::constant(W::Half::ZERO))
    }

    /// The same with its low half replaced.
    #[inline]
    #[must_use]
    pub fn with_low(self, low: TnumOf<W::Half>) -> Self {
        Self {
            value: self.value.with_low(low.value),
            mask: self.mask.with_low(low.mask),
        }
    }

    /// The same with the low half of `other` in place of its own.
    #[inline]
    #[must_use]
    pub fn with_subreg(self, other: Self) -> Self {
        self.with_low(other.low())
    }

    /// The same with its low half known to be `low`.
    #[inline]
    #[must_use]
    pub fn const_subreg(self, low: W::Half) -> Self {
        self.with_low(TnumOf::constant(low))
    }

    /// Whether the low half is one number.
    #[inline]
    #[must_use]
    pub fn subreg_is_const(self) -> bool {
        self.low().is_const()
    }
}

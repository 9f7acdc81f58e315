//! What the abstract operations need of a machine word: modular arithmetic and its overflow.

use std::fmt::Debug;
use std::hash::Hash;
use std::ops::{BitAnd, BitOr, BitXor, Not};

use crate::bounds::Bounds;
use crate::scalar::ScalarOf;

/// An unsigned word of [`BITS`](Self::BITS) bits.
pub trait Word:
    Copy
    + Ord
    + Hash
    + Debug
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + Not<Output = Self>
{
    /// The same bits read as two's complement.
    type Signed: SignedWord<Unsigned = Self>;
    /// The width.
    const BITS: u32;
    /// All bits clear.
    const ZERO: Self;
    /// The number one.
    const ONE: Self;
    /// All bits set.
    const MAX: Self;
    /// The sum modulo the width, and whether it overflowed.
    fn add_carry(self, other: Self) -> (Self, bool);
    /// The difference modulo the width, and whether it underflowed.
    fn sub_borrow(self, other: Self) -> (Self, bool);
    /// The product, unless it overflows.
    fn mul_checked(self, other: Self) -> Option<Self>;
    /// Shifted left; `count` is below the width.
    fn shl(self, count: u32) -> Self;
    /// Shifted right, zeros coming in; `count` is below the width.
    fn shr(self, count: u32) -> Self;
    /// The number of zero bits above the highest set one.
    fn leading_zero_bits(self) -> u32;
    /// Read as two's complement.
    fn signed(self) -> Self::Signed;
    /// The word as a shift count, saturating.
    fn count(self) -> u32;
    /// Whether it is below `limit`.
    #[inline]
    fn is_below(self, limit: u32) -> bool {
        self.count() < limit
    }
    /// All bits up to the highest set one.
    #[inline]
    fn filled(self) -> Self {
        Self::low_mask(Self::BITS - self.leading_zero_bits())
    }
    /// Answers a question that makes several comparisons. A symbolic word, for which every
    /// comparison goes both ways, makes one decision of them here.
    #[inline]
    fn decided(question: impl Fn() -> bool) -> bool {
        question()
    }
    /// Computes bounds. A symbolic word joins the ways to them here.
    #[inline]
    fn bounds(compute: impl Fn() -> Bounds<Self>) -> Bounds<Self> {
        compute()
    }
    /// The lowest `bits` bits set; `bits` is at most the width.
    #[inline]
    fn low_mask(bits: u32) -> Self {
        if bits == 0 {
            Self::ZERO
        } else {
            Self::MAX.shr(Self::BITS - bits)
        }
    }
    /// The sum modulo the width.
    #[inline]
    fn plus(self, other: Self) -> Self {
        self.add_carry(other).0
    }
    /// The difference modulo the width.
    #[inline]
    fn minus(self, other: Self) -> Self {
        self.sub_borrow(other).0
    }
    /// Whether exactly one bit is set.
    #[inline]
    fn is_single_bit(self) -> bool {
        self != Self::ZERO && self & self.minus(Self::ONE) == Self::ZERO
    }
}

/// A word in two's complement.
pub trait SignedWord: Copy + Ord + Hash + Debug {
    /// The same bits read as unsigned.
    type Unsigned: Word<Signed = Self>;
    /// The lowest number.
    const MIN: Self;
    /// The highest number.
    const MAX: Self;
    /// The number zero.
    const ZERO: Self;
    /// The sum, unless it overflows.
    fn add_checked(self, other: Self) -> Option<Self>;
    /// The difference, unless it overflows.
    fn sub_checked(self, other: Self) -> Option<Self>;
    /// The product, unless it overflows.
    fn mul_checked(self, other: Self) -> Option<Self>;
    /// Shifted right, the sign coming in; `count` is below the width.
    fn sar(self, count: u32) -> Self;
    /// Read as unsigned.
    fn unsigned(self) -> Self::Unsigned;
}

/// A word with a low half that is tracked on its own, as Linux tracks the low 32 bits.
pub trait Wide: Word {
    /// The word of half the width.
    type Half: Word;
    /// The low half.
    fn low(self) -> Self::Half;
    /// The high half.
    fn high(self) -> Self::Half;
    /// The half, zeros above it.
    fn from_half(half: Self::Half) -> Self;
    /// The half, its sign above it.
    fn from_signed_half(half: <Self::Half as Word>::Signed) -> Self::Signed;
    /// Takes a step that must keep every number of the scalar. A symbolic word joins the ways
    /// through the step here, or proves of any scalar that the step keeps its promise.
    #[inline]
    fn narrowing(
        _name: &'static str,
        scalar: ScalarOf<Self>,
        step: impl Fn(ScalarOf<Self>) -> ScalarOf<Self>,
    ) -> ScalarOf<Self> {
        step(scalar)
    }
    /// The word with its low half replaced.
    #[inline]
    fn with_low(self, low: Self::Half) -> Self {
        (self & !Self::from_half(Self::Half::MAX)) | Self::from_half(low)
    }
}

/// A word whose bytes can change places.
pub trait Bytes: Wide {
    /// The bytes in reverse order.
    fn swap_bytes(self) -> Self;
}

macro_rules! word {
    ($unsigned:ty, $signed:ty) => {
        impl Word for $unsigned {
            type Signed = $signed;
            const BITS: u32 = <$unsigned>::BITS;
            const ZERO: Self = 0;
            const ONE: Self = 1;
            const MAX: Self = <$unsigned>::MAX;
            #[inline]
            fn add_carry(self, other: Self) -> (Self, bool) {
                self.overflowing_add(other)
            }
            #[inline]
            fn sub_borrow(self, other: Self) -> (Self, bool) {
                self.overflowing_sub(other)
            }
            #[inline]
            fn mul_checked(self, other: Self) -> Option<Self> {
                self.checked_mul(other)
            }
            #[inline]
            fn shl(self, count: u32) -> Self {
                self.wrapping_shl(count)
            }
            #[inline]
            fn shr(self, count: u32) -> Self {
                self.wrapping_shr(count)
            }
            #[inline]
            fn leading_zero_bits(self) -> u32 {
                self.leading_zeros()
            }
            #[inline]
            fn signed(self) -> $signed {
                self as $signed
            }
            #[inline]
            fn count(self) -> u32 {
                u32::try_from(self).unwrap_or(u32::MAX)
            }
        }

        impl SignedWord for $signed {
            type Unsigned = $unsigned;
            const MIN: Self = <$signed>::MIN;
            const MAX: Self = <$signed>::MAX;
            const ZERO: Self = 0;
            #[inline]
            fn add_checked(self, other: Self) -> Option<Self> {
                self.checked_add(other)
            }
            #[inline]
            fn sub_checked(self, other: Self) -> Option<Self> {
                self.checked_sub(other)
            }
            #[inline]
            fn mul_checked(self, other: Self) -> Option<Self> {
                self.checked_mul(other)
            }
            #[inline]
            fn sar(self, count: u32) -> Self {
                self.wrapping_shr(count)
            }
            #[inline]
            fn unsigned(self) -> $unsigned {
                self as $unsigned
            }
        }
    };
}

word!(u8, i8);
word!(u16, i16);
word!(u32, i32);
word!(u64, i64);

macro_rules! wide {
    ($word:ty, $signed:ty, $half:ty, $signed_half:ty) => {
        impl Wide for $word {
            type Half = $half;
            #[inline]
            fn low(self) -> $half {
                self as $half
            }
            #[inline]
            fn high(self) -> $half {
                (self >> <$half>::BITS) as $half
            }
            #[inline]
            fn from_half(half: $half) -> Self {
                half.into()
            }
            #[inline]
            fn from_signed_half(half: $signed_half) -> $signed {
                half.into()
            }
        }
    };
}

macro_rules! bytes {
    ($($word:ty),*) => {$(
        impl Bytes for $word {
            #[inline]
            fn swap_bytes(self) -> Self {
                self.swap_bytes()
            }
        }
    )*};
}

bytes!(u16, u64);

wide!(u64, i64, u32, i32);
wide!(u16, i16, u8, i8);

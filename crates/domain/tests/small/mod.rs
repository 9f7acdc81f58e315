//! Words of a few bits, so that all numbers of a scalar can be listed.

use std::ops::{BitAnd, BitOr, BitXor, Not};

use skep_domain::{SignedWord, Wide, Word};

/// An unsigned word of `N` bits, at most 8.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct U<const N: u32>(u8);

/// A word of `N` bits in two's complement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct I<const N: u32>(i8);

impl<const N: u32> U<N> {
    const MASK: u8 = u8::MAX >> (8 - N);

    /// The number, modulo the width.
    pub fn new(number: u32) -> Self {
        U(number as u8 & Self::MASK)
    }
}

impl<const N: u32> I<N> {
    fn checked(number: i32) -> Option<Self> {
        let half = 1 << (N - 1);
        (-half..half).contains(&number).then_some(I(number as i8))
    }
}

macro_rules! bitwise {
    ($($tr:ident $f:ident),*) => {$(
        impl<const N: u32> $tr for U<N> {
            type Output = Self;
            fn $f(self, other: Self) -> Self {
                U($tr::$f(self.0, other.0))
            }
        }
    )*};
}

bitwise!(BitAnd bitand, BitOr bitor, BitXor bitxor);

impl<const N: u32> Not for U<N> {
    type Output = Self;
    fn not(self) -> Self {
        U(!self.0 & Self::MASK)
    }
}

impl<const N: u32> Word for U<N> {
    type Signed = I<N>;
    const BITS: u32 = N;
    const ZERO: Self = U(0);
    const ONE: Self = U(1);
    const MAX: Self = U(Self::MASK);
    fn add_carry(self, other: Self) -> (Self, bool) {
        let sum = u32::from(self.0) + u32::from(other.0);
        (Self::new(sum), sum > u32::from(Self::MASK))
    }
    fn sub_borrow(self, other: Self) -> (Self, bool) {
        (
            U(self.0.wrapping_sub(other.0) & Self::MASK),
            self.0 < other.0,
        )
    }
    fn mul_checked(self, other: Self) -> Option<Self> {
        let product = u32::from(self.0) * u32::from(other.0);
        (product <= u32::from(Self::MASK)).then_some(U(product as u8))
    }
    fn shl(self, count: u32) -> Self {
        assert!(count < N);
        Self::new(u32::from(self.0) << count)
    }
    fn shr(self, count: u32) -> Self {
        assert!(count < N);
        U(self.0 >> count)
    }
    fn leading_zero_bits(self) -> u32 {
        self.0.leading_zeros() - (8 - N)
    }
    fn signed(self) -> I<N> {
        I(((self.0 << (8 - N)) as i8) >> (8 - N))
    }
    fn count(self) -> u32 {
        self.0.into()
    }
}

impl<const N: u32> SignedWord for I<N> {
    type Unsigned = U<N>;
    const MIN: Self = I(-(1i8 << (N - 2)) * 2);
    const MAX: Self = I((U::<N>::MASK >> 1) as i8);
    const ZERO: Self = I(0);
    fn add_checked(self, other: Self) -> Option<Self> {
        Self::checked(i32::from(self.0) + i32::from(other.0))
    }
    fn sub_checked(self, other: Self) -> Option<Self> {
        Self::checked(i32::from(self.0) - i32::from(other.0))
    }
    fn mul_checked(self, other: Self) -> Option<Self> {
        Self::checked(i32::from(self.0) * i32::from(other.0))
    }
    fn sar(self, count: u32) -> Self {
        assert!(count < N);
        I(self.0 >> count)
    }
    fn unsigned(self) -> U<N> {
        U(self.0 as u8 & U::<N>::MASK)
    }
}

macro_rules! wide {
    ($whole:literal, $half:literal) => {
        impl Wide for U<$whole> {
            type Half = U<$half>;
            fn low(self) -> U<$half> {
                U::new(self.0.into())
            }
            fn high(self) -> U<$half> {
                U(self.0 >> $half)
            }
            fn from_half(half: U<$half>) -> Self {
                U(half.0)
            }
            fn from_signed_half(half: I<$half>) -> I<$whole> {
                I(half.0)
            }
        }
    };
}

wide!(4, 2);
wide!(6, 3);
wide!(8, 4);

/// What the machine computes; a shift count is taken modulo the width.
pub fn machine<W: Word>(op: skep_domain::Alu, a: W, b: W) -> Option<W> {
    use skep_domain::Alu;
    let count = b.count() % W::BITS;
    Some(match op {
        Alu::Add => a.plus(b),
        Alu::Sub => a.minus(b),
        Alu::Neg => W::ZERO.minus(a),
        Alu::Mul => {
            let mut product = W::ZERO;
            for bit in 0..W::BITS {
                if b.shr(bit) & W::ONE == W::ONE {
                    product = product.plus(a.shl(bit));
                }
            }
            product
        }
        Alu::And => a & b,
        Alu::Or => a | b,
        Alu::Xor => a ^ b,
        Alu::Lsh => a.shl(count),
        Alu::Rsh => a.shr(count),
        Alu::Arsh => a.signed().sar(count).unsigned(),
        Alu::Div | Alu::Mod => return None,
    })
}

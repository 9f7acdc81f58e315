//! The scalar: a tnum and eight bounds, and how they inform each other.

use crate::bounds::Bounds;
use crate::tnum::TnumOf;
use crate::word::{SignedWord, Wide, Word};

/// The signed word of half the width.
pub(crate) type SignedHalf<W> = <<W as Wide>::Half as Word>::Signed;

/// Everything known of one scalar: the eight bounds and the tristate number.
///
/// The fields named 32 bound the low half of the word. The structure may contradict itself
/// after a branch that cannot happen; [`violation`](Self::violation) tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ScalarOf<W: Wide> {
    /// Known and unknown bits.
    pub var_off: TnumOf<W>,
    /// Signed minimum.
    pub smin: W::Signed,
    /// Signed maximum.
    pub smax: W::Signed,
    /// Unsigned minimum.
    pub umin: W,
    /// Unsigned maximum.
    pub umax: W,
    /// Signed minimum of the low half.
    pub s32_min: SignedHalf<W>,
    /// Signed maximum of the low half.
    pub s32_max: SignedHalf<W>,
    /// Unsigned minimum of the low half.
    pub u32_min: W::Half,
    /// Unsigned maximum of the low half.
    pub u32_max: W::Half,
}

impl<W: Wide> ScalarOf<W> {
    /// Joins the three parts.
    #[inline]
    #[must_use]
    pub fn from_parts(var_off: TnumOf<W>, full: Bounds<W>, half: Bounds<W::Half>) -> Self {
        Self {
            var_off,
            smin: full.smin,
            smax: full.smax,
            umin: full.umin,
            umax: full.umax,
            s32_min: half.smin,
            s32_max: half.smax,
            u32_min: half.umin,
            u32_max: half.umax,
        }
    }

    /// Nothing is known.
    #[inline]
    #[must_use]
    pub fn unknown() -> Self {
        Self::from_parts(TnumOf::unknown(), Bounds::unbounded(), Bounds::unbounded())
    }

    /// Exactly `value`.
    #[inline]
    #[must_use]
    pub fn known(value: W) -> Self {
        Self::from_parts(
            TnumOf::constant(value),
            Bounds::constant(value),
            Bounds::constant(value.low()),
        )
    }

    /// An unknown low half, zeros above it.
    #[inline]
    #[must_use]
    pub fn unknown_subreg() -> Self {
        let mut scalar = Self::unknown();
        scalar.zext_32_to_64();
        scalar.sync();
        scalar
    }

    /// The bounds of the whole word.
    #[inline]
    #[must_use]
    pub fn full(&self) -> Bounds<W> {
        Bounds {
            umin: self.umin,
            umax: self.umax,
            smin: self.smin,
            smax: self.smax,
        }
    }

    /// The bounds of the low half.
    #[inline]
    #[must_use]
    pub fn half(&self) -> Bounds<W::Half> {
        Bounds {
            umin: self.u32_min,
            umax: self.u32_max,
            smin: self.s32_min,
            smax: self.s32_max,
        }
    }

    /// Replaces the bounds of the whole word.
    #[inline]
    pub fn set_full(&mut self, bounds: Bounds<W>) {
        *self = Self::from_parts(self.var_off, bounds, self.half());
    }

    /// Replaces the bounds of the low half.
    #[inline]
    pub fn set_half(&mut self, bounds: Bounds<W::Half>) {
        *self = Self::from_parts(self.var_off, self.full(), bounds);
    }

    /// Drops all bounds and keeps the tnum.
    #[inline]
    pub fn mark_unbounded(&mut self) {
        *self = Self::from_parts(self.var_off, Bounds::unbounded(), Bounds::unbounded());
    }

    /// Drops the bounds of the low half; pointers carry none.
    #[inline]
    pub fn mark_half_unbounded(&mut self) {
        self.set_half(Bounds::unbounded());
    }

    /// Whether the bits say that it is one number.
    #[inline]
    #[must_use]
    pub fn is_const(&self) -> bool {
        self.var_off.is_const()
    }

    /// The number, when the bits say that it is one.
    #[inline]
    #[must_use]
    pub fn const_value(&self) -> Option<W> {
        self.is_const().then_some(self.var_off.value)
    }

    /// Whether the low half is one number.
    #[inline]
    #[must_use]
    pub fn subreg_is_const(&self) -> bool {
        self.var_off.subreg_is_const()
    }

    /// The low half, when the bits say that it is one number.
    #[inline]
    #[must_use]
    pub fn subreg_const_value(&self) -> Option<W::Half> {
        self.subreg_is_const().then_some(self.var_off.value.low())
    }

    /// Whether nothing is known at all.
    #[inline]
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::unknown()
    }

    /// Whether the concrete number is one that this scalar allows.
    #[inline]
    #[must_use]
    pub fn contains(&self, number: W) -> bool {
        self.var_off.contains(number)
            && self.full().contain(number)
            && self.half().contain(number.low())
    }

    /// Whether every number of `other` lies within the bounds and bits of this one, part by
    /// part: the comparison by which states are found to be covered by older ones.
    #[inline]
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        self.umin <= other.umin
            && self.umax >= other.umax
            && self.smin <= other.smin
            && self.smax >= other.smax
            && self.u32_min <= other.u32_min
            && self.u32_max >= other.u32_max
            && self.s32_min <= other.s32_min
            && self.s32_max >= other.s32_max
            && self.var_off.includes(other.var_off)
    }

    /// Why the parts contradict each other, in Linux's words, or `None` when they agree.
    #[inline]
    #[must_use]
    pub fn violation(&self) -> Option<&'static str> {
        let (full, half) = (self.full(), self.half());
        if full.are_contradictory() || half.are_contradictory() {
            Some("range bounds violation")
        } else if self.is_const() && !full.are_exactly(self.var_off.value) {
            Some("const tnum out of sync with range bounds")
        } else if self.subreg_is_const() && !half.are_exactly(self.var_off.value.low()) {
            Some("const subreg tnum out of sync with range bounds")
        } else {
            None
        }
    }

    /// Spreads what each part knows to the others: bits to bounds, bounds to bounds, bounds
    /// to bits, bits to bounds again. Not a fixed point: exactly as far as Linux 6.18 goes.
    #[inline]
    pub fn sync(&mut self) {
        if W::decided(|| self.is_settled()) {
            return;
        }
        *self = W::narrowing("sync", *self, Self::synced);
    }

    /// Whether bits and bounds all say the same one number.
    #[inline]
    fn is_settled(&self) -> bool {
        self.is_const()
            && self.full().are_exactly(self.var_off.value)
            && self.half().are_exactly(self.var_off.value.low())
    }

    #[inline]
    fn synced(mut self) -> Self {
        self = self.with_bounds_from_bits();
        for _ in 0..3 {
            let before = self;
            self = W::narrowing("half from full", self, |s| {
                s.with_half(half_from_full(s.half(), &s.full()))
            });
            self = W::narrowing("pairs of the half", self, |s| {
                s.with_half(s.half().unsigned_and_signed())
            });
            self = W::narrowing("pairs of the whole", self, |s| {
                Self::from_parts(s.var_off, s.full().unsigned_and_signed(), s.half())
            });
            self = W::narrowing("full from half", self, |s| {
                let (mut bits, mut full) = (s.var_off, s.full());
                full_from_half(&mut bits, &mut full, &s.half());
                Self::from_parts(bits, full, s.half())
            });
            if W::decided(|| before == self) {
                break;
            }
        }
        self = W::narrowing("bits from bounds", self, |mut s| {
            let bits = s.var_off.intersect(TnumOf::range(s.umin, s.umax));
            let half = TnumOf::range(s.u32_min, s.u32_max);
            s.var_off = bits.with_low(bits.low().intersect(half));
            s
        });
        self.with_bounds_from_bits()
    }

    /// Bounds follow from bits; see [`bounds_from_bits`].
    #[inline]
    pub(crate) fn with_bounds_from_bits(self) -> Self {
        W::narrowing("bounds from bits", self, |s| {
            let (mut bits, mut full, mut half) = (s.var_off, s.full(), s.half());
            bounds_from_bits(&mut bits, &mut full, &mut half);
            Self::from_parts(bits, full, half)
        })
    }

    #[inline]
    fn with_half(mut self, half: Bounds<W::Half>) -> Self {
        self.set_half(half);
        self
    }

    /// The low half becomes the whole word, zeros above it; bounds follow, unsynchronised.
    #[inline]
    pub fn zext_32_to_64(&mut self) {
        let half = self.half();
        let mut full = Bounds {
            umin: W::from_half(half.umin),
            umax: W::from_half(half.umax),
            smin: W::Signed::ZERO,
            smax: W::from_half(W::Half::MAX).signed(),
        };
        if half.smin >= SignedHalf::<W>::ZERO && half.smax >= SignedHalf::<W>::ZERO {
            full.smin = W::from_signed_half(half.smin);
            full.smax = W::from_signed_half(half.smax);
        }
        *self = Self::from_parts(self.var_off.subreg(), full, half);
    }
}

/// Bounds follow from bits; where only one number satisfies both, that number is all three.
#[inline]
fn bounds_from_bits<W: Wide>(
    bits: &mut TnumOf<W>,
    full: &mut Bounds<W>,
    half: &mut Bounds<W::Half>,
) {
    half.clamp_to_bits(bits.low());
    full.clamp_to_bits(*bits);
    if let Some(value) = only_number(*bits, full.umin, full.umax) {
        *bits = TnumOf::constant(value);
        *full = Bounds::constant(value);
        *half = Bounds::constant(value.low());
    }
}

/// The only number of `bits` from `min` to `max`, as far as Linux recognises it: of bits
/// whose last number lies outside the range that one is taken all the same, and a `min` that
/// is the last number is not noticed.
#[inline]
fn only_number<W: Word>(bits: TnumOf<W>, min: W, max: W) -> Option<W> {
    // Two neighbours at the start settle most cases.
    if min < max && bits.contains(min) && bits.contains(min.plus(W::ONE)) {
        return None;
    }
    let last = bits.max();
    let above = |number: W| bits.next_above(number).unwrap_or(last);
    let next = above(min);
    if bits.contains(min) {
        (next > max).then_some(min)
    } else if next == last {
        Some(last)
    } else {
        (next <= max && above(next) > max).then_some(next)
    }
}

/// The low half follows from the whole word where the high half is one number, or two
/// neighbours between which the low half passes from negative to non-negative.
#[inline]
fn half_from_full<W: Wide>(mut half: Bounds<W::Half>, full: &Bounds<W>) -> Bounds<W::Half> {
    let signed = (full.smin.unsigned(), full.smax.unsigned());
    for (min, max) in [(full.umin, full.umax), signed] {
        let (low_min, low_max) = (min.low(), max.low());
        if min.high() == max.high() {
            if low_min <= low_max {
                half.clamp_unsigned(low_min, low_max);
            }
            if low_min.signed() <= low_max.signed() {
                half.clamp_signed(low_min.signed(), low_max.signed());
            }
        }
    }
    for (min, max) in [(full.umin, full.umax), signed] {
        let (low_min, low_max) = (min.low().signed(), max.low().signed());
        let zero = SignedHalf::<W>::ZERO;
        if min.high().plus(W::Half::ONE) == max.high() && low_min < zero && low_max >= zero {
            half.clamp_signed(low_min, low_max);
        }
    }
    half
}

/// The ends of the whole word are tightened to what their low halves may be.
#[inline]
fn full_from_half<W: Wide>(bits: &mut TnumOf<W>, full: &mut Bounds<W>, half: &Bounds<W::Half>) {
    full.clamp_unsigned(full.umin.with_low(half.umin), full.umax.with_low(half.umax));
    full.clamp_signed(
        full.smin.unsigned().with_low(half.umin).signed(),
        full.smax.unsigned().with_low(half.umax).signed(),
    );
    // A sign-extended half that is not negative is the half itself, whatever was known before.
    if half.smin >= SignedHalf::<W>::ZERO
        && full.smin >= W::from_signed_half(SignedHalf::<W>::MIN)
        && full.smax <= W::from_signed_half(SignedHalf::<W>::MAX)
    {
        let (min, max) = (
            W::from_signed_half(half.smin),
            W::from_signed_half(half.smax),
        );
        let (umin, umax) = (min.unsigned(), max.unsigned());
        *full = Bounds {
            umin,
            umax,
            smin: min,
            smax: max,
        };
        *bits = bits.intersect(TnumOf::range(umin, umax));
    }
}

//! Changes of width: truncation, zero and sign extension, byte swaps.

use crate::bounds::Bounds;
use crate::scalar::ScalarOf;
use crate::tnum::TnumOf;
use crate::word::{Bytes, SignedWord, Wide, Word};

impl<W: Wide> ScalarOf<W> {
    /// `w = w`: the low half, zeros above it.
    #[inline]
    pub fn mov32(&mut self) {
        self.zext_32_to_64();
        self.sync();
    }

    /// The low `bits` bits, zeros above them: what a load of that width leaves of it.
    #[inline]
    pub fn truncate_bits(&mut self, bits: u32) {
        if bits >= W::BITS {
            return;
        }
        let keep = W::low_mask(bits);
        let (umin, umax) = if self.umin & !keep == self.umax & !keep {
            (self.umin & keep, self.umax & keep)
        } else {
            (W::ZERO, keep)
        };
        let full = Bounds {
            umin,
            umax,
            smin: umin.signed(),
            smax: umax.signed(),
        };
        let half = if bits < W::Half::BITS {
            Bounds::unbounded()
        } else {
            self.half()
        };
        *self = Self::from_parts(self.var_off.cast_bits(bits), full, half);
        self.sync();
    }

    /// The low `bits` bits (no more than the half), their sign above them, as a 64-bit move does
    /// it.
    ///
    /// Precise when all its numbers agree above those bits and do not change sign.
    #[inline]
    pub fn sign_extend_bits(&mut self, bits: u32) {
        let extend = |word: W| word.shl(W::BITS - bits).signed().sar(W::BITS - bits);
        if let Some(value) = self.const_value() {
            *self = Self::known(extend(value).unsigned());
            return;
        }
        let same_above = bits >= W::BITS || self.smax.sar(bits) == self.smin.sar(bits);
        let (a, b) = (extend(self.smax.unsigned()), extend(self.smin.unsigned()));
        let (min, max) = (a.min(b), a.max(b));
        let zero = W::Signed::ZERO;
        if same_above && (min >= zero) == (max >= zero) {
            let (umin, umax) = (min.unsigned(), max.unsigned());
            *self = Self::from_parts(
                TnumOf::range(umin, umax),
                Bounds {
                    umin,
                    umax,
                    smin: min,
                    smax: max,
                },
                sub_bounds(umin.low(), umax.low()),
            );
            return;
        }
        let lowest = extend(W::ONE.shl(bits - 1)).unsigned();
        let full = Bounds {
            smin: lowest.signed(),
            smax: (!lowest).signed(),
            ..Bounds::unbounded()
        };
        let half = Bounds {
            smin: lowest.low().signed(),
            smax: (!lowest).low().signed(),
            ..Bounds::unbounded()
        };
        *self = Self::from_parts(TnumOf::unknown(), full, half);
    }

    /// The low `bits` bits, their sign above them within the low half, as a 32-bit move does
    /// it, before the zeros above the low half are made known.
    #[inline]
    fn sign_extend_half(&mut self, bits: u32) {
        let spare = W::Half::BITS - bits;
        let extend = |word: W::Half| word.shl(spare).signed().sar(spare);
        if let Some(value) = self.subreg_const_value() {
            let value = extend(value).unsigned();
            self.var_off = TnumOf::constant(W::from_half(value));
            self.set_half(Bounds::constant(value));
            return;
        }
        let half = self.half();
        let same_above = half.smax.sar(bits) == half.smin.sar(bits);
        let (a, b) = (extend(half.smax.unsigned()), extend(half.smin.unsigned()));
        let (min, max) = (a.min(b), a.max(b));
        let zero = <W::Half as Word>::Signed::ZERO;
        if same_above && (min >= zero) == (max >= zero) {
            let (umin, umax) = (min.unsigned(), max.unsigned());
            self.var_off = TnumOf::from_half(TnumOf::range(umin, umax));
            self.set_half(sub_bounds(umin, umax));
            return;
        }
        let lowest = extend(W::Half::ONE.shl(bits - 1)).unsigned();
        self.var_off = TnumOf::unknown().subreg();
        self.set_half(Bounds {
            smin: lowest.signed(),
            smax: (!lowest).signed(),
            ..Bounds::unbounded()
        });
    }

    /// `w = (sN)w`: the low `bits` bits, their sign up to bit 31, zeros above.
    #[inline]
    pub fn movsx32(&mut self, bits: u32) {
        self.sign_extend_half(bits);
        self.zext_32_to_64();
        self.sync();
    }

    /// `r = (sN)r`: the low `bits` bits, their sign above them.
    #[inline]
    pub fn movsx64(&mut self, bits: u32) {
        self.sign_extend_bits(bits);
    }
}

/// Bounds whose two pairs are the same bits.
#[inline]
fn sub_bounds<W: Word>(min: W, max: W) -> Bounds<W> {
    Bounds {
        umin: min,
        umax: max,
        smin: min.signed(),
        smax: max.signed(),
    }
}

impl ScalarOf<u64> {
    /// Nothing is known.
    pub const UNKNOWN: Self = ScalarOf {
        var_off: TnumOf::UNKNOWN,
        smin: i64::MIN,
        smax: i64::MAX,
        umin: 0,
        umax: u64::MAX,
        s32_min: i32::MIN,
        s32_max: i32::MAX,
        u32_min: 0,
        u32_max: u32::MAX,
    };

    /// The number zero.
    pub const ZERO: Self = ScalarOf {
        var_off: TnumOf { value: 0, mask: 0 },
        smin: 0,
        smax: 0,
        umin: 0,
        umax: 0,
        s32_min: 0,
        s32_max: 0,
        u32_min: 0,
        u32_max: 0,
    };

    /// The low `size` bytes, zeros above them: what a load of that size leaves of it.
    #[inline]
    pub fn truncate(&mut self, size: u32) {
        self.truncate_bits(size.saturating_mul(8));
    }

    /// What a sign-extending load of `size` bytes leaves of it.
    #[inline]
    pub fn sign_extend(&mut self, size: u32) {
        if size < 8 {
            self.sign_extend_bits(size.saturating_mul(8));
        }
    }

    /// The conversion to little endian on a little-endian machine: only truncation is left.
    #[inline]
    pub fn to_little_endian(&mut self, size: u32) {
        self.truncate(size);
    }
}

impl<W: Bytes> ScalarOf<W> {
    /// The low `size` bytes (2, 4 or 8) in reverse order, zeros above them: `bswap`, and the
    /// conversion to big endian on a little-endian machine. Bits move, bounds are found anew.
    #[inline]
    pub fn byte_swap(&mut self, size: u32) {
        self.mark_unbounded();
        let bits = size.saturating_mul(8).min(W::BITS);
        if bits == 0 {
            self.var_off = TnumOf::constant(W::ZERO);
            self.sync();
            return;
        }
        let top = W::BITS - bits;
        self.var_off = TnumOf {
            value: self.var_off.value.swap_bytes().shr(top),
            mask: self.var_off.mask.swap_bytes().shr(top),
        };
        if bits < W::BITS {
            self.truncate_bits(bits);
        } else {
            self.sync();
        }
    }
}

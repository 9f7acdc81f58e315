//! Sets of numbers of at most six bits: what a scalar holds, and whether it holds a set.

use skep_domain::{ScalarOf, SignedWord, TnumOf, Wide, Word};

/// The set of all numbers of a word.
pub fn all<W: Word>() -> u64 {
    u64::MAX >> (64 - (1u32 << W::BITS))
}

/// The set of one number.
#[inline]
pub fn one<W: Word>(number: W) -> u64 {
    1 << number.count()
}

/// The numbers of a set, in order.
pub fn numbers(mut set: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let number = (set != 0).then(|| set.trailing_zeros());
        set &= set.wrapping_sub(1);
        number
    })
}

/// The numbers that a predicate holds for.
pub fn those<W: Word>(word: impl Fn(u32) -> W, holds: impl Fn(W) -> bool) -> u64 {
    numbers(all::<W>())
        .filter(|number| holds(word(*number)))
        .fold(0, |set, number| set | 1 << number)
}

/// The set of low halves.
#[inline]
pub fn lows<W: Wide>(set: u64) -> u64 {
    let mut low = set;
    let mut distance = 1u32 << (W::BITS - 1);
    while distance >= 1 << W::Half::BITS {
        low |= low >> distance;
        distance /= 2;
    }
    low & all::<W::Half>()
}

/// Numbers in their signed order: the sign bit flipped.
#[inline]
fn biased<W: Word>(set: u64) -> u64 {
    let half = 1u32 << (W::BITS - 1);
    ((set >> half) | (set << half)) & all::<W>()
}

#[inline]
fn lies_within<W: Word>(set: u64, min: W, max: W) -> bool {
    set.trailing_zeros() >= min.count() && 63 - set.leading_zeros() <= max.count()
}

#[inline]
fn lies_within_signed<W: Word>(set: u64, min: W::Signed, max: W::Signed) -> bool {
    let flip = |word: W::Signed| word.unsigned() ^ W::Signed::MIN.unsigned();
    lies_within(biased::<W>(set), flip(min), flip(max))
}

/// The numbers that have bit `n` set, for each `n`.
const WITH_BIT: [u64; 6] = [
    0xaaaa_aaaa_aaaa_aaaa,
    0xcccc_cccc_cccc_cccc,
    0xf0f0_f0f0_f0f0_f0f0,
    0xff00_ff00_ff00_ff00,
    0xffff_0000_ffff_0000,
    0xffff_ffff_0000_0000,
];

#[inline]
fn agrees<W: Word>(set: u64, bits: TnumOf<W>) -> bool {
    let (value, mask) = (bits.value.count(), bits.mask.count());
    value & mask == 0
        && WITH_BIT
            .iter()
            .enumerate()
            .take(W::BITS as usize)
            .all(|(bit, with)| {
                let known = mask >> bit & 1 == 0;
                let wrong = if value >> bit & 1 == 1 { !with } else { *with };
                !known || set & wrong == 0
            })
}

/// Whether the scalar holds every number of the set.
#[inline]
pub fn holds_all<W: Wide>(scalar: &ScalarOf<W>, set: u64) -> bool {
    if set == 0 {
        return true;
    }
    let low = lows::<W>(set);
    lies_within(set, scalar.umin, scalar.umax)
        && lies_within_signed::<W>(set, scalar.smin, scalar.smax)
        && lies_within(low, scalar.u32_min, scalar.u32_max)
        && lies_within_signed::<W::Half>(low, scalar.s32_min, scalar.s32_max)
        && agrees(set, scalar.var_off)
}

#[cfg(test)]
mod tests {
    use super::lows;

    #[test]
    fn low_halves() {
        type W = super::super::super::small::U<6>;
        for number in 0..64 {
            assert_eq!(lows::<W>(1 << number), 1 << (number % 8));
        }
    }
}

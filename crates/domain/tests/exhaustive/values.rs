//! The abstract values that are tried, each with the set of its numbers.

use std::collections::HashSet;

use skep_domain::{Bounds, ScalarOf, TnumOf, Wide, Word};

use super::sets::{all, numbers, those};

/// A scalar and its numbers.
#[derive(Clone, Copy)]
pub struct Value<W: Wide> {
    /// The scalar, brought into agreement.
    pub scalar: ScalarOf<W>,
    /// Its numbers.
    pub members: u64,
    /// What it has more than the value before it in the list, when it has all of that one's
    /// numbers; else all of its numbers.
    pub more: u64,
    /// Whether it has all numbers of the value before it.
    pub grows: bool,
}

/// All bounds of which one pair is an interval and the other open, with their sets: the
/// unsigned intervals, then the signed ones.
pub fn intervals<W: Word>(word: impl Fn(u32) -> W) -> (Vec<Bounds<W>>, Vec<Bounds<W>>) {
    let (mut unsigned, mut signed) = (Vec::new(), Vec::new());
    let sign = 1 << (W::BITS - 1);
    for first in numbers(all::<W>()) {
        for last in first..1 << W::BITS {
            let (mut u, mut s) = (Bounds::unbounded(), Bounds::unbounded());
            u.clamp_unsigned(word(first), word(last));
            let biased = |number: u32| word(number ^ sign).signed();
            s.clamp_signed(biased(first), biased(last));
            unsigned.push(u);
            signed.push(s);
        }
    }
    (unsigned, signed)
}

fn valued<W: Wide>(scalar: ScalarOf<W>, word: impl Fn(u32) -> W) -> Value<W> {
    let members = those(word, |x| scalar.contains(x));
    Value {
        scalar,
        members,
        more: members,
        grows: false,
    }
}

/// Every unsigned and every signed interval, intervals of one start growing one by one.
pub fn ranges<W: Wide>(word: impl Fn(u32) -> W) -> Vec<Value<W>> {
    let (unsigned, signed) = intervals(&word);
    let mut seen = HashSet::new();
    let mut values: Vec<Value<W>> = Vec::new();
    for full in unsigned.into_iter().chain(signed) {
        let mut scalar = ScalarOf::unknown();
        scalar.set_full(full);
        scalar.sync();
        let mut value = valued(scalar, &word);
        if !seen.insert(value.scalar) {
            continue;
        }
        if let Some(before) = values.last()
            && before.members & !value.members == 0
        {
            value.more = value.members & !before.members;
            value.grows = true;
        }
        values.push(value);
    }
    values
}

/// All bits of `W`.
pub fn bits<W: Word>(word: impl Fn(u32) -> W) -> Vec<TnumOf<W>> {
    let word = &word;
    numbers(all::<W>())
        .flat_map(|mask| {
            numbers(all::<W>()).map(move |value| TnumOf {
                value: word(value),
                mask: word(mask),
            })
        })
        .filter(|t| t.value & t.mask == W::ZERO)
        .collect()
}

/// Every different scalar that `sync` makes of any bits, any unsigned and any signed interval
/// of the whole that have a number in common. With `halves`, the intervals of the half are
/// tried too; else nothing is known of it at first.
pub fn joint<W: Wide>(
    word: impl Fn(u32) -> W,
    half: impl Fn(u32) -> W::Half,
    halves: bool,
) -> Vec<Value<W>> {
    let mut seen = HashSet::new();
    let mut values = Vec::new();
    every_raw(&word, half, halves, |scalar, _| {
        let mut synced = scalar;
        synced.sync();
        if seen.insert(synced) {
            values.push(valued(synced, &word));
        }
    });
    values
}

/// Every tnum with every pair of intervals of the whole, and with every pair of intervals of the
/// half (or an open half), that have a number in common: each with the set of its numbers.
pub fn every_raw<W: Wide>(
    word: impl Fn(u32) -> W,
    half: impl Fn(u32) -> W::Half,
    halves: bool,
    mut see: impl FnMut(ScalarOf<W>, u64),
) {
    let (unsigned, signed) = intervals(&word);
    let of = |bounds: &Bounds<W>| those(&word, |x| bounds.contain(x));
    let signed: Vec<(Bounds<W>, u64)> = signed.into_iter().map(|s| (s, of(&s))).collect();
    let mut low_bounds = vec![(Bounds::unbounded(), all::<W>())];
    if halves {
        let (unsigned, signed) = intervals(&half);
        low_bounds.clear();
        for u in &unsigned {
            for s in &signed {
                let mut low = *u;
                low.clamp_signed(s.smin, s.smax);
                low_bounds.push((low, those(&word, |x| low.contain(x.low()))));
            }
        }
    }
    for var_off in bits(&word) {
        let by_bits = those(&word, |x| var_off.contains(x));
        for u in &unsigned {
            let by_unsigned = by_bits & of(u);
            for (s, by_signed) in &signed {
                let mut full = *u;
                full.clamp_signed(s.smin, s.smax);
                let by_full = by_unsigned & by_signed;
                for (low, by_low) in &low_bounds {
                    let members = by_full & by_low;
                    if members != 0 {
                        see(ScalarOf::from_parts(var_off, full, *low), members);
                    }
                }
            }
        }
    }
}

/// `count` values of the list for each place in it, the same ones on every run.
pub fn partners<W: Wide>(values: &[Value<W>], at: usize, count: usize) -> Vec<Value<W>> {
    let mut state = at as u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    (0..count).map(|_| values[next() % values.len()]).collect()
}

//! Every pair of tristate numbers: is each operator sound, and the simple ones exact?

use skep_domain::{Alu, SignedWord, TnumOf, Word};

use super::super::small::{U, machine};
use super::{Row, show};

/// What the results of an operation have in common, and what any of them has: together the
/// least tnum that holds them.
#[derive(Clone, Copy)]
struct Common {
    ones: u8,
    any: u8,
}

/// All tnums of a width. Their digits in base three, two for unknown, make their number, so
/// that the two halves of a tnum with an unknown bit come before it.
struct Tnums<const N: u32> {
    list: Vec<TnumOf<U<N>>>,
    halves: Vec<Option<(usize, usize)>>,
}

impl<const N: u32> Tnums<N> {
    fn new() -> Self {
        let (mut list, mut halves) = (Vec::new(), Vec::new());
        for number in 0..3usize.pow(N) {
            let (mut value, mut mask, mut split) = (0, 0, None);
            for bit in 0..N {
                let place = 3usize.pow(bit);
                match number / place % 3 {
                    0 => {}
                    1 => value |= 1 << bit,
                    _ => {
                        mask |= 1 << bit;
                        split = Some((number - 2 * place, number - place));
                    }
                }
            }
            list.push(TnumOf {
                value: U::new(value),
                mask: U::new(mask),
            });
            halves.push(split);
        }
        Self { list, halves }
    }
}

/// Whether an operation must give the least tnum or may give a larger one.
#[derive(Clone, Copy, PartialEq)]
enum Claim {
    Exact,
    Sound,
}

fn binary<const N: u32>(
    all: &Tnums<N>,
    name: &str,
    claim: Claim,
    abstractly: impl Fn(TnumOf<U<N>>, TnumOf<U<N>>) -> TnumOf<U<N>>,
    concretely: impl Fn(U<N>, U<N>) -> U<N>,
) -> Row {
    let suffix = if claim == Claim::Exact { ", exact" } else { "" };
    let mut row = Row::new(format!("tnum {name}{suffix}"));
    let size = all.list.len();
    let mut known: Vec<Common> = Vec::with_capacity(size * size);
    for (a, (left, left_halves)) in all.list.iter().zip(&all.halves).enumerate() {
        for (b, (right, right_halves)) in all.list.iter().zip(&all.halves).enumerate() {
            let join = |p: usize, q: usize| Common {
                ones: known[p].ones & known[q].ones,
                any: known[p].any | known[q].any,
            };
            let common = match (left_halves, right_halves) {
                (Some((p, q)), _) => join(p * size + b, q * size + b),
                (None, Some((p, q))) => join(a * size + p, a * size + q),
                (None, None) => {
                    let result = concretely(left.value, right.value).count() as u8;
                    Common {
                        ones: result,
                        any: result,
                    }
                }
            };
            known.push(common);
            let best = TnumOf {
                value: U::new(common.ones.into()),
                mask: U::new((common.ones ^ common.any).into()),
            };
            let here = abstractly(*left, *right);
            let holds = here.value & here.mask == U::ZERO
                && here.includes(best)
                && (claim == Claim::Sound || here == best);
            row.case(holds, || show(&[left, right, &here, &best]));
        }
    }
    row
}

/// Every operator on all tnums of `N` bits.
pub fn tnums<const N: u32>() -> Vec<Row> {
    type T<const N: u32> = TnumOf<U<N>>;
    type Op<const N: u32> = fn(T<N>, T<N>) -> T<N>;
    let all = Tnums::<N>::new();
    let operators: [(&str, Claim, Op<N>, Alu); 7] = [
        ("add", Claim::Exact, T::add, Alu::Add),
        ("sub", Claim::Exact, T::sub, Alu::Sub),
        ("neg", Claim::Exact, |a, _| a.neg(), Alu::Neg),
        ("and", Claim::Exact, T::and, Alu::And),
        ("or", Claim::Exact, T::or, Alu::Or),
        ("xor", Claim::Exact, T::xor, Alu::Xor),
        ("mul", Claim::Sound, T::mul, Alu::Mul),
    ];
    let mut rows: Vec<Row> = operators
        .into_iter()
        .map(|(name, claim, abstractly, op)| {
            binary(&all, name, claim, abstractly, |x, y| {
                machine(op, x, y).unwrap_or(U::ZERO)
            })
        })
        .collect();
    rows.push(sets(&all));
    rows.push(shifts(&all));
    rows.push(next_numbers(&all));
    rows.push(ranges::<N>());
    rows
}

/// `union`, `intersect`, `overlaps` and `includes` by their definition, bit by bit.
fn sets<const N: u32>(all: &Tnums<N>) -> Row {
    let mut row = Row::new("tnum union, intersect, overlaps, includes, exact");
    for a in &all.list {
        for b in &all.list {
            let known = !a.mask & !b.mask;
            let agree = (a.value ^ b.value) & known == U::ZERO;
            let mask = a.mask | b.mask | (a.value ^ b.value);
            let union = TnumOf {
                value: a.value & !mask,
                mask,
            };
            let common = TnumOf {
                value: a.value | b.value,
                mask: a.mask & b.mask,
            };
            let holds = a.union(*b) == union
                && a.overlaps(*b) == agree
                && (!agree || a.intersect(*b) == common)
                && a.includes(*b) == (union == *a);
            row.case(holds, || show(&[a, b]));
        }
    }
    row
}

fn shifts<const N: u32>(all: &Tnums<N>) -> Row {
    let mut row = Row::new("tnum shl, shr, arsh, every count, exact");
    let fold = |results: &mut dyn Iterator<Item = U<N>>| {
        let first = results.next().map(TnumOf::constant);
        first.map(|first| results.fold(first, |t, x| t.union(TnumOf::constant(x))))
    };
    let words = || (0..1 << N).map(U::<N>::new);
    for t in &all.list {
        for count in 0..N {
            let members = || words().filter(|x| t.contains(*x));
            let holds = fold(&mut members().map(|x| x.shl(count))) == Some(t.shl(count))
                && fold(&mut members().map(|x| x.shr(count))) == Some(t.shr(count))
                && fold(&mut members().map(|x| x.signed().sar(count).unsigned()))
                    == Some(t.arsh(count));
            row.case(holds, || show(&[t, &count]));
        }
    }
    row
}

fn next_numbers<const N: u32>(all: &Tnums<N>) -> Row {
    let mut row = Row::new("tnum next_above, exact");
    for t in &all.list {
        let mut next = None;
        for number in (0..1 << N).rev().map(U::<N>::new) {
            let found = t.next_above(number);
            row.case(found == next, || show(&[t, &number, &found, &next]));
            if t.contains(number) {
                next = Some(number);
            }
        }
    }
    row
}

fn ranges<const N: u32>() -> Row {
    let mut row = Row::new("tnum range, exact");
    for min in (0..1 << N).map(U::<N>::new) {
        let mut least = TnumOf::constant(min);
        for max in (min.count()..1 << N).map(U::<N>::new) {
            least = least.union(TnumOf::constant(max));
            let found = TnumOf::range(min, max);
            row.case(found == least, || show(&[&min, &max, &found, &least]));
        }
    }
    row
}

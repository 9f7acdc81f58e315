//! Is every operation on tristate numbers sound, and the simple ones exact, at 5 bits?

mod small;

use skep_domain::{Alu, SignedWord, TnumOf, Word};
use small::{U, machine};

type W = U<5>;
type T = TnumOf<W>;

/// Every word.
fn words() -> impl Iterator<Item = W> + Clone {
    (0..1 << W::BITS).map(W::new)
}

fn all() -> Vec<T> {
    words()
        .flat_map(|mask| words().map(move |value| T { value, mask }))
        .filter(|t| t.value & t.mask == W::ZERO)
        .collect()
}

fn members(t: T) -> impl Iterator<Item = W> + Clone {
    words().filter(move |number| t.contains(*number))
}

/// The least tnum that holds these numbers, of which there is one at least.
fn least(mut numbers: impl Iterator<Item = W>) -> T {
    let first = T::constant(numbers.next().expect("no tnum is empty"));
    numbers.fold(first, |t, number| t.union(T::constant(number)))
}

/// Whether an operation must give the least tnum or may give a larger one.
#[derive(PartialEq)]
enum Claim {
    Exact,
    Sound,
}

fn check(op: Alu, abstractly: fn(T, T) -> T, claim: Claim) {
    let mut checked = 0u32;
    for a in all() {
        for b in all() {
            let results = members(a).flat_map(|x| {
                members(b).map(move |y| machine(op, x, y).expect("an operation on bits"))
            });
            let (here, best) = (abstractly(a, b), least(results));
            assert!(
                here.includes(best),
                "{op:?} {a:?} {b:?}: {here:?} lacks some of {best:?}"
            );
            assert!(
                claim == Claim::Sound || here == best,
                "{op:?} {a:?} {b:?}: {here:?}"
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 243 * 243);
}

#[test]
fn sums() {
    check(Alu::Add, T::add, Claim::Exact);
    check(Alu::Sub, T::sub, Claim::Exact);
    check(Alu::Neg, |a, _| a.neg(), Claim::Exact);
}

#[test]
fn bits() {
    check(Alu::And, T::and, Claim::Exact);
    check(Alu::Or, T::or, Claim::Exact);
    check(Alu::Xor, T::xor, Claim::Exact);
}

#[test]
fn products() {
    check(Alu::Mul, T::mul, Claim::Sound);
}

#[test]
fn shifts() {
    for t in all() {
        for count in 0..W::BITS {
            assert_eq!(t.shl(count), least(members(t).map(|x| x.shl(count))));
            assert_eq!(t.shr(count), least(members(t).map(|x| x.shr(count))));
            let signed = |x: W| x.signed().sar(count).unsigned();
            assert_eq!(t.arsh(count), least(members(t).map(signed)));
        }
    }
}

#[test]
fn ranges_have_their_common_prefix() {
    for min in words() {
        for max in words().filter(|max| min <= *max) {
            let numbers = words().filter(|x| (min..=max).contains(x));
            assert_eq!(T::range(min, max), least(numbers));
        }
    }
}

#[test]
fn sets() {
    for a in all() {
        for b in all() {
            let common: Vec<W> = members(a).filter(|x| b.contains(*x)).collect();
            assert_eq!(a.overlaps(b), !common.is_empty(), "{a:?} {b:?}");
            if a.overlaps(b) {
                assert_eq!(a.intersect(b), least(common.into_iter()), "{a:?} {b:?}");
            }
            assert_eq!(
                a.union(b),
                least(members(a).chain(members(b))),
                "{a:?} {b:?}"
            );
            assert_eq!(
                a.includes(b),
                members(b).all(|x| a.contains(x)),
                "{a:?} {b:?}"
            );
        }
    }
}

#[test]
fn next_numbers() {
    for t in all() {
        for number in words() {
            let next = members(t).find(|member| *member > number);
            assert_eq!(t.next_above(number), next, "{t:?} {number:?}");
        }
    }
}

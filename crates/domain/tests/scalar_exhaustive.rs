//! Does every operation on scalars keep every number it must, in words of 4 and 6 bits?
//!
//! Scalars are made from bits and bounds of both widths at random, brought into agreement, and
//! then all their numbers are tried.

mod small;

use std::fmt::Debug;

use skep_domain::{
    Alu, Bounds, Cmp, ScalarOf, TnumOf, Wide, Word, alu32, alu64, branch_taken, fork_sign,
    pointer_add, pointer_sub, refine, refine_same,
};
use small::{U, machine};

const ALU: [Alu; 12] = [
    Alu::Add,
    Alu::Sub,
    Alu::Mul,
    Alu::Div,
    Alu::Or,
    Alu::And,
    Alu::Lsh,
    Alu::Rsh,
    Alu::Neg,
    Alu::Mod,
    Alu::Xor,
    Alu::Arsh,
];
const CMP: [Cmp; 11] = [
    Cmp::Eq,
    Cmp::Ne,
    Cmp::Gt,
    Cmp::Ge,
    Cmp::Lt,
    Cmp::Le,
    Cmp::Set,
    Cmp::Sgt,
    Cmp::Sge,
    Cmp::Slt,
    Cmp::Sle,
];

/// A small generator of the same numbers on every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((self.0 >> 33) as u32) % below
    }

    fn bounds<W: Word>(&mut self, word: impl Fn(u32) -> W) -> Bounds<W> {
        let mut pair = || (word(self.next(1 << W::BITS)), word(self.next(1 << W::BITS)));
        let ((a, b), (c, d)) = (pair(), pair());
        let (c, d) = (c.signed(), d.signed());
        let mut bounds = Bounds::unbounded();
        // Half of the pairs stay open, as most do in programs.
        if self.next(2) == 0 {
            bounds.clamp_unsigned(a.min(b), a.max(b));
        }
        if self.next(2) == 0 {
            bounds.clamp_signed(c.min(d), c.max(d));
        }
        bounds
    }

    fn tnum<W: Word>(&mut self, word: impl Fn(u32) -> W) -> TnumOf<W> {
        let mask = match self.next(3) {
            0 => W::ZERO,
            1 => W::MAX,
            _ => word(self.next(1 << W::BITS)),
        };
        TnumOf {
            value: word(self.next(1 << W::BITS)) & !mask,
            mask,
        }
    }
}

/// A width to test: how its numbers are listed.
trait Listed: Wide {
    fn word(number: u32) -> Self;
    fn half(number: u32) -> Self::Half;
    fn numbers() -> u32 {
        1 << Self::BITS
    }
}

impl Listed for U<4> {
    fn word(number: u32) -> Self {
        U::new(number)
    }
    fn half(number: u32) -> U<2> {
        U::new(number)
    }
}

impl Listed for U<6> {
    fn word(number: u32) -> Self {
        U::new(number)
    }
    fn half(number: u32) -> U<3> {
        U::new(number)
    }
}

fn members<W: Listed>(s: &ScalarOf<W>) -> Vec<W> {
    (0..W::numbers())
        .map(W::word)
        .filter(|number| s.contains(*number))
        .collect()
}

/// Scalars with at least one number each, before and after they are brought into agreement.
fn scalars<W: Listed>(count: usize) -> Vec<ScalarOf<W>> {
    let mut numbers = Numbers(1);
    let mut made = Vec::new();
    while made.len() < count {
        let raw = ScalarOf::from_parts(
            numbers.tnum(W::word),
            numbers.bounds(W::word),
            numbers.bounds(W::half),
        );
        let inside = members(&raw);
        if inside.is_empty() {
            continue;
        }
        let mut agreed = raw;
        agreed.sync();
        holds_all(&agreed, inside.iter().copied(), &"sync", &raw, &raw);
        made.push(agreed);
    }
    made
}

fn holds_all<W: Listed>(
    result: &ScalarOf<W>,
    numbers: impl IntoIterator<Item = W>,
    what: &dyn Debug,
    a: &ScalarOf<W>,
    b: &ScalarOf<W>,
) {
    for number in numbers {
        assert!(
            result.contains(number),
            "{what:?}: {number:?} is lost\n{a:?}\n{b:?}\n{result:?}"
        );
    }
    assert_eq!(
        result.var_off.value & result.var_off.mask,
        W::ZERO,
        "{what:?}: no tnum\n{a:?}\n{b:?}"
    );
}

fn low<W: Wide>(number: W) -> W {
    W::from_half(number.low())
}

fn unary<W: Listed>(count: usize) {
    for s in scalars::<W>(count) {
        let numbers = members(&s);
        let check = |what: &str, change: &dyn Fn(&mut ScalarOf<W>), machine: &dyn Fn(W) -> W| {
            let mut result = s;
            change(&mut result);
            holds_all(&result, numbers.iter().map(|x| machine(*x)), &what, &s, &s);
        };
        check("mov32", &|s| s.mov32(), &|x| low(x));
        for bits in 1..=W::BITS {
            let keep = W::low_mask(bits);
            check("truncate", &|s| s.truncate_bits(bits), &|x| x & keep);
        }
        for bits in 1..=W::Half::BITS {
            let spare = W::BITS - bits;
            let extend = |x: W| machine(Alu::Arsh, x.shl(spare), W::word(spare)).expect("a shift");
            check("movsx64", &|s| s.movsx64(bits), &extend);
        }
        for bits in 1..W::Half::BITS {
            let spare = W::Half::BITS - bits;
            let extend = |x: W| {
                let top = x.low().shl(spare);
                W::from_half(machine(Alu::Arsh, top, W::half(spare)).expect("a shift"))
            };
            check("movsx32", &|s| s.movsx32(bits), &extend);
        }
        for op in CMP {
            for is_jmp32 in [false, true] {
                let (taken, fallthrough) = refine_same(op, &s, is_jmp32);
                for x in &numbers {
                    let holds = match is_jmp32 {
                        true => op.holds(x.low(), x.low()),
                        false => op.holds(*x, *x),
                    };
                    let result = if holds { &taken } else { &fallthrough };
                    let decided = branch_taken(op, &s, &s, is_jmp32);
                    assert!(
                        decided.is_none_or(|decided| decided == holds),
                        "{op:?}\n{s:?}"
                    );
                    if decided.is_none() {
                        holds_all(result, [*x], &"same", &s, &s);
                    }
                }
            }
        }
    }
}

fn binary<W: Listed>(count: usize) {
    let list = scalars::<W>(count);
    for (index, a) in list.iter().enumerate() {
        // Neighbours at several distances make the pairs.
        for distance in [1, 7, 31] {
            let b = &list[(index + distance) % list.len()];
            pair(a, b);
        }
    }
}

fn pair<W: Listed>(a: &ScalarOf<W>, b: &ScalarOf<W>) {
    let pairs: Vec<(W, W)> = members(a)
        .into_iter()
        .flat_map(|x| members(b).into_iter().map(move |y| (x, y)))
        .collect();
    for op in ALU {
        let (mut full, mut half) = (*a, *a);
        alu64(op, &mut full, b);
        alu32(op, &mut half, b);
        if let Some(forks) = fork_sign(op, a, b) {
            for x in members(a) {
                assert!(forks.0.contains(x) || forks.1.contains(x), "fork\n{a:?}");
            }
        }
        for (x, y) in &pairs {
            // Shift counts beyond the width are not computed, so nothing is claimed of them.
            let shift = matches!(op, Alu::Lsh | Alu::Rsh | Alu::Arsh);
            if let Some(result) = machine(op, *x, *y)
                && (!shift || y.count() < W::BITS)
            {
                holds_all(&full, [result], &op, a, b);
            }
            if let Some(result) = machine(op, x.low(), y.low())
                && (!shift || y.low().count() < W::Half::BITS)
            {
                let what = (op, "of halves");
                holds_all(&half, [W::from_half(result)], &what, a, b);
            }
        }
    }
    holds_all(
        &pointer_add(a, b),
        pairs.iter().map(|(x, y)| x.plus(*y)),
        &"pointer +",
        a,
        b,
    );
    holds_all(
        &pointer_sub(a, b),
        pairs.iter().map(|(x, y)| x.minus(*y)),
        &"pointer -",
        a,
        b,
    );
    for op in CMP {
        for is_jmp32 in [false, true] {
            let decided = branch_taken(op, a, b, is_jmp32);
            let refined = refine(op, a, b, is_jmp32);
            for (x, y) in &pairs {
                let holds = if is_jmp32 {
                    op.holds(x.low(), y.low())
                } else {
                    op.holds(*x, *y)
                };
                assert!(
                    decided.is_none_or(|decided| decided == holds),
                    "{op:?}\n{a:?}\n{b:?}"
                );
                if decided.is_none() {
                    let (left, right) = if holds {
                        &refined.taken
                    } else {
                        &refined.fallthrough
                    };
                    holds_all(left, [*x], &(op, holds), a, b);
                    holds_all(right, [*y], &(op, holds), a, b);
                }
            }
        }
    }
}

#[test]
fn one_operand_of_four_bits() {
    unary::<U<4>>(20_000);
}

#[test]
fn one_operand_of_six_bits() {
    unary::<U<6>>(3_000);
}

#[test]
fn two_operands_of_four_bits() {
    binary::<U<4>>(6_000);
}

#[test]
fn two_operands_of_six_bits() {
    binary::<U<6>>(500);
}

//! Does the symbolic word of the prover compute what a machine word computes?
//!
//! A term of constants is a constant, so the domain can run over constant terms and give
//! the scalars that it gives over `u64`.

use skep_domain::{
    Alu, Bounds, Cmp, Scalar, ScalarOf, TnumOf, alu32, alu64, branch_taken, fork_sign, pointer_add,
    pointer_sub, refine, refine_same,
};
use xtask::prove::claims::{ALU, CMP};
use xtask::prove::symbolic::{self, Mode, Sym, SymI, formula, ways};
use xtask::prove::term::{self, Term};

type Symbolic = ScalarOf<Sym<64>>;

fn symbol(s: &Scalar) -> Symbolic {
    let low = |word: u32| Term::Const(word.into());
    ScalarOf {
        var_off: TnumOf {
            value: Sym(Term::Const(s.var_off.value)),
            mask: Sym(Term::Const(s.var_off.mask)),
        },
        smin: SymI(Term::Const(s.smin as u64)),
        smax: SymI(Term::Const(s.smax as u64)),
        umin: Sym(Term::Const(s.umin)),
        umax: Sym(Term::Const(s.umax)),
        s32_min: SymI(low(s.s32_min as u32)),
        s32_max: SymI(low(s.s32_max as u32)),
        u32_min: Sym(low(s.u32_min)),
        u32_max: Sym(low(s.u32_max)),
    }
}

fn parts(s: &Symbolic) -> [Term; 10] {
    [
        s.var_off.value.0,
        s.var_off.mask.0,
        s.smin.0,
        s.smax.0,
        s.umin.0,
        s.umax.0,
        s.s32_min.0,
        s.s32_max.0,
        s.u32_min.0,
        s.u32_max.0,
    ]
}

/// Runs over constants, where there is one way only.
fn only<T>(function: impl Fn() -> T) -> T {
    let mut leaves = ways(function);
    assert_eq!(leaves.len(), 1, "constants leave no choice");
    let leaf = leaves.remove(0);
    assert!(!leaf.broken && leaf.condition == term::TRUE);
    leaf.value
}

fn same(what: &str, symbolic: &Symbolic, concrete: &Scalar) {
    assert_eq!(
        parts(symbolic),
        parts(&symbol(concrete)),
        "{what}: {concrete:?}"
    );
}

/// Scalars of all kinds, the same ones on every run.
fn scalars() -> Vec<Scalar> {
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> (state >> 58) ^ (state << 21)
    };
    let mut made: Vec<Scalar> = [0, 1, 7, 31, 32, 63, 64, u64::MAX, 1 << 31, 1 << 63]
        .into_iter()
        .map(Scalar::known)
        .collect();
    made.push(Scalar::unknown());
    while made.len() < 60 {
        let (value, mask) = (next(), next() & next());
        let mut scalar = Scalar::unknown();
        scalar.var_off.value = value & !mask;
        scalar.var_off.mask = mask;
        if next() & 4 == 0 {
            scalar = Scalar::unknown();
        }
        let (a, b) = (next(), next());
        let mut full = Bounds::unbounded();
        match next() % 3 {
            0 => full.clamp_unsigned(a.min(b), a.max(b)),
            1 => full.clamp_signed((a as i64).min(b as i64), (a as i64).max(b as i64)),
            _ => {}
        }
        scalar.set_full(full);
        made.push(scalar);
    }
    made
}

#[test]
fn operators() {
    symbolic::begin(Mode::Whole, &[]);
    let all = scalars();
    for (number, a) in all.iter().enumerate() {
        let x = symbol(a);
        let change =
            |what: &str, symbolic: &dyn Fn(&mut Symbolic), concrete: &dyn Fn(&mut Scalar)| {
                let (mut changed, mut expected) = (x, *a);
                changed = only(|| {
                    let mut inside = changed;
                    symbolic(&mut inside);
                    inside
                });
                concrete(&mut expected);
                same(what, &changed, &expected);
            };
        change("sync", &|s| s.sync(), &|s| s.sync());
        change("mov32", &|s| s.mov32(), &|s| s.mov32());
        for bits in [8, 16, 32] {
            change("truncate", &|s| s.truncate_bits(bits), &|s| {
                s.truncate_bits(bits)
            });
            change("movsx64", &|s| s.movsx64(bits), &|s| s.movsx64(bits));
            change("swap", &|s| s.byte_swap(bits / 8), &|s| {
                s.byte_swap(bits / 8)
            });
        }
        change("movsx32", &|s| s.movsx32(8), &|s| s.movsx32(8));
        for distance in [1, 5, 11, 29] {
            let b = &all[(number + distance) % all.len()];
            let y = symbol(b);
            for op in ALU.into_iter().filter(|op| *op != Alu::Neg) {
                change("alu64", &|s| alu64(op, s, &y), &|s| alu64(op, s, b));
                change("alu32", &|s| alu32(op, s, &y), &|s| alu32(op, s, b));
                let forks = only(|| fork_sign(op, &x, &y));
                let expected = fork_sign(op, a, b);
                assert_eq!(forks.is_some(), expected.is_some());
                if let (Some(here), Some(there)) = (forks, expected) {
                    same("fork", &here.0, &there.0);
                    same("fork", &here.1, &there.1);
                }
            }
            same(
                "pointer +",
                &only(|| pointer_add(&x, &y)),
                &pointer_add(a, b),
            );
            same(
                "pointer -",
                &only(|| pointer_sub(&x, &y)),
                &pointer_sub(a, b),
            );
            for op in CMP {
                for is_jmp32 in [false, true] {
                    compare(op, is_jmp32, (&x, &y), (a, b));
                }
            }
        }
    }
}

fn compare(op: Cmp, is_jmp32: bool, (x, y): (&Symbolic, &Symbolic), (a, b): (&Scalar, &Scalar)) {
    let taken = only(|| branch_taken(op, x, y, is_jmp32));
    assert_eq!(taken, branch_taken(op, a, b, is_jmp32));
    let here = only(|| refine(op, x, y, is_jmp32));
    let there = refine(op, a, b, is_jmp32);
    same("taken", &here.taken.0, &there.taken.0);
    same("taken", &here.taken.1, &there.taken.1);
    same("not taken", &here.fallthrough.0, &there.fallthrough.0);
    same("not taken", &here.fallthrough.1, &there.fallthrough.1);
    let here = only(|| refine_same(op, x, is_jmp32));
    let there = refine_same(op, a, is_jmp32);
    same("same", &here.0, &there.0);
    same("same", &here.1, &there.1);
}

/// Comparisons of variables go both ways, and the ways come together as one formula.
#[test]
fn ways_of_variables() {
    symbolic::begin(Mode::Whole, &[]);
    let (a, b) = (
        Sym::<32>(term::variable("left", 32)),
        Sym::<32>(term::variable("right", 32)),
    );
    assert_eq!(ways(|| if a < b { 1 } else { 2 }).len(), 2);
    // A question that was answered on this way is not asked again.
    assert_eq!(ways(|| (a < b) != (a >= b)).len(), 2);
    assert_eq!(formula(|| a < b || b <= a), term::TRUE);
    assert_eq!(formula(|| a < b), term::compare("bvult", a.0, b.0, 32));
    // What no solver is needed for must still not be said of a wrong claim.
    assert_ne!(formula(|| a < b && b < a), term::TRUE);
}

//! A word that is a term: the functions of the domain run over it as they stand, and what they
//! compute comes out as a formula.
//!
//! A comparison of two terms has no answer, so it goes both ways: the function runs again for
//! every sequence of answers that its comparisons can be given, and each run has its path
//! condition. `min`, `max` and the filling of low bits are terms and go one way only. Where the
//! domain names a step ([`Wide::narrowing`]), the ways are joined into one scalar of
//! if-then-else terms ([`Mode::Whole`]); or the step is proved once, of any scalar, and a fresh
//! scalar takes its place, of which nothing is known but that it kept the numbers asked
//! about ([`Mode::Cut`]).

use std::cell::RefCell;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::{BitAnd, BitOr, BitXor, Not};

use skep_domain::{Bounds, Bytes, ScalarOf, SignedWord, TnumOf, Wide, Word};

use super::term::{self, FALSE, Term};

/// What a named step of the domain is to a proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// A part of the whole computation.
    #[default]
    Whole,
    /// A lemma.
    Cut,
}

/// A lemma that a proof rests on: the name of the step, and a claim that must be
/// unsatisfiable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lemma {
    /// The name of the step.
    pub name: &'static str,
    /// How it could fail.
    pub failure: Term,
}

#[derive(Default)]
struct Path {
    script: Vec<bool>,
    at: usize,
    taken: Vec<(Term, bool)>,
    assumed: Vec<Term>,
    broken: bool,
}

#[derive(Default)]
struct Run {
    mode: Mode,
    paths: Vec<Path>,
    witnesses: Vec<Term>,
    lemmas: Vec<Lemma>,
    fresh: u32,
}

thread_local! {
    static RUN: RefCell<Run> = RefCell::default();
}

/// One way through a function.
pub struct Leaf<T> {
    taken: Vec<(Term, bool)>,
    /// Under what it is taken, with what was assumed on the way.
    pub condition: Term,
    /// Whether the function broke the contract of a word on this way, which nothing but the
    /// impossibility of the way excuses.
    pub broken: bool,
    /// What comes out.
    pub value: T,
}

impl<T> Leaf<T> {
    /// How this way could be taken and what it claims of its value not hold.
    pub fn failure(&self, claim: impl Fn(&T) -> Term) -> Term {
        if self.broken {
            self.condition
        } else {
            term::and(&[self.condition, term::not(claim(&self.value))])
        }
    }
}

/// All ways through `function`.
pub fn ways<T>(function: impl Fn() -> T) -> Vec<Leaf<T>> {
    let mut leaves = Vec::new();
    let mut script = Vec::new();
    loop {
        RUN.with_borrow_mut(|run| {
            // Ways exclude each other, so they may use the same names for what they do not know.
            if run.paths.is_empty() {
                run.fresh = 0;
            }
            run.paths.push(Path {
                script: std::mem::take(&mut script),
                ..Path::default()
            });
        });
        let value = function();
        let path = RUN
            .with_borrow_mut(|run| run.paths.pop())
            .unwrap_or_default();
        let sides: Vec<Term> = path
            .taken
            .iter()
            .map(|(term, taken)| if *taken { *term } else { term::not(*term) })
            .chain(path.assumed.iter().copied())
            .collect();
        let answers: Vec<bool> = path.taken.iter().map(|(_, taken)| *taken).collect();
        leaves.push(Leaf {
            taken: path.taken,
            condition: term::and(&sides),
            broken: path.broken,
            value,
        });
        assert!(leaves.len() < 100_000, "too many ways through a function");
        script = answers;
        while script.last() == Some(&false) {
            script.pop();
        }
        match script.last_mut() {
            Some(last) => *last = false,
            None => return leaves,
        }
    }
}

/// The answer of a comparison on this way.
fn ask(question: Term) -> bool {
    let (question, straight) = term::plain(question);
    if let Term::Const(value) = question {
        return (value == 1) == straight;
    }
    let answer = RUN.with_borrow_mut(|run| {
        let said = run
            .paths
            .iter()
            .flat_map(|path| &path.taken)
            .find(|(asked, _)| *asked == question);
        if let Some((_, answer)) = said {
            return *answer;
        }
        let Some(path) = run.paths.last_mut() else {
            panic!("a comparison of terms outside of `ways`");
        };
        let answer = path.script.get(path.at).copied().unwrap_or(true);
        path.at += 1;
        path.taken.push((question, answer));
        answer
    });
    answer == straight
}

fn assume(fact: Term) {
    RUN.with_borrow_mut(|run| {
        if let Some(path) = run.paths.last_mut() {
            path.assumed.push(fact);
        }
    });
}

/// A count below the width, or any count on a way that is broken by it.
fn valid_count(count: u32, width: u32) -> Term {
    if count < width {
        return Term::Const(count.into());
    }
    RUN.with_borrow_mut(|run| {
        if let Some(path) = run.paths.last_mut() {
            path.broken = true;
        }
    });
    Term::Const(0)
}

/// Joins what came out of all ways, from the last decision to the first.
fn joined<T: Copy>(leaves: &[Leaf<T>], depth: usize, join: &impl Fn(Term, T, T) -> T) -> T {
    assert!(
        leaves.iter().all(|leaf| !leaf.broken),
        "a step breaks a contract"
    );
    let [first, ..] = leaves else {
        panic!("a function has at least one way");
    };
    let Some((question, _)) = first.taken.get(depth) else {
        return first.value;
    };
    let split = leaves.partition_point(|leaf| leaf.taken.get(depth).is_some_and(|(_, yes)| *yes));
    let (yes, no) = leaves.split_at(split);
    join(
        *question,
        joined(yes, depth + 1, join),
        joined(no, depth + 1, join),
    )
}

/// The formula of a question that makes comparisons but takes no steps.
pub fn formula(question: impl Fn() -> bool) -> Term {
    let leaves = ways(|| Term::Const(question().into()));
    joined(&leaves, 0, &|condition, yes, no| {
        term::either(condition, yes, no, 0)
    })
}

/// Begins a proof: how it takes steps, and of which numbers it asks whether they are kept.
pub fn begin(mode: Mode, witnesses: &[Term]) {
    RUN.with_borrow_mut(|run| {
        run.mode = mode;
        run.witnesses = witnesses.to_vec();
        run.paths.clear();
        run.lemmas.clear();
    });
}

/// The lemmas used since [`begin`].
pub fn lemmas() -> Vec<Lemma> {
    RUN.with_borrow(|run| run.lemmas.clone())
}

/// An unsigned word of `N` bits.
#[derive(Clone, Copy, Debug)]
pub struct Sym<const N: u32>(pub Term);

/// A word of `N` bits in two's complement.
#[derive(Clone, Copy, Debug)]
pub struct SymI<const N: u32>(pub Term);

macro_rules! compared {
    ($word:ident, $less:literal, $at_most:literal) => {
        impl<const N: u32> PartialEq for $word<N> {
            fn eq(&self, other: &Self) -> bool {
                ask(term::compare("=", self.0, other.0, N))
            }
        }
        impl<const N: u32> Eq for $word<N> {}
        impl<const N: u32> Hash for $word<N> {
            fn hash<H: Hasher>(&self, _: &mut H) {}
        }
        impl<const N: u32> PartialOrd for $word<N> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
            fn lt(&self, other: &Self) -> bool {
                ask(term::compare($less, self.0, other.0, N))
            }
            fn le(&self, other: &Self) -> bool {
                ask(term::compare($at_most, self.0, other.0, N))
            }
            fn gt(&self, other: &Self) -> bool {
                ask(term::compare($less, other.0, self.0, N))
            }
            fn ge(&self, other: &Self) -> bool {
                ask(term::compare($at_most, other.0, self.0, N))
            }
        }
        impl<const N: u32> Ord for $word<N> {
            fn cmp(&self, other: &Self) -> Ordering {
                if self == other {
                    Ordering::Equal
                } else if self < other {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            fn max(self, other: Self) -> Self {
                let less = term::compare($less, self.0, other.0, N);
                $word(term::either(less, other.0, self.0, N))
            }
            fn min(self, other: Self) -> Self {
                let less = term::compare($less, other.0, self.0, N);
                $word(term::either(less, other.0, self.0, N))
            }
        }
    };
}

compared!(Sym, "bvult", "bvule");
compared!(SymI, "bvslt", "bvsle");

macro_rules! bitwise {
    ($($tr:ident $f:ident $operator:literal),*) => {$(
        impl<const N: u32> $tr for Sym<N> {
            type Output = Self;
            fn $f(self, other: Self) -> Self {
                Sym(term::binary($operator, self.0, other.0, N))
            }
        }
    )*};
}

bitwise!(BitAnd bitand "bvand", BitOr bitor "bvor", BitXor bitxor "bvxor");

impl<const N: u32> Not for Sym<N> {
    type Output = Self;
    fn not(self) -> Self {
        Sym(term::complement(self.0, N))
    }
}

/// A number as a word.
pub fn number<const N: u32>(value: u64) -> Sym<N> {
    Sym(Term::Const(value & term::mask(N)))
}

impl<const N: u32> Word for Sym<N> {
    type Signed = SymI<N>;
    const BITS: u32 = N;
    const ZERO: Self = Sym(Term::Const(0));
    const ONE: Self = Sym(Term::Const(1));
    const MAX: Self = Sym(Term::Const(u64::MAX >> (64 - N)));
    fn add_carry(self, other: Self) -> (Self, bool) {
        let sum = self.plus(other);
        (sum, sum < self)
    }
    fn sub_borrow(self, other: Self) -> (Self, bool) {
        (self.minus(other), self < other)
    }
    fn plus(self, other: Self) -> Self {
        Sym(term::binary("bvadd", self.0, other.0, N))
    }
    fn minus(self, other: Self) -> Self {
        Sym(term::binary("bvsub", self.0, other.0, N))
    }
    fn mul_checked(self, other: Self) -> Option<Self> {
        let overflow = term::product_overflows("bvumulo", self.0, other.0, N);
        (!ask(overflow)).then(|| Sym(term::binary("bvmul", self.0, other.0, N)))
    }
    fn shl(self, count: u32) -> Self {
        Sym(term::binary("bvshl", self.0, valid_count(count, N), N))
    }
    fn shr(self, count: u32) -> Self {
        Sym(term::binary("bvlshr", self.0, valid_count(count, N), N))
    }
    fn leading_zero_bits(self) -> u32 {
        (0..N)
            .find(|zeros| {
                ask(term::not(term::compare(
                    "=",
                    self.shr(N - 1 - zeros).0,
                    Term::Const(0),
                    N,
                )))
            })
            .unwrap_or(N)
    }
    fn filled(self) -> Self {
        let mut filled = self;
        let mut distance = 1;
        while distance < N {
            filled = filled | filled.shr(distance);
            distance *= 2;
        }
        filled
    }
    fn signed(self) -> SymI<N> {
        SymI(self.0)
    }
    fn count(self) -> u32 {
        (0..N)
            .find(|count| self == number((*count).into()))
            .unwrap_or(u32::MAX)
    }
    fn is_below(self, limit: u32) -> bool {
        self < number(limit.into())
    }
    fn decided(question: impl Fn() -> bool) -> bool {
        ask(formula(question))
    }
    fn bounds(compute: impl Fn() -> Bounds<Self>) -> Bounds<Self> {
        joined(&ways(compute), 0, &|condition, yes, no| {
            let either = |yes: Term, no: Term| term::either(condition, yes, no, N);
            Bounds {
                umin: Sym(either(yes.umin.0, no.umin.0)),
                umax: Sym(either(yes.umax.0, no.umax.0)),
                smin: SymI(either(yes.smin.0, no.smin.0)),
                smax: SymI(either(yes.smax.0, no.smax.0)),
            }
        })
    }
}

impl<const N: u32> SignedWord for SymI<N> {
    type Unsigned = Sym<N>;
    const MIN: Self = SymI(Term::Const(1 << (N - 1)));
    const MAX: Self = SymI(Term::Const((u64::MAX >> (64 - N)) >> 1));
    const ZERO: Self = SymI(Term::Const(0));
    fn add_checked(self, other: Self) -> Option<Self> {
        let sum = self.unsigned().plus(other.unsigned());
        // It overflows when its sign is that of neither operand.
        let wrong = (self.unsigned() ^ sum) & (other.unsigned() ^ sum);
        (wrong.signed() >= Self::ZERO).then(|| sum.signed())
    }
    fn sub_checked(self, other: Self) -> Option<Self> {
        let difference = self.unsigned().minus(other.unsigned());
        let wrong = (self.unsigned() ^ other.unsigned()) & (self.unsigned() ^ difference);
        (wrong.signed() >= Self::ZERO).then(|| difference.signed())
    }
    fn mul_checked(self, other: Self) -> Option<Self> {
        let overflow = term::product_overflows("bvsmulo", self.0, other.0, N);
        (!ask(overflow)).then(|| SymI(term::binary("bvmul", self.0, other.0, N)))
    }
    fn sar(self, count: u32) -> Self {
        SymI(term::binary("bvashr", self.0, valid_count(count, N), N))
    }
    fn unsigned(self) -> Sym<N> {
        Sym(self.0)
    }
}

/// Any scalar: bits and bounds are free variables whose names begin with `name`.
pub fn any_scalar<const N: u32, const H: u32>(name: &str) -> ScalarOf<Sym<N>>
where
    Sym<N>: Wide<Half = Sym<H>, Signed = SymI<N>>,
{
    let whole = |part: &str| term::variable(&format!("{name}_{part}"), N);
    let half = |part: &str| term::variable(&format!("{name}_{part}"), H);
    ScalarOf {
        var_off: TnumOf {
            value: Sym(whole("value")),
            mask: Sym(whole("mask")),
        },
        smin: SymI(whole("smin")),
        smax: SymI(whole("smax")),
        umin: Sym(whole("umin")),
        umax: Sym(whole("umax")),
        s32_min: SymI(half("s32_min")),
        s32_max: SymI(half("s32_max")),
        u32_min: Sym(half("u32_min")),
        u32_max: Sym(half("u32_max")),
    }
}

fn either<const N: u32, const H: u32>(
    condition: Term,
    yes: ScalarOf<Sym<N>>,
    no: ScalarOf<Sym<N>>,
) -> ScalarOf<Sym<N>>
where
    Sym<N>: Wide<Half = Sym<H>, Signed = SymI<N>>,
{
    let whole = |yes: Term, no: Term| term::either(condition, yes, no, N);
    let half = |yes: Term, no: Term| term::either(condition, yes, no, H);
    ScalarOf {
        var_off: TnumOf {
            value: Sym(whole(yes.var_off.value.0, no.var_off.value.0)),
            mask: Sym(whole(yes.var_off.mask.0, no.var_off.mask.0)),
        },
        smin: SymI(whole(yes.smin.0, no.smin.0)),
        smax: SymI(whole(yes.smax.0, no.smax.0)),
        umin: Sym(whole(yes.umin.0, no.umin.0)),
        umax: Sym(whole(yes.umax.0, no.umax.0)),
        s32_min: SymI(half(yes.s32_min.0, no.s32_min.0)),
        s32_max: SymI(half(yes.s32_max.0, no.s32_max.0)),
        u32_min: Sym(half(yes.u32_min.0, no.u32_min.0)),
        u32_max: Sym(half(yes.u32_max.0, no.u32_max.0)),
    }
}

fn narrowing<const N: u32, const H: u32>(
    name: &'static str,
    scalar: ScalarOf<Sym<N>>,
    step: impl Fn(ScalarOf<Sym<N>>) -> ScalarOf<Sym<N>>,
) -> ScalarOf<Sym<N>>
where
    Sym<N>: Wide<Half = Sym<H>, Signed = SymI<N>>,
{
    if RUN.with_borrow(|run| run.mode) == Mode::Whole {
        return joined(&ways(|| step(scalar)), 0, &either);
    }
    let known = RUN.with_borrow(|run| run.lemmas.iter().any(|lemma| lemma.name == name));
    if !known {
        // The lemma is of any scalar, so nothing of the way here may enter it.
        let member = Sym(term::variable("member", N));
        let (paths, witnesses, fresh) = RUN.with_borrow_mut(|run| {
            let witnesses = std::mem::replace(&mut run.witnesses, vec![member.0]);
            run.lemmas.push(Lemma {
                name,
                failure: FALSE,
            });
            (std::mem::take(&mut run.paths), witnesses, run.fresh)
        });
        let any = any_scalar("any");
        let before = formula(|| any.contains(member));
        let losses: Vec<Term> = ways(|| step(any))
            .into_iter()
            .map(|leaf| leaf.failure(|after| formula(|| after.contains(member))))
            .collect();
        let failure = term::and(&[before, term::or(&losses)]);
        RUN.with_borrow_mut(|run| {
            run.paths = paths;
            run.witnesses = witnesses;
            run.fresh = fresh;
            for lemma in &mut run.lemmas {
                if lemma.name == name {
                    lemma.failure = failure;
                }
            }
        });
    }
    let (witnesses, count) = RUN.with_borrow_mut(|run| {
        run.fresh += 1;
        (run.witnesses.clone(), run.fresh)
    });
    let after = any_scalar(&format!("after{count}"));
    for witness in witnesses {
        let kept = term::implies(
            formula(|| scalar.contains(Sym(witness))),
            formula(|| after.contains(Sym(witness))),
        );
        assume(kept);
    }
    after
}

macro_rules! wide {
    ($whole:literal, $half:literal) => {
        impl Wide for Sym<$whole> {
            type Half = Sym<$half>;
            fn low(self) -> Sym<$half> {
                Sym(term::extract(self.0, 0, $half, $whole))
            }
            fn high(self) -> Sym<$half> {
                Sym(term::extract(self.0, $half, $half, $whole))
            }
            fn from_half(half: Sym<$half>) -> Self {
                Sym(term::extend(half.0, false, $half))
            }
            fn from_signed_half(half: SymI<$half>) -> SymI<$whole> {
                SymI(term::extend(half.0, true, $half))
            }
            fn narrowing(
                name: &'static str,
                scalar: ScalarOf<Self>,
                step: impl Fn(ScalarOf<Self>) -> ScalarOf<Self>,
            ) -> ScalarOf<Self> {
                narrowing::<$whole, $half>(name, scalar, step)
            }
        }

        impl Bytes for Sym<$whole> {
            fn swap_bytes(self) -> Self {
                let mut swapped = Self::ZERO;
                for byte in 0..$whole / 8 {
                    let low = self.shr(8 * byte) & number(0xff);
                    swapped = swapped | low.shl($whole - 8 - 8 * byte);
                }
                swapped
            }
        }
    };
}

wide!(64, 32);
wide!(32, 16);

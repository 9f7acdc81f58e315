//! What is claimed of each operator at full width, as formulas that must have no solution.

use skep_domain::{
    Alu, Bounds, Bytes, Cmp, ScalarOf, TnumOf, Wide, Word, alu32, alu64, branch_taken, fork_sign,
    pointer_add, pointer_sub, refine, refine_same, steps,
};

use super::symbolic::{self, Mode, Sym, SymI, any_scalar, formula, number, ways};
use super::term::{self, TRUE, Term};

/// What the solver takes the terms for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Theory {
    /// Bit vectors.
    Bits,
    /// Whole numbers, the concrete operands being signed or not.
    Integers {
        /// Whether they are.
        signed: bool,
    },
}

/// One claim.
pub struct Claim {
    /// The operator, as the table names it.
    pub name: String,
    /// How steps are taken in it.
    pub mode: Mode,
    /// Over which numbers the solver is asked.
    pub theory: Theory,
    /// Whether it is wrong on purpose, and must be refuted: a solver that finds nothing anywhere
    /// would prove everything.
    pub is_wrong: bool,
    /// How it could fail: it holds when this cannot be satisfied.
    pub failure: Box<dyn Fn() -> Term>,
}

/// Every operation of [`alu64`] and [`alu32`].
pub const ALU: [Alu; 12] = [
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

/// Every comparison.
pub const CMP: [Cmp; 11] = [
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

/// What a machine computes; of divisions, which the domain does not follow, any number.
fn machine<const N: u32>(op: Alu, a: Sym<N>, b: Sym<N>) -> Sym<N> {
    let plain = |operator| Sym(term::binary(operator, a.0, b.0, N));
    let count = (b & number(u64::from(N) - 1)).0;
    let shift = |operator| Sym(term::binary(operator, a.0, count, N));
    match op {
        Alu::Add => plain("bvadd"),
        Alu::Sub => plain("bvsub"),
        Alu::Mul => plain("bvmul"),
        Alu::Or => plain("bvor"),
        Alu::And => plain("bvand"),
        Alu::Xor => plain("bvxor"),
        Alu::Lsh => shift("bvshl"),
        Alu::Rsh => shift("bvlshr"),
        Alu::Arsh => shift("bvashr"),
        Alu::Neg => Sym(term::binary("bvsub", Term::Const(0), a.0, N)),
        Alu::Div | Alu::Mod => Sym(term::variable("quotient", N)),
    }
}

/// Whether the machine jumps.
fn jumps<const N: u32>(op: Cmp, a: Sym<N>, b: Sym<N>) -> Term {
    let compare = |operator, a: Sym<N>, b: Sym<N>| term::compare(operator, a.0, b.0, N);
    match op {
        Cmp::Eq => compare("=", a, b),
        Cmp::Ne => term::not(compare("=", a, b)),
        Cmp::Gt => compare("bvult", b, a),
        Cmp::Ge => compare("bvule", b, a),
        Cmp::Lt => compare("bvult", a, b),
        Cmp::Le => compare("bvule", a, b),
        Cmp::Set => term::not(compare("=", a & b, number(0))),
        Cmp::Sgt => compare("bvslt", b, a),
        Cmp::Sge => compare("bvsle", b, a),
        Cmp::Slt => compare("bvslt", a, b),
        Cmp::Sle => compare("bvsle", a, b),
    }
}

/// How a function can fail: on some way, given `before`, what it claims does not hold.
fn fails<T>(before: Term, function: impl Fn() -> T, claim: impl Fn(&T) -> Term) -> Term {
    let failures: Vec<Term> = ways(function)
        .into_iter()
        .map(|leaf| leaf.failure(&claim))
        .collect();
    term::and(&[before, term::or(&failures)])
}

/// How an operator can lose a number that `given` members of its operands make.
fn loses<const N: u32>(
    given: Term,
    result: Sym<N>,
    mode: Mode,
    function: impl Fn() -> ScalarOf<Sym<N>>,
) -> Term
where
    Sym<N>: Wide,
{
    symbolic::begin(mode, &[result.0]);
    fails(given, function, |scalar| {
        formula(|| scalar.contains(result))
    })
}

/// The claims about tristate numbers of `N` bits.
pub fn tnums<const N: u32>() -> Vec<Claim> {
    type Op<const N: u32> = fn(TnumOf<Sym<N>>, TnumOf<Sym<N>>) -> TnumOf<Sym<N>>;
    let any = |name: &str| TnumOf {
        value: Sym::<N>(term::variable(&format!("{name}_value"), N)),
        mask: Sym(term::variable(&format!("{name}_mask"), N)),
    };
    let (a, b) = (any("a"), any("b"));
    let member = |name: &str| Sym::<N>(term::variable(name, N));
    let (x, y) = (member("x"), member("y"));
    let within = move |t: TnumOf<Sym<N>>, x: Sym<N>| formula(|| t.contains(x));
    let both = move || term::and(&[within(a, x), within(b, y)]);
    let mut claims = Vec::new();
    let mut claim = |name: String, failure: Box<dyn Fn() -> Term>| {
        claims.push(Claim {
            name: format!("tnum {name}"),
            mode: Mode::Whole,
            theory: Theory::Bits,
            is_wrong: false,
            failure: Box::new(move || {
                symbolic::begin(Mode::Whole, &[]);
                failure()
            }),
        });
    };
    let operators: [(&str, Op<N>, Alu); 6] = [
        ("add", TnumOf::add, Alu::Add),
        ("sub", TnumOf::sub, Alu::Sub),
        ("and", TnumOf::and, Alu::And),
        ("or", TnumOf::or, Alu::Or),
        ("xor", TnumOf::xor, Alu::Xor),
        ("neg", |a, _| a.neg(), Alu::Neg),
    ];
    for (name, operator, op) in operators {
        let failure = move || fails(both(), || operator(a, b), |t| within(*t, machine(op, x, y)));
        claim(name.to_owned(), Box::new(failure));
    }
    for (name, op) in [("shl", Alu::Lsh), ("shr", Alu::Rsh), ("arsh", Alu::Arsh)] {
        let failure = move || {
            let failures: Vec<Term> = (0..N)
                .map(|count| {
                    let shifted = || match op {
                        Alu::Lsh => a.shl(count),
                        Alu::Rsh => a.shr(count),
                        _ => a.arsh(count),
                    };
                    let result = machine(op, x, number(count.into()));
                    fails(within(a, x), shifted, |t| within(*t, result))
                })
                .collect();
            term::or(&failures)
        };
        claim(format!("{name}, every count"), Box::new(failure));
    }
    let failure = move || {
        fails(
            both(),
            || a.union(b),
            |t| term::and(&[within(*t, x), within(*t, y)]),
        )
    };
    claim("union".to_owned(), Box::new(failure));
    let failure = move || {
        let before = term::and(&[within(a, x), within(b, x)]);
        fails(
            before,
            || (a.intersect(b), a.overlaps(b)),
            |(t, overlaps)| term::and(&[within(*t, x), Term::Const((*overlaps).into())]),
        )
    };
    claim("intersect, overlaps".to_owned(), Box::new(failure));
    let failure = move || {
        fails(
            both(),
            || a.includes(b),
            |includes| term::implies(Term::Const((*includes).into()), within(a, y)),
        )
    };
    claim("includes".to_owned(), Box::new(failure));
    let failure = move || {
        let (min, max) = (member("min"), member("max"));
        let before = term::and(&[
            term::compare("bvule", min.0, x.0, N),
            term::compare("bvule", x.0, max.0, N),
        ]);
        fails(before, || TnumOf::range(min, max), |t| within(*t, x))
    };
    claim("range".to_owned(), Box::new(failure));
    let failure = move || {
        // Of any member above, the answer is one that is not further away.
        let below = member("below");
        let given = term::and(&[within(a, x), term::compare("bvult", below.0, x.0, N)]);
        let found = |next: &Option<Sym<N>>| match next {
            None => term::not(given),
            Some(next) => term::and(&[
                within(a, *next),
                term::compare("bvult", below.0, next.0, N),
                term::implies(given, term::compare("bvule", next.0, x.0, N)),
            ]),
        };
        fails(within(a, y), || a.next_above(below), found)
    };
    claim("next_above".to_owned(), Box::new(failure));
    let failure = move || {
        let (sum, z) = (any("sum"), member("z"));
        let before = term::and(&[both(), within(sum, z)]);
        let odd = term::compare("=", (x & number(1)).0, Term::Const(1), N);
        let next = z.plus(Sym(term::either(odd, y.0, Term::Const(0), N)));
        fails(
            before,
            || steps::tnum_mul_step(a, b, sum),
            |(a, b, sum)| {
                term::and(&[
                    within(*a, x.shr(1)),
                    within(*b, y.shl(1)),
                    within(*sum, next),
                ])
            },
        )
    };
    claim("mul, one round".to_owned(), Box::new(failure));
    let failure = move || {
        // What one round keeps: factor * summand + sum. The factor is 2 * half + bit.
        let half = member("half") & Sym::low_mask(N - 1);
        let bit = member("bit") & number(1);
        let times = |a: Sym<N>, b: Sym<N>| Sym::<N>(term::binary("bvmul", a.0, b.0, N));
        let two = number::<N>(2);
        let before = times(times(two, half).plus(bit), y);
        let after = times(half, times(two, y)).plus(times(bit, y));
        term::not(term::compare("=", before.0, after.0, N))
    };
    claim("mul, what a round keeps".to_owned(), Box::new(failure));
    claims
}

/// The claims about the bounds of a product of words of `N` bits: those of each sign.
pub fn products<const N: u32>() -> Vec<Claim> {
    let bounds = |name: &str| {
        let part = |part: &str| term::variable(&format!("{name}_{part}"), N);
        Bounds {
            umin: Sym::<N>(part("umin")),
            umax: Sym(part("umax")),
            smin: SymI(part("smin")),
            smax: SymI(part("smax")),
        }
    };
    let (a, b) = (bounds("a"), bounds("b"));
    let member = |name: &str| Sym::<N>(term::variable(name, N));
    let (x, y) = (member("x"), member("y"));
    let claim = |signed: bool| {
        let within = move |bounds: Bounds<Sym<N>>, x: Sym<N>| {
            formula(|| {
                if signed {
                    bounds.smin <= x.signed() && x.signed() <= bounds.smax
                } else {
                    bounds.umin <= x && x <= bounds.umax
                }
            })
        };
        let failure = move || {
            symbolic::begin(Mode::Whole, &[]);
            let before = term::and(&[within(a, x), within(b, y)]);
            let product = machine(Alu::Mul, x, y);
            let function = || steps::bounds_mul(&a, &b);
            fails(before, function, |result| within(*result, product))
        };
        let kind = if signed { "signed" } else { "unsigned" };
        Claim {
            name: format!("bounds mul, {kind}"),
            mode: Mode::Whole,
            theory: Theory::Integers { signed },
            is_wrong: false,
            failure: Box::new(failure),
        }
    };
    vec![claim(false), claim(true)]
}

/// The claims about scalars of `N` bits with a half of `H`.
pub fn scalars<const N: u32, const H: u32>(mode: Mode) -> Vec<Claim>
where
    Sym<N>: Bytes + Wide<Half = Sym<H>, Signed = SymI<N>>,
{
    let (a, b) = (any_scalar::<N, H>("a"), any_scalar::<N, H>("b"));
    let member = |name: &str| Sym::<N>(term::variable(name, N));
    let (x, y) = (member("x"), member("y"));
    let within = move |s: ScalarOf<Sym<N>>, x: Sym<N>| formula(|| s.contains(x));
    let both = move || term::and(&[within(a, x), within(b, y)]);
    let mut claims = Vec::new();
    let mut claim = |name: String, failure: Box<dyn Fn() -> Term>| {
        claims.push(Claim {
            name,
            mode,
            theory: Theory::Bits,
            is_wrong: false,
            failure,
        });
    };
    for op in ALU.into_iter().filter(|op| *op != Alu::Mul) {
        let failure = move || {
            symbolic::begin(mode, &[]);
            loses(both(), machine(op, x, y), mode, || {
                let mut result = a;
                alu64(op, &mut result, &b);
                result
            })
        };
        claim(format!("alu{N} {op:?}"), Box::new(failure));
        let failure = move || {
            symbolic::begin(mode, &[]);
            let result = Wide::from_half(machine(op, x.low(), y.low()));
            loses(both(), result, mode, || {
                let mut result = a;
                alu32(op, &mut result, &b);
                result
            })
        };
        claim(format!("alu{H} {op:?}"), Box::new(failure));
    }
    let failure = move || {
        symbolic::begin(mode, &[]);
        loses(both(), x.plus(y).plus(number(1)), mode, || {
            let mut result = a;
            alu64(Alu::Add, &mut result, &b);
            result
        })
    };
    claim("control: a wrong sum".to_owned(), Box::new(failure));
    type Change<const N: u32> = Box<dyn Fn(&mut ScalarOf<Sym<N>>)>;
    let mut unary: Vec<(String, Change<N>, Sym<N>)> = vec![
        ("sync".to_owned(), Box::new(ScalarOf::sync), x),
        (
            "mov32".to_owned(),
            Box::new(ScalarOf::mov32),
            Wide::from_half(x.low()),
        ),
    ];
    for bits in [8, 16, 32].into_iter().filter(|bits| *bits < N) {
        let kept = x & Sym::low_mask(bits);
        let change = move |s: &mut ScalarOf<Sym<N>>| s.truncate_bits(bits);
        unary.push((format!("truncate to {bits}"), Box::new(change), kept));
    }
    for bits in [8, 16, 32].into_iter().filter(|bits| *bits <= H) {
        let extended = machine(Alu::Arsh, x.shl(N - bits), number(u64::from(N - bits)));
        let change = move |s: &mut ScalarOf<Sym<N>>| s.movsx64(bits);
        unary.push((format!("movsx{N} {bits}"), Box::new(change), extended));
        if bits < H {
            let low = x.low().shl(H - bits);
            let extended = machine(Alu::Arsh, low, number(u64::from(H - bits)));
            let change = move |s: &mut ScalarOf<Sym<N>>| s.movsx32(bits);
            unary.push((
                format!("movsx{H} {bits}"),
                Box::new(change),
                Wide::from_half(extended),
            ));
        }
    }
    for size in [2, 4, 8].into_iter().filter(|size| 8 * size <= N) {
        let swapped = x.swap_bytes().shr(N - 8 * size);
        let change = move |s: &mut ScalarOf<Sym<N>>| s.byte_swap(size);
        unary.push((format!("byte swap {size}"), Box::new(change), swapped));
    }
    for (name, change, result) in unary {
        let failure = move || {
            symbolic::begin(mode, &[]);
            loses(within(a, x), result, mode, || {
                let mut changed = a;
                change(&mut changed);
                changed
            })
        };
        claim(name, Box::new(failure));
    }
    let failure = move || {
        symbolic::begin(mode, &[]);
        loses(both(), x.plus(y), mode, || pointer_add(&a, &b))
    };
    claim("pointer +".to_owned(), Box::new(failure));
    let failure = move || {
        symbolic::begin(mode, &[]);
        loses(both(), x.minus(y), mode, || pointer_sub(&a, &b))
    };
    claim("pointer -".to_owned(), Box::new(failure));
    let failure = move || {
        symbolic::begin(mode, &[]);
        fails(
            both(),
            || a.includes(&b),
            |includes| term::implies(Term::Const((*includes).into()), within(a, y)),
        )
    };
    claim("includes".to_owned(), Box::new(failure));
    for op in [Alu::And, Alu::Or] {
        let failure = move || {
            symbolic::begin(mode, &[]);
            fails(
                within(a, x),
                || fork_sign(op, &a, &b),
                |forks| match forks {
                    None => TRUE,
                    Some((minus_one, zero)) => term::or(&[within(*minus_one, x), within(*zero, x)]),
                },
            )
        };
        claim(format!("fork sign before {op:?}"), Box::new(failure));
    }
    for op in CMP {
        for is_jmp32 in [false, true] {
            let width = if is_jmp32 { H } else { N };
            let holds = move |x: Sym<N>, y: Sym<N>| {
                if is_jmp32 {
                    jumps(op, x.low(), y.low())
                } else {
                    jumps(op, x, y)
                }
            };
            let failure = move || {
                symbolic::begin(mode, &[]);
                fails(
                    both(),
                    || branch_taken(op, &a, &b, is_jmp32),
                    |taken| match taken {
                        None => TRUE,
                        Some(true) => holds(x, y),
                        Some(false) => term::not(holds(x, y)),
                    },
                )
            };
            claim(format!("branch_taken {op:?} {width}"), Box::new(failure));
            for outcome in [true, false] {
                let side = if outcome { "taken" } else { "not taken" };
                let given = move |x, y| {
                    if outcome {
                        holds(x, y)
                    } else {
                        term::not(holds(x, y))
                    }
                };
                let failure = move || {
                    symbolic::begin(mode, &[x.0, y.0]);
                    let before = term::and(&[both(), given(x, y)]);
                    let refined = || {
                        let refined = refine(op, &a, &b, is_jmp32);
                        if outcome {
                            refined.taken
                        } else {
                            refined.fallthrough
                        }
                    };
                    fails(before, refined, |(left, right)| {
                        term::and(&[within(*left, x), within(*right, y)])
                    })
                };
                claim(format!("refine {op:?} {width}, {side}"), Box::new(failure));
                let failure = move || {
                    symbolic::begin(mode, &[x.0]);
                    let before = term::and(&[within(a, x), given(x, x)]);
                    let refined = || {
                        let (taken, other) = refine_same(op, &a, is_jmp32);
                        if outcome { taken } else { other }
                    };
                    fails(before, refined, |same| within(*same, x))
                };
                claim(
                    format!("refine same {op:?} {width}, {side}"),
                    Box::new(failure),
                );
            }
        }
    }
    for claim in &mut claims {
        claim.is_wrong = claim.name.starts_with("control");
    }
    claims
}

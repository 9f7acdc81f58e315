//! Every operator on scalars: does the result hold every concrete result?

use skep_domain::{
    Alu, Cmp, ScalarOf, SignedWord, TnumOf, Wide, Word, alu32, alu64, branch_taken, fork_sign,
    pointer_add, pointer_sub, refine, refine_same,
};

use super::super::small::machine;
use super::sets::{all, holds_all, numbers, one, those};
use super::values::{Value, every_raw};
use super::{Row, show};

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

/// The image of a set.
fn image<W: Word>(set: u64, word: impl Fn(u32) -> W, function: impl Fn(W) -> W) -> u64 {
    numbers(set).fold(0, |image, x| image | one(function(word(x))))
}

/// What the machine computes of an operation that the domain does not follow: any number, so
/// that zero is as good as another; the result must be unknown then.
fn concrete<W: Word>(op: Alu, x: W, y: W) -> W {
    machine(op, x, y).unwrap_or(W::ZERO)
}

/// Every scalar of a tnum and four intervals, contradictory ones left out: does `sync` keep
/// its numbers?
///
/// `halves` is whether the intervals of the low half are tried too, or left open.
pub fn every_sync<W: Wide>(
    word: impl Fn(u32) -> W,
    half: impl Fn(u32) -> W::Half,
    halves: bool,
) -> Row {
    let name = if halves {
        "sync, all eight bounds"
    } else {
        "sync, full bounds"
    };
    let mut row = Row::new(name);
    every_raw(word, half, halves, |raw, members| {
        let mut synced = raw;
        synced.sync();
        row.case(holds_all(&synced, members), || show(&[&raw, &synced]));
    });
    row
}

/// Every operator of one operand.
pub fn one_operand<W: Wide>(values: &[Value<W>], word: impl Fn(u32) -> W) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut run = |name: String, change: &dyn Fn(&mut ScalarOf<W>), machine: &dyn Fn(W) -> W| {
        let mut row = Row::new(name);
        for value in values {
            let mut result = value.scalar;
            change(&mut result);
            let image = image(value.members, &word, machine);
            row.case(holds_all(&result, image), || {
                show(&[&value.scalar, &result])
            });
        }
        rows.push(row);
    };
    run("mov32".to_owned(), &|s| s.mov32(), &|x| {
        W::from_half(x.low())
    });
    for bits in 1..=W::BITS {
        let keep = W::low_mask(bits);
        run(
            format!("truncate to {bits}"),
            &|s| s.truncate_bits(bits),
            &|x| x & keep,
        );
    }
    for bits in 1..=W::Half::BITS {
        let spare = W::BITS - bits;
        run(
            format!("movsx, whole, {bits}"),
            &|s| s.movsx64(bits),
            &|x| x.shl(spare).signed().sar(spare).unsigned(),
        );
    }
    for bits in 1..W::Half::BITS {
        let spare = W::Half::BITS - bits;
        run(format!("movsx, half, {bits}"), &|s| s.movsx32(bits), &|x| {
            W::from_half(x.low().shl(spare).signed().sar(spare).unsigned())
        });
    }
    for op in [Alu::And, Alu::Or] {
        let mut row = Row::new(format!("fork sign before {op:?}, every constant"));
        for value in values {
            for constant in numbers(all::<W>()).map(&word).map(ScalarOf::known) {
                if let Some((p, q)) = fork_sign(op, &value.scalar, &constant) {
                    let mut members = numbers(value.members).map(&word);
                    let kept = members.all(|x| p.contains(x) || q.contains(x));
                    row.case(kept, || show(&[&value.scalar, &p, &q]));
                }
            }
        }
        rows.push(row);
    }
    for op in CMP {
        for is_jmp32 in [false, true] {
            let width = if is_jmp32 { "half" } else { "whole" };
            let mut row = Row::new(format!("refine same {op:?}, {width}"));
            for value in values {
                let (taken, other) = refine_same(op, &value.scalar, is_jmp32);
                let jumps = |x: &u32| {
                    let x = word(*x);
                    if is_jmp32 {
                        op.holds(x.low(), x.low())
                    } else {
                        op.holds(x, x)
                    }
                };
                let goes = numbers(value.members)
                    .filter(jumps)
                    .fold(0, |set, x| set | 1 << x);
                let stays = value.members & !goes;
                let decided = branch_taken(op, &value.scalar, &value.scalar, is_jmp32);
                let holds = holds_all(&taken, goes)
                    && holds_all(&other, stays)
                    && agrees(decided, goes, stays);
                row.case(holds, || show(&[&value.scalar, &taken, &other]));
            }
            rows.push(row);
        }
    }
    rows
}

fn agrees(decided: Option<bool>, taken: u64, not_taken: u64) -> bool {
    match decided {
        None => true,
        Some(true) => not_taken == 0,
        Some(false) => taken == 0,
    }
}

/// Every operator of two operands; `partners` names, for each left operand, the right ones.
pub fn two_operands<W: Wide + 'static>(
    values: &[Value<W>],
    word: impl Fn(u32) -> W,
    partners: impl Fn(usize) -> Vec<Value<W>>,
) -> Vec<Row> {
    let numbers_of = |set| numbers(set).map(&word);
    let size = 1usize << W::BITS;
    let mut arithmetic: Vec<Arithmetic<W>> = Vec::new();
    for op in ALU {
        let table = |function: &dyn Fn(W, W) -> W| -> Vec<u8> {
            numbers_of(all::<W>())
                .flat_map(|y| numbers_of(all::<W>()).map(move |x| (x, y)))
                .map(|(x, y)| function(x, y).count() as u8)
                .collect()
        };
        arithmetic.push(Arithmetic {
            row: Row::new(format!("alu {op:?}, whole")),
            table: table(&|x, y| concrete(op, x, y)),
            run: Box::new(move |a, b| {
                let mut result = *a;
                alu64(op, &mut result, b);
                result
            }),
        });
        arithmetic.push(Arithmetic {
            row: Row::new(format!("alu {op:?}, half")),
            table: table(&|x, y| W::from_half(concrete(op, x.low(), y.low()))),
            run: Box::new(move |a, b| {
                let mut result = *a;
                alu32(op, &mut result, b);
                result
            }),
        });
        if let Alu::Add | Alu::Sub = op {
            let pointer = if op == Alu::Add {
                pointer_add
            } else {
                pointer_sub
            };
            arithmetic.push(Arithmetic {
                row: Row::new(format!("pointer {op:?}")),
                table: table(&|x, y| concrete(op, x, y)),
                run: Box::new(pointer),
            });
        }
    }
    let mut comparisons: Vec<Comparison> = Vec::new();
    for op in CMP {
        for is_jmp32 in [false, true] {
            let jumps = |x: W, y: W| {
                if is_jmp32 {
                    op.holds(x.low(), y.low())
                } else {
                    op.holds(x, y)
                }
            };
            let width = if is_jmp32 { "half" } else { "whole" };
            comparisons.push(Comparison {
                op,
                is_jmp32,
                taken_row: Row::new(format!("branch_taken {op:?}, {width}")),
                row: Row::new(format!("refine {op:?}, {width}, both outcomes")),
                left: numbers_of(all::<W>())
                    .map(|y| those(&word, |x| jumps(x, y)))
                    .collect(),
            });
        }
    }
    for (at, a) in values.iter().enumerate() {
        let partners = partners(at);
        for arithmetic in &mut arithmetic {
            arithmetic.try_all(a, &partners, size);
        }
        for comparison in &mut comparisons {
            comparison.try_all(a, &partners);
        }
    }
    let mut rows: Vec<Row> = arithmetic.into_iter().map(|done| done.row).collect();
    for done in comparisons {
        rows.extend([done.taken_row, done.row]);
    }
    rows
}

type Binary<W> = Box<dyn Fn(&ScalarOf<W>, &ScalarOf<W>) -> ScalarOf<W>>;

struct Arithmetic<W: Wide> {
    row: Row,
    /// The result for each right operand, and within it for each left one.
    table: Vec<u8>,
    run: Binary<W>,
}

impl<W: Wide> Arithmetic<W> {
    fn try_all(&mut self, a: &Value<W>, partners: &[Value<W>], size: usize) {
        let columns: Vec<u64> = self
            .table
            .chunks_exact(size)
            .map(|column| numbers(a.members).fold(0, |set, x| set | 1 << column[x as usize]))
            .collect();
        let mut results = 0;
        for b in partners {
            let fresh = numbers(b.more).fold(0, |set, y| set | columns[y as usize]);
            results = if b.grows { results | fresh } else { fresh };
            let result = (self.run)(&a.scalar, &b.scalar);
            self.row.case(holds_all(&result, results), || {
                show(&[&a.scalar, &b.scalar, &result])
            });
        }
    }
}

struct Comparison {
    op: Cmp,
    is_jmp32: bool,
    row: Row,
    taken_row: Row,
    /// For each right operand, the left ones with which the comparison holds.
    left: Vec<u64>,
}

impl Comparison {
    fn try_all<W: Wide>(&mut self, a: &Value<W>, partners: &[Value<W>]) {
        // Left and right operands with a partner that makes the jump, and that does not.
        let (mut goes, mut stays) = ((0u64, 0u64), (0u64, 0u64));
        for b in partners {
            if !b.grows {
                (goes, stays) = ((0, 0), (0, 0));
            }
            for y in numbers(b.more) {
                let jumping = self.left[y as usize] & a.members;
                let staying = a.members & !jumping;
                goes.0 |= jumping;
                stays.0 |= staying;
                goes.1 |= u64::from(jumping != 0) << y;
                stays.1 |= u64::from(staying != 0) << y;
            }
            let decided = branch_taken(self.op, &a.scalar, &b.scalar, self.is_jmp32);
            self.taken_row.case(agrees(decided, goes.0, stays.0), || {
                show(&[&a.scalar, &b.scalar, &decided])
            });
            let refined = refine(self.op, &a.scalar, &b.scalar, self.is_jmp32);
            let holds = holds_all(&refined.taken.0, goes.0)
                && holds_all(&refined.taken.1, goes.1)
                && holds_all(&refined.fallthrough.0, stays.0)
                && holds_all(&refined.fallthrough.1, stays.1);
            self.row
                .case(holds, || show(&[&a.scalar, &b.scalar, &refined]));
        }
    }
}

/// Byte swaps of 16-bit words: every constant, and every run of unknown bits in words of
/// alternating bits.
pub fn byte_swaps() -> Row {
    let mut row = Row::new("byte swap of 16 bits");
    let mut check = |var_off: TnumOf<u16>, members: &[u16]| {
        let mut scalar = ScalarOf::unknown();
        scalar.var_off = var_off;
        scalar.sync();
        for size in [1, 2] {
            let mut swapped = scalar;
            swapped.byte_swap(size);
            let holds = members
                .iter()
                .all(|x| swapped.contains(x.swap_bytes() >> (16 - 8 * size)));
            row.case(holds, || show(&[&scalar, &swapped]));
        }
    };
    for value in 0..=u16::MAX {
        check(TnumOf::constant(value), &[value]);
    }
    for pattern in [0u16, 0x5555, 0xaaaa, 0xffff, 0x8001, 0x7ffe] {
        for low in 0..16 {
            for high in low..16 {
                let mask = (u16::MAX >> (15 - high)) & (u16::MAX << low);
                let value = pattern & !mask;
                let members: Vec<u16> = (0..=mask >> low).map(|x| value | x << low).collect();
                check(TnumOf { value, mask }, &members);
            }
        }
    }
    row
}

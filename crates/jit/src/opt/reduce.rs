//! Sums of many short numbers that lie one after the other, as checksums are made of: four are
//! loaded at once and added side by side.

use skep_isa::{AluOp, Size, Width};

use super::use_counts;
use crate::ir::{BinOp, Func, Op, Val};

/// A summand: a 16-bit number in memory.
struct Term {
    addr: Val,
    off: i32,
    swapped: bool,
    /// The parts of the address that are no constants, and the sum of those that are.
    place: ([Val; 2], i64),
}

/// Takes the constants out of an address.
fn place(func: &Func, addr: Val, off: i32) -> ([Val; 2], i64) {
    let mut sum = i64::from(off);
    let mut strip = |mut v: Val| {
        while let Some((Width::W64, [a, b])) = self::sum(func, v)
            && let Some(c) = func.constant(b)
        {
            sum = sum.wrapping_add(c as i64);
            v = a;
        }
        v
    };
    let addr = strip(addr);
    let mut parts = match self::sum(func, addr) {
        Some((Width::W64, [a, b])) => [strip(a), strip(b)],
        _ => [addr, addr],
    };
    parts.sort_unstable();
    (parts, sum)
}

/// Four numbers in one word.
const LANES: i32 = 4;
/// The most words whose bytes can be added side by side without running over.
const WORDS_MAX: usize = 32;

/// Adds what it can side by side; whether there was anything.
pub(super) fn reduce(func: &mut Func) -> bool {
    let short = |op: &&Op| {
        matches!(
            op,
            Op::Load {
                size: Size::B16,
                ..
            }
        )
    };
    if func.ops.iter().filter(short).count() < LANES as usize {
        return false;
    }
    let uses = use_counts(func);
    let mut changed = false;
    let mut home = vec![usize::MAX; func.ops.len()];
    for (block, body) in func.blocks.iter().enumerate() {
        body.insts.iter().for_each(|v| home[v.at()] = block);
    }
    // Which sums are parts of another sum of their block, and which loads still give what lies
    // in memory.
    let mut inner = vec![false; func.ops.len()];
    let mut fresh = vec![false; func.ops.len()];
    for block in 0..func.blocks.len() {
        let insts = func.blocks[block].insts.clone();
        for &v in insts.iter().rev() {
            if let Some((width, parts)) = sum(func, v) {
                for o in parts {
                    let same = uses[o.at()] == 1 && sum(func, o).is_some_and(|s| s.0 == width);
                    inner[o.at()] = same && home[o.at()] == block;
                }
            }
        }
        let mut loads: Vec<Val> = Vec::new();
        let mut at = 0;
        for v in insts {
            at += 1;
            match func.op(v) {
                Op::Load { .. } => {
                    fresh[v.at()] = true;
                    loads.push(v);
                }
                op if op.clobbers() => loads.drain(..).for_each(|v| fresh[v.at()] = false),
                _ if inner[v.at()] => {}
                _ => {
                    if let Some((width, _)) = sum(func, v) {
                        let before = func.blocks[block].insts.len();
                        let known = Known {
                            uses: &uses,
                            inner: &inner,
                            fresh: &fresh,
                        };
                        changed |= side_by_side(func, &known, v, width, (block, at - 1));
                        at += func.blocks[block].insts.len() - before;
                    }
                }
            }
        }
        loads.into_iter().for_each(|v| fresh[v.at()] = false);
    }
    changed
}

/// What is known of the values that were there before.
struct Known<'a> {
    uses: &'a [u32],
    inner: &'a [bool],
    fresh: &'a [bool],
}

fn sum(func: &Func, v: Val) -> Option<(Width, [Val; 2])> {
    match func.op(v) {
        Op::Bin {
            op: BinOp::Alu(AluOp::Add),
            width,
            a,
            b,
        } => Some((width, [a, b])),
        _ => None,
    }
}

/// Whether a value is a phi and a short number in memory: many of those are added at once.
pub(super) fn sums(func: &Func, v: Val) -> bool {
    let number = |v: Val| {
        let load = match func.op(v) {
            Op::Swap { size: Size::B16, a } => a,
            _ => v,
        };
        matches!(
            func.op(load),
            Op::Load {
                size: Size::B16,
                signed: false,
                ..
            }
        )
    };
    sum(func, v).is_some_and(|(_, [a, b])| {
        let is_phi = |v: Val| func.op(v).is_phi();
        is_phi(a) && number(b) || is_phi(b) && number(a)
    })
}

/// The summand that a value is, when it is used for nothing else.
fn term(func: &Func, known: &Known<'_>, v: Val) -> Option<Term> {
    let (swapped, load) = match func.op(v) {
        Op::Swap { size: Size::B16, a } => (true, a),
        _ => (false, v),
    };
    let Op::Load {
        size: Size::B16,
        signed: false,
        addr,
        off,
    } = func.op(load)
    else {
        return None;
    };
    let once = |v: Val| known.uses[v.at()] == 1;
    let own = once(v) && once(load) && known.fresh[load.at()];
    own.then(|| Term {
        addr,
        off,
        swapped,
        place: place(func, addr, off),
    })
}

/// Replaces the summands of one sum; the instructions go before its place.
fn side_by_side(
    func: &mut Func,
    known: &Known<'_>,
    root: Val,
    width: Width,
    (block, at): (usize, usize),
) -> bool {
    let (mut terms, mut rest, mut work) = (Vec::new(), Vec::new(), vec![root]);
    while let Some(v) = work.pop() {
        match sum(func, v) {
            Some((_, parts)) if v == root || known.inner[v.at()] => work.extend(parts),
            _ => match term(func, known, v) {
                Some(term) => terms.push((v, term)),
                None => rest.push(v),
            },
        }
    }
    terms.sort_by_key(|(_, t)| (t.swapped, t.place));
    let mut words: Vec<(bool, Val, i32)> = Vec::new();
    let mut left = terms.as_slice();
    while let Some((first, more)) = left.split_first() {
        let run = left.get(..LANES as usize).filter(|run| {
            let (parts, mut wanted) = first.1.place;
            run.iter().all(|(_, t)| {
                let next = t.place == (parts, wanted);
                wanted = wanted.wrapping_add(2);
                next && t.swapped == first.1.swapped
            })
        });
        match run {
            Some(run) => {
                words.push((first.1.swapped, first.1.addr, first.1.off));
                left = &left[run.len()..];
            }
            None => {
                rest.push(first.0);
                left = more;
            }
        }
    }
    if words.is_empty() || words.len() > WORDS_MAX {
        return false;
    }
    let mut b = Emitter {
        func,
        block,
        at,
        width,
        constants: Vec::new(),
    };
    for swapped in [false, true] {
        let of_kind: Vec<_> = words.iter().filter(|w| w.0 == swapped).collect();
        if of_kind.is_empty() {
            continue;
        }
        let loads = of_kind.iter().map(|(_, addr, off)| Op::Load {
            size: Size::B64,
            signed: false,
            addr: *addr,
            off: *off,
        });
        let loads: Vec<Op> = loads.collect();
        let total = if swapped {
            b.swapped_total(&loads)
        } else {
            b.total(&loads)
        };
        rest.push(total);
    }
    // At least one of them is there, since there are words.
    let last = rest.pop().unwrap_or(root);
    let mut so_far = rest.pop();
    for v in rest {
        so_far = Some(match so_far {
            Some(sum) => b.add(sum, v),
            None => v,
        });
    }
    let op = match so_far {
        Some(sum) => b.bin(AluOp::Add, width, sum, last),
        None => {
            let zero = b.push(Op::Const(0));
            b.bin(AluOp::Add, width, last, zero)
        }
    };
    func.ops[root.at()] = op;
    true
}

/// Puts instructions before a place.
struct Emitter<'a> {
    func: &'a mut Func,
    block: usize,
    at: usize,
    width: Width,
    /// Long constants, which lie before everything else, out of all loops.
    constants: Vec<(u64, Val)>,
}

impl Emitter<'_> {
    fn push(&mut self, op: Op) -> Val {
        let v = self.func.push(op);
        self.func.blocks[self.block].insts.insert(self.at, v);
        self.at += 1;
        v
    }

    fn bin(&mut self, op: AluOp, width: Width, a: Val, b: Val) -> Op {
        Op::Bin {
            op: BinOp::Alu(op),
            width,
            a,
            b,
        }
    }

    fn wide(&mut self, op: AluOp, a: Val, b: Val) -> Val {
        let op = self.bin(op, Width::W64, a, b);
        self.push(op)
    }

    fn with(&mut self, op: AluOp, a: Val, constant: u64) -> Val {
        let b = match i32::try_from(constant) {
            Ok(_) => self.push(Op::Const(constant)),
            Err(_) => self.long(constant),
        };
        self.wide(op, a, b)
    }

    fn long(&mut self, constant: u64) -> Val {
        if let Some((_, v)) = self.constants.iter().find(|(c, _)| *c == constant) {
            return *v;
        }
        let v = self.func.push(Op::Const(constant));
        // The first block holds arguments and comes before all others.
        let first = &self.func.blocks[0].insts;
        let is_param = |v: &Val| matches!(self.func.ops[v.at()], Op::Param(_));
        let at = first
            .iter()
            .position(|v| !is_param(v))
            .unwrap_or(first.len());
        self.func.blocks[0].insts.insert(at, v);
        if self.block == 0 {
            self.at += 1;
        }
        self.constants.push((constant, v));
        v
    }

    fn add(&mut self, a: Val, b: Val) -> Val {
        let op = self.bin(AluOp::Add, self.width, a, b);
        self.push(op)
    }

    /// The sums of the even and of the odd lanes of all words, side by side.
    fn lanes(&mut self, loads: &[Op], mask: u64, shift: u64) -> [Val; 2] {
        let mut sums: [Option<Val>; 2] = [None; 2];
        for load in loads {
            let word = self.push(*load);
            // What is rotated into the upper bits is not in the mask.
            let count = self.push(Op::Const(64 - shift));
            let upper = self.push(Op::Bin {
                op: BinOp::Rotl,
                width: Width::W64,
                a: word,
                b: count,
            });
            for (sum, part) in sums.iter_mut().zip([word, upper]) {
                let part = self.with(AluOp::And, part, mask);
                *sum = Some(match *sum {
                    Some(sum) => self.wide(AluOp::Add, sum, part),
                    None => part,
                });
            }
        }
        sums.map(|sum| sum.unwrap_or(Val(0)))
    }

    /// The sum of the 16-bit lanes of words.
    fn total(&mut self, loads: &[Op]) -> Val {
        let [even, odd] = self.lanes(loads, 0x0000_ffff_0000_ffff, 16);
        let both = self.wide(AluOp::Add, even, odd);
        let upper = self.with(AluOp::Rsh, both, 32);
        let lower = match self.width {
            Width::W32 => both,
            Width::W64 => self.push(Op::Zext {
                from: Size::B32,
                a: both,
            }),
        };
        self.add(lower, upper)
    }

    /// The sum of the 16-bit lanes of words, the bytes of each lane exchanged: first bytes
    /// count as upper ones.
    fn swapped_total(&mut self, loads: &[Op]) -> Val {
        const ONES: u64 = 0x0001_0001_0001_0001;
        let [first, second] = self.lanes(loads, 0x00ff_00ff_00ff_00ff, 8);
        // The product has the sum of all lanes in its highest one.
        let [first, second] = [first, second].map(|lanes| {
            let product = self.with(AluOp::Mul, lanes, ONES);
            self.with(AluOp::Rsh, product, 48)
        });
        let upper = self.with(AluOp::Lsh, first, 8);
        self.wide(AluOp::Add, upper, second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Body, Phis, Term as End};

    /// A function that adds eight swapped numbers has two loads instead.
    #[test]
    fn loads_become_few() {
        for swapped in [false, true] {
            let mut func = Func {
                ops: Vec::new(),
                phis: Phis::default(),
                blocks: vec![Body {
                    insts: Vec::new(),
                    term: End::Dead,
                    preds: Vec::new(),
                    depth: 0,
                }],
                frame: 0,
                origins: Vec::new(),
                origin: 0,
                known: Vec::new(),
            };
            let push = |func: &mut Func, op| {
                let v = func.push(op);
                func.blocks[0].insts.push(v);
                v
            };
            let addr = push(&mut func, Op::Param(0));
            let four = push(&mut func, Op::Const(4));
            let (op, width) = (BinOp::Alu(AluOp::Add), Width::W64);
            let (a, b) = (addr, four);
            let behind = push(&mut func, Op::Bin { op, width, a, b });
            let mut sum = push(&mut func, Op::Const(5));
            for n in 0..9 {
                let mut v = push(
                    &mut func,
                    Op::Load {
                        size: Size::B16,
                        signed: false,
                        // Some of the addresses have a constant of their own.
                        addr: if n % 3 == 1 { behind } else { addr },
                        off: if n % 3 == 1 { 2 * n - 4 } else { 2 * n },
                    },
                );
                if swapped {
                    let size = Size::B16;
                    v = push(&mut func, Op::Swap { size, a: v });
                }
                let (op, width) = (BinOp::Alu(AluOp::Add), Width::W32);
                let (a, b) = (sum, v);
                sum = push(&mut func, Op::Bin { op, width, a, b });
            }
            func.blocks[0].term = End::Return(sum);
            assert!(reduce(&mut func));
            super::super::dead::remove(&mut func);
            let loads = func.blocks[0].insts.iter();
            let loads = loads.filter(|v| matches!(func.op(**v), Op::Load { .. }));
            assert_eq!(loads.count(), 3, "two words and one that is left");
        }
    }
}

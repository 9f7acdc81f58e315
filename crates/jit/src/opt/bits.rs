//! Which bits of each value can be set.

use skep_isa::{AluOp, AtomicOp, Size, Width};

use crate::ir::{BinOp, Func, Op, Val, bits};

/// How many low bits of a value with these bits count.
pub(crate) fn length(mask: u64) -> u8 {
    (64 - mask.leading_zeros()) as u8
}

/// So many low bits.
fn ones(count: u32) -> u64 {
    match count {
        64.. => u64::MAX,
        _ => (1 << count) - 1,
    }
}

fn size_bits(size: Size) -> u64 {
    ones(size.bytes() * 8)
}

/// How often phis are followed exactly before they are taken to be as wide as they may become,
/// and how often before they are taken to be anything.
const EXACT: usize = 3;
const PATIENT: usize = 24;

/// Finds out for each value which bits can be set. What was found before stays true, and is
/// enough to say as much of what is new.
pub(crate) fn know(func: &mut Func) {
    if func.known.is_empty() {
        func.known = possible(func);
        return;
    }
    let mut known = std::mem::take(&mut func.known);
    known.resize(func.ops.len(), u64::MAX);
    for block in func.reverse_post_order() {
        for &v in &func.blocks[block.at()].insts {
            known[v.at()] &= of(func, &known, v);
        }
    }
    func.known = known;
}

/// For each value a mask: bits outside of it are zero.
fn possible(func: &Func) -> Vec<u64> {
    let order = func.reverse_post_order();
    let mut place = vec![0u32; func.blocks.len()];
    for (at, block) in order.iter().enumerate() {
        place[block.at()] = at as u32;
    }
    // Only what comes over a way back can change what was found before.
    let returns = |(at, block): (usize, &crate::ir::Block)| {
        let preds = func.blocks[block.at()].preds.iter();
        preds.clone().any(|p| place[p.at()] >= at as u32)
    };
    let loops = order.iter().enumerate().any(returns);
    let mut known = vec![0u64; func.ops.len()];
    for round in 0.. {
        let mut changed = false;
        for block in &order {
            for &v in &func.blocks[block.at()].insts {
                let mut now = known[v.at()] | of(func, &known, v);
                if now != known[v.at()] {
                    if func.op(v).is_phi() {
                        now = match round {
                            0..EXACT => now,
                            EXACT..PATIENT => widened(now),
                            _ => u64::MAX,
                        };
                    }
                    known[v.at()] = now;
                    changed = true;
                }
            }
        }
        if !changed || !loops {
            break;
        }
    }
    known
}

/// Few steps, so that a counter in a loop ends the search soon.
fn widened(mask: u64) -> u64 {
    let upper = match length(mask) {
        0..=8 => 8,
        9..=16 => 16,
        17..=32 => 32,
        _ => 64,
    };
    ones(upper) & !ones(mask.trailing_zeros().min(3))
}

fn of(func: &Func, known: &[u64], v: Val) -> u64 {
    let k = |v: Val| known[v.at()];
    match func.op(v) {
        Op::Const(c) => c,
        Op::Phi => func.phis[v.at()].iter().fold(0, |all, a| all | k(*a)),
        Op::Bin { op, width, a, b } => binary(op, width, (k(a), k(b)), func.constant(b)),
        Op::Neg { width, a } => ones(bits(width)) & !ones(k(a).trailing_zeros()),
        Op::Count { width, .. } => u64::from(2 * bits(width) - 1),
        Op::Swap { size, a } => k(a).swap_bytes() >> (64 - size.bytes() * 8),
        Op::Zext { from, a } => k(a) & size_bits(from),
        Op::Sext { from, width, a } => {
            let unused = 64 - from.bytes() * 8;
            let extended = ((k(a) << unused) as i64 >> unused) as u64;
            extended & ones(bits(width))
        }
        Op::Select { t, f, .. } => k(t) | k(f),
        Op::Load {
            size,
            signed: false,
            ..
        }
        | Op::Packet { size, .. } => size_bits(size),
        Op::Probe {
            size,
            signed: false,
            kept,
            ..
        } => size_bits(size) | kept.map_or(0, k),
        Op::Atomic { size, op, .. } if op != AtomicOp::Cmpxchg => size_bits(size),
        Op::CpuId => size_bits(Size::B32),
        _ => u64::MAX,
    }
}

fn binary(op: BinOp, width: Width, (a, b): (u64, u64), constant: Option<u64>) -> u64 {
    let count_bits = bits(width);
    let all = ones(count_bits);
    let (a, b) = (a & all, b & all);
    let zeros = |mask: u64| mask.trailing_zeros();
    let count = constant.map(|c| (c & u64::from(count_bits - 1)) as u32);
    let result = match (op, count) {
        (BinOp::Alu(AluOp::And), _) => a & b,
        (BinOp::Alu(AluOp::Or | AluOp::Xor), _) => a | b,
        // Without a common bit nothing is carried; otherwise as far as the largest sum is.
        (BinOp::Alu(AluOp::Add), _) => a.wrapping_add(b) | a | b,
        (BinOp::Alu(AluOp::Sub), _) => !ones(zeros(a | b)),
        (BinOp::Alu(AluOp::Mul), _) => {
            let most = u32::from(length(a)) + u32::from(length(b));
            ones(most) & !ones(zeros(a).saturating_add(zeros(b)))
        }
        (BinOp::Alu(AluOp::Div), _) => ones(length(a).into()),
        (BinOp::Alu(AluOp::Mod), _) if constant.is_some_and(|c| c & all != 0) => {
            ones(length(a).min(length(b)).into())
        }
        (BinOp::Alu(AluOp::Mod), _) => ones(length(a).into()),
        (BinOp::Alu(AluOp::Rsh), Some(count)) => a >> count,
        (BinOp::Alu(AluOp::Rsh), None) => ones(length(a).into()),
        (BinOp::Alu(AluOp::Lsh), Some(count)) => a << count,
        (BinOp::Alu(AluOp::Lsh), None) => !ones(zeros(a)),
        (BinOp::Alu(AluOp::Arsh), Some(count)) => {
            let unused = 64 - count_bits;
            ((a << unused) as i64 >> unused >> count) as u64
        }
        (BinOp::Rotl, Some(count)) => match width {
            Width::W32 => (a as u32).rotate_left(count).into(),
            Width::W64 => a.rotate_left(count),
        },
        _ => all,
    };
    result & all
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_isa::meaning;

    /// What an operation gives has no bits outside of what is said of it.
    #[test]
    fn masks_hold() {
        const OPS: [AluOp; 12] = [
            AluOp::Add,
            AluOp::Sub,
            AluOp::Mul,
            AluOp::Div,
            AluOp::Mod,
            AluOp::And,
            AluOp::Or,
            AluOp::Xor,
            AluOp::Lsh,
            AluOp::Rsh,
            AluOp::Arsh,
            AluOp::Sdiv,
        ];
        let mut state = 7u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..20_000 {
            let shorter = |n: u64, by: u64| n >> (by % 64);
            let (x, y) = (shorter(random(), random()), shorter(random(), random()));
            let masks = (x & random(), y & random());
            let masks = (masks.0 << (random() % 32), masks.1 << (random() % 32));
            let (a, b) = (masks.0 & random(), masks.1 & random());
            for op in OPS {
                for width in [Width::W32, Width::W64] {
                    let result = meaning::alu(width, op, a, b);
                    let told = binary(BinOp::Alu(op), width, masks, None);
                    assert_eq!(result & !told, 0, "{op:?} {width:?} {a:#x} {b:#x}");
                    let known = binary(BinOp::Alu(op), width, (masks.0, b), Some(b));
                    assert_eq!(result & !known, 0, "{op:?} {width:?} {a:#x} {b:#x}");
                }
            }
        }
    }
}

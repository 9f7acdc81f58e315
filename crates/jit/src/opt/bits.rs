//! How many low bits of each value can be set.

use skep_isa::{AluOp, AtomicOp, Size, Width};

use crate::ir::{BinOp, Func, Op, Val, bits};

fn length(value: u64) -> u8 {
    (64 - value.leading_zeros()) as u8
}

fn size_bits(size: Size) -> u8 {
    (size.bytes() * 8) as u8
}

/// For each value, a number of low bits such that all bits above are zero.
pub(crate) fn significant(func: &Func) -> Vec<u8> {
    let order = func.reverse_post_order();
    let mut known = vec![0u8; func.ops.len()];
    loop {
        let mut changed = false;
        for block in &order {
            for &v in &func.blocks[block.at()].insts {
                let now = of(func, &known, v);
                if now > known[v.at()] {
                    known[v.at()] = now;
                    changed = true;
                }
            }
        }
        if !changed {
            return known;
        }
    }
}

fn of(func: &Func, known: &[u8], v: Val) -> u8 {
    let k = |v: Val| known[v.at()];
    match func.op(v) {
        Op::Const(c) => length(c),
        Op::Phi => {
            let most = func.phis[v.at()].iter().map(|a| k(*a)).max().unwrap_or(0);
            // Few steps, so that a counter in a loop ends the search soon.
            match most {
                0 => 0,
                1..=8 => 8,
                9..=16 => 16,
                17..=32 => 32,
                _ => 64,
            }
        }
        Op::Bin { op, width, a, b } => binary(op, width, (k(a), k(b)), func.constant(b)),
        Op::Neg { width, .. } => bits(width) as u8,
        Op::Swap { size, .. } => size_bits(size),
        Op::Zext { from, a } => k(a).min(size_bits(from)),
        Op::Sext { from, a, .. } if k(a) < size_bits(from) => k(a),
        Op::Sext { width, .. } => bits(width) as u8,
        Op::Select { t, f, .. } => k(t).max(k(f)),
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
        } => size_bits(size).max(kept.map_or(0, k)),
        Op::Atomic { size, op, .. } if op != AtomicOp::Cmpxchg => size_bits(size),
        Op::CpuId => 32,
        _ => 64,
    }
}

fn binary(op: BinOp, width: Width, (a, b): (u8, u8), constant: Option<u64>) -> u8 {
    let all = bits(width) as u8;
    let (a, b) = (a.min(all), b.min(all));
    let count = constant.map(|c| (c & u64::from(all - 1)) as u8);
    let result = match op {
        BinOp::Alu(AluOp::And) => a.min(b),
        BinOp::Alu(AluOp::Or | AluOp::Xor) => a.max(b),
        BinOp::Alu(AluOp::Add) => a.max(b) + 1,
        BinOp::Alu(AluOp::Mul) => a + b,
        BinOp::Alu(AluOp::Div) => a,
        BinOp::Alu(AluOp::Mod) if constant.is_some_and(|c| c != 0) => a.min(b),
        BinOp::Alu(AluOp::Mod) => a,
        BinOp::Alu(AluOp::Rsh) => a - count.unwrap_or(0).min(a),
        BinOp::Alu(AluOp::Lsh) if a == 0 => 0,
        BinOp::Alu(AluOp::Lsh) => count.map_or(all, |c| a + c),
        _ => all,
    };
    result.min(all)
}

//! Do the operations compute what the running kernel computed once?

use skep_isa::{AluOp, AtomicOp, Insn, Op, Operand, Size, Width, decode, meaning};

/// r7 after the instruction, or whether the jump is taken.
fn answer(op: Op, a: u64, b: u64) -> u64 {
    let second = |src| match src {
        Operand::Imm(n) => n as u64,
        Operand::Reg(_) => b,
    };
    match op {
        Op::Alu { width, op, src, .. } => meaning::alu(width, op, a, second(src)),
        Op::Neg { width, .. } => meaning::neg(width, a),
        Op::Mov { width, src, .. } => meaning::mov(width, second(src)),
        Op::MovSx { width, from, .. } => meaning::mov_sx(width, from, b),
        Op::Swap { kind, size, .. } => meaning::swap(kind, size, a),
        Op::Branch {
            width, cond, src, ..
        } => u64::from(meaning::jump_taken(width, cond, a, second(src))),
        other => panic!("no number comes out of {other:?}"),
    }
}

#[test]
fn numbers_are_the_kernels() {
    let mut count = 0;
    for line in include_str!("data/kernel_meaning.tsv")
        .lines()
        .filter(|l| !l.starts_with('#'))
    {
        let numbers: Vec<u64> = line
            .split('\t')
            .map(|n| u64::from_str_radix(n, 16).expect("hex"))
            .collect();
        let [insn, a, b, expected] = numbers[..] else {
            panic!("four columns: {line}")
        };
        let op = decode(&[Insn::from_bytes(insn.to_be_bytes())], 0).expect("a valid instruction");
        assert_eq!(answer(op, a, b), expected, "{op:?} on {a:#x}, {b:#x}");
        count += 1;
    }
    assert!(count > 5000, "only {count} rows");
}

#[test]
fn edges_of_division() {
    let min64 = i64::MIN as u64;
    let min32 = i32::MIN as u32 as u64;
    for (width, op, a, b, expected) in [
        (Width::W64, AluOp::Div, 7, 0, 0),
        (Width::W64, AluOp::Mod, 7, 0, 7),
        (Width::W64, AluOp::Sdiv, min64, u64::MAX, min64),
        (Width::W64, AluOp::Smod, min64, u64::MAX, 0),
        (Width::W32, AluOp::Sdiv, min32, u64::MAX, min32),
        (Width::W32, AluOp::Smod, min32, u64::MAX, 0),
        (Width::W32, AluOp::Mod, u64::MAX, 0, 0xffff_ffff),
        (Width::W32, AluOp::Smod, -7i64 as u64, 2, 0xffff_ffff),
        (Width::W64, AluOp::Sdiv, -7i64 as u64, 2, -3i64 as u64),
        (Width::W64, AluOp::Lsh, 1, 64, 1),
        (Width::W32, AluOp::Lsh, 1, 33, 2),
    ] {
        assert_eq!(
            meaning::alu(width, op, a, b),
            expected,
            "{op:?} {a:#x} {b:#x}"
        );
    }
}

#[test]
fn atomics() {
    for (op, size, old, operand, expected, left) in [
        (AtomicOp::Add, Size::B32, 0xffff_ffff, 1, 0, 0),
        (AtomicOp::Add, Size::B64, 0xffff_ffff, 1, 0, 0x1_0000_0000),
        (AtomicOp::Or, Size::B64, 0xf0, 0x0f, 0, 0xff),
        (AtomicOp::And, Size::B64, 0xf1, 0x1f, 0, 0x11),
        (AtomicOp::Xor, Size::B32, 0xff, u64::MAX, 0, 0xffff_ff00),
        (AtomicOp::Xchg, Size::B32, 5, 0x1_0000_0007, 0, 7),
        (AtomicOp::Cmpxchg, Size::B64, 5, 9, 5, 9),
        (AtomicOp::Cmpxchg, Size::B64, 5, 9, 0x1_0000_0005, 5),
        (AtomicOp::Cmpxchg, Size::B32, 5, 9, 0x1_0000_0005, 9),
    ] {
        let got = meaning::atomic(op, size, old, operand, expected);
        assert_eq!(
            got, left,
            "{op:?} {size:?} {old:#x} {operand:#x} {expected:#x}"
        );
    }
}

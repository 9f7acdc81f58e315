//! Every form of every instruction on about ten thousand pairs of values: native code, the
//! interpreter, and what `isa` says that the instruction means.

mod common;

use common::{TestHost, has_back_end, native, of_insns};
use skep_isa::field::{class, mode};
use skep_isa::{Insn, Op, Operand, Size, Width, decode, meaning};
use skep_verifier::Executable;
use skep_vm::{Cpu, Limits, Mode, Program, run};

/// Values at which arithmetic turns.
const EDGES: [u64; 28] = [
    0,
    1,
    2,
    3,
    7,
    8,
    31,
    32,
    33,
    63,
    64,
    65,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0x8000_0000_0000_0001,
    0xffff_ffff_8000_0000,
    0xffff_ffff_7fff_ffff,
    u64::MAX,
];

/// A hundred values: the edges, their neighbours below zero, and numbers without pattern.
fn values() -> Vec<u64> {
    let mut out: Vec<u64> = EDGES.to_vec();
    out.extend(EDGES.iter().map(|v| v.wrapping_neg()));
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    while out.len() < 100 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.push(state >> (out.len() % 3 * 16));
    }
    out
}

/// Both engines with one program and one block of memory each.
struct Pair {
    programs: [Program; 2],
    hosts: [TestHost; 2],
    cpu: Cpu,
}

impl Pair {
    fn new(executable: &Executable) -> Pair {
        let hosts = [TestHost::new(), TestHost::new()];
        let interpreted = Program::link(executable, &hosts[0]).unwrap_or_else(|e| panic!("{e}"));
        Pair {
            programs: [interpreted, native(executable, &hosts[1])],
            hosts,
            cpu: Cpu::new(0),
        }
    }

    /// r0 and the memory, in each engine.
    fn run(&mut self, memory: [u64; 3]) -> [(u64, Vec<u64>); 2] {
        std::array::from_fn(|engine| {
            let host = &mut self.hosts[engine];
            host.block[..3].copy_from_slice(&memory);
            // SAFETY: the programs below touch the first three words of the block only.
            let mode = Mode::Trusting(unsafe { skep_vm::Trust::promise() });
            let ctx = host.memory();
            let program = &self.programs[engine];
            let r0 = run(program, &mut self.cpu, host, mode, ctx, Limits::default());
            (
                r0.unwrap_or_else(|e| panic!("{e}")),
                host.block[..3].to_vec(),
            )
        })
    }
}

/// `r7`, `r8` and `r0` from memory, the instruction, and `r0 = r7` or 1 when it jumped.
fn around(insn: Insn, result: u8) -> Executable {
    let load = |r, off| Insn::new(class::LDX | mode::MEM | 0x18, r, 1, off, 0);
    let mut insns = vec![load(7, 0), load(8, 8), load(0, 16), insn];
    if insn.is_jmp_class() {
        insns.extend([Insn::mov64_imm(7, 0), Insn::goto(1), Insn::mov64_imm(7, 1)]);
    }
    insns.extend([Insn::mov64_reg(0, result), Insn::exit()]);
    of_insns(insns, &[0])
}

/// What r7 is afterwards, by the meaning of the instruction.
fn reference(insn: Insn, a: u64, b: u64) -> u64 {
    let of = |operand: Operand| match operand {
        Operand::Reg(_) => b,
        Operand::Imm(imm) => i64::from(imm) as u64,
    };
    match decode(&[insn], 0).expect("an instruction") {
        Op::Alu { width, op, src, .. } => meaning::alu(width, op, a, of(src)),
        Op::Mov { width, src, .. } => meaning::mov(width, of(src)),
        Op::MovSx { width, from, .. } => meaning::mov_sx(width, from, b),
        Op::Neg { width, .. } => meaning::neg(width, a),
        Op::Swap { kind, size, .. } => meaning::swap(kind, size, a),
        Op::Branch {
            width, cond, src, ..
        } => meaning::jump_taken(width, cond, a, of(src)).into(),
        other => panic!("{other:?}"),
    }
}

/// Demands the meaning of both engines on pairs of values.
fn check(insn: Insn, pairs: &mut dyn Iterator<Item = (u64, u64)>) -> u64 {
    let mut engines = Pair::new(&around(insn, 7));
    let mut count = 0;
    for (a, b) in pairs {
        let expected = reference(insn, a, b);
        for (engine, (r0, _)) in engines.run([a, b, 0]).into_iter().enumerate() {
            assert_eq!(r0, expected, "{insn:x?} on {a:#x}, {b:#x}, engine {engine}");
        }
        count += 1;
    }
    count
}

/// Every pair of the hundred values.
fn pairs(values: &[u64]) -> impl Iterator<Item = (u64, u64)> {
    values
        .iter()
        .flat_map(move |a| values.iter().map(move |b| (*a, *b)))
}

/// All forms with two operands: with a register, and with each value as the immediate.
fn both_forms(code: u8, off: i16, fits: &dyn Fn(i32) -> bool) -> u64 {
    let values = values();
    let mut count = check(Insn::new(code | 8, 7, 8, off, 0), &mut pairs(&values));
    let mut imms: Vec<i32> = values.iter().map(|v| *v as i32).collect();
    imms.sort_unstable();
    imms.dedup();
    for imm in imms.into_iter().filter(|imm| fits(*imm)) {
        let insn = Insn::new(code, 7, 0, off, imm);
        count += check(insn, &mut values.iter().map(|a| (*a, 0)));
    }
    count
}

#[test]
fn arithmetic() {
    if !has_back_end() {
        return;
    }
    let mut count = 0;
    for class in [class::ALU, class::ALU64] {
        let width = if class == class::ALU { 32 } else { 64 };
        for op in [0x00, 0x10, 0x20, 0x40, 0x50, 0xa0, 0xb0] {
            count += both_forms(op | class, 0, &|_| true);
        }
        for op in [0x60, 0x70, 0xc0] {
            count += both_forms(op | class, 0, &|imm| (0..width).contains(&imm));
        }
        for (op, off) in [(0x30, 0), (0x90, 0), (0x30, 1), (0x90, 1)] {
            count += both_forms(op | class, off, &|imm| imm != 0);
        }
        let values = values();
        let one = |insn| check(insn, &mut values.iter().map(|a| (*a, *a)));
        count += one(Insn::new(0x80 | class, 7, 0, 0, 0));
        for bits in [8, 16, 32] {
            if i32::from(bits) < width {
                count += one(Insn::new(0xb8 | class, 7, 8, bits, 0));
            }
        }
    }
    let values = values();
    for code in [0xd4, 0xdc, 0xd7] {
        for bits in [16, 32, 64] {
            let insn = Insn::new(code, 7, 0, 0, bits);
            count += check(insn, &mut values.iter().map(|a| (*a, 0)));
        }
    }
    assert!(count > 400_000, "{count}");
}

#[test]
fn comparisons() {
    if !has_back_end() {
        return;
    }
    let mut count = 0;
    for class in [class::JMP, class::JMP32] {
        for op in [
            0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0,
        ] {
            count += both_forms(op | class, 2, &|_| true);
        }
    }
    assert!(count > 400_000, "{count}");
}

#[test]
fn atomics() {
    if !has_back_end() {
        return;
    }
    let values = values();
    for (code, bits) in [(0xdb, 64), (0xc3, 32)] {
        let cut = |v: u64| if bits == 32 { v as u32 as u64 } else { v };
        let merged = |old: u64, new: u64| match bits {
            32 => old & !0xffff_ffff | cut(new),
            _ => new,
        };
        for imm in [0x00, 0x01, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, 0xf1] {
            // On the word at r1, with r8; r0 is compared with.
            let insn = Insn::new(code, 1, 8, 0, imm);
            let result = if imm == 0xf1 { 0 } else { 8 };
            let mut engines = Pair::new(&around(insn, result));
            for (number, (a, b)) in pairs(&values).enumerate() {
                let expected = if number % 2 == 0 { a } else { b };
                let new = match imm & !1 {
                    0x00 => a.wrapping_add(b),
                    0x40 => a | b,
                    0x50 => a & b,
                    0xa0 => a ^ b,
                    0xe0 => b,
                    _ if cut(a) == cut(expected) => b,
                    _ => a,
                };
                let r0 = match imm & 1 {
                    0 => b,
                    _ => cut(a),
                };
                let memory = vec![merged(a, new), b, expected];
                for got in engines.run([a, b, expected]) {
                    let told = format!("{imm:#x} of {bits} on {a:#x}, {b:#x}");
                    assert_eq!(got, (r0, memory.clone()), "{told}");
                }
            }
        }
    }
}

#[test]
fn loads_and_stores() {
    if !has_back_end() {
        return;
    }
    let values = values();
    let sizes = [
        (0x10, Size::B8),
        (0x08, Size::B16),
        (0x00, Size::B32),
        (0x18, Size::B64),
    ];
    for (bits, size) in sizes {
        for off in 0..8i16 {
            for sign in [mode::MEM, mode::MEMSX] {
                if sign == mode::MEMSX && size == Size::B64 {
                    continue;
                }
                let insn = Insn::new(class::LDX | sign | bits, 7, 1, off, 0);
                let mut engines = Pair::new(&around(insn, 7));
                for (a, b) in pairs(&values) {
                    let mut bytes = [0; 16];
                    bytes[..8].copy_from_slice(&a.to_le_bytes());
                    bytes[8..].copy_from_slice(&b.to_le_bytes());
                    let at = off as usize;
                    let raw = u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
                    let expected = match sign {
                        mode::MEMSX => meaning::mov_sx(Width::W64, size, raw),
                        _ => meaning::truncate(size, raw),
                    };
                    for (r0, _) in engines.run([a, b, 0]) {
                        assert_eq!(r0, expected, "{insn:x?} of {a:#x}, {b:#x}");
                    }
                }
            }
            let insn = Insn::new(class::STX | mode::MEM | bits, 1, 8, off, 0);
            let mut engines = Pair::new(&around(insn, 8));
            for (a, b) in pairs(&values) {
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&a.to_le_bytes());
                bytes[8..].copy_from_slice(&b.to_le_bytes());
                let len = size.bytes() as usize;
                bytes[off as usize..off as usize + len].copy_from_slice(&b.to_le_bytes()[..len]);
                let word =
                    |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
                let memory = vec![word(0), word(8), 0];
                for got in engines.run([a, b, 0]) {
                    assert_eq!(got, (b, memory.clone()), "{insn:x?} of {a:#x}, {b:#x}");
                }
            }
        }
        for imm in values.iter().map(|v| *v as i32) {
            let insn = Insn::new(class::ST | mode::MEM | bits, 1, 0, 0, imm);
            let mut engines = Pair::new(&around(insn, 8));
            for a in &values {
                let stored = meaning::truncate(size, i64::from(imm) as u64);
                let kept = if size == Size::B64 {
                    0
                } else {
                    a >> (size.bytes() * 8)
                };
                let word = if size == Size::B64 {
                    stored
                } else {
                    kept << (size.bytes() * 8) | stored
                };
                for got in engines.run([*a, 5, 6]) {
                    assert_eq!(got, (5, vec![word, 5, 6]), "{insn:x?} over {a:#x}");
                }
            }
        }
    }
}

/// The lists above name every operation that there is.
#[test]
fn nothing_is_left_out() {
    let known = |class: u8, wanted: &dyn Fn(Op) -> bool| {
        let codes = (0..16u8).map(|op| op << 4 | class);
        let ops = codes.filter_map(|code| decode(&[Insn::new(code, 7, 0, 1, 16)], 0).ok());
        ops.filter(|op| wanted(*op)).count()
    };
    // Seven of any operands, three shifts, division and remainder (here the signed ones).
    let arithmetic = |op| matches!(op, Op::Alu { .. } | Op::Mov { .. });
    let plain = |class| {
        let codes = (0..16u8).map(|op| op << 4 | class);
        let ops = codes.filter_map(|code| decode(&[Insn::new(code, 7, 0, 0, 16)], 0).ok());
        ops.filter(|op| arithmetic(*op)).count()
    };
    assert_eq!((plain(class::ALU64), plain(class::ALU)), (12, 12));
    assert_eq!(known(class::ALU64, &arithmetic), 2);
    assert_eq!(
        known(class::JMP32, &|op| matches!(op, Op::Branch { .. })),
        11
    );
    assert_eq!(known(class::JMP, &|op| matches!(op, Op::Branch { .. })), 11);
}

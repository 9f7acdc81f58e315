//! Programs from bytes: mostly well-formed, so that they come past the first checks.

use skep_isa::form::{Level, Meaning, Rule};
use skep_isa::{FORMS, Form, Insn, alu, jmp, pseudo, size};

/// Bytes that run out quietly.
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    /// The next byte, 0 after the last.
    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// Whether bytes are left.
    pub(crate) fn any(&self) -> bool {
        !self.0.is_empty()
    }
}

/// The most slots of a program; more only makes a run slower.
const MOST: usize = 96;

/// Numbers that sit at edges.
const NUMBERS: [i32; 16] = [
    0,
    1,
    -1,
    2,
    4,
    8,
    16,
    31,
    32,
    63,
    255,
    256,
    0x7fff,
    -0x8000,
    i32::MAX,
    i32::MIN,
];

/// A program: tame or wild as the first byte says.
pub(crate) fn program(bytes: &mut Bytes<'_>, map_fd: i32, packet: (i16, i16)) -> Vec<Insn> {
    if bytes.byte().is_multiple_of(4) {
        wild(bytes)
    } else {
        tame(bytes, map_fd, packet)
    }
}

/// A program whose instructions are any forms of the table with small operands.
fn wild(bytes: &mut Bytes<'_>) -> Vec<Insn> {
    let usable: Vec<&Form> = FORMS.iter().filter(|f| f.level <= Level::Legacy).collect();
    let mut insns = Vec::new();
    while bytes.any() && insns.len() < MOST {
        let Some(form) = usable.get(usize::from(bytes.byte()) % usable.len()) else {
            break;
        };
        let (dst, src) = (field(form.dst, bytes) as u8, field(form.src, bytes) as u8);
        let (off, imm) = (field(form.off, bytes) as i16, field(form.imm, bytes));
        insns.push(Insn::new(form.code, dst, src, off, imm));
        if form.is_wide() {
            let upper = if form.meaning == Meaning::LoadImm64 {
                i32::from(bytes.byte())
            } else {
                0
            };
            insns.push(Insn::new(0, 0, 0, 0, upper));
        }
    }
    insns.push(Insn::exit());
    insns
}

/// A number that keeps a rule.
fn field(rule: Rule, bytes: &mut Bytes<'_>) -> i32 {
    match rule {
        Rule::Zero => 0,
        Rule::Is(n) => n,
        Rule::Dst | Rule::Src => i32::from(bytes.byte() % 11),
        Rule::Shift32 => i32::from(bytes.byte() % 32),
        Rule::Shift64 => i32::from(bytes.byte() % 64),
        Rule::SwapWidth => 16 << (bytes.byte() % 3),
        Rule::AddrSpaces => 1,
        Rule::Divisor => field(Rule::Any, bytes) | 1,
        Rule::Any => match bytes.byte() {
            n @ 0..=191 => i32::from(n as i8 / 4),
            n => NUMBERS[usize::from(n) % NUMBERS.len()],
        },
    }
}

/// A program that the verifier mostly accepts: r6 keeps the context, the other registers
/// hold numbers between the steps, the stack is written before it is read, and jumps stay
/// inside. What is left to chance is what the numbers are and where pointers go.
fn tame(bytes: &mut Bytes<'_>, map_fd: i32, packet: (i16, i16)) -> Vec<Insn> {
    let arithmetic: Vec<&Form> = FORMS
        .iter()
        .filter(|f| {
            f.level <= Level::V4
                && matches!(
                    f.meaning,
                    Meaning::Alu(..)
                        | Meaning::Neg(_)
                        | Meaning::Mov(..)
                        | Meaning::MovSx(..)
                        | Meaning::Swap(_)
                        | Meaning::Branch(..)
                )
        })
        .collect();
    let mut insns = vec![
        Insn::mov64_reg(6, 1),
        Insn::call_helper(7),
        Insn::mov64_reg(7, 0),
    ];
    insns.extend([
        Insn::call_helper(5),
        Insn::mov64_reg(8, 0),
        Insn::mov64_imm(9, 9),
    ]);
    insns.extend([-8, -16, -24].map(|off| Insn::stx(size::DW, 10, 7, off)));
    numbers(&mut insns);
    while bytes.any() && insns.len() < MOST {
        match bytes.byte() % 32 {
            0 => lookup(&mut insns, bytes, map_fd),
            1 | 2 => read_packet(&mut insns, bytes, packet),
            3 => {
                insns.push(Insn::call_helper([5, 7, 8][usize::from(bytes.byte() % 3)]));
                numbers(&mut insns);
            }
            4 => insns.push(Insn::stx(size::DW, 10, register(bytes), slot(bytes))),
            5 => insns.push(Insn::ldx(size::DW, register(bytes), 10, slot(bytes))),
            6 => insns.push(Insn::ldx(size::W, register(bytes), 10, slot(bytes) + 4)),
            _ => {
                let form = arithmetic[usize::from(bytes.byte()) % arithmetic.len()];
                let dst = register(bytes);
                let src = match form.src {
                    Rule::Src => register(bytes),
                    _ => 0,
                };
                let off = match (form.meaning, form.off) {
                    (Meaning::Branch(..), _) => i32::from(bytes.byte() % 4),
                    (_, rule) => field(rule, bytes),
                };
                let imm = field(form.imm, bytes);
                insns.push(Insn::new(form.code, dst, src, off as i16, imm));
            }
        }
    }
    // Room for the last jumps.
    insns.extend([Insn::goto(0); 4]);
    insns.extend([Insn::mov64_reg(0, 7), Insn::exit()]);
    insns
}

/// Gives r0 to r5 numbers again after a step that left pointers in them, or nothing.
fn numbers(insns: &mut Vec<Insn>) {
    insns.extend([0, 1, 2, 3, 4, 5].map(|r| Insn::mov64_imm(r, i32::from(r) * 3)));
}

/// A register that holds a number between the steps.
fn register(bytes: &mut Bytes<'_>) -> u8 {
    [0, 1, 2, 3, 4, 5, 7, 8, 9][usize::from(bytes.byte() % 9)]
}

/// A stack slot that is written at the start.
fn slot(bytes: &mut Bytes<'_>) -> i16 {
    -8 * (1 + i16::from(bytes.byte() % 3))
}

/// Looks a value up, goes to some place in it, and reads or writes there. The place is a
/// number made small by a mask, which may or may not be small enough.
fn lookup(insns: &mut Vec<Insn>, bytes: &mut Bytes<'_>, map_fd: i32) {
    let place = register(bytes);
    let mask = [7, 15, 8, 3, 31, -1][usize::from(bytes.byte() % 6)];
    let access = match bytes.byte() % 4 {
        0 => Insn::ldx(size::B, 9, 0, i16::from(bytes.byte() % 9)),
        1 => Insn::stx(size::B, 0, 9, i16::from(bytes.byte() % 9)),
        2 => Insn::ldx(size::DW, 9, 0, 0),
        _ => Insn::stx(size::W, 0, 9, 4),
    };
    insns.push(Insn::mov64_reg(9, place));
    insns.extend([Insn::stx(size::W, 10, 8, -32), Insn::mov64_reg(2, 10)]);
    insns.push(Insn::alu64_imm(alu::ADD, 2, -32));
    insns.extend(Insn::ld_pseudo(1, pseudo::MAP_FD, map_fd, 0));
    insns.extend([Insn::call_helper(1), Insn::jmp_imm(jmp::JEQ, 0, 0, 3)]);
    insns.extend([
        Insn::alu64_imm(alu::AND, 9, mask),
        Insn::alu64_reg(alu::ADD, 0, 9),
        access,
    ]);
    insns.push(Insn::mov64_imm(9, 1));
    numbers(insns);
}

/// Reads the packet behind a bounds check that may or may not be enough.
fn read_packet(insns: &mut Vec<Insn>, bytes: &mut Bytes<'_>, (start, end): (i16, i16)) {
    let place = register(bytes);
    let checked = i32::from(bytes.byte() % 32);
    let read = i16::from(bytes.byte() % 16);
    insns.push(Insn::mov64_reg(9, place));
    insns.extend([
        Insn::ldx(size::W, 2, 6, start),
        Insn::ldx(size::W, 3, 6, end),
    ]);
    if bytes.byte().is_multiple_of(2) {
        insns.extend([
            Insn::alu64_imm(alu::AND, 9, 15),
            Insn::alu64_reg(alu::ADD, 2, 9),
        ]);
    }
    insns.extend([Insn::mov64_reg(4, 2), Insn::alu64_imm(alu::ADD, 4, checked)]);
    insns.extend([
        Insn::jmp_reg(jmp::JGT, 4, 3, 1),
        Insn::ldx(size::B, 9, 2, read),
    ]);
    insns.push(Insn::alu64_imm(alu::AND, 9, 0xff));
    numbers(insns);
}

/// A program of the bytes as they are.
pub(crate) fn raw(bytes: &Bytes<'_>) -> Vec<Insn> {
    let mut insns: Vec<Insn> = bytes
        .0
        .as_chunks()
        .0
        .iter()
        .take(MOST)
        .map(|c| Insn::from_bytes(*c))
        .collect();
    insns.push(Insn::exit());
    insns
}

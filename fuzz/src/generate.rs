//! Programs from bytes: mostly well-formed, so that they come past the first checks.

use skep_isa::form::{Level, Meaning, Rule};
use skep_isa::{FORMS, Form, Insn, alu, size};

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
const MOST: usize = 48;

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

/// Instructions that give every register and some stack a value: the context in r6, numbers
/// that the verifier knows nothing of in r7 and r8, and constants.
fn prologue() -> Vec<Insn> {
    let prandom = Insn::call_helper(7);
    let mut insns = vec![
        Insn::mov64_reg(6, 1),
        prandom,
        Insn::mov64_reg(7, 0),
        prandom,
    ];
    insns.extend([Insn::mov64_reg(8, 0), Insn::alu64_reg(alu::LSH, 8, 7)]);
    insns.extend([1, 2, 3, 4, 5, 9].map(|r| Insn::mov64_imm(r, i32::from(r))));
    insns.extend([-8, -16, -24].map(|off| Insn::stx(size::DW, 10, 7, off)));
    insns
}

/// A program whose instructions are forms of the table with small operands, ending with
/// `exit`.
pub(crate) fn program(bytes: &mut Bytes<'_>) -> Vec<Insn> {
    let usable: Vec<&Form> = FORMS.iter().filter(|f| f.level <= Level::Legacy).collect();
    let mut insns = if bytes.byte() % 4 != 0 {
        prologue()
    } else {
        Vec::new()
    };
    while bytes.any() && insns.len() < MOST {
        let Some(form) = usable.get(usize::from(bytes.byte()) % usable.len()) else {
            break;
        };
        let mut field = |rule: Rule| match rule {
            Rule::Zero => 0,
            Rule::Is(n) => n,
            Rule::Dst | Rule::Src => i32::from(bytes.byte() % 11),
            Rule::Shift32 | Rule::Shift64 => i32::from(bytes.byte() % 64),
            Rule::SwapWidth => 16 << (bytes.byte() % 3),
            Rule::AddrSpaces => 1,
            Rule::Divisor | Rule::Any => match bytes.byte() {
                n @ 0..=191 => i32::from(n as i8 / 4),
                n => NUMBERS[usize::from(n) % NUMBERS.len()],
            },
        };
        let (dst, src) = (field(form.dst) as u8, field(form.src) as u8);
        let (off, imm) = (field(form.off), field(form.imm));
        let off = match form.meaning {
            Meaning::Load(size, _) | Meaning::Store(size, _) | Meaning::Atomic(size, ..) => {
                off / size.bytes() as i32 * size.bytes() as i32
            }
            _ => off,
        };
        insns.push(Insn::new(form.code, dst, src, off as i16, imm));
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

//! From the slots of a program to operations: which form a slot has, and whether it keeps the
//! rules of that form.

use std::fmt;

use crate::form::{Form, Level, Meaning, Origin, Row, Target};
use crate::insn::Insn;
use crate::op::{Op, Operand, Reg, Size};

/// Which field of a slot is at fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Field {
    Dst,
    Src,
    Off,
    Imm,
    /// Any field of the second slot.
    Next,
}

/// Why a slot is no instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// There is no slot at this index.
    End {
        /// The index asked for.
        at: usize,
    },
    /// The opcode does not exist, or not with these fields.
    Unknown {
        /// Where.
        at: usize,
        /// The opcode byte.
        code: u8,
    },
    /// A field holds what it must not: a reserved field not zero, a register above r10,
    /// a shift beyond the width, a division by the constant zero.
    BadField {
        /// Where.
        at: usize,
        /// The opcode byte.
        code: u8,
        /// Which field.
        field: Field,
    },
    /// The second slot of a 64-bit immediate load is missing.
    HalfImm64 {
        /// Where the first one stands.
        at: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            DecodeError::End { at } => write!(f, "no instruction at {at}"),
            DecodeError::Unknown { at, code } => write!(f, "unknown opcode {code:02x} at {at}"),
            DecodeError::BadField { at, code, field } => {
                let field = match field {
                    Field::Dst => "destination",
                    Field::Src => "source",
                    Field::Off => "offset",
                    Field::Imm => "immediate",
                    Field::Next => "second slot",
                };
                write!(f, "invalid {field} of opcode {code:02x} at {at}")
            }
            DecodeError::HalfImm64 { at } => {
                write!(f, "64-bit immediate load without second slot at {at}")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// Looks at the rules of a form one by one.
#[cold]
#[inline(never)]
fn strictly(form: &Form, i: Insn, at: usize) -> Result<(), DecodeError> {
    let code = i.code;
    if form.level == Level::Never {
        return Err(DecodeError::Unknown { at, code });
    }
    let fields = [
        (form.dst, i32::from(i.dst), Field::Dst),
        (form.src, i32::from(i.src), Field::Src),
        (form.off, i32::from(i.off), Field::Off),
        (form.imm, i.imm, Field::Imm),
    ];
    let broken = fields.iter().find(|(rule, value, _)| !rule.holds(*value));
    match broken {
        Some((_, _, field)) => Err(DecodeError::BadField {
            at,
            code,
            field: *field,
        }),
        None => Ok(()),
    }
}

/// The instruction that begins at slot `at`, with every reserved field checked.
///
/// Forms that only a kernel makes ([`Level::Internal`]) decode; forms that no kernel
/// accepts do not. Errors: [`DecodeError`]. Source: RFC 9669 sections 3 to 5.
pub fn decode(insns: &[Insn], at: usize) -> Result<Op, DecodeError> {
    let i = *insns.get(at).ok_or(DecodeError::End { at })?;
    let (row, plain) = Row::of(i).ok_or(DecodeError::Unknown { at, code: i.code })?;
    let bad = |field| DecodeError::BadField {
        at,
        code: i.code,
        field,
    };
    if !plain {
        strictly(row.form(), i, at)?;
    }
    let wide = matches!(row.meaning, Meaning::LoadImm64 | Meaning::LoadPseudo(_));
    let next = if wide {
        let next = *insns.get(at + 1).ok_or(DecodeError::HalfImm64 { at })?;
        if (Insn { imm: 0, ..next }) != Insn::default() {
            return Err(bad(Field::Next));
        }
        next.imm
    } else {
        0
    };
    let dst = Reg::new(i.dst).ok_or_else(|| bad(Field::Dst))?;
    let src = Reg::new(i.src).ok_or_else(|| bad(Field::Src))?;
    let from = |origin| match origin {
        Origin::Imm => Operand::Imm(i.imm),
        Origin::Reg => Operand::Reg(src),
    };
    Ok(match row.meaning {
        Meaning::Alu(width, op, origin) => Op::Alu {
            width,
            op,
            dst,
            src: from(origin),
        },
        Meaning::Neg(width) => Op::Neg { width, dst },
        Meaning::Mov(width, origin) => Op::Mov {
            width,
            dst,
            src: from(origin),
        },
        Meaning::MovSx(width, size) => Op::MovSx {
            width,
            from: size,
            dst,
            src,
        },
        Meaning::AddrSpaceCast => Op::AddrSpaceCast {
            dst,
            src,
            imm: i.imm,
        },
        Meaning::PercpuAddr => Op::PercpuAddr { dst, src },
        Meaning::Swap(kind) => {
            let size = match i.imm {
                16 => Size::B16,
                32 => Size::B32,
                _ => Size::B64,
            };
            Op::Swap { kind, size, dst }
        }
        Meaning::JumpOff => Op::Jump {
            delta: i32::from(i.off),
        },
        Meaning::JumpImm => Op::Jump { delta: i.imm },
        Meaning::Branch(width, cond, origin) => Op::Branch {
            width,
            cond,
            dst,
            src: from(origin),
            delta: i.off,
        },
        Meaning::MayGoto => Op::MayGoto { delta: i.off },
        Meaning::Call(Target::Helper) => Op::CallHelper { id: i.imm },
        Meaning::Call(Target::Subprog) => Op::CallSub { delta: i.imm },
        Meaning::Call(Target::Kfunc) => Op::CallKfunc {
            btf_id: i.imm,
            off: i.off,
        },
        Meaning::Exit => Op::Exit,
        Meaning::LoadImm64 => Op::LoadImm64 {
            dst,
            value: i.imm64(Insn {
                imm: next,
                ..Insn::default()
            }),
        },
        Meaning::LoadPseudo(kind) => Op::LoadPseudo {
            kind,
            dst,
            imm: i.imm,
            next_imm: next,
        },
        Meaning::Packet(size, indexed) => Op::Packet {
            size,
            index: indexed.then_some(src),
            imm: i.imm,
        },
        Meaning::Load(size, signed) => Op::Load {
            size,
            signed,
            dst,
            base: src,
            off: i.off,
        },
        Meaning::Store(size, origin) => Op::Store {
            size,
            base: dst,
            off: i.off,
            src: from(origin),
        },
        Meaning::Nospec => Op::Nospec,
        Meaning::Atomic(size, op, fetch) => Op::Atomic {
            size,
            op,
            fetch,
            base: dst,
            off: i.off,
            src,
        },
        Meaning::LoadAcquire(size) => Op::LoadAcquire {
            size,
            dst,
            base: src,
            off: i.off,
        },
        Meaning::StoreRelease(size) => Op::StoreRelease {
            size,
            base: dst,
            off: i.off,
            src,
        },
    })
}

//! What an instruction means: the closed set of operations, with their operands.

use std::fmt;

use crate::form::{Form, Level, Meaning, Origin, PseudoKind, Row, Target};
use crate::insn::Insn;

/// The width of arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Width {
    /// 32 bits; the upper half of the result is zero.
    W32,
    /// 64 bits.
    W64,
}

/// The width of a memory access.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Size {
    /// One byte.
    B8,
    /// Two bytes.
    B16,
    /// Four bytes.
    B32,
    /// Eight bytes.
    B64,
}

impl Size {
    /// The width in bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            Size::B8 => 1,
            Size::B16 => 2,
            Size::B32 => 4,
            Size::B64 => 8,
        }
    }
}

/// Two-operand arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum AluOp {
    Add,
    Sub,
    Mul,
    Div,
    Sdiv,
    Or,
    And,
    Lsh,
    Rsh,
    Mod,
    Smod,
    Xor,
    Arsh,
}

/// The condition of a jump.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum Cond {
    Eq,
    Gt,
    Ge,
    Set,
    Ne,
    Sgt,
    Sge,
    Lt,
    Le,
    Slt,
    Sle,
}

/// What an atomic operation stores.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum AtomicOp {
    Add,
    Or,
    And,
    Xor,
    Xchg,
    Cmpxchg,
}

/// Which way bytes are swapped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SwapKind {
    /// Between the machine's order and little endian.
    ToLe,
    /// Between the machine's order and big endian.
    ToBe,
    /// Always.
    Always,
}

/// A register, r0 to r10.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reg(u8);

impl Reg {
    /// The return value.
    pub const R0: Reg = Reg(0);
    /// The context at entry.
    pub const R1: Reg = Reg(1);
    /// The frame pointer.
    pub const FP: Reg = Reg(10);

    /// The register of this number; `None` above 10.
    pub const fn new(number: u8) -> Option<Reg> {
        if number <= 10 {
            Some(Reg(number))
        } else {
            None
        }
    }

    /// The number, 0 to 10.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The number as an index, 0 to 10.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// A second operand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operand {
    /// A number, sign-extended to 64 bits where the operation is that wide.
    Imm(i32),
    /// A register.
    Reg(Reg),
}

/// One instruction with its operands. Jump distances count from the next slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum Op {
    /// `dst = dst op src`
    Alu {
        width: Width,
        op: AluOp,
        dst: Reg,
        src: Operand,
    },
    /// `dst = -dst`
    Neg { width: Width, dst: Reg },
    /// `dst = src`
    Mov {
        width: Width,
        dst: Reg,
        src: Operand,
    },
    /// `dst = src`, the sign of the low bits extended
    MovSx {
        width: Width,
        from: Size,
        dst: Reg,
        src: Reg,
    },
    /// Casts between address space 0 and an arena's; `to_user` is the cast from 0 to 1.
    AddrSpaceCast { dst: Reg, src: Reg, imm: i32 },
    /// `dst` = the address of this CPU's copy of what `src` points at
    PercpuAddr { dst: Reg, src: Reg },
    /// Byte order of the low `size` of `dst`; the rest becomes zero.
    Swap {
        kind: SwapKind,
        size: Size,
        dst: Reg,
    },
    /// `dst = value`; takes two slots
    LoadImm64 { dst: Reg, value: u64 },
    /// `dst` = a reference; takes two slots
    LoadPseudo {
        kind: PseudoKind,
        dst: Reg,
        imm: i32,
        next_imm: i32,
    },
    /// r0 = a number of the packet at `imm` plus `index`, in network order
    Packet {
        size: Size,
        index: Option<Reg>,
        imm: i32,
    },
    /// `dst = *(base + off)`
    Load {
        size: Size,
        signed: bool,
        dst: Reg,
        base: Reg,
        off: i16,
    },
    /// `*(base + off) = src`
    Store {
        size: Size,
        base: Reg,
        off: i16,
        src: Operand,
    },
    /// `*(base + off) op= src`, the old value into `src` (r0 for compare-and-exchange)
    Atomic {
        size: Size,
        op: AtomicOp,
        fetch: bool,
        base: Reg,
        off: i16,
        src: Reg,
    },
    /// `dst = *(base + off)` with acquire ordering
    LoadAcquire {
        size: Size,
        dst: Reg,
        base: Reg,
        off: i16,
    },
    /// `*(base + off) = src` with release ordering
    StoreRelease {
        size: Size,
        base: Reg,
        off: i16,
        src: Reg,
    },
    /// Always jumps.
    Jump { delta: i32 },
    /// Jumps when the condition holds.
    Branch {
        width: Width,
        cond: Cond,
        dst: Reg,
        src: Operand,
        delta: i16,
    },
    /// Jumps when the program has run too long.
    MayGoto { delta: i16 },
    /// Calls a helper.
    CallHelper { id: i32 },
    /// Calls a subprogram.
    CallSub { delta: i32 },
    /// Calls a kernel function; `off` chooses the module.
    CallKfunc { btf_id: i32, off: i16 },
    /// Returns.
    Exit,
    /// A barrier against speculation.
    Nospec,
}

impl Op {
    /// The slots it takes: two for 64-bit immediate loads, else one.
    pub const fn slots(self) -> usize {
        match self {
            Op::LoadImm64 { .. } | Op::LoadPseudo { .. } => 2,
            _ => 1,
        }
    }
}

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

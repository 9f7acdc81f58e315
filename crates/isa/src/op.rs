//! What an instruction means: the closed set of operations, with their operands.

use std::fmt;

use crate::form::PseudoKind;

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

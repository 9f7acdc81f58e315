//! One instruction slot as it lies in memory: eight bytes, and what its fields are called.

use crate::field::{alu, class, jmp, mode, size, src};

/// One eight-byte instruction slot. A 64-bit immediate load takes two.
///
/// ```text
///  0      1         2       4            8
///  | code | src:dst | off   | imm        |
/// ```
///
/// Source: RFC 9669 section 3.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Insn {
    /// The opcode byte.
    pub code: u8,
    /// The destination register, 0 to 15 as encoded (only 0 to 11 can mean something).
    pub dst: u8,
    /// The source register or pseudo kind, 0 to 15.
    pub src: u8,
    /// The signed 16-bit offset.
    pub off: i16,
    /// The signed 32-bit immediate.
    pub imm: i32,
}

/// Bytes of one slot.
pub const INSN_SIZE: usize = 8;

/// The bytes of a program do not divide into slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrailingBytes {
    /// Where the incomplete slot begins.
    pub offset: usize,
}

impl std::fmt::Display for TrailingBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "incomplete instruction at byte {}", self.offset)
    }
}

impl std::error::Error for TrailingBytes {}

impl Insn {
    /// The slot with these fields; register numbers are taken modulo 16.
    pub const fn new(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
        Insn {
            code,
            dst: dst & 15,
            src: src & 15,
            off,
            imm,
        }
    }

    /// The slot in eight little-endian bytes.
    pub const fn from_bytes(b: [u8; INSN_SIZE]) -> Insn {
        Insn {
            code: b[0],
            dst: b[1] & 15,
            src: b[1] >> 4,
            off: i16::from_le_bytes([b[2], b[3]]),
            imm: i32::from_le_bytes([b[4], b[5], b[6], b[7]]),
        }
    }

    /// The eight little-endian bytes of the slot.
    pub const fn to_bytes(self) -> [u8; INSN_SIZE] {
        let o = self.off.to_le_bytes();
        let i = self.imm.to_le_bytes();
        [
            self.code,
            (self.dst & 15) | (self.src << 4),
            o[0],
            o[1],
            i[0],
            i[1],
            i[2],
            i[3],
        ]
    }

    /// The slots in little-endian bytes.
    ///
    /// Errors: [`TrailingBytes`] when the length is no multiple of eight.
    pub fn slice_from_bytes(bytes: &[u8]) -> Result<Vec<Insn>, TrailingBytes> {
        let (slots, rest) = bytes.as_chunks::<INSN_SIZE>();
        if !rest.is_empty() {
            return Err(TrailingBytes {
                offset: bytes.len() - rest.len(),
            });
        }
        Ok(slots.iter().copied().map(Insn::from_bytes).collect())
    }

    /// The little-endian bytes of the slots.
    pub fn slice_to_bytes(insns: &[Insn]) -> Vec<u8> {
        insns.iter().flat_map(|i| i.to_bytes()).collect()
    }

    /// The instruction class, one of [`class`].
    pub const fn class(self) -> u8 {
        self.code & 0x07
    }

    /// The operation of an arithmetic or jump class, one of [`alu`] or [`jmp`].
    pub const fn op(self) -> u8 {
        self.code & 0xf0
    }

    /// The width bits of a load or store class, one of [`size`].
    pub const fn size(self) -> u8 {
        self.code & 0x18
    }

    /// The mode bits of a load or store class, one of [`mode`].
    pub const fn mode(self) -> u8 {
        self.code & 0xe0
    }

    /// The bytes a load or store class moves: 1, 2, 4 or 8.
    pub const fn size_bytes(self) -> u32 {
        match self.size() {
            size::W => 4,
            size::H => 2,
            size::B => 1,
            _ => 8,
        }
    }

    /// Whether the second operand of an arithmetic or jump class is a register.
    pub const fn is_src_reg(self) -> bool {
        self.code & 0x08 == src::X
    }

    /// Whether this is 32- or 64-bit arithmetic.
    pub const fn is_alu(self) -> bool {
        matches!(self.class(), class::ALU | class::ALU64)
    }

    /// Whether the class is one of the two jump classes (calls and exit among them).
    pub const fn is_jmp_class(self) -> bool {
        matches!(self.class(), class::JMP | class::JMP32)
    }

    /// Whether this is a load, `LDX` with a memory mode.
    pub const fn is_load(self) -> bool {
        self.class() == class::LDX
    }

    /// Whether this is a plain store, `ST` or `STX` with mode `MEM`.
    pub const fn is_store(self) -> bool {
        matches!(self.class(), class::ST | class::STX) && self.mode() == mode::MEM
    }

    /// Whether this is an atomic operation, load-acquire and store-release among them.
    pub const fn is_atomic(self) -> bool {
        self.class() == class::STX && self.mode() == mode::ATOMIC
    }

    /// Whether this is the first slot of a 64-bit immediate load.
    pub const fn is_ld_imm64(self) -> bool {
        self.code == class::LD | size::DW | mode::IMM
    }

    /// Whether this is `exit`.
    pub const fn is_exit(self) -> bool {
        self.code == class::JMP | jmp::EXIT
    }

    /// Whether this is a call of any kind.
    pub const fn is_call(self) -> bool {
        self.code == class::JMP | jmp::CALL
    }

    /// Whether this calls a helper by number.
    pub const fn is_helper_call(self) -> bool {
        self.is_call() && self.src == 0
    }

    /// Whether this calls a subprogram.
    pub const fn is_pseudo_call(self) -> bool {
        self.is_call() && self.src == crate::field::pseudo::CALL
    }

    /// Whether this calls a kernel function by its BTF id.
    pub const fn is_kfunc_call(self) -> bool {
        self.is_call() && self.src == crate::field::pseudo::KFUNC_CALL
    }

    /// Whether this is a 64-bit load of a function's address.
    pub const fn is_pseudo_func(self) -> bool {
        self.is_ld_imm64() && self.src == crate::field::pseudo::FUNC
    }

    /// Whether this is `may_goto`.
    pub const fn is_may_goto(self) -> bool {
        self.code == class::JMP | jmp::JCOND && self.src == 0
    }

    /// Whether this is an unconditional `goto` or `gotol`.
    pub const fn is_goto(self) -> bool {
        self.is_jmp_class() && self.op() == jmp::JA && !self.is_src_reg()
    }

    /// Whether this compares and branches.
    pub const fn is_cond_jump(self) -> bool {
        self.is_jmp_class()
            && !matches!(self.op(), jmp::JA | jmp::CALL | jmp::EXIT)
            && !(self.class() == class::JMP && self.op() == jmp::JCOND)
            && self.op() <= jmp::JSLE
    }

    /// The distance of a jump of any kind, counted from the next slot; `None` when
    /// the instruction is no jump. Calls and `exit` are none.
    pub const fn jump_delta(self) -> Option<i32> {
        if self.is_goto() && self.class() == class::JMP32 {
            Some(self.imm)
        } else if self.is_goto() || self.is_cond_jump() || self.code == class::JMP | jmp::JCOND {
            Some(self.off as i32)
        } else {
            None
        }
    }

    /// The 64-bit value of an immediate load whose second slot is `next`.
    pub const fn imm64(self, next: Insn) -> u64 {
        (self.imm as u32 as u64) | ((next.imm as u32 as u64) << 32)
    }

    /// Whether the operation works on 32 bits (`ALU` or `JMP32` class).
    pub const fn is_32bit(self) -> bool {
        matches!(self.class(), class::ALU | class::JMP32)
    }

    /// Whether this is a byte-order or byte-swap operation.
    pub const fn is_endian(self) -> bool {
        self.is_alu() && self.op() == alu::END
    }
}

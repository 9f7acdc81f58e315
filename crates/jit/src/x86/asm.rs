//! How instructions of x86-64 are written as bytes, and how jumps between them find their
//! shortest form.

mod finish;

pub(crate) use finish::Finished;

/// A machine register by its number in the encoding.
pub(crate) type R = u8;

pub(crate) const RAX: R = 0;
pub(crate) const RCX: R = 1;
pub(crate) const RDX: R = 2;
pub(crate) const RBX: R = 3;
pub(crate) const RSP: R = 4;
pub(crate) const RBP: R = 5;
pub(crate) const RSI: R = 6;
pub(crate) const RDI: R = 7;
pub(crate) const R8: R = 8;
pub(crate) const R9: R = 9;
pub(crate) const R10: R = 10;
pub(crate) const R11: R = 11;

/// A condition by its number in the encoding; the lowest bit inverts it.
pub(crate) type Cc = u8;

/// Conditions of unsigned and signed comparisons.
pub(crate) mod cc {
    pub(crate) const B: u8 = 2;
    pub(crate) const AE: u8 = 3;
    pub(crate) const E: u8 = 4;
    pub(crate) const NE: u8 = 5;
    pub(crate) const BE: u8 = 6;
    pub(crate) const A: u8 = 7;
    pub(crate) const S: u8 = 8;
    pub(crate) const L: u8 = 12;
    pub(crate) const GE: u8 = 13;
    pub(crate) const LE: u8 = 14;
    pub(crate) const G: u8 = 15;
}

/// Memory at `base + index * 2^shift + disp`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mem {
    pub base: R,
    pub index: Option<(R, u8)>,
    pub disp: i32,
}

/// A register or memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rm {
    R(R),
    M(Mem),
}

/// A place in the code that jumps go to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Label(pub u32);

/// A part of the code.
#[derive(Clone, Copy, Debug)]
enum Piece {
    /// Finished bytes, up to this length of the buffer.
    Bytes {
        end: usize,
    },
    Bind(Label),
    /// A jump, conditional or not.
    Jump {
        cc: Option<Cc>,
        to: Label,
    },
    Call {
        to: Label,
    },
    /// Filling up to a multiple of 16, when at most this many bytes do it.
    Align {
        most: u8,
    },
}

/// Code under construction.
#[derive(Default)]
pub(crate) struct Asm {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    labels: u32,
}

/// Operations with the common two-operand encodings, by the number in their opcodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Group1 {
    Add = 0,
    Or = 1,
    And = 4,
    Sub = 5,
    Xor = 6,
    Cmp = 7,
}

/// Shifts, by the number in their opcodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shift {
    Rol = 0,
    Shl = 4,
    Shr = 5,
    Sar = 7,
}

/// Prefixes that come before REX.
const WORD: u8 = 0x66;

impl Asm {
    /// For about so many instructions.
    pub(crate) fn with_room(instructions: usize) -> Asm {
        Asm {
            bytes: Vec::with_capacity(5 * instructions + 32),
            pieces: Vec::with_capacity(instructions / 8 + 16),
            labels: 0,
        }
    }

    pub(crate) fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels - 1)
    }

    fn close(&mut self) {
        let end = self.bytes.len();
        self.pieces.push(Piece::Bytes { end });
    }

    pub(crate) fn bind(&mut self, label: Label) {
        self.close();
        self.pieces.push(Piece::Bind(label));
    }

    pub(crate) fn jump(&mut self, to: Label) {
        self.close();
        self.pieces.push(Piece::Jump { cc: None, to });
    }

    pub(crate) fn jump_if(&mut self, cc: Cc, to: Label) {
        self.close();
        self.pieces.push(Piece::Jump { cc: Some(cc), to });
    }

    pub(crate) fn call(&mut self, to: Label) {
        self.close();
        self.pieces.push(Piece::Call { to });
    }

    pub(crate) fn align(&mut self, most: u8) {
        self.close();
        self.pieces.push(Piece::Align { most });
    }

    /// A place to go back to.
    pub(crate) fn mark(&mut self) -> (usize, usize) {
        self.close();
        (self.bytes.len(), self.pieces.len())
    }

    /// Forgets everything since a mark, except that labels were made.
    pub(crate) fn rewind(&mut self, (bytes, pieces): (usize, usize)) {
        self.bytes.truncate(bytes);
        self.pieces.truncate(pieces);
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    fn imm32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// ModRM, SIB and displacement.
    fn modrm(&mut self, reg: u8, rm: Rm) {
        let reg = (reg & 7) << 3;
        let Mem { base, index, disp } = match rm {
            Rm::R(r) => return self.byte(0xc0 | reg | (r & 7)),
            Rm::M(mem) => mem,
        };
        // rbp and r13 have no form without displacement.
        let (mode, short) = match disp {
            0 if base & 7 != RBP => (0x00, true),
            -128..=127 => (0x40, true),
            _ => (0x80, false),
        };
        match index {
            Some((index, shift)) => {
                self.byte(mode | reg | 4);
                self.byte(shift << 6 | (index & 7) << 3 | (base & 7));
            }
            None if base & 7 == RSP => {
                self.byte(mode | reg | 4);
                self.byte(0x24);
            }
            None => self.byte(mode | reg | (base & 7)),
        }
        match (mode, short) {
            (0, _) => {}
            (_, true) => self.byte(disp as u8),
            (_, false) => self.imm32(disp),
        }
    }

    /// The bits of REX that extend the operands of ModRM.
    fn rex_bits(reg: u8, rm: Rm) -> u8 {
        let rex = (reg >> 3) << 2;
        match rm {
            Rm::R(r) => rex | r >> 3,
            Rm::M(Mem { base, index, .. }) => {
                rex | base >> 3 | index.map_or(0, |(i, _)| (i >> 3) << 1)
            }
        }
    }

    /// An instruction with ModRM; `low` marks byte registers that need REX to mean the low
    /// byte.
    fn op(&mut self, prefix: Option<u8>, wide: bool, low: bool, code: &[u8], reg: u8, rm: Rm) {
        if let Some(prefix) = prefix {
            self.byte(prefix);
        }
        let rex = Self::rex_bits(reg, rm) | u8::from(wide) << 3;
        if rex != 0 || low {
            self.byte(0x40 | rex);
        }
        self.bytes.extend_from_slice(code);
        self.modrm(reg, rm);
    }

    /// A VEX-encoded instruction of map 2 or 3.
    #[allow(clippy::too_many_arguments)]
    fn vex(&mut self, map: u8, pp: u8, wide: bool, code: u8, reg: u8, vvvv: u8, rm: Rm) {
        let rex = Self::rex_bits(reg, rm);
        self.byte(0xc4);
        self.byte((!rex & 7) << 5 | map);
        self.byte(u8::from(wide) << 7 | (!vvvv & 15) << 3 | pp);
        self.byte(code);
        self.modrm(reg, rm);
    }

    pub(crate) fn mov(&mut self, wide: bool, dst: R, src: Rm) {
        self.op(None, wide, false, &[0x8b], dst, src);
    }

    /// The shortest load of a constant that leaves the flags alone.
    pub(crate) fn mov_imm(&mut self, dst: R, value: u64) {
        if let Ok(low) = u32::try_from(value) {
            if dst > 7 {
                self.byte(0x41);
            }
            self.byte(0xb8 | (dst & 7));
            self.imm32(low as i32);
        } else if let Ok(low) = i32::try_from(value as i64) {
            self.op(None, true, false, &[0xc7], 0, Rm::R(dst));
            self.imm32(low);
        } else {
            self.byte(0x48 | dst >> 3);
            self.byte(0xb8 | (dst & 7));
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Stores the low `size` bytes of a register.
    pub(crate) fn store(&mut self, size: u32, to: Mem, src: R) {
        let prefix = (size == 2).then_some(WORD);
        let code = if size == 1 { 0x88 } else { 0x89 };
        let low = size == 1 && src >= RSP;
        self.op(prefix, size == 8, low, &[code], src, Rm::M(to));
    }

    /// Stores a constant, which is sign-extended where `size` is 8.
    pub(crate) fn store_imm(&mut self, size: u32, to: Mem, value: i32) {
        let prefix = (size == 2).then_some(WORD);
        let code = if size == 1 { 0xc6 } else { 0xc7 };
        self.op(prefix, size == 8, false, &[code], 0, Rm::M(to));
        match size {
            1 => self.byte(value as u8),
            2 => self.bytes.extend_from_slice(&(value as u16).to_le_bytes()),
            _ => self.imm32(value),
        }
    }

    /// Zero-extends the low `size` bytes.
    pub(crate) fn movzx(&mut self, size: u32, dst: R, src: Rm) {
        match size {
            1 => {
                let low = matches!(src, Rm::R(r) if r >= RSP);
                self.op(None, false, low, &[0x0f, 0xb6], dst, src);
            }
            2 => self.op(None, false, false, &[0x0f, 0xb7], dst, src),
            _ => self.mov(size == 8, dst, src),
        }
    }

    /// Sign-extends the low `size` bytes to 32 or 64 bits.
    pub(crate) fn movsx(&mut self, wide: bool, size: u32, dst: R, src: Rm) {
        match size {
            1 => {
                let low = matches!(src, Rm::R(r) if r >= RSP);
                self.op(None, wide, low, &[0x0f, 0xbe], dst, src);
            }
            2 => self.op(None, wide, false, &[0x0f, 0xbf], dst, src),
            4 if wide => self.op(None, true, false, &[0x63], dst, src),
            _ => self.mov(size == 8, dst, src),
        }
    }

    pub(crate) fn lea(&mut self, wide: bool, dst: R, mem: Mem) {
        self.op(None, wide, false, &[0x8d], dst, Rm::M(mem));
    }

    pub(crate) fn alu(&mut self, op: Group1, wide: bool, dst: R, src: Rm) {
        self.op(None, wide, false, &[(op as u8) << 3 | 3], dst, src);
    }

    pub(crate) fn alu_to_mem(&mut self, op: Group1, size: u32, dst: Mem, src: R) {
        let prefix = (size == 2).then_some(WORD);
        let code = (op as u8) << 3 | u8::from(size != 1);
        let low = size == 1 && src >= RSP;
        self.op(prefix, size == 8, low, &[code], src, Rm::M(dst));
    }

    pub(crate) fn alu_imm(&mut self, op: Group1, size: u32, dst: Rm, imm: i32) {
        let prefix = (size == 2).then_some(WORD);
        let short = i8::try_from(imm).is_ok();
        let code = match (size, short) {
            (1, _) => 0x80,
            (_, true) => 0x83,
            (_, false) => 0x81,
        };
        let low = size == 1 && matches!(dst, Rm::R(r) if r >= RSP);
        self.op(prefix, size == 8, low, &[code], op as u8, dst);
        match (size, short) {
            (1, _) | (_, true) => self.byte(imm as u8),
            (2, false) => self.bytes.extend_from_slice(&(imm as u16).to_le_bytes()),
            _ => self.imm32(imm),
        }
    }

    pub(crate) fn test(&mut self, wide: bool, a: Rm, b: R) {
        self.op(None, wide, false, &[0x85], b, a);
    }

    pub(crate) fn test_imm(&mut self, wide: bool, a: Rm, imm: i32) {
        // A mask within the lowest byte has a short form.
        if let (Rm::R(r), 0..=127) = (a, imm) {
            self.op(None, false, r >= RSP, &[0xf6], 0, a);
            return self.byte(imm as u8);
        }
        self.op(None, wide, false, &[0xf7], 0, a);
        self.imm32(imm);
    }

    pub(crate) fn imul(&mut self, wide: bool, dst: R, src: Rm) {
        self.op(None, wide, false, &[0x0f, 0xaf], dst, src);
    }

    pub(crate) fn imul_imm(&mut self, wide: bool, dst: R, src: Rm, imm: i32) {
        let short = i8::try_from(imm).is_ok();
        let code = if short { 0x6b } else { 0x69 };
        self.op(None, wide, false, &[code], dst, src);
        if short {
            self.byte(imm as u8);
        } else {
            self.imm32(imm);
        }
    }

    /// `neg` (3), `not` (2), `mul` (4), `div` (6) or `idiv` (7).
    pub(crate) fn group3(&mut self, number: u8, wide: bool, rm: Rm) {
        self.op(None, wide, false, &[0xf7], number, rm);
    }

    /// Extends the sign of rax into rdx.
    pub(crate) fn cqo(&mut self, wide: bool) {
        if wide {
            self.byte(0x48);
        }
        self.byte(0x99);
    }

    pub(crate) fn shift_imm(&mut self, op: Shift, size: u32, dst: Rm, count: u8) {
        let prefix = (size == 2).then_some(WORD);
        if count == 1 {
            return self.op(prefix, size == 8, false, &[0xd1], op as u8, dst);
        }
        self.op(prefix, size == 8, false, &[0xc1], op as u8, dst);
        self.byte(count);
    }

    pub(crate) fn shift_cl(&mut self, op: Shift, wide: bool, dst: R) {
        self.op(None, wide, false, &[0xd3], op as u8, Rm::R(dst));
    }

    /// A shift that leaves the flags and its operands alone (BMI2).
    pub(crate) fn shift_x(&mut self, op: Shift, wide: bool, dst: R, src: Rm, count: R) {
        let pp = match op {
            Shift::Shl => 1,
            Shift::Sar => 2,
            _ => 3,
        };
        self.vex(2, pp, wide, 0xf7, dst, count, src);
    }

    /// A rotation to the right into another register (BMI2).
    pub(crate) fn rorx(&mut self, wide: bool, dst: R, src: Rm, count: u8) {
        self.vex(3, 3, wide, 0xf0, dst, 0, src);
        self.byte(count);
    }

    pub(crate) fn bswap(&mut self, wide: bool, r: R) {
        let rex = u8::from(wide) << 3 | r >> 3;
        if rex != 0 {
            self.byte(0x40 | rex);
        }
        self.byte(0x0f);
        self.byte(0xc8 | (r & 7));
    }

    /// Counts bits; the opcode says which.
    fn count(&mut self, wide: bool, code: u8, dst: R, src: Rm) {
        self.op(Some(0xf3), wide, false, &[0x0f, code], dst, src);
    }

    pub(crate) fn popcnt(&mut self, wide: bool, dst: R, src: Rm) {
        self.count(wide, 0xb8, dst, src);
    }

    pub(crate) fn tzcnt(&mut self, wide: bool, dst: R, src: Rm) {
        self.count(wide, 0xbc, dst, src);
    }

    pub(crate) fn lzcnt(&mut self, wide: bool, dst: R, src: Rm) {
        self.count(wide, 0xbd, dst, src);
    }

    pub(crate) fn movbe_load(&mut self, wide: bool, dst: R, src: Mem) {
        self.op(None, wide, false, &[0x0f, 0x38, 0xf0], dst, Rm::M(src));
    }

    pub(crate) fn movbe_store(&mut self, wide: bool, dst: Mem, src: R) {
        self.op(None, wide, false, &[0x0f, 0x38, 0xf1], src, Rm::M(dst));
    }

    pub(crate) fn cmov(&mut self, cc: Cc, wide: bool, dst: R, src: Rm) {
        self.op(None, wide, false, &[0x0f, 0x40 | cc], dst, src);
    }

    pub(crate) fn xchg(&mut self, wide: bool, mem: Mem, r: R) {
        self.op(None, wide, false, &[0x87], r, Rm::M(mem));
    }

    pub(crate) fn xchg_regs(&mut self, a: R, b: R) {
        self.op(None, true, false, &[0x87], a, Rm::R(b));
    }

    /// `lock op [mem], r`
    pub(crate) fn lock_alu(&mut self, op: Group1, wide: bool, mem: Mem, r: R) {
        self.byte(0xf0);
        self.alu_to_mem(op, if wide { 8 } else { 4 }, mem, r);
    }

    pub(crate) fn lock_xadd(&mut self, wide: bool, mem: Mem, r: R) {
        self.byte(0xf0);
        self.op(None, wide, false, &[0x0f, 0xc1], r, Rm::M(mem));
    }

    /// Compares with rax.
    pub(crate) fn lock_cmpxchg(&mut self, wide: bool, mem: Mem, r: R) {
        self.byte(0xf0);
        self.op(None, wide, false, &[0x0f, 0xb1], r, Rm::M(mem));
    }

    pub(crate) fn pause(&mut self) {
        self.bytes.extend_from_slice(&[0xf3, 0x90]);
    }

    pub(crate) fn lfence(&mut self) {
        self.bytes.extend_from_slice(&[0x0f, 0xae, 0xe8]);
    }

    pub(crate) fn push(&mut self, r: R) {
        if r > 7 {
            self.byte(0x41);
        }
        self.byte(0x50 | (r & 7));
    }

    pub(crate) fn pop(&mut self, r: R) {
        if r > 7 {
            self.byte(0x41);
        }
        self.byte(0x58 | (r & 7));
    }

    pub(crate) fn ret(&mut self) {
        self.byte(0xc3);
    }

    pub(crate) fn call_rm(&mut self, rm: Rm) {
        self.op(None, false, false, &[0xff], 2, rm);
    }

    pub(crate) fn jump_rm(&mut self, rm: Rm) {
        self.op(None, false, false, &[0xff], 4, rm);
    }
}

//! How to make an instruction without writing its bits.
//!
//! Register numbers are taken modulo 16, nothing else is changed or checked: rewrites and
//! generators also make slots that no kernel accepts.

use crate::field::{alu, class, jmp, mode, pseudo, size, src};
use crate::insn::Insn;
use crate::op::SwapKind;

impl Insn {
    /// `dst = imm`, sign-extended.
    pub const fn mov64_imm(dst: u8, imm: i32) -> Insn {
        Insn::alu64_imm(alu::MOV, dst, imm)
    }

    /// `dst = src`
    pub const fn mov64_reg(dst: u8, src: u8) -> Insn {
        Insn::alu64_reg(alu::MOV, dst, src)
    }

    /// `wdst = imm`
    pub const fn mov32_imm(dst: u8, imm: i32) -> Insn {
        Insn::alu32_imm(alu::MOV, dst, imm)
    }

    /// `wdst = wsrc`
    pub const fn mov32_reg(dst: u8, src: u8) -> Insn {
        Insn::alu32_reg(alu::MOV, dst, src)
    }

    /// 64-bit arithmetic, `op` one of [`alu`], with an immediate.
    pub const fn alu64_imm(op: u8, dst: u8, imm: i32) -> Insn {
        Insn::new(class::ALU64 | op | src::K, dst, 0, 0, imm)
    }

    /// 64-bit arithmetic with a register.
    pub const fn alu64_reg(op: u8, dst: u8, src: u8) -> Insn {
        Insn::new(class::ALU64 | op | src::X, dst, src, 0, 0)
    }

    /// 32-bit arithmetic with an immediate.
    pub const fn alu32_imm(op: u8, dst: u8, imm: i32) -> Insn {
        Insn::new(class::ALU | op | src::K, dst, 0, 0, imm)
    }

    /// 32-bit arithmetic with a register.
    pub const fn alu32_reg(op: u8, dst: u8, src: u8) -> Insn {
        Insn::new(class::ALU | op | src::X, dst, src, 0, 0)
    }

    /// The same instruction with another offset: the sign of a division, the width of a
    /// sign-extending copy, the distance of a jump.
    pub const fn with_off(self, off: i16) -> Insn {
        Insn { off, ..self }
    }

    /// Byte order of the low `bits` (16, 32 or 64) of `dst`.
    pub const fn swap(kind: SwapKind, dst: u8, bits: i32) -> Insn {
        let code = match kind {
            SwapKind::ToLe => class::ALU | alu::END | src::K,
            SwapKind::ToBe => class::ALU | alu::END | src::X,
            SwapKind::Always => class::ALU64 | alu::END | src::K,
        };
        Insn::new(code, dst, 0, 0, bits)
    }

    /// A 64-bit conditional jump, `op` one of [`jmp`], against an immediate.
    pub const fn jmp_imm(op: u8, dst: u8, imm: i32, off: i16) -> Insn {
        Insn::new(class::JMP | op | src::K, dst, 0, off, imm)
    }

    /// A 64-bit conditional jump against a register.
    pub const fn jmp_reg(op: u8, dst: u8, src: u8, off: i16) -> Insn {
        Insn::new(class::JMP | op | src::X, dst, src, off, 0)
    }

    /// A 32-bit conditional jump against an immediate.
    pub const fn jmp32_imm(op: u8, dst: u8, imm: i32, off: i16) -> Insn {
        Insn::new(class::JMP32 | op | src::K, dst, 0, off, imm)
    }

    /// A 32-bit conditional jump against a register.
    pub const fn jmp32_reg(op: u8, dst: u8, src: u8, off: i16) -> Insn {
        Insn::new(class::JMP32 | op | src::X, dst, src, off, 0)
    }

    /// `goto pc+off`; with 0, the instruction that does nothing.
    pub const fn goto(off: i16) -> Insn {
        Insn::new(class::JMP | jmp::JA, 0, 0, off, 0)
    }

    /// `gotol pc+imm`
    pub const fn gotol(imm: i32) -> Insn {
        Insn::new(class::JMP32 | jmp::JA, 0, 0, 0, imm)
    }

    /// `may_goto pc+off`
    pub const fn may_goto(off: i16) -> Insn {
        Insn::new(class::JMP | jmp::JCOND, 0, 0, off, 0)
    }

    /// `dst = *(src + off)`, `size` one of [`size`].
    pub const fn ldx(size: u8, dst: u8, src: u8, off: i16) -> Insn {
        Insn::new(class::LDX | mode::MEM | size, dst, src, off, 0)
    }

    /// `dst = *(src + off)`, sign-extending.
    pub const fn ldsx(size: u8, dst: u8, src: u8, off: i16) -> Insn {
        Insn::new(class::LDX | mode::MEMSX | size, dst, src, off, 0)
    }

    /// `*(dst + off) = imm`
    pub const fn st(size: u8, dst: u8, off: i16, imm: i32) -> Insn {
        Insn::new(class::ST | mode::MEM | size, dst, 0, off, imm)
    }

    /// `*(dst + off) = src`
    pub const fn stx(size: u8, dst: u8, src: u8, off: i16) -> Insn {
        Insn::new(class::STX | mode::MEM | size, dst, src, off, 0)
    }

    /// An atomic operation, `op` made of [`crate::atomic`]. For a load-acquire `dst` is
    /// the result and `src` the base; else `dst` is the base.
    pub const fn atomic(size: u8, op: i32, dst: u8, src: u8, off: i16) -> Insn {
        Insn::new(class::STX | mode::ATOMIC | size, dst, src, off, op)
    }

    /// `r0 = *(size *)skb[imm]`
    pub const fn ld_abs(size: u8, imm: i32) -> Insn {
        Insn::new(class::LD | mode::ABS | size, 0, 0, 0, imm)
    }

    /// `r0 = *(size *)skb[src + imm]`
    pub const fn ld_ind(size: u8, src: u8, imm: i32) -> Insn {
        Insn::new(class::LD | mode::IND | size, 0, src, 0, imm)
    }

    /// `dst = value`, in two slots.
    pub const fn ld_imm64(dst: u8, value: u64) -> [Insn; 2] {
        Insn::ld_pseudo(dst, 0, value as u32 as i32, (value >> 32) as u32 as i32)
    }

    /// `dst` = a reference of one of the kinds in [`pseudo`], in two slots.
    pub const fn ld_pseudo(dst: u8, kind: u8, imm: i32, next_imm: i32) -> [Insn; 2] {
        [
            Insn::new(class::LD | size::DW | mode::IMM, dst, kind, 0, imm),
            Insn::new(0, 0, 0, 0, next_imm),
        ]
    }

    /// A call of a helper.
    pub const fn call_helper(id: i32) -> Insn {
        Insn::new(class::JMP | jmp::CALL, 0, 0, 0, id)
    }

    /// A call of the subprogram `delta` slots after the next one.
    pub const fn call_sub(delta: i32) -> Insn {
        Insn::new(class::JMP | jmp::CALL, 0, pseudo::CALL, 0, delta)
    }

    /// A call of a kernel function; `off` chooses the module's descriptor.
    pub const fn call_kfunc(btf_id: i32, off: i16) -> Insn {
        Insn::new(class::JMP | jmp::CALL, 0, pseudo::KFUNC_CALL, off, btf_id)
    }

    /// `exit`
    pub const fn exit() -> Insn {
        Insn::new(class::JMP | jmp::EXIT, 0, 0, 0, 0)
    }

    /// The barrier against speculation that only the kernel itself makes.
    pub const fn nospec() -> Insn {
        Insn::new(class::ST | mode::ATOMIC, 0, 0, 0, 0)
    }
}

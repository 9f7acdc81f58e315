//! What each operation does to numbers: the one definition that the interpreter, constant
//! folding and the tests share.
//!
//! Source: RFC 9669 sections 4 and 5. Registers are 64-bit words; a 32-bit operation uses
//! the lower halves and leaves a zero upper half. The machine is little endian.

use crate::op::{AluOp, AtomicOp, Cond, Size, SwapKind, Width};

/// `a op b` on 64 bits. Division by zero gives 0, remainder by zero gives `a`; the
/// smallest number divided by -1 gives itself with remainder 0; shifts use the low six bits.
#[inline(always)]
pub const fn alu64(op: AluOp, a: u64, b: u64) -> u64 {
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => match a.checked_div(b) {
            Some(q) => q,
            None => 0,
        },
        AluOp::Sdiv => match b {
            0 => 0,
            _ => (a as i64).wrapping_div(b as i64) as u64,
        },
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Lsh => a.wrapping_shl(b as u32),
        AluOp::Rsh => a.wrapping_shr(b as u32),
        AluOp::Mod => match a.checked_rem(b) {
            Some(r) => r,
            None => a,
        },
        AluOp::Smod => match b {
            0 => a,
            _ => (a as i64).wrapping_rem(b as i64) as u64,
        },
        AluOp::Xor => a ^ b,
        AluOp::Arsh => (a as i64).wrapping_shr(b as u32) as u64,
    }
}

/// `a op b` on the lower halves, the result zero-extended. The rules of [`alu64`] with 32
/// for 64; shifts use the low five bits.
#[inline(always)]
pub const fn alu32(op: AluOp, a: u64, b: u64) -> u64 {
    let (a, b) = (a as u32, b as u32);
    (match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => match a.checked_div(b) {
            Some(q) => q,
            None => 0,
        },
        AluOp::Sdiv => match b {
            0 => 0,
            _ => (a as i32).wrapping_div(b as i32) as u32,
        },
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Lsh => a.wrapping_shl(b),
        AluOp::Rsh => a.wrapping_shr(b),
        AluOp::Mod => match a.checked_rem(b) {
            Some(r) => r,
            None => a,
        },
        AluOp::Smod => match b {
            0 => a,
            _ => (a as i32).wrapping_rem(b as i32) as u32,
        },
        AluOp::Xor => a ^ b,
        AluOp::Arsh => (a as i32).wrapping_shr(b) as u32,
    }) as u64
}

/// [`alu64`] or [`alu32`].
#[inline(always)]
pub const fn alu(width: Width, op: AluOp, a: u64, b: u64) -> u64 {
    match width {
        Width::W64 => alu64(op, a, b),
        Width::W32 => alu32(op, a, b),
    }
}

/// The two's complement negation.
#[inline(always)]
pub const fn neg(width: Width, a: u64) -> u64 {
    alu(width, AluOp::Sub, 0, a)
}

/// A plain copy.
#[inline(always)]
pub const fn mov(width: Width, a: u64) -> u64 {
    match width {
        Width::W64 => a,
        Width::W32 => a as u32 as u64,
    }
}

/// The low `from` bits with their sign extended to 64 bits.
#[inline(always)]
pub const fn sign_extend(from: Size, a: u64) -> u64 {
    match from {
        Size::B8 => a as i8 as u64,
        Size::B16 => a as i16 as u64,
        Size::B32 => a as i32 as u64,
        Size::B64 => a,
    }
}

/// A sign-extending copy; the result of a 32-bit one has a zero upper half.
#[inline(always)]
pub const fn mov_sx(width: Width, from: Size, a: u64) -> u64 {
    mov(width, sign_extend(from, a))
}

/// The low `size` of a number, the rest zero.
#[inline(always)]
pub const fn truncate(size: Size, a: u64) -> u64 {
    match size {
        Size::B8 => a as u8 as u64,
        Size::B16 => a as u16 as u64,
        Size::B32 => a as u32 as u64,
        Size::B64 => a,
    }
}

/// The low `size` of a number in another byte order, the rest zero.
#[inline(always)]
pub const fn swap(kind: SwapKind, size: Size, a: u64) -> u64 {
    match (kind, size) {
        (SwapKind::ToLe, _) | (_, Size::B8) => truncate(size, a),
        (_, Size::B16) => (a as u16).swap_bytes() as u64,
        (_, Size::B32) => (a as u32).swap_bytes() as u64,
        (_, Size::B64) => a.swap_bytes(),
    }
}

/// Whether a 64-bit comparison holds.
#[inline(always)]
pub const fn holds64(cond: Cond, a: u64, b: u64) -> bool {
    match cond {
        Cond::Eq => a == b,
        Cond::Gt => a > b,
        Cond::Ge => a >= b,
        Cond::Set => a & b != 0,
        Cond::Ne => a != b,
        Cond::Sgt => a as i64 > b as i64,
        Cond::Sge => a as i64 >= b as i64,
        Cond::Lt => a < b,
        Cond::Le => a <= b,
        Cond::Slt => (a as i64) < b as i64,
        Cond::Sle => a as i64 <= b as i64,
    }
}

/// Whether a comparison of the lower halves holds.
#[inline(always)]
pub const fn holds32(cond: Cond, a: u64, b: u64) -> bool {
    // Extending both signs keeps every order, signed and unsigned.
    holds64(cond, sign_extend(Size::B32, a), sign_extend(Size::B32, b))
}

/// Whether a conditional jump is taken.
#[inline(always)]
pub const fn jump_taken(width: Width, cond: Cond, a: u64, b: u64) -> bool {
    match width {
        Width::W64 => holds64(cond, a, b),
        Width::W32 => holds32(cond, a, b),
    }
}

/// What an atomic operation leaves in memory: `old` stood there, `operand` is the source
/// register and `expected` r0. The old value, which the fetching kinds give back, is
/// zero-extended.
#[inline(always)]
pub const fn atomic(op: AtomicOp, size: Size, old: u64, operand: u64, expected: u64) -> u64 {
    let new = match op {
        AtomicOp::Add => old.wrapping_add(operand),
        AtomicOp::Or => old | operand,
        AtomicOp::And => old & operand,
        AtomicOp::Xor => old ^ operand,
        AtomicOp::Xchg => operand,
        AtomicOp::Cmpxchg => {
            if truncate(size, old) == truncate(size, expected) {
                operand
            } else {
                old
            }
        }
    };
    truncate(size, new)
}

//! How arithmetic and byte swaps become machine instructions.

use skep_isa::{AluOp, Size, Width};

use super::{Lower, wide};
use crate::ir::{BinOp, Op, Val};
use crate::x86::asm::{Group1, Shift};
use crate::x86::mir::{M, UnOp, V};

impl Lower<'_> {
    pub(super) fn swap(&mut self, dst: V, size: Size, a: Val, at: usize) {
        if let Op::Load {
            size: loaded,
            addr,
            off,
            ..
        } = self.func.op(a)
            && loaded == size
            && self.movable(a, at)
            && self.movbe
            && size != Size::B16
        {
            let addr = self.addr(addr, off);
            return self.push(M::Load {
                size: size.bytes(),
                signed: false,
                swap: true,
                dst,
                addr,
            });
        }
        let a = self.v(a);
        self.push(M::Un {
            op: UnOp::Swap(size),
            wide: size == Size::B64,
            dst,
            a,
        });
    }

    pub(super) fn binary(&mut self, dst: V, op: BinOp, width: Width, a: Val, b: Val, at: usize) {
        let is_wide = wide(width);
        let count = self.func.constant(b);
        let shift = match op {
            BinOp::Rotl => Some(Shift::Rol),
            BinOp::Alu(AluOp::Lsh) => Some(Shift::Shl),
            BinOp::Alu(AluOp::Rsh) => Some(Shift::Shr),
            BinOp::Alu(AluOp::Arsh) => Some(Shift::Sar),
            BinOp::Alu(_) => None,
        };
        if let Some(op) = shift {
            let m = match count {
                Some(c) => {
                    let count = (c & if is_wide { 63 } else { 31 }) as u8;
                    let a = self.v(a);
                    // A shift to the left by little is an address.
                    M::ShiftImm {
                        op,
                        wide: is_wide,
                        dst,
                        a,
                        count,
                    }
                }
                None => {
                    let (a, count) = (self.v(a), self.v(b));
                    M::ShiftBy {
                        op,
                        wide: is_wide,
                        dst,
                        a,
                        count,
                    }
                }
            };
            return self.push(m);
        }
        let BinOp::Alu(op) = op else { return };
        match op {
            AluOp::Add | AluOp::Sub | AluOp::Or | AluOp::And | AluOp::Xor => {
                if op == AluOp::Xor && self.imm(b, width) == Some(-1) {
                    let a = self.v(a);
                    return self.push(M::Un {
                        op: UnOp::Not,
                        wide: is_wide,
                        dst,
                        a,
                    });
                }
                let group = match op {
                    AluOp::Add => Group1::Add,
                    AluOp::Sub => Group1::Sub,
                    AluOp::Or => Group1::Or,
                    AluOp::And => Group1::And,
                    _ => Group1::Xor,
                };
                if op == AluOp::Add && is_wide && self.sum(dst, a, b) {
                    return;
                }
                if op == AluOp::Add
                    && self.uses[a.at()] == 1
                    && self.homes[a.at()].0 == self.block
                    && let Some(disp) = self.imm(b, width)
                    && !self.hardened
                    && self.multiple_and(dst, width, a, disp)
                {
                    return;
                }
                // Logic on numbers without upper halves needs no wide form.
                let small = self.known[a.at()] <= 32 && self.known[b.at()] <= 32;
                let logic = matches!(op, AluOp::Or | AluOp::And | AluOp::Xor);
                let is_wide = is_wide && !(logic && small);
                let width = if is_wide { Width::W64 } else { Width::W32 };
                // The operand that can be memory goes to the right.
                let loads = |this: &Self, v: Val| {
                    matches!(this.func.op(v), Op::Load { .. }) && this.movable(v, at)
                };
                let (a, b) = match op {
                    AluOp::Sub => (a, b),
                    _ if loads(self, a) && !loads(self, b) && self.imm(b, width).is_none() => {
                        (b, a)
                    }
                    _ => (a, b),
                };
                let b = self.src(b, width, at);
                let a = self.v(a);
                self.push(M::Alu {
                    op: group,
                    wide: is_wide,
                    dst,
                    a,
                    b,
                });
            }
            AluOp::Mul if self.multiple_and(dst, width, Val(dst), 0) => {}
            AluOp::Mul => {
                let b = self.src(b, width, at);
                let a = self.v(a);
                self.push(M::Mul {
                    wide: is_wide,
                    dst,
                    a,
                    b,
                });
            }
            AluOp::Div | AluOp::Mod | AluOp::Sdiv | AluOp::Smod => {
                let signed = matches!(op, AluOp::Sdiv | AluOp::Smod);
                let rem = matches!(op, AluOp::Mod | AluOp::Smod);
                // A division of short numbers is faster in the short form.
                let small = !signed && self.known[a.at()] <= 32 && self.known[b.at()] <= 32;
                let wide = is_wide && !small;
                let nonzero = count.is_some_and(|c| if wide { c != 0 } else { c as u32 != 0 });
                let (a, b) = (self.v(a), self.v(b));
                self.push(M::Div {
                    signed,
                    rem,
                    wide,
                    nonzero,
                    dst,
                    a,
                    b,
                });
            }
            AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => {}
        }
    }
}

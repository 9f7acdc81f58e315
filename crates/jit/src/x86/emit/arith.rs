//! How arithmetic, comparisons and atomic operations are written.

use skep_isa::AtomicOp;

use super::Emit;
use crate::x86::asm::{Group1, Mem, R11, RAX, RCX, RDX, Rm, Shift, cc};
use crate::x86::mir::{Addr, Src, V, needs_rax};
use crate::x86::regs::Loc;

impl Emit<'_, '_> {
    pub(super) fn alu(&mut self, op: Group1, wide: bool, dst: V, a: V, b: Src) {
        // A value that is changed where it lies.
        if let (Loc::Slot(s), true) = (self.loc(dst), self.loc(dst) == self.loc(a))
            && wide
            && !matches!(b, Src::Mem(_))
        {
            let mem = self.slot(s);
            match b {
                Src::Imm(imm) => self.asm.alu_imm(op, 8, Rm::M(mem), imm),
                Src::V(v) => {
                    let r = self.reg(v, R11);
                    self.asm.alu_to_mem(op, 8, mem, r);
                }
                Src::Mem(_) => {}
            }
            return;
        }
        let (imm, rm, used) = self.src(b);
        let d = match self.loc(dst) {
            Loc::R(r) => r,
            _ if used => self.second(),
            _ => R11,
        };
        let commutes = op != Group1::Sub;
        if let Some(imm) = imm {
            if op == Group1::Add
                && let Loc::R(x) = self.loc(a)
                && x != d
            {
                self.asm.lea(
                    wide,
                    d,
                    Mem {
                        base: x,
                        index: None,
                        disp: imm,
                    },
                );
            } else {
                self.copy(d, a);
                self.asm
                    .alu_imm(op, if wide { 8 } else { 4 }, Rm::R(d), imm);
                self.flags = Some((dst, wide));
            }
            return self.settle(dst, d);
        }
        if rm == Rm::R(d) && self.loc(a) != Loc::R(d) && commutes {
            let other = self.rm_besides(a, d == R11 || used);
            self.asm.alu(op, wide, d, other);
            self.flags = Some((dst, wide));
        } else if let (Group1::Add, Loc::R(x), Rm::R(y)) = (op, self.loc(a), rm)
            && x != d
        {
            self.asm.lea(
                wide,
                d,
                Mem {
                    base: x,
                    index: Some((y, 0)),
                    disp: 0,
                },
            );
        } else {
            self.copy(d, a);
            self.asm.alu(op, wide, d, rm);
            self.flags = Some((dst, wide));
        }
        self.settle(dst, d);
    }

    pub(super) fn mul(&mut self, wide: bool, dst: V, a: V, b: Src) {
        let (imm, rm, used) = self.src(b);
        let d = match self.loc(dst) {
            Loc::R(r) => r,
            _ if used => self.second(),
            _ => R11,
        };
        if let Some(imm) = imm {
            let rm = self.rm(a, d);
            self.asm.imul_imm(wide, d, rm, imm);
        } else if rm == Rm::R(d) && self.loc(a) != Loc::R(d) {
            let other = self.rm_besides(a, d == R11 || used);
            self.asm.imul(wide, d, other);
        } else {
            self.copy(d, a);
            self.asm.imul(wide, d, rm);
        }
        self.settle(dst, d);
    }

    pub(super) fn shift_imm(&mut self, op: Shift, wide: bool, dst: V, a: V, count: u8) {
        let size = if wide { 8 } else { 4 };
        let d = self.target(dst, R11);
        let elsewhere = self.loc(a) != Loc::R(d);
        match (op, self.loc(a)) {
            (Shift::Shl, Loc::R(x)) if elsewhere && count == 1 => {
                self.asm.lea(
                    wide,
                    d,
                    Mem {
                        base: x,
                        index: Some((x, 0)),
                        disp: 0,
                    },
                );
            }
            (Shift::Rol, _) if elsewhere && self.shared.bmi2 => {
                let rm = self.rm(a, R11);
                let width = if wide { 64 } else { 32 };
                self.asm.rorx(wide, d, rm, width - count);
            }
            _ => {
                self.copy(d, a);
                self.asm.shift_imm(op, size, Rm::R(d), count);
            }
        }
        self.settle(dst, d);
    }

    pub(super) fn shift_by(&mut self, op: Shift, wide: bool, dst: V, a: V, count: V) {
        if self.shared.bmi2 && op != Shift::Rol {
            let rm = match self.loc(a) {
                Loc::Const(_) => Rm::R(self.reg(a, R11)),
                _ => self.rm(a, R11),
            };
            let count = self.reg_besides(count, rm == Rm::R(R11));
            let d = self.target(dst, R11);
            self.asm.shift_x(op, wide, d, rm, count);
            return self.settle(dst, d);
        }
        // rcx is free here, except for what is read.
        self.copy(R11, a);
        self.copy(RCX, count);
        self.asm.shift_cl(op, wide, R11);
        match self.loc(dst) {
            Loc::R(r) => self.asm.mov(true, r, Rm::R(R11)),
            _ => self.settle(dst, R11),
        }
    }

    /// The dividend into rax and the divisor into r11, whatever lies there; rdx is free.
    pub(super) fn operands_of_div(&mut self, a: V, b: V) {
        self.copy(R11, b);
        self.copy(RAX, a);
    }

    pub(super) fn div(&mut self, rem: bool, wide: bool, nonzero: bool, dst: V, a: V, b: V) {
        self.operands_of_div(a, b);
        let (zero, done) = (self.asm.label(), self.asm.label());
        // Without a divisor the quotient is zero and the remainder the dividend.
        self.asm.alu(Group1::Xor, false, RDX, Rm::R(RDX));
        if !nonzero {
            self.asm.test(wide, Rm::R(R11), R11);
            self.asm.jump_if(cc::E, zero);
        }
        self.asm.group3(6, wide, Rm::R(R11));
        if !nonzero {
            self.asm.jump(done);
            self.asm.bind(zero);
            match (rem, wide) {
                (true, true) => self.asm.mov(true, RDX, Rm::R(RAX)),
                (true, false) => self.asm.mov(false, RDX, Rm::R(RAX)),
                (false, _) => self.asm.mov_imm(RAX, 0),
            }
            self.asm.bind(done);
        }
        self.quotient(rem, dst);
    }

    pub(super) fn signed_div(&mut self, rem: bool, wide: bool, dst: V, a: V, b: V) {
        self.operands_of_div(a, b);
        let (zero, minus, done) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.asm.test(wide, Rm::R(R11), R11);
        self.asm.jump_if(cc::E, zero);
        self.asm
            .alu_imm(Group1::Cmp, if wide { 8 } else { 4 }, Rm::R(R11), -1);
        self.asm.jump_if(cc::E, minus);
        self.asm.cqo(wide);
        self.asm.group3(7, wide, Rm::R(R11));
        self.asm.jump(done);
        // By -1, where the machine would not divide the smallest number.
        self.asm.bind(minus);
        if rem {
            self.asm.mov_imm(RDX, 0);
        } else {
            self.asm.group3(3, wide, Rm::R(RAX));
        }
        self.asm.jump(done);
        self.asm.bind(zero);
        if rem {
            self.asm.mov(wide, RDX, Rm::R(RAX));
        } else {
            self.asm.mov_imm(RAX, 0);
        }
        self.asm.bind(done);
        self.quotient(rem, dst);
    }

    pub(super) fn compare(&mut self, test: bool, wide: bool, a: V, b: Src) {
        let size = if wide { 8 } else { 4 };
        match b {
            Src::Imm(imm) => {
                let rm = self.rm(a, R11);
                if test {
                    self.asm.test_imm(wide, rm, imm);
                } else {
                    self.asm.alu_imm(Group1::Cmp, size, rm, imm);
                }
            }
            Src::V(v) if test => {
                let r = self.reg(v, R11);
                let rm = if v == a {
                    Rm::R(r)
                } else {
                    self.rm_besides(a, r == R11)
                };
                self.asm.test(wide, rm, r);
            }
            _ => {
                let (_, rm, used) = self.src(b);
                let r = self.reg_besides(a, used);
                self.asm.alu(Group1::Cmp, wide, r, rm);
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn atomic(
        &mut self,
        faults: bool,
        (op, fetch, wide): (AtomicOp, bool, bool),
        dst: V,
        addr: Addr,
        operand: V,
        expected: V,
    ) {
        let (mem, used) = self.mem(addr);
        let group = match op {
            AtomicOp::And => Group1::And,
            AtomicOp::Or => Group1::Or,
            AtomicOp::Xor => Group1::Xor,
            _ => Group1::Add,
        };
        if op == AtomicOp::Cmpxchg {
            let r = self.reg_besides(operand, used);
            self.copy(RAX, expected);
            self.attempt(faults, None, |asm| asm.lock_cmpxchg(wide, mem, r));
            // The comparison leaves the upper half of rax alone where it succeeds.
            if !wide {
                self.asm.mov(false, RAX, Rm::R(RAX));
            }
            return self.quotient(false, dst);
        }
        if !fetch && op != AtomicOp::Xchg {
            let r = self.reg_besides(operand, used);
            return self.attempt(faults, None, |asm| asm.lock_alu(group, wide, mem, r));
        }
        if needs_rax(op, fetch) {
            let again = self.asm.label();
            self.asm.mov(wide, RAX, Rm::M(mem));
            self.asm.bind(again);
            // The new value needs a register of its own, and so may the operand.
            let new = if used { self.second() } else { R11 };
            self.asm.mov(true, new, Rm::R(RAX));
            let rm = match self.loc(operand) {
                Loc::R(r) => Rm::R(r),
                Loc::Slot(s) => Rm::M(self.slot(s)),
                _ => {
                    self.copy(RDX, operand);
                    Rm::R(RDX)
                }
            };
            self.asm.alu(group, wide, new, rm);
            self.asm.lock_cmpxchg(wide, mem, new);
            self.asm.jump_if(cc::NE, again);
            return self.quotient(false, dst);
        }
        let d = match self.loc(dst) {
            Loc::R(r) => r,
            _ if used => self.second(),
            _ => R11,
        };
        self.copy(d, operand);
        if faults && !wide {
            self.asm.mov(false, d, Rm::R(d));
        }
        self.attempt(faults, None, |asm| match op {
            AtomicOp::Xchg => asm.xchg(wide, mem, d),
            _ => asm.lock_xadd(wide, mem, d),
        });
        self.settle(dst, d);
    }
}

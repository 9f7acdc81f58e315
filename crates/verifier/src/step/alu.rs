//! Arithmetic and moves.

use skep_domain::{Alu, alu32, alu64};
use skep_isa::Insn;
use skep_isa::field::{alu as op, class};

use crate::context::{Res, Verifier};
use crate::refuse;
use crate::state::reg::{ADD_CONST, ADD_CONST32, ADD_CONST64, DEF_NOT_SUBREG};
use crate::state::{Kind, Reg};

/// The operators as the log writes them, by opcode.
pub fn operator(insn: Insn) -> &'static str {
    match insn.op() {
        op::ADD => "+=",
        op::SUB => "-=",
        op::MUL => "*=",
        op::DIV => "/=",
        op::OR => "|=",
        op::AND => "&=",
        op::LSH => "<<=",
        op::RSH => ">>=",
        op::NEG => "neg",
        op::MOD => "%=",
        op::XOR => "^=",
        op::MOV => "=",
        op::ARSH => "s>>=",
        _ => "endian",
    }
}

impl Verifier<'_> {
    /// Any instruction of the two arithmetic classes.
    pub fn step_alu(&mut self, insn: Insn) -> Res {
        match insn.op() {
            op::NEG | op::END => self.step_unary(insn)?,
            op::MOV => self.step_mov(insn)?,
            code if code > op::END => {
                refuse!(self, EINVAL, "invalid BPF_ALU opcode {code:x}");
            }
            _ => self.step_binary(insn)?,
        }
        self.check_bounds_sane(insn.dst, "alu")
    }

    fn step_unary(&mut self, insn: Insn) -> Res {
        if insn.op() == op::NEG {
            if insn.is_src_reg() || insn.src != 0 || insn.off != 0 || insn.imm != 0 {
                refuse!(self, EINVAL, "BPF_NEG uses reserved fields");
            }
        } else if insn.src != 0
            || insn.off != 0
            || !matches!(insn.imm, 16 | 32 | 64)
            || (insn.class() == class::ALU64 && insn.is_src_reg())
        {
            refuse!(self, EINVAL, "BPF_END uses reserved fields");
        }
        self.check_reg_read(insn.dst)?;
        if self.is_pointer_value(insn.dst) {
            refuse!(self, EACCES, "R{} pointer arithmetic prohibited", insn.dst);
        }
        if !self.reg(insn.dst).is_scalar() {
            return self.check_reg_write(insn.dst, true);
        }
        self.check_reg_write(insn.dst, false)?;
        if insn.op() == op::NEG {
            self.scalar_alu(insn, self.reg(insn.dst).num)?;
        } else if insn.class() == class::ALU64 || insn.is_src_reg() {
            self.reg_mut(insn.dst).num.byte_swap(insn.imm as u32 / 8);
        } else if insn.imm < 64 {
            self.reg_mut(insn.dst)
                .num
                .to_little_endian(insn.imm as u32 / 8);
        } else {
            // To little endian, whole: nothing happens, links stay, and bounds are found anew.
            self.reg_mut(insn.dst).num.sync();
            return Ok(());
        }
        self.reg_mut(insn.dst).unlink();
        Ok(())
    }

    fn step_mov(&mut self, insn: Insn) -> Res {
        let wide = insn.class() == class::ALU64;
        if insn.is_src_reg() {
            if wide && insn.off == 1 {
                if insn.imm != 1 && insn.imm != 1 << 16 {
                    refuse!(
                        self,
                        EINVAL,
                        "addr_space_cast insn can only convert between address space 1 and 0"
                    );
                }
                if !self.has_arena() {
                    refuse!(
                        self,
                        EINVAL,
                        "addr_space_cast insn can only be used in a program that has an associated arena"
                    );
                }
                self.check_reg_read(insn.src)?;
                self.check_reg_write(insn.dst, false)?;
                if insn.imm == 1 {
                    *self.reg_mut(insn.dst) = Reg {
                        subreg_def: DEF_NOT_SUBREG,
                        ..Reg::pointer(Kind::Arena)
                    };
                } else {
                    self.mark_unknown(insn.dst);
                }
                return Ok(());
            }
            let fits = matches!(insn.off, 0 | 8 | 16) || (wide && insn.off == 32);
            if !fits || insn.imm != 0 {
                refuse!(self, EINVAL, "BPF_MOV uses reserved fields");
            }
            self.check_reg_read(insn.src)?;
        } else if insn.src != 0 || insn.off != 0 {
            refuse!(self, EINVAL, "BPF_MOV uses reserved fields");
        }
        self.check_reg_write(insn.dst, false)?;
        if !insn.is_src_reg() {
            let value = if wide {
                i64::from(insn.imm) as u64
            } else {
                u64::from(insn.imm as u32)
            };
            self.mark_known(insn.dst, value);
            return Ok(());
        }
        match (wide, insn.off) {
            (true, 0) => {
                self.give_scalar_id(insn.src);
                *self.reg_mut(insn.dst) = Reg {
                    subreg_def: DEF_NOT_SUBREG,
                    ..*self.reg(insn.src)
                };
                Ok(())
            }
            (true, bits) => self.mov_sign_extended(insn, bits),
            (false, bits) => self.mov_32(insn, bits),
        }
    }

    /// `rD = (s8)rS` and wider.
    fn mov_sign_extended(&mut self, insn: Insn, bits: i16) -> Res {
        if self.is_pointer_value(insn.src) {
            refuse!(self, EACCES, "R{} sign-extension part of pointer", insn.src);
        }
        if !self.reg(insn.src).is_scalar() {
            self.mark_unknown(insn.dst);
            return Ok(());
        }
        // A number whose sign bit is clear is moved as it is and stays linked.
        let unchanged = self.reg(insn.src).num.umax < 1 << (bits - 1);
        if unchanged {
            self.give_scalar_id(insn.src);
        }
        let mut moved = *self.reg(insn.src);
        if !unchanged {
            moved.unlink();
        }
        moved.num.movsx64(bits as u32);
        moved.subreg_def = DEF_NOT_SUBREG;
        *self.reg_mut(insn.dst) = moved;
        Ok(())
    }

    /// `wD = wS`, and its sign-extending forms.
    fn mov_32(&mut self, insn: Insn, bits: i16) -> Res {
        if self.is_pointer_value(insn.src) {
            refuse!(self, EACCES, "R{} partial copy of pointer", insn.src);
        }
        let source = *self.reg(insn.src);
        if !source.is_scalar() {
            self.mark_unknown(insn.dst);
            self.reg_mut(insn.dst).num.mov32();
            return Ok(());
        }
        let unchanged = if bits == 0 {
            source.num.umax <= u64::from(u32::MAX)
        } else {
            source.num.umax < 1 << (bits - 1)
        };
        if unchanged {
            self.give_scalar_id(insn.src);
        }
        let mut moved = *self.reg(insn.src);
        if !unchanged {
            moved.unlink();
        }
        if bits == 0 {
            moved.num.mov32();
        } else {
            moved.num.movsx32(bits as u32);
        }
        moved.subreg_def = self.insn_idx + 1;
        *self.reg_mut(insn.dst) = moved;
        Ok(())
    }

    /// A number about to be copied gets an id, so that what is learnt of one copy is learnt
    /// of the other.
    pub fn give_scalar_id(&mut self, reg: u8) {
        let mut source = *self.reg(reg);
        self.give_id(&mut source);
        *self.reg_mut(reg) = source;
    }

    /// See [`give_scalar_id`](Self::give_scalar_id).
    pub fn give_id(&mut self, source: &mut Reg) {
        if source.kind != Kind::Scalar {
            return;
        }
        if source.id & ADD_CONST != 0 {
            // A copy at a distance cannot be copied again.
            source.unlink();
        }
        if source.id == 0 && !source.num.var_off.is_const() {
            source.id = self.next_id();
        }
    }

    fn step_binary(&mut self, insn: Insn) -> Res {
        let wide = insn.class() == class::ALU64;
        let divides = matches!(insn.op(), op::DIV | op::MOD);
        let bad_off = insn.off != 0 && !(insn.off == 1 && divides);
        if insn.is_src_reg() {
            if insn.imm != 0 || bad_off {
                refuse!(self, EINVAL, "BPF_ALU uses reserved fields");
            }
            self.check_reg_read(insn.src)?;
        } else if insn.src != 0 || bad_off {
            refuse!(self, EINVAL, "BPF_ALU uses reserved fields");
        }
        self.check_reg_read(insn.dst)?;
        if divides && !insn.is_src_reg() && insn.imm == 0 {
            refuse!(self, EINVAL, "div by zero");
        }
        if matches!(insn.op(), op::LSH | op::RSH | op::ARSH) && !insn.is_src_reg() {
            let bits = if wide { 64 } else { 32 };
            if insn.imm < 0 || insn.imm >= bits {
                refuse!(self, EINVAL, "invalid shift {}", insn.imm);
            }
        }
        self.check_reg_write(insn.dst, false)?;
        self.combine(insn)
    }

    fn combine(&mut self, insn: Insn) -> Res {
        let dst = *self.reg(insn.dst);
        let arena = |reg: &Reg| reg.kind == Kind::Arena;
        if arena(&dst) || insn.is_src_reg() && arena(self.reg(insn.src)) {
            // Whatever is computed with an address in an arena may be another one.
            *self.reg_mut(insn.dst) = Reg {
                subreg_def: dst.subreg_def,
                ..Reg::pointer(Kind::Arena)
            };
            self.aux_mut().on_arena |= insn.class() == class::ALU64;
            return Ok(());
        }
        self.aux_mut().on_number = true;
        let src = if insn.is_src_reg() {
            let src = *self.reg(insn.src);
            if !src.is_scalar() {
                if !dst.is_scalar() {
                    // The distance of two pointers is a number, which may be secret.
                    if insn.op() == op::SUB && self.request.privilege.allow_ptr_leaks {
                        self.mark_unknown(insn.dst);
                        return Ok(());
                    }
                    refuse!(
                        self,
                        EACCES,
                        "R{} pointer {} pointer prohibited",
                        insn.dst,
                        operator(insn)
                    );
                }
                self.mark_precise(insn.dst)?;
                return self.pointer_math(insn, src, dst, true);
            }
            if !dst.is_scalar() {
                self.mark_precise(insn.src)?;
                return self.pointer_math(insn, dst, src, false);
            }
            if dst.precise {
                self.mark_precise(insn.src)?;
            }
            src
        } else {
            let constant = Reg::known(i64::from(insn.imm) as u64);
            if !dst.is_scalar() {
                return self.pointer_math(insn, dst, constant, false);
            }
            constant
        };
        let delta = self.delta(insn, &dst, &src);
        self.scalar_alu(insn, src.num)?;
        let dst = self.reg_mut(insn.dst);
        match delta {
            Some((kind, delta)) => {
                dst.id |= kind;
                dst.off = delta;
            }
            None => dst.unlink(),
        }
        Ok(())
    }

    /// The delta by which `rD += K` or `rD -= K` keeps the link to the number it was copied
    /// from, if it does; `dst` is the register before. What is added to itself keeps none.
    fn delta(&self, insn: Insn, dst: &Reg, src: &Reg) -> Option<(u32, i32)> {
        if !self.request.privilege.bpf_capable || dst.id == 0 || dst.id & ADD_CONST != 0 {
            return None;
        }
        if insn.is_src_reg() && insn.src == insn.dst {
            return None;
        }
        let (kind, value) = if insn.class() == class::ALU64 {
            (ADD_CONST64, src.num.const_value()? as i64)
        } else {
            if dst.num.umax > u64::from(u32::MAX) {
                return None;
            }
            let low = src.num.subreg_const_value()?;
            (ADD_CONST32, i64::from(low as i32))
        };
        let delta = i32::try_from(value).ok()?;
        match insn.op() {
            op::ADD => Some((kind, delta)),
            op::SUB => Some((kind, delta.checked_neg()?)),
            _ => None,
        }
    }

    /// The operation on numbers.
    fn scalar_alu(&mut self, insn: Insn, src: skep_domain::Scalar) -> Res {
        let Some(operation) = Alu::from_opcode(insn.code) else {
            refuse!(self, EINVAL, "invalid BPF_ALU opcode {:x}", insn.op());
        };
        let wide = insn.class() == class::ALU64;
        let count_known = if wide {
            src.is_const() && src.umax < 64
        } else {
            src.subreg_is_const() && src.umax < 32
        };
        let computable = match operation {
            Alu::Div | Alu::Mod => false,
            Alu::Lsh | Alu::Rsh | Alu::Arsh => count_known,
            _ => true,
        };
        if !computable {
            self.mark_unknown(insn.dst);
            return Ok(());
        }
        self.sanitize_scalar(insn)?;
        let forked = skep_domain::fork_sign(operation, &self.reg(insn.dst).num, &src);
        if let Some((ones, zero)) = forked {
            // A spread sign decides between two numbers: each is followed on its own.
            let at = self.insn_idx;
            let state = self.push_branch(at, at, false)?;
            state.regs_mut()[insn.dst as usize].num = zero;
            self.reg_mut(insn.dst).num = ones;
        }
        let dst = self.reg_mut(insn.dst);
        if wide {
            alu64(operation, &mut dst.num, &src);
        } else {
            alu32(operation, &mut dst.num, &src);
        }
        Ok(())
    }
}

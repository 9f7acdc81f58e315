//! Adding a number to a pointer, and what else is tried with pointers.

use skep_domain::{pointer_add, pointer_sub};
use skep_isa::Insn;
use skep_isa::field::{alu as op, class};

use crate::context::{Res, Verifier};
use crate::log::state::KindName;
use crate::refuse;
use crate::state::{Flags, Kind, Reg};
use crate::step::alu::operator;

/// Offsets must stay below this distance.
const MAX_VAR_OFF: i64 = 1 << 29;

impl Verifier<'_> {
    /// `pointer op offset` into `insn.dst`; `reversed` when the destination was the number.
    pub fn pointer_math(&mut self, insn: Insn, pointer: Reg, offset: Reg, reversed: bool) -> Res {
        let dst = insn.dst;
        let num = &offset.num;
        let known = num.var_off.is_const();
        if (known && (num.smin != num.smax || num.umin != num.umax))
            || num.smin > num.smax
            || num.umin > num.umax
        {
            // Bounds of a branch that cannot be taken.
            self.mark_unknown(dst);
            return Ok(());
        }
        if insn.class() != class::ALU64 {
            if insn.op() == op::SUB && self.request.privilege.allow_ptr_leaks {
                self.mark_unknown(dst);
                return Ok(());
            }
            refuse!(self, EACCES, "R{dst} 32-bit pointer arithmetic prohibited");
        }
        let name = pointer.kind_name();
        if pointer.maybe_null() {
            refuse!(
                self,
                EACCES,
                "R{dst} pointer arithmetic on {name} prohibited, null-check it first"
            );
        }
        if pointer.kind == Kind::Mem && pointer.flags.any(Flags::UNTRUSTED) {
            // Reads through it are probed, so its offset does not matter.
            return Ok(());
        }
        let movable = match pointer.kind {
            Kind::Ctx
            | Kind::MapValue
            | Kind::MapKey
            | Kind::Stack
            | Kind::PacketMeta
            | Kind::Packet
            | Kind::TpBuffer
            | Kind::BtfId
            | Kind::Mem
            | Kind::Buf
            | Kind::Func
            | Kind::Dynptr => true,
            Kind::FlowKeys if known => true,
            Kind::FlowKeys | Kind::ConstMapPtr => known && num.smin == 0 && insn.op() == op::ADD,
            _ => false,
        };
        if !movable {
            refuse!(
                self,
                EACCES,
                "R{dst} pointer arithmetic on {name} prohibited"
            );
        }
        self.check_sane_offset(&offset, name)?;
        self.check_sane_offset(&pointer, name)?;

        // The result starts as the pointer; the place it is in keeps what defined its half.
        let mut moved = Reg {
            subreg_def: self.reg(dst).subreg_def,
            precise: self.reg(dst).precise,
            ..pointer
        };
        moved.num.mark_half_unbounded();
        if !reversed {
            // What a speculative path starts with.
            self.reg_mut(dst).num.mark_half_unbounded();
        }
        let window = self.sanitize_pointer_before(insn, &pointer, &offset, reversed)?;
        match insn.op() {
            op::ADD => {
                let fixed = i64::from(pointer.off).wrapping_add(num.smin);
                if known && fixed == i64::from(fixed as i32) {
                    moved.off = fixed as i32;
                } else {
                    moved.num = pointer_add(&pointer.num, num);
                    if pointer.is_packet() {
                        moved.id = self.next_id();
                        moved.aux = 0;
                    }
                }
            }
            op::SUB => {
                if reversed {
                    refuse!(self, EACCES, "R{dst} tried to subtract pointer from scalar");
                }
                if pointer.kind == Kind::Stack {
                    refuse!(
                        self,
                        EACCES,
                        "R{dst} subtraction from stack pointer prohibited"
                    );
                }
                let fixed = i64::from(pointer.off).wrapping_sub(num.smin);
                if known && fixed == i64::from(fixed as i32) {
                    moved.off = fixed as i32;
                } else {
                    moved.num = pointer_sub(&pointer.num, num);
                    if pointer.is_packet() {
                        moved.id = self.next_id();
                        if num.smin < 0 {
                            moved.aux = 0;
                        }
                    }
                }
            }
            op::AND | op::OR | op::XOR => {
                refuse!(
                    self,
                    EACCES,
                    "R{dst} bitwise operator {} on pointer prohibited",
                    operator(insn)
                );
            }
            _ => {
                refuse!(
                    self,
                    EACCES,
                    "R{dst} pointer arithmetic with {} operator prohibited",
                    operator(insn)
                );
            }
        }
        *self.reg_mut(dst) = moved;
        self.check_sane_offset(&moved, name)?;
        self.reg_mut(dst).num.sync();
        self.sanitize_pointer_after(insn, window, reversed)
    }

    fn check_sane_offset(&mut self, reg: &Reg, name: KindName) -> Res {
        let too_far = |value: i64| !(-MAX_VAR_OFF + 1..MAX_VAR_OFF).contains(&value);
        let value = reg.num.var_off.value as i64;
        if reg.num.var_off.is_const() && too_far(value) {
            refuse!(
                self,
                EINVAL,
                "math between {name} pointer and {value} is not allowed"
            );
        }
        if too_far(i64::from(reg.off)) {
            refuse!(
                self,
                EINVAL,
                "{name} pointer offset {} is not allowed",
                reg.off
            );
        }
        let min = reg.num.smin;
        if min == i64::MIN {
            refuse!(
                self,
                EINVAL,
                "math between {name} pointer and register with unbounded min value is not allowed"
            );
        }
        if too_far(min) {
            refuse!(
                self,
                EINVAL,
                "value {min} makes {name} pointer be out of bounds"
            );
        }
        Ok(())
    }
}

//! Guards against speculation for programs without the right to do without: what a
//! mispredicted branch or an out-of-range offset could reach must be safe as well.

use skep_abi::Errno;
use skep_isa::Insn;
use skep_isa::field::alu as op;

use crate::access::map_value::Indirect;
use crate::context::{AluSanitation, Res, Stop, Verifier, alu_state};
use crate::refuse;
use crate::state::{Kind, Reg};

/// Why masking is not possible.
enum Reason {
    Bounds,
    Type,
    Paths,
    Limit,
    Stack,
}

const PROHIBITED: &str = "pointer arithmetic with it prohibited for !root";

impl Verifier<'_> {
    /// Puts aside the way that a mispredicted branch would take.
    pub fn push_speculative(&mut self, insn: Insn, other: u32) -> Res {
        let unknown = self.unknown_scalar();
        let at = self.insn_idx;
        let state = self.push_branch(other, at, true)?;
        // On that way nothing is known of what was compared.
        let regs = state.regs_mut();
        regs[insn.dst as usize] = unknown;
        if insn.is_src_reg() {
            regs[insn.src as usize] = unknown;
        }
        Ok(())
    }

    fn skips_sanitation(&self, insn: Insn) -> bool {
        self.request.privilege.bypass_spec_v1
            || !insn.is_src_reg()
            || self.aux[self.insn_idx as usize].nospec
    }

    fn masked(insn: Insn) -> bool {
        matches!(insn.op(), op::ADD | op::SUB)
    }

    /// One instruction may not be masked on one path and work on plain numbers on another.
    pub fn sanitize_scalar(&mut self, insn: Insn) -> Res {
        if !Self::masked(insn) || self.skips_sanitation(insn) {
            return Ok(());
        }
        let plain = AluSanitation {
            state: alu_state::NON_POINTER,
            limit: 0,
        };
        match self.update_sanitation(plain) {
            Ok(()) => Ok(()),
            Err(reason) => self.refuse_sanitation(insn, reason, false),
        }
    }

    fn update_sanitation(&mut self, wanted: AluSanitation) -> Result<(), Reason> {
        let have = self.aux_mut();
        if have.alu.state != 0 && have.alu != wanted {
            return Err(Reason::Paths);
        }
        have.alu = wanted;
        Ok(())
    }

    fn refuse_sanitation(&mut self, insn: Insn, reason: Reason, offset_in_dst: bool) -> Res {
        let dst = insn.dst;
        let verb = if insn.op() == op::ADD { "add" } else { "sub" };
        match reason {
            Reason::Bounds => {
                let reg = if offset_in_dst { dst } else { insn.src };
                refuse!(
                    self,
                    EACCES,
                    "R{reg} has unknown scalar with mixed signed bounds, {PROHIBITED}"
                );
            }
            Reason::Type => {
                let reg = if offset_in_dst { insn.src } else { dst };
                refuse!(
                    self,
                    EACCES,
                    "R{reg} has pointer with unsupported alu operation, {PROHIBITED}"
                );
            }
            Reason::Paths => {
                refuse!(
                    self,
                    EACCES,
                    "R{dst} tried to {verb} from different maps, paths or scalars, {PROHIBITED}"
                );
            }
            Reason::Limit => {
                refuse!(
                    self,
                    EACCES,
                    "R{dst} tried to {verb} beyond pointer bounds, {PROHIBITED}"
                );
            }
            Reason::Stack => {
                refuse!(
                    self,
                    ENOMEM,
                    "R{dst} could not be pushed for speculative verification, {PROHIBITED}"
                );
            }
        }
    }

    /// How far a pointer may move without leaving what it points into.
    fn pointer_limit(&self, pointer: &Reg, to_left: bool) -> Result<u32, Reason> {
        let (max, limit) = match pointer.kind {
            Kind::Stack => (
                512 + u32::from(to_left),
                (pointer.num.var_off.value as i64)
                    .wrapping_add(i64::from(pointer.off))
                    .wrapping_neg() as u32,
            ),
            Kind::MapValue => {
                let base = if to_left {
                    pointer.num.smin as u64
                } else {
                    pointer.num.umax
                };
                (
                    self.map_of(pointer).value_size,
                    base.wrapping_add(i64::from(pointer.off) as u64) as u32,
                )
            }
            _ => return Err(Reason::Type),
        };
        if limit >= max {
            return Err(Reason::Limit);
        }
        Ok(limit)
    }

    /// Before a pointer moves: what masking it will need, and the way on which the offset
    /// was masked away.
    pub fn sanitize_pointer_before(
        &mut self,
        insn: Insn,
        pointer: &Reg,
        offset: &Reg,
        offset_in_dst: bool,
    ) -> Res<Option<Window>> {
        if !Self::masked(insn) || self.skips_sanitation(insn) {
            return Ok(None);
        }
        let mut window = None;
        if !self.cur.speculative {
            match self.sanitation_window(insn, pointer, offset, offset_in_dst) {
                Ok(found) => window = Some(found),
                Err(reason) => {
                    self.refuse_sanitation(insn, reason, offset_in_dst)?;
                }
            }
        }
        if !offset.num.is_const() {
            let saved = *self.reg(insn.dst);
            if offset_in_dst {
                *self.reg_mut(insn.dst) = *pointer;
            }
            let at = self.insn_idx;
            let pushed = self.push_branch(at + 1, at, true).map(|_| ());
            *self.reg_mut(insn.dst) = saved;
            match pushed {
                Ok(()) => {}
                Err(Stop::Reject(Errno::EFAULT)) => {
                    self.refuse_sanitation(insn, Reason::Stack, offset_in_dst)?;
                }
                Err(stop) => return Err(stop),
            }
        }
        Ok(window)
    }

    fn sanitation_window(
        &mut self,
        insn: Insn,
        pointer: &Reg,
        offset: &Reg,
        offset_in_dst: bool,
    ) -> Result<Window, Reason> {
        let fixed = offset.num.is_const();
        let negative = offset.num.smin < 0;
        if !fixed && negative != (offset.num.smax < 0) {
            return Err(Reason::Bounds);
        }
        let to_left = (insn.op() == op::ADD) == negative;
        let limit = self.pointer_limit(pointer, to_left)?;
        let mut state = if offset_in_dst {
            alu_state::SANITIZE_DST
        } else {
            alu_state::SANITIZE_SRC
        };
        if negative {
            state |= alu_state::NEG_VALUE;
        }
        if fixed {
            state |= alu_state::IMMEDIATE;
        } else {
            // Limits that differ between paths must be found, so paths are kept apart.
            self.explore_alu_limits = true;
        }
        Ok(Window {
            alu: AluSanitation { state, limit },
            to_left,
        })
    }

    /// After a pointer moved: the limit is the distance it could move.
    pub fn sanitize_pointer_after(
        &mut self,
        insn: Insn,
        window: Option<Window>,
        offset_in_dst: bool,
    ) -> Res {
        if !self.request.privilege.bypass_spec_v1 {
            self.check_moved_pointer(insn.dst)?;
        }
        let Some(window) = window else {
            return Ok(());
        };
        let moved = *self.reg(insn.dst);
        let outcome = self
            .pointer_limit(&moved, window.to_left)
            .and_then(|limit| {
                self.update_sanitation(AluSanitation {
                    state: window.alu.state,
                    limit: window.alu.limit.abs_diff(limit),
                })
            });
        match outcome {
            Ok(()) => Ok(()),
            Err(reason) => self.refuse_sanitation(insn, reason, offset_in_dst),
        }
    }

    /// A pointer of an unprivileged program must stay inside what it points into.
    fn check_moved_pointer(&mut self, number: u8) -> Res {
        let reg = *self.reg(number);
        match reg.kind {
            Kind::Stack => {
                // As Linux hands the offset on: with what is known of the variable part.
                let off = reg.off.wrapping_add(reg.num.var_off.value as i32);
                if !reg.num.is_const() {
                    let var = crate::access::Bits(reg.num.var_off);
                    refuse!(
                        self,
                        EACCES,
                        "R{number} variable stack access prohibited for !root, var_off={var} off={off}"
                    );
                }
                if !(-512..0).contains(&off) {
                    refuse!(
                        self,
                        EACCES,
                        "R{number} stack pointer arithmetic goes out of range, prohibited for !root; off={off}"
                    );
                }
                Ok(())
            }
            Kind::MapValue => {
                if self
                    .check_map_access(number, reg.off, 1, false, Indirect::Helper)
                    .is_err()
                {
                    refuse!(
                        self,
                        EACCES,
                        "R{number} pointer arithmetic of map value goes out of range, prohibited for !root"
                    );
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What masking an addition needs, as found before the pointer moved.
#[derive(Clone, Copy)]
pub struct Window {
    alu: AluSanitation,
    to_left: bool,
}

//! One instruction: what must hold before it, and what it makes of the state.

pub mod alu;
pub mod branch;
pub mod exit;
pub mod linked;
pub mod load_store;
pub mod ptr_math;
pub mod regs;
pub mod sanitize;

pub(crate) mod atomic;
mod ld_abs;

use skep_isa::field::{class, jmp as op, mode};

use crate::context::{Res, Verifier};
use crate::refuse;

/// Where a path goes after an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// To this instruction.
    Insn(u32),
    /// To this instruction of the caller; the log shows the whole state there.
    Returned(u32),
    /// Nowhere: the path is done.
    PathEnds,
}

impl Verifier<'_> {
    /// Carries out the instruction at `insn_idx` on the current state.
    pub fn step(&mut self) -> Res<Next> {
        let insn = self.insn();
        match insn.class() {
            class::ALU | class::ALU64 => self.step_alu(insn)?,
            class::LDX => self.step_load(insn)?,
            class::STX if insn.mode() == mode::ATOMIC => self.step_atomic(insn)?,
            class::STX => self.step_store_reg(insn)?,
            class::ST => self.step_store_imm(insn)?,
            class::JMP | class::JMP32 => return self.step_jump(insn),
            _ => return self.step_ld(insn),
        }
        Ok(Next::Insn(self.insn_idx + 1))
    }

    fn step_jump(&mut self, insn: skep_isa::Insn) -> Res<Next> {
        self.jumps_processed += 1;
        let jmp32 = insn.class() == class::JMP32;
        match insn.op() {
            op::CALL => self.step_call(insn),
            op::JA => {
                let (spare, distance) = if jmp32 {
                    (insn.off as i32, insn.imm)
                } else {
                    (insn.imm, i32::from(insn.off))
                };
                if insn.is_src_reg() || insn.src != 0 || insn.dst != 0 || spare != 0 {
                    refuse!(self, EINVAL, "BPF_JA uses reserved fields");
                }
                Ok(Next::Insn(self.target(distance)))
            }
            op::EXIT => {
                if insn.is_src_reg() || insn.imm != 0 || insn.src != 0 || insn.dst != 0 || jmp32 {
                    refuse!(self, EINVAL, "BPF_EXIT uses reserved fields");
                }
                self.step_exit(false)
            }
            _ => self.step_branch(insn),
        }
    }

    /// The instruction `distance` after the next one.
    pub fn target(&self, distance: i32) -> u32 {
        (i64::from(self.insn_idx) + i64::from(distance) + 1) as u32
    }

    fn step_ld(&mut self, insn: skep_isa::Insn) -> Res<Next> {
        match insn.mode() {
            mode::ABS | mode::IND => self.step_ld_abs(insn),
            mode::IMM => {
                self.step_ld_imm(insn)?;
                // The second slot is part of the instruction.
                let second = self.insn_idx as usize + 1;
                let speculative = self.cur.speculative;
                if let Some(aux) = self.aux.get_mut(second) {
                    aux.seen |= !speculative;
                }
                Ok(Next::Insn(self.insn_idx + 2))
            }
            _ => refuse!(self, EINVAL, "invalid BPF_LD mode"),
        }
    }
}

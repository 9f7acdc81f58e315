//! Calls: helpers, functions of the program, callbacks, and what is held across them.

pub mod args;
pub mod callback;
pub mod dynptr;
pub mod entry;
pub mod format;
pub mod global_func;
pub mod graph;
pub mod helper;
pub mod irq_flag;
pub mod iter;
pub mod kfunc;
pub mod kfunc_args;
pub mod kfunc_dynptr;
pub mod kfunc_object;
pub mod map_use;
pub mod own_object;
pub mod reference;
pub mod ret;
pub mod spin_lock;
pub mod subprog;
pub mod timer;

use skep_catalog::helper_id as id;
use skep_isa::Insn;
use skep_isa::field::{class, pseudo};

use crate::context::{Res, Verifier};
use crate::refuse;
use crate::step::Next;

impl Verifier<'_> {
    /// `call`, of whatever kind.
    ///
    /// # Errors
    /// Those of the kinds.
    pub fn step_call(&mut self, insn: Insn) -> Res<Next> {
        let known = matches!(insn.src, 0 | pseudo::CALL | pseudo::KFUNC_CALL);
        if insn.is_src_reg()
            || (insn.src != pseudo::KFUNC_CALL && insn.off != 0)
            || !known
            || insn.dst != 0
            || insn.class() == class::JMP32
        {
            refuse!(self, EINVAL, "BPF_CALL uses reserved fields");
        }
        let allowed_locked = match insn.src {
            0 => insn.imm == id::SPIN_UNLOCK as i32,
            pseudo::KFUNC_CALL => self.aux[self.insn_idx as usize]
                .kfunc
                .is_some_and(|kfunc| graph::allowed_locked(kfunc.name)),
            _ => true,
        };
        if self.cur.active_locks != 0 && !allowed_locked {
            refuse!(
                self,
                EINVAL,
                "function calls are not allowed while holding a lock"
            );
        }
        let next = match insn.src {
            pseudo::CALL => self.call_subprog()?,
            0 => self.call_helper(insn)?,
            // A function this kernel does not have: refused after the walk, where it stays.
            _ if insn.imm == 0 && insn.off == 0 => Next::Insn(self.insn_idx + 1),
            _ => self.call_kfunc(insn)?,
        };
        self.scratch_reg(0);
        Ok(next)
    }
}

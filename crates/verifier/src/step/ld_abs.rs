//! Legacy loads from the packet of a socket buffer.

use skep_abi::ProgType;
use skep_isa::Insn;
use skep_isa::field::{mode, size};

use crate::context::{Res, Verifier};
use crate::refuse;
use crate::state::Kind;
use crate::step::Next;

/// The register that holds the socket buffer.
const SKB: u8 = 6;

impl Verifier<'_> {
    /// `r0 = skb[…]`: ends the program with 0 when the packet is too short, so nothing may
    /// be held.
    ///
    /// # Errors
    /// `EINVAL`.
    pub fn step_ld_abs(&mut self, insn: Insn) -> Res<Next> {
        let legacy = matches!(
            ProgType::from_u32(self.request.prog_type),
            Some(ProgType::SocketFilter | ProgType::SchedCls | ProgType::SchedAct)
        );
        if !legacy {
            refuse!(
                self,
                EINVAL,
                "BPF_LD_[ABS|IND] instructions not allowed for this program type"
            );
        }
        let absolute = insn.mode() == mode::ABS;
        if insn.dst != 0 || insn.off != 0 || insn.size() == size::DW || (absolute && insn.src != 0)
        {
            refuse!(self, EINVAL, "BPF_LD_[ABS|IND] uses reserved fields");
        }
        self.check_reg_read(SKB)?;
        self.check_resource_leak(false, true, "BPF_LD_[ABS|IND]")?;
        let skb = *self.reg(SKB);
        if skb.kind != Kind::Ctx {
            refuse!(
                self,
                EINVAL,
                "at the time of BPF_LD_ABS|IND R6 != pointer to skb"
            );
        }
        if !absolute {
            self.check_reg_read(insn.src)?;
        }
        self.check_ptr_off(&skb, SKB, false)?;
        self.forget_caller_saved(self.cur.depth());
        self.mark_unknown(0);
        // At most 32 bits are loaded.
        self.reg_mut(0).subreg_def = self.insn_idx + 1;
        let next = self.insn_idx + 1;
        if self.cur.depth() > 0 {
            // Too short a packet ends a function with 0 as its result.
            return self.leave_or_go_on(next, |v| v.mark_known(0, 0));
        }
        Ok(Next::Insn(next))
    }
}

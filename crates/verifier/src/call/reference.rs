//! What a program holds and must give back: taking, releasing, and holding it too long.

use crate::context::{Res, Stop, Verifier};
use crate::refuse;
use crate::say;
use crate::state::whole::{Reference, ReferenceKind};
use crate::state::{Flags, Reg};

impl Verifier<'_> {
    /// Takes a reference at the current instruction and gives its identity.
    pub(crate) fn acquire_reference(&mut self) -> u32 {
        let id = self.next_id();
        let insn = self.insn_idx;
        self.cur.refs.push(Reference {
            kind: ReferenceKind::Pointer,
            id,
            insn,
            owner: 0,
        });
        self.cur.acquired += 1;
        id
    }

    /// Gives a reference back; every register that stands for it becomes unusable. `false`
    /// when it is not held.
    pub(crate) fn release_reference(&mut self, id: u32) -> bool {
        let held = self
            .cur
            .refs
            .iter()
            .position(|held| held.kind == ReferenceKind::Pointer && held.id == id);
        let Some(at) = held else {
            return false;
        };
        self.cur.refs.remove(at);
        self.cur.acquired = self.cur.acquired.saturating_sub(1);
        let invalid = self.invalid_reg();
        self.cur.for_each_reg(|reg| {
            if reg.ref_obj_id == id {
                invalidate(reg, invalid);
            }
        });
        true
    }

    /// What a register holds whose pointer became stale: a number nothing is known of, or
    /// for a caller that must not learn addresses, nothing that may be read.
    pub(crate) fn invalid_reg(&self) -> Reg {
        if self.request.privilege.allow_ptr_leaks {
            self.unknown_scalar()
        } else {
            Reg::NOT_INIT
        }
    }

    /// Packet data may have moved: pointers into it are stale.
    pub(crate) fn forget_packet_pointers(&mut self) {
        let invalid = self.invalid_reg();
        self.cur.for_each_reg(|reg| {
            if reg.is_packet_any() || reg.flags.any(Flags::PACKET_SLICE) {
                invalidate(reg, invalid);
            }
        });
    }

    /// Demands that nothing is held where the program is left (`place` says how). A callee
    /// may hold references, which its caller then has, unless the `exception` ends all.
    ///
    /// # Errors
    /// `EINVAL`.
    pub fn check_resource_leak(&mut self, exception: bool, check_locks: bool, place: &str) -> Res {
        // A lock is named before what leaks, everything else after it.
        let locked = check_locks && self.cur.active_locks != 0;
        if !locked && (exception || self.cur.depth() == 0) {
            self.check_reference_leak(place)?;
        }
        if !check_locks {
            return Ok(());
        }
        let state = &self.cur;
        let inside = if locked {
            "bpf_spin_lock"
        } else if state.active_irq != 0 {
            "bpf_local_irq_save"
        } else if state.active_rcu_locks != 0 {
            "bpf_rcu_read_lock"
        } else if state.active_preempt_locks != 0 {
            "bpf_preempt_disable"
        } else {
            return Ok(());
        };
        refuse!(
            self,
            EINVAL,
            "{place} cannot be used inside {inside}-ed region"
        );
    }

    /// Demands that no reference is held.
    fn check_reference_leak(&mut self, place: &str) -> Res {
        let held: Vec<Reference> = self
            .cur
            .refs
            .iter()
            .filter(|held| held.kind == ReferenceKind::Pointer)
            .copied()
            .collect();
        let Some(Reference { id, insn, .. }) = held.last() else {
            return Ok(());
        };
        let message = format!("Unreleased reference id={id} alloc_insn={insn}");
        for Reference { id, insn, .. } in &held {
            say!(self, "Unreleased reference id={id} alloc_insn={insn}\n");
        }
        say!(self, "{place} would lead to reference leak\n");
        self.message = message;
        Err(Stop::Reject(skep_abi::Errno::EINVAL))
    }
}

fn invalidate(reg: &mut Reg, with: Reg) {
    *reg = Reg {
        subreg_def: reg.subreg_def,
        ..with
    };
}

//! Undoing one instruction: what was needed before it, for what is needed after it.

use skep_catalog::helper_id;
use skep_isa::field::{alu as op, atomic, class, mode};

use crate::context::{Res, Verifier};
use crate::explore::backtrack::{ARGS, Fetch, regs_text, slots_text, unpack_linked};
use crate::log::LEVEL2;
use crate::state::HistoryEntry;
use crate::step::atomic::fetched_to;
use crate::{refuse, say};

/// How a step back ends.
pub(super) enum Back {
    /// The instruction is undone.
    Done,
    /// The instruction cannot be followed back: everything must be exact.
    GiveUp,
}

impl Verifier<'_> {
    /// Undoes one instruction: what does it need, for what is needed after it?
    pub(super) fn step_back(
        &mut self,
        at: u32,
        subsequent: i64,
        entry: Option<HistoryEntry>,
    ) -> Res<Back> {
        let insn = self.insns[at as usize];
        if insn.code == 0 {
            return Ok(Back::Done);
        }
        if self.log.at(LEVEL2) {
            let frame = self.precision.frame;
            let regs = regs_text(self.precision.mask());
            let slots = slots_text(self.precision.slots[frame]);
            let text = self.insn_text(at);
            say!(
                self,
                "mark_precise: frame{frame}: regs={regs} stack={slots} before {at}: {text}\n"
            );
        }
        // Numbers that were refined together here are needed together.
        self.sync_linked(entry);
        let class = insn.class();
        let back = match class {
            class::ALU | class::ALU64 => {
                self.step_back_alu(insn);
                Back::Done
            }
            class::LDX => {
                self.step_back_load(insn.dst, entry);
                Back::Done
            }
            class::STX | class::ST => {
                if class == class::STX && insn.is_atomic() && insn.imm == atomic::LOAD_ACQ {
                    self.step_back_load(insn.dst, entry);
                    Back::Done
                } else {
                    self.step_back_store(insn, entry)
                }
            }
            class::JMP | class::JMP32 => {
                if let Some(back) = self.step_back_jump(at, subsequent, entry)? {
                    return Ok(back);
                }
                Back::Done
            }
            _ => {
                if self.precision.has_reg(insn.dst) {
                    self.precision.clear_reg(insn.dst);
                    if matches!(insn.mode(), mode::IND | mode::ABS) {
                        return Ok(Back::GiveUp);
                    }
                }
                Back::Done
            }
        };
        if let Back::Done = back {
            self.sync_linked(entry);
        }
        Ok(back)
    }

    fn step_back_alu(&mut self, insn: skep_isa::Insn) {
        if !self.precision.has_reg(insn.dst) {
            return;
        }
        match insn.op() {
            op::END | op::NEG => {}
            op::MOV => {
                self.precision.clear_reg(insn.dst);
                if insn.is_src_reg() && insn.src != 10 {
                    self.precision.set_reg(insn.src);
                }
            }
            _ => {
                if insn.is_src_reg() && insn.src != 10 {
                    self.precision.set_reg(insn.src);
                }
            }
        }
    }

    fn step_back_load(&mut self, dst: u8, entry: Option<HistoryEntry>) {
        if !self.precision.has_reg(dst) {
            return;
        }
        self.precision.clear_reg(dst);
        if let Some(entry) = entry
            && entry.flags.stack_access
        {
            self.precision.slots[entry.flags.frame as usize] |= 1 << entry.flags.slot;
        }
    }

    fn step_back_store(&mut self, insn: skep_isa::Insn, entry: Option<HistoryEntry>) -> Back {
        if self.precision.has_reg(insn.dst) {
            // A number used as an address: a difference of pointers was followed.
            return Back::GiveUp;
        }
        let Some(entry) = entry.filter(|entry| entry.flags.stack_access) else {
            return Back::Done;
        };
        let fetched =
            insn.is_atomic() && fetched_to(insn).is_some_and(|reg| self.precision.has_reg(reg));
        if fetched && self.precision.follows_fetches {
            // What was fetched is what the slot held.
            if let Some(reg) = fetched_to(insn) {
                self.precision.clear_reg(reg);
            }
            self.precision.slots[entry.flags.frame as usize] |= 1 << entry.flags.slot;
            return Back::Done;
        }
        if fetched {
            // Linux forgets the slot and looks for the register further back. The slot is looked
            // for by a walk of its own, so that this one is like Linux's.
            self.precision.fetches.push(Fetch {
                owner: None,
                left: 0,
                insn: entry.insn,
                frame: self.precision.frame,
                slot_frame: entry.flags.frame.into(),
                slot: entry.flags.slot,
            });
        }
        let slots = &mut self.precision.slots[entry.flags.frame as usize];
        if *slots & (1 << entry.flags.slot) != 0 {
            *slots &= !(1 << entry.flags.slot);
            if insn.class() == class::STX {
                self.precision.set_reg(insn.src);
            }
        }
        Back::Done
    }

    /// `Some` when the linked numbers need no second look.
    fn step_back_jump(
        &mut self,
        at: u32,
        subsequent: i64,
        entry: Option<HistoryEntry>,
    ) -> Res<Option<Back>> {
        let insn = self.insns[at as usize];
        if insn.is_pseudo_call() {
            return self
                .step_back_call(at, subsequent)
                .map(|()| Some(Back::Done));
        }
        if insn.is_call() && self.aux[at as usize].calls_callback && i64::from(at) != subsequent - 1
        {
            self.expect_no(self.precision.mask() & !ARGS, "callback unexpected regs")?;
            self.expect_no_slots("callback unexpected slots")?;
            let frame = self.precision.frame;
            self.precision.regs[frame] &= !ARGS;
            self.leave_frame()?;
            return Ok(Some(Back::Done));
        }
        if insn.is_call() {
            if insn.is_kfunc_call() && insn.imm == 0 {
                return Ok(Some(Back::GiveUp));
            }
            self.precision.clear_reg(0);
            self.expect_no(
                self.precision.mask() & ARGS,
                "backtracking call unexpected regs",
            )?;
            // A tail call out of a function ended it: the path came back from there.
            let tail = insn.is_helper_call() && insn.imm as u32 == helper_id::TAIL_CALL;
            if tail && i64::from(at) + 1 != subsequent {
                self.enter_frame()?;
            }
            return Ok(None);
        }
        if insn.is_exit() {
            let callback = subsequent >= 0 && self.aux[subsequent as usize].calls_callback;
            if callback {
                let frame = self.precision.frame;
                self.precision.regs[frame] &= !ARGS;
            }
            self.expect_no(
                self.precision.mask() & ARGS,
                "backtracking exit unexpected regs",
            )?;
            // Straight after a call stands what a subprogram returns to; a callback returns
            // to the call itself.
            let returns = subsequent >= 1
                && self.insns[subsequent as usize - 1].is_pseudo_call()
                && self.precision.has_reg(0);
            self.precision.clear_reg(0);
            self.enter_frame()?;
            if returns {
                self.precision.set_reg(0);
            }
            return Ok(Some(Back::Done));
        }
        if insn.is_cond_jump() && insn.is_src_reg() {
            if !self.precision.has_reg(insn.dst) && !self.precision.has_reg(insn.src) {
                return Ok(Some(Back::Done));
            }
            let flags = entry.map(|entry| entry.flags).unwrap_or_default();
            if !flags.src_is_stack {
                self.precision.set_reg(insn.src);
            }
            if !flags.dst_is_stack {
                self.precision.set_reg(insn.dst);
            }
        }
        Ok(None)
    }

    fn step_back_call(&mut self, at: u32, subsequent: i64) -> Res {
        let insn = self.insns[at as usize];
        let target = (i64::from(at) + i64::from(insn.imm) + 1) as u32;
        let subprog = self.subprog_at(target);
        if self.subprogs[subprog].is_global {
            if i64::from(at) + 1 != subsequent {
                refuse!(
                    self,
                    EFAULT,
                    "verifier bug: extra insn from subprog at {at}"
                );
            }
            self.expect_no(
                self.precision.mask() & ARGS,
                "global subprog unexpected regs",
            )?;
            self.precision.clear_reg(0);
            return Ok(());
        }
        self.expect_no(
            self.precision.mask() & !ARGS,
            "static subprog unexpected regs",
        )?;
        self.expect_no_slots("static subprog leftover stack slots")?;
        let frame = self.precision.frame;
        let args = self.precision.regs[frame] & ARGS;
        self.precision.regs[frame] &= !ARGS;
        self.leave_frame()?;
        let frame = self.precision.frame;
        self.precision.regs[frame] |= args;
        Ok(())
    }

    fn enter_frame(&mut self) -> Res {
        let frame = self.precision.frame;
        if frame + 1 >= self.precision.regs.len() {
            refuse!(
                self,
                EFAULT,
                "verifier bug: subprog enter from frame {frame}"
            );
        }
        self.precision.frame = frame + 1;
        Ok(())
    }

    fn leave_frame(&mut self) -> Res {
        if self.precision.frame == 0 {
            refuse!(self, EFAULT, "verifier bug: subprog exit from frame 0");
        }
        self.precision.frame -= 1;
        Ok(())
    }

    fn expect_no(&mut self, mask: u32, what: &str) -> Res {
        if mask != 0 {
            let mask = self.precision.mask();
            refuse!(self, EFAULT, "verifier bug: {what} {mask:x}");
        }
        Ok(())
    }

    fn expect_no_slots(&mut self, what: &str) -> Res {
        let slots = self.precision.slots[self.precision.frame];
        if slots != 0 {
            refuse!(self, EFAULT, "verifier bug: {what} {slots:x}");
        }
        Ok(())
    }

    /// When one of the linked numbers is looked for, all of them are.
    fn sync_linked(&mut self, entry: Option<HistoryEntry>) {
        let Some(linked) = entry.map(|entry| entry.linked).filter(|word| *word != 0) else {
            return;
        };
        let wanted = unpack_linked(linked).any(|(frame, is_reg, place)| {
            let frame = frame as usize;
            if is_reg {
                self.precision.regs[frame] & (1 << place) != 0
            } else {
                self.precision.slots[frame] & (1 << place) != 0
            }
        });
        if !wanted {
            return;
        }
        for (frame, is_reg, place) in unpack_linked(linked) {
            let frame = frame as usize;
            if is_reg {
                self.precision.regs[frame] |= 1 << place;
            } else {
                self.precision.slots[frame] |= 1 << place;
            }
        }
    }
}

//! What a store to the stack leaves there.

use crate::access::Attempt;
use crate::access::stack::{byte_of, slot_of};
use crate::access::stack_read::width;
use crate::context::{Res, Verifier};
use crate::refuse;
use crate::state::whole::HistoryFlags;
use crate::state::{Kind, Reg, Slot, SlotType};

/// What is stored.
#[derive(Clone, Copy)]
pub(crate) enum Stored {
    /// A register.
    Reg(u8),
    /// The immediate of the instruction.
    Imm(i32),
    /// Something unknown: the result of an atomic operation, or a helper's output.
    Data,
}

impl Stored {
    pub(crate) fn of(v: &Verifier<'_>, at: &Attempt) -> Stored {
        if let Some(reg) = at.value {
            return Stored::Reg(reg);
        }
        let insn = v.insns[at.insn as usize];
        // BPF_ST | BPF_MEM of any size.
        if insn.code & 0xe7 == 0x62 {
            Stored::Imm(insn.imm)
        } else {
            Stored::Data
        }
    }
}

/// Whether a register of this kind keeps its identity when it is spilled.
pub(crate) fn is_spillable(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::NotInit | Kind::Scalar | Kind::TpBuffer | Kind::Dynptr
    )
}

/// Forgets that a byte was part of something special.
fn scrub(byte: &mut SlotType) {
    if *byte != SlotType::Invalid {
        *byte = SlotType::Misc;
    }
}

impl Verifier<'_> {
    fn stored_reg(&self, stored: Stored) -> Option<Reg> {
        match stored {
            Stored::Reg(number) => Some(*self.reg(number)),
            Stored::Imm(_) | Stored::Data => None,
        }
    }

    fn stores_zero(&self, stored: Stored) -> bool {
        match stored {
            Stored::Reg(number) => self.reg(number).is_null(),
            Stored::Imm(imm) => imm == 0,
            Stored::Data => false,
        }
    }

    /// A store of `at.size` bytes at a constant offset of a frame.
    pub(crate) fn write_stack_fixed(
        &mut self,
        frame: usize,
        off: i32,
        at: &Attempt,
        stored: Stored,
    ) -> Res {
        let index = slot_of(off);
        let privilege = self.request.privilege;
        let slot = self.cur.frames[frame].stack[index];
        let value = self.stored_reg(stored);
        if !privilege.allow_ptr_leaks
            && slot.is_spill()
            && slot.spilled.kind != Kind::Scalar
            && at.size != 8
        {
            refuse!(self, EACCES, "attempt to corrupt spilled pointer on stack");
        }
        if !privilege.bypass_spec_v4 {
            // A load behind must not see, speculatively, what was here before.
            let plain = |t: &SlotType| matches!(t, SlotType::Misc | SlotType::Zero);
            let first = super::stack::byte_of(off);
            let last = (first + 1).saturating_sub(at.size as usize);
            let touched = &slot.types[last..=first];
            if value.is_some_and(|reg| is_spillable(reg.kind)) || !touched.iter().all(plain) {
                self.aux[at.insn as usize].nospec_result = true;
            }
        }
        self.destroy_special_slot(frame, index)?;
        self.check_fastcall_contract(frame, at.insn, off);
        self.touch_slot(index);
        let aligned = off % 8 == 0;
        if aligned && at.size == 8 {
            self.stack_liveness.mark_write(frame, 1 << (index & 63));
        }
        match (value, stored) {
            (Some(reg), Stored::Reg(number))
                if aligned && reg.kind == Kind::Scalar && privilege.bpf_capable =>
            {
                self.spill_scalar(frame, index, number, at.size);
            }
            (_, Stored::Imm(imm)) if aligned && privilege.bpf_capable => {
                self.spill(frame, index, Reg::known(i64::from(imm) as u64), at.size);
            }
            (Some(reg), _) if is_spillable(reg.kind) => {
                if at.size != 8 {
                    self.log_line(at.insn, "; ");
                    refuse!(self, EACCES, "invalid size of register spill");
                }
                if frame != self.cur.depth() && reg.kind == Kind::Stack {
                    refuse!(
                        self,
                        EINVAL,
                        "cannot spill pointers to stack into stack frame of the caller"
                    );
                }
                self.spill(frame, index, reg, at.size);
            }
            _ => return self.store_bytes(frame, off, at.size, stored),
        }
        self.push_history(HistoryFlags::stack(frame as u8, index as u8), 0);
        Ok(())
    }

    fn spill_scalar(&mut self, frame: usize, index: usize, number: u8, size: i32) {
        let mut reg = *self.reg(number);
        let fits = width(&reg) <= size as u32 * 8;
        if fits {
            self.link_scalar(&mut reg);
            *self.reg_mut(number) = reg;
        } else {
            // The slot holds less than the register.
            reg.id = 0;
        }
        self.spill(frame, index, reg, size);
    }

    /// Puts a register into the lowest `size` bytes of a slot.
    fn spill(&mut self, frame: usize, index: usize, reg: Reg, size: i32) {
        let Slot { types, spilled } = &mut self.cur.frames[frame].stack[index];
        *spilled = reg;
        let beyond = types.len().saturating_sub(size as usize);
        types[beyond..].fill(SlotType::Spill);
        for byte in &mut types[..beyond] {
            // What was never stored stays unreadable for those who may not read it.
            if !matches!(*byte, SlotType::Zero | SlotType::Invalid) {
                *byte = SlotType::Misc;
            }
        }
    }

    /// Bytes that are not tracked as a register.
    fn store_bytes(&mut self, frame: usize, off: i32, size: i32, stored: Stored) -> Res {
        let slot = &mut self.cur.frames[frame].stack[slot_of(off)];
        slot.spilled.kind = Kind::NotInit;
        if slot.types[7].is_special() {
            slot.types.iter_mut().for_each(scrub);
        }
        let mut byte = SlotType::Misc;
        if self.stores_zero(stored) {
            // Zero bytes are not followed back to the register they came from.
            if let Stored::Reg(number) = stored {
                self.mark_precise(number)?;
            }
            byte = SlotType::Zero;
        }
        let slot = &mut self.cur.frames[frame].stack[slot_of(off)];
        for i in 0..size {
            slot.types[byte_of(off + i)] = byte;
        }
        Ok(())
    }

    /// A store at an offset that is not one number: every byte it may reach may have changed.
    pub(crate) fn write_stack_variable(
        &mut self,
        frame: usize,
        at: &Attempt,
        stored: Stored,
    ) -> Res {
        let pointer = *self.reg(at.reg);
        let min = at.off.wrapping_add(pointer.num.smin as i32);
        let max = at
            .off
            .wrapping_add(pointer.num.smax as i32)
            .wrapping_add(at.size);
        let zero = self.stores_zero(stored);
        for off in min..max {
            self.destroy_special_slot(frame, slot_of(off))?;
        }
        self.check_fastcall_contract(frame, at.insn, min);
        let privilege = self.request.privilege;
        let mut zero_used = false;
        for off in min..max {
            let index = slot_of(off);
            self.touch_slot(index);
            let Slot { types, spilled } = &mut self.cur.frames[frame].stack[index];
            let byte = types[byte_of(off)];
            if !privilege.allow_ptr_leaks && !matches!(byte, SlotType::Misc | SlotType::Zero) {
                let insn = at.insn;
                return Err(self.reject_open(
                    skep_abi::Errno::EINVAL,
                    format_args!(
                        "spilled ptr in range of var-offset stack write; insn {insn}, \
                         ptr off: {off}"
                    ),
                ));
            }
            let spilled_zero = types[7] == SlotType::Spill && spilled.is_null();
            if zero && byte == SlotType::Spill && spilled_zero {
                zero_used = true;
                continue;
            }
            // A register of which a part may have changed is none any more.
            spilled.kind = Kind::NotInit;
            if types[7].is_special() {
                types.iter_mut().for_each(scrub);
            }
            let keeps_zero = zero && byte == SlotType::Zero;
            zero_used |= keeps_zero;
            if byte == SlotType::Invalid && !privilege.allow_uninit_stack {
                let insn = at.insn;
                return Err(self.reject_open(
                    skep_abi::Errno::EINVAL,
                    format_args!(
                        "uninit stack in range of var-offset write prohibited for !root; \
                         insn {insn}, off: {off}"
                    ),
                ));
            }
            types[byte_of(off)] = if keeps_zero {
                SlotType::Zero
            } else {
                SlotType::Misc
            };
        }
        if zero_used && let Stored::Reg(number) = stored {
            self.mark_precise(number)?;
        }
        Ok(())
    }

    /// A store over an object that is not plain data.
    fn destroy_special_slot(&mut self, frame: usize, index: usize) -> Res {
        match self.cur.frames[frame].stack[index].types[7] {
            SlotType::Dynptr => self.destroy_dynptr(frame, index),
            // An iterator is told by its slots, which the store makes plain.
            _ => Ok(()),
        }
    }
}

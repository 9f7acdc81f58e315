//! What a load from the stack yields.

use crate::access::stack::{byte_of, slot_of};
use crate::access::{Access, Attempt};
use crate::context::{Res, Verifier};
use crate::refuse;
use crate::state::whole::HistoryFlags;
use crate::state::{Kind, Reg, Slot, SlotType};

/// How many of the lowest bytes of a slot hold a spilled register.
fn spilled_bytes(slot: &Slot) -> i32 {
    slot.types
        .iter()
        .rev()
        .take_while(|t| **t == SlotType::Spill)
        .count() as i32
}

/// How many bits the number may need.
pub(crate) fn width(reg: &Reg) -> u32 {
    64 - reg.num.umax.leading_zeros()
}

impl Verifier<'_> {
    /// A read of `size` bytes at a constant offset of a frame.
    pub(crate) fn read_stack_fixed(
        &mut self,
        frame: usize,
        off: i32,
        size: i32,
        value: Option<u8>,
    ) -> Res {
        let index = slot_of(off);
        self.touch_slot(index);
        self.check_fastcall_contract(frame, self.insn_idx, off);
        self.mark_stack_read(frame, index);
        let slot = self.cur.frames[frame].stack[index];
        let fills_register = if !slot.is_spill() {
            self.read_plain(frame, off, size, value)?;
            false
        } else if size == 8 && slot.is_full_spill() {
            self.fill_whole(frame, off, value)?
        } else {
            if slot.spilled.kind != Kind::Scalar {
                self.log_line(self.insn_idx, "; ");
                refuse!(self, EACCES, "invalid size of register fill");
            }
            let Some(value) = value else {
                return Ok(());
            };
            self.fill_part(frame, off, size, value)?
        };
        if fills_register {
            self.push_history(HistoryFlags::stack(frame as u8, index as u8), 0);
        }
        Ok(())
    }

    /// The whole of a spilled register. True: the spill is what was read.
    fn fill_whole(&mut self, frame: usize, off: i32, value: Option<u8>) -> Res<bool> {
        let index = slot_of(off);
        let Some(value) = value else {
            let spilled = &self.cur.frames[frame].stack[index].spilled;
            if spilled.kind != Kind::Scalar && !self.request.privilege.allow_ptr_leaks {
                refuse!(self, EACCES, "leaking pointer from stack off {off}");
            }
            return Ok(true);
        };
        *self.reg_mut(value) = self.cur.frames[frame].stack[index].spilled;
        Ok(true)
    }

    /// Less than a whole register, or a register of which only a part was spilled.
    fn fill_part(&mut self, frame: usize, off: i32, size: i32, value: u8) -> Res<bool> {
        let index = slot_of(off);
        let slot = self.cur.frames[frame].stack[index];
        let spilled = spilled_bytes(&slot);
        if size <= spilled && off % 8 == 0 {
            if self.request.privilege.bpf_capable
                && size == 4
                && spilled == 4
                && width(&slot.spilled) <= 32
            {
                self.link_spilled(frame, index);
            }
            let mut loaded = self.cur.frames[frame].stack[index].spilled;
            if width(&loaded) > size as u32 * 8 {
                // What is cut off tells the two apart.
                loaded.id = 0;
                loaded.off = 0;
            }
            self.fill(value, loaded);
            return Ok(true);
        }
        let (mut spills, mut zeros) = (0, 0);
        for i in 0..size {
            match slot.types[byte_of(off + i)] {
                SlotType::Spill => spills += 1,
                SlotType::Zero => zeros += 1,
                SlotType::Misc => {}
                SlotType::Invalid if self.request.privilege.allow_uninit_stack => {}
                _ => return self.refuse_read(off, i, size),
            }
        }
        if spills == size && slot.spilled.is_null() {
            self.mark_known(value, 0);
            return Ok(true);
        }
        if zeros == size {
            self.mark_known(value, 0);
        } else {
            self.mark_unknown(value);
        }
        Ok(false)
    }

    /// Bytes of a slot without a spilled register.
    fn read_plain(&mut self, frame: usize, off: i32, size: i32, value: Option<u8>) -> Res {
        let slot = self.cur.frames[frame].stack[slot_of(off)];
        for i in 0..size {
            match slot.types[byte_of(off + i)] {
                SlotType::Misc | SlotType::Zero => {}
                SlotType::Invalid if self.request.privilege.allow_uninit_stack => {}
                _ => return self.refuse_read(off, i, size),
            }
        }
        if let Some(value) = value {
            self.fill_bytes(frame, off, off + size, value);
        }
        Ok(())
    }

    fn refuse_read<T>(&mut self, off: i32, i: i32, size: i32) -> Res<T> {
        refuse!(
            self,
            EACCES,
            "invalid read from stack off {off}+{i} size {size}"
        );
    }

    /// A read at an offset that is not one number: the bytes any offset may reach must be
    /// readable, and only zero everywhere yields something known.
    pub(crate) fn read_stack_variable(&mut self, at: &Attempt, value: u8) -> Res {
        self.check_stack_range(at.reg, at.off, at.size, false, Access::Read, None)?;
        let pointer = *self.reg(at.reg);
        let frame = pointer.frame as usize;
        let min = at.off.wrapping_add(pointer.num.smin as i32);
        let max = at.off.wrapping_add(pointer.num.smax as i32);
        self.fill_bytes(frame, min, max + at.size, value);
        self.check_fastcall_contract(frame, self.insn_idx, min);
        Ok(())
    }

    /// Fills a register from plain bytes: zero when all of them are, unknown otherwise.
    fn fill_bytes(&mut self, frame: usize, min: i32, max: i32, value: u8) {
        let mut zero = true;
        for off in min..max {
            let index = slot_of(off);
            self.touch_slot(index);
            if self.cur.frames[frame].stack[index].types[byte_of(off)] != SlotType::Zero {
                zero = false;
                break;
            }
        }
        if zero {
            self.mark_known(value, 0);
        } else {
            self.mark_unknown(value);
        }
    }

    /// Gives a spilled number an id, so that what is learnt of its copies holds for it too.
    fn link_spilled(&mut self, frame: usize, index: usize) {
        let mut spilled = self.cur.frames[frame].stack[index].spilled;
        self.link_scalar(&mut spilled);
        self.cur.frames[frame].stack[index].spilled = spilled;
    }

    /// Gives a number that is about to be copied an id, unless it is one known value.
    pub(crate) fn link_scalar(&mut self, reg: &mut Reg) {
        if reg.kind != Kind::Scalar {
            return;
        }
        if reg.id & crate::state::reg::ADD_CONST != 0 {
            // A copy of `x + constant` starts a link of its own.
            reg.id = 0;
            reg.off = 0;
        }
        if reg.id == 0 && !reg.num.var_off.is_const() {
            reg.id = self.next_id();
        }
    }
}

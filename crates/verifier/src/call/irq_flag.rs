//! Saved interrupt flags on the stack: where they lie, and that they are restored in order.
//!
//! They take one slot of type [`SlotType::Irq`]; in its register, `ref_obj_id` is the
//! identity of the saved state and `aux` says who saved it.

use crate::access::Access;
use crate::access::stack::slot_of;
use crate::context::{Res, Verifier};
use crate::refuse;
use crate::say;
use crate::state::whole::{Reference, ReferenceKind};
use crate::state::{Kind, Reg, Slot, SlotType};

/// Who saves and restores flags; the one cannot restore what the other saved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Saver {
    /// The functions for interrupts only.
    Native = 1,
    /// Those that take a lock, too.
    Lock = 2,
}

impl Saver {
    fn name(of: u32) -> &'static str {
        if of == Saver::Lock as u32 {
            "lock"
        } else {
            "native"
        }
    }
}

impl Verifier<'_> {
    /// Saves or restores the flags at the place an argument points at.
    ///
    /// # Errors
    /// `EINVAL` for a place that cannot hold flags or does not hold any, `EACCES` for flags
    /// that were not saved last.
    pub(crate) fn use_irq_flag(&mut self, number: u8, saver: Saver, saves: bool) -> Res {
        let arg = number - 1;
        let reg = *self.reg(number);
        if reg.kind != Kind::Stack {
            refuse!(
                self,
                EINVAL,
                "arg#{arg} doesn't point to an irq flag on stack"
            );
        }
        let place = self.irq_flag_place(&reg);
        if saves {
            let free = match place {
                Ok(Some(index)) => {
                    let types = self.cur.frame_of(&reg).stack[index].types;
                    !types.contains(&SlotType::Irq)
                }
                Ok(None) => true,
                Err(()) => false,
            };
            if !free {
                refuse!(self, EINVAL, "expected uninitialized irq flag as arg#{arg}");
            }
            let insn = self.insn_idx;
            self.check_mem_access(insn, number, 0, 8, Access::Write, None, false, false)?;
            self.save_irq_flag(&reg, saver);
            return Ok(());
        }
        let held = match place {
            Ok(Some(index)) => {
                let slot = self.cur.frame_of(&reg).stack[index];
                slot.types
                    .iter()
                    .all(|t| *t == SlotType::Irq)
                    .then_some((index, slot.spilled))
            }
            _ => None,
        };
        let Some((index, flag)) = held else {
            refuse!(
                self,
                EINVAL,
                "expected an initialized irq flag as arg#{arg}"
            );
        };
        self.mark_stack_read(reg.frame as usize, index);
        self.restore_irq_flag(&reg, index, &flag, saver)
    }

    /// The slot, `None` where the stack does not reach yet; the log says why it is none.
    fn irq_flag_place(&mut self, reg: &Reg) -> Result<Option<usize>, ()> {
        if !reg.num.var_off.is_const() {
            say!(self, "irq_flag has to be at a constant offset\n");
            return Err(());
        }
        let off = reg.off.wrapping_add(reg.num.var_off.value as i32);
        // At the frame pointer itself Linux looks at the slot below. Were flags there, the function
        // would work on memory that is not the program's.
        let index = if off == 0 { 0 } else { slot_of(off) };
        let below = self.cur.frame_of(reg).stack.first();
        let misplaced = off == 0 && below.is_some_and(|slot| slot.types[7] == SlotType::Irq);
        if off % 8 != 0 || off > 0 || misplaced {
            say!(self, "cannot pass in irq_flag at an offset={off}\n");
            return Err(());
        }
        Ok((index < self.cur.frame_of(reg).stack.len()).then_some(index))
    }

    fn save_irq_flag(&mut self, reg: &Reg, saver: Saver) {
        let off = reg.off.wrapping_add(reg.num.var_off.value as i32);
        let (frame, index) = (reg.frame as usize, slot_of(off));
        let id = self.next_id();
        let insn = self.insn_idx;
        self.cur.refs.push(Reference {
            kind: ReferenceKind::Irq,
            id,
            insn,
            owner: 0,
        });
        self.cur.active_irq = id;
        self.cur.frames[frame].stack[index] = Slot {
            types: [SlotType::Irq; 8],
            spilled: Reg {
                aux: saver as u32,
                ref_obj_id: id,
                ..Reg::pointer(Kind::Stack)
            },
        };
        self.stack_liveness.mark_write(frame, 1 << (index & 63));
        self.touch_slot(index);
    }

    fn restore_irq_flag(&mut self, reg: &Reg, index: usize, flag: &Reg, saver: Saver) -> Res {
        if flag.aux != saver as u32 {
            let (had, has) = (Saver::name(flag.aux), Saver::name(saver as u32));
            refuse!(
                self,
                EINVAL,
                "irq flag acquired by {had} kfuncs cannot be restored with {has} kfuncs"
            );
        }
        let last = self.cur.active_irq;
        if flag.ref_obj_id != last {
            let taken = self.cur.refs.iter().find(|held| held.id == last);
            let insn = taken.map_or(0, |held| held.insn);
            refuse!(
                self,
                EACCES,
                "cannot restore irq state out of order, expected id={last} acquired at \
                 insn_idx={insn}"
            );
        }
        self.cur
            .refs
            .retain(|held| held.kind != ReferenceKind::Irq || held.id != last);
        let before = self
            .cur
            .refs
            .iter()
            .rfind(|held| held.kind == ReferenceKind::Irq);
        self.cur.active_irq = before.map_or(0, |held| held.id);
        let frame = reg.frame as usize;
        self.cur.frames[frame].stack[index] = Slot::EMPTY;
        self.stack_liveness.mark_write(frame, 1 << (index & 63));
        self.touch_slot(index);
        Ok(())
    }
}

//! Dynptrs on the stack: making, using and releasing them, and what a store over one does.
//!
//! A dynptr takes two slots. Both hold a register of kind [`Kind::Dynptr`]: `aux` is the
//! [`Flavour`], `map_uid` is 1 in the slot at the lower address and 0 in the other, `id` is
//! the dynptr's own, and `ref_obj_id` the reference it stands for. Memory that was got from
//! it carries its id in `map_uid`.

use skep_catalog::{Arg, DynptrKind};

use crate::access::Access;
use crate::call::args::Call;
use crate::context::{Res, Verifier};
use crate::refuse;
use crate::state::{Flags, Kind, Reg, Slot, SlotType};

/// What a dynptr's memory is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flavour {
    /// Memory of the program.
    Local = 1,
    /// A record of a ring buffer, which must be given back.
    Ringbuf = 2,
    /// A packet behind an skb.
    Skb = 3,
    /// A packet behind an XDP buffer.
    Xdp = 4,
    /// The metadata before the packet of an skb.
    SkbMeta = 5,
}

impl Flavour {
    pub(crate) fn of(reg: &Reg) -> Option<Flavour> {
        match reg.aux {
            1 => Some(Flavour::Local),
            2 => Some(Flavour::Ringbuf),
            3 => Some(Flavour::Skb),
            4 => Some(Flavour::Xdp),
            5 => Some(Flavour::SkbMeta),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Flavour::Local => "local",
            Flavour::Ringbuf => "ringbuf",
            Flavour::Skb => "skb",
            Flavour::Xdp => "xdp",
            Flavour::SkbMeta => "skb_meta",
        }
    }
}

/// The flavour an argument makes or asks for.
fn wanted(kind: DynptrKind) -> Option<Flavour> {
    match kind {
        DynptrKind::Any => None,
        DynptrKind::Local => Some(Flavour::Local),
        DynptrKind::Ringbuf => Some(Flavour::Ringbuf),
    }
}

/// The name of a dynptr's flavour, as logs write it.
pub(crate) fn flavour_name(reg: &Reg) -> &'static str {
    Flavour::of(reg).map_or("unknown", Flavour::name)
}

fn is_dynptr(slot: &Slot) -> bool {
    slot.types[0] == SlotType::Dynptr
}

fn is_first(slot: &Slot) -> bool {
    is_dynptr(slot) && slot.spilled.map_uid != 0
}

/// Where a pointer to a dynptr points.
enum Place {
    /// At this slot, with the other slot above it.
    Slot(usize),
    /// Below what the stack has so far.
    Beyond,
    /// At no place for a dynptr; the log says why.
    Wrong,
}

impl Verifier<'_> {
    fn dynptr_place(&mut self, reg: &Reg) -> Place {
        if !reg.num.var_off.is_const() {
            crate::say!(self, "dynptr has to be at a constant offset\n");
            return Place::Wrong;
        }
        let off = reg.off.wrapping_add(reg.num.var_off.value as i32);
        if off % 8 != 0 || off > -16 {
            crate::say!(self, "cannot pass in dynptr at an offset={off}\n");
            return Place::Wrong;
        }
        let index = (off.unsigned_abs() / 8) as usize - 1;
        if index < self.cur.frame_of(reg).stack.len() {
            Place::Slot(index)
        } else {
            Place::Beyond
        }
    }

    /// The initialised dynptr a stack pointer points at.
    fn dynptr_at(&mut self, reg: &Reg) -> Option<usize> {
        let Place::Slot(index) = self.dynptr_place(reg) else {
            return None;
        };
        let stack = &self.cur.frame_of(reg).stack;
        let whole =
            is_first(&stack[index]) && index.checked_sub(1).is_some_and(|i| is_dynptr(&stack[i]));
        whole.then_some(index)
    }

    /// Demands that a dynptr to be released stands for a reference.
    ///
    /// # Errors
    /// `EINVAL`.
    pub(crate) fn check_dynptr_release(&mut self, reg: &Reg, number: u8) -> Res {
        if reg.kind != Kind::Stack {
            refuse!(self, EINVAL, "cannot release unowned const bpf_dynptr");
        }
        if let Place::Slot(index) = self.dynptr_place(reg)
            && self.cur.frame_of(reg).stack[index].spilled.ref_obj_id != 0
        {
            return Ok(());
        }
        refuse!(self, EINVAL, "arg {number} is an unacquired reference");
    }

    /// Makes the dynptr that the helper initialises, or demands the one that it uses.
    ///
    /// # Errors
    /// `EINVAL`.
    pub(crate) fn use_dynptr(
        &mut self,
        call: &mut Call,
        arg: &Arg,
        kind: DynptrKind,
        reg: &Reg,
        number: u8,
    ) -> Res {
        if arg.uninit {
            return self.make_dynptr(kind, reg, number);
        }
        let index = number - 1;
        let dynptr = self.read_dynptr(reg, number)?;
        if let Some(flavour) = wanted(kind)
            && Flavour::of(&dynptr) != Some(flavour)
        {
            let name = flavour.name();
            refuse!(
                self,
                EINVAL,
                "Expected a dynptr of type {name} as arg #{index}"
            );
        }
        call.dynptr = Some((dynptr.id, dynptr.ref_obj_id));
        call.dynptr_of_skb = Flavour::of(&dynptr) == Some(Flavour::Skb);
        Ok(())
    }

    /// The initialised dynptr that an argument points at, which is read.
    ///
    /// # Errors
    /// `EINVAL` when there is none.
    pub(crate) fn read_dynptr(&mut self, reg: &Reg, number: u8) -> Res<Reg> {
        let index = number - 1;
        if reg.kind == Kind::Dynptr {
            // One that the kernel hands in is always whole.
            return Ok(*reg);
        }
        let Some(at) = self.dynptr_at(reg) else {
            refuse!(
                self,
                EINVAL,
                "Expected an initialized dynptr as arg #{index}"
            );
        };
        for slot in [at, at - 1] {
            self.touch_slot(slot);
            self.mark_stack_read(reg.frame as usize, slot);
        }
        Ok(self.cur.frame_of(reg).stack[at].spilled)
    }

    fn make_dynptr(&mut self, kind: DynptrKind, reg: &Reg, number: u8) -> Res {
        self.put_dynptr(wanted(kind), None, reg, number)
    }

    /// Makes a dynptr; a copy of another stands for the `reference` that one stands for.
    ///
    /// # Errors
    /// `EINVAL` for a place where none can be.
    pub(crate) fn put_dynptr(
        &mut self,
        flavour: Option<Flavour>,
        reference: Option<u32>,
        reg: &Reg,
        number: u8,
    ) -> Res {
        if reg.kind == Kind::Dynptr || matches!(self.dynptr_place(reg), Place::Wrong) {
            refuse!(self, EINVAL, "Dynptr has to be an uninitialized dynptr");
        }
        let insn = self.insn_idx;
        for off in [0, 8] {
            self.check_mem_access(insn, number, off, 8, Access::Write, None, false, false)?;
        }
        let (Place::Slot(at), Some(flavour)) = (self.dynptr_place(reg), flavour) else {
            refuse!(self, EFAULT, "verifier bug: no place for a dynptr");
        };
        let frame = reg.frame as usize;
        self.destroy_dynptr(frame, at)?;
        self.destroy_dynptr(frame, at - 1)?;
        let id = self.next_id();
        let ref_obj_id = match (reference, flavour) {
            (Some(reference), _) => reference,
            (None, Flavour::Ringbuf) => self.acquire_reference(),
            (None, _) => 0,
        };
        for (index, first) in [(at, 1), (at - 1, 0)] {
            self.cur.frames[frame].stack[index] = Slot {
                types: [SlotType::Dynptr; 8],
                spilled: Reg {
                    aux: flavour as u32,
                    map_uid: first,
                    id,
                    ref_obj_id,
                    ..Reg::pointer(Kind::Dynptr)
                },
            };
            self.touch_slot(index);
        }
        self.mark_dynptr_written(frame, at);
        Ok(())
    }

    fn mark_dynptr_written(&mut self, frame: usize, at: usize) {
        self.stack_liveness
            .mark_write(frame, 0b11 << (at.saturating_sub(1) & 63));
    }

    /// Gives back what a dynptr stands for; its memory is gone with it.
    ///
    /// # Errors
    /// `EFAULT` when that was not held.
    pub(crate) fn release_dynptr(&mut self, number: u8) -> Res {
        let reg = *self.reg(number);
        let Some(at) = self.dynptr_at(&reg) else {
            refuse!(self, EFAULT, "verifier bug: released dynptr is none");
        };
        let frame = reg.frame as usize;
        let dynptr = self.cur.frames[frame].stack[at].spilled;
        let id = dynptr.ref_obj_id;
        if !self.release_reference(id) {
            refuse!(self, EFAULT, "verifier bug: released dynptr was not held");
        }
        self.clear_dynptr(frame, at);
        self.forget_slices(dynptr.id);
        // Copies stand for the same.
        for frame in 0..self.cur.frames.len() {
            for at in 1..self.cur.frames[frame].stack.len() {
                let slot = &self.cur.frames[frame].stack[at];
                if is_first(slot) && slot.spilled.ref_obj_id == id {
                    let copy = slot.spilled.id;
                    self.clear_dynptr(frame, at);
                    self.forget_slices(copy);
                }
            }
        }
        Ok(())
    }

    /// Pieces of a record that is gone must not be used, which Linux does not see to (ADR 28).
    fn forget_slices(&mut self, dynptr: u32) {
        let invalid = self.invalid_reg();
        self.cur.for_each_reg(|reg| {
            let slice = reg.kind == Kind::Mem && reg.flags.any(Flags::SLICE);
            if slice && reg.map_uid == dynptr {
                *reg = Reg {
                    subreg_def: reg.subreg_def,
                    ..invalid
                };
            }
        });
    }

    fn clear_dynptr(&mut self, frame: usize, at: usize) {
        for index in [at, at - 1] {
            self.cur.frames[frame].stack[index] = Slot::EMPTY;
        }
        self.mark_dynptr_written(frame, at);
    }

    /// A store hits a slot: when it is part of a dynptr, that is none any more, and memory
    /// that was got from it must not be used.
    ///
    /// # Errors
    /// `EINVAL` when the dynptr stands for something that must be given back.
    pub(crate) fn destroy_dynptr(&mut self, frame: usize, index: usize) -> Res {
        let stack = &self.cur.frames[frame].stack;
        if !is_dynptr(&stack[index]) {
            return Ok(());
        }
        let at = if is_first(&stack[index]) {
            index
        } else {
            index + 1
        };
        let Some(dynptr) = stack.get(at).map(|slot| slot.spilled) else {
            refuse!(self, EFAULT, "verifier bug: half a dynptr");
        };
        if dynptr.ref_obj_id != 0 {
            refuse!(self, EINVAL, "cannot overwrite referenced dynptr");
        }
        self.touch_slot(at);
        self.touch_slot(at - 1);
        let invalid = self.invalid_reg();
        self.cur.for_each_reg(|reg| {
            let slice = reg.kind == Kind::Mem
                && matches!(reg.flags, Flags::NONE | Flags::MAYBE_NULL)
                && reg.map_uid == dynptr.id;
            if slice {
                *reg = Reg {
                    subreg_def: reg.subreg_def,
                    ..invalid
                };
            }
        });
        self.clear_dynptr(frame, at);
        Ok(())
    }
}

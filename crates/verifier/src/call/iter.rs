//! Iterators on the stack: starting one, taking the next element, ending it.
//!
//! An iterator takes the slots its structure needs. The first is told apart by the reference
//! it holds; in each slot's register, `aux` is the structure, `map_uid` the state and
//! `subreg_def` the number of steps.

use std::fmt::Write;

use skep_abi::Errno;
use skep_btf::{Kind as BtfKind, Type};
use skep_catalog::Kfunc;

use crate::access::Access;
use crate::access::stack::slot_of;
use crate::context::{Res, Stop, Verifier};
use crate::refuse;
use crate::say;
use crate::setup::target::kernel_btf;
use crate::state::{Flags, Frame, Kind, Reg, SlotType, State};

/// It may have more elements.
const ACTIVE: u32 = 1;
/// It has none any more.
const DRAINED: u32 = 2;

/// Where an object of several slots begins: the frame, and the slot with the lowest address.
pub(crate) type Place = (usize, usize);

/// Where a pointer to an iterator points.
enum Spot {
    /// At these slots.
    At(Place),
    /// Beyond what the stack has so far.
    Beyond,
    /// At no place for an iterator.
    Wrong,
}

/// Whether the iterators that are still active in both states have taken as many steps.
pub fn same_active_depths(old: &State, cur: &State) -> bool {
    old.frames.iter().zip(&cur.frames).all(|(old, cur)| {
        old.stack.iter().zip(&cur.stack).all(|(old, cur)| {
            old.types[7] != SlotType::Iter
                || old.spilled.map_uid != ACTIVE
                || old.spilled.subreg_def == cur.spilled.subreg_def
        })
    })
}

impl Verifier<'_> {
    /// The structure of the iterator a function works on, and how many slots it takes.
    fn iterator_type<'b>(&self, func: Type<'b>) -> Option<(Type<'b>, usize)> {
        let btf = func.btf();
        let first = func.target()?.params().next()?;
        let ptr = btf
            .resolve(first.ty)
            .filter(|ty| ty.kind() == BtfKind::Ptr)?;
        let ty = btf.resolve(ptr.ref_type()?)?;
        let size = ty.size().filter(|size| size % 8 == 0 && *size > 0)?;
        Some((ty, size as usize / 8))
    }

    /// Where on the stack an iterator lies; the log says why it cannot.
    fn iterator_place(&mut self, reg: &Reg, slots: usize) -> Res<Spot> {
        if !reg.num.var_off.is_const() {
            say!(self, "iter has to be at a constant offset\n");
            return Ok(Spot::Wrong);
        }
        let off = reg.off.wrapping_add(reg.num.var_off.value as i32);
        if off % 8 != 0 || off > 0 || off < 0 && slot_of(off) + 1 < slots || slots > 1 && off == 0 {
            say!(self, "cannot pass in iter at an offset={off}\n");
            return Ok(Spot::Wrong);
        }
        let frame = reg.frame as usize;
        let stack = &self.cur.frames[frame].stack;
        let allocated = stack.len();
        // At the frame pointer itself Linux looks at the slot below: were an iterator there, the
        // function would work on memory that is not the program's.
        let low = if off == 0 { 0 } else { slot_of(off) };
        if off == 0
            && stack
                .first()
                .is_some_and(|slot| slot.types[7] == SlotType::Iter)
        {
            return Err(Stop::Unsupported("an iterator at the frame pointer".into()));
        }
        Ok(if low < allocated {
            Spot::At((frame, low))
        } else {
            Spot::Beyond
        })
    }

    /// Checks and carries out what a function does to its iterator. The reference that the
    /// iterator holds, for the result.
    ///
    /// # Errors
    /// `EINVAL` for a place that holds no iterator (or already does), `EPROTO` for one whose
    /// RCU section is over.
    pub(crate) fn use_iterator(&mut self, kfunc: &Kfunc, number: u8) -> Res<Option<Place>> {
        let reg = *self.reg(number);
        let arg = number - 1;
        if kfunc.name == "bpf_iter_css_task_new" && !self.may_walk_css_tasks() {
            refuse!(
                self,
                EINVAL,
                "css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs"
            );
        }
        if reg.kind != Kind::Stack {
            refuse!(
                self,
                EINVAL,
                "arg#{arg} expected pointer to an iterator on stack"
            );
        }
        let btf = kernel_btf(self)?;
        let func = btf.type_by_id(self.insn().imm as u32);
        let Some((ty, slots)) = func.and_then(|func| self.iterator_type(func)) else {
            refuse!(self, EINVAL, "expected valid iter pointer as arg #{arg}");
        };
        let name = shown_name(ty.name());
        let id = ty.id().0;
        let spot = self.iterator_place(&reg, slots)?;
        if kfunc.starts_iterator() {
            let taken = match spot {
                Spot::Wrong => true,
                Spot::Beyond => false,
                Spot::At((frame, low)) => self.cur.frames[frame].stack[low + 1 - slots..=low]
                    .iter()
                    .any(|slot| slot.types.contains(&SlotType::Iter)),
            };
            if taken {
                refuse!(self, EINVAL, "expected uninitialized {name} as arg #{arg}");
            }
            let insn = self.insn_idx;
            for slot in 0..slots as i32 {
                self.check_mem_access(
                    insn,
                    number,
                    slot * 8,
                    8,
                    Access::Write,
                    None,
                    false,
                    false,
                )?;
            }
            self.start_iterator(kfunc, &reg, id, slots);
            return Ok(None);
        }
        let held = match spot {
            Spot::At(place) => self.held_iterator(place, id, slots).map(|()| place),
            _ => Err(Errno::EINVAL),
        };
        let place = match held {
            Ok(place) => place,
            Err(Errno::EPROTO) => {
                let func = kfunc.name;
                refuse!(self, EPROTO, "expected an RCU CS when using {func}")
            }
            Err(_) => refuse!(self, EINVAL, "expected an initialized {name} as arg #{arg}"),
        };
        let (frame, low) = place;
        for slot in low + 1 - slots..=low {
            self.mark_stack_read(frame, slot);
        }
        if kfunc.ends_iterator() {
            self.end_iterator(place, slots);
            return Ok(None);
        }
        Ok(Some(place))
    }

    /// The tasks of a cgroup are walked under a lock that not every place may take.
    fn may_walk_css_tasks(&self) -> bool {
        use skep_abi::{AttachType, ProgType};
        match ProgType::from_u32(self.request.prog_type) {
            Some(ProgType::Lsm) => true,
            Some(ProgType::Tracing)
                if self.request.expected_attach_type == AttachType::TraceIter as u32 =>
            {
                true
            }
            _ => self.cur.in_sleepable,
        }
    }

    /// Whether an iterator of this structure begins at a slot: `EPROTO` for one whose section
    /// is over, which Linux also says where some untrusted pointer lies, `EINVAL` for none.
    fn held_iterator(&self, (frame, low): Place, id: u32, slots: usize) -> Result<(), Errno> {
        for step in 0..slots {
            let slot = &self.cur.frames[frame].stack[low - step];
            if slot.spilled.flags.any(Flags::UNTRUSTED) {
                return Err(Errno::EPROTO);
            }
            let part = slot.types.iter().all(|t| *t == SlotType::Iter)
                && slot.spilled.aux == id
                && (slot.spilled.ref_obj_id != 0) == (step == 0);
            if !part {
                return Err(Errno::EINVAL);
            }
        }
        Ok(())
    }

    fn start_iterator(&mut self, kfunc: &Kfunc, reg: &Reg, id: u32, slots: usize) {
        let off = reg.off.wrapping_add(reg.num.var_off.value as i32);
        let (frame, low) = (reg.frame as usize, slot_of(off));
        let reference = self.acquire_reference();
        let flags = match kfunc.is_rcu_protected() {
            false => Flags::NONE,
            true if self.in_rcu_section() => Flags::RCU,
            true => Flags::UNTRUSTED,
        };
        for step in 0..slots {
            let slot = &mut self.cur.frames[frame].stack[low - step];
            slot.types = [SlotType::Iter; 8];
            slot.spilled = Reg {
                flags,
                aux: id,
                map_uid: ACTIVE,
                subreg_def: 0,
                ref_obj_id: if step == 0 { reference } else { 0 },
                ..Reg::pointer(Kind::Stack)
            };
            self.stack_liveness.mark_write(frame, 1 << (low - step));
            self.touch_slot(low - step);
        }
    }

    fn end_iterator(&mut self, (frame, low): Place, slots: usize) {
        let reference = self.cur.frames[frame].stack[low].spilled.ref_obj_id;
        self.release_reference(reference);
        for step in 0..slots {
            self.cur.frames[frame].stack[low - step] = crate::state::Slot::EMPTY;
            self.stack_liveness.mark_write(frame, 1 << (low - step));
            self.touch_slot(low - step);
        }
    }

    /// The iterator's first slot.
    pub(crate) fn iterator_at(&self, (frame, low): Place) -> Reg {
        self.cur.frames[frame].stack[low].spilled
    }

    /// The next element was asked for: one path goes on with it, this one found none.
    ///
    /// # Errors
    /// `EFAULT` for an iterator that is neither active nor drained.
    pub(crate) fn fork_iterator(&mut self, place: Place) -> Res {
        let (frame, low) = place;
        let state = self.iterator_at(place).map_uid;
        if state != ACTIVE && state != DRAINED {
            refuse!(
                self,
                EFAULT,
                "verifier bug: unexpected iterator state {state}"
            );
        }
        if state == ACTIVE {
            let at = self.insn_idx;
            let before = self.previous_round_at(at);
            let mut more = self.copy_current();
            more.frames[frame].stack[low].spilled.subreg_def += 1;
            if let Some(before) = before {
                self.widen_imprecise(before, &mut more);
            }
            let result = &mut more.regs_mut()[0];
            crate::step::branch::mark_not_null(&self.maps, 0, result);
            self.push_state(more, at + 1, at, false)?;
        }
        self.cur.frames[frame].stack[low].spilled.map_uid = DRAINED;
        *self.reg_mut(0) = self.known_scalar(0);
        self.touch_slot(low);
        Ok(())
    }

    /// Whether the call about to be walked steps an iterator that is active.
    pub(crate) fn steps_active_iterator(&self) -> bool {
        let reg = self.reg(1);
        if reg.kind != Kind::Stack || !reg.num.var_off.is_const() {
            return false;
        }
        let off = reg.off.wrapping_add(reg.num.var_off.value as i32);
        if off >= 0 {
            return false;
        }
        let slot = self.cur.frame_of(reg).stack.get(slot_of(off));
        slot.is_some_and(|slot| slot.types[7] == SlotType::Iter && slot.spilled.map_uid == ACTIVE)
    }

    pub(crate) fn write_iterator(
        &self,
        index: usize,
        reg: &Reg,
        out: &mut impl Write,
    ) -> std::fmt::Result {
        if reg.ref_obj_id == 0 {
            // Only the first slot is shown.
            return Ok(());
        }
        let name = shown_name(&self.btf_type_name(reg));
        let state = match reg.map_uid {
            ACTIVE => "active",
            DRAINED => "drained",
            _ => "<invalid>",
        };
        write!(
            out,
            " fp{}={name}(ref_id={},state={state},depth={})",
            -((index as i64 + 1) * 8),
            reg.ref_obj_id,
            reg.subreg_def
        )
    }
}

/// How messages name the iterator of a structure.
fn shown_name(name: &str) -> String {
    name.strip_prefix("bpf_").unwrap_or(name).to_string()
}

/// Iterators that live by an RCU section cannot go on when it ends.
pub(crate) fn leave_rcu(frame: &mut Frame) {
    for slot in &mut frame.stack {
        if slot.types[7] == SlotType::Iter && slot.spilled.flags.any(Flags::RCU) {
            slot.spilled.flags = Flags::UNTRUSTED;
        }
    }
}

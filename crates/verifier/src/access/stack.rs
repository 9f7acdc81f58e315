//! Where on the stack an access lies, and whether it may lie there.

use crate::access::stack_write::Stored;
use crate::access::{Access, Attempt, Bits, MAX_VAR_OFF};
use crate::context::{MAX_BPF_STACK, Res, Verifier};
use crate::refuse;
use crate::state::Reg;

/// The slot that holds the byte at `off` (below zero) from the frame pointer.
pub(crate) fn slot_of(off: i32) -> usize {
    // Offsets were checked to lie in [-512, -1].
    ((-1 - off) / 8) as usize
}

/// Where in its slot's types the byte at `off` is noted: 7 for the lowest address, 0 for
/// the highest.
pub(crate) fn byte_of(off: i32) -> usize {
    ((-1 - off) % 8) as usize
}

impl Verifier<'_> {
    pub(crate) fn access_stack(&mut self, at: &Attempt) -> Res {
        self.check_stack_bounds(at.reg, at.off, at.size, at.access)?;
        let pointer = *self.reg(at.reg);
        let constant = pointer.num.var_off.is_const();
        let fixed = at.off.wrapping_add(pointer.num.var_off.value as i32);
        let frame = pointer.frame as usize;
        match at.access {
            Access::Read if constant => self.read_stack_fixed(frame, fixed, at.size, at.value),
            Access::Read => match at.value {
                Some(value) => self.read_stack_variable(at, value),
                // Without a register to fill, a spilled pointer might be given away.
                None => {
                    let var = Bits(pointer.num.var_off);
                    refuse!(
                        self,
                        EACCES,
                        "variable offset stack pointer cannot be passed into helper function; \
                         var_off={var} off={} size={}",
                        at.off,
                        at.size
                    );
                }
            },
            Access::Write => {
                let stored = Stored::of(self, at);
                if constant {
                    self.write_stack_fixed(frame, fixed, at, stored)
                } else {
                    self.write_stack_variable(frame, at, stored)
                }
            }
        }
    }

    /// Demands that all bytes an access may touch lie in the frame, and makes slots for them.
    ///
    /// # Errors
    /// `EACCES`.
    pub(crate) fn check_stack_bounds(
        &mut self,
        reg: u8,
        off: i32,
        size: i32,
        access: Access,
    ) -> Res {
        let pointer = *self.reg(reg);
        let towards = match access {
            Access::Read => " read from",
            Access::Write => " write to",
        };
        let num = &pointer.num;
        let constant = num.var_off.is_const();
        let (min, max) = if constant {
            let start = (num.var_off.value as i64).wrapping_add(i64::from(off));
            (start, start.wrapping_add(i64::from(size)))
        } else {
            if num.smax >= MAX_VAR_OFF || num.smin <= -MAX_VAR_OFF {
                refuse!(
                    self,
                    EACCES,
                    "invalid unbounded variable-offset{towards} stack R{reg}"
                );
            }
            let off = i64::from(off);
            (num.smin + off, num.smax + off + i64::from(size))
        };
        let lowest = if access == Access::Write || self.request.privilege.allow_uninit_stack {
            -i64::from(MAX_BPF_STACK)
        } else {
            -self.cur.frame_of(&pointer).allocated()
        };
        let errno = if min < lowest || min > -1 {
            skep_abi::Errno::EACCES
        } else if max > 0 {
            skep_abi::Errno::EINVAL
        } else if size < 0 {
            skep_abi::Errno::EFAULT
        } else {
            self.grow_stack(&pointer, -min);
            return Ok(());
        };
        Err(if constant {
            self.reject(
                errno,
                format_args!("invalid{towards} stack R{reg} off={min} size={size}"),
            )
        } else {
            let var = Bits(num.var_off);
            self.reject(
                errno,
                format_args!(
                    "invalid variable-offset{towards} stack R{reg} var_off={var} off={off} \
                     size={size}"
                ),
            )
        })
    }

    fn grow_stack(&mut self, pointer: &Reg, bytes: i64) {
        let bytes = (bytes + 7) & !7;
        let frame = self.cur.frame_of_mut(pointer);
        if frame.allocated() >= bytes {
            return;
        }
        frame.grow(bytes as usize);
        let subprog = frame.subprog as usize;
        let depth = &mut self.subprogs[subprog].stack_depth;
        *depth = (*depth).max(bytes as u32);
    }

    /// The stack of calls that clobber fewer registers may only be touched by the spills
    /// and fills around them; any other access gives that arrangement up.
    pub(crate) fn check_fastcall_contract(&mut self, frame: usize, insn: u32, off: i32) {
        let subprog = self.cur.frames[frame].subprog as usize;
        if self.subprogs[subprog].fastcall_stack_off <= off
            || self.aux[insn as usize].fastcall_pattern
        {
            return;
        }
        self.subprogs[subprog].fastcall_stack_off = i32::from(i16::MIN);
        let (start, end) = (
            self.subprogs[subprog].start,
            self.subprogs[subprog + 1].start,
        );
        for aux in &mut self.aux[start as usize..end as usize] {
            aux.fastcall_spills = 0;
            aux.fastcall_pattern = false;
        }
    }

    /// Notes for the log that a slot was looked at or changed.
    pub(crate) fn touch_slot(&mut self, slot: usize) {
        self.scratch_slot(slot);
    }

    /// Notes that the instruction may use the content of a slot.
    pub(crate) fn mark_stack_read(&mut self, frame: usize, slot: usize) {
        self.stack_liveness.mark_read(frame, 1 << (slot & 63));
    }
}

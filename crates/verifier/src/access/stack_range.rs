//! Whether a helper may read or write a range of the stack.

use crate::access::stack::{byte_of, slot_of};
use crate::access::{Access, Bits};
use crate::call::args::RawMemory;
use crate::context::{Res, Verifier};
use crate::refuse;
use crate::state::{Kind, Reg, Slot, SlotType};

impl Verifier<'_> {
    /// Checks `size` bytes of stack at `off` from the pointer in `reg`.
    ///
    /// With `raw`, the helper only writes: the bytes need no content, and where they are is
    /// noted, to be marked as written once all arguments were checked.
    ///
    /// # Errors
    /// `EACCES`.
    pub(crate) fn check_stack_range(
        &mut self,
        reg: u8,
        off: i32,
        size: i32,
        zero_size_allowed: bool,
        access: Access,
        raw: Option<&mut RawMemory>,
    ) -> Res {
        if size == 0 && !zero_size_allowed {
            refuse!(self, EACCES, "invalid zero-sized read");
        }
        self.check_stack_bounds(reg, off, size, access)?;
        let pointer = *self.reg(reg);
        let var = pointer.num.var_off;
        let (min, max) = if var.is_const() {
            let start = off.wrapping_add(var.value as i32);
            (start, start)
        } else {
            if !self.request.privilege.bypass_spec_v1 {
                let var = Bits(var);
                refuse!(
                    self,
                    EACCES,
                    "R{reg} variable offset stack access prohibited for !root, var_off={var}"
                );
            }
            (
                off.wrapping_add(pointer.num.smin as i32),
                off.wrapping_add(pointer.num.smax as i32),
            )
        };
        let end = max.saturating_add(size);
        // At a variable offset some bytes may stay as they were, so all need content.
        if let Some(raw) = raw.filter(|raw| raw.wanted && var.is_const()) {
            self.check_no_dynptr(&pointer, min, end)?;
            raw.reg = reg;
            raw.size = size;
            return Ok(());
        }
        for at in min..end {
            if !self.use_byte(&pointer, at, access) {
                let i = at - min;
                if var.is_const() {
                    refuse!(
                        self,
                        EACCES,
                        "invalid read from stack R{reg} off {min}+{i} size {size}"
                    );
                }
                let var = Bits(var);
                refuse!(
                    self,
                    EACCES,
                    "invalid read from stack R{reg} var_off {var}+{i} size {size}"
                );
            }
            self.mark_stack_read(pointer.frame as usize, slot_of(at));
        }
        Ok(())
    }

    /// Lets a helper see one byte, and change it when it writes. `false`: it must not.
    fn use_byte(&mut self, pointer: &Reg, at: i32, access: Access) -> bool {
        let privilege = self.request.privilege;
        let clobber = access == Access::Write;
        let frame = self.cur.frame_of_mut(pointer);
        let Some(Slot { types, spilled }) = frame.stack.get_mut(slot_of(at)) else {
            return false;
        };
        let readable = match types[byte_of(at)] {
            SlotType::Misc | SlotType::Zero => true,
            SlotType::Invalid => privilege.allow_uninit_stack,
            _ => false,
        };
        if readable {
            if clobber {
                types[byte_of(at)] = SlotType::Misc;
            }
            return true;
        }
        let spill_is_data = types[7] == SlotType::Spill
            && (spilled.kind == Kind::Scalar || privilege.allow_ptr_leaks);
        if spill_is_data && clobber {
            *spilled = Reg {
                precise: !privilege.bpf_capable,
                subreg_def: spilled.subreg_def,
                ..Reg::UNKNOWN
            };
            for byte in types.iter_mut().filter(|t| **t != SlotType::Invalid) {
                *byte = SlotType::Misc;
            }
        }
        spill_is_data
    }

    fn check_no_dynptr(&mut self, pointer: &Reg, min: i32, end: i32) -> Res {
        for at in min..end {
            let slot = self.cur.frame_of(pointer).stack.get(slot_of(at));
            if slot.is_some_and(|slot| slot.types[byte_of(at)] == SlotType::Dynptr) {
                refuse!(
                    self,
                    EACCES,
                    "potential write to dynptr at off={at} disallowed"
                );
            }
        }
        Ok(())
    }
}

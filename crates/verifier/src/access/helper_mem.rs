//! Whether a helper (or a function that takes a pointer to memory) may use memory through a
//! register.

use crate::access::map_value::Indirect;
use crate::access::{Access, Attempt, MAX_VAR_OFF};
use crate::call::args::RawMemory;
use crate::context::{Res, Stop, Verifier};
use crate::refuse;
use crate::state::{Flags, Kind};

impl Verifier<'_> {
    /// Checks that `size` bytes at the pointer in `reg` may be read or written on the
    /// program's behalf. With `raw` see [`RawMemory`].
    ///
    /// # Errors
    /// `EACCES`; unsupported for pointers described by BTF.
    pub(crate) fn check_helper_memory(
        &mut self,
        reg: u8,
        size: i32,
        access: Access,
        zero_size_allowed: bool,
        raw: Option<&mut RawMemory>,
    ) -> Res {
        let pointer = *self.reg(reg);
        let writes = access == Access::Write;
        match pointer.kind {
            Kind::Packet | Kind::PacketMeta => {
                self.check_packet(reg, pointer.off, size, zero_size_allowed)
            }
            Kind::MapKey => {
                if writes {
                    return self.refuse_write(reg);
                }
                let key_size = self.map_of(&pointer).key_size;
                self.check_region(reg, pointer.off, size, key_size, false)
            }
            Kind::MapValue => {
                self.check_map_direction(&pointer, pointer.off, size, access)?;
                self.check_map_access(reg, pointer.off, size, zero_size_allowed, Indirect::Helper)
            }
            Kind::Mem => {
                if writes && pointer.flags.any(Flags::RDONLY) {
                    return self.refuse_write(reg);
                }
                self.check_region(reg, pointer.off, size, pointer.aux, zero_size_allowed)
            }
            Kind::Buf => {
                if writes && pointer.flags.any(Flags::RDONLY) {
                    return self.refuse_write(reg);
                }
                self.check_buf(reg, pointer.off, size)
            }
            Kind::Stack => {
                self.check_stack_range(reg, pointer.off, size, zero_size_allowed, access, raw)
            }
            Kind::BtfId => self.access_object(&Attempt {
                insn: self.insn_idx,
                reg,
                off: pointer.off,
                size,
                access: Access::Read,
                value: None,
                sign_extend: false,
            }),
            Kind::Ctx if !self.context_is_rewritten() => {
                if size == 0 {
                    return if zero_size_allowed {
                        Ok(())
                    } else {
                        Err(Stop::Reject(skep_abi::Errno::EACCES))
                    };
                }
                let insn = self.insn_idx;
                self.check_mem_access(insn, reg, size - 1, 1, access, None, false, false)
            }
            _ if zero_size_allowed && size == 0 && pointer.is_null() => Ok(()),
            _ => {
                let name = self.kind_name(reg);
                refuse!(self, EACCES, "R{reg} type={name} expected=fp");
            }
        }
    }

    /// Checks memory in the register before `size_reg`, of the size in that register.
    ///
    /// # Errors
    /// `EACCES`.
    pub(crate) fn check_sized_memory(
        &mut self,
        size_reg: u8,
        access: Access,
        zero_size_allowed: bool,
        raw: &mut RawMemory,
    ) -> Res {
        let num = self.reg(size_reg).num;
        if num.smin < 0 {
            refuse!(
                self,
                EACCES,
                "R{size_reg} min value is negative, either use unsigned or 'var &= const'"
            );
        }
        if num.umin == 0 && !zero_size_allowed {
            let (min, max) = (num.umin as i64, num.umax as i64);
            refuse!(
                self,
                EACCES,
                "R{size_reg} invalid zero-sized read: u64=[{min},{max}]"
            );
        }
        if num.umax >= MAX_VAR_OFF as u64 {
            refuse!(
                self,
                EACCES,
                "R{size_reg} unbounded memory access, use 'var &= const' or 'if (var < const)'"
            );
        }
        // A helper may fill less than a size that is not one number allows, so the memory
        // must have content before.
        let raw = num.var_off.is_const().then_some(raw);
        self.check_helper_memory(
            size_reg - 1,
            num.umax as i32,
            access,
            zero_size_allowed,
            raw,
        )?;
        self.mark_precise(size_reg)
    }

    /// Checks that a register holds null or `size` bytes of memory that may be read and
    /// written.
    ///
    /// # Errors
    /// `EACCES`.
    pub(crate) fn check_mem_arg(&mut self, reg: u8, size: u32) -> Res {
        if self.reg(reg).is_null() {
            return Ok(());
        }
        let saved = *self.reg(reg);
        self.reg_mut(reg).flags = saved.flags.without(Flags::MAYBE_NULL);
        let size = size as i32;
        let fits = self
            .check_helper_memory(reg, size, Access::Read, true, None)
            .and_then(|()| self.check_helper_memory(reg, size, Access::Write, true, None));
        if saved.maybe_null() {
            *self.reg_mut(reg) = saved;
        }
        fits
    }
}

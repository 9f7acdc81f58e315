//! Whether an access to memory of known size, a buffer or the flow keys is allowed.

use skep_abi::context::FlowKeys;

use crate::access::{Attempt, Bits};
use crate::context::{Res, Verifier};
use crate::refuse;
use crate::state::Flags;

impl Verifier<'_> {
    pub(crate) fn access_mem(&mut self, at: &Attempt) -> Res {
        let pointer = *self.reg(at.reg);
        let read_only = pointer.flags.any(Flags::RDONLY);
        if pointer.maybe_null() {
            return self.refuse_kind(at.reg);
        }
        if at.writes() && read_only {
            return self.refuse_write(at.reg);
        }
        self.check_no_leak(at, "mem")?;
        // Untrusted memory is read in a way that survives a fault.
        if !(read_only && pointer.flags.any(Flags::UNTRUSTED)) {
            self.check_region(at.reg, at.off, at.size, pointer.aux, false)?;
        }
        if let Some(value) = at.value
            && (!at.writes() || read_only)
        {
            self.mark_unknown(value);
        }
        Ok(())
    }

    pub(crate) fn refuse_write<T>(&mut self, reg: u8) -> Res<T> {
        let name = self.kind_name(reg);
        refuse!(self, EACCES, "R{reg} cannot write into {name}");
    }

    pub(crate) fn access_flow_keys(&mut self, at: &Attempt) -> Res {
        self.check_no_leak(at, "flow keys")?;
        let (off, size) = (at.off, at.size);
        if size < 0 || off < 0 || i64::from(off) + i64::from(size) > FlowKeys::SIZE as i64 {
            refuse!(
                self,
                EACCES,
                "invalid access to flow keys off={off} size={size}"
            );
        }
        if let Some(value) = at.fills() {
            self.mark_unknown(value);
        }
        Ok(())
    }

    pub(crate) fn access_tp_buffer(&mut self, at: &Attempt) -> Res {
        self.check_buffer(at.reg, at.off, at.size, "tracepoint")?;
        if let Some(value) = at.fills() {
            self.mark_unknown(value);
        }
        Ok(())
    }

    pub(crate) fn access_buf(&mut self, at: &Attempt) -> Res {
        let read_only = self.reg(at.reg).flags.any(Flags::RDONLY);
        if read_only && at.writes() {
            return self.refuse_write(at.reg);
        }
        self.check_buf(at.reg, at.off, at.size)?;
        if let Some(value) = at.value
            && (read_only || !at.writes())
        {
            self.mark_unknown(value);
        }
        Ok(())
    }

    /// Demands a constant place in a buffer whose size is checked at attach time.
    ///
    /// # Errors
    /// `EACCES`.
    pub(crate) fn check_buf(&mut self, reg: u8, off: i32, size: i32) -> Res {
        let read_only = self.reg(reg).flags.any(Flags::RDONLY);
        self.check_buffer(reg, off, size, if read_only { "rdonly" } else { "rdwr" })
    }

    fn check_buffer(&mut self, reg: u8, off: i32, size: i32, what: &str) -> Res {
        if off < 0 {
            refuse!(
                self,
                EACCES,
                "R{reg} invalid {what} buffer access: off={off}, size={size}"
            );
        }
        let var = self.reg(reg).num.var_off;
        if !var.equals_const(0) {
            let var = Bits(var);
            refuse!(
                self,
                EACCES,
                "R{reg} invalid variable buffer offset: off={off}, var_off={var}"
            );
        }
        Ok(())
    }
}

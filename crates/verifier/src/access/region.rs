//! Whether the bytes an access may touch lie inside a region of known size.

use crate::access::MAX_VAR_OFF;
use crate::context::{Res, Verifier};
use crate::refuse;
use crate::say;
use crate::state::{Flags, Kind};

impl Verifier<'_> {
    /// Demands that `size` bytes lie inside `mem_size` bytes at every offset the pointer may
    /// have; `off` is the constant part.
    ///
    /// # Errors
    /// `EACCES`.
    pub(crate) fn check_region(
        &mut self,
        reg: u8,
        off: i32,
        size: i32,
        mem_size: u32,
        zero_size_allowed: bool,
    ) -> Res {
        let num = self.reg(reg).num;
        let off = i64::from(off);
        // Checking both ends is enough, and for an offset that cannot be negative the lower
        // end needs no bound.
        let low = num.smin.wrapping_add(off);
        if num.smin < 0 && (num.smin == i64::MIN || i32::try_from(low).is_err() || low < 0) {
            return self.refuse_negative(reg);
        }
        self.check_inside(reg, low as i32, size, mem_size, zero_size_allowed)
            .inspect_err(|_| {
                say!(
                    self,
                    "R{reg} min value is outside of the allowed memory range\n"
                );
            })?;
        if num.umax >= MAX_VAR_OFF as u64 {
            refuse!(
                self,
                EACCES,
                "R{reg} unbounded memory access, make sure to bounds check any such access"
            );
        }
        let high = (num.umax as i64).wrapping_add(off);
        self.check_inside(reg, high as i32, size, mem_size, zero_size_allowed)
            .inspect_err(|_| {
                say!(
                    self,
                    "R{reg} max value is outside of the allowed memory range\n"
                );
            })
    }

    pub(crate) fn refuse_negative<T>(&mut self, reg: u8) -> Res<T> {
        refuse!(
            self,
            EACCES,
            "R{reg} min value is negative, either use unsigned index or do a if (index >=0) \
             check."
        );
    }

    /// Demands that `size` bytes at `off` lie inside `mem_size` bytes.
    ///
    /// # Errors
    /// `EACCES`.
    pub(crate) fn check_inside(
        &mut self,
        reg: u8,
        off: i32,
        size: i32,
        mem_size: u32,
        zero_size_allowed: bool,
    ) -> Res {
        let size_ok = size > 0 || (size == 0 && zero_size_allowed);
        if off >= 0 && size_ok && i64::from(off) + i64::from(size) <= i64::from(mem_size) {
            return Ok(());
        }
        let pointer = self.reg(reg);
        let id = pointer.id;
        // A pointer that may be null counts as memory of no particular kind.
        let kind = if pointer.flags == Flags::NONE {
            pointer.kind
        } else {
            Kind::Mem
        };
        let mem = mem_size as i32;
        match kind {
            Kind::MapKey => refuse!(
                self,
                EACCES,
                "invalid access to map key, key_size={mem} off={off} size={size}"
            ),
            Kind::MapValue => refuse!(
                self,
                EACCES,
                "invalid access to map value, value_size={mem} off={off} size={size}"
            ),
            Kind::Packet | Kind::PacketMeta | Kind::PacketEnd => refuse!(
                self,
                EACCES,
                "invalid access to packet, off={off} size={size}, R{reg}(id={id},off={off},r={mem})"
            ),
            _ => refuse!(
                self,
                EACCES,
                "invalid access to memory, mem_size={mem_size} off={off} size={size}"
            ),
        }
    }
}

//! Whether an access to memory through a register is allowed, and what it yields.

pub mod alignment;
pub mod btf_ctx;
pub mod btf_id;
mod btf_store;
pub mod ctx;
pub mod helper_mem;
pub mod kptr;
pub mod map_value;
pub mod mem;
pub mod packet;
pub mod region;
pub mod sock;
pub mod special_fields;
pub mod stack;
pub mod stack_range;
pub mod stack_read;
pub mod stack_write;

use crate::context::{Res, Verifier};
use crate::log::state::KindName;
use crate::refuse;
use crate::state::{Flags, Kind, Reg};

/// Which way the bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// From memory.
    Read,
    /// To memory.
    Write,
}

/// A tristate number as messages write it.
pub(crate) struct Bits(pub skep_domain::Tnum);

impl std::fmt::Display for Bits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (value, mask) = (self.0.value, self.0.mask);
        if mask != 0 {
            write!(f, "({value:#x}; {mask:#x})")
        } else {
            skep_domain::format_unsigned(value, f)
        }
    }
}

/// A variable offset at or above this (in either direction) counts as unbounded.
pub const MAX_VAR_OFF: i64 = 1 << 29;

/// One access through a register, as the rooms below pass it on.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// The instruction that makes it.
    pub insn: u32,
    /// The register that holds the pointer.
    pub reg: u8,
    /// Bytes from the pointer; the constant part of the pointer's own offset is included
    /// once alignment was checked.
    pub off: i32,
    /// How many bytes.
    pub size: i32,
    /// The direction.
    pub access: Access,
    /// The register that receives or gives the value; `None` when no register does.
    pub value: Option<u8>,
    /// A load that extends the sign.
    pub sign_extend: bool,
}

impl Attempt {
    fn writes(&self) -> bool {
        self.access == Access::Write
    }

    /// The register to fill, when this is a read into one.
    fn fills(&self) -> Option<u8> {
        self.value.filter(|_| self.access == Access::Read)
    }
}

impl Verifier<'_> {
    /// Checks one access of `size` bytes at `off` from the pointer in `reg` and, for a read
    /// into `value_reg`, says what that register then holds.
    ///
    /// # Errors
    /// Mostly `EACCES`, with Linux's line in the log; unsupported for kinds of pointers that
    /// are not modelled.
    #[allow(clippy::too_many_arguments)]
    pub fn check_mem_access(
        &mut self,
        insn: u32,
        reg: u8,
        off: i32,
        size: i32,
        access: Access,
        value_reg: Option<u8>,
        strict_alignment_once: bool,
        is_ldsx: bool,
    ) -> Res {
        self.check_alignment(reg, off, size, strict_alignment_once)?;
        let attempt = Attempt {
            insn,
            reg,
            off: off.wrapping_add(self.reg(reg).off),
            size,
            access,
            value: value_reg,
            sign_extend: is_ldsx,
        };
        self.dispatch(&attempt)?;
        if let Some(value) = attempt.fills()
            && size < 8
            && self.reg(value).kind == Kind::Scalar
        {
            let num = &mut self.reg_mut(value).num;
            if is_ldsx {
                num.sign_extend(size as u32);
            } else {
                num.truncate(size as u32);
            }
        }
        Ok(())
    }

    fn dispatch(&mut self, at: &Attempt) -> Res {
        let reg = *self.reg(at.reg);
        let modified = reg.flags != Flags::NONE;
        match reg.kind {
            // Only these can be followed while they carry a modifier.
            kind if modified && !matches!(kind, Kind::Mem | Kind::BtfId | Kind::Buf) => {
                self.refuse_kind(at.reg)
            }
            Kind::MapKey => self.access_map_key(at),
            Kind::MapValue => self.access_map_value(at),
            Kind::Mem => self.access_mem(at),
            Kind::Ctx => self.access_ctx(at),
            Kind::Stack => self.access_stack(at),
            Kind::Packet | Kind::PacketMeta => self.access_packet(at),
            Kind::FlowKeys => self.access_flow_keys(at),
            Kind::Socket | Kind::SockCommon | Kind::TcpSock | Kind::XdpSock => self.access_sock(at),
            Kind::TpBuffer => self.access_tp_buffer(at),
            Kind::BtfId if !reg.maybe_null() => self.access_object(at),
            Kind::ConstMapPtr => self.access_map_object(at),
            Kind::Buf if !reg.maybe_null() => self.access_buf(at),
            // Whatever lies there: faults are survived.
            Kind::Arena => {
                if let Some(value) = at.fills() {
                    self.mark_unknown(value);
                }
                Ok(())
            }
            _ => self.refuse_kind(at.reg),
        }
    }

    /// The refusal of a register that is no pointer that can be followed.
    pub(crate) fn refuse_kind<T>(&mut self, reg: u8) -> Res<T> {
        let name = self.kind_name(reg);
        refuse!(self, EACCES, "R{reg} invalid mem access '{name}'");
    }

    /// Demands that a pointer's value does not become data where it must not.
    pub(crate) fn check_no_leak(&mut self, at: &Attempt, place: &str) -> Res {
        if let Some(value) = at.value
            && at.writes()
            && self.leaks(value)
        {
            refuse!(self, EACCES, "R{value} leaks addr into {place}");
        }
        Ok(())
    }

    /// Whether showing the register to the world would show an address to a program that
    /// must not know any.
    pub(crate) fn leaks(&self, reg: u8) -> bool {
        !self.request.privilege.allow_ptr_leaks && self.reg(reg).kind != Kind::Scalar
    }

    /// The name of a register's kind, as messages write it.
    pub(crate) fn kind_name(&self, reg: u8) -> KindName {
        self.reg(reg).kind_name()
    }

    /// Demands a pointer without offset (or with a constant one that is not negative when
    /// `fixed_off_ok`).
    ///
    /// # Errors
    /// `EACCES`.
    pub(crate) fn check_ptr_off(&mut self, reg: &Reg, number: u8, fixed_off_ok: bool) -> Res {
        let name = reg.kind_name();
        if reg.off < 0 {
            refuse!(
                self,
                EACCES,
                "negative offset {name} ptr R{number} off={} disallowed",
                reg.off
            );
        }
        if !fixed_off_ok && reg.off != 0 {
            refuse!(
                self,
                EACCES,
                "dereference of modified {name} ptr R{number} off={} disallowed",
                reg.off
            );
        }
        let var = reg.num.var_off;
        if !var.equals_const(0) {
            let var = Bits(var);
            refuse!(
                self,
                EACCES,
                "variable {name} access var_off={var} disallowed"
            );
        }
        Ok(())
    }

    /// Puts what was loaded into a register; which instruction defined the lower half stays.
    pub(crate) fn fill(&mut self, reg: u8, value: Reg) {
        let slot = self.reg_mut(reg);
        *slot = Reg {
            subreg_def: slot.subreg_def,
            ..value
        };
    }
}

//! Whether an access to the program's context is allowed, and what a load from it gives.

use skep_abi::ProgType;
use skep_catalog::{Caps, CtxValue};

use crate::access::Attempt;
use crate::context::{Res, Stop, Verifier};
use crate::refuse;
use crate::state::reg::DEF_NOT_SUBREG;
use crate::state::{Flags, Kind, Reg};

impl Verifier<'_> {
    pub(crate) fn access_ctx(&mut self, at: &Attempt) -> Res {
        self.check_no_leak(at, "ctx")?;
        let pointer = *self.reg(at.reg);
        self.check_ptr_off(&pointer, at.reg, false)?;
        if self.target.is_some() {
            return self.access_typed_ctx(at);
        }
        let value = self.check_context(at)?;
        let Some(number) = at.fills() else {
            return Ok(());
        };
        let (kind, flags) = match value {
            CtxValue::Scalar => {
                self.mark_unknown(number);
                return Ok(());
            }
            CtxValue::Packet => (Kind::Packet, Flags::NONE),
            CtxValue::PacketEnd => (Kind::PacketEnd, Flags::NONE),
            CtxValue::PacketMeta => (Kind::PacketMeta, Flags::NONE),
            CtxValue::Socket => (Kind::Socket, Flags::NONE),
            CtxValue::SocketOrNull => (Kind::Socket, Flags::MAYBE_NULL),
            CtxValue::SockCommonOrNull => (Kind::SockCommon, Flags::MAYBE_NULL),
            CtxValue::FlowKeys => (Kind::FlowKeys, Flags::NONE),
            CtxValue::TpBuffer => (Kind::TpBuffer, Flags::NONE),
            CtxValue::TrustedPtr(name) => {
                return self.fill_object(number, name, Flags::TRUSTED);
            }
        };
        let id = if flags.any(Flags::MAYBE_NULL) {
            self.next_id()
        } else {
            0
        };
        // The field may be narrower than the pointer that the load gives.
        *self.reg_mut(number) = Reg {
            flags,
            id,
            subreg_def: DEF_NOT_SUBREG,
            ..Reg::pointer(kind)
        };
        Ok(())
    }

    fn check_context(&mut self, at: &Attempt) -> Res<CtxValue> {
        let (off, size) = (at.off, at.size);
        let prog_type = self.prog_type()?;
        if skep_catalog::ctx_fields(prog_type).is_none() {
            return Err(Stop::Unsupported(format!(
                "context of a {prog_type} program, described by BTF"
            )));
        }
        let attach = self.request.expected_attach_type;
        let field = match (u32::try_from(off), u32::try_from(size)) {
            (Ok(off), Ok(size)) => {
                skep_catalog::ctx_access(prog_type, attach, off, size, at.writes())
            }
            _ => None,
        };
        // A pointer cannot be loaded as if it were a number with a sign.
        let fits = |value: CtxValue| !at.sign_extend || value == CtxValue::Scalar;
        let field = field.filter(|field| fits(field.value));
        match field.filter(|field| self.caps().include(field.capability)) {
            Some(field) => {
                let end = u32::try_from(off.saturating_add(size)).unwrap_or(0);
                self.max_ctx_offset = self.max_ctx_offset.max(end);
                Ok(field.value)
            }
            None => refuse!(
                self,
                EACCES,
                "invalid bpf_context access off={off} size={size}"
            ),
        }
    }

    /// The capabilities that decide about single fields and helpers.
    pub(crate) fn caps(&self) -> Caps {
        let privilege = &self.request.privilege;
        Caps {
            bpf: privilege.bpf_capable,
            perfmon: privilege.allow_ptr_leaks,
        }
    }

    /// The program's type.
    ///
    /// # Errors
    /// Unsupported for a number that is none.
    pub(crate) fn prog_type(&self) -> Res<ProgType> {
        ProgType::from_u32(self.request.prog_type)
            .ok_or_else(|| Stop::Unsupported(format!("program type {}", self.request.prog_type)))
    }

    /// Whether accesses to the context go to the kernel's own structures in a rewritten form;
    /// where they do not, helpers can use the context as memory.
    pub(crate) fn context_is_rewritten(&self) -> bool {
        use ProgType as P;
        !matches!(
            ProgType::from_u32(self.request.prog_type),
            Some(
                P::Syscall
                    | P::Kprobe
                    | P::Tracepoint
                    | P::RawTracepoint
                    | P::RawTracepointWritable
                    | P::CgroupDevice
                    | P::LircMode2
                    | P::Netfilter
                    | P::Tracing
                    | P::Lsm
                    | P::Ext
            )
        )
    }
}

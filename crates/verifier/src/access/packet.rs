//! Whether an access to packet data is allowed.

use crate::access::{Access, Attempt};
use crate::context::{Res, Verifier};
use crate::refuse;
use crate::say;

impl Verifier<'_> {
    pub(crate) fn access_packet(&mut self, at: &Attempt) -> Res {
        if at.writes() && !self.may_touch_packet(None, Access::Write) {
            refuse!(self, EACCES, "cannot write into packet");
        }
        self.check_no_leak(at, "packet")?;
        self.check_packet(at.reg, at.off, at.size, false)?;
        if let Some(value) = at.fills() {
            self.mark_unknown(value);
        }
        Ok(())
    }

    /// Demands that the bytes lie in the part of the packet known to exist.
    ///
    /// # Errors
    /// `EACCES`, or `EINVAL` for a pointer at the end of the packet.
    pub(crate) fn check_packet(
        &mut self,
        reg: u8,
        off: i32,
        size: i32,
        zero_size_allowed: bool,
    ) -> Res {
        let pointer = *self.reg(reg);
        if pointer.num.smin < 0 {
            return self.refuse_negative(reg);
        }
        // The range counts from behind the variable part of the offset.
        if pointer.range() < 0 {
            refuse!(self, EINVAL, "R{reg} offset is outside of the packet");
        }
        let range = pointer.range() as u32;
        self.check_inside(reg, off, size, range, zero_size_allowed)
            .inspect_err(|_| say!(self, "R{reg} offset is outside of the packet\n"))
    }

    /// Whether programs of this type reach packet data directly in this direction; for a
    /// helper, whether that helper takes packet pointers (`helper_takes_packet`).
    pub(crate) fn may_touch_packet(
        &mut self,
        helper_takes_packet: Option<bool>,
        access: Access,
    ) -> bool {
        use skep_abi::ProgType as P;
        let write = access == Access::Write;
        match P::from_u32(self.request.prog_type) {
            Some(
                P::LwtIn
                | P::LwtOut
                | P::LwtSeg6local
                | P::SkReuseport
                | P::FlowDissector
                | P::CgroupSkb,
            ) if write => false,
            Some(
                P::LwtIn
                | P::LwtOut
                | P::LwtSeg6local
                | P::SkReuseport
                | P::FlowDissector
                | P::CgroupSkb
                | P::SchedCls
                | P::SchedAct
                | P::Xdp
                | P::LwtXmit
                | P::SkSkb
                | P::SkMsg,
            ) => helper_takes_packet.unwrap_or_else(|| {
                self.seen_direct_write = true;
                true
            }),
            Some(P::CgroupSockopt) => {
                self.seen_direct_write |= write;
                true
            }
            _ => false,
        }
    }
}

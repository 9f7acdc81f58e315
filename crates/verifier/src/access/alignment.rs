//! Whether an access is aligned as far as the program must care.

use skep_domain::Tnum;

use crate::access::Bits;
use crate::context::{Res, Verifier};
use crate::refuse;
use crate::state::Kind;

/// Network code places the IP header so that it is aligned: two bytes past a multiple of 4.
const IP_ALIGN: i64 = 2;

impl Verifier<'_> {
    /// Demands alignment to `size` where the kind of pointer or the program asks for it.
    ///
    /// # Errors
    /// `EACCES`.
    pub fn check_alignment(&mut self, reg: u8, off: i32, size: i32, strict_once: bool) -> Res {
        let pointer = *self.reg(reg);
        let strict = self.strict_alignment || strict_once;
        let (what, strict) = match pointer.kind {
            Kind::Packet | Kind::PacketMeta => {
                return self.check_packet_alignment(reg, off, size, strict);
            }
            Kind::FlowKeys => ("flow keys ", strict),
            Kind::MapKey => ("key ", strict),
            Kind::MapValue => ("value ", strict),
            Kind::Ctx => ("context ", strict),
            // Spilled registers are tracked in whole slots only.
            Kind::Stack => ("stack ", true),
            Kind::Socket => ("sock ", strict),
            Kind::SockCommon => ("sock_common ", strict),
            Kind::TcpSock => ("tcp_sock ", strict),
            Kind::XdpSock => ("xdp_sock ", strict),
            Kind::Arena => return Ok(()),
            _ => ("", strict),
        };
        // A pointer that may be null has a kind of its own in Linux, without a word for it.
        let what = if pointer.flags.0 == 0 { what } else { "" };
        if !strict || size == 1 {
            return Ok(());
        }
        let sum = i64::from(pointer.off).wrapping_add(i64::from(off));
        let at = pointer.num.var_off.add(Tnum::constant(sum as u64));
        if !at.is_aligned(size as u64) {
            let var = Bits(pointer.num.var_off);
            let base = pointer.off;
            refuse!(
                self,
                EACCES,
                "misaligned {what}access off {var}+{base}+{off} size {size}"
            );
        }
        Ok(())
    }

    fn check_packet_alignment(&mut self, reg: u8, off: i32, size: i32, strict: bool) -> Res {
        if !strict || size == 1 {
            return Ok(());
        }
        let pointer = *self.reg(reg);
        let sum = IP_ALIGN
            .wrapping_add(i64::from(pointer.off))
            .wrapping_add(i64::from(off));
        let at = pointer.num.var_off.add(Tnum::constant(sum as u64));
        if !at.is_aligned(size as u64) {
            let var = Bits(pointer.num.var_off);
            let base = pointer.off;
            refuse!(
                self,
                EACCES,
                "misaligned packet access off {IP_ALIGN}+{var}+{base}+{off} size {size}"
            );
        }
        Ok(())
    }
}

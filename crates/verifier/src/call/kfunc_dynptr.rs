//! Dynptrs as arguments of kernel functions, and the pieces of memory got from them.

use skep_btf::Param;
use skep_catalog::Kfunc;

use crate::call::dynptr::Flavour;
use crate::call::kfunc_args::Given;
use crate::context::{Res, Stop, Verifier};
use crate::refuse;
use crate::state::{Flags, Kind, Reg};

impl Verifier<'_> {
    /// Uses the dynptr an argument points at, or makes the one that the function fills.
    ///
    /// # Errors
    /// `EINVAL` for something else.
    pub(crate) fn use_kfunc_dynptr(
        &mut self,
        kfunc: &Kfunc,
        given: &mut Given,
        param: &Param<'_>,
        number: u8,
    ) -> Res {
        let reg = *self.reg(number);
        let arg = number - 1;
        if !matches!(reg.kind, Kind::Stack | Kind::Dynptr) {
            refuse!(
                self,
                EINVAL,
                "arg#{arg} expected pointer to stack or const struct bpf_dynptr"
            );
        }
        if !param.name.ends_with("__uninit") {
            let dynptr = self.read_dynptr(&reg, number)?;
            let Some(flavour) = Flavour::of(&dynptr) else {
                return Err(Stop::Unsupported("a dynptr of an unknown kind".into()));
            };
            given.dynptr = Some((dynptr.id, dynptr.ref_obj_id, flavour));
            return Ok(());
        }
        match kfunc.name {
            "bpf_dynptr_from_skb" => self.put_dynptr(Some(Flavour::Skb), None, &reg, number),
            "bpf_dynptr_from_xdp" => self.put_dynptr(Some(Flavour::Xdp), None, &reg, number),
            "bpf_dynptr_from_skb_meta" => {
                self.put_dynptr(Some(Flavour::SkbMeta), None, &reg, number)
            }
            "bpf_dynptr_clone" => {
                let Some((_, reference, flavour)) = given.dynptr else {
                    return Err(Stop::Unsupported("a copy of no dynptr".into()));
                };
                self.put_dynptr(Some(flavour), Some(reference), &reg, number)
            }
            name => Err(Stop::Unsupported(format!("dynptr made by {name}"))),
        }
    }

    /// What `bpf_dynptr_slice` and its writing sister give.
    ///
    /// # Errors
    /// `EINVAL` where the program may not write to the packet.
    pub(crate) fn slice_result(&mut self, kfunc: &Kfunc, given: &Given) -> Res<Reg> {
        let (Some((id, _, flavour)), Some(size)) = (given.dynptr, given.constant) else {
            return Err(Stop::Unsupported(format!("result of {}", kfunc.name)));
        };
        let mut flags = match flavour {
            Flavour::Skb | Flavour::Xdp | Flavour::SkbMeta => {
                Flags::SLICE.with(Flags::PACKET_SLICE)
            }
            Flavour::Local | Flavour::Ringbuf => Flags::SLICE,
        };
        if kfunc.name == "bpf_dynptr_slice" {
            flags = flags.with(Flags::RDONLY);
        } else if !self.may_write_packet() {
            refuse!(
                self,
                EINVAL,
                "the prog does not allow writes to packet data"
            );
        }
        Ok(Reg {
            flags,
            // The function takes no more of it either.
            aux: size as u32,
            map_uid: id,
            ..Reg::pointer(Kind::Mem)
        })
    }

    fn may_write_packet(&mut self) -> bool {
        self.may_touch_packet(None, crate::access::Access::Write)
    }
}

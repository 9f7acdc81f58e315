//! Whether an object of the kernel is what a parameter of a kernel function asks for.

use skep_btf::{Btf, Type, TypeId};
use skep_catalog::Kfunc;

use crate::access::btf_id::{OWN_BTF, shown};
use crate::call::kfunc_args::kernel_struct;
use crate::context::{Res, Stop, Verifier};
use crate::log::state::KindName;
use crate::refuse;
use crate::state::{Flags, Kind, Reg};

impl Verifier<'_> {
    /// An object of the kernel, of the type the parameter has.
    pub(crate) fn check_kfunc_object(
        &mut self,
        kfunc: &Kfunc,
        btf: &Btf,
        reg: &Reg,
        target: Option<Type<'_>>,
        number: u8,
    ) -> Res {
        let arg = number - 1;
        let name = kfunc.name;
        let target = match target {
            Some(target) => target,
            None => {
                let map = self.kernel_struct("bpf_map")?;
                match btf.type_by_id(map) {
                    Some(map) => map,
                    None => return Err(Stop::Unsupported("maps as objects".into())),
                }
            }
        };
        let releases = kfunc.releases() && reg.ref_obj_id != 0;
        const UNSAFE: Flags = Flags::MAYBE_NULL
            .with(Flags::RDONLY)
            .with(Flags::USER)
            .with(Flags::PERCPU)
            .with(Flags::UNTRUSTED)
            .with(Flags::RCU);
        let is_rcu = reg.flags.any(Flags::RCU);
        let known = reg.kind == Kind::BtfId && (!reg.flags.any(UNSAFE) || is_rcu)
            || kernel_struct(reg).is_some();
        if !known {
            let shown = reg.kind_name();
            let good = Flags::TRUSTED.with(Flags::ALLOC).with(Flags::NON_OWN_REF);
            let kept = Flags(reg.flags.0 & good.0);
            let expected = KindName {
                flags: kept,
                ..reg.kind_name()
            };
            refuse!(
                self,
                EINVAL,
                "arg#{arg} is {shown} expected {expected} or socket"
            );
        }
        let have = match kernel_struct(reg) {
            Some(socket) => self.kernel_struct(socket)?,
            None => TypeId(reg.aux),
        };
        let own = reg.kind == Kind::BtfId && reg.map_uid == OWN_BTF;
        let own_btf = self.request.btf.clone().filter(|_| own);
        let of = own_btf.as_deref().unwrap_or(btf).type_by_id(have);
        // An object that is not complete is no other object, even where it begins with one.
        let incomplete = of.is_some_and(|of| differ_by_init(of.name(), target.name()));
        let strict = releases || incomplete;
        let same = !own && reg.off == 0 && have == target.id();
        let inner = !same
            && !own
            && !strict
            && u32::try_from(reg.off)
                .is_ok_and(|off| self.object_holds(btf, have.0, off, target.id()));
        if !same && !inner {
            let (kind, wanted) = (target.kind().name(), target.name());
            let (have_kind, have_name) =
                of.map_or(("UNKNOWN", ""), |ty| (ty.kind().name(), shown(&ty)));
            refuse!(
                self,
                EINVAL,
                "kernel function {name} args#{arg} expected pointer to {kind} {wanted} but R{number} \
                 has a pointer to {have_kind} {have_name}"
            );
        }
        Ok(())
    }
}

/// Whether one of the names is the other with `___init` behind it.
fn differ_by_init(one: &str, other: &str) -> bool {
    let init = "___init";
    one.strip_suffix(init) == Some(other) || other.strip_suffix(init) == Some(one)
}

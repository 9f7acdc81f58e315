//! Objects of the program's own types: allocating, counting and freeing them.

use skep_btf::{Btf, Kind as BtfKind, Type};
use skep_catalog::Kfunc;

use crate::access::btf_id::OWN_BTF;
use crate::access::special_fields::FieldKind;
use crate::call::kfunc_args::Given;
use crate::context::{Res, Verifier};
use crate::state::{Flags, Kind, Reg};
use crate::{refuse, say};

/// The largest object of which every CPU can have one.
const MAX_PERCPU_SIZE: u32 = 512;
/// How deep structures of numbers may lie inside each other.
const MAX_NESTING: u32 = 4;

impl Verifier<'_> {
    /// Demands an allocated object that the function may free.
    ///
    /// # Errors
    /// `EINVAL`.
    pub(crate) fn use_allocated(&mut self, kfunc: &Kfunc, given: &mut Given, number: u8) -> Res {
        let reg = *self.reg(number);
        let arg = number - 1;
        let percpu = Flags::ALLOC.with(Flags::PERCPU);
        let (frees, with) = match reg.flags {
            _ if reg.kind != Kind::BtfId => (false, ""),
            Flags::ALLOC => (kfunc.name == "bpf_obj_drop_impl", "bpf_obj_drop_impl()"),
            flags if flags == percpu => (
                kfunc.name == "bpf_percpu_obj_drop_impl",
                "bpf_percpu_obj_drop_impl()",
            ),
            _ => (false, ""),
        };
        if with.is_empty() {
            refuse!(
                self,
                EINVAL,
                "arg#{arg} expected pointer to allocated object"
            );
        }
        if !frees {
            refuse!(self, EINVAL, "arg#{arg} expected for {with}");
        }
        if reg.ref_obj_id == 0 {
            refuse!(self, EINVAL, "allocated object must be referenced");
        }
        given.object = Some(reg.aux);
        Ok(())
    }

    /// Demands an object with a count of references.
    ///
    /// # Errors
    /// `EINVAL`.
    pub(crate) fn use_refcounted(&mut self, given: &mut Given, number: u8) -> Res {
        let reg = *self.reg(number);
        let arg = number - 1;
        if reg.kind != Kind::BtfId || !reg.flags.has(Flags::ALLOC) {
            refuse!(
                self,
                EINVAL,
                "arg#{arg} is neither owning or non-owning ref"
            );
        }
        let fields = self.own_fields(reg.aux);
        if reg.map_uid != OWN_BTF || fields.is_empty() {
            refuse!(self, EFAULT, "verifier bug: Couldn't find btf_record");
        }
        let counted = fields.iter().any(|field| field.kind == FieldKind::Refcount);
        if !counted {
            refuse!(
                self,
                EINVAL,
                "arg#{arg} doesn't point to a type with bpf_refcount field"
            );
        }
        given.object = Some(reg.aux);
        given.owned = !reg.flags.any(Flags::NON_OWN_REF);
        Ok(())
    }

    /// The object that an allocation gives.
    ///
    /// # Errors
    /// `EINVAL` for a type that cannot be allocated.
    pub(crate) fn allocated_result(&mut self, kfunc: &Kfunc, given: &Given) -> Res<Reg> {
        let Some(btf) = self.request.btf.clone() else {
            refuse!(
                self,
                EINVAL,
                "bpf_obj_new/bpf_percpu_obj_new requires prog BTF"
            );
        };
        let Ok(id) = u32::try_from(given.constant.unwrap_or(0)) else {
            refuse!(
                self,
                EINVAL,
                "local type ID argument must be in range [0, U32_MAX]"
            );
        };
        let ty = btf.type_by_id(id).filter(|ty| ty.kind() == BtfKind::Struct);
        let Some(ty) = ty else {
            refuse!(
                self,
                EINVAL,
                "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct"
            );
        };
        let mut flags = Flags::ALLOC;
        if kfunc.name == "bpf_percpu_obj_new_impl" {
            self.check_percpu(&btf, ty)?;
            flags = flags.with(Flags::PERCPU);
        }
        self.aux_mut().kfunc_fact = ty.size().unwrap_or(0);
        Ok(Reg {
            flags,
            aux: id,
            map_uid: OWN_BTF,
            ..Reg::pointer(Kind::BtfId)
        })
    }

    fn check_percpu(&mut self, btf: &Btf, ty: Type<'_>) -> Res {
        let size = ty.size().unwrap_or(0);
        if size > MAX_PERCPU_SIZE {
            refuse!(
                self,
                EINVAL,
                "bpf_percpu_obj_new type size ({size}) is greater than {MAX_PERCPU_SIZE}"
            );
        }
        if !self.is_plain(btf, ty) {
            refuse!(
                self,
                EINVAL,
                "bpf_percpu_obj_new type ID argument must be of a struct of scalars"
            );
        }
        if !self.own_fields(ty.id().0).is_empty() {
            refuse!(
                self,
                EINVAL,
                "bpf_percpu_obj_new type ID argument must not contain special fields"
            );
        }
        Ok(())
    }
}

impl Verifier<'_> {
    /// Whether a type is a number or a structure of numbers; the log says when it is nested too
    /// deep to tell.
    pub(crate) fn is_plain(&mut self, btf: &Btf, ty: Type<'_>) -> bool {
        let mut too_deep = false;
        let plain = is_plain(btf, ty, 0, &mut too_deep);
        if too_deep {
            say!(self, "max struct nesting depth exceeded\n");
        }
        plain
    }
}

fn is_plain(btf: &Btf, ty: Type<'_>, depth: u32, too_deep: &mut bool) -> bool {
    match ty.kind() {
        BtfKind::Int => true,
        kind if kind.is_enum() => true,
        BtfKind::Struct | BtfKind::Union if depth < MAX_NESTING => ty.members().all(|member| {
            let Some(mut inner) = btf.resolve(member.ty) else {
                return false;
            };
            if let Some(array) = inner.array() {
                if array.count == 0 {
                    return false;
                }
                match btf.resolve(array.elem) {
                    Some(elem) => inner = elem,
                    None => return false,
                }
                return inner.kind() == BtfKind::Int || inner.kind().is_enum();
            }
            is_plain(btf, inner, depth + 1, too_deep)
        }),
        BtfKind::Struct | BtfKind::Union => {
            *too_deep = true;
            false
        }
        _ => false,
    }
}

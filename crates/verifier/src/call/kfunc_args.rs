//! Whether the arguments of a kernel function fit what its BTF prototype and the names of its
//! parameters say.

use skep_btf::{Btf, Kind as BtfKind, Param, Type, TypeId};
use skep_catalog::Kfunc;

use crate::access::Access;
use crate::access::btf_id::{OWN_BTF, shown};
use crate::call::iter::Place;
use crate::context::{Res, Stop, Verifier};
use crate::log::state::reg_type_name;
use crate::refuse;
use crate::state::{Flags, Kind, Reg};

/// What the arguments of one call turned out to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Given {
    /// The known number that one argument must be.
    pub constant: Option<u64>,
    /// The reference one argument stands for, 0 for none.
    pub ref_obj_id: u32,
    /// The argument whose reference is given back.
    pub release: Option<u8>,
    /// The iterator that is stepped.
    pub iterator: Option<Place>,
    /// The dynptr that was looked into: its identity, its reference, and the kind of its
    /// memory.
    pub dynptr: Option<(u32, u32, crate::call::dynptr::Flavour)>,
}

/// How deep structures of numbers may lie inside each other.
const MAX_NESTING: u32 = 4;

impl Verifier<'_> {
    pub(crate) fn check_kfunc_args(
        &mut self,
        kfunc: &Kfunc,
        btf: &Btf,
        proto: Type<'_>,
    ) -> Res<Given> {
        let params: Vec<Param<'_>> = proto.params().collect();
        let mut given = Given::default();
        let mut index = 0;
        while let Some(param) = params.get(index) {
            let number = index as u8 + 1;
            if number > 5 {
                return Err(Stop::Unsupported(format!("arguments of {}", kfunc.name)));
            }
            let size_follows = params
                .get(index + 1)
                .is_some_and(|next| is_size(btf, next) && self.reg_is_number(number + 1));
            index += 1;
            if param.name.ends_with("__ign") {
                continue;
            }
            let Some(ty) = btf.resolve(param.ty) else {
                return Err(Stop::Unsupported(format!("arguments of {}", kfunc.name)));
            };
            if ty.kind() == BtfKind::Int || ty.kind().is_enum() {
                self.check_kfunc_number(&mut given, param, number)?;
                continue;
            }
            if ty.kind() != BtfKind::Ptr {
                return Err(Stop::Unsupported(format!("arguments of {}", kfunc.name)));
            }
            if self.check_kfunc_pointer(kfunc, btf, &mut given, param, ty, number, size_follows)? {
                index += 1;
            }
        }
        if kfunc.releases() && given.release.is_none() {
            let name = kfunc.name;
            refuse!(
                self,
                EINVAL,
                "release kernel function {name} expects refcounted PTR_TO_BTF_ID"
            );
        }
        Ok(given)
    }

    fn reg_is_number(&self, number: u8) -> bool {
        number <= 5 && self.reg(number).is_scalar()
    }

    fn check_kfunc_number(&mut self, given: &mut Given, param: &Param<'_>, number: u8) -> Res {
        let reg = *self.reg(number);
        if !reg.is_scalar() {
            refuse!(self, EINVAL, "R{number} is not a scalar");
        }
        if param.name.ends_with("__k") {
            self.take_constant(given, number)?;
        }
        Ok(())
    }

    fn take_constant(&mut self, given: &mut Given, number: u8) -> Res {
        let reg = *self.reg(number);
        if !reg.is_const() {
            refuse!(self, EINVAL, "R{number} must be a known constant");
        }
        self.mark_precise(number)?;
        given.constant = Some(reg.num.var_off.value);
        Ok(())
    }

    /// One pointer argument. True: the size behind it was looked at, too.
    #[allow(clippy::too_many_arguments)]
    fn check_kfunc_pointer(
        &mut self,
        kfunc: &Kfunc,
        btf: &Btf,
        given: &mut Given,
        param: &Param<'_>,
        ptr: Type<'_>,
        number: u8,
        size_follows: bool,
    ) -> Res<bool> {
        let reg = *self.reg(number);
        let arg = number - 1;
        let name = kfunc.name;
        let nullable = ends_with(param, "__nullable") || ends_with(param, "__opt");
        let checked = kfunc.wants_trusted() || kfunc.wants_rcu();
        if checked && (reg.is_null() || reg.maybe_null()) && !ends_with(param, "__nullable") {
            refuse!(
                self,
                EACCES,
                "Possibly NULL pointer passed to trusted arg{arg}"
            );
        }
        if reg.ref_obj_id != 0 {
            given.ref_obj_id = reg.ref_obj_id;
            if kfunc.releases() {
                given.release = Some(number);
            }
        }
        let Some(target) = ptr.ref_type().and_then(|id| btf.resolve(id)) else {
            return Err(Stop::Unsupported(format!("arguments of {name}")));
        };
        for suffix in [
            "__map",
            "__alloc",
            "__refcounted_kptr",
            "__str",
            "__irq_flag",
            "__prog",
            "__uninit",
        ] {
            let modelled = suffix == "__uninit" && target.name() == "bpf_dynptr";
            if ends_with(param, suffix) && !modelled {
                return Err(Stop::Unsupported(format!("argument {} of {name}", arg + 1)));
            }
        }
        let is_context = name == "bpf_cast_to_kern_ctx" || self.is_context_struct(btf, target);
        if is_context {
            return self.check_kfunc_context(&reg, number).map(|()| false);
        }
        if nullable && reg.is_null() && !size_follows {
            return Ok(false);
        }
        if target.name() == "bpf_dynptr" {
            self.use_kfunc_dynptr(kfunc, given, param, number)?;
            return Ok(false);
        }
        if arg == 0 && (kfunc.starts_iterator() || kfunc.steps_iterator() || kfunc.ends_iterator())
        {
            given.iterator = self.use_iterator(kfunc, number)?;
            return Ok(false);
        }
        if target.kind() == BtfKind::FuncProto || special_struct(target.name()) {
            return Err(Stop::Unsupported(format!("argument {} of {name}", arg + 1)));
        }
        if reg.kind == Kind::BtfId || socket_struct(reg.kind).is_some() {
            self.check_kfunc_object(kfunc, btf, &reg, target, number)?;
            return Ok(false);
        }
        let plain = is_plain(btf, target, 0) || size_follows && target.kind() == BtfKind::Void;
        if !plain {
            let (kind, of) = (target.kind().name(), target.name());
            let kind = if target.kind() == BtfKind::Void {
                "UNKNOWN"
            } else {
                kind
            };
            let or_void = if size_follows { "void, " } else { "" };
            refuse!(
                self,
                EINVAL,
                "arg#{arg} pointer type {kind} {of} must point to {or_void}scalar, or struct \
                 with scalar"
            );
        }
        self.check_arg_offset(&reg, number, kfunc.releases() && reg.ref_obj_id != 0)?;
        if size_follows {
            let constant = name.starts_with("bpf_dynptr_slice");
            return self
                .check_kfunc_buffer(given, param, number, constant)
                .map(|()| true);
        }
        let Some(size) = btf.size_of(target.id()) else {
            return Err(Stop::Unsupported(format!("arguments of {name}")));
        };
        self.check_mem_arg(number, size)?;
        Ok(false)
    }

    fn check_kfunc_context(&mut self, reg: &Reg, number: u8) -> Res {
        let arg = number - 1;
        self.check_arg_offset(reg, number, false)?;
        if reg.kind != Kind::Ctx {
            let name = self.kind_name_of(reg);
            refuse!(
                self,
                EINVAL,
                "arg#{arg} expected pointer to ctx, but got {name}"
            );
        }
        Ok(())
    }

    /// Memory whose size the next argument has.
    fn check_kfunc_buffer(
        &mut self,
        given: &mut Given,
        param: &Param<'_>,
        number: u8,
        size_is_constant: bool,
    ) -> Res {
        let optional = ends_with(param, "__opt");
        let reg = *self.reg(number);
        if !(optional && reg.is_null()) {
            for access in [Access::Read, Access::Write] {
                let mut raw = crate::call::args::RawMemory::default();
                let fits = self.check_sized_memory(number + 1, access, true, &mut raw);
                if let Err(Stop::Reject(errno)) = fits {
                    let (arg, size) = (number - 1, number);
                    return Err(self.reject(
                        errno,
                        format_args!(
                            "arg#{arg} arg#{size} memory, len pair leads to invalid memory access"
                        ),
                    ));
                }
                fits?;
            }
        }
        // Linux takes the number without noting that it must stay this one.
        if size_is_constant {
            let size = *self.reg(number + 1);
            if !size.is_const() {
                refuse!(self, EINVAL, "R{} must be a known constant", number + 1);
            }
            given.constant = Some(size.num.var_off.value);
        }
        Ok(())
    }

    /// An object of the kernel, of the type the parameter has.
    fn check_kfunc_object(
        &mut self,
        kfunc: &Kfunc,
        btf: &Btf,
        reg: &Reg,
        target: Type<'_>,
        number: u8,
    ) -> Res {
        let arg = number - 1;
        let name = kfunc.name;
        if name == "bpf_dynptr_from_skb" {
            // Linux tells the program's view of a packet from the kernel's in its own way.
            return Err(Stop::Unsupported("a dynptr of a kernel's skb".into()));
        }
        if reg.map_uid == OWN_BTF && reg.kind == Kind::BtfId {
            return Err(Stop::Unsupported("an object of the program's own".into()));
        }
        if !target.kind().is_composite() {
            let (kind, of) = (target.kind().name(), target.name());
            refuse!(
                self,
                EINVAL,
                "kernel function {name} args#{arg} pointer type {kind} {of} is not supported"
            );
        }
        if (kfunc.wants_trusted() || kfunc.wants_rcu())
            && reg.kind == Kind::BtfId
            && !self.is_trusted(reg)
        {
            if !kfunc.wants_rcu() {
                refuse!(self, EINVAL, "R{number} must be referenced or trusted");
            }
            if !reg.flags.any(Flags::RCU) {
                refuse!(self, EINVAL, "R{number} must be a rcu pointer");
            }
        }
        if kfunc.wants_trusted() && reg.kind != Kind::BtfId {
            return Err(Stop::Unsupported("a socket as a trusted argument".into()));
        }
        let releases = kfunc.releases() && reg.ref_obj_id != 0;
        self.check_arg_offset(reg, number, releases)?;
        const UNSAFE: Flags = Flags::MAYBE_NULL
            .with(Flags::RDONLY)
            .with(Flags::USER)
            .with(Flags::PERCPU)
            .with(Flags::UNTRUSTED)
            .with(Flags::RCU);
        let is_rcu = reg.flags.any(Flags::RCU);
        if reg.kind == Kind::BtfId && reg.flags.any(UNSAFE) && !is_rcu {
            let shown = reg_type_name(reg.kind, reg.flags);
            let good = Flags::TRUSTED.with(Flags::ALLOC).with(Flags::NON_OWN_REF);
            let kept = Flags(reg.flags.0 & good.0);
            let expected = reg_type_name(reg.kind, kept);
            refuse!(
                self,
                EINVAL,
                "arg#{arg} is {shown} expected {expected} or socket"
            );
        }
        let have = match socket_struct(reg.kind) {
            Some(socket) => self.kernel_struct(socket)?,
            None => TypeId(reg.aux),
        };
        let strict = kfunc.acquires() || releases;
        let same = reg.off == 0 && have == target.id();
        let inner = !same
            && !strict
            && u32::try_from(reg.off)
                .is_ok_and(|off| self.object_holds(btf, have.0, off, target.id()));
        if !same && !inner {
            let (kind, of) = (target.kind().name(), target.name());
            let ty = btf.type_by_id(have);
            let (have_kind, have_name) =
                ty.map_or(("UNKNOWN", ""), |ty| (ty.kind().name(), shown(&ty)));
            refuse!(
                self,
                EINVAL,
                "kernel function {name} args#{arg} expected pointer to {kind} {of} but R{number} \
                 has a pointer to {have_kind} {have_name}"
            );
        }
        Ok(())
    }

    /// Whether a structure is what this type of program gets as its context.
    fn is_context_struct(&self, btf: &Btf, ty: Type<'_>) -> bool {
        let Some(prog_type) = skep_abi::ProgType::from_u32(self.request.prog_type) else {
            return false;
        };
        let _ = btf;
        ty.kind() == BtfKind::Struct
            && crate::call::global_func::is_context_name(ty.name(), prog_type)
    }
}

fn ends_with(param: &Param<'_>, suffix: &str) -> bool {
    param.name.ends_with(suffix)
}

fn is_size(btf: &Btf, param: &Param<'_>) -> bool {
    let number = btf
        .resolve(param.ty)
        .is_some_and(|ty| ty.kind() == BtfKind::Int);
    number && (param.name.ends_with("__sz") || param.name.ends_with("__szk"))
}

/// Structures that arguments of their own rules have.
fn special_struct(name: &str) -> bool {
    matches!(
        name,
        "bpf_list_head"
            | "bpf_list_node"
            | "bpf_rb_root"
            | "bpf_rb_node"
            | "bpf_wq"
            | "bpf_timer"
            | "bpf_task_work"
            | "bpf_res_spin_lock"
            | "bpf_map"
    )
}

/// The kernel's structure behind a socket that the program sees in its own form.
fn socket_struct(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Socket => "sock",
        Kind::SockCommon => "sock_common",
        Kind::TcpSock => "tcp_sock",
        _ => return None,
    })
}

/// Whether a type is a number or a structure of numbers.
fn is_plain(btf: &Btf, ty: Type<'_>, depth: u32) -> bool {
    match ty.kind() {
        BtfKind::Int => true,
        kind if kind.is_enum() => true,
        BtfKind::Struct if depth < MAX_NESTING => ty.members().all(|member| {
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
            is_plain(btf, inner, depth + 1)
        }),
        _ => false,
    }
}

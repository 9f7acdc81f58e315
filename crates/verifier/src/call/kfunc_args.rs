//! Whether the arguments of a kernel function fit what its BTF prototype and the names of its
//! parameters say.

use skep_btf::{Btf, Kind as BtfKind, Param, Type};
use skep_catalog::Kfunc;

use crate::access::Access;
use crate::access::special_fields::FieldKind;
use crate::call::graph::Elements;
use crate::call::irq_flag::Saver;
use crate::call::iter::Place;
use crate::context::{Res, Stop, Verifier};
use crate::refuse;
use crate::state::whole::ReferenceKind;
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
    /// The program's own type that an allocated object has.
    pub object: Option<u32>,
    /// The program owns the object whose references are counted.
    pub owned: bool,
    /// The elements of the list or tree.
    pub elements: Option<Elements>,
    /// The map that a value belongs to, with the identity of an inner one.
    pub map: Option<(u32, u32)>,
    /// The function of the program that is to be called.
    pub callback: Option<u32>,
}

/// What a pointer argument must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wanted {
    Context,
    Null,
    Allocated,
    Refcounted,
    Dynptr,
    Iterator,
    Root(FieldKind),
    Node(FieldKind),
    Text,
    Map,
    Later(FieldKind),
    IrqFlag,
    ResLock,
    Callback,
    Object,
    Memory,
}

impl Verifier<'_> {
    pub(crate) fn check_kfunc_args(
        &mut self,
        kfunc: &Kfunc,
        btf: &Btf,
        proto: Type<'_>,
    ) -> Res<Given> {
        let params: Vec<Param<'_>> = proto.params().collect();
        let mut given = Given::default();
        if params.len() > 5 {
            let (name, count) = (kfunc.name, params.len());
            refuse!(self, EINVAL, "Function {name} has {count} > 5 args");
        }
        let mut index = 0;
        while let Some(param) = params.get(index) {
            let number = index as u8 + 1;
            let size_follows = params
                .get(index + 1)
                .is_some_and(|next| is_size(btf, next) && self.reg_is_number(number + 1));
            index += 1;
            if ends_with(param, "__ign") || ends_with(param, "__prog") {
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
                let (arg, kind) = (number - 1, ty.kind().name());
                refuse!(self, EINVAL, "Unrecognized arg#{arg} type {kind}");
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
            return Err(Stop::Unsupported(format!("arguments of {}", kfunc.name)));
        };
        let wanted = self.kfunc_wants(kfunc, btf, param, target, &reg, number, size_follows)?;
        if wanted == Wanted::Null {
            return Ok(false);
        }
        if wanted == Wanted::Memory {
            self.check_memory_type(btf, target, number, size_follows)?;
        }
        if wanted == Wanted::Map {
            self.check_kfunc_map(given, &reg, number)?;
        }
        if matches!(wanted, Wanted::Allocated | Wanted::Object | Wanted::Map) {
            self.check_kfunc_trust(kfunc, &reg, number)?;
        }
        let releases = kfunc.releases() && reg.ref_obj_id != 0;
        self.check_arg_offset(&reg, number, releases)?;
        match wanted {
            Wanted::Null => {}
            Wanted::Context => self.check_kfunc_context(&reg, number)?,
            Wanted::Allocated => self.use_allocated(kfunc, given, number)?,
            Wanted::Refcounted => self.use_refcounted(given, number)?,
            Wanted::Dynptr => self.use_kfunc_dynptr(kfunc, given, param, number)?,
            Wanted::Iterator => given.iterator = self.use_iterator(kfunc, number)?,
            Wanted::Root(kind) => self.use_graph_root(given, number, kind)?,
            Wanted::Node(kind) => self.use_graph_node(kfunc, given, number, kind)?,
            Wanted::Text => {
                if reg.kind != Kind::MapValue || reg.flags != Flags::NONE {
                    refuse!(self, EINVAL, "arg#{arg} doesn't point to a const string");
                }
                self.check_const_string(&reg, number)?;
            }
            Wanted::Later(kind) => self.use_later(given, &reg, number, kind)?,
            Wanted::IrqFlag => {
                let saver = match kfunc.name.starts_with("bpf_res_") {
                    true => Saver::Lock,
                    false => Saver::Native,
                };
                let saves = kfunc.name.ends_with("save");
                self.use_irq_flag(number, saver, saves)?;
            }
            Wanted::ResLock => self.use_res_lock(kfunc, &reg, number)?,
            Wanted::Callback => {
                if reg.kind != Kind::Func {
                    refuse!(self, EINVAL, "arg{arg} expected pointer to func");
                }
                given.callback = Some(reg.aux);
            }
            Wanted::Map => self.check_kfunc_object(kfunc, btf, &reg, None, number)?,
            Wanted::Object => self.check_kfunc_object(kfunc, btf, &reg, Some(target), number)?,
            Wanted::Memory => {
                return self.check_kfunc_memory(
                    kfunc,
                    btf,
                    given,
                    param,
                    target,
                    number,
                    size_follows,
                );
            }
        }
        Ok(false)
    }

    /// What the argument must be, told by the type, the name and, for some, the register.
    #[allow(clippy::too_many_arguments)]
    fn kfunc_wants(
        &mut self,
        kfunc: &Kfunc,
        btf: &Btf,
        param: &Param<'_>,
        target: Type<'_>,
        reg: &Reg,
        number: u8,
        size_follows: bool,
    ) -> Res<Wanted> {
        let iterates = kfunc.starts_iterator() || kfunc.steps_iterator() || kfunc.ends_iterator();
        let of_struct = match target.kind() {
            BtfKind::Struct => target.name(),
            _ => "",
        };
        let nullable = ends_with(param, "__nullable");
        Ok(match of_struct {
            _ if kfunc.name == "bpf_cast_to_kern_ctx" || self.is_context_struct(btf, target) => {
                Wanted::Context
            }
            _ if nullable && reg.is_null() && !size_follows => Wanted::Null,
            _ if ends_with(param, "__alloc") => Wanted::Allocated,
            _ if ends_with(param, "__refcounted_kptr") => Wanted::Refcounted,
            "bpf_dynptr" => Wanted::Dynptr,
            _ if number == 1 && iterates => Wanted::Iterator,
            "bpf_list_head" => Wanted::Root(FieldKind::ListHead),
            "bpf_rb_root" => Wanted::Root(FieldKind::RbRoot),
            "bpf_list_node" => Wanted::Node(FieldKind::ListNode),
            "bpf_rb_node" => Wanted::Node(FieldKind::RbNode),
            _ if ends_with(param, "__str") => Wanted::Text,
            _ if ends_with(param, "__map") => Wanted::Map,
            "bpf_wq" => Wanted::Later(FieldKind::WorkQueue),
            "bpf_task_work" => Wanted::Later(FieldKind::TaskWork),
            _ if ends_with(param, "__irq_flag") => Wanted::IrqFlag,
            "bpf_res_spin_lock" => Wanted::ResLock,
            _ if target.kind() == BtfKind::FuncProto => Wanted::Callback,
            _ if reg.kind == Kind::BtfId || kernel_struct(reg).is_some() => {
                if !target.kind().is_composite() {
                    let (name, arg) = (kfunc.name, number - 1);
                    let (kind, of) = (target.kind().name(), target.name());
                    refuse!(
                        self,
                        EINVAL,
                        "kernel function {name} args#{arg} pointer type {kind} {of} is not \
                         supported"
                    );
                }
                Wanted::Object
            }
            _ => Wanted::Memory,
        })
    }

    /// Demands a map, and the one that the value named before belongs to.
    fn check_kfunc_map(&mut self, given: &mut Given, reg: &Reg, number: u8) -> Res {
        if !matches!(reg.kind, Kind::ConstMapPtr | Kind::MapValue | Kind::MapKey) {
            refuse!(self, EINVAL, "pointer in R{number} isn't map pointer");
        }
        let map = (reg.aux, reg.map_uid);
        if let Some(of_value) = given.map
            && of_value != map
        {
            let (one, other) = (of_value.1, reg.map_uid);
            let named = self.map_of(reg).clone();
            let fields = self.special_fields(&named);
            if fields.iter().any(|of| of.kind == FieldKind::TaskWork) {
                refuse!(
                    self,
                    EINVAL,
                    "bpf_task_work pointer in R2 map_uid={one} doesn't match map pointer in R3 \
                     map_uid={other}"
                );
            }
            refuse!(
                self,
                EINVAL,
                "workqueue pointer in R1 map_uid={one} doesn't match map pointer in R2 \
                 map_uid={other}"
            );
        }
        given.map = Some(map);
        Ok(())
    }

    /// Demands an object that is valid for as long as the function runs, when the function
    /// asks for that.
    fn check_kfunc_trust(&mut self, kfunc: &Kfunc, reg: &Reg, number: u8) -> Res {
        let asks = kfunc.wants_trusted() || kfunc.wants_rcu();
        if !asks || self.is_trusted(reg) {
            return Ok(());
        }
        if !kfunc.wants_rcu() {
            refuse!(self, EINVAL, "R{number} must be referenced or trusted");
        }
        if !reg.flags.any(Flags::RCU) {
            refuse!(self, EINVAL, "R{number} must be a rcu pointer");
        }
        Ok(())
    }

    /// Demands the work queue or task work of a map value.
    fn use_later(&mut self, given: &mut Given, reg: &Reg, number: u8, kind: FieldKind) -> Res {
        if reg.kind != Kind::MapValue || reg.flags != Flags::NONE {
            let arg = number - 1;
            refuse!(self, EINVAL, "arg#{arg} doesn't point to a map value");
        }
        self.check_field(reg, number, kind, kind.name())?;
        given.map = Some((reg.aux, reg.map_uid));
        Ok(())
    }

    fn use_res_lock(&mut self, kfunc: &Kfunc, reg: &Reg, number: u8) -> Res {
        let in_map = reg.kind == Kind::MapValue && reg.flags == Flags::NONE;
        if !in_map && !crate::call::graph::is_allocated(reg) {
            let arg = number - 1;
            refuse!(
                self,
                EINVAL,
                "arg#{arg} doesn't point to map value or allocated object"
            );
        }
        let (kind, takes) = match kfunc.name {
            "bpf_res_spin_lock" => (ReferenceKind::ResLock, true),
            "bpf_res_spin_unlock" => (ReferenceKind::ResLock, false),
            "bpf_res_spin_lock_irqsave" => (ReferenceKind::ResLockIrq, true),
            _ => (ReferenceKind::ResLockIrq, false),
        };
        self.use_lock(number, kind, takes)
    }

    /// Demands that the function's own type says what memory it wants.
    fn check_memory_type(
        &mut self,
        btf: &Btf,
        target: Type<'_>,
        number: u8,
        size_follows: bool,
    ) -> Res {
        let arg = number - 1;
        let plain = self.is_plain(btf, target) || size_follows && target.kind() == BtfKind::Void;
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
        Ok(())
    }

    /// Memory of the size that the type or the next argument says.
    #[allow(clippy::too_many_arguments)]
    fn check_kfunc_memory(
        &mut self,
        kfunc: &Kfunc,
        btf: &Btf,
        given: &mut Given,
        param: &Param<'_>,
        target: Type<'_>,
        number: u8,
        size_follows: bool,
    ) -> Res<bool> {
        let name = kfunc.name;
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
        if reg.kind != Kind::Ctx {
            let name = reg.kind_name();
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

/// The kernel's structure behind what the program sees in a form of its own.
pub(crate) fn kernel_struct(reg: &Reg) -> Option<&'static str> {
    Some(match reg.kind {
        Kind::ConstMapPtr => "bpf_map",
        Kind::Socket => "sock",
        Kind::SockCommon => "sock_common",
        Kind::TcpSock => "tcp_sock",
        _ => return None,
    })
}

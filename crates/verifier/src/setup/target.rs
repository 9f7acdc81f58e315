//! What a program attaches to in the kernel, and what its context therefore holds.

use std::sync::Arc;

use skep_abi::{AttachType, ProgFlags, ProgType};
use skep_btf::{Btf, Kind, Type, TypeId};
use skep_catalog::IterValue;

use crate::context::{Res, Stop, Verifier};
use crate::env::{AttachTo, TargetProgram};
use crate::refuse;

/// The place a program attaches to, with the types of the eight-byte words of its context.
#[derive(Clone, Debug)]
pub struct Target {
    /// The name that messages use.
    pub name: String,
    /// The arguments.
    pub args: Vec<TypeId>,
    /// What the function returns.
    pub result: TypeId,
    /// The kind of place.
    pub place: Place,
    /// The types of its arguments, when they are a program's and not the kernel's.
    pub program: Option<ProgramTypes>,
}

/// The types of a function of a program.
#[derive(Clone, Debug)]
pub struct ProgramTypes {
    /// The program's type.
    pub prog_type: Option<ProgType>,
    /// Its BTF; `None` when the function does not take what it says.
    pub btf: Option<Arc<Btf>>,
}

/// The kinds of places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A tracepoint; the arguments in the mask may be null.
    Tracepoint(u16),
    /// The entry of a function.
    Entry,
    /// The exit of a function.
    Exit,
    /// A function whose result may be replaced.
    Modify,
    /// An iterator with these arguments behind the first.
    Iterator(&'static [IterValue]),
    /// A security hook.
    Hook,
    /// A security hook for the tasks of a cgroup.
    CgroupHook,
    /// A member of a structure of operations.
    Operation(&'static skep_catalog::Operations),
}

/// The most arguments of a function that can be traced.
const MAX_ARGS: usize = 12;
/// The most bytes of an argument that is passed by value.
const MAX_VALUE: u32 = 16;

/// Finds the target in the kernel's BTF.
///
/// # Errors
/// `EINVAL` as Linux; unsupported for targets whose rules could not be asked about.
pub fn find(v: &mut Verifier<'_>) -> Res<Target> {
    let kind = ProgType::from_u32(v.request.prog_type);
    match v.request.attach_to.clone() {
        AttachTo::Kernel => {}
        AttachTo::Program(program) => return of_program(v, &program),
        AttachTo::Module => {
            return Err(Stop::Unsupported("attaching to a module".into()));
        }
    }
    if kind == Some(ProgType::StructOps) {
        return operation(v);
    }
    let id = v.request.attach_btf_id;
    if id == 0 {
        refuse!(v, EINVAL, "Tracing programs must provide btf_id");
    }
    let btf = kernel_btf(v)?;
    let Some(ty) = btf.type_by_id(id) else {
        refuse!(v, EINVAL, "attach_btf_id {id} is invalid");
    };
    use AttachType as A;
    match AttachType::from_u32(v.request.expected_attach_type) {
        Some(A::TraceRawTp) => tracepoint(v, ty),
        Some(A::TraceIter) => iterator(v, ty),
        Some(A::TraceFentry) => function(v, ty, Place::Entry),
        Some(A::TraceFexit) => function(v, ty, Place::Exit),
        Some(A::ModifyReturn) => function(v, ty, Place::Modify),
        Some(A::LsmMac) => hook(v, ty, Place::Hook),
        Some(A::LsmCgroup) => hook(v, ty, Place::CgroupHook),
        _ => Err(Stop::Reject(skep_abi::Errno::EINVAL)),
    }
}

/// A function of another program, which is traced.
fn of_program(v: &mut Verifier<'_>, program: &TargetProgram) -> Res<Target> {
    let (btf, function) = super::extend::find(v, program, "FENTRY/FEXIT")?;
    if program.traces_program {
        refuse!(
            v,
            EINVAL,
            "Cannot nest tracing program attach more than once"
        );
    }
    use AttachType as A;
    let place = match AttachType::from_u32(v.request.expected_attach_type) {
        Some(A::TraceFentry) => Place::Entry,
        Some(A::TraceFexit) => Place::Exit,
        Some(A::ModifyReturn) => Place::Modify,
        Some(A::TraceRawTp) => refuse!(
            v,
            EINVAL,
            "Only FENTRY/FEXIT progs are attachable to another BPF prog"
        ),
        _ => return Err(Stop::Reject(skep_abi::Errno::EINVAL)),
    };
    let Some(ty) = btf.type_by_id(function.btf_id) else {
        return Err(Stop::Reject(skep_abi::Errno::EINVAL));
    };
    let target = of_function(v, ty, place)?;
    let target = Target {
        program: Some(ProgramTypes {
            prog_type: ProgType::from_u32(program.prog_type),
            btf: (!function.unreliable).then(|| btf.clone()),
        }),
        ..target
    };
    if !function.unreliable {
        check_model(v, &btf, &target)?;
    }
    let name = &target.name;
    if sleeps(v) {
        refuse!(v, EINVAL, "{name} is not sleepable");
    }
    if place == Place::Modify {
        refuse!(v, EINVAL, "can't modify return codes of BPF programs");
    }
    Ok(target)
}

/// The kernel's types.
///
/// # Errors
/// Unsupported when there are none.
pub(crate) fn kernel_btf(v: &Verifier<'_>) -> Res<Arc<Btf>> {
    v.kernel_types()
        .ok_or_else(|| Stop::Unsupported("the types of a kernel, and none were given".into()))
}

fn prototype<'b>(ty: Option<Type<'b>>) -> Option<Type<'b>> {
    ty.filter(|ty| ty.kind() == Kind::FuncProto)
}

fn tracepoint(v: &mut Verifier<'_>, ty: Type<'_>) -> Res<Target> {
    let (id, name) = (ty.id().0, ty.name());
    if ty.kind() != Kind::Typedef {
        refuse!(v, EINVAL, "attach_btf_id {id} is not a typedef");
    }
    let Some(short) = name.strip_prefix("btf_trace_") else {
        refuse!(
            v,
            EINVAL,
            "attach_btf_id {id} points to wrong type name {name}"
        );
    };
    let proto = ty.target().filter(|ptr| ptr.kind() == Kind::Ptr);
    let Some(proto) = prototype(proto.and_then(|ptr| ptr.target())) else {
        return Err(Stop::Reject(skep_abi::Errno::EINVAL));
    };
    let Some(nullable) = skep_catalog::tracepoint_nullable(short) else {
        return Err(Stop::Unsupported(format!(
            "tracepoint {short}, about which no kernel was asked"
        )));
    };
    Ok(Target {
        name: short.to_string(),
        // The first is the data of whoever listens.
        args: proto.params().skip(1).map(|param| param.ty).collect(),
        result: TypeId::VOID,
        place: Place::Tracepoint(nullable),
        program: None,
    })
}

fn of_function(v: &mut Verifier<'_>, ty: Type<'_>, place: Place) -> Res<Target> {
    let (id, name) = (ty.id().0, ty.name());
    if ty.kind() != Kind::Func {
        refuse!(v, EINVAL, "attach_btf_id {id} is not a function");
    }
    let Some(proto) = prototype(ty.target()) else {
        return Err(Stop::Reject(skep_abi::Errno::EINVAL));
    };
    Ok(Target {
        name: name.to_string(),
        args: proto.params().map(|param| param.ty).collect(),
        result: proto.ref_type().unwrap_or(TypeId::VOID),
        place,
        program: None,
    })
}

fn iterator(v: &mut Verifier<'_>, ty: Type<'_>) -> Res<Target> {
    let target = of_function(v, ty, Place::Entry)?;
    let values = target
        .name
        .strip_prefix("bpf_iter_")
        .and_then(skep_catalog::iterator);
    let Some(values) = values else {
        return Err(Stop::Reject(skep_abi::Errno::EINVAL));
    };
    Ok(Target {
        place: Place::Iterator(values),
        ..target
    })
}

fn function(v: &mut Verifier<'_>, ty: Type<'_>, place: Place) -> Res<Target> {
    let target = of_function(v, ty, place)?;
    check_model(v, &*kernel_btf(v)?, &target)?;
    let name = &target.name;
    if sleeps(v) {
        if !skep_catalog::may_sleep(name) {
            refuse!(v, EINVAL, "{name} is not sleepable");
        }
    } else if place == Place::Modify && !skep_catalog::may_modify(name) {
        refuse!(v, EINVAL, "{name}() is not modifiable");
    }
    use skep_catalog::Refusal;
    match skep_catalog::refuses_tracing(name) {
        Some(Refusal::Always) => refuse!(
            v,
            EINVAL,
            "Attaching tracing programs to function '{name}' is rejected."
        ),
        Some(Refusal::Exit) if place != Place::Entry => refuse!(
            v,
            EINVAL,
            "Attaching fexit/fmod_ret to __noreturn function '{name}' is rejected."
        ),
        _ => Ok(target),
    }
}

/// Whether a trampoline can hand on what the function takes and returns.
fn check_model(v: &mut Verifier<'_>, btf: &Btf, target: &Target) -> Res {
    let name = &target.name;
    let count = target.args.len();
    if count > MAX_ARGS {
        refuse!(
            v,
            EINVAL,
            "The function {name} has {count} arguments. Too many."
        );
    }
    let result = btf.resolve(target.result);
    let fits = |ty: Type<'_>| ty.kind() == Kind::Void || value_bytes(ty).is_some();
    if let Some(ty) = result.filter(|ty| !fits(*ty) || ty.kind().is_composite()) {
        let kind = ty.kind().name();
        refuse!(
            v,
            EINVAL,
            "The function {name} return type {kind} is unsupported."
        );
    }
    for (index, arg) in target.args.iter().enumerate() {
        let Some(ty) = btf.resolve(*arg) else {
            return Err(Stop::Reject(skep_abi::Errno::EINVAL));
        };
        if ty.kind() == Kind::Void && index + 1 == count {
            refuse!(
                v,
                EINVAL,
                "The function {name} with variable args is unsupported."
            );
        }
        match value_bytes(ty) {
            Some(0) => refuse!(
                v,
                EINVAL,
                "The function {name} has malformed void argument."
            ),
            Some(1..=MAX_VALUE) => {}
            _ => {
                let kind = ty.kind().name();
                refuse!(
                    v,
                    EINVAL,
                    "The function {name} arg{index} type {kind} is unsupported."
                );
            }
        }
    }
    Ok(())
}

/// The bytes of a value in registers; `None` for what is not passed in them.
fn value_bytes(ty: Type<'_>) -> Option<u32> {
    match ty.kind() {
        Kind::Void => Some(0),
        Kind::Ptr => Some(8),
        kind if kind == Kind::Int || kind.is_enum() || kind.is_composite() => ty.size(),
        _ => None,
    }
}

impl Target {
    /// The argument that byte `off` of the context belongs to; their number for the result,
    /// and one more for what lies behind it.
    pub fn argument_at(&self, btf: &Btf, off: u32) -> usize {
        let bytes = |id: TypeId| {
            let size = btf.resolve(id).and_then(value_bytes).unwrap_or(8);
            size.next_multiple_of(8)
        };
        let mut end = 0u32;
        for (index, arg) in self.args.iter().chain([&self.result]).enumerate() {
            end = end.saturating_add(bytes(*arg));
            if off < end {
                return index;
            }
        }
        self.args.len() + 1
    }
}

/// A security hook.
fn hook(v: &mut Verifier<'_>, ty: Type<'_>, place: Place) -> Res<Target> {
    let target = of_function(v, ty, place)?;
    check_model(v, &*kernel_btf(v)?, &target)?;
    let (id, name) = (ty.id().0, &target.name);
    let hook = skep_catalog::hook(name);
    if sleeps(v) && !hook.is_some_and(|hook| hook.may_sleep()) {
        refuse!(v, EINVAL, "{name} is not sleepable");
    }
    if !v.request.gpl_compatible {
        refuse!(v, EINVAL, "LSM programs must have a GPL compatible license");
    }
    match hook {
        Some(hook) if hook.is_disabled() => refuse!(
            v,
            EINVAL,
            "attach_btf_id {id} points to disabled hook {name}"
        ),
        Some(_) => Ok(target),
        None => refuse!(
            v,
            EINVAL,
            "attach_btf_id {id} points to wrong type name {name}"
        ),
    }
}

/// A member of a structure of operations.
fn operation(v: &mut Verifier<'_>) -> Res<Target> {
    if !v.request.gpl_compatible {
        refuse!(
            v,
            EINVAL,
            "struct ops programs must have a GPL compatible license"
        );
    }
    let id = v.request.attach_btf_id;
    if id == 0 {
        return Err(Stop::Reject(skep_abi::Errno::ENOTSUPP));
    }
    let btf = kernel_btf(v)?;
    let ty = btf.type_by_id(id).filter(|ty| ty.kind() == Kind::Struct);
    let known = ty.and_then(|ty| Some((ty, skep_catalog::operations(ty.name())?)));
    let Some((ty, operations)) = known else {
        refuse!(v, ENOTSUPP, "attach_btf_id {id} is not a supported struct");
    };
    let (name, index) = (ty.name(), v.request.expected_attach_type);
    let Some(member) = ty.members().nth(index as usize) else {
        refuse!(
            v,
            EINVAL,
            "attach to invalid member idx {index} of struct {name}"
        );
    };
    let func = btf.resolve(member.ty).filter(|ty| ty.kind() == Kind::Ptr);
    let func = func.and_then(|ptr| btf.resolve(ptr.ref_type()?));
    let short = member.name;
    let Some(proto) = prototype(func) else {
        refuse!(
            v,
            EINVAL,
            "attach to invalid member {short}(@idx {index}) of struct {name}"
        );
    };
    if operations.unsupported.contains(&short) {
        refuse!(
            v,
            ENOTSUPP,
            "attach to unsupported member {short} of struct {name}"
        );
    }
    if sleeps(v) && !operations.may_sleep(short) {
        refuse!(
            v,
            EINVAL,
            "attach to unsupported member {short} of struct {name}"
        );
    }
    Ok(Target {
        name: short.to_string(),
        args: proto.params().map(|param| param.ty).collect(),
        result: proto.ref_type().unwrap_or(TypeId::VOID),
        place: Place::Operation(operations),
        program: None,
    })
}

fn sleeps(v: &Verifier<'_>) -> bool {
    ProgFlags(v.request.flags).contains(ProgFlags::SLEEPABLE)
}

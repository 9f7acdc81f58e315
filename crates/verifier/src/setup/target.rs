//! What a program attaches to in the kernel, and what its context therefore holds.

use std::sync::Arc;

use skep_abi::{AttachType, ProgFlags, ProgType};
use skep_btf::{Btf, Kind, Type, TypeId};
use skep_catalog::IterValue;

use crate::context::{Res, Stop, Verifier};
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
    /// A member of a structure of operations.
    Operation(&'static skep_catalog::Operations),
}

/// The most arguments of a function that can be traced.
const MAX_ARGS: usize = 12;
/// Functions that must not be traced.
const DENIED: [&str; 6] = [
    "migrate_disable",
    "migrate_enable",
    "rcu_read_unlock_strict",
    "preempt_count_add",
    "preempt_count_sub",
    "__rcu_read_lock",
];

/// Finds the target in the kernel's BTF.
///
/// # Errors
/// `EINVAL` as Linux; unsupported for targets whose rules could not be asked about.
pub fn find(v: &mut Verifier<'_>) -> Res<Target> {
    let kind = ProgType::from_u32(v.request.prog_type);
    if v.request.attach_elsewhere {
        return Err(Stop::Unsupported(
            "attaching to another program or a module".into(),
        ));
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
    let name = ty.name();
    if name.is_empty() {
        refuse!(v, EINVAL, "attach_btf_id {id} doesn't have a name");
    }
    use AttachType as A;
    match AttachType::from_u32(v.request.expected_attach_type) {
        Some(A::TraceRawTp) => tracepoint(v, ty),
        Some(A::TraceIter) => iterator(v, ty),
        Some(A::TraceFentry) => function(v, ty, Place::Entry),
        Some(A::TraceFexit) => function(v, ty, Place::Exit),
        Some(A::ModifyReturn) => function(v, ty, Place::Modify),
        Some(A::LsmMac) => hook(v, ty),
        Some(A::LsmCgroup) => Err(Stop::Unsupported("security hooks of cgroups".into())),
        _ => Err(Stop::Reject(skep_abi::Errno::EINVAL)),
    }
}

/// The kernel's types.
///
/// # Errors
/// Unsupported when there are none.
pub(crate) fn kernel_btf(v: &Verifier<'_>) -> Res<Arc<Btf>> {
    v.env
        .kernel_btf()
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
    sleepable_only(v, false)?;
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
    // Which iterators may sleep was not asked.
    sleepable_only(v, false)?;
    Ok(Target {
        place: Place::Iterator(values),
        ..target
    })
}

fn function(v: &mut Verifier<'_>, ty: Type<'_>, place: Place) -> Res<Target> {
    let target = of_function(v, ty, place)?;
    let btf = kernel_btf(v)?;
    let name = &target.name;
    let unknown = |why: &str| Err(Stop::Unsupported(format!("attaching to {name}: {why}")));
    if DENIED.contains(&name.as_str()) || name == "__rcu_read_unlock" {
        return unknown("it must not be traced");
    }
    sleepable_only(v, false)?;
    if target.args.len() > MAX_ARGS {
        return unknown("it has too many arguments");
    }
    for &arg in target.args.iter().chain([&target.result]) {
        let Some(ty) = btf.resolve(arg) else {
            return unknown("a type is missing");
        };
        let is_result_void = ty.kind() == Kind::Void && arg == target.result;
        let word = ty.kind() == Kind::Ptr || is_word(ty);
        if !word && !is_result_void {
            return unknown("it passes a value that is not one word");
        }
    }
    if place != Place::Entry && never_returns(name) {
        return unknown("it may not return");
    }
    if place == Place::Modify && !name.starts_with("security_") {
        return unknown("whether its result may be replaced");
    }
    Ok(target)
}

/// Functions that are known not to come back end in one of these.
fn never_returns(name: &str) -> bool {
    name.contains("exit")
        || name.contains("panic")
        || name.contains("dead")
        || name.contains("stop_this")
}

fn is_word(ty: Type<'_>) -> bool {
    (ty.kind() == Kind::Int || ty.kind().is_enum()) && ty.size().is_some_and(|size| size <= 8)
}

/// Security hooks could not be asked about; these are the plain ones.
fn hook(v: &mut Verifier<'_>, ty: Type<'_>) -> Res<Target> {
    let target = of_function(v, ty, Place::Hook)?;
    let id = ty.id().0;
    let name = target.name.clone();
    if !v.request.gpl_compatible {
        refuse!(v, EINVAL, "LSM programs must have a GPL compatible license");
    }
    if !name.starts_with("bpf_lsm_") {
        refuse!(
            v,
            EINVAL,
            "attach_btf_id {id} points to wrong type name {name}"
        );
    }
    Err(Stop::Unsupported(format!("security hook {name}")))
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
    let sleeps = ProgFlags(v.request.flags).contains(ProgFlags::SLEEPABLE);
    if sleeps && !operations.may_sleep(short) {
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
    })
}

fn sleepable_only(v: &Verifier<'_>, may: bool) -> Res {
    if !may && ProgFlags(v.request.flags).contains(ProgFlags::SLEEPABLE) {
        return Err(Stop::Unsupported(
            "a program of this attach type that sleeps".into(),
        ));
    }
    Ok(())
}

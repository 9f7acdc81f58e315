//! Attaching to a function of another program: to take its place, or to trace it.

use std::borrow::Cow;
use std::sync::Arc;

use skep_abi::{AttachType, ProgType};
use skep_btf::{Btf, Kind, Linkage, Type, TypeId};

use crate::access::btf_id::shown;
use crate::context::{Res, Stop, Verifier};
use crate::env::{AttachTo, FunctionFacts, Request, TargetProgram};
use crate::refuse;

/// The request as it is judged: what takes the place of a program's function is a program of
/// that type.
pub fn as_extended<'r, 'a>(request: &'r Request<'a>) -> Cow<'r, Request<'a>> {
    match extended(request) {
        Some(program) => Cow::Owned(Request {
            prog_type: program.prog_type,
            expected_attach_type: program.attach_type,
            ..request.clone()
        }),
        None => Cow::Borrowed(request),
    }
}

/// The program whose function is replaced.
pub fn extended(request: &Request<'_>) -> Option<Arc<TargetProgram>> {
    match &request.attach_to {
        AttachTo::Program(program) if is_extension(request) => Some(program.clone()),
        _ => None,
    }
}

fn is_extension(request: &Request<'_>) -> bool {
    request.prog_type == ProgType::Ext as u32
}

/// Whether the program may take the place of the function that it names.
///
/// # Errors
/// `EINVAL` as Linux; unsupported where the context of the function has kernel types.
pub fn check(v: &mut Verifier<'_>, program: &TargetProgram) -> Res {
    let (btf, function) = find(v, program, "Extension")?;
    if function.unreliable {
        refuse!(v, EINVAL, "Cannot replace static functions");
    }
    let entry = &v.subprogs[0];
    if entry.changes_packet && !function.changes_packet {
        refuse!(
            v,
            EINVAL,
            "Extension program changes packet data, while original does not"
        );
    }
    if entry.might_sleep && !function.might_sleep {
        refuse!(
            v,
            EINVAL,
            "Extension program may sleep, while original does not"
        );
    }
    match ProgType::from_u32(program.prog_type) {
        Some(ProgType::Ext) => refuse!(v, EINVAL, "Cannot recursively attach"),
        Some(ProgType::Tracing) if traces_functions(program) => {
            refuse!(v, EINVAL, "Cannot extend fentry/fexit")
        }
        Some(kind @ (ProgType::Tracing | ProgType::Lsm | ProgType::StructOps)) => {
            return Err(Stop::Unsupported(format!(
                "replacing a function of a {kind} program"
            )));
        }
        _ => {}
    }
    let Some(own) = v.request.btf.clone().filter(|_| v.has_func_info()) else {
        refuse!(v, EINVAL, "Program extension requires BTF");
    };
    let id = TypeId(v.subprogs[0].btf_func);
    check_match(v, (&own, id), (&btf, TypeId(function.btf_id)))
}

fn traces_functions(program: &TargetProgram) -> bool {
    matches!(
        AttachType::from_u32(program.attach_type),
        Some(AttachType::TraceFentry | AttachType::TraceFexit)
    )
}

/// The function that the program names, with the types of the program that has it. `what`
/// are programs of this kind called.
///
/// # Errors
/// `EINVAL` as Linux.
pub fn find(
    v: &mut Verifier<'_>,
    program: &TargetProgram,
    what: &str,
) -> Res<(Arc<Btf>, FunctionFacts)> {
    let id = v.request.attach_btf_id;
    if id == 0 {
        refuse!(v, EINVAL, "Tracing programs must provide btf_id");
    }
    let Some(btf) = program.btf.clone() else {
        refuse!(
            v,
            EINVAL,
            "FENTRY/FEXIT program can only be attached to another program annotated with BTF"
        );
    };
    let Some(ty) = btf.type_by_id(id) else {
        refuse!(v, EINVAL, "attach_btf_id {id} is invalid");
    };
    let name = ty.name();
    let function = program.functions.iter().find(|facts| facts.btf_id == id);
    let Some(function) = function.copied() else {
        refuse!(v, EINVAL, "Subprog {name} doesn't exist");
    };
    if function.is_exception_callback {
        refuse!(
            v,
            EINVAL,
            "{what} programs cannot attach to exception callback"
        );
    }
    Ok((btf, function))
}

/// A function's type and where it is.
type Function<'b> = (&'b Btf, TypeId);

/// Whether a program takes and returns what the function does whose place it takes.
fn check_match(v: &mut Verifier<'_>, ours: Function<'_>, theirs: Function<'_>) -> Res {
    let of = |(btf, id): Function<'_>| {
        let func = btf.type_by_id(id).filter(|ty| ty.kind() == Kind::Func)?;
        let linkage = func.linkage() == Some(Linkage::Global);
        Some((func.name().to_string(), linkage))
    };
    let (Some((a, a_global)), Some((b, b_global))) = (of(ours), of(theirs)) else {
        return Err(Stop::Reject(skep_abi::Errno::EFAULT));
    };
    for (name, is_global) in [(&a, a_global), (&b, b_global)] {
        if !is_global {
            refuse!(v, EINVAL, "{name}() is not a global function");
        }
    }
    let proto = |(btf, id): Function<'_>| {
        let proto = btf.type_by_id(id).and_then(|func| func.target())?;
        let args: Vec<TypeId> = proto.params().map(|param| param.ty).collect();
        Some((proto.ref_type().unwrap_or(TypeId::VOID), args))
    };
    let (Some((a_result, a_args)), Some((b_result, b_args))) = (proto(ours), proto(theirs)) else {
        return Err(Stop::Reject(skep_abi::Errno::EFAULT));
    };
    let (count, wanted) = (a_args.len(), b_args.len());
    if count != wanted {
        refuse!(
            v,
            EINVAL,
            "{a}() has {count} args while {b}() has {wanted} args"
        );
    }
    let resolve = |a_id: TypeId, b_id: TypeId| {
        let types = (ours.0.resolve(a_id), theirs.0.resolve(b_id));
        types
            .0
            .zip(types.1)
            .ok_or(Stop::Reject(skep_abi::Errno::EINVAL))
    };
    let (x, y) = resolve(a_result, b_result)?;
    if !same_shape(x, y) {
        let (x, y) = (kind_name(x), kind_name(y));
        refuse!(
            v,
            EINVAL,
            "Return type {x} of {a}() doesn't match type {y} of {b}()"
        );
    }
    for (index, (&a_id, &b_id)) in a_args.iter().zip(&b_args).enumerate() {
        let (x, y) = resolve(a_id, b_id)?;
        if !same_shape(x, y) {
            let (x, y) = (kind_name(x), kind_name(y));
            refuse!(v, EINVAL, "arg{index} in {a}() is {x} while {b}() has {y}");
        }
        if let (Some(x), Some(y)) = (x.size(), y.size())
            && x != y
        {
            refuse!(
                v,
                EINVAL,
                "arg{index} in {a}() has size {x} while {b}() has {y}"
            );
        }
        if x.kind() == Kind::Int || x.kind().is_enum() {
            continue;
        }
        if x.kind() != Kind::Ptr {
            refuse!(v, EINVAL, "arg{index} in {a}() has unrecognized type");
        }
        let (x, y) = resolve(
            x.ref_type().unwrap_or(TypeId::VOID),
            y.ref_type().unwrap_or(TypeId::VOID),
        )?;
        for (ty, name) in [(x, &a), (y, &b)] {
            if !ty.kind().is_composite() {
                refuse!(
                    v,
                    EINVAL,
                    "arg{index} in {name}() is not a pointer to context"
                );
            }
        }
        if x.name() != y.name() {
            let (x, y) = (shown(&x).to_string(), shown(&y).to_string());
            refuse!(
                v,
                EINVAL,
                "arg{index} {a}(struct {x} *) doesn't match {b}(struct {y} *)"
            );
        }
    }
    Ok(())
}

/// Whether two types are of one kind with as many members.
fn same_shape(a: Type<'_>, b: Type<'_>) -> bool {
    a.kind() == b.kind() && a.vlen() == b.vlen()
}

fn kind_name(ty: Type<'_>) -> &'static str {
    match ty.kind() {
        Kind::Void => "UNKNOWN",
        kind => kind.name(),
    }
}

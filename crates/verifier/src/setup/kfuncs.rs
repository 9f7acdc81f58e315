//! Which calls of kernel functions a program makes.

use std::sync::Arc;

use skep_abi::Errno;
use skep_btf::{Btf, Kind, Type, TypeId};

use crate::context::{Res, Stop, Verifier};
use crate::env::ModuleFacts;
use crate::rewrite::draft::Draft;
use crate::setup::flow;
use crate::{refuse, say};

/// Checks one call as far as Linux does before any path is walked, and notes which function
/// it is.
///
/// # Errors
/// `EINVAL` without a GPL-compatible licence, or when the id names no function of the
/// kernel, or its module cannot be found; otherwise unsupported.
pub fn check(v: &mut Verifier<'_>, at: u32) -> Res {
    let insn = v.insns[at as usize];
    if !v.request.gpl_compatible {
        refuse!(
            v,
            EINVAL,
            "cannot call kernel function from non-GPL compatible program"
        );
    }
    if insn.imm == 0 && insn.off == 0 {
        // What a loader leaves of a function that this kernel does not have: fine where the
        // walk never comes, and refused after it elsewhere.
        return Ok(());
    }
    if insn.off < 0 {
        say!(
            v,
            "negative offset disallowed for kernel module function call\n"
        );
        refuse!(v, EINVAL, "failed to find BTF for kernel function");
    }
    let module = match insn.off {
        0 => None,
        index => Some(of_module(v, index as u32)?),
    };
    let btf = match &module {
        Some(module) => module.btf.clone(),
        None => {
            let types = super::target::kernel_btf(v)?;
            types.base().cloned().unwrap_or(types)
        }
    };
    let ty = btf.type_by_id(TypeId(insn.imm as u32));
    let Some(name) = ty.filter(|ty| ty.kind() == Kind::Func).map(|ty| ty.name()) else {
        refuse!(
            v,
            EINVAL,
            "kernel btf_id {} is not a function",
            insn.imm as u32
        );
    };
    if module.is_none() && METADATA.contains(&name) {
        refuse!(v, EINVAL, "metadata kfuncs require device-bound program");
    }
    check_prototype(v, &btf, name, ty.and_then(|ty| ty.target()))?;
    // One that programs cannot call at all is refused where the walk meets it.
    v.aux[at as usize].kfunc = match &module {
        Some(module) => module.kfuncs.get(&(insn.imm as u32)).copied(),
        None => skep_catalog::kfunc(name),
    };
    Ok(())
}

/// The module whose types stand at an index of the caller's array of descriptors. From then on
/// its types are the kernel's for this program, so there can be no second one.
///
/// # Errors
/// As Linux has them when there is none; unsupported for functions of two modules.
fn of_module(v: &mut Verifier<'_>, index: u32) -> Res<Arc<ModuleFacts>> {
    let errno = match v.env.fd_at_index(index) {
        Err(errno) => {
            if errno == Errno::EPROTO {
                say!(v, "kfunc offset > 0 without fd_array is invalid\n");
            }
            errno
        }
        Ok(fd) => match (v.env.module_by_fd(fd), v.env.check_btf_fd(fd)) {
            (Some(module), _) => {
                let known = v.module.get_or_insert_with(|| module.clone());
                if !Arc::ptr_eq(known, &module) {
                    let (one, other) = (&known.name, &module.name);
                    let what = format!("functions of two modules, {one} and {other}");
                    return Err(Stop::Unsupported(what));
                }
                return Ok(module);
            }
            (None, Ok(())) => {
                say!(v, "BTF fd for kfunc is not a module BTF\n");
                Errno::EINVAL
            }
            (None, Err(errno)) => {
                say!(v, "invalid module BTF fd specified\n");
                errno
            }
        },
    };
    Err(v.reject(
        errno,
        format_args!("failed to find BTF for kernel function"),
    ))
}

/// What asks the device for what it knows of a packet.
const METADATA: [&str; 3] = [
    "bpf_xdp_metadata_rx_hash",
    "bpf_xdp_metadata_rx_timestamp",
    "bpf_xdp_metadata_rx_vlan_tag",
];

/// The most arguments of a function that can be called by its types.
const MAX_ARGS: usize = 12;
/// The largest structure that is passed by value.
const MAX_STRUCT: u32 = 16;

/// Checks that the arguments and the result travel in registers.
fn check_prototype(v: &mut Verifier<'_>, btf: &Btf, name: &str, proto: Option<Type<'_>>) -> Res {
    let Some(proto) = proto.filter(|ty| ty.kind() == Kind::FuncProto) else {
        return Err(Stop::Reject(skep_abi::Errno::EINVAL));
    };
    let count = proto.params().len();
    if count > MAX_ARGS {
        refuse!(
            v,
            EINVAL,
            "The function {name} has {count} arguments. Too many."
        );
    }
    let result = proto.ref_type().unwrap_or(TypeId::VOID);
    let by_name = |id| btf.resolve(id).map_or("UNKN", |ty| ty.kind().name());
    let is_word = |ty: &Type<'_>| matches!(ty.kind(), Kind::Int | Kind::Ptr) || ty.kind().is_enum();
    if result != TypeId::VOID {
        let ty = btf.resolve(result);
        if !ty.is_some_and(|ty| is_word(&ty) || ty.kind() == Kind::Void) {
            let kind = by_name(result);
            refuse!(
                v,
                EINVAL,
                "The function {name} return type {kind} is unsupported."
            );
        }
    }
    for (index, param) in proto.params().enumerate() {
        if param.ty == TypeId::VOID && index + 1 == count {
            refuse!(
                v,
                EINVAL,
                "The function {name} with variable args is unsupported."
            );
        }
        let ty = btf.resolve(param.ty);
        let is_empty = |ty: Type<'_>| ty.kind() == Kind::Void || ty.size() == Some(0);
        if ty.is_some_and(is_empty) {
            refuse!(
                v,
                EINVAL,
                "The function {name} has malformed void argument."
            );
        }
        let small = |ty: &Type<'_>| ty.size().is_some_and(|size| size <= MAX_STRUCT);
        if !ty.is_some_and(|ty| is_word(&ty) || (ty.kind() == Kind::Struct && small(&ty))) {
            let kind = by_name(param.ty);
            refuse!(
                v,
                EINVAL,
                "The function {name} arg{index} type {kind} is unsupported."
            );
        }
    }
    Ok(())
}

/// How many arguments the function called at an instruction takes.
pub fn argument_count(v: &Verifier<'_>, at: usize) -> Option<u32> {
    let kfunc = v.aux.get(at)?.kfunc?;
    let prog_type = skep_abi::ProgType::from_u32(v.request.prog_type)?;
    kfunc
        .allowed(prog_type, v.request.expected_attach_type)
        .filter(|allowed| *allowed)?;
    let btf = v.kernel_types()?;
    let proto = btf.type_by_id(v.insns.get(at)?.imm as u32)?.target()?;
    Some(proto.params().len() as u32)
}

/// Refuses a program in which a call of a function that this kernel does not have may run.
pub fn check_left(v: &mut Verifier<'_>, draft: &Draft) -> Res {
    if !draft.has.kfuncs {
        return Ok(());
    }
    let mut left = draft.steps.iter().filter(|step| step.kept);
    if let Some(step) = left.find(|step| flow::is_kfunc_call(step.insn) && step.insn.imm == 0) {
        v.insn_idx = step.old;
        refuse!(
            v,
            EINVAL,
            "invalid kernel function call not eliminated in verifier pass"
        );
    }
    Ok(())
}

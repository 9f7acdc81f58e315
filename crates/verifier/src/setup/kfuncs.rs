//! Which calls of kernel functions a program makes.

use skep_btf::{Kind, TypeId};

use crate::context::{Res, Stop, Verifier};
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
    let no_fds = |index| v.env.fd_at_index(index) == Err(skep_abi::Errno::EPROTO);
    if insn.off < 0 {
        say!(
            v,
            "negative offset disallowed for kernel module function call\n"
        );
        refuse!(v, EINVAL, "failed to find BTF for kernel function");
    }
    if insn.off > 0 && no_fds(insn.off as u32) {
        say!(v, "kfunc offset > 0 without fd_array is invalid\n");
        refuse!(v, EPROTO, "failed to find BTF for kernel function");
    }
    if insn.off != 0 {
        return Err(Stop::Unsupported(format!(
            "call of a module's function with BTF id {} at instruction {at}",
            insn.imm
        )));
    }
    let btf = super::target::kernel_btf(v)?;
    let ty = btf.type_by_id(TypeId(insn.imm as u32));
    let Some(name) = ty.filter(|ty| ty.kind() == Kind::Func).map(|ty| ty.name()) else {
        refuse!(
            v,
            EINVAL,
            "kernel btf_id {} is not a function",
            insn.imm as u32
        );
    };
    let Some(known) = skep_catalog::kfunc(name) else {
        return Err(Stop::Unsupported(format!(
            "call of kernel function {name} at instruction {at}"
        )));
    };
    if name.starts_with("bpf_xdp_metadata_") {
        refuse!(v, EINVAL, "metadata kfuncs require device-bound program");
    }
    v.aux[at as usize].kfunc = Some(known);
    Ok(())
}

/// How many arguments the function called at an instruction takes.
pub fn argument_count(v: &Verifier<'_>, at: usize) -> Option<u32> {
    let kfunc = v.aux.get(at)?.kfunc?;
    let prog_type = skep_abi::ProgType::from_u32(v.request.prog_type)?;
    kfunc.allowed(prog_type).filter(|allowed| *allowed)?;
    let btf = v.env.kernel_btf()?;
    let proto = btf.type_by_id(v.insns.get(at)?.imm as u32)?.target()?;
    Some(proto.params().len() as u32)
}

/// Refuses a program in which a call of a function that this kernel does not have may run.
pub fn check_left(v: &mut Verifier<'_>, draft: &Draft) -> Res {
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

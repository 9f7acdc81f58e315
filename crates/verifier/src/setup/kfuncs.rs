//! Which calls of kernel functions a program makes.

use skep_btf::{Kind, TypeId};

use crate::context::{Res, Stop, Verifier};
use crate::rewrite::draft::Draft;
use crate::setup::flow;
use crate::{refuse, say};

/// Checks one call as far as Linux does before any path is walked. None is modelled further,
/// so a call that passes is neither taken nor refused.
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
    if insn.off == 0
        && let Some(btf) = v.env.kernel_btf()
        && btf
            .type_by_id(TypeId(insn.imm as u32))
            .is_none_or(|ty| ty.kind() != Kind::Func)
    {
        refuse!(
            v,
            EINVAL,
            "kernel btf_id {} is not a function",
            insn.imm as u32
        );
    }
    Err(Stop::Unsupported(format!(
        "call of kernel function with BTF id {} at instruction {at}",
        insn.imm
    )))
}

/// Refuses a program in which a call of a function that this kernel does not have may run.
pub fn check_left(v: &mut Verifier<'_>, draft: &Draft) -> Res {
    let mut left = draft.steps.iter().filter(|step| step.kept);
    if let Some(step) = left.find(|step| flow::is_kfunc_call(step.insn)) {
        v.insn_idx = step.old;
        refuse!(
            v,
            EINVAL,
            "invalid kernel function call not eliminated in verifier pass"
        );
    }
    Ok(())
}

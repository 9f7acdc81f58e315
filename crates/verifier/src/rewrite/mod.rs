//! Makes of an accepted program the one that runs.

pub mod arena;
pub mod assemble;
pub mod barrier;
pub mod ctx_convert;
pub mod dead;
pub mod draft;
pub mod extra_stack;
pub mod linux;
pub mod loop_result;
pub mod lost_function;

use skep_catalog::helper_id::TAIL_CALL;

use crate::context::{MapPoison, Res, Verifier};
use crate::env::Executable;
use crate::refuse;
use crate::setup::{flow, kfuncs};
use draft::Draft;

/// The executable form of a program of which every path was found safe.
///
/// What Linux also does here but an interpreter does not need stays out: zeroing the upper
/// half after 32-bit operations (every engine does that by itself, as x86 does), guards
/// around divisions (the instruction's meaning covers zero), inlined helpers.
///
/// # Errors
/// `ERANGE` when a jump would have to reach too far, `EINVAL` for a tail call that cannot be
/// made safe; unsupported for what cannot be run.
pub fn run(v: &mut Verifier<'_>) -> Res<Executable> {
    let mut draft = Draft::of(v);
    if v.request.privilege.bpf_capable {
        dead::remove(v, &mut draft);
    } else {
        dead::trap(v, &mut draft);
    }
    kfuncs::check_left(v, &draft)?;
    let shown = linux::show(v, &draft)?;
    ctx_convert::run(v, &mut draft)?;
    loop_result::cut(v, &mut draft);
    arena::convert(v, &mut draft);
    check_tail_calls(v, &draft)?;
    barrier::insert(v, &mut draft);
    let executable = assemble::run(v, &draft);
    extra_stack::settle(v, &draft);
    executable.map(|executable| Executable {
        shown,
        ..executable
    })
}

/// A tail call whose index must be masked against speculation needs to know its one map.
///
/// # Errors
/// `EINVAL` for one that uses different maps on different paths.
fn check_tail_calls(v: &mut Verifier<'_>, draft: &Draft) -> Res {
    if v.request.privilege.bypass_spec_v1 {
        return Ok(());
    }
    for step in draft.steps.iter().filter(|step| step.kept) {
        let is_tail_call = flow::is_helper_call(step.insn) && step.insn.imm == TAIL_CALL as i32;
        if is_tail_call && v.aux[step.old as usize].call_map == MapPoison::Poisoned {
            refuse!(v, EINVAL, "tail_call abusing map_ptr");
        }
    }
    Ok(())
}

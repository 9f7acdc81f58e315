//! Makes of an accepted program the one that runs.

pub mod assemble;
pub mod barrier;
pub mod ctx_convert;
pub mod dead;
pub mod draft;
pub mod extra_stack;
pub mod lost_function;

use crate::context::{Res, Verifier};
use crate::env::Executable;
use crate::setup::kfuncs;
use draft::Draft;

/// The executable form of a program of which every path was found safe.
///
/// What Linux also does here but an interpreter does not need stays out: zeroing the upper
/// half after 32-bit operations (every engine does that by itself, as x86 does), guards
/// around divisions (the instruction's meaning covers zero), inlined helpers.
///
/// # Errors
/// `ERANGE` when a jump would have to reach too far; unsupported for what cannot be run.
pub fn run(v: &mut Verifier<'_>) -> Res<Executable> {
    let mut draft = Draft::of(v);
    if v.request.privilege.bpf_capable {
        dead::remove(v, &mut draft);
    } else {
        dead::trap(v, &mut draft);
    }
    kfuncs::check_left(v, &draft)?;
    ctx_convert::run(v, &mut draft)?;
    barrier::insert(v, &mut draft);
    let executable = assemble::run(v, &draft);
    extra_stack::settle(v, &draft);
    executable
}

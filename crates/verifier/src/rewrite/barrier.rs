//! Where speculation is stopped.

use skep_isa::Insn;

use crate::context::Verifier;
use crate::rewrite::draft::Draft;

/// `BPF_ST | BPF_NOSPEC`.
const NOSPEC: Insn = Insn {
    code: 0xc2,
    dst: 0,
    src: 0,
    off: 0,
    imm: 0,
};

/// Puts barriers before and after the instructions for which the walk asked for them.
pub fn insert(v: &Verifier<'_>, draft: &mut Draft) {
    for step in &mut draft.steps {
        let aux = &v.aux[step.old as usize];
        if aux.nospec {
            step.before.push(NOSPEC);
        }
        if aux.nospec_result {
            step.after.push(NOSPEC);
        }
    }
}

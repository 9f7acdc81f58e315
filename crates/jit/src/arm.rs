//! 64-bit Arm (version 8.1 and later, for its atomic operations): from the functions of a
//! program to its code. It is made anywhere, and runs nowhere yet.
//!
//! ```text
//! r1 – r5 in x0 – x4, the state in x5, r0 in x0; x15 – x17 are the emitter's
//! ```

pub(crate) mod asm;
mod emit;
mod places;

use asm::{Asm, Label, X};

use crate::ir::Func;
use crate::layout;
use skep_vm::Recovery;

/// Bytes of every instruction.
const INSN_BYTES: u32 = 4;

/// The code of a program.
pub(crate) struct Code {
    pub bytes: Vec<u8>,
    /// Where each function begins.
    pub functions: Vec<usize>,
    /// Instructions that may fault.
    pub faults: Vec<Recovery>,
}

/// What the code of all functions shares.
pub(crate) struct Shared {
    /// The beginnings of the functions.
    pub functions: Vec<Label>,
    /// Where a run ends that does not return; x1 is the address of its state.
    pub stop: Label,
    /// Where more fuel is asked for; x16 is the address of the state.
    pub refill: Label,
    /// Instructions that may fault, and registers that become zero then.
    pub faults: Vec<(Label, Option<X>)>,
}

/// Makes the code of a program from its functions.
///
/// Errors: the index of a function that is too large.
pub(crate) fn generate(funcs: &mut [Func]) -> Result<Code, usize> {
    let mut asm = Asm::default();
    let mut shared = Shared {
        functions: funcs.iter().map(|_| asm.label()).collect(),
        stop: asm.label(),
        refill: asm.label(),
        faults: Vec::new(),
    };
    let last = funcs.len().saturating_sub(1);
    for (index, func) in funcs.iter_mut().enumerate() {
        asm.bind(shared.functions[index]);
        let places = places::allocate(func);
        emit::emit(&mut asm, func, &places, &mut shared, index as u32).ok_or(index)?;
    }
    asm.bind(shared.stop);
    asm.load(8, false, 16, 1, layout::LEAVE);
    asm.br(16);
    emit::refill(&mut asm, &shared);
    let (bytes, places) = asm.finish().ok_or(last)?;
    let place = |label: &Label| places[label.0 as usize];
    Ok(Code {
        functions: shared.functions.iter().map(place).collect(),
        faults: shared
            .faults
            .iter()
            .map(|(at, register)| Recovery {
                at: place(at) as u32,
                resume: place(at) as u32 + INSN_BYTES,
                register: *register,
            })
            .collect(),
        bytes,
    })
}

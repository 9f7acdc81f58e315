//! x86-64: from the functions of a program to its code.

pub(crate) mod asm;
mod emit;
mod lower;
mod mir;
mod regs;

use asm::{Asm, Finished, Label, Mem, R9, RAX, RDX, RSP, Rm};
use emit::{NeedsSpare, Shared, emit};

use crate::ir::Func;
use crate::layout;

/// What the machine can do beyond the common instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features {
    /// Shifts and rotations with three operands.
    pub bmi2: bool,
    /// Loads and stores that swap bytes.
    pub movbe: bool,
}

impl Features {
    /// What this machine has; nothing on machines of another kind.
    pub fn detect() -> Features {
        #[cfg(target_arch = "x86_64")]
        return Features {
            bmi2: std::arch::is_x86_feature_detected!("bmi2"),
            movbe: std::arch::is_x86_feature_detected!("movbe"),
        };
        #[cfg(not(target_arch = "x86_64"))]
        Features {
            bmi2: false,
            movbe: false,
        }
    }
}

/// The code of a program.
pub(crate) struct Code {
    pub bytes: Vec<u8>,
    /// Where each function begins.
    pub functions: Vec<usize>,
    /// Where runs enter that may end without a return.
    pub entry: usize,
    /// Whether there are no such runs, so that a function may be entered itself.
    pub plain: bool,
}

/// Makes the code of a program from its functions.
///
/// Errors: the index of a function that is too large.
pub(crate) fn generate(funcs: &mut [Func], features: Features) -> Result<Code, usize> {
    let mut asm = Asm::default();
    let functions: Vec<Label> = funcs.iter().map(|_| asm.label()).collect();
    let (entry, stop) = (asm.label(), asm.label());
    let mut plain = true;
    let lowered: Vec<_> = funcs
        .iter_mut()
        .map(|f| lower::lower(f, features.movbe))
        .collect();
    for (index, func) in lowered.iter().enumerate() {
        plain &= !func.has_calls;
        let shared = Shared {
            functions: &functions,
            stop,
            bmi2: features.bmi2,
        };
        asm.align(15);
        let before = asm.mark();
        for spare in [false, true] {
            let places = regs::allocate(func, features.bmi2, spare);
            asm.bind(functions[index]);
            match emit(&mut asm, func, &places, &shared, index as u32, spare) {
                Ok(()) => break,
                Err(Some(NeedsSpare)) => asm.rewind(before),
                Err(None) => return Err(index),
            }
        }
    }
    asm.align(15);
    common_entry(&mut asm, entry, stop);
    let finished: Finished = asm.finish();
    Ok(Code {
        functions: functions.iter().map(|f| finished.place(*f)).collect(),
        entry: finished.place(entry),
        bytes: finished.code,
        plain,
    })
}

/// Enters the function whose address lies on the stack, and gives `stop` a way back.
fn common_entry(asm: &mut Asm, entry: Label, stop: Label) {
    const SAVED: [u8; 6] = [3, 5, 12, 13, 14, 15];
    asm.bind(entry);
    asm.mov(
        true,
        RAX,
        Rm::M(Mem {
            base: RSP,
            index: None,
            disp: 8,
        }),
    );
    for r in SAVED {
        asm.push(r);
    }
    asm.push(R9);
    let stack = |base| Mem {
        base,
        index: None,
        disp: layout::STACK,
    };
    asm.store(8, stack(R9), RSP);
    asm.call_rm(Rm::R(RAX));
    let back = |asm: &mut Asm| {
        asm.pop(R9);
        for r in SAVED.into_iter().rev() {
            asm.pop(r);
        }
        asm.ret();
    };
    back(asm);
    asm.bind(stop);
    asm.mov(true, RSP, Rm::M(stack(RDX)));
    back(asm);
}

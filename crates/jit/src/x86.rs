//! x86-64: from the functions of a program to its code.

pub(crate) mod asm;
mod blind;
mod emit;
mod lower;
mod mir;
mod regs;
mod stubs;

use asm::{Asm, Finished, Label, RAX};
use blind::Keys;
use emit::{NeedsSpare, Shared, emit};

use crate::ir::{Func, Term};
use skep_vm::Recovery;

/// What the machine can do beyond the common instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features {
    /// Shifts and rotations with three operands.
    pub bmi2: bool,
    /// Loads and stores that swap bytes.
    pub movbe: bool,
    /// Counts of ones, and of zeros at both ends.
    pub counts: bool,
}

impl Features {
    /// What this machine has; nothing on machines of another kind.
    pub fn detect() -> Features {
        #[cfg(target_arch = "x86_64")]
        return Features {
            bmi2: std::arch::is_x86_feature_detected!("bmi2"),
            movbe: std::arch::is_x86_feature_detected!("movbe"),
            counts: std::arch::is_x86_feature_detected!("popcnt")
                && std::arch::is_x86_feature_detected!("lzcnt")
                && std::arch::is_x86_feature_detected!("bmi1"),
        };
        #[cfg(not(target_arch = "x86_64"))]
        Features {
            bmi2: false,
            movbe: false,
            counts: false,
        }
    }
}

/// How code is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// The machine it is for.
    pub features: Features,
    /// Whether it counts what it executes, for runs with limits.
    pub bounded: bool,
    /// Whether constants of the program are hidden in it, and no jump or call of it can be led
    /// elsewhere by what the machine foresees.
    pub hardened: bool,
    /// Whether to tell which code comes from where.
    pub lines: bool,
}

impl Options {
    /// For a machine, with nothing more than the program.
    pub fn new(features: Features) -> Options {
        Options {
            features,
            bounded: false,
            hardened: false,
            lines: false,
        }
    }
}

/// The code of a program.
pub(crate) struct Code {
    pub bytes: Vec<u8>,
    /// Where each function begins.
    pub functions: Vec<usize>,
    /// Whether the first function can only end by returning.
    pub leaf: bool,
    /// Offsets in the code and the slots of the program that it comes from there.
    pub lines: Vec<(usize, u32)>,
    /// Instructions that may fault.
    pub faults: Vec<Recovery>,
}

/// Makes the code of a program from its functions.
///
/// Errors: the index of a function that is too large.
pub(crate) fn generate(funcs: &mut [Func], options: &Options) -> Result<Code, usize> {
    if let [func] = &*funcs
        && let Some(value) = only_returns(func)
        && !(options.bounded || options.hardened || options.lines)
    {
        return Ok(constant(value));
    }
    let mut leaf = true;
    let count = funcs.len();
    let mut lowered: Vec<_> = funcs
        .iter_mut()
        .map(|f| lower::lower(f, options, count))
        .collect();
    let blocks = lowered.iter().flat_map(|func| &func.blocks);
    let mut asm = Asm::with_room(blocks.map(|block| block.insts.len()).sum());
    let functions: Vec<Label> = funcs.iter().map(|_| asm.label()).collect();
    let (stop, refill) = (asm.label(), asm.label());
    if options.hardened {
        lowered.iter_mut().for_each(blind::blind);
    }
    let bmi2 = options.features.bmi2;
    let mut shared = Shared {
        functions: &functions,
        loops: vec![None; count],
        stop,
        refill,
        indirect: options.hardened.then(|| asm.label()),
        bmi2,
        bounded: options.bounded,
        keys: Keys::new(options.hardened),
        lines: Vec::new(),
        faults: Vec::new(),
    };
    for (index, func) in lowered.iter().enumerate() {
        leaf &= !func.has_stops;
        asm.align(15);
        let before = (asm.mark(), shared.lines.len(), shared.faults.len());
        let mut wants = regs::wants(func, bmi2, options.bounded);
        for spare in [false, true] {
            let places = regs::allocate(&mut wants, spare);
            asm.bind(functions[index]);
            match emit(&mut asm, func, &places, &mut shared, index as u32, spare) {
                Ok(()) => break,
                Err(Some(NeedsSpare)) => {
                    asm.rewind(before.0);
                    shared.lines.truncate(before.1);
                    shared.faults.truncate(before.2);
                }
                Err(None) => return Err(index),
            }
        }
    }
    for (function, label) in shared.loops.iter().enumerate() {
        if let Some(label) = label {
            stubs::bpf_loop(&mut asm, *label, functions[function]);
        }
    }
    if !leaf {
        stubs::stop(&mut asm, stop, shared.indirect);
    }
    if options.bounded {
        stubs::refill(&mut asm, refill, stop, shared.indirect);
    }
    if let Some(indirect) = shared.indirect {
        stubs::indirect(&mut asm, indirect);
    }
    let (lines, faults) = (shared.lines, shared.faults);
    let finished: Finished = asm.finish();
    Ok(Code {
        functions: functions.iter().map(|f| finished.place(*f)).collect(),
        lines: lines
            .into_iter()
            .map(|(label, slot)| (finished.place(label), slot))
            .collect(),
        faults: faults
            .into_iter()
            .map(|(at, resume, register)| Recovery {
                at: finished.place(at) as u32,
                resume: finished.place(resume) as u32,
                register,
            })
            .collect(),
        bytes: finished.code,
        leaf,
    })
}

/// What a function returns that does nothing else: many programs let everything pass.
fn only_returns(func: &Func) -> Option<u64> {
    let [first, second] = func.blocks.as_slice() else {
        return None;
    };
    let Term::Return(v) = second.term else {
        return None;
    };
    let effects = [first, second].into_iter().flat_map(|body| &body.insts);
    let pure = effects.into_iter().all(|v| !func.op(*v).has_effect());
    func.constant(v).filter(|_| pure)
}

/// The code of a program that gives a constant.
fn constant(value: u64) -> Code {
    let mut asm = Asm::default();
    asm.mov_imm(RAX, value);
    asm.ret();
    Code {
        bytes: asm.finish().code,
        functions: vec![0],
        leaf: true,
        lines: Vec::new(),
        faults: Vec::new(),
    }
}

/// The way in and out that all programs share.
pub(crate) struct Gate {
    pub bytes: Vec<u8>,
    pub entry: usize,
    pub leave: usize,
}

/// Makes the gate.
pub(crate) fn gate() -> Gate {
    let mut asm = Asm::default();
    let (entry, leave) = (asm.label(), asm.label());
    stubs::gate(&mut asm, entry, leave);
    let finished = asm.finish();
    Gate {
        entry: finished.place(entry),
        leave: finished.place(leave),
        bytes: finished.code,
    }
}

//! A program as native code: compiling it, and entering it.

use std::fmt;

use skep_verifier::Executable;
use skep_vm::{Cpu, End, Forgiven, Host, Program, Recovery, Trap, Trust};

use crate::Facts;
use crate::arm;
use crate::build::{Code, Slots, Source, build, params};
use crate::debug::{Announced, Described, SourceLine, object};
use crate::error::{CompileError, Unsupported};
use crate::ir::{Func, Op};
use crate::memory::Published;
use crate::opt::{
    callees_first, charge, direct, find_frame, inline, optimise, plainly_promotable, promotable,
};
#[cfg(target_arch = "x86_64")]
use crate::state;
use crate::x86;
pub use crate::x86::Options;

/// Programs with more slots than this are interpreted.
const MAX_SLOTS: usize = 100_000;

/// The native code of a program.
pub struct Native {
    /// What debuggers know of it, and its instructions that may fault; both are given up
    /// before the code is.
    announced: Option<Announced>,
    _forgiven: Option<Forgiven>,
    code: Published,
    /// The slots at which the functions begin, with their places in the code.
    functions: Vec<(u32, usize)>,
    lines: Vec<(usize, u32)>,
    #[cfg(target_arch = "x86_64")]
    gate: state::Gate,
    leaf: bool,
}

/// Compiles a program for this machine; the features of the options are those that it has.
///
/// Errors: [`CompileError`]; the program can still be interpreted.
pub fn compile(
    executable: &Executable,
    facts: &dyn Facts,
    options: Options,
) -> Result<Native, CompileError> {
    if !cfg!(target_arch = "x86_64") {
        return Err(CompileError::NoBackEnd);
    }
    let code = compile_for(executable, facts, options)?;
    let memory = |e: std::io::Error| CompileError::Memory(e.to_string());
    let published = Published::new(&code.bytes).map_err(memory)?;
    let starts = starts(executable);
    let forgiven = match code.faults.is_empty() {
        true => None,
        // SAFETY: the code lies there, and the answer is dropped before it; each of these
        // instructions is one access: a load into the register that it names, or one that
        // changes nothing where it faults.
        false => Some(unsafe {
            Forgiven::new(published.at(0), code.bytes.len(), code.faults).map_err(memory)?
        }),
    };
    Ok(Native {
        announced: None,
        _forgiven: forgiven,
        code: published,
        functions: starts
            .iter()
            .map(|(s, _, _)| *s)
            .zip(code.functions)
            .collect(),
        lines: code.lines,
        #[cfg(target_arch = "x86_64")]
        gate: state::gate().map_err(memory)?,
        leaf: code.leaf,
    })
}

/// The code of a program that is not for running here.
pub struct Image {
    /// The code.
    pub bytes: Vec<u8>,
    /// Where each function begins.
    pub functions: Vec<usize>,
    /// Where the code for slots of the program begins, ascending by place, when the options ask
    /// for it: offset and slot.
    pub lines: Vec<(usize, u32)>,
    /// Instructions that may fault, in the order of their places.
    pub faults: Vec<Recovery>,
    pub(crate) leaf: bool,
}

/// The start, end and frame of each function; an executable that lists none is one function.
fn starts(executable: &Executable) -> Vec<(u32, u32, u32)> {
    if executable.subprograms.is_empty() {
        return vec![(0, executable.insns.len() as u32, 512)];
    }
    executable
        .subprograms
        .iter()
        .map(|s| (s.start, s.end, s.stack_depth))
        .collect()
}

/// Compiles a program for an x86-64 machine.
///
/// Errors: [`CompileError`].
pub fn compile_for(
    executable: &Executable,
    facts: &dyn Facts,
    options: Options,
) -> Result<Image, CompileError> {
    let functions = starts(executable);
    let counts = options.features.counts;
    let mut funcs = lowered(executable, facts, &functions, (options.bounded, counts))?;
    let code = x86::generate(&mut funcs, &options).map_err(|index| too_large(&functions, index))?;
    Ok(Image {
        bytes: code.bytes,
        functions: code.functions,
        lines: code.lines,
        faults: code.faults,
        leaf: code.leaf,
    })
}

/// Compiles a program for a 64-bit Arm machine with the atomic operations of version 8.1.
///
/// Errors: [`CompileError`].
pub fn compile_for_arm(
    executable: &Executable,
    facts: &dyn Facts,
    bounded: bool,
) -> Result<Image, CompileError> {
    let functions = starts(executable);
    let mut funcs = lowered(executable, facts, &functions, (bounded, true))?;
    let code = arm::generate(&mut funcs).map_err(|index| too_large(&functions, index))?;
    Ok(Image {
        bytes: code.bytes,
        functions: code.functions,
        lines: Vec::new(),
        faults: code.faults,
        leaf: false,
    })
}

fn too_large(functions: &[(u32, u32, u32)], index: usize) -> Unsupported {
    Unsupported {
        at: functions.get(index).map_or(0, |f| f.0),
        what: "a function that needs so much stack",
    }
}

/// The functions of a program in the form that is the same for all machines, improved; whether
/// they count what they execute, and whether the machine counts bits.
fn lowered(
    executable: &Executable,
    facts: &dyn Facts,
    functions: &[(u32, u32, u32)],
    (bounded, counts): (bool, bool),
) -> Result<Vec<Func>, CompileError> {
    if executable.insns.len() > MAX_SLOTS {
        return Err(Unsupported {
            at: 0,
            what: "a program of this size",
        }
        .into());
    }
    let mut codes = Vec::new();
    for &(start, end, _) in functions {
        codes.push(Code::decode(&executable.insns, start, end)?);
    }
    let reads = reads(executable, facts, &codes)?;
    let source = Source {
        executable,
        facts,
        reads: &reads,
    };
    let mut funcs = Vec::with_capacity(codes.len());
    for (code, &(_, _, frame)) in codes.iter().zip(functions) {
        funcs.push(function(&source, code, frame)?);
    }
    let mut funcs = match funcs.len() {
        1 => {
            finish(&mut funcs[0], &source, counts);
            funcs
        }
        _ => together(funcs, &source, counts),
    };
    if bounded {
        funcs.iter_mut().for_each(charge);
    }
    Ok(funcs)
}

/// Improves the functions of a program, those that are called first: small ones then take the
/// places of their calls.
fn together(funcs: Vec<Func>, source: &Source<'_>, counts: bool) -> Vec<Func> {
    let order = callees_first(&funcs);
    let mut waiting: Vec<Option<Func>> = funcs.into_iter().map(Some).collect();
    let mut finished: Vec<Option<Func>> = waiting.iter().map(|_| None).collect();
    for index in order {
        if let Some(mut func) = waiting[index].take() {
            inline(&mut func, &finished);
            finish(&mut func, source, counts);
            finished[index] = Some(func);
        }
    }
    finished.into_iter().flatten().collect()
}

/// Which of r1 to r5 each function reads.
fn reads(
    executable: &Executable,
    facts: &dyn Facts,
    codes: &[Code],
) -> Result<Vec<u8>, Unsupported> {
    // Nobody asks what the entry function reads.
    if codes.len() <= 1 {
        return Ok(vec![0x1f; codes.len()]);
    }
    let mut reads = vec![0u8; codes.len()];
    // Functions do not call themselves, so that their depth bounds the rounds.
    loop {
        let mut next = Vec::new();
        for code in codes {
            next.push(params(
                &Source {
                    executable,
                    facts,
                    reads: &reads,
                },
                code,
            )?);
        }
        if next == reads {
            return Ok(reads);
        }
        reads = next;
    }
}

/// One function: built once to see what its frame holds, unless that is plain, and again with
/// that promoted.
fn function(source: &Source<'_>, code: &Code, frame: u32) -> Result<Func, Unsupported> {
    Ok(match plainly_promotable(code, &source.executable.probed) {
        Some(slots) => build(source, &slots, code, frame)?.func,
        None => {
            let mut first = build(source, &Slots::default(), code, frame)?;
            find_frame(&mut first.func);
            let slots = promotable(&mut first);
            match slots.slots.is_empty() {
                true => first.func,
                false => build(source, &slots, code, frame)?.func,
            }
        }
    })
}

/// Improves a function.
fn finish(func: &mut Func, source: &Source<'_>, counts: bool) {
    optimise(func, counts);
    direct(func, &source.executable.maps, source.facts);
    // A frame that nothing touches any more is not made.
    if !func.ops.iter().any(|op| matches!(op, Op::Frame(_))) {
        func.frame = 0;
    }
}

impl Native {
    /// Tells debuggers where the code is, how its functions are called, in the order of the
    /// program's functions, and which lines of the source it comes from, ascending by place
    /// (gdb's JIT interface). They know it as long as it lives.
    pub fn announce(&mut self, names: &[String], lines: &[SourceLine<'_>]) {
        let places = skep_vm::Native::functions(self);
        let len = self.code.bytes().len();
        let ends = places.iter().skip(1).copied().chain([len]);
        let named = places.iter().zip(ends).zip(names);
        let functions: Vec<(usize, usize, &str)> = named
            .map(|((&start, end), name)| (start, end.saturating_sub(start), name.as_str()))
            .collect();
        let file = object(&Described {
            address: self.code.at(0) as u64,
            len,
            functions: &functions,
            lines,
        });
        self.announced = Some(Announced::new(file));
    }

    /// Where the code for slots of the program begins, ascending by place, when the options
    /// asked for it: offset and slot.
    pub fn lines(&self) -> &[(usize, u32)] {
        &self.lines
    }

    fn place(&self, start: u32) -> Option<usize> {
        match self.functions.first() {
            Some((first, place)) if *first == start => Some(*place),
            _ => self
                .functions
                .iter()
                .find(|(s, _)| *s == start)
                .map(|(_, place)| *place),
        }
    }
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Native({} bytes)", self.code.bytes().len())
    }
}

impl skep_vm::Native for Native {
    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn enter(
        &self,
        _: Trust,
        program: &Program,
        cpu: &mut Cpu,
        host: &mut dyn Host,
        start: u32,
        args: [u64; 5],
    ) -> Result<End, Trap> {
        let function = self
            .place(start)
            .ok_or(Trap::UnknownFunction(start.into()))?;
        let function = self.code.at(function);
        // SAFETY: the place is the beginning of a function of code that was made for this
        // program, since `Program::with_native` demands it; it stays mapped while `self` is
        // borrowed; `Trust` is the promise about program and host.
        unsafe { state::enter(self.gate, function as u64, program, cpu, host, args) }
    }

    // `compile` makes no code here, so that nothing is ever entered.
    #[cfg(not(target_arch = "x86_64"))]
    fn enter(
        &self,
        _: Trust,
        _: &Program,
        _: &mut Cpu,
        _: &mut dyn Host,
        _: u32,
        _: [u64; 5],
    ) -> Result<End, Trap> {
        Err(Trap::Host(CompileError::NoBackEnd.to_string()))
    }

    fn leaf(&self) -> Option<skep_vm::Leaf> {
        let (_, place) = self.functions.first().filter(|_| self.leaf)?;
        // SAFETY: that is where the entry function begins, which has the native convention and
        // reads nothing but the CPU's number through its last argument: whatever else it could
        // look at there is for functions that are no leaves. The code lives as long as `self`.
        Some(unsafe { skep_vm::Leaf::new(self.code.at(*place)) })
    }

    fn entry(&self) -> Option<u64> {
        let (_, place) = self.functions.first()?;
        Some(self.code.at(*place) as u64)
    }

    fn bytes(&self) -> &[u8] {
        self.code.bytes()
    }

    fn functions(&self) -> Vec<usize> {
        self.functions.iter().map(|(_, place)| *place).collect()
    }
}

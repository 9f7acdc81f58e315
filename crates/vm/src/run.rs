//! Running: from a call of a program to the handlers of its instructions, and back.

use std::sync::Arc;

use crate::cell::{Exit, Regs, Run};
use crate::cpu::{Cpu, Limits};
use crate::host::{Host, Stopped, Trap};
use crate::memory::{Access, Checked, Code, Denied, Trust};
use crate::native::{End, Leaf, Native};
use crate::program::Program;

/// How many tail calls a run may make, as on Linux.
pub const MAX_TAIL_CALLS: u32 = 33;

/// How often one frame may pass `may_goto`, as on Linux.
pub(crate) const MAY_GOTO: u32 = 8 << 20;

/// Whether the verifier's word is taken.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Nothing is checked.
    Trusting(Trust),
    /// Every access and every recorded state is checked.
    Checking,
}

/// Runs a program on a CPU, its r1 holding `ctx`, until it returns r0.
///
/// Cost: where the program has native code that only computes, and no limits are set, a call.
///
/// Errors: [`Stopped`], with the instruction of the original program.
#[inline]
pub fn run(
    program: &Program,
    cpu: &mut Cpu,
    host: &mut dyn Host,
    mode: Mode,
    ctx: u64,
    limits: Limits,
) -> Result<u64, Stopped> {
    if let Mode::Trusting(trust) = mode
        && !limits.any()
        && let Some(compiled) = program.compiled(false)
    {
        if let Some(leaf) = compiled.leaf {
            return Ok(leaf.call(trust, program, ctx, cpu.id()));
        }
        return run_native(trust, &*compiled.native, program, cpu, host, ctx);
    }
    run_counted(program, cpu, host, mode, ctx, limits)
}

/// A program with the engine that runs it, chosen once for many runs.
///
/// Cost of a run: for native code that only computes, a call.
#[derive(Clone, Debug)]
pub struct Prepared {
    program: Arc<Program>,
    mode: Mode,
    engine: Engine,
}

#[derive(Clone, Copy, Debug)]
enum Engine {
    /// Code of the program itself, which keeps it.
    Leaf(Trust, Leaf),
    Native(Trust),
    /// Native code that counts.
    Bounded(Trust),
    Other,
}

impl Prepared {
    /// Chooses; `limited` tells whether runs will have limits.
    pub fn new(program: Arc<Program>, mode: Mode, limited: bool) -> Prepared {
        let engine = match (mode, program.compiled(false)) {
            (Mode::Trusting(trust), Some(compiled)) if !limited => match compiled.leaf {
                Some(leaf) => Engine::Leaf(trust, leaf),
                None => Engine::Native(trust),
            },
            (Mode::Trusting(trust), _) if limited && program.compiled(true).is_some() => {
                Engine::Bounded(trust)
            }
            _ => Engine::Other,
        };
        Prepared {
            program,
            mode,
            engine,
        }
    }

    /// Runs it, as [`run`]; `limits` is asked only where there can be some.
    ///
    /// Errors: as [`run`].
    #[inline(always)]
    pub fn run(
        &self,
        cpu: &mut Cpu,
        host: &mut dyn Host,
        ctx: u64,
        limits: impl FnOnce() -> Limits,
    ) -> Result<u64, Stopped> {
        if let Some(r0) = self.run_leaf(cpu, ctx) {
            return Ok(r0);
        }
        if let Engine::Native(trust) = self.engine
            && let Some(compiled) = self.program.compiled(false)
        {
            return run_native(trust, &*compiled.native, &self.program, cpu, host, ctx);
        }
        let limits = limits();
        // Limits that are none want code that does not count.
        if let Engine::Bounded(trust) = self.engine
            && limits.any()
            && let Some(compiled) = self.program.compiled(true)
        {
            cpu.begin(self.mode, limits);
            return enter_native(trust, &*compiled.native, &self.program, cpu, host, ctx);
        }
        run_counted(&self.program, cpu, host, self.mode, ctx, limits)
    }

    /// Runs it if it is native code that can only end by returning, which needs no host.
    #[inline(always)]
    pub fn run_leaf(&self, cpu: &Cpu, ctx: u64) -> Option<u64> {
        match self.engine {
            Engine::Leaf(trust, leaf) => Some(leaf.call(trust, &self.program, ctx, cpu.id())),
            _ => None,
        }
    }
}

/// Runs a program in the interpreter, or in native code that counts.
fn run_counted(
    program: &Program,
    cpu: &mut Cpu,
    host: &mut dyn Host,
    mode: Mode,
    ctx: u64,
    limits: Limits,
) -> Result<u64, Stopped> {
    cpu.begin(mode, limits);
    let result = enter(program, cpu, host, 0, [ctx, 0, 0, 0, 0]);
    cpu.frame = 0;
    result.map_err(|trap| Stopped {
        trap,
        insn: cpu.stopped_at.take(),
    })
}

/// Runs a function of a program on its own, by the value that a load of its address gave:
/// the callback of a timer, say. Gives r0.
///
/// Errors: as [`run`], and [`Trap::UnknownFunction`].
pub fn run_function(
    program: &Program,
    cpu: &mut Cpu,
    host: &mut dyn Host,
    mode: Mode,
    (function, args): (u64, [u64; 5]),
    limits: Limits,
) -> Result<u64, Stopped> {
    cpu.begin(mode, limits);
    let result = Machine { cpu, program }.call(host, function, args);
    cpu.frame = 0;
    result.map_err(|trap| Stopped {
        trap,
        insn: cpu.stopped_at.take(),
    })
}

/// Runs native code; all that is not a plain return is seen to elsewhere.
#[inline]
fn run_native(
    trust: Trust,
    native: &dyn Native,
    program: &Program,
    cpu: &mut Cpu,
    host: &mut dyn Host,
    ctx: u64,
) -> Result<u64, Stopped> {
    cpu.begin_native(trust);
    enter_native(trust, native, program, cpu, host, ctx)
}

/// The same on a CPU that is ready.
#[inline]
fn enter_native(
    trust: Trust,
    native: &dyn Native,
    program: &Program,
    cpu: &mut Cpu,
    host: &mut dyn Host,
    ctx: u64,
) -> Result<u64, Stopped> {
    cpu.frame = 1;
    let end = native.enter(trust, program, cpu, host, 0, [ctx, 0, 0, 0, 0]);
    cpu.frame = 0;
    match end {
        Ok(End::Return(r0)) => Ok(r0),
        end => finish_native(end, program, cpu, host),
    }
}

/// Follows a tail call, or tells of a trap.
#[cold]
fn finish_native(
    end: Result<End, Trap>,
    program: &Program,
    cpu: &mut Cpu,
    host: &mut dyn Host,
) -> Result<u64, Stopped> {
    let result = caught(end, program, cpu, host).and_then(|end| match end {
        End::Return(r0) => Ok(r0),
        End::Tail(next, ctx) => enter(&next, cpu, host, 0, [ctx, 0, 0, 0, 0]),
        End::Thrown(_, number) => Ok(number),
    });
    cpu.frame = 0;
    result.map_err(|trap| Stopped {
        trap,
        insn: cpu.stopped_at.take(),
    })
}

/// What a helper may do with the program that called it.
pub struct Machine<'a> {
    cpu: &'a mut Cpu,
    program: &'a Program,
}

impl<'a> Machine<'a> {
    /// For engines: what they hand to a helper.
    #[inline]
    pub fn new(cpu: &'a mut Cpu, program: &'a Program) -> Machine<'a> {
        Machine { cpu, program }
    }

    /// The CPU that the program runs on.
    pub fn cpu(&self) -> &Cpu {
        self.cpu
    }

    /// The program that called.
    pub fn program(&self) -> &Program {
        self.program
    }

    /// Calls a function of the program, by the value that a load of its address gave, with
    /// r1 to r5; `host` is the helper's own host. Gives r0.
    ///
    /// Errors: [`Trap::UnknownFunction`], and whatever ends the function.
    pub fn call(
        &mut self,
        host: &mut dyn Host,
        function: u64,
        args: [u64; 5],
    ) -> Result<u64, Trap> {
        let start = usize::try_from(function).ok().filter(|index| *index > 0);
        let start = start.and_then(|index| self.program.starts.get(index));
        let start = *start.ok_or(Trap::UnknownFunction(function))?;
        enter(self.program, self.cpu, host, start, args)
    }

    /// Whether the bytes are the program's stack or what the host granted: whether a read of an
    /// address that may be any number finds something.
    pub fn reaches(&self, host: &dyn Host, addr: u64, len: u64) -> bool {
        self.cpu.stack.covers(self.cpu.frame, addr, len)
            || host.granted(addr, len, false)
            || self.cpu.covers_native(addr, len)
    }

    /// Copies bytes out of the program's memory.
    ///
    /// Errors: [`Trap::Memory`] in checking mode, where they were not granted.
    pub fn read(&self, host: &dyn Host, addr: u64, out: &mut [u8]) -> Result<(), Trap> {
        let (stack, frame) = (&self.cpu.stack, self.cpu.frame);
        Ok(match self.cpu.mode {
            Mode::Trusting(trust) => trust.read(host, stack, frame, addr, out),
            Mode::Checking => Checked.read(host, stack, frame, addr, out),
        }?)
    }

    /// Copies bytes into the program's memory.
    ///
    /// Errors: [`Trap::Memory`] in checking mode, where they were not granted for writing.
    pub fn write(&self, host: &dyn Host, addr: u64, bytes: &[u8]) -> Result<(), Trap> {
        let (stack, frame) = (&self.cpu.stack, self.cpu.frame);
        Ok(match self.cpu.mode {
            Mode::Trusting(trust) => trust.write(host, stack, frame, addr, bytes),
            Mode::Checking => Checked.write(host, stack, frame, addr, bytes),
        }?)
    }
}

impl From<Denied> for Trap {
    fn from(denied: Denied) -> Trap {
        let Denied { addr, len, write } = denied;
        Trap::Memory { addr, len, write }
    }
}

/// Runs a function in a new frame, and the programs that tail calls lead to, until r0.
pub(crate) fn enter(
    program: &Program,
    cpu: &mut Cpu,
    host: &mut dyn Host,
    start: u32,
    args: [u64; 5],
) -> Result<u64, Trap> {
    let first_frame = cpu.first_frame;
    let mut end = execute(program, cpu, host, start, args);
    if start == 0 {
        end = caught(end, program, cpu, host);
    }
    let mut end = end?;
    let r0 = loop {
        match end {
            End::Return(r0) | End::Thrown(_, r0) => break r0,
            End::Tail(next, ctx) => {
                // The frame that is about to run is the entry function's of another program.
                cpu.first_frame = cpu.frame + 1;
                let ran = execute(&next, cpu, host, 0, [ctx, 0, 0, 0, 0]);
                end = caught(ran, &next, cpu, host)?;
            }
        }
    };
    cpu.first_frame = first_frame;
    Ok(r0)
}

/// What an entry function ended with, after the exception callback where it threw. Whatever
/// it called has ended with it.
fn caught(
    end: Result<End, Trap>,
    program: &Program,
    cpu: &mut Cpu,
    host: &mut dyn Host,
) -> Result<End, Trap> {
    let (thrown, number) = match &end {
        Err(Trap::Thrown(number)) => (None, *number),
        Ok(End::Thrown(in_program, number)) => (Some(in_program.clone()), *number),
        _ => return end,
    };
    let program = thrown.as_deref().unwrap_or(program);
    cpu.stopped_at = None;
    match program.exception_callback {
        Some(start) => execute(program, cpu, host, start, [number, 0, 0, 0, 0]),
        None => Ok(End::Return(number)),
    }
}

/// Runs a function in a new frame until it returns or tail-calls from that very frame.
fn execute(
    program: &Program,
    cpu: &mut Cpu,
    host: &mut dyn Host,
    start: u32,
    args: [u64; 5],
) -> Result<End, Trap> {
    cpu.enter()?;
    if let (Mode::Trusting(trust), Some(compiled)) = (cpu.mode, program.compiled(cpu.is_limited()))
    {
        let frame = cpu.frame;
        let native = &compiled.native;
        let result = native.enter(trust, program, cpu, host, start, args);
        cpu.frame = frame;
        cpu.leave();
        return result;
    }
    let (callers, frame) = (cpu.callers.len(), cpu.frame);
    let mut regs = cpu.spare.pop().unwrap_or_else(|| Box::new([0; 256]));
    let [r1, r2, r3, r4, r5] = args;
    regs[..11].copy_from_slice(&[0, r1, r2, r3, r4, r5, 0, 0, 0, 0, cpu.stack.top(frame)]);
    let result = match cpu.mode {
        Mode::Trusting(trust) => drive(trust, &program.cells, program, cpu, host, start, &mut regs),
        Mode::Checking => drive(
            Checked,
            &program.plain,
            program,
            cpu,
            host,
            start,
            &mut regs,
        ),
    };
    cpu.spare.push(regs);
    cpu.callers.truncate(callers);
    cpu.frame = frame;
    cpu.leave();
    result
}

/// Starts chains of handlers until one ends the function.
fn drive<A: Access>(
    access: A,
    cells: &Code<A>,
    program: &Program,
    cpu: &mut Cpu,
    host: &mut dyn Host,
    start: u32,
    regs: &mut Regs,
) -> Result<End, Trap> {
    let (callers, left) = (cpu.callers.len(), cpu.fuel);
    let mut m = Run {
        access,
        program,
        cells,
        cpu,
        host,
        callers,
        may_goto: MAY_GOTO,
        at: start as usize,
        left,
        next: None,
        trap: None,
    };
    let trap = loop {
        let cell = cells.at(m.at);
        let fuel = m.fuel(m.at, m.left);
        let exit = (cell.cell().run)(cell, regs, &mut m, fuel);
        m.cpu.fuel = m.left;
        match (exit, m.next.take(), m.trap.take()) {
            (Exit::Return, ..) => return Ok(End::Return(regs[0])),
            (Exit::Tail, Some((next, ctx)), _) => return Ok(End::Tail(next, ctx)),
            (Exit::Yield, ..) if m.left >= 0 => {}
            (Exit::Yield, ..) => match m.cpu.refill() {
                Ok(()) => m.left = m.cpu.fuel,
                Err(trap) => break trap,
            },
            (_, _, trap) => break trap.unwrap_or(Trap::PastEnd),
        }
    };
    let at = m.at;
    m.cpu.stopped_at = m.cpu.stopped_at.or_else(|| program.origin.get(at).copied());
    Err(trap)
}

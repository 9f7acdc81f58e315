//! Running: one loop over cells, compiled once trusting and once checking.

use std::sync::Arc;

use skep_isa::{AluOp, Cond, Size, SwapKind, meaning};

use crate::cell::Code;
use crate::cpu::{Cpu, Frame, Limits};
use crate::host::{Host, Stopped, Trap};
use crate::link::{FETCH, atomic_op};
use crate::memory::{Access, Change, Checked, Denied, FRAME_BYTES, Trust};
use crate::program::Program;

/// How many tail calls a run may make, as on Linux.
pub const MAX_TAIL_CALLS: u32 = 33;

/// How often one frame may pass `may_goto`, as on Linux.
const MAY_GOTO: u32 = 8 << 20;

/// Whether the verifier's word is taken.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Nothing is checked.
    Trusting(Trust),
    /// Every access and every recorded state is checked.
    Checking,
}

/// How an execution ended that did not fail.
enum End {
    /// With this r0.
    Return(u64),
    /// By a tail call to this program with this context.
    Tail(Arc<Program>, u64),
}

/// Runs a program on a CPU, its r1 holding `ctx`, until it returns r0.
///
/// Errors: [`Stopped`], with the instruction of the original program.
pub fn run(
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

/// What a helper may do with the program that called it.
pub struct Machine<'a> {
    cpu: &'a mut Cpu,
    program: &'a Program,
}

impl Machine<'_> {
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
fn enter(
    program: &Program,
    cpu: &mut Cpu,
    host: &mut dyn Host,
    start: u32,
    args: [u64; 5],
) -> Result<u64, Trap> {
    let mut end = execute(program, cpu, host, start, args)?;
    let first_frame = cpu.first_frame;
    let r0 = loop {
        match end {
            End::Return(r0) => break r0,
            End::Tail(next, ctx) => {
                // The frame that is about to run is the entry function's of another program.
                cpu.first_frame = cpu.frame + 1;
                end = execute(&next, cpu, host, 0, [ctx, 0, 0, 0, 0])?;
            }
        }
    };
    cpu.first_frame = first_frame;
    Ok(r0)
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
    let (callers, frame) = (cpu.callers.len(), cpu.frame);
    let mut pc = start as usize;
    let result = match cpu.mode {
        Mode::Trusting(trust) => interpret(trust, program, cpu, host, &mut pc, args),
        Mode::Checking => interpret(Checked, program, cpu, host, &mut pc, args),
    };
    if result.is_err() && cpu.stopped_at.is_none() {
        cpu.stopped_at = program.origin.get(pc.saturating_sub(1)).copied();
    }
    cpu.callers.truncate(callers);
    cpu.frame = frame;
    cpu.leave();
    result
}

/// The loop. `at` is where it begins, and on failure one past where it stopped.
#[allow(clippy::too_many_lines)]
#[inline(never)]
fn interpret<A: Access>(
    access: A,
    program: &Program,
    cpu: &mut Cpu,
    host: &mut dyn Host,
    at: &mut usize,
    args: [u64; 5],
) -> Result<End, Trap> {
    let cells = if A::CHECKED {
        &program.plain[..]
    } else {
        &program.cells[..]
    };
    let bottom = cpu.frame;
    let callers = cpu.callers.len();
    let mut pc = *at;
    // Instructions are charged where the straight line from `line` ends.
    let mut line = pc;
    let mut fuel = cpu.fuel;
    let mut may_goto = MAY_GOTO;
    let mut r = [0u64; 16];
    r[1..6].copy_from_slice(&args);
    r[10] = cpu.stack.top(bottom);

    macro_rules! fail {
        ($trap:expr) => {{
            *at = pc;
            cpu.fuel = fuel - (pc - line) as i64;
            return Err($trap);
        }};
    }
    macro_rules! attempt {
        ($result:expr) => {
            match $result {
                Ok(value) => value,
                Err(trap) => fail!(Trap::from(trap)),
            }
        };
    }

    loop {
        let Some(cell) = cells.get(pc) else {
            fail!(Trap::PastEnd)
        };
        if A::CHECKED {
            let insn = program.origin.get(pc).copied().unwrap_or(u32::MAX);
            let before = pc.checked_sub(1).and_then(|b| program.origin.get(b));
            if before != Some(&insn) {
                let frame = cpu.frame - cpu.first_frame;
                pc += 1;
                let claim = program.states.check(insn, frame, &r, &cpu.stack, cpu.frame);
                if let Err(violation) = claim {
                    fail!(Trap::Violation(violation));
                }
                pc -= 1;
            }
        }
        pc += 1;
        let (d, s) = (usize::from(cell.dst & 15), usize::from(cell.src & 15));

        macro_rules! operand {
            (imm) => {
                cell.imm
            };
            (reg) => {
                r[s]
            };
        }
        macro_rules! alu {
            ($op:ident, $operand:ident, $width:ident) => {
                r[d] = meaning::$width(AluOp::$op, r[d], operand!($operand))
            };
        }
        macro_rules! jump {
            () => {{
                fuel -= (pc - line) as i64;
                pc = cell.off as usize;
                line = pc;
                if fuel < 0 {
                    attempt!(cpu.refill(&mut fuel));
                }
            }};
        }
        macro_rules! branch {
            ($cond:ident, $operand:ident, $width:ident) => {
                if meaning::$width(Cond::$cond, r[d], operand!($operand)) {
                    jump!();
                }
            };
        }
        macro_rules! load {
            ($t:ty) => {{
                let addr = r[s].wrapping_add_signed(i64::from(cell.off));
                attempt!(access.load::<$t>(&*host, &cpu.stack, cpu.frame, addr))
            }};
        }
        macro_rules! store {
            ($t:ty, $value:expr) => {{
                let addr = r[d].wrapping_add_signed(i64::from(cell.off));
                attempt!(access.store::<$t>(&*host, &cpu.stack, cpu.frame, addr, $value))
            }};
        }
        macro_rules! leave {
            ($r0:expr) => {{
                r[0] = $r0;
                fuel -= (pc - line) as i64;
                if cpu.callers.len() == callers {
                    cpu.fuel = fuel;
                    return Ok(End::Return(r[0]));
                }
                let Some(caller) = cpu.callers.pop() else {
                    fail!(Trap::PastEnd)
                };
                r[6..10].copy_from_slice(&caller.saved);
                cpu.leave();
                r[10] = r[10].wrapping_sub(FRAME_BYTES);
                may_goto = caller.may_goto;
                pc = caller.pc as usize;
                line = pc;
            }};
        }

        match cell.code {
            Code::Add64Imm => alu!(Add, imm, alu64),
            Code::Add64Reg => alu!(Add, reg, alu64),
            Code::Add32Imm => alu!(Add, imm, alu32),
            Code::Add32Reg => alu!(Add, reg, alu32),
            Code::Sub64Imm => alu!(Sub, imm, alu64),
            Code::Sub64Reg => alu!(Sub, reg, alu64),
            Code::Sub32Imm => alu!(Sub, imm, alu32),
            Code::Sub32Reg => alu!(Sub, reg, alu32),
            Code::Mul64Imm => alu!(Mul, imm, alu64),
            Code::Mul64Reg => alu!(Mul, reg, alu64),
            Code::Mul32Imm => alu!(Mul, imm, alu32),
            Code::Mul32Reg => alu!(Mul, reg, alu32),
            Code::Div64Imm => alu!(Div, imm, alu64),
            Code::Div64Reg => alu!(Div, reg, alu64),
            Code::Div32Imm => alu!(Div, imm, alu32),
            Code::Div32Reg => alu!(Div, reg, alu32),
            Code::Sdiv64Imm => alu!(Sdiv, imm, alu64),
            Code::Sdiv64Reg => alu!(Sdiv, reg, alu64),
            Code::Sdiv32Imm => alu!(Sdiv, imm, alu32),
            Code::Sdiv32Reg => alu!(Sdiv, reg, alu32),
            Code::Mod64Imm => alu!(Mod, imm, alu64),
            Code::Mod64Reg => alu!(Mod, reg, alu64),
            Code::Mod32Imm => alu!(Mod, imm, alu32),
            Code::Mod32Reg => alu!(Mod, reg, alu32),
            Code::Smod64Imm => alu!(Smod, imm, alu64),
            Code::Smod64Reg => alu!(Smod, reg, alu64),
            Code::Smod32Imm => alu!(Smod, imm, alu32),
            Code::Smod32Reg => alu!(Smod, reg, alu32),
            Code::Or64Imm => alu!(Or, imm, alu64),
            Code::Or64Reg => alu!(Or, reg, alu64),
            Code::Or32Imm => alu!(Or, imm, alu32),
            Code::Or32Reg => alu!(Or, reg, alu32),
            Code::And64Imm => alu!(And, imm, alu64),
            Code::And64Reg => alu!(And, reg, alu64),
            Code::And32Imm => alu!(And, imm, alu32),
            Code::And32Reg => alu!(And, reg, alu32),
            Code::Xor64Imm => alu!(Xor, imm, alu64),
            Code::Xor64Reg => alu!(Xor, reg, alu64),
            Code::Xor32Imm => alu!(Xor, imm, alu32),
            Code::Xor32Reg => alu!(Xor, reg, alu32),
            Code::Lsh64Imm => alu!(Lsh, imm, alu64),
            Code::Lsh64Reg => alu!(Lsh, reg, alu64),
            Code::Lsh32Imm => alu!(Lsh, imm, alu32),
            Code::Lsh32Reg => alu!(Lsh, reg, alu32),
            Code::Rsh64Imm => alu!(Rsh, imm, alu64),
            Code::Rsh64Reg => alu!(Rsh, reg, alu64),
            Code::Rsh32Imm => alu!(Rsh, imm, alu32),
            Code::Rsh32Reg => alu!(Rsh, reg, alu32),
            Code::Arsh64Imm => alu!(Arsh, imm, alu64),
            Code::Arsh64Reg => alu!(Arsh, reg, alu64),
            Code::Arsh32Imm => alu!(Arsh, imm, alu32),
            Code::Arsh32Reg => alu!(Arsh, reg, alu32),
            Code::Neg64 => r[d] = meaning::alu64(AluOp::Sub, 0, r[d]),
            Code::Neg32 => r[d] = meaning::alu32(AluOp::Sub, 0, r[d]),
            Code::Mov64Imm | Code::Mov32Imm | Code::Load64Imm => {
                r[d] = cell.imm;
                if cell.code == Code::Load64Imm {
                    pc += 1;
                }
            }
            Code::Mov64Reg => r[d] = r[s],
            Code::Mov32Reg => r[d] = u64::from(r[s] as u32),
            Code::Sx64From8 => r[d] = meaning::sign_extend(Size::B8, r[s]),
            Code::Sx64From16 => r[d] = meaning::sign_extend(Size::B16, r[s]),
            Code::Sx64From32 => r[d] = meaning::sign_extend(Size::B32, r[s]),
            Code::Sx32From8 => r[d] = u64::from(meaning::sign_extend(Size::B8, r[s]) as u32),
            Code::Sx32From16 => r[d] = u64::from(meaning::sign_extend(Size::B16, r[s]) as u32),
            Code::Low16 => r[d] = meaning::truncate(Size::B16, r[d]),
            Code::Low32 => r[d] = meaning::truncate(Size::B32, r[d]),
            Code::Swap16 => r[d] = meaning::swap(SwapKind::Always, Size::B16, r[d]),
            Code::Swap32 => r[d] = meaning::swap(SwapKind::Always, Size::B32, r[d]),
            Code::Swap64 => r[d] = meaning::swap(SwapKind::Always, Size::B64, r[d]),

            Code::Load8 => r[d] = load!(u8),
            Code::Load16 => r[d] = load!(u16),
            Code::Load32 => r[d] = load!(u32),
            Code::Load64 => r[d] = load!(u64),
            Code::LoadSx8 => r[d] = meaning::sign_extend(Size::B8, load!(u8)),
            Code::LoadSx16 => r[d] = meaning::sign_extend(Size::B16, load!(u16)),
            Code::LoadSx32 => r[d] = meaning::sign_extend(Size::B32, load!(u32)),
            Code::Store8 => store!(u8, r[s]),
            Code::Store16 => store!(u16, r[s]),
            Code::Store32 => store!(u32, r[s]),
            Code::Store64 => store!(u64, r[s]),
            Code::StoreImm8 => store!(u8, cell.imm),
            Code::StoreImm16 => store!(u16, cell.imm),
            Code::StoreImm32 => store!(u32, cell.imm),
            Code::StoreImm64 => store!(u64, cell.imm),
            Code::Atomic32 | Code::Atomic64 => {
                let addr = r[d].wrapping_add_signed(i64::from(cell.off));
                let op = atomic_op(cell.imm);
                let wide = cell.code == Code::Atomic64;
                let change = Change {
                    wide,
                    op,
                    operand: r[s],
                    expected: r[0],
                };
                let old = attempt!(access.atomic(&*host, &cpu.stack, cpu.frame, addr, change));
                if op == skep_isa::AtomicOp::Cmpxchg {
                    r[0] = old;
                } else if cell.imm & FETCH != 0 {
                    r[s] = old;
                }
            }
            Code::LoadAcquire => {
                let loaded = match cell.imm {
                    1 => load!(u8),
                    2 => load!(u16),
                    4 => load!(u32),
                    _ => load!(u64),
                };
                r[d] = loaded;
                std::sync::atomic::fence(std::sync::atomic::Ordering::Acquire);
            }
            Code::StoreRelease => {
                std::sync::atomic::fence(std::sync::atomic::Ordering::Release);
                match cell.imm {
                    1 => store!(u8, r[s]),
                    2 => store!(u16, r[s]),
                    4 => store!(u32, r[s]),
                    _ => store!(u64, r[s]),
                }
            }

            Code::Jump => jump!(),
            Code::Eq64Imm => branch!(Eq, imm, holds64),
            Code::Eq64Reg => branch!(Eq, reg, holds64),
            Code::Eq32Imm => branch!(Eq, imm, holds32),
            Code::Eq32Reg => branch!(Eq, reg, holds32),
            Code::Ne64Imm => branch!(Ne, imm, holds64),
            Code::Ne64Reg => branch!(Ne, reg, holds64),
            Code::Ne32Imm => branch!(Ne, imm, holds32),
            Code::Ne32Reg => branch!(Ne, reg, holds32),
            Code::Gt64Imm => branch!(Gt, imm, holds64),
            Code::Gt64Reg => branch!(Gt, reg, holds64),
            Code::Gt32Imm => branch!(Gt, imm, holds32),
            Code::Gt32Reg => branch!(Gt, reg, holds32),
            Code::Ge64Imm => branch!(Ge, imm, holds64),
            Code::Ge64Reg => branch!(Ge, reg, holds64),
            Code::Ge32Imm => branch!(Ge, imm, holds32),
            Code::Ge32Reg => branch!(Ge, reg, holds32),
            Code::Lt64Imm => branch!(Lt, imm, holds64),
            Code::Lt64Reg => branch!(Lt, reg, holds64),
            Code::Lt32Imm => branch!(Lt, imm, holds32),
            Code::Lt32Reg => branch!(Lt, reg, holds32),
            Code::Le64Imm => branch!(Le, imm, holds64),
            Code::Le64Reg => branch!(Le, reg, holds64),
            Code::Le32Imm => branch!(Le, imm, holds32),
            Code::Le32Reg => branch!(Le, reg, holds32),
            Code::Sgt64Imm => branch!(Sgt, imm, holds64),
            Code::Sgt64Reg => branch!(Sgt, reg, holds64),
            Code::Sgt32Imm => branch!(Sgt, imm, holds32),
            Code::Sgt32Reg => branch!(Sgt, reg, holds32),
            Code::Sge64Imm => branch!(Sge, imm, holds64),
            Code::Sge64Reg => branch!(Sge, reg, holds64),
            Code::Sge32Imm => branch!(Sge, imm, holds32),
            Code::Sge32Reg => branch!(Sge, reg, holds32),
            Code::Slt64Imm => branch!(Slt, imm, holds64),
            Code::Slt64Reg => branch!(Slt, reg, holds64),
            Code::Slt32Imm => branch!(Slt, imm, holds32),
            Code::Slt32Reg => branch!(Slt, reg, holds32),
            Code::Sle64Imm => branch!(Sle, imm, holds64),
            Code::Sle64Reg => branch!(Sle, reg, holds64),
            Code::Sle32Imm => branch!(Sle, imm, holds32),
            Code::Sle32Reg => branch!(Sle, reg, holds32),
            Code::Set64Imm => branch!(Set, imm, holds64),
            Code::Set64Reg => branch!(Set, reg, holds64),
            Code::Set32Imm => branch!(Set, imm, holds32),
            Code::Set32Reg => branch!(Set, reg, holds32),
            Code::MayGoto => match may_goto.checked_sub(1) {
                Some(left) => may_goto = left,
                None => jump!(),
            },
            Code::CallSub => {
                attempt!(cpu.enter());
                let saved = [r[6], r[7], r[8], r[9]];
                cpu.callers.push(Frame {
                    pc: pc as u32,
                    saved,
                    may_goto,
                });
                r[10] = r[10].wrapping_add(FRAME_BYTES);
                may_goto = MAY_GOTO;
                jump!();
            }
            Code::CallHelper => {
                cpu.fuel = fuel - (pc - line) as i64;
                line = pc;
                let mut machine = Machine {
                    cpu: &mut *cpu,
                    program,
                };
                let args = [r[1], r[2], r[3], r[4], r[5]];
                let result = host.call_helper(&mut machine, cell.imm as i32, args);
                fuel = cpu.fuel;
                r[0] = attempt!(result);
                if A::CHECKED {
                    // A verified program does not read them again.
                    r[1..6].fill(0xdead_beef_dead_beef);
                }
            }
            Code::TailCall => {
                if cpu.tail_calls < MAX_TAIL_CALLS
                    && let Some(next) = attempt!(host.tail_call(r[1], r[2], r[3] as u32))
                {
                    cpu.tail_calls += 1;
                    cpu.fuel = fuel - (pc - line) as i64;
                    line = pc;
                    if cpu.callers.len() == callers {
                        return Ok(End::Tail(next, r[1]));
                    }
                    // The next program takes the place of this frame and returns to its caller.
                    cpu.leave();
                    let first_frame = std::mem::replace(&mut cpu.first_frame, cpu.frame + 1);
                    let result = enter(&next, cpu, host, 0, [r[1], 0, 0, 0, 0]);
                    cpu.first_frame = first_frame;
                    fuel = cpu.fuel;
                    let r0 = attempt!(result);
                    attempt!(cpu.enter());
                    leave!(r0);
                }
            }
            Code::PacketAbs | Code::PacketInd => {
                let index = if cell.code == Code::PacketInd {
                    r[s] as u32
                } else {
                    0
                };
                let offset = index.wrapping_add(cell.imm as u32) as i32;
                match host.load_packet(r[6], offset, cell.off as u32) {
                    Some(value) => r[0] = value,
                    None => leave!(0),
                }
            }
            Code::Exit => leave!(r[0]),
            Code::Nop => {}
            Code::Invalid => fail!(Trap::PastEnd),
        }
    }
}

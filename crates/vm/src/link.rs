//! From the verifier's executable to cells: decoding, targets, references.

use std::sync::OnceLock;

use skep_isa::form::PseudoKind;
use skep_isa::{Op, Operand, Width, decode};
use skep_verifier::{Executable, Subprogram};

use crate::cell::{Cell, Operands};
use crate::check::States;
use crate::flow;
use crate::fuse::{FUSED, fused, with_constant};
use crate::handlers::{handler, in_arena, probing};
use crate::host::Linker;
use crate::memory::{Access, Checked, Code, FRAME_BYTES, Trust, can_attempt};
use crate::program::{LinkError, Program};

/// The helper that is no call: `bpf_tail_call`.
pub(crate) const TAIL_CALL: i32 = 12;

/// Links an executable; see [`Program::link`].
pub(crate) fn link(executable: &Executable, linker: &dyn Linker) -> Result<Program, LinkError> {
    let insns = &executable.insns;
    let starts = starts(executable)?;
    let context = Context { executable, linker };
    // The second slot of a wide load is no instruction.
    let mut slots: Vec<Option<(Op, Operands)>> = Vec::with_capacity(insns.len());
    while slots.len() < insns.len() {
        let at = slots.len();
        let op = decode(insns, at).map_err(LinkError::Decode)?;
        slots.push(Some((op, context.operands(op, at)?)));
        if op.slots() == 2 {
            slots.push(None);
        }
    }
    let faulting = Faulting {
        probed: &executable.probed,
        in_arena: &executable.in_arena,
    };
    if let Some(at) = faulting.first()
        && !can_attempt()
    {
        let what = "an access that may fault";
        return Err(LinkError::Unsupported { at, what });
    }
    let arena = executable.arena.and_then(|map| linker.arena(map));
    if let (Some(at), None) = (executable.in_arena.first(), arena) {
        return Err(LinkError::Reference { at: *at as usize });
    }
    let plain = cells::<Checked>(&slots, faulting)?;
    let mut cells = cells::<Trust>(&slots, faulting)?;
    fuse(&mut cells, &slots, faulting);
    let mut helpers: Vec<i32> = slots
        .iter()
        .flatten()
        .filter_map(|(op, _)| helper(op))
        .collect();
    helpers.sort_unstable();
    helpers.dedup();
    let origin = |at: usize| executable.origin.get(at).copied().unwrap_or(at as u32);
    Ok(Program {
        cells: code(cells)?,
        plain: code(plain)?,
        origin: (0..insns.len()).map(origin).collect(),
        states: States::new(&executable.recorded),
        maps: executable.maps.clone().into(),
        arena: arena.unwrap_or_default(),
        helpers: helpers.into(),
        native: OnceLock::new(),
        bounded: OnceLock::new(),
        exception_callback: executable
            .exception_callback
            .and_then(|index| starts.get(index as usize).copied()),
        starts: starts.into(),
    })
}

/// Gives cells the handlers that run those behind them as well, so that from each cell on as few
/// handlers as possible run what follows it.
fn fuse(cells: &mut [Cell<Trust>], slots: &[Option<(Op, Operands)>], faulting: Faulting<'_>) {
    // For each cell, and the end, how many handlers run what follows, up to where it surely goes
    // elsewhere.
    let mut steps = vec![0u32; cells.len() + FUSED + 1];
    for at in (0..cells.len()).rev() {
        cells[at].args.to = past_jumps(slots, at);
        // What may fault is run by itself, and what takes two slots with one more at most.
        let plain = |at: usize| {
            let (op, _) = slots.get(at)?.as_ref()?;
            (!faulting.has(at) && op.slots() == 1).then_some(op)
        };
        let mut ops = [&Op::Exit; FUSED];
        let known = (at..at + FUSED).map_while(plain);
        let count = ops.iter_mut().zip(known).map(|(to, op)| *to = op).count();
        let after = |last: &Op, end: usize| match last {
            Op::Exit | Op::Jump { .. } => 0,
            _ => steps[end],
        };
        let mut best = match slots[at].as_ref() {
            Some((op, _)) => after(op, at + op.slots()),
            None => 0,
        };
        // Of those that leave as much, the longest.
        for count in 2..=count {
            let rest = after(ops[count - 1], at + count);
            if rest <= best
                && let Some(run) = fused(&ops, count)
            {
                (best, cells[at].run) = (rest, run);
            }
        }
        if let Some((constant, _)) = &slots[at]
            && constant.slots() == 2
            && let Some(op) = plain(at + 2)
            && let Some(run) = with_constant(constant, op)
            && steps[at + 3] <= best
        {
            (best, cells[at].run) = (steps[at + 3], run);
        }
        steps[at] = best + 1;
    }
}

/// How far a cell leads when jumps to jumps go on at once.
fn past_jumps(slots: &[Option<(Op, Operands)>], at: usize) -> i32 {
    /// Jumps may lead in circles.
    const MOST: usize = 8;
    let to = |at: usize| {
        slots
            .get(at)
            .and_then(|s| s.as_ref())
            .map_or(0, |(_, o)| o.to)
    };
    let target = |at: usize| (at + 1).saturating_add_signed(to(at) as isize);
    let mut end = target(at);
    if to(at) == 0 {
        return 0;
    }
    for _ in 0..MOST {
        match slots.get(end) {
            Some(Some((Op::Jump { .. }, _))) => end = target(end),
            _ => break,
        }
    }
    i32::try_from(end as i64 - at as i64 - 1).unwrap_or(to(at))
}

/// The cells as they are run.
fn code<A: Access>(cells: Vec<Cell<A>>) -> Result<Code<A>, LinkError> {
    let stop = Cell {
        run: flow::invalid::<A>,
        args: Operands::default(),
    };
    Code::new(cells, stop).map_err(|at| LinkError::Target { at })
}

/// The instructions that may fault, ascending.
#[derive(Clone, Copy)]
struct Faulting<'a> {
    probed: &'a [u32],
    in_arena: &'a [u32],
}

impl Faulting<'_> {
    fn first(self) -> Option<usize> {
        let first = self.probed.first().into_iter().chain(self.in_arena.first());
        first.min().map(|at| *at as usize)
    }

    fn is_probed(self, at: usize) -> bool {
        self.probed.binary_search(&(at as u32)).is_ok()
    }

    fn is_in_arena(self, at: usize) -> bool {
        self.in_arena.binary_search(&(at as u32)).is_ok()
    }

    fn has(self, at: usize) -> bool {
        self.is_probed(at) || self.is_in_arena(at)
    }
}

/// One cell for each slot, none fused.
fn cells<A: Access>(
    slots: &[Option<(Op, Operands)>],
    faulting: Faulting<'_>,
) -> Result<Vec<Cell<A>>, LinkError> {
    let cell = |(at, slot): (usize, &Option<(Op, Operands)>)| match slot {
        Some((op, args)) if faulting.is_probed(at) => {
            let run = probing::<A>(op).ok_or(LinkError::Reference { at })?;
            Ok(Cell { run, args: *args })
        }
        Some((op, args)) if faulting.is_in_arena(at) => {
            let run = in_arena::<A>(op).ok_or(LinkError::Unsupported { at, what: what(op) })?;
            Ok(Cell { run, args: *args })
        }
        Some((op, args)) => {
            let run = handler::<A>(op).ok_or(LinkError::Unsupported { at, what: what(op) })?;
            Ok(Cell { run, args: *args })
        }
        None => Ok(Cell {
            run: flow::invalid::<A>,
            args: Operands::default(),
        }),
    };
    slots.iter().enumerate().map(cell).collect()
}

/// The name of an instruction that has no handler.
fn what(op: &Op) -> &'static str {
    match op {
        Op::CallKfunc { .. } => "call of a kernel function",
        Op::AddrSpaceCast { .. } => "address space cast",
        Op::PercpuAddr { .. } => "per-CPU address",
        _ => "instruction",
    }
}

fn helper(op: &Op) -> Option<i32> {
    match op {
        Op::CallHelper { id } => Some(*id),
        _ => None,
    }
}

/// Where the subprograms begin; an executable that lists none is one function.
fn starts(executable: &Executable) -> Result<Vec<u32>, LinkError> {
    let len = executable.insns.len() as u64;
    let fits = |s: &Subprogram| {
        u64::from(s.start) < len
            && u64::from(s.end) <= len
            && s.start < s.end
            && u64::from(s.stack_depth) <= FRAME_BYTES
    };
    if len == 0 {
        return Err(LinkError::Subprogram { index: 0 });
    }
    if executable.subprograms.is_empty() {
        return Ok(vec![0]);
    }
    let bad = |index| LinkError::Subprogram { index };
    match executable.subprograms.iter().position(|s| !fits(s)) {
        Some(index) => Err(bad(index)),
        None if executable.subprograms.first().is_some_and(|s| s.start != 0) => Err(bad(0)),
        None => Ok(executable.subprograms.iter().map(|s| s.start).collect()),
    }
}

struct Context<'a> {
    executable: &'a Executable,
    linker: &'a dyn Linker,
}

impl Context<'_> {
    /// A distance from the slot after `at`, when it leads to a slot.
    fn target(&self, at: usize, delta: i64) -> Result<i32, LinkError> {
        let target = at as i64 + 1 + delta;
        let inside = usize::try_from(target).is_ok_and(|t| t < self.executable.insns.len());
        match i32::try_from(delta) {
            Ok(delta) if inside => Ok(delta),
            _ => Err(LinkError::Target { at }),
        }
    }

    /// The operands of an instruction, targets and references resolved.
    fn operands(&self, op: Op, at: usize) -> Result<Operands, LinkError> {
        let none = Operands::default();
        Ok(match op {
            Op::Alu { dst, src, .. } => operand(dst.number(), src),
            Op::Branch {
                dst, src, delta, ..
            } => {
                let to = self.target(at, i64::from(delta))?;
                Operands {
                    to,
                    ..operand(dst.number(), src)
                }
            }
            Op::Mov { width, dst, src } => {
                let args = operand(dst.number(), src);
                match (width, src) {
                    // The upper half of the result is zero.
                    (Width::W32, Operand::Imm(n)) => Operands {
                        imm: u64::from(n as u32),
                        ..args
                    },
                    _ => args,
                }
            }
            Op::Neg { dst, .. } | Op::Swap { dst, .. } => Operands {
                dst: dst.number(),
                ..none
            },
            Op::MovSx { dst, src, .. } | Op::AddrSpaceCast { dst, src, .. } => Operands {
                dst: dst.number(),
                src: src.number(),
                ..none
            },
            Op::LoadImm64 { dst, value } => Operands {
                imm: value,
                dst: dst.number(),
                ..none
            },
            Op::LoadPseudo {
                kind,
                dst,
                imm,
                next_imm,
            } => {
                let imm = self.reference(kind, at, imm, next_imm)?;
                Operands {
                    imm,
                    dst: dst.number(),
                    ..none
                }
            }
            Op::Packet { index, imm, .. } => {
                let src = index.map_or(0, |r| r.number());
                Operands {
                    imm: imm as u64,
                    src,
                    ..none
                }
            }
            Op::Load { dst, base, off, .. } | Op::LoadAcquire { dst, base, off, .. } => Operands {
                off: off.into(),
                dst: dst.number(),
                src: base.number(),
                ..none
            },
            Op::Store { base, off, src, .. } => Operands {
                off: off.into(),
                ..operand(base.number(), src)
            },
            Op::Atomic { base, off, src, .. } | Op::StoreRelease { base, off, src, .. } => {
                Operands {
                    off: off.into(),
                    dst: base.number(),
                    src: src.number(),
                    ..none
                }
            }
            Op::Jump { delta } | Op::CallSub { delta } => Operands {
                to: self.target(at, i64::from(delta))?,
                ..none
            },
            Op::MayGoto { delta } => Operands {
                to: self.target(at, i64::from(delta))?,
                ..none
            },
            Op::CallHelper { id } => Operands {
                imm: id as u64,
                ..none
            },
            Op::CallKfunc { .. } | Op::PercpuAddr { .. } | Op::Exit | Op::Nospec => none,
        })
    }

    /// The value of a reference, by the conventions of [`Executable`].
    fn reference(
        &self,
        kind: PseudoKind,
        at: usize,
        imm: i32,
        next_imm: i32,
    ) -> Result<u64, LinkError> {
        let dangling = LinkError::Reference { at };
        let index = usize::try_from(imm).map_err(|_| dangling.clone())?;
        let map = self.executable.maps.get(index).copied();
        match kind {
            PseudoKind::MapFd => Ok(self.linker.map_handle(map.ok_or(dangling)?)),
            PseudoKind::MapValue => {
                let value = self
                    .linker
                    .map_value_address(map.ok_or(dangling.clone())?, next_imm as u32);
                value.ok_or(dangling)
            }
            // A function is known by its index; the entry function cannot be called back,
            // so that no function is zero.
            PseudoKind::Func if index > 0 && index < self.executable.subprograms.len() => {
                Ok(index as u64)
            }
            PseudoKind::Func => Err(dangling),
            _ => Err(LinkError::Unsupported {
                at,
                what: "reference",
            }),
        }
    }
}

/// The operands of an instruction whose second operand may be an immediate.
fn operand(dst: u8, src: Operand) -> Operands {
    match src {
        Operand::Imm(n) => Operands {
            imm: n as u64,
            dst,
            ..Operands::default()
        },
        Operand::Reg(r) => Operands {
            dst,
            src: r.number(),
            ..Operands::default()
        },
    }
}

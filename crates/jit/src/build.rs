//! From instructions to SSA: which blocks there are, and which value each register and each
//! promoted stack slot holds at each point.

use std::collections::BTreeMap;

use skep_isa::form::PseudoKind;
use skep_isa::{
    AluOp, AtomicOp, Cond, Insn, Op as Isa, Operand, Reg, Size, SwapKind, Width, decode,
};
use skep_verifier::Executable;

use crate::error::Unsupported;
use crate::ir::{BinOp, Block, Body, Func, Op, Term, Test, Val};
use crate::{ArrayPlace, Facts};

/// The helpers that get special care.
mod helper {
    pub(super) const LOOKUP: i32 = skep_catalog::helper_id::MAP_LOOKUP_ELEM as i32;
    pub(super) const TAIL_CALL: i32 = skep_catalog::helper_id::TAIL_CALL as i32;
    pub(super) const TRACE_PRINTK: i32 = skep_catalog::helper_id::TRACE_PRINTK as i32;
    pub(super) const CPU_ID: i32 = skep_catalog::helper_id::GET_SMP_PROCESSOR_ID as i32;
}

/// Registers that are variables: r0 to r9. Promoted slots follow.
const REGS: usize = 10;
/// Variables that fit the masks of liveness.
const MAX_VARS: usize = 64;

/// A piece of the frame that is only accessed whole: bytes above the frame pointer (so
/// negative), and its size.
pub(crate) type Slot = (i32, Size);

/// Everything that is known before a function is built.
pub(crate) struct Source<'a> {
    pub executable: &'a Executable,
    pub facts: &'a dyn Facts,
    /// Which of r1 to r5 each function reads, one bit each, bit 0 for r1.
    pub reads: &'a [u8],
}

/// The instructions of one function with their slot indices.
pub(crate) struct Code {
    pub ops: Vec<(u32, Isa)>,
    pub start: u32,
    pub end: u32,
}

impl Code {
    pub(crate) fn decode(insns: &[Insn], start: u32, end: u32) -> Result<Code, Unsupported> {
        let mut ops = Vec::new();
        let mut at = start;
        while at < end {
            let op = decode(insns, at as usize).map_err(|_| Unsupported {
                at,
                what: "an undecodable slot",
            })?;
            ops.push((at, op));
            at += op.slots() as u32;
        }
        Ok(Code { ops, start, end })
    }
}

/// The slot that the jump at `at` goes to.
fn target(at: u32, delta: i32) -> u32 {
    (i64::from(at) + 1 + i64::from(delta)) as u32
}

/// How many arguments a helper reads, as far as the catalog knows.
fn arg_count(id: i32) -> u8 {
    // What follows the format is not in its prototype.
    if id == helper::TRACE_PRINTK {
        return 5;
    }
    let known = u32::try_from(id).ok().and_then(skep_catalog::helper);
    known.map_or(5, |helper| {
        let used = |arg: &skep_catalog::Arg| arg.kind != skep_catalog::ArgKind::None;
        helper
            .args
            .iter()
            .rposition(used)
            .map_or(0, |last| last as u8 + 1)
    })
}

/// Variables read and written by an instruction.
fn uses(source: &Source<'_>, slots: &Slots, at: u32, op: &Isa) -> (u64, u64) {
    let r = |reg: Reg| {
        if reg.index() < REGS {
            1u64 << reg.index()
        } else {
            0
        }
    };
    let o = |operand: Operand| match operand {
        Operand::Reg(reg) => r(reg),
        Operand::Imm(_) => 0,
    };
    let slot = slots.at(at).map(|var| 1u64 << var);
    const CLOBBERED: u64 = 0x3f;
    match *op {
        Isa::Alu { dst, src, .. } => (r(dst) | o(src), r(dst)),
        Isa::Neg { dst, .. } | Isa::Swap { dst, .. } => (r(dst), r(dst)),
        Isa::Mov { dst, src, .. } => (o(src), r(dst)),
        Isa::MovSx { dst, src, .. }
        | Isa::AddrSpaceCast { dst, src, .. }
        | Isa::PercpuAddr { dst, src } => (r(src), r(dst)),
        Isa::LoadImm64 { dst, .. } | Isa::LoadPseudo { dst, .. } => (0, r(dst)),
        Isa::Packet { index, .. } => (r(reg(6)) | index.map_or(0, r), CLOBBERED),
        Isa::Load { dst, base, .. } => match slot {
            Some(var) => (var, r(dst)),
            None => (r(base), r(dst)),
        },
        Isa::LoadAcquire { dst, base, .. } => (r(base), r(dst)),
        Isa::Store { base, src, .. } => match slot {
            Some(var) => (o(src), var),
            None => (r(base) | o(src), 0),
        },
        Isa::StoreRelease { base, src, .. } => (r(base) | r(src), 0),
        Isa::Atomic {
            base,
            src,
            op,
            fetch,
            ..
        } => {
            let old = match op {
                AtomicOp::Cmpxchg => 1,
                _ if fetch => r(src),
                _ => 0,
            };
            let expected = if op == AtomicOp::Cmpxchg { 1 } else { 0 };
            (r(base) | r(src) | expected, old)
        }
        Isa::Branch { dst, src, .. } => (r(dst) | o(src), 0),
        Isa::Jump { .. } | Isa::MayGoto { .. } | Isa::Nospec => (0, 0),
        Isa::CallHelper { id } => (((1 << arg_count(id)) - 1) << 1, CLOBBERED),
        Isa::CallSub { delta } => {
            let reads = function_at(source.executable, target(at, delta))
                .and_then(|f| source.reads.get(f).copied());
            (u64::from(reads.unwrap_or(0x1f)) << 1, CLOBBERED)
        }
        Isa::CallKfunc { .. } => (0x3e, CLOBBERED),
        Isa::Exit => (1, 0),
    }
}

fn reg(number: u8) -> Reg {
    Reg::new(number).unwrap_or(Reg::R0)
}

fn function_at(executable: &Executable, slot: u32) -> Option<usize> {
    executable.subprograms.iter().position(|s| s.start == slot)
}

/// Which accesses go to promoted slots.
#[derive(Default)]
pub(crate) struct Slots {
    /// The promoted slots, in the order of their variables.
    pub slots: Vec<Slot>,
    /// For the instruction at a slot index, the variable.
    pub by_insn: BTreeMap<u32, usize>,
}

impl Slots {
    /// How many slots can be promoted in one function.
    pub(crate) const MAX: usize = MAX_VARS - REGS;

    fn at(&self, insn: u32) -> Option<usize> {
        self.by_insn.get(&insn).map(|index| REGS + index)
    }
}

/// The blocks of a function before they have values.
struct Shape {
    /// For each block its instructions as a range of [`Code::ops`].
    ranges: Vec<(usize, usize)>,
    succs: Vec<[Option<usize>; 2]>,
    /// Variables whose value matters at its start.
    live: Vec<u64>,
}

fn shape(source: &Source<'_>, slots: &Slots, code: &Code) -> Result<Shape, Unsupported> {
    let mut leads = vec![false; (code.end - code.start) as usize + 1];
    let mut lead = |at: u32, from: u32| match at.checked_sub(code.start) {
        Some(i) if at < code.end => {
            leads[i as usize] = true;
            Ok(())
        }
        _ => Err(Unsupported {
            at: from,
            what: "a jump out of the function",
        }),
    };
    lead(code.start, code.start)?;
    for &(at, op) in &code.ops {
        let after = at + op.slots() as u32;
        match op {
            Isa::Jump { delta } => lead(target(at, delta), at)?,
            Isa::Branch { delta, .. } | Isa::MayGoto { delta } => {
                lead(target(at, delta.into()), at)?;
                lead(after, at)?;
            }
            Isa::Exit => {}
            _ => continue,
        }
        if after < code.end {
            lead(after, at)?;
        }
    }
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut block_at = BTreeMap::new();
    for (i, &(at, _)) in code.ops.iter().enumerate() {
        if leads[(at - code.start) as usize] {
            if let Some(last) = ranges.last_mut() {
                last.1 = i;
            }
            block_at.insert(at, ranges.len());
            ranges.push((i, code.ops.len()));
        }
    }
    let find = |at: u32, from: u32| {
        let found = block_at.get(&at).copied();
        found.ok_or(Unsupported {
            at: from,
            what: "a jump into an instruction",
        })
    };
    let mut succs = Vec::new();
    for &(_, end) in &ranges {
        let Some(&(at, op)) = code.ops.get(end - 1) else {
            continue;
        };
        let after = at + op.slots() as u32;
        succs.push(match op {
            Isa::Exit => [None, None],
            Isa::Jump { delta } => [Some(find(target(at, delta), at)?), None],
            Isa::Branch { delta, .. } | Isa::MayGoto { delta } => [
                Some(find(target(at, delta.into()), at)?),
                Some(find(after, at)?),
            ],
            _ => [Some(find(after, at)?), None],
        });
    }
    let mut gens = Vec::new();
    for &(start, end) in &ranges {
        let (mut reads, mut writes) = (0u64, 0u64);
        for (at, op) in &code.ops[start..end] {
            let (r, w) = uses(source, slots, *at, op);
            reads |= r & !writes;
            writes |= w;
        }
        gens.push((reads, writes));
    }
    let mut live: Vec<u64> = vec![0; ranges.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for block in (0..ranges.len()).rev() {
            let out = succs[block].iter().flatten().fold(0, |m, s| m | live[*s]);
            let (reads, writes) = gens[block];
            let now = reads | (out & !writes);
            changed |= now != live[block];
            live[block] = now;
        }
    }
    Ok(Shape {
        ranges,
        succs,
        live,
    })
}

/// Which of r1 to r5 a function reads, given what is known of those that it calls.
pub(crate) fn params(source: &Source<'_>, code: &Code) -> Result<u8, Unsupported> {
    let shape = shape(source, &Slots::default(), code)?;
    Ok((shape.live.first().copied().unwrap_or(0) >> 1) as u8 & 0x1f)
}

/// A function in SSA, and for each load and store the value that it came from.
pub(crate) struct Built {
    pub func: Func,
    /// Plain loads and stores: slot index and instruction.
    pub accesses: Vec<(u32, Val)>,
}

/// Builds the SSA form of a function whose frame has `frame` bytes.
pub(crate) fn build(
    source: &Source<'_>,
    slots: &Slots,
    code: &Code,
    frame: u32,
) -> Result<Built, Unsupported> {
    let shape = shape(source, slots, code)?;
    let blocks = shape.ranges.len();
    let func = Func {
        ops: Vec::new(),
        phis: Vec::new(),
        blocks: vec![
            Body {
                insts: Vec::new(),
                term: Term::Dead,
                preds: Vec::new(),
                depth: 0
            };
            blocks + 1
        ],
        frame,
        origins: Vec::new(),
        origin: code.start,
    };
    let mut b = Builder {
        source,
        slots,
        func,
        block: Block(0),
        vars: vec![None; MAX_VARS],
        accesses: Vec::new(),
        zero: Val(0),
    };
    // Block 0 only holds the arguments, so that a loop may lead to the first instruction.
    for i in 0..5u8 {
        if shape.live[0] >> (i + 1) & 1 != 0 {
            let param = b.emit(Op::Param(i));
            b.vars[usize::from(i) + 1] = Some(param);
        }
    }
    b.zero = b.emit(Op::Const(0));
    b.func.blocks[0].term = Term::Jump(Block(1));
    // Which blocks are reached, in reverse post order, and from where.
    let successors = |block: usize| match block {
        0 => [Some(1), None],
        _ => shape.succs[block - 1].map(|s| s.map(|s| s + 1)),
    };
    let order = order(blocks + 1, &successors);
    for &block in &order {
        for to in successors(block).into_iter().flatten() {
            b.func.blocks[to].preds.push(Block(block as u32));
        }
    }
    let mut out: Vec<Option<Vec<Option<Val>>>> = vec![None; blocks + 1];
    out[0] = Some(b.vars.clone());
    let mut placed: Vec<(usize, usize, Val)> = Vec::new();
    for &block in order.iter().filter(|block| **block != 0) {
        b.block = Block(block as u32);
        let preds = b.func.blocks[block].preds.clone();
        let live = shape.live[block - 1];
        match preds.as_slice() {
            [only] if out[only.at()].is_some() => {
                b.vars = out[only.at()].clone().unwrap_or_default();
            }
            _ => {
                for var in 0..MAX_VARS {
                    b.vars[var] = (live >> var & 1 != 0).then(|| {
                        let phi = b.emit(Op::Phi);
                        placed.push((block, var, phi));
                        phi
                    });
                }
            }
        }
        let (start, end) = shape.ranges[block - 1];
        for &(at, op) in &code.ops[start..end] {
            b.func.origin = at;
            b.instruction(at, op)?;
        }
        let [first, second] = successors(block);
        b.terminate(code.ops[end - 1], first, second);
        out[block] = Some(b.vars.clone());
    }
    for (block, var, phi) in placed {
        let preds = b.func.blocks[block].preds.clone();
        let value = |pred: &Block| {
            let vars = out[pred.at()].as_ref();
            vars.and_then(|vars| vars[var]).unwrap_or(b.zero)
        };
        b.func.phis[phi.at()] = preds.iter().map(value).collect();
    }
    Ok(Built {
        func: b.func,
        accesses: b.accesses,
    })
}

/// Reverse post order from block 0.
fn order(count: usize, successors: &dyn Fn(usize) -> [Option<usize>; 2]) -> Vec<usize> {
    let mut order = Vec::new();
    let mut seen = vec![false; count];
    let mut stack = vec![(0, 0)];
    seen[0] = true;
    while let Some((block, next)) = stack.last_mut() {
        match successors(*block).get(*next).copied().flatten() {
            Some(to) => {
                *next += 1;
                if !std::mem::replace(&mut seen[to], true) {
                    stack.push((to, 0));
                }
            }
            None => {
                order.push(*block);
                stack.pop();
            }
        }
    }
    order.reverse();
    order
}

struct Builder<'a> {
    source: &'a Source<'a>,
    slots: &'a Slots,
    func: Func,
    block: Block,
    vars: Vec<Option<Val>>,
    accesses: Vec<(u32, Val)>,
    zero: Val,
}

impl Builder<'_> {
    fn emit(&mut self, op: Op) -> Val {
        let v = self.func.push(op);
        self.func.blocks[self.block.at()].insts.push(v);
        v
    }

    fn constant(&mut self, value: u64) -> Val {
        self.emit(Op::Const(value))
    }

    fn read(&mut self, reg: Reg) -> Val {
        if reg == Reg::FP {
            return self.emit(Op::Frame(0));
        }
        // A register that was never written is not read by a verified program.
        self.vars
            .get(reg.index())
            .copied()
            .flatten()
            .unwrap_or(self.zero)
    }

    fn write(&mut self, reg: Reg, v: Val) {
        if let Some(var) = self.vars.get_mut(reg.index()) {
            *var = Some(v);
        }
    }

    fn operand(&mut self, operand: Operand) -> Val {
        match operand {
            Operand::Reg(reg) => self.read(reg),
            Operand::Imm(n) => self.constant(i64::from(n) as u64),
        }
    }

    /// The result of a call: r0; what r1 to r5 hold is not read any more.
    fn returned(&mut self, v: Val) {
        self.write(Reg::R0, v);
    }

    fn arg(&mut self, i: usize) -> Val {
        self.vars.get(i + 1).copied().flatten().unwrap_or(self.zero)
    }

    fn instruction(&mut self, at: u32, op: Isa) -> Result<(), Unsupported> {
        match op {
            Isa::Alu {
                width,
                op,
                dst,
                src,
            } => {
                let (a, b) = (self.read(dst), self.operand(src));
                let v = self.emit(Op::Bin {
                    op: BinOp::Alu(op),
                    width,
                    a,
                    b,
                });
                self.write(dst, v);
            }
            Isa::Neg { width, dst } => {
                let a = self.read(dst);
                let v = self.emit(Op::Neg { width, a });
                self.write(dst, v);
            }
            Isa::Mov { width, dst, src } => {
                let a = match (width, src) {
                    (Width::W32, Operand::Imm(n)) => self.constant(u64::from(n as u32)),
                    (Width::W32, Operand::Reg(r)) => {
                        let a = self.read(r);
                        self.emit(Op::Zext { from: Size::B32, a })
                    }
                    (Width::W64, src) => self.operand(src),
                };
                self.write(dst, a);
            }
            Isa::MovSx {
                width,
                from,
                dst,
                src,
            } => {
                let a = self.read(src);
                let v = self.emit(Op::Sext { from, width, a });
                self.write(dst, v);
            }
            Isa::Swap { kind, size, dst } => {
                let a = self.read(dst);
                let v = match kind {
                    SwapKind::ToLe => self.emit(Op::Zext { from: size, a }),
                    _ => self.emit(Op::Swap { size, a }),
                };
                self.write(dst, v);
            }
            Isa::LoadImm64 { dst, value } => {
                let v = self.constant(value);
                self.write(dst, v);
            }
            Isa::LoadPseudo {
                kind,
                dst,
                imm,
                next_imm,
            } => {
                let v = self.reference(at, kind, imm, next_imm)?;
                self.write(dst, v);
            }
            Isa::Packet { size, index, imm } => {
                let mut offset = self.constant(imm as u32 as u64);
                if let Some(index) = index {
                    let a = self.read(index);
                    let op = BinOp::Alu(AluOp::Add);
                    offset = self.emit(Op::Bin {
                        op,
                        width: Width::W32,
                        a,
                        b: offset,
                    });
                }
                let ctx = self.read(reg(6));
                let v = self.emit(Op::Packet { size, ctx, offset });
                self.returned(v);
            }
            Isa::Load {
                size,
                signed,
                dst,
                base,
                off,
            } => {
                if let Some(var) = self.slots.at(at) {
                    let v = self.vars[var].unwrap_or(self.zero);
                    let v = if signed {
                        self.emit(Op::Sext {
                            from: size,
                            width: Width::W64,
                            a: v,
                        })
                    } else {
                        v
                    };
                    self.write(dst, v);
                    return Ok(());
                }
                let addr = self.read(base);
                let off = off.into();
                if self.source.executable.probed.binary_search(&at).is_ok() {
                    let v = self.emit(Op::Probe {
                        size,
                        signed,
                        addr,
                        off,
                    });
                    self.write(dst, v);
                    return Ok(());
                }
                let v = self.emit(Op::Load {
                    size,
                    signed,
                    addr,
                    off,
                });
                self.accesses.push((at, v));
                self.write(dst, v);
            }
            Isa::LoadAcquire {
                size,
                dst,
                base,
                off,
            } => {
                // Plain loads are acquiring on x86-64.
                let addr = self.read(base);
                let v = self.emit(Op::Load {
                    size,
                    signed: false,
                    addr,
                    off: off.into(),
                });
                self.emit(Op::Ordered);
                self.write(dst, v);
            }
            Isa::Store {
                size,
                base,
                off,
                src,
            } => {
                let value = self.operand(src);
                if let Some(var) = self.slots.at(at) {
                    self.vars[var] = Some(match size {
                        Size::B64 => value,
                        _ => self.emit(Op::Zext {
                            from: size,
                            a: value,
                        }),
                    });
                    return Ok(());
                }
                let addr = self.read(base);
                let v = self.emit(Op::Store {
                    size,
                    addr,
                    off: off.into(),
                    value,
                });
                self.accesses.push((at, v));
            }
            Isa::StoreRelease {
                size,
                base,
                off,
                src,
            } => {
                let (addr, value) = (self.read(base), self.read(src));
                self.emit(Op::Ordered);
                self.emit(Op::Store {
                    size,
                    addr,
                    off: off.into(),
                    value,
                });
            }
            Isa::Atomic {
                size,
                op,
                fetch,
                base,
                off,
                src,
            } => {
                let (addr, operand) = (self.read(base), self.read(src));
                let expected = self.vars[0].unwrap_or(self.zero);
                let off = off.into();
                let v = self.emit(Op::Atomic {
                    size,
                    op,
                    fetch,
                    addr,
                    off,
                    operand,
                    expected,
                });
                match op {
                    AtomicOp::Cmpxchg => self.write(Reg::R0, v),
                    _ if fetch => self.write(src, v),
                    _ => {}
                }
            }
            Isa::CallHelper { id } => self.helper(id),
            Isa::CallSub { delta } => {
                let found = function_at(self.source.executable, target(at, delta));
                let function = found.ok_or(Unsupported {
                    at,
                    what: "a call of no function",
                })?;
                let args = std::array::from_fn(|i| self.arg(i));
                let reads = self.source.reads.get(function).copied().unwrap_or(0x1f);
                let v = self.emit(Op::Local {
                    function: function as u32,
                    args,
                    reads,
                });
                self.returned(v);
            }
            Isa::Nospec => {
                self.emit(Op::Barrier);
            }
            Isa::Jump { .. } | Isa::Branch { .. } | Isa::MayGoto { .. } | Isa::Exit => {}
            Isa::CallKfunc { .. } => {
                return Err(Unsupported {
                    at,
                    what: "a call of a kernel function",
                });
            }
            Isa::AddrSpaceCast { .. } => {
                return Err(Unsupported {
                    at,
                    what: "an address space cast",
                });
            }
            Isa::PercpuAddr { .. } => {
                return Err(Unsupported {
                    at,
                    what: "a per-CPU address",
                });
            }
        }
        Ok(())
    }

    fn reference(
        &mut self,
        at: u32,
        kind: PseudoKind,
        imm: i32,
        next_imm: i32,
    ) -> Result<Val, Unsupported> {
        let dangling = Unsupported {
            at,
            what: "a dangling reference",
        };
        let executable = self.source.executable;
        let index = usize::try_from(imm).map_err(|_| dangling)?;
        match kind {
            PseudoKind::MapFd => {
                let map = *executable.maps.get(index).ok_or(dangling)?;
                let handle = self.source.facts.map_handle(map);
                Ok(self.emit(Op::Map {
                    index: index as u32,
                    handle,
                }))
            }
            PseudoKind::MapValue => {
                let map = *executable.maps.get(index).ok_or(dangling)?;
                let value = self.source.facts.map_value_address(map, next_imm as u32);
                Ok(self.constant(value.ok_or(dangling)?))
            }
            PseudoKind::Func if index > 0 && index < executable.subprograms.len() => {
                Ok(self.constant(index as u64))
            }
            _ => Err(dangling),
        }
    }

    fn helper(&mut self, id: i32) {
        if id == helper::TAIL_CALL {
            let args = std::array::from_fn(|i| self.arg(i));
            self.emit(Op::TailCall { args });
            return;
        }
        if id == helper::CPU_ID {
            let v = self.emit(Op::CpuId);
            return self.returned(v);
        }
        let args: [Val; 5] = std::array::from_fn(|i| self.arg(i));
        if id == helper::LOOKUP
            && let Op::Map { index, .. } = self.func.op(args[0])
            && let Some(map) = self.source.executable.maps.get(index as usize)
            && let Some(place) = self.source.facts.array(*map)
        {
            let v = self.array_lookup(place, args[1]);
            return self.returned(v);
        }
        let v = self.emit(Op::Helper {
            id,
            args,
            count: arg_count(id),
        });
        self.returned(v);
    }

    /// The address of an array's element, or zero beyond the end.
    fn array_lookup(&mut self, place: ArrayPlace, key: Val) -> Val {
        let ArrayPlace {
            base,
            stride,
            entries,
            plane,
        } = place;
        let index = self.emit(Op::Load {
            size: Size::B32,
            signed: false,
            addr: key,
            off: 0,
        });
        let stride = self.constant(stride.into());
        let mul = BinOp::Alu(AluOp::Mul);
        let b = self.emit(Op::Bin {
            op: mul,
            width: Width::W64,
            a: index,
            b: stride,
        });
        let mut a = self.constant(base);
        let add = BinOp::Alu(AluOp::Add);
        if plane != 0 {
            let cpu = self.emit(Op::CpuId);
            let plane = self.constant(plane);
            let offset = self.emit(Op::Bin {
                op: mul,
                width: Width::W64,
                a: cpu,
                b: plane,
            });
            a = self.emit(Op::Bin {
                op: add,
                width: Width::W64,
                a: offset,
                b: a,
            });
        }
        let t = self.emit(Op::Bin {
            op: add,
            width: Width::W64,
            a: b,
            b: a,
        });
        let entries = self.constant(entries.into());
        let f = self.constant(0);
        let test = Test {
            cond: Cond::Lt,
            width: Width::W32,
            a: index,
            b: entries,
        };
        self.emit(Op::Select { test, t, f })
    }

    fn terminate(&mut self, (_, op): (u32, Isa), first: Option<usize>, second: Option<usize>) {
        let block = |b: Option<usize>| Block(b.unwrap_or(0) as u32);
        let term = match op {
            Isa::Exit => Term::Return(self.vars[0].unwrap_or(self.zero)),
            Isa::Branch {
                width,
                cond,
                dst,
                src,
                ..
            } if first != second => {
                let (a, b) = (self.read(dst), self.operand(src));
                let test = Test { cond, width, a, b };
                Term::Branch {
                    test,
                    then: block(first),
                    other: block(second),
                }
            }
            Isa::MayGoto { .. } if first != second => Term::MayGoto {
                then: block(first),
                other: block(second),
            },
            _ => {
                // Both ways of a conditional jump lead to the same place.
                if first == second
                    && let Some(to) = first
                {
                    let preds = &mut self.func.blocks[to].preds;
                    if let Some(twice) = preds.iter().rposition(|p| *p == self.block) {
                        preds.remove(twice);
                    }
                }
                Term::Jump(block(first))
            }
        };
        self.func.blocks[self.block.at()].term = term;
    }
}

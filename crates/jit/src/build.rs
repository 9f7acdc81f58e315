//! From instructions to SSA: which blocks there are, and which value each register and each
//! promoted stack slot holds at each point.

mod arena;
mod call;
mod memory;
mod shape;

use std::collections::BTreeMap;

use skep_isa::{AluOp, Cond, Op as Isa, Operand, Reg, Size, SwapKind, Width};

use crate::error::Unsupported;
use crate::ir::{BinOp, Block, Body, Func, Op, Phis, Term, Test, Val};
pub(crate) use shape::{Code, Slot, Slots, Source, params};
use shape::{function_at, reg, shape, target};

/// The helpers that get special care.
mod helper {
    pub(super) const LOOKUP: i32 = skep_catalog::helper_id::MAP_LOOKUP_ELEM as i32;
    pub(super) const TAIL_CALL: i32 = skep_catalog::helper_id::TAIL_CALL as i32;
    pub(super) const TRACE_PRINTK: i32 = skep_catalog::helper_id::TRACE_PRINTK as i32;
    pub(super) const CPU_ID: i32 = skep_catalog::helper_id::GET_SMP_PROCESSOR_ID as i32;
    pub(super) const PER_CPU_PTR: i32 = skep_catalog::helper_id::PER_CPU_PTR as i32;
    pub(super) const THIS_CPU_PTR: i32 = skep_catalog::helper_id::THIS_CPU_PTR as i32;
}

/// How many constants are remembered.
const CONSTANTS: usize = 32;

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
    // Some instructions need a constant besides.
    let many = code.ops.len() + code.ops.len() / 4 + 8;
    let func = Func {
        ops: Vec::with_capacity(many),
        phis: Phis::default(),
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
        origins: Vec::with_capacity(many),
        origin: code.start,
        known: Vec::new(),
    };
    let mut b = Builder {
        source,
        slots,
        func,
        block: Block(0),
        vars: vec![None; slots.vars()],
        accesses: Vec::new(),
        zero: Val(0),
        // Nothing looks for constants in the block of the arguments.
        constants: [(Block(0), 0, Val(0)); CONSTANTS],
        window: None,
        lookups: BTreeMap::new(),
        found: vec![None; blocks + 1],
    };
    // Block 0 only holds the arguments, so that a loop may lead to the first instruction.
    for i in 0..5u8 {
        if shape.is_live(0, usize::from(i) + 1) {
            let param = b.emit(Op::Param(i));
            b.vars[usize::from(i) + 1] = Some(param);
        }
    }
    b.zero = b.emit(Op::Const(0));
    // One value for the whole function, so that a register may hold it.
    b.window = b.arena().map(|arena| b.emit(Op::Const(arena.base)));
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
        let only = match b.func.blocks[block].preds.as_slice() {
            [only] if out[only.at()].is_some() => Some(*only),
            _ => None,
        };
        match only {
            Some(only) => {
                // What leads nowhere else is not asked again.
                let before = match successors(only.at()) {
                    [Some(_), None] => out[only.at()].take(),
                    _ => out[only.at()].clone(),
                };
                b.vars = before.unwrap_or_default();
                b.learn(only);
            }
            None => {
                for var in 0..slots.vars() {
                    b.vars[var] = shape.is_live(block - 1, var).then(|| {
                        let phi = b.emit(Op::Phi);
                        placed.push((block, var, phi));
                        phi
                    });
                }
            }
        }
        let (start, end) = shape.ranges[block - 1];
        let many = end - start + (end - start) / 4;
        b.func.blocks[block].insts.reserve(many);
        for &(at, op) in &code.ops[start..end] {
            b.func.origin = at;
            b.instruction(at, op)?;
        }
        let [first, second] = successors(block);
        b.terminate(code.ops[end - 1], first, second);
        if first.is_some() {
            out[block] = Some(b.vars.clone());
        }
    }
    for (block, var, phi) in placed {
        let value = |pred: &Block| {
            let vars = out[pred.at()].as_ref();
            vars.and_then(|vars| vars[var]).unwrap_or(b.zero)
        };
        b.func.phis[phi.at()] = b.func.blocks[block].preds.iter().map(value).collect();
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
    /// Constants that were lately asked for, each with the block it is in.
    constants: [(Block, u64, Val); CONSTANTS],
    /// Where programs find the arena.
    window: Option<Val>,
    /// What array lookups gave.
    lookups: BTreeMap<Val, Lookup>,
    /// For each block that ends with the question whether a lookup found something: where it
    /// goes if so, what was asked about, and the element.
    found: Vec<Option<(Block, Val, Val)>>,
}

/// The result of an array lookup: the element's address where the test holds, else zero.
#[derive(Clone, Copy)]
struct Lookup {
    test: Test,
    element: Val,
}

impl Builder<'_> {
    fn emit(&mut self, op: Op) -> Val {
        let v = self.func.push(op);
        self.func.blocks[self.block.at()].insts.push(v);
        v
    }

    /// A constant; one that the block had lately is taken again.
    fn constant(&mut self, value: u64) -> Val {
        let place = (value ^ value >> 32) as usize % self.constants.len();
        let (block, known, v) = self.constants[place];
        if block == self.block && known == value {
            return v;
        }
        let v = self.emit(Op::Const(value));
        self.constants[place] = (self.block, value, v);
        v
    }

    /// The low bits of a value, the rest zero.
    fn zero_extended(&mut self, from: Size, a: Val) -> Val {
        match self.func.op(a).fits(from) {
            true => a,
            false => self.emit(Op::Zext { from, a }),
        }
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
        if self.source.executable.in_arena.binary_search(&at).is_ok() {
            return self.in_arena(at, op);
        }
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
                        self.zero_extended(Size::B32, a)
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
                    SwapKind::ToLe => self.zero_extended(size, a),
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
            Isa::Load { .. }
            | Isa::LoadAcquire { .. }
            | Isa::Store { .. }
            | Isa::StoreRelease { .. }
            | Isa::Atomic { .. } => self.access(at, op),
            Isa::CallHelper { id } => self.helper(at, id),
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
            Isa::AddrSpaceCast { dst, src, imm } => self.users_address(at, dst, src, imm)?,
            Isa::PercpuAddr { .. } => {
                return Err(Unsupported {
                    at,
                    what: "a per-CPU address",
                });
            }
        }
        Ok(())
    }

    /// The test of the index, for a test whether an array lookup found something. What the
    /// lookup gave is then known on both ways.
    fn asks_lookup(&mut self, test: Test, then: Block, other: Block) -> Option<Test> {
        let Test { cond, width, a, b } = test;
        if width != Width::W64 || self.func.constant(b) != Some(0) {
            return None;
        }
        let Lookup { test, element } = *self.lookups.get(&a)?;
        let (cond, to) = match cond {
            Cond::Ne => (test.cond, then),
            // The test of a lookup is for being less.
            Cond::Eq => (Cond::Ge, other),
            _ => return None,
        };
        self.found[self.block.at()] = Some((to, a, element));
        Some(Test { cond, ..test })
    }

    /// In the only block behind the question whether a lookup found something, its result is
    /// the element or zero.
    fn learn(&mut self, before: Block) {
        let Some((to, found, element)) = self.found[before.at()] else {
            return;
        };
        let known = match to == self.block {
            true => element,
            false => self.constant(0),
        };
        for var in self.vars.iter_mut().filter(|var| **var == Some(found)) {
            *var = Some(known);
        }
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
                let plain = Test { cond, width, a, b };
                let test = self.asks_lookup(plain, block(first), block(second));
                let test = test.unwrap_or(plain);
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

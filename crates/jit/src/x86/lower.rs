//! Chooses machine instructions: each takes in as many values as it can do at once.
//!
//! Blocks are walked from their ends, so that a value all of whose uses were taken into
//! other instructions is never computed by itself.

mod arith;
mod blocks;
mod compare;
mod memory;

use skep_isa::{AluOp, AtomicOp, Cond, Size, Width};

use super::Options;
use super::asm::{Cc, cc};
use super::mir::{Addr, Arg, Base, Callee, M, MBlock, MFunc, Role, Src, UnOp, V};
use crate::ir::{BinOp, Block, Func, Op, Val};
use crate::opt::{significant, use_counts};

/// Lowers a function.
pub(crate) fn lower(func: &mut Func, options: &Options, functions: usize) -> MFunc {
    let uses = use_counts(func);
    let known = significant(func);
    let mut homes = vec![(Block(0), 0); func.ops.len()];
    let mut epoch = vec![0; func.ops.len()];
    for (i, body) in func.blocks.iter().enumerate() {
        let mut now = 0;
        for (at, &v) in body.insts.iter().enumerate() {
            homes[v.at()] = (Block(i as u32), at);
            epoch[v.at()] = now;
            if func.op(v).clobbers() {
                now += 1;
            }
        }
    }
    let address_only = address_only(func);
    let mut l = Lower {
        demanded: vec![false; func.ops.len()],
        next: func.ops.len() as u32,
        func,
        uses,
        known,
        homes,
        epoch,
        address_only,
        out: Vec::new(),
        block: Block(0),
        movbe: options.features.movbe,
        hardened: options.hardened,
        lines: options.lines,
        functions,
        split: Vec::new(),
        has_calls: false,
        has_stops: false,
        has_may_goto: false,
    };
    l.run()
}

/// Which values are only used as addresses, or in sums and small multiples that are.
fn address_only(func: &mut Func) -> Vec<bool> {
    let mut only = vec![true; func.ops.len()];
    let mut parts: Vec<(Val, [Val; 2])> = Vec::new();
    for i in 0..func.blocks.len() {
        for &v in &func.blocks[i].insts {
            match func.ops[v.at()] {
                Op::Load { .. } => {}
                Op::Probe { kept, .. } => kept.iter().for_each(|o| only[o.at()] = false),
                Op::Store { value, .. } => only[value.at()] = false,
                Op::Atomic {
                    operand, expected, ..
                } => {
                    only[operand.at()] = false;
                    only[expected.at()] = false;
                }
                Op::Phi => func.phis[v.at()].iter().for_each(|o| only[o.at()] = false),
                Op::Bin {
                    op: BinOp::Alu(AluOp::Add),
                    width: Width::W64,
                    a,
                    b,
                } => {
                    parts.push((v, [a, b]));
                }
                Op::Bin {
                    op: BinOp::Alu(AluOp::Lsh),
                    width: Width::W64,
                    a,
                    b,
                } if matches!(func.constant(b), Some(1..=3)) => {
                    parts.push((v, [a, b]));
                }
                mut op => op.visit(&mut |o| only[o.at()] = false),
            }
        }
        let mut term = func.blocks[i].term;
        term.visit(&mut |o| only[o.at()] = false);
    }
    // Users come after what they use, so that one walk from the end is enough; sums over
    // back edges go through phis.
    for (v, operands) in parts.into_iter().rev() {
        if !only[v.at()] {
            operands.iter().for_each(|o| only[o.at()] = false);
        }
    }
    only
}

struct Lower<'a> {
    func: &'a mut Func,
    uses: Vec<u32>,
    known: Vec<u8>,
    homes: Vec<(Block, usize)>,
    /// How many instructions before in the block may change memory.
    epoch: Vec<u32>,
    address_only: Vec<bool>,
    /// Whether some instruction needs the value in a register.
    demanded: Vec<bool>,
    /// The next free virtual register; those below are the values' own.
    next: V,
    /// The instructions of the present block, last first.
    out: Vec<M>,
    block: Block,
    movbe: bool,
    /// Whether offsets in addresses stay those of the program.
    hardened: bool,
    lines: bool,
    /// How many functions the program has.
    functions: usize,
    /// Blocks put on edges: after which block, and what they hold.
    split: Vec<(u32, u32, MBlock)>,
    has_calls: bool,
    has_stops: bool,
    has_may_goto: bool,
}

fn wide(width: Width) -> bool {
    width == Width::W64
}

fn condition(cond: Cond) -> Cc {
    match cond {
        Cond::Eq => cc::E,
        Cond::Ne | Cond::Set => cc::NE,
        Cond::Gt => cc::A,
        Cond::Ge => cc::AE,
        Cond::Lt => cc::B,
        Cond::Le => cc::BE,
        Cond::Sgt => cc::G,
        Cond::Sge => cc::GE,
        Cond::Slt => cc::L,
        Cond::Sle => cc::LE,
    }
}

impl Lower<'_> {
    fn run(&mut self) -> MFunc {
        let order = self.func.reverse_post_order();
        let count = self.func.blocks.len();
        let mut blocks: Vec<Option<MBlock>> = vec![None; count];
        // Phis that are there at all are used.
        for body in &self.func.blocks {
            for &v in &body.insts {
                if self.func.op(v) == Op::Phi {
                    self.demanded[v.at()] = true;
                }
            }
        }
        // The home of a phi's incoming values, one for each phi.
        let mut landing: Vec<V> = vec![0; self.func.ops.len()];
        for (op, landing) in self.func.ops.iter().zip(&mut landing) {
            if *op == Op::Phi {
                *landing = self.next;
                self.next += 1;
            }
        }
        for &block in order.iter().rev() {
            blocks[block.at()] = Some(self.block(block, &landing));
        }
        self.layout(blocks)
    }

    fn fresh(&mut self) -> V {
        self.next += 1;
        self.next - 1
    }

    fn push(&mut self, m: M) {
        self.out.push(m);
    }

    /// The virtual register of a value, which is computed before what was pushed last.
    fn v(&mut self, v: Val) -> V {
        self.demanded[v.at()] = true;
        v.0
    }

    fn imm(&self, v: Val, width: Width) -> Option<i32> {
        let value = match self.func.op(v) {
            Op::Const(c) => c,
            Op::Map { handle, .. } => handle,
            _ => return None,
        };
        match width {
            Width::W64 => i32::try_from(value as i64).ok(),
            Width::W32 => Some(value as u32 as i32),
        }
    }

    fn arg(&mut self, v: Val) -> Arg {
        match self.func.op(v) {
            Op::Const(c) => Arg::Imm(c),
            Op::Map { handle, .. } => Arg::Imm(handle),
            Op::Frame(o) => Arg::Frame(o),
            _ => Arg::V(self.v(v)),
        }
    }

    /// Whether the load `v` can be done at place `at` of the present block instead, where it
    /// is its only use.
    fn movable(&self, v: Val, at: usize) -> bool {
        let body = &self.func.blocks[self.block.at()];
        let (home, _) = self.homes[v.at()];
        if home != self.block || self.uses[v.at()] != 1 || self.demanded[v.at()] {
            return false;
        }
        let now = match body.insts.get(at) {
            Some(user) => self.epoch[user.at()],
            None => body
                .insts
                .iter()
                .filter(|v| self.func.op(**v).clobbers())
                .count() as u32,
        };
        self.epoch[v.at()] == now
    }

    /// A second operand for the instruction at `at`: a constant, memory, or a register.
    fn src(&mut self, v: Val, width: Width, at: usize) -> Src {
        if let Some(imm) = self.imm(v, width) {
            return Src::Imm(imm);
        }
        let whole = if wide(width) { Size::B64 } else { Size::B32 };
        if let Op::Load {
            size, addr, off, ..
        } = self.func.op(v)
            && size == whole
            && self.movable(v, at)
        {
            return Src::Mem(self.addr(addr, off));
        }
        Src::V(self.v(v))
    }

    fn instruction(&mut self, v: Val, op: Op, at: usize) {
        let dst = v.0;
        match op {
            Op::Gone | Op::Phi | Op::Param(_) | Op::Ordered => {}
            Op::Const(value) | Op::Map { handle: value, .. } => self.push(M::Imm { dst, value }),
            Op::Frame(disp) => {
                let addr = Addr {
                    base: Base::Frame,
                    index: None,
                    disp,
                };
                self.push(M::Lea {
                    dst,
                    wide: true,
                    addr,
                });
            }
            Op::Bin { op, width, a, b } => self.binary(dst, op, width, a, b, at),
            Op::Neg { width, a } => {
                let a = self.v(a);
                self.push(M::Un {
                    op: UnOp::Neg,
                    wide: wide(width),
                    dst,
                    a,
                });
            }
            Op::Swap { size, a } => self.swap(dst, size, a, at),
            Op::Zext { from, a } => {
                if let Op::Load {
                    size,
                    signed: false,
                    addr,
                    off,
                } = self.func.op(a)
                    && from.bytes() < size.bytes()
                    && self.movable(a, at)
                {
                    let addr = self.addr(addr, off);
                    let size = from.bytes();
                    return self.push(M::Load {
                        size,
                        signed: false,
                        swap: false,
                        dst,
                        addr,
                    });
                }
                let src = self.v(a);
                self.push(M::Zx {
                    size: from.bytes(),
                    dst,
                    src,
                });
            }
            Op::Sext { from, width, a } => {
                if let Op::Load {
                    size, addr, off, ..
                } = self.func.op(a)
                    && width == Width::W64
                    && from.bytes() <= size.bytes()
                    && self.movable(a, at)
                {
                    let addr = self.addr(addr, off);
                    let size = from.bytes();
                    return self.push(M::Load {
                        size,
                        signed: true,
                        swap: false,
                        dst,
                        addr,
                    });
                }
                let src = self.v(a);
                self.push(M::Sx {
                    size: from.bytes(),
                    wide: wide(width),
                    dst,
                    src,
                });
            }
            Op::Select { test, t, f } => {
                let (t, f) = (self.v(t), self.v(f));
                let test = self.turned(test, at);
                self.push(M::Cmov {
                    cc: condition(test.cond),
                    dst,
                    t,
                    f,
                });
                self.compare(test, at);
            }
            Op::Load {
                size,
                signed,
                addr,
                off,
            } => {
                let addr = self.addr(addr, off);
                self.push(M::Load {
                    size: size.bytes(),
                    signed,
                    swap: false,
                    dst,
                    addr,
                });
            }
            Op::Probe {
                size,
                signed,
                addr,
                off,
                kept,
            } => {
                let addr = self.addr(addr, off);
                let kept = kept.map(|kept| self.v(kept));
                self.push(M::Probe {
                    kept,
                    size: size.bytes(),
                    signed,
                    dst,
                    addr,
                });
            }
            Op::Store {
                size,
                addr,
                off,
                value,
                faults,
            } => self.store((size, faults), addr, off, value, at),
            Op::Atomic {
                size,
                op,
                fetch,
                addr,
                off,
                operand,
                expected,
                faults,
            } => {
                let addr = self.addr(addr, off);
                let operand = self.v(operand);
                let expected = match op {
                    AtomicOp::Cmpxchg => self.v(expected),
                    _ => operand,
                };
                let wide = size == Size::B64;
                let dst = if self.demanded[v.at()] {
                    dst
                } else {
                    self.fresh()
                };
                self.push(M::Atomic {
                    faults,
                    op,
                    fetch,
                    wide,
                    dst,
                    addr,
                    operand,
                    expected,
                });
            }
            Op::Helper { id, args, .. } if self.is_loop(id, args) => {
                let [rounds, function, ctx, flags, _] = args;
                let function = self.func.constant(function).unwrap_or(0) as u32;
                let given = [
                    self.arg(rounds),
                    Arg::Any,
                    self.arg(ctx),
                    self.arg(flags),
                    Arg::Any,
                ];
                self.call(Callee::Loop(function), given, dst);
            }
            Op::Direct {
                function,
                object,
                args,
                count,
            } => {
                let mut given = [Arg::Any; 5];
                for (slot, arg) in given.iter_mut().skip(1).zip(args).take(count.into()) {
                    *slot = self.arg(arg);
                }
                self.call(Callee::Direct { function, object }, given, dst);
            }
            Op::Charge(amount) => {
                self.has_calls = true;
                self.has_stops = true;
                self.push(M::Charge { amount });
            }
            Op::Helper { id, args, count } => {
                let mut given = [Arg::Any; 5];
                for (slot, arg) in given.iter_mut().zip(args).take(count.into()) {
                    *slot = self.arg(arg);
                }
                self.call(Callee::Helper(id), given, dst);
            }
            Op::Local {
                function,
                args,
                reads,
            } => {
                let mut given = [Arg::Any; 5];
                for (i, (slot, arg)) in given.iter_mut().zip(args).enumerate() {
                    if reads >> i & 1 != 0 {
                        *slot = self.arg(arg);
                    }
                }
                self.call(Callee::Local(function), given, dst);
            }
            Op::TailCall { args: [a, b, c] } => {
                let given = [self.arg(a), self.arg(b), self.arg(c), Arg::Any, Arg::Any];
                self.call(Callee::TailCall, given, dst);
            }
            Op::Packet { size, ctx, offset } => {
                let given = [
                    self.arg(ctx),
                    self.arg(offset),
                    Arg::Any,
                    Arg::Any,
                    Arg::Any,
                ];
                self.call(Callee::Packet(size.bytes()), given, dst);
            }
            Op::CpuId => {
                self.has_calls = true;
                self.push(M::CpuId { dst });
            }
            Op::Barrier => self.push(M::Barrier),
        }
    }

    /// Whether a call is `bpf_loop` with a function that is known here.
    fn is_loop(&self, id: i32, args: [Val; 5]) -> bool {
        const LOOP: i32 = skep_catalog::helper_id::LOOP as i32;
        let known = self.func.constant(args[1]);
        id == LOOP && known.is_some_and(|function| (1..self.functions as u64).contains(&function))
    }

    fn call(&mut self, callee: Callee, args: [Arg; 5], dst: V) {
        self.has_calls = true;
        self.has_stops |= matches!(
            callee,
            Callee::Helper(_) | Callee::TailCall | Callee::Packet(_)
        );
        self.push(M::Call { callee, args, dst });
    }
}

/// Definitions and uses of a block's instructions, for the allocation of registers.
pub(crate) fn for_each(m: &M, f: &mut impl FnMut(V, Role)) {
    let mut m = *m;
    m.visit(&mut |v, role| f(*v, role));
}

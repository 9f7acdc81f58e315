//! Chooses machine instructions: each takes in as many values as it can do at once.
//!
//! Blocks are walked from their ends, so that a value all of whose uses were taken into
//! other instructions is never computed by itself.

mod arith;
mod blocks;
mod call;
mod compare;
mod memory;

use std::collections::BTreeMap;

use skep_isa::{Cond, Size, Width};

use super::Options;
use super::asm::{Cc, cc};
use super::mir::{Addr, Arg, Base, Called, M, MBlock, MFunc, Src, UnOp, V};
use crate::ir::{Block, Func, Op, Val};
use crate::opt::{length, use_counts};

/// Lowers a function.
pub(crate) fn lower(func: &mut Func, options: &Options, functions: usize) -> MFunc {
    let uses = use_counts(func);
    let mut known: Vec<u8> = func.known.iter().map(|mask| length(*mask)).collect();
    known.resize(func.ops.len(), 64);
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
    let address_only = memory::address_only(func);
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
        in_loop: false,
        shared: BTreeMap::new(),
        movbe: options.features.movbe,
        hardened: options.hardened,
        lines: options.lines,
        functions,
        split: Vec::new(),
        calls: Vec::new(),
        has_calls: false,
        has_stops: false,
        has_may_goto: false,
    };
    l.run()
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
    in_loop: bool,
    /// The registers of constants, which are made where the function begins.
    shared: BTreeMap<u64, V>,
    movbe: bool,
    /// Whether offsets in addresses stay those of the program.
    hardened: bool,
    lines: bool,
    /// How many functions the program has.
    functions: usize,
    /// Blocks put on edges: after which block, and what they hold.
    split: Vec<(u32, u32, MBlock)>,
    calls: Vec<Called>,
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
                if self.func.op(v).is_phi() {
                    self.demanded[v.at()] = true;
                }
            }
        }
        // The home of a phi's incoming values, one for each phi.
        let mut landing: Vec<V> = vec![0; self.func.ops.len()];
        for (op, landing) in self.func.ops.iter().zip(&mut landing) {
            if op.is_phi() {
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
        // Loops find constants in registers that all of their uses share.
        if self.in_loop
            && let Op::Const(value) | Op::Map { handle: value, .. } = self.func.op(v)
        {
            let next = self.next;
            let register = *self.shared.entry(value).or_insert(next);
            self.next = self.next.max(register + 1);
            return register;
        }
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
            Op::Count { what, width, a } => {
                let a = self.v(a);
                let wide = wide(width);
                self.push(M::Count { what, wide, dst, a });
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
                let expected = expected.map_or(operand, |expected| self.v(expected));
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
            Op::Helper { .. }
            | Op::Direct { .. }
            | Op::Local { .. }
            | Op::TailCall { .. }
            | Op::Packet { .. } => self.called(dst, op),
            Op::Charge(amount) => {
                self.has_calls = true;
                self.has_stops = true;
                self.push(M::Charge { amount });
            }
            Op::CpuId => {
                self.has_calls = true;
                self.push(M::CpuId { dst });
            }
            Op::Barrier => self.push(M::Barrier),
        }
    }
}

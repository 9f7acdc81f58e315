//! From the values of a function and their places to instructions of an Arm machine.

mod call;
mod copies;

use skep_isa::{AluOp, AtomicOp, Cond, Size, Width};

use super::Shared;
use super::asm::{Asm, Atom, LR, Label, SP, Two, X, ZR, cond};
use super::places::{Loc, Places, is_made_anew};
use crate::ir::{BinOp, Block, Counted, Func, Op, Term, Test, Val, bits};
use crate::layout;
pub(super) use call::refill;
use copies::From;

/// Registers that hold no value between instructions.
const S0: X = 16;
const S1: X = 17;
const S2: X = 15;
/// The most bytes of native stack that a function may take.
const FRAME_MAX: u32 = 3072;

/// Appends the code of a function; `None` when its frame is too large.
pub(super) fn emit(
    asm: &mut Asm,
    func: &mut Func,
    places: &Places,
    shared: &mut Shared,
    index: u32,
) -> Option<()> {
    let slots = 8 * places.slots;
    let size = slots + 16 + func.frame.next_multiple_of(8);
    if size > FRAME_MAX {
        return None;
    }
    let mut e = Emit {
        labels: func.blocks.iter().map(|_| asm.label()).collect(),
        done: asm.label(),
        asm,
        places,
        shared,
        index,
        state: slots as i32,
        allowance: slots as i32 + 8,
        size: size.next_multiple_of(16) as i32,
        cold: Vec::new(),
    };
    e.function(func);
    Some(())
}

struct Emit<'a> {
    asm: &'a mut Asm,
    places: &'a Places,
    shared: &'a mut Shared,
    index: u32,
    state: i32,
    allowance: i32,
    size: i32,
    labels: Vec<Label>,
    done: Label,
    /// Where fuel runs out, and where to go on.
    cold: Vec<(Label, Label)>,
}

fn condition(cond: Cond) -> u8 {
    match cond {
        Cond::Eq => cond::EQ,
        Cond::Ne | Cond::Set => cond::NE,
        Cond::Gt => cond::HI,
        Cond::Ge => cond::HS,
        Cond::Lt => cond::LO,
        Cond::Le => cond::LS,
        Cond::Sgt => cond::GT,
        Cond::Sge => cond::GE,
        Cond::Slt => cond::LT,
        Cond::Sle => cond::LE,
    }
}

impl Emit<'_> {
    fn function(&mut self, func: &mut Func) {
        let saved = self.pairs();
        self.asm.push_pair(29, LR);
        for (a, b) in &saved {
            self.asm.push_pair(*a, *b);
        }
        self.asm.add_imm(true, SP, SP, -self.size);
        self.asm.store(8, 5, SP, self.state);
        let allowed = func
            .blocks
            .iter()
            .any(|b| matches!(b.term, Term::MayGoto { .. }));
        if allowed {
            self.asm.constant(S0, layout::MAY_GOTO as u64);
            self.asm.store(8, S0, SP, self.allowance);
        }
        let mut params = Vec::new();
        for &v in &func.blocks[0].insts {
            if let Op::Param(i) = func.op(v) {
                params.push((self.loc(v), From::Loc(Loc::R(i))));
            }
        }
        self.copies(func, params);
        for block in 0..func.blocks.len() {
            self.asm.bind(self.labels[block]);
            let insts = func.blocks[block].insts.clone();
            for v in insts {
                self.inst(func, v);
            }
            self.term(func, Block(block as u32));
        }
        self.asm.bind(self.done);
        self.asm.add_imm(true, SP, SP, self.size);
        for (a, b) in saved.iter().rev() {
            self.asm.pop_pair(*a, *b);
        }
        self.asm.pop_pair(29, LR);
        self.asm.ret();
        for (out, back) in std::mem::take(&mut self.cold) {
            self.asm.bind(out);
            self.asm.bl(self.shared.refill);
            self.asm.b(back);
        }
    }

    /// The saved registers in pairs, so that the stack stays aligned.
    fn pairs(&self) -> Vec<(X, X)> {
        let chunks = self.places.saved.chunks(2);
        chunks
            .map(|c| (c[0], c.get(1).copied().unwrap_or(ZR)))
            .collect()
    }

    fn loc(&self, v: Val) -> Loc {
        self.places.locs[v.at()]
    }

    /// The value in a register, `scratch` if it lies in none.
    fn get(&mut self, func: &Func, v: Val, scratch: X) -> X {
        match (func.op(v), self.loc(v)) {
            (Op::Const(c), _) => self.asm.constant(scratch, c),
            (Op::Map { handle, .. }, _) => self.asm.constant(scratch, handle),
            (Op::Frame(off), _) => self.asm.add_imm(true, scratch, SP, self.size + off),
            (_, Loc::R(r)) => return r,
            (_, Loc::Slot(slot)) => {
                self.asm.load(8, false, scratch, SP, 8 * slot as i32);
            }
            (_, Loc::None) => {}
        }
        scratch
    }

    fn target(&self, v: Val) -> X {
        match self.loc(v) {
            Loc::R(r) => r,
            _ => S0,
        }
    }

    fn settle(&mut self, v: Val, r: X) {
        if let Loc::Slot(slot) = self.loc(v) {
            self.asm.store(8, r, SP, 8 * slot as i32);
        }
    }

    fn term(&mut self, func: &Func, block: Block) {
        let (cond, then, other) = match func.blocks[block.at()].term {
            Term::Dead => return,
            Term::Jump(to) => return self.go(func, block, to),
            Term::Return(v) => {
                let from = self.from(func, v);
                self.copy(func, Loc::R(0), from);
                return self.asm.b(self.done);
            }
            Term::Branch { test, then, other } => {
                self.compare(func, test);
                (condition(test.cond), then, other)
            }
            Term::MayGoto { then, other } => {
                self.asm.load(8, false, S0, SP, self.allowance);
                self.asm.subs_imm(S0, S0, 1);
                self.asm.store(8, S0, SP, self.allowance);
                (cond::MI, then, other)
            }
        };
        let taken = self.asm.label();
        self.asm.b_if(cond, taken);
        self.go(func, block, other);
        self.asm.bind(taken);
        self.go(func, block, then);
    }

    fn compare(&mut self, func: &Func, test: Test) {
        let w = test.width == Width::W64;
        let a = self.get(func, test.a, S0);
        match func.constant(test.b) {
            Some(c) if c < 4096 && test.cond != Cond::Set => self.asm.cmp_imm(w, a, c as u32),
            _ => {
                let b = self.get(func, test.b, S1);
                let op = if test.cond == Cond::Set {
                    Two::Ands
                } else {
                    Two::Subs
                };
                self.asm.two(op, w, ZR, a, b);
            }
        }
    }

    /// The base and the offset of an access, as one instruction takes them.
    fn address(&mut self, func: &Func, addr: Val, off: i32, bytes: u32) -> (X, i32) {
        if let Op::Frame(frame) = func.op(addr) {
            let at = self.size + frame + off;
            if (0..256).contains(&at) || at % bytes as i32 == 0 {
                return (SP, at);
            }
            self.asm.add_imm(true, S1, SP, at);
            return (S1, 0);
        }
        let base = self.get(func, addr, S1);
        let scaled = off >= 0 && off % bytes as i32 == 0 && off / (bytes as i32) < 4096;
        if scaled || (-256..256).contains(&off) {
            return (base, off);
        }
        self.asm.constant(S2, i64::from(off) as u64);
        self.asm.two(Two::Add, true, S1, base, S2);
        (S1, 0)
    }

    fn inst(&mut self, func: &Func, v: Val) {
        let op = func.op(v);
        if is_made_anew(&op) || (self.loc(v) == Loc::None && !op.has_effect()) {
            return;
        }
        let d = self.target(v);
        match op {
            Op::Gone | Op::Phi | Op::Param(_) | Op::Const(_) | Op::Map { .. } | Op::Frame(_) => {
                return;
            }
            Op::Bin { op, width, a, b } => self.binary(func, d, op, width, a, b),
            Op::Neg { width, a } => {
                let a = self.get(func, a, S0);
                self.asm.two(Two::Sub, width == Width::W64, d, ZR, a);
            }
            Op::Count { what, width, a } => {
                let (a, wide) = (self.get(func, a, S0), width == Width::W64);
                match what {
                    Counted::Ones => self.asm.ones(wide, d, a),
                    Counted::Leading => self.asm.clz(wide, d, a),
                    Counted::Trailing => {
                        self.asm.rbit(wide, d, a);
                        self.asm.clz(wide, d, d);
                    }
                }
            }
            Op::Swap { size, a } => {
                let a = self.get(func, a, S0);
                self.asm.rev(size == Size::B64, d, a);
                if size == Size::B16 {
                    self.asm.lsr(false, d, d, 16);
                }
            }
            Op::Zext { from, a } => {
                let a = self.get(func, a, S0);
                self.asm.zext(d, a, from.bytes() * 8);
            }
            Op::Sext { from, width, a } => {
                let a = self.get(func, a, S0);
                self.asm.sext(width == Width::W64, d, a, from.bytes() * 8);
            }
            Op::Select { test, t, f } => {
                self.compare(func, test);
                let (t, f) = (self.get(func, t, S0), self.get(func, f, S1));
                self.asm.select(d, t, f, condition(test.cond));
            }
            Op::Load {
                size,
                signed,
                addr,
                off,
            } => {
                let (base, off) = self.address(func, addr, off, size.bytes());
                self.asm.load(size.bytes(), signed, d, base, off);
            }
            Op::Probe {
                size,
                signed,
                addr,
                off,
                kept,
            } => {
                let (mut base, off) = self.address(func, addr, off, size.bytes());
                if let Some(kept) = kept {
                    // What is kept may go to the register of the address.
                    if base != S1 {
                        self.asm.mov(S1, base);
                        base = S1;
                    }
                    let from = self.from(func, kept);
                    self.copy(func, Loc::R(d), from);
                }
                let zeroed = if kept.is_none() { Some(d) } else { None };
                self.may_fault(true, zeroed);
                self.asm.load(size.bytes(), signed, d, base, off);
            }
            Op::Store {
                size,
                addr,
                off,
                value,
                faults,
            } => {
                let (base, off) = self.address(func, addr, off, size.bytes());
                let value = self.get(func, value, S0);
                self.may_fault(faults, None);
                self.asm.store(size.bytes(), value, base, off);
            }
            Op::Atomic {
                size,
                op,
                addr,
                off,
                operand,
                expected,
                faults,
                ..
            } => {
                let w = size == Size::B64;
                let (base, off) = self.address(func, addr, off, size.bytes());
                if (-4095..4096).contains(&off) {
                    self.asm.add_imm(true, S1, base, off);
                } else {
                    self.asm.constant(S2, i64::from(off) as u64);
                    self.asm.two(Two::Add, true, S1, base, S2);
                }
                let operand = self.get(func, operand, S0);
                if faults && !matches!(op, AtomicOp::Cmpxchg | AtomicOp::And) {
                    self.asm.zext(S2, operand, size.bytes() * 8);
                }
                self.atomic(func, op, w, operand, expected, faults);
                if d != S2 {
                    self.asm.mov(d, S2);
                }
            }
            Op::Charge(amount) => return self.charge(amount),
            Op::CpuId => {
                self.asm.load(8, false, S0, SP, self.state);
                self.asm.load(4, false, d, S0, layout::CPU_ID);
            }
            Op::Barrier => return self.asm.speculation_barrier(),
            Op::Ordered => return self.asm.full_barrier(),
            Op::Helper { .. }
            | Op::Direct { .. }
            | Op::Local { .. }
            | Op::TailCall { .. }
            | Op::Packet { .. } => {
                self.call(func, op);
                if d != 0 && self.loc(v) != Loc::None {
                    self.asm.mov(d, 0);
                }
            }
        }
        self.settle(v, d);
    }

    /// The operation on the word at S1, whose old value comes to S2.
    fn atomic(
        &mut self,
        func: &Func,
        op: AtomicOp,
        w: bool,
        operand: X,
        expected: Option<Val>,
        faults: bool,
    ) {
        let atom = match op {
            AtomicOp::Add => Atom::Add,
            AtomicOp::Or => Atom::Set,
            AtomicOp::Xor => Atom::Xor,
            AtomicOp::Xchg => Atom::Swap,
            AtomicOp::And => {
                self.asm.two(Two::Orn, true, S2, ZR, operand);
                self.may_fault(faults, None);
                return self.asm.atomic(Atom::Clear, w, S2, S2, S1);
            }
            AtomicOp::Cmpxchg => {
                if let Some(expected) = expected {
                    let from = self.from(func, expected);
                    self.copy(func, Loc::R(S2), from);
                }
                if faults && !w {
                    self.asm.zext(S2, S2, 32);
                }
                self.may_fault(faults, None);
                return self.asm.compare_and_swap(w, S2, operand, S1);
            }
        };
        self.may_fault(faults, None);
        self.asm.atomic(atom, w, operand, S2, S1);
    }

    /// Notes that the next instruction may fault, and what becomes zero then.
    fn may_fault(&mut self, faults: bool, zeroed: Option<X>) {
        if faults {
            let at = self.asm.label();
            self.asm.bind(at);
            self.shared.faults.push((at, zeroed));
        }
    }

    fn binary(&mut self, func: &Func, d: X, op: BinOp, width: Width, a: Val, b: Val) {
        let w = width == Width::W64;
        let all = bits(width);
        let count = func.constant(b).map(|c| c as u32 & (all - 1));
        let a = self.get(func, a, S0);
        let shifts = matches!(
            op,
            BinOp::Rotl | BinOp::Alu(AluOp::Lsh | AluOp::Rsh | AluOp::Arsh)
        );
        if let (true, Some(count)) = (shifts, count) {
            return match op {
                BinOp::Alu(AluOp::Lsh) => self.asm.lsl(w, d, a, count),
                BinOp::Alu(AluOp::Rsh) => self.asm.lsr(w, d, a, count),
                BinOp::Alu(_) => self.asm.asr(w, d, a, count),
                BinOp::Rotl => self.asm.ror(w, d, a, (all - count) % all),
            };
        }
        let small = func.constant(b).map(|c| c as i64);
        if let (BinOp::Alu(AluOp::Add), Some(c @ -4095..4096)) = (op, small) {
            return self.asm.add_imm(w, d, a, c as i32);
        }
        let b = self.get(func, b, S1);
        let two = match op {
            BinOp::Rotl => {
                self.asm.two(Two::Sub, w, S1, ZR, b);
                return self.asm.two(Two::Ror, w, d, a, S1);
            }
            BinOp::Alu(op) => match op {
                AluOp::Add => Two::Add,
                AluOp::Sub => Two::Sub,
                AluOp::Mul => Two::Mul,
                AluOp::Div => Two::Udiv,
                AluOp::Sdiv => Two::Sdiv,
                AluOp::Or => Two::Orr,
                AluOp::And => Two::And,
                AluOp::Xor => Two::Eor,
                AluOp::Lsh => Two::Lsl,
                AluOp::Rsh => Two::Lsr,
                AluOp::Arsh => Two::Asr,
                // Division by zero gives zero on this machine, so that the remainder is right.
                AluOp::Mod | AluOp::Smod => {
                    let op = if op == AluOp::Mod {
                        Two::Udiv
                    } else {
                        Two::Sdiv
                    };
                    self.asm.two(op, w, S2, a, b);
                    return self.asm.msub(w, d, S2, b, a);
                }
            },
        };
        self.asm.two(two, w, d, a, b);
    }
}

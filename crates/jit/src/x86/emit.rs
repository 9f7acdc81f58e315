//! From machine instructions and the places of their operands to bytes.

mod arith;

use skep_isa::Size;

use super::asm::{Asm, Group1, Label, Mem, R, R9, R10, R11, RAX, RDI, RDX, RSP, Rm, Shift, cc};
use super::blind::Keys;
use super::mir::{Addr, Arg, Base, Callee, M, MFunc, Src, UnOp, V};
use super::regs::{ARGS, FUEL, Loc, Places};
use crate::layout;

/// What the code of all functions shares.
pub(crate) struct Shared<'a> {
    /// The beginnings of the functions.
    pub functions: &'a [Label],
    /// The rounds of `bpf_loop` with each function, where there are some.
    pub loops: Vec<Option<Label>>,
    /// Where a run ends that does not return.
    pub stop: Label,
    /// Where more fuel is asked for.
    pub refill: Label,
    pub bmi2: bool,
    /// Whether the code counts; [`FUEL`] then is what is left when functions begin and end.
    pub bounded: bool,
    /// What hidden constants are combined with.
    pub keys: Keys,
    /// Places in the code, and the slots of the program that they come from.
    pub lines: Vec<(Label, u32)>,
    /// Instructions that may fault, where to go on, and the register that is zero then.
    pub faults: Vec<(Label, Label, R)>,
}

/// The emitter needs a register more; r10 has to be withheld from the allocation.
pub(crate) struct NeedsSpare;

/// The most bytes of native stack that a function may take.
const FRAME_MAX: u32 = 3072;

/// The registers that a function saves, in the order of pushes.
const SAVED: [R; 6] = [3, 5, 12, 13, 14, 15];

/// Appends the code of a function.
///
/// Errors: `Err(None)` when its frame is too large.
pub(crate) fn emit(
    asm: &mut Asm,
    func: &MFunc,
    places: &Places,
    shared: &mut Shared<'_>,
    index: u32,
    spare: bool,
) -> Result<(), Option<NeedsSpare>> {
    let saved: Vec<R> = SAVED
        .into_iter()
        .filter(|r| places.saved >> r & 1 != 0 && !(shared.bounded && *r == FUEL))
        .collect();
    // The frame from its lower end: spilled values, the state, the fuel, the allowance, the
    // program's.
    let mut size = 8 * places.slots;
    let state = size;
    size += if func.has_calls { 8 } else { 0 };
    // Next to the state, where the code that asks for more looks for both.
    let fuel = size;
    size += if shared.bounded { 8 } else { 0 };
    let allowance = size;
    size += if func.has_may_goto { 8 } else { 0 };
    size += func.frame.next_multiple_of(8);
    // The stack is aligned to 16 at calls; the return address lies below the boundary.
    if func.has_calls && !(size + 8 * saved.len() as u32 + 8).is_multiple_of(16) {
        size += 8;
    }
    if size > FRAME_MAX {
        return Err(None);
    }
    let labels = (0..func.blocks.len()).map(|_| asm.label()).collect();
    let done = asm.label();
    let mut e = Emit {
        asm,
        func,
        places,
        shared,
        index,
        size: size as i32,
        state: state as i32,
        fuel: fuel as i32,
        allowance: allowance as i32,
        saved,
        labels,
        empty: Vec::new(),
        done,
        wants_spare: false,
        shared_exit: false,
        cold: Vec::new(),
    };
    e.function();
    if e.wants_spare && !spare {
        Err(Some(NeedsSpare))
    } else {
        Ok(())
    }
}

struct Emit<'a, 's> {
    asm: &'a mut Asm,
    func: &'a MFunc,
    places: &'a Places,
    shared: &'a mut Shared<'s>,
    index: u32,
    size: i32,
    state: i32,
    fuel: i32,
    allowance: i32,
    saved: Vec<R>,
    labels: Vec<Label>,
    /// Which blocks only jump on.
    empty: Vec<bool>,
    done: Label,
    wants_spare: bool,
    shared_exit: bool,
    /// Where fuel runs out, and where to go on.
    cold: Vec<(Label, Label)>,
}

fn on_stack(disp: i32) -> Mem {
    Mem {
        base: RSP,
        index: None,
        disp,
    }
}

impl Emit<'_, '_> {
    fn function(&mut self) {
        let func = self.func;
        for r in self.saved.clone() {
            self.asm.push(r);
        }
        if self.size != 0 {
            self.asm.alu_imm(Group1::Sub, 8, Rm::R(RSP), self.size);
        }
        if func.has_calls {
            self.asm.store(8, on_stack(self.state), R9);
        }
        self.keep_fuel();
        let heads = loop_heads(func);
        self.empty = (0..func.blocks.len())
            .map(|block| self.is_empty(block))
            .collect();
        for (i, block) in func.blocks.iter().enumerate() {
            self.asm.bind(self.labels[i]);
            if self.empty[i] {
                continue;
            }
            if heads[i] && block.depth > 0 {
                self.asm.align(10);
                // Jumps go behind the filling.
                self.asm.bind(self.labels[i]);
            }
            for m in &block.insts {
                self.inst(m, i);
            }
        }
        if self.shared_exit {
            self.asm.bind(self.done);
            self.leave();
        }
        for (out, back) in std::mem::take(&mut self.cold) {
            self.asm.bind(out);
            if self.places.fuel_held {
                self.asm.store(8, on_stack(self.fuel), FUEL);
            }
            self.asm.lea(true, R11, on_stack(self.fuel));
            self.asm.call(self.shared.refill);
            if self.places.fuel_held {
                self.asm.mov(true, FUEL, Rm::M(on_stack(self.fuel)));
            }
            self.asm.jump(back);
        }
    }

    fn leave(&mut self) {
        self.carry_fuel();
        if self.size != 0 {
            self.asm.alu_imm(Group1::Add, 8, Rm::R(RSP), self.size);
        }
        for r in self.saved.clone().into_iter().rev() {
            self.asm.pop(r);
        }
        self.asm.ret();
    }

    /// Whether a block does nothing but jump on.
    fn is_empty(&self, block: usize) -> bool {
        let Some((last, rest)) = self.func.blocks[block].insts.split_last() else {
            return false;
        };
        matches!(last, M::Jump { to } if *to as usize != block)
            && rest.iter().all(|m| self.is_nothing(m))
    }

    /// Whether an instruction leaves no code.
    fn is_nothing(&self, m: &M) -> bool {
        match m {
            M::Mov { dst, src } => self.loc(*dst) == self.loc(*src) || self.loc(*dst) == Loc::None,
            M::Imm { dst, .. } => matches!(self.loc(*dst), Loc::Const(_) | Loc::None),
            _ => false,
        }
    }

    /// The block that a jump to this one ends in.
    fn through(&self, mut block: u32) -> u32 {
        for _ in 0..self.func.blocks.len() {
            match self.func.blocks[block as usize].insts.last() {
                Some(M::Jump { to }) if self.empty[block as usize] => block = *to,
                _ => break,
            }
        }
        block
    }

    /// The block that follows in the code; those that only jump on are left out of it.
    fn next(&self, block: usize) -> u32 {
        let after = self.empty.iter().skip(block + 1).position(|empty| !empty);
        after.map_or(u32::MAX, |gap| (block + 1 + gap) as u32)
    }

    fn loc(&self, v: V) -> Loc {
        self.places.locs[v as usize]
    }

    fn slot(&self, slot: u32) -> Mem {
        on_stack(8 * slot as i32)
    }

    /// The second scratch register.
    fn second(&mut self) -> R {
        self.wants_spare = true;
        R10
    }

    /// The value in a register, `scratch` if it lies in none.
    fn reg(&mut self, v: V, scratch: R) -> R {
        match self.loc(v) {
            Loc::R(r) => r,
            Loc::Slot(s) => {
                let mem = self.slot(s);
                self.asm.mov(true, scratch, Rm::M(mem));
                scratch
            }
            Loc::Const(c) => {
                self.asm.mov_imm(scratch, c);
                scratch
            }
            Loc::None => scratch,
        }
    }

    /// The value as an operand.
    fn rm(&mut self, v: V, scratch: R) -> Rm {
        match self.loc(v) {
            Loc::Slot(s) => Rm::M(self.slot(s)),
            _ => Rm::R(self.reg(v, scratch)),
        }
    }

    /// The register to compute a result in: its own, or a scratch.
    fn target(&mut self, v: V, scratch: R) -> R {
        match self.loc(v) {
            Loc::R(r) => r,
            _ => scratch,
        }
    }

    /// Puts a result that was computed in a scratch to its place.
    fn settle(&mut self, v: V, r: R) {
        if let Loc::Slot(s) = self.loc(v) {
            let mem = self.slot(s);
            self.asm.store(8, mem, r);
        }
    }

    /// An address, with r11 and possibly r10 for what lies in no register. Gives whether r11
    /// was used, too.
    fn mem(&mut self, addr: Addr) -> (Mem, bool) {
        let (base, disp, mut used) = match addr.base {
            Base::Frame => (RSP, addr.disp.wrapping_add(self.size), false),
            Base::V(v) => {
                let r = self.reg(v, R11);
                (r, addr.disp, r == R11)
            }
        };
        let index = addr.index.map(|(v, shift)| {
            let scratch = match (used, self.loc(v)) {
                (_, Loc::R(r)) => r,
                (false, _) => {
                    used = true;
                    R11
                }
                (true, _) => self.second(),
            };
            (self.reg(v, scratch), shift)
        });
        (Mem { base, index, disp }, used)
    }

    /// A second operand, and whether r11 is in use for it.
    fn src(&mut self, src: Src) -> (Option<i32>, Rm, bool) {
        match src {
            Src::Imm(imm) => (Some(imm), Rm::R(R11), false),
            Src::V(v) => {
                let rm = self.rm(v, R11);
                (None, rm, rm == Rm::R(R11))
            }
            Src::Mem(addr) => {
                let (mem, used) = self.mem(addr);
                (None, Rm::M(mem), used)
            }
        }
    }

    fn inst(&mut self, m: &M, block: usize) {
        match *m {
            _ if self.is_nothing(m) => {}
            M::Imm { dst, value } => {
                let r = self.target(dst, R11);
                match (self.loc(dst), i32::try_from(value as i64)) {
                    (Loc::Slot(s), Ok(imm)) => {
                        let mem = self.slot(s);
                        self.asm.store_imm(8, mem, imm);
                    }
                    _ => {
                        self.asm.mov_imm(r, value);
                        self.settle(dst, r);
                    }
                }
            }
            M::Lea { dst, wide, addr } => {
                let (mem, _) = self.mem(addr);
                let r = self.target(dst, R11);
                self.asm.lea(wide, r, mem);
                self.settle(dst, r);
            }
            M::Mov { dst, src } => match (self.loc(dst), self.loc(src)) {
                (Loc::R(r), _) => {
                    let rm = self.rm(src, r);
                    if rm != Rm::R(r) {
                        self.asm.mov(true, r, rm);
                    }
                }
                _ => {
                    let r = self.reg(src, R11);
                    self.settle(dst, r);
                }
            },
            M::Zx { size, dst, src } => {
                let rm = self.rm(src, R11);
                let r = self.target(dst, R11);
                self.asm.movzx(size, r, rm);
                self.settle(dst, r);
            }
            M::Sx {
                size,
                wide,
                dst,
                src,
            } => {
                let rm = self.rm(src, R11);
                let r = self.target(dst, R11);
                self.asm.movsx(wide, size, r, rm);
                self.settle(dst, r);
            }
            M::Alu {
                op,
                wide,
                dst,
                a,
                b,
            } => self.alu(op, wide, dst, a, b),
            M::Mul { wide, dst, a, b } => self.mul(wide, dst, a, b),
            M::Un { op, wide, dst, a } => {
                let r = self.target(dst, R11);
                self.copy(r, a);
                match op {
                    UnOp::Neg => self.asm.group3(3, wide, Rm::R(r)),
                    UnOp::Not => self.asm.group3(2, wide, Rm::R(r)),
                    UnOp::Swap(Size::B16) => {
                        self.asm.bswap(false, r);
                        self.asm.shift_imm(Shift::Shr, 4, Rm::R(r), 16);
                    }
                    UnOp::Swap(_) => self.asm.bswap(wide, r),
                }
                self.settle(dst, r);
            }
            M::ShiftImm {
                op,
                wide,
                dst,
                a,
                count,
            } => self.shift_imm(op, wide, dst, a, count),
            M::ShiftBy {
                op,
                wide,
                dst,
                a,
                count,
            } => self.shift_by(op, wide, dst, a, count),
            M::Div {
                signed,
                rem,
                wide,
                nonzero,
                dst,
                a,
                b,
            } => {
                if signed {
                    self.signed_div(rem, wide, dst, a, b);
                } else {
                    self.div(rem, wide, nonzero, dst, a, b);
                }
            }
            M::Load {
                size,
                signed,
                swap,
                dst,
                addr,
            } => {
                let (mem, _) = self.mem(addr);
                let r = self.target(dst, R11);
                match (swap, signed) {
                    (true, _) => self.asm.movbe_load(size == 8, r, mem),
                    (_, true) => self.asm.movsx(true, size, r, Rm::M(mem)),
                    (_, false) => self.asm.movzx(size, r, Rm::M(mem)),
                }
                self.settle(dst, r);
            }
            M::Probe {
                size,
                signed,
                dst,
                addr,
            } => {
                let (mem, _) = self.mem(addr);
                let r = self.target(dst, R11);
                let (at, resume) = (self.asm.label(), self.asm.label());
                self.asm.bind(at);
                match signed {
                    true => self.asm.movsx(true, size, r, Rm::M(mem)),
                    false => self.asm.movzx(size, r, Rm::M(mem)),
                }
                self.asm.bind(resume);
                self.shared.faults.push((at, resume, r));
                self.settle(dst, r);
            }
            M::Store {
                size,
                swap,
                addr,
                src,
            } => {
                let (mem, used) = self.mem(addr);
                match src {
                    Src::Imm(imm) => self.asm.store_imm(size, mem, imm),
                    Src::Mem(_) => {}
                    Src::V(v) => {
                        let r = self.reg_besides(v, used);
                        if swap {
                            self.asm.movbe_store(size == 8, mem, r);
                        } else {
                            self.asm.store(size, mem, r);
                        }
                    }
                }
            }
            M::Update {
                op,
                size,
                addr,
                src,
            } => {
                let (mem, used) = self.mem(addr);
                match src {
                    Src::Imm(imm) => self.asm.alu_imm(op, size, Rm::M(mem), imm),
                    Src::Mem(_) => {}
                    Src::V(v) => {
                        let r = self.reg_besides(v, used);
                        self.asm.alu_to_mem(op, size, mem, r);
                    }
                }
            }
            M::Cmp { test, wide, a, b } => self.compare(test, wide, a, b),
            M::Cmov { cc, dst, t, f } => {
                let r = self.target(dst, R11);
                if self.loc(t) == Loc::R(r) {
                    let rm = self.rm(f, R11);
                    self.asm.cmov(cc ^ 1, true, r, rm);
                } else {
                    self.copy(r, f);
                    let rm = if r == R11 {
                        match self.loc(t) {
                            Loc::Const(_) => {
                                let second = self.second();
                                self.rm(t, second)
                            }
                            _ => self.rm(t, R11),
                        }
                    } else {
                        self.rm(t, R11)
                    };
                    self.asm.cmov(cc, true, r, rm);
                }
                self.settle(dst, r);
            }
            M::Atomic {
                op,
                fetch,
                wide,
                dst,
                addr,
                operand,
                expected,
            } => {
                self.atomic(op, fetch, wide, dst, addr, operand, expected);
            }
            M::Call { callee, args, dst } => self.call(callee, args, dst),
            M::CpuId { dst } => {
                let r = self.target(dst, R11);
                self.asm.mov(true, r, Rm::M(on_stack(self.state)));
                let mem = Mem {
                    base: r,
                    index: None,
                    disp: layout::CPU_ID,
                };
                self.asm.mov(false, r, Rm::M(mem));
                self.settle(dst, r);
            }
            M::Barrier => self.asm.lfence(),
            M::Hidden { dst, value } => {
                let key = self.shared.keys.next();
                let r = self.target(dst, R11);
                // The common forms: a constant that is its own low half, and any other.
                if let Ok(low) = i32::try_from(value as i64) {
                    let key = key as i32;
                    self.asm.mov_imm(r, i64::from(low ^ key) as u64);
                    self.asm.alu_imm(Group1::Xor, 8, Rm::R(r), key);
                } else {
                    self.asm.mov_imm(r, value ^ key);
                    let second = if r == R11 { self.second() } else { R11 };
                    self.asm.mov_imm(second, key);
                    self.asm.alu(Group1::Xor, true, r, Rm::R(second));
                }
                self.settle(dst, r);
            }
            M::Charge { amount } => {
                let (out, back) = (self.asm.label(), self.asm.label());
                let fuel = match self.places.fuel_held {
                    true => Rm::R(FUEL),
                    false => Rm::M(on_stack(self.fuel)),
                };
                self.asm.alu_imm(Group1::Sub, 8, fuel, amount as i32);
                self.asm.jump_if(cc::S, out);
                self.asm.bind(back);
                self.cold.push((out, back));
            }
            M::Line(slot) => {
                let label = self.asm.label();
                self.asm.bind(label);
                self.shared.lines.push((label, slot));
            }
            M::Params { dst } => {
                let moves: Vec<(Loc, R)> = dst
                    .iter()
                    .zip(ARGS)
                    .filter_map(|(v, r)| v.map(|v| (self.loc(v), r)))
                    .collect();
                // What goes to memory makes room first.
                for (loc, r) in &moves {
                    if let Loc::Slot(s) = loc {
                        let mem = self.slot(*s);
                        self.asm.store(8, mem, *r);
                    }
                }
                let moves = moves.iter().filter_map(|(loc, r)| match loc {
                    Loc::R(to) => Some((*to, *r)),
                    _ => None,
                });
                let moves = moves.collect();
                self.shuffle(moves);
            }
            M::Allow => {
                let mem = on_stack(self.allowance);
                self.asm.store_imm(8, mem, layout::MAY_GOTO);
            }
            M::Spend => {
                let mem = on_stack(self.allowance);
                self.asm.alu_imm(Group1::Sub, 8, Rm::M(mem), 1);
            }
            M::JumpIf { cc, then, other } => {
                let next = self.next(block);
                let (then, other) = (self.through(then), self.through(other));
                if then == other {
                    if then != next {
                        self.asm.jump(self.labels[then as usize]);
                    }
                } else if other == next {
                    self.asm.jump_if(cc, self.labels[then as usize]);
                } else if then == next {
                    self.asm.jump_if(cc ^ 1, self.labels[other as usize]);
                } else {
                    self.asm.jump_if(cc, self.labels[then as usize]);
                    self.asm.jump(self.labels[other as usize]);
                }
            }
            M::Jump { to } => {
                let to = self.through(to);
                if to != self.next(block) {
                    self.asm.jump(self.labels[to as usize]);
                }
            }
            M::Ret { v } => {
                match v {
                    Arg::V(v) => self.copy(RAX, v),
                    Arg::Imm(c) => self.asm.mov_imm(RAX, c),
                    Arg::Frame(disp) => self.asm.lea(true, RAX, on_stack(self.size + disp)),
                    Arg::Any => {}
                }
                if self.saved.is_empty() || block + 1 == self.func.blocks.len() {
                    self.leave();
                } else {
                    self.shared_exit = true;
                    self.asm.jump(self.done);
                }
            }
        }
    }

    /// Between functions, what is left of the fuel is in its register.
    fn carry_fuel(&mut self) {
        if self.shared.bounded && !self.places.fuel_held {
            self.asm.mov(true, FUEL, Rm::M(on_stack(self.fuel)));
        }
    }

    /// Within a function it lies in the frame, unless it keeps its register.
    fn keep_fuel(&mut self) {
        if self.shared.bounded && !self.places.fuel_held {
            self.asm.store(8, on_stack(self.fuel), FUEL);
        }
    }

    /// Puts a value into a register.
    fn copy(&mut self, r: R, v: V) {
        let rm = self.rm(v, r);
        if rm != Rm::R(r) {
            self.asm.mov(true, r, rm);
        }
    }

    /// The value in a register while r11 may be in use.
    fn reg_besides(&mut self, v: V, used: bool) -> R {
        match self.loc(v) {
            Loc::R(r) => r,
            _ => {
                let scratch = if used { self.second() } else { R11 };
                self.reg(v, scratch)
            }
        }
    }

    /// The value as an operand while r11 may be in use.
    fn rm_besides(&mut self, v: V, used: bool) -> Rm {
        match self.loc(v) {
            Loc::Slot(s) => Rm::M(self.slot(s)),
            _ => Rm::R(self.reg_besides(v, used)),
        }
    }

    fn quotient(&mut self, rem: bool, dst: V) {
        let from = if rem { RDX } else { RAX };
        match self.loc(dst) {
            Loc::R(r) if r != from => self.asm.mov(true, r, Rm::R(from)),
            Loc::R(_) => {}
            _ => self.settle(dst, from),
        }
    }

    /// Register copies that happen all at once: target and source.
    fn shuffle(&mut self, mut moves: Vec<(R, R)>) {
        moves.retain(|(to, from)| to != from);
        while !moves.is_empty() {
            let free = moves
                .iter()
                .position(|(to, _)| !moves.iter().any(|(_, from)| from == to));
            match free {
                Some(at) => {
                    let (to, from) = moves.swap_remove(at);
                    self.asm.mov(true, to, Rm::R(from));
                }
                None => {
                    // Only circles are left: one step of one of them is an exchange.
                    let (to, from) = moves.swap_remove(0);
                    self.asm.xchg_regs(to, from);
                    for (_, source) in &mut moves {
                        if *source == to {
                            *source = from;
                        } else if *source == from {
                            *source = to;
                        }
                    }
                    moves.retain(|(to, from)| to != from);
                }
            }
        }
    }

    fn call(&mut self, callee: Callee, args: [Arg; 5], dst: V) {
        let mut moves = Vec::new();
        for (arg, to) in args.iter().zip(ARGS) {
            if let Arg::V(v) = arg
                && let Loc::R(from) = self.loc(*v)
            {
                moves.push((to, from));
            }
        }
        self.shuffle(moves);
        for (arg, to) in args.iter().zip(ARGS) {
            match arg {
                Arg::V(v) if !matches!(self.loc(*v), Loc::R(_)) => self.copy(to, *v),
                Arg::Imm(c) => self.asm.mov_imm(to, *c),
                Arg::Frame(disp) => self.asm.lea(true, to, on_stack(self.size + disp)),
                _ => {}
            }
        }
        self.asm.mov(true, R9, Rm::M(on_stack(self.state)));
        let field = |disp| Mem {
            base: R9,
            index: None,
            disp,
        };
        let (number, entry) = match callee {
            Callee::Local(function) => {
                self.carry_fuel();
                self.asm.call(self.shared.functions[function as usize]);
                self.keep_fuel();
                return self.quotient(false, dst);
            }
            Callee::Loop(function) => {
                let asm = &mut *self.asm;
                let label = self.shared.loops[function as usize].get_or_insert_with(|| asm.label());
                let label = *label;
                self.carry_fuel();
                self.asm.call(label);
                self.keep_fuel();
                return self.quotient(false, dst);
            }
            Callee::Direct { function, object } => {
                self.asm.mov_imm(RDI, object);
                self.asm.mov(false, R9, Rm::M(field(layout::CPU_ID)));
                self.asm.mov_imm(RAX, function);
                self.asm.call_rm(Rm::R(RAX));
                return self.quotient(false, dst);
            }
            Callee::Helper(id) => (id, layout::CALL_HELPER),
            Callee::TailCall => (self.index as i32, layout::TAIL_CALL),
            Callee::Packet(size) => (size as i32, layout::LOAD_PACKET),
        };
        self.asm.store_imm(4, field(layout::NUMBER), number);
        if self.shared.bounded {
            let left = match self.places.fuel_held {
                true => FUEL,
                false => {
                    self.asm.mov(true, R11, Rm::M(on_stack(self.fuel)));
                    R11
                }
            };
            self.asm.store(8, field(layout::FUEL), left);
        }
        self.asm.call_rm(Rm::M(field(entry)));
        if self.shared.bounded {
            self.asm.mov(true, R11, Rm::M(on_stack(self.state)));
            let left = Mem {
                base: R11,
                index: None,
                disp: layout::FUEL,
            };
            match self.places.fuel_held {
                true => self.asm.mov(true, FUEL, Rm::M(left)),
                false => {
                    self.asm.mov(true, R11, Rm::M(left));
                    self.asm.store(8, on_stack(self.fuel), R11);
                }
            }
        }
        self.asm.test(true, Rm::R(RDX), RDX);
        if matches!(callee, Callee::Helper(_)) {
            self.asm.jump_if(cc::NE, self.shared.stop);
        } else {
            let go_on = self.asm.label();
            self.asm.jump_if(cc::E, go_on);
            self.asm.alu_imm(Group1::Cmp, 8, Rm::R(RDX), 1);
            self.asm.jump_if(cc::NE, self.shared.stop);
            self.shared_exit = true;
            self.asm.jump(self.done);
            self.asm.bind(go_on);
        }
        self.quotient(false, dst);
    }
}

/// Blocks that a later one jumps back to.
fn loop_heads(func: &MFunc) -> Vec<bool> {
    let mut heads = vec![false; func.blocks.len()];
    for (i, block) in func.blocks.iter().enumerate() {
        for succ in &block.succs {
            if *succ as usize <= i {
                heads[*succ as usize] = true;
            }
        }
    }
    heads
}

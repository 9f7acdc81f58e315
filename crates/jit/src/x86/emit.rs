//! From machine instructions and the places of their operands to bytes.

mod arith;
mod call;
mod faulting;
mod frame;
mod operand;

use skep_isa::Size;

use super::asm::{Asm, Group1, Label, Mem, R, R11, RAX, RSP, Rm, Shift, cc};
use super::blind::Keys;
use super::mir::{Arg, Called, M, MFunc, Src, UnOp, V};
use super::regs::{ARGS, FUEL, Loc, Places};
use crate::ir::Counted;
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
    /// What goes to where r11 points, in code that must not do that by itself.
    pub indirect: Option<Label>,
    pub bmi2: bool,
    /// Whether the code counts; [`FUEL`] then is what is left when functions begin and end.
    pub bounded: bool,
    /// What hidden constants are combined with.
    pub keys: Keys,
    /// Places in the code, and the slots of the program that they come from.
    pub lines: Vec<(Label, u32)>,
    /// Instructions that may fault, where to go on, and the register that is zero then.
    pub faults: Vec<(Label, Label, Option<R>)>,
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
        flags: None,
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
    /// The value that was computed last, and whether of 64 bits, where the flags tell of it.
    flags: Option<(V, bool)>,
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
            M::Count { what, wide, dst, a } => {
                let rm = self.rm(a, R11);
                let r = self.target(dst, R11);
                match what {
                    Counted::Ones => self.asm.popcnt(wide, r, rm),
                    Counted::Leading => self.asm.lzcnt(wide, r, rm),
                    Counted::Trailing => self.asm.tzcnt(wide, r, rm),
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
                kept,
            } => self.probe((size, signed), dst, addr, kept),
            M::Store {
                faults,
                size,
                swap,
                addr,
                src,
            } => self.store(faults, (size, swap), addr, src),
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
                faults,
                op,
                fetch,
                wide,
                dst,
                addr,
                operand,
                expected,
            } => {
                self.atomic(faults, (op, fetch, wide), dst, addr, operand, expected);
            }
            M::Call { call, dst } => {
                if let Some(Called { callee, args }) = self.func.calls.get(call as usize) {
                    self.call(*callee, *args, dst);
                }
            }
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
}

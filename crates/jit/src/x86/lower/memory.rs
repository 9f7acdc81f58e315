//! Addresses in the form that the machine adds up, and stores that do more than store.

use skep_isa::{AluOp, Size, Width};

use super::Lower;
use crate::ir::{BinOp, Func, Op, Val};
use crate::opt::low;
use crate::x86::asm::Group1;
use crate::x86::mir::{Addr, Base, M, Src, V};

/// Which values are only used as addresses, or in sums and small multiples that are.
pub(super) fn address_only(func: &mut Func) -> Vec<bool> {
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
                    expected.iter().for_each(|o| only[o.at()] = false);
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

impl Lower<'_> {
    /// An address in the form that the machine adds up.
    pub(super) fn addr(&mut self, mut v: Val, mut disp: i32) -> Addr {
        let mut index = None;
        loop {
            match self.func.op(v) {
                Op::Frame(o) => {
                    if let Some(disp) = disp.checked_add(o) {
                        return Addr {
                            base: Base::Frame,
                            index,
                            disp,
                        };
                    }
                }
                Op::Bin {
                    op: BinOp::Alu(AluOp::Add),
                    width: Width::W64,
                    a,
                    b,
                } if self.address_only[v.at()] || self.uses[v.at()] == 1 => {
                    if let Some(c) = self.func.constant(b)
                        && let Ok(c) = i32::try_from(c as i64)
                        && let Some(sum) = self.sum_of_offsets(disp, c)
                    {
                        (v, disp) = (a, sum);
                        continue;
                    }
                    if index.is_none() {
                        let (base, scaled) = match (self.scaled(a), self.scaled(b)) {
                            (Some(scaled), None) => (b, scaled),
                            (_, Some(scaled)) => (a, scaled),
                            (None, None) => match self.func.op(b) {
                                Op::Frame(_) => (b, (a, 0)),
                                _ => (a, (b, 0)),
                            },
                        };
                        let (mut inner, shift) = scaled;
                        if let Some((x, c)) = self.plus(inner)
                            && let Some(sum) = c.checked_shl(shift.into())
                            && sum >> shift == c
                            && let Some(sum) = self.sum_of_offsets(disp, sum)
                        {
                            (inner, disp) = (x, sum);
                        }
                        index = Some((self.v(inner), shift));
                        v = base;
                        continue;
                    }
                }
                _ => {}
            }
            return Addr {
                base: Base::V(self.v(v)),
                index,
                disp,
            };
        }
    }

    /// Two offsets as one, unless that would put a constant of the program into the code that
    /// hardening hides.
    fn sum_of_offsets(&self, a: i32, b: i32) -> Option<i32> {
        let sum = a.checked_add(b)?;
        (!self.hardened || i8::try_from(b).is_ok()).then_some(sum)
    }

    /// A value as another one and a constant: it need not be known yet where it is an address.
    pub(super) fn plus(&self, v: Val) -> Option<(Val, i32)> {
        match self.func.op(v) {
            Op::Bin {
                op: BinOp::Alu(AluOp::Add),
                width,
                a,
                b,
            } => {
                let c = self.func.constant(b)?;
                // Counters have their own last use before their step.
                let alone = self.address_only[v.at()] || self.uses[v.at()] == 1;
                if !alone && self.func.op(a).is_phi() {
                    return None;
                }
                // A narrow sum is the wide one where nothing is carried out of it.
                let whole = width == Width::W64 || (c < 1 << 31 && self.known[a.at()] < 32);
                let c = i32::try_from(c as i64).ok()?;
                whole.then_some((a, c))
            }
            _ => None,
        }
    }

    /// A value times two, four or eight.
    pub(super) fn scaled(&self, v: Val) -> Option<(Val, u8)> {
        match self.func.op(v) {
            Op::Bin {
                op: BinOp::Alu(AluOp::Lsh),
                width: Width::W64,
                a,
                b,
            } => match self.func.constant(b) {
                Some(c @ 1..=3) => Some((a, c as u8)),
                _ => None,
            },
            _ => None,
        }
    }

    /// A product of a value with three, five or nine, which is a sum: the value and the shift.
    pub(super) fn odd_multiple(&self, v: Val, width: Width) -> Option<(Val, u8)> {
        match self.func.op(v) {
            Op::Bin {
                op: BinOp::Alu(AluOp::Mul),
                width: inner,
                a,
                b,
            } if inner == width => {
                let shift = match self.func.constant(b)? {
                    3 => 1,
                    5 => 2,
                    9 => 3,
                    _ => return None,
                };
                Some((a, shift))
            }
            _ => None,
        }
    }

    /// A few times a value, and a constant, in one instruction.
    pub(super) fn multiple_and(&mut self, dst: V, width: Width, v: Val, disp: i32) -> bool {
        let Some((x, shift)) = self.odd_multiple(v, width) else {
            return false;
        };
        let x = self.v(x);
        let addr = Addr {
            base: Base::V(x),
            index: Some((x, shift)),
            disp,
        };
        let wide = width == Width::W64;
        self.push(M::Lea { dst, wide, addr });
        true
    }

    /// A sum that one `lea` computes.
    pub(super) fn sum(&mut self, dst: V, a: Val, b: Val) -> bool {
        let scaled = |this: &Self, v: Val| {
            this.scaled(v)
                .filter(|_| this.uses[v.at()] == 1 && this.homes[v.at()].0 == this.block)
        };
        let (base, (index, shift)) = match (scaled(self, a), scaled(self, b)) {
            (_, Some(scaled)) if self.func.constant(a).is_none() => (a, scaled),
            (Some(scaled), _) if self.func.constant(b).is_none() => (b, scaled),
            _ => {
                if let Op::Frame(disp) = self.func.op(b) {
                    let index = Some((self.v(a), 0));
                    let addr = Addr {
                        base: Base::Frame,
                        index,
                        disp,
                    };
                    self.push(M::Lea {
                        dst,
                        wide: true,
                        addr,
                    });
                    return true;
                }
                if let Op::Frame(disp) = self.func.op(a)
                    && self.func.constant(b).is_none()
                {
                    let index = Some((self.v(b), 0));
                    let addr = Addr {
                        base: Base::Frame,
                        index,
                        disp,
                    };
                    self.push(M::Lea {
                        dst,
                        wide: true,
                        addr,
                    });
                    return true;
                }
                return false;
            }
        };
        let index = Some((self.v(index), shift));
        let (base, disp) = match self.func.op(base) {
            Op::Frame(disp) => (Base::Frame, disp),
            _ => (Base::V(self.v(base)), 0),
        };
        self.push(M::Lea {
            dst,
            wide: true,
            addr: Addr { base, index, disp },
        });
        true
    }

    pub(super) fn store(
        &mut self,
        (size, faults): (Size, bool),
        addr: Val,
        off: i32,
        value: Val,
        at: usize,
    ) {
        let bytes = size.bytes();
        if let Some(imm) = self.imm(value, if bytes == 8 { Width::W64 } else { Width::W32 }) {
            let addr = self.addr(addr, off);
            return self.push(M::Store {
                faults,
                size: bytes,
                swap: false,
                addr,
                src: Src::Imm(imm),
            });
        }
        if !faults && let Some((op, operand)) = self.update(size, addr, off, value, at) {
            let src = match self.imm(operand, if bytes == 8 { Width::W64 } else { Width::W32 }) {
                Some(imm) => Src::Imm(imm),
                None => Src::V(self.v(operand)),
            };
            let addr = self.addr(addr, off);
            return self.push(M::Update {
                op,
                size: bytes,
                addr,
                src,
            });
        }
        if let Op::Swap { size: swapped, a } = self.func.op(value)
            && swapped == size
            && self.uses[value.at()] == 1
            && self.homes[value.at()].0 == self.block
            && self.movbe
            && size != Size::B16
        {
            let src = Src::V(self.v(a));
            let addr = self.addr(addr, off);
            return self.push(M::Store {
                faults,
                size: bytes,
                swap: true,
                addr,
                src,
            });
        }
        let src = Src::V(self.v(value));
        let addr = self.addr(addr, off);
        self.push(M::Store {
            faults,
            size: bytes,
            swap: false,
            addr,
            src,
        });
    }

    /// A store of what was loaded from the same place, with one operation between.
    pub(super) fn update(
        &mut self,
        size: Size,
        addr: Val,
        off: i32,
        value: Val,
        at: usize,
    ) -> Option<(Group1, Val)> {
        let Op::Bin {
            op: BinOp::Alu(op),
            width,
            a,
            b,
        } = self.func.op(value)
        else {
            return None;
        };
        let op = match op {
            AluOp::Add => Group1::Add,
            AluOp::Sub => Group1::Sub,
            AluOp::Or => Group1::Or,
            AluOp::And => Group1::And,
            AluOp::Xor => Group1::Xor,
            _ => return None,
        };
        let fits = size != Size::B64 || width == Width::W64;
        let once = self.uses[value.at()] == 1 && self.homes[value.at()].0 == self.block;
        let here = |this: &Self, v: Val| {
            let v = low(&this.func.ops, v, size.bytes() * 8);
            let same = matches!(this.func.op(v), Op::Load { size: s, addr: x, off: o, .. }
                if s == size && x == addr && o == off);
            same && this.movable(v, at)
        };
        if !fits || !once || self.demanded[value.at()] {
            return None;
        }
        if here(self, a) {
            return Some((op, b));
        }
        (op != Group1::Sub && here(self, b)).then_some((op, a))
    }
}

//! Addresses in the form that the machine adds up, and stores that do more than store.

use skep_isa::{AluOp, Size, Width};

use super::Lower;
use crate::ir::{BinOp, Op, Val};
use crate::opt::low;
use crate::x86::asm::Group1;
use crate::x86::mir::{Addr, Base, M, Src, V};

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

    /// A value that is only used in addresses as another one and a constant.
    pub(super) fn plus(&self, v: Val) -> Option<(Val, i32)> {
        match self.func.op(v) {
            Op::Bin {
                op: BinOp::Alu(AluOp::Add),
                width: Width::W64,
                a,
                b,
            } if self.address_only[v.at()] || self.uses[v.at()] == 1 => {
                let c = self.func.constant(b)?;
                Some((a, i32::try_from(c as i64).ok()?))
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

//! What loads, stores and atomic operations become: accesses of memory, or of promoted slots.

use skep_isa::{AluOp, AtomicOp, Op as Isa, Reg, Size, Width};

use super::Builder;
use crate::ir::{BinOp, Op, Val};

impl Builder<'_> {
    pub(super) fn access(&mut self, at: u32, op: Isa) {
        match op {
            Isa::Load {
                size,
                signed,
                dst,
                base,
                off,
            } => {
                if let Some(var) = self.slots.at(at) {
                    let v = self.of_slot(var, size, signed);
                    self.write(dst, v);
                    return;
                }
                let addr = self.read(base);
                let off = off.into();
                if self.source.executable.probed.binary_search(&at).is_ok() {
                    let v = self.emit(Op::Probe {
                        size,
                        signed,
                        addr,
                        off,
                        kept: None,
                    });
                    self.write(dst, v);
                    return;
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
                    self.store_slot(var, size, value);
                    return;
                }
                let addr = self.read(base);
                let v = self.emit(Op::Store {
                    size,
                    addr,
                    off: off.into(),
                    value,
                    faults: false,
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
                    faults: false,
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
                let expected = (op == AtomicOp::Cmpxchg).then(|| self.read(Reg::R0));
                let off = off.into();
                let v = self.emit(Op::Atomic {
                    size,
                    op,
                    fetch,
                    addr,
                    off,
                    operand,
                    expected,
                    faults: false,
                });
                match op {
                    AtomicOp::Cmpxchg => self.write(Reg::R0, v),
                    _ if fetch => self.write(src, v),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// What lies in the first bytes of a promoted slot.
    pub(super) fn of_slot(&mut self, var: usize, from: Size, signed: bool) -> Val {
        let a = self.vars[var].unwrap_or(self.zero);
        let width = Width::W64;
        match (signed, self.slots.size(var) == Some(from)) {
            (true, _) => self.emit(Op::Sext { from, width, a }),
            (false, true) => a,
            (false, false) => self.zero_extended(from, a),
        }
    }

    /// Puts a value into the first bytes of a promoted slot.
    fn store_slot(&mut self, var: usize, size: Size, value: Val) {
        let mut v = match size {
            Size::B64 => value,
            from => self.zero_extended(from, value),
        };
        if self.slots.size(var) != Some(size) {
            let bin = |op, a, b| Op::Bin {
                op: BinOp::Alu(op),
                width: Width::W64,
                a,
                b,
            };
            let others = self.constant(u64::MAX << (size.bytes() * 8 - 1) << 1);
            let before = self.vars[var].unwrap_or(self.zero);
            let kept = self.emit(bin(AluOp::And, before, others));
            v = self.emit(bin(AluOp::Or, kept, v));
        }
        self.vars[var] = Some(v);
    }
}

//! Accesses in an arena, and the addresses that its user knows.

use skep_isa::{AluOp, AtomicOp, Cond, Op as Isa, Reg, Size, Width};
use skep_vm::ArenaPlace;

use super::Builder;
use crate::error::Unsupported;
use crate::ir::{BinOp, Op, Test, Val};

/// What a cast says of an address that is to be the user's.
const TO_USER: i32 = 1 << 16;

impl Builder<'_> {
    /// An instruction that accesses the arena.
    pub(super) fn in_arena(&mut self, at: u32, op: Isa) -> Result<(), Unsupported> {
        match op {
            Isa::Load {
                size,
                signed,
                dst,
                base,
                off,
            } => {
                let addr = self.place(at, base)?;
                let v = self.emit(Op::Probe {
                    size,
                    signed,
                    addr,
                    off: off.into(),
                    kept: None,
                });
                self.write(dst, v);
            }
            Isa::LoadAcquire {
                size,
                dst,
                base,
                off,
            } => {
                let addr = self.place(at, base)?;
                let a = self.read(dst);
                let kept = Some(self.emit(Op::Zext { from: size, a }));
                let v = self.emit(Op::Probe {
                    size,
                    signed: false,
                    addr,
                    off: off.into(),
                    kept,
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
                let addr = self.place(at, base)?;
                self.store(size, addr, off, value);
            }
            Isa::StoreRelease {
                size,
                base,
                off,
                src,
            } => {
                let value = self.read(src);
                let addr = self.place(at, base)?;
                self.emit(Op::Ordered);
                self.store(size, addr, off, value);
            }
            Isa::Atomic {
                size,
                op,
                fetch,
                base,
                off,
                src,
            } if !(fetch && takes_steps(op)) => {
                let addr = self.place(at, base)?;
                let operand = self.read(src);
                let expected = (op == AtomicOp::Cmpxchg).then(|| self.read(Reg::R0));
                let v = self.emit(Op::Atomic {
                    size,
                    op,
                    fetch,
                    addr,
                    off: off.into(),
                    operand,
                    expected,
                    faults: true,
                });
                match op {
                    AtomicOp::Cmpxchg => self.write(Reg::R0, v),
                    _ if fetch => self.write(src, v),
                    _ => {}
                }
            }
            _ => {
                let what = "such an access in an arena";
                return Err(Unsupported { at, what });
            }
        }
        Ok(())
    }

    fn store(&mut self, size: Size, addr: Val, off: i16, value: Val) {
        self.emit(Op::Store {
            size,
            addr,
            off: off.into(),
            value,
            faults: true,
        });
    }

    /// Where the address in a register leads, of which only the low half counts.
    fn place(&mut self, at: u32, register: Reg) -> Result<Val, Unsupported> {
        let b = self.window.ok_or(no_arena(at))?;
        let a = self.read(register);
        let a = self.emit(Op::Zext { from: Size::B32, a });
        Ok(self.emit(Op::Bin {
            op: BinOp::Alu(AluOp::Add),
            width: Width::W64,
            a,
            b,
        }))
    }

    /// A cast: the address as the user knows it; none stays none.
    pub(super) fn users_address(
        &mut self,
        at: u32,
        dst: Reg,
        src: Reg,
        imm: i32,
    ) -> Result<(), Unsupported> {
        if imm != TO_USER {
            let what = "such an address space cast";
            return Err(Unsupported { at, what });
        }
        let arena = self.arena().ok_or(no_arena(at))?;
        let a = self.read(src);
        let low = self.emit(Op::Zext { from: Size::B32, a });
        let upper = self.constant(arena.user_half());
        let none = self.constant(0);
        let t = self.emit(Op::Bin {
            op: BinOp::Alu(AluOp::Or),
            width: Width::W64,
            a: low,
            b: upper,
        });
        let test = Test {
            cond: Cond::Ne,
            width: Width::W32,
            a: low,
            b: none,
        };
        let v = self.emit(Op::Select { test, t, f: none });
        self.write(dst, v);
        Ok(())
    }

    pub(super) fn arena(&self) -> Option<ArenaPlace> {
        let map = self.source.executable.arena?;
        self.source.facts.arena(map)
    }
}

fn no_arena(at: u32) -> Unsupported {
    Unsupported {
        at,
        what: "an access without an arena",
    }
}

/// Operations that give the old value only in several steps.
fn takes_steps(op: AtomicOp) -> bool {
    matches!(op, AtomicOp::Or | AtomicOp::And | AtomicOp::Xor)
}

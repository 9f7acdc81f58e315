//! Where operands are, as registers, memory and constants, and what brings them there.

use super::{Emit, on_stack};
use crate::x86::asm::{Mem, R, R10, R11, RAX, RDX, RSP, Rm};
use crate::x86::mir::{Addr, Base, Src, V};
use crate::x86::regs::Loc;

impl Emit<'_, '_> {
    pub(super) fn loc(&self, v: V) -> Loc {
        self.places.locs[v as usize]
    }

    pub(super) fn slot(&self, slot: u32) -> Mem {
        on_stack(8 * slot as i32)
    }

    /// The second scratch register.
    pub(super) fn second(&mut self) -> R {
        self.wants_spare = true;
        R10
    }

    /// The value in a register, `scratch` if it lies in none.
    pub(super) fn reg(&mut self, v: V, scratch: R) -> R {
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
    pub(super) fn rm(&mut self, v: V, scratch: R) -> Rm {
        match self.loc(v) {
            Loc::Slot(s) => Rm::M(self.slot(s)),
            _ => Rm::R(self.reg(v, scratch)),
        }
    }

    /// The register to compute a result in: its own, or a scratch.
    pub(super) fn target(&mut self, v: V, scratch: R) -> R {
        match self.loc(v) {
            Loc::R(r) => r,
            _ => scratch,
        }
    }

    /// Puts a result that was computed in a scratch to its place.
    pub(super) fn settle(&mut self, v: V, r: R) {
        if let Loc::Slot(s) = self.loc(v) {
            let mem = self.slot(s);
            self.asm.store(8, mem, r);
        }
    }

    /// An address, with r11 and possibly r10 for what lies in no register. Gives whether r11
    /// was used, too.
    pub(super) fn mem(&mut self, addr: Addr) -> (Mem, bool) {
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
    pub(super) fn src(&mut self, src: Src) -> (Option<i32>, Rm, bool) {
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

    /// Puts a value into a register.
    pub(super) fn copy(&mut self, r: R, v: V) {
        let rm = self.rm(v, r);
        if rm != Rm::R(r) {
            self.asm.mov(true, r, rm);
        }
    }

    /// The value in a register while r11 may be in use.
    pub(super) fn reg_besides(&mut self, v: V, used: bool) -> R {
        match self.loc(v) {
            Loc::R(r) => r,
            _ => {
                let scratch = if used { self.second() } else { R11 };
                self.reg(v, scratch)
            }
        }
    }

    /// The value as an operand while r11 may be in use.
    pub(super) fn rm_besides(&mut self, v: V, used: bool) -> Rm {
        match self.loc(v) {
            Loc::Slot(s) => Rm::M(self.slot(s)),
            _ => Rm::R(self.reg_besides(v, used)),
        }
    }

    pub(super) fn quotient(&mut self, rem: bool, dst: V) {
        let from = if rem { RDX } else { RAX };
        match self.loc(dst) {
            Loc::R(r) if r != from => self.asm.mov(true, r, Rm::R(from)),
            Loc::R(_) => {}
            _ => self.settle(dst, from),
        }
    }
}

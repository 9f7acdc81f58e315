//! How accesses that may fault are written.

use super::Emit;
use crate::x86::asm::{Asm, R, R11, Rm};
use crate::x86::mir::{Addr, Src, V};
use crate::x86::regs::Loc;

impl Emit<'_, '_> {
    /// Writes one instruction, which may fault when it says so; then the register becomes zero,
    /// if there is one.
    pub(super) fn attempt(
        &mut self,
        faults: bool,
        register: Option<R>,
        write: impl FnOnce(&mut Asm),
    ) {
        if !faults {
            return write(self.asm);
        }
        let (at, resume) = (self.asm.label(), self.asm.label());
        self.asm.bind(at);
        write(self.asm);
        self.asm.bind(resume);
        self.shared.faults.push((at, resume, register));
    }

    pub(super) fn probe(
        &mut self,
        (size, signed): (u32, bool),
        dst: V,
        addr: Addr,
        kept: Option<V>,
    ) {
        let (mem, used) = self.mem(addr);
        let r = match self.loc(dst) {
            Loc::R(r) => r,
            // What is kept is there before the address is used.
            _ if used && kept.is_some() => self.second(),
            _ => R11,
        };
        if let Some(kept) = kept {
            self.copy(r, kept);
        }
        let zeroed = match kept {
            Some(_) => None,
            None => Some(r),
        };
        self.attempt(true, zeroed, |asm| match signed {
            true => asm.movsx(true, size, r, Rm::M(mem)),
            false => asm.movzx(size, r, Rm::M(mem)),
        });
        self.settle(dst, r);
    }

    pub(super) fn store(&mut self, faults: bool, (size, swap): (u32, bool), addr: Addr, src: Src) {
        let (mem, used) = self.mem(addr);
        match src {
            Src::Imm(imm) => self.attempt(faults, None, |asm| asm.store_imm(size, mem, imm)),
            Src::Mem(_) => {}
            Src::V(v) => {
                let r = self.reg_besides(v, used);
                self.attempt(faults, None, |asm| match swap {
                    true => asm.movbe_store(size == 8, mem, r),
                    false => asm.store(size, mem, r),
                });
            }
        }
    }
}

//! How a function begins and ends, in which order its blocks come, and where its fuel is.

use super::{Emit, on_stack};
use crate::x86::asm::{Group1, R9, R11, RSP, Rm, cc};
use crate::x86::mir::{M, MFunc, Src};
use crate::x86::regs::{FUEL, Loc};

impl Emit<'_, '_> {
    pub(super) fn function(&mut self) {
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
                self.asm.align(15);
                // Jumps go behind the filling.
                self.asm.bind(self.labels[i]);
            }
            for (at, m) in block.insts.iter().enumerate() {
                if self.is_known_by_flags(m, block.insts.get(at + 1..).unwrap_or_default()) {
                    continue;
                }
                // What leaves no code leaves the flags.
                if !matches!(m, M::Line(_)) {
                    self.flags = None;
                }
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

    /// Whether an instruction asks whether a value is zero that was computed just before, so
    /// that the flags tell.
    fn is_known_by_flags(&self, m: &M, rest: &[M]) -> bool {
        let (Some(computed), M::Cmp { test, wide, a, b }) = (self.flags, m) else {
            return false;
        };
        let zero = *test && *b == Src::V(*a) && computed == (*a, *wide);
        let user = rest.iter().find(|m| !matches!(m, M::Line(_)));
        let asks = match user {
            Some(M::JumpIf { cc, .. } | M::Cmov { cc, .. }) => matches!(*cc, cc::E | cc::NE),
            _ => false,
        };
        zero && asks
    }

    pub(super) fn leave(&mut self) {
        self.pop_frame();
        self.asm.ret();
    }

    /// Makes the stack and the kept registers what they were where the function began.
    pub(super) fn pop_frame(&mut self) {
        self.carry_fuel();
        if self.size != 0 {
            self.asm.alu_imm(Group1::Add, 8, Rm::R(RSP), self.size);
        }
        for r in self.saved.clone().into_iter().rev() {
            self.asm.pop(r);
        }
    }

    /// Between functions, what is left of the fuel is in its register.
    pub(super) fn carry_fuel(&mut self) {
        if self.shared.bounded && !self.places.fuel_held {
            self.asm.mov(true, FUEL, Rm::M(on_stack(self.fuel)));
        }
    }

    /// Within a function it lies in the frame, unless it keeps its register.
    pub(super) fn keep_fuel(&mut self) {
        if self.shared.bounded && !self.places.fuel_held {
            self.asm.store(8, on_stack(self.fuel), FUEL);
        }
    }

    /// Whether a block does nothing but jump on.
    pub(super) fn is_empty(&self, block: usize) -> bool {
        let Some((last, rest)) = self.func.blocks[block].insts.split_last() else {
            return false;
        };
        matches!(last, M::Jump { to } if *to as usize != block)
            && rest.iter().all(|m| self.is_nothing(m))
    }

    /// Whether an instruction leaves no code.
    pub(super) fn is_nothing(&self, m: &M) -> bool {
        match m {
            M::Mov { dst, src } => self.loc(*dst) == self.loc(*src) || self.loc(*dst) == Loc::None,
            M::Imm { dst, .. } => matches!(self.loc(*dst), Loc::Const(_) | Loc::None),
            _ => false,
        }
    }

    /// The block that a jump to this one ends in.
    pub(super) fn through(&self, mut block: u32) -> u32 {
        for _ in 0..self.func.blocks.len() {
            match self.func.blocks[block as usize].insts.last() {
                Some(M::Jump { to }) if self.empty[block as usize] => block = *to,
                _ => break,
            }
        }
        block
    }

    /// The block that follows in the code; those that only jump on are left out of it.
    pub(super) fn next(&self, block: usize) -> u32 {
        let after = self.empty.iter().skip(block + 1).position(|empty| !empty);
        after.map_or(u32::MAX, |gap| (block + 1 + gap) as u32)
    }
}

/// Blocks that a later one jumps back to.
fn loop_heads(func: &MFunc) -> Vec<bool> {
    let mut heads = vec![false; func.blocks.len()];
    for (i, block) in func.blocks.iter().enumerate() {
        for succ in block.succs.iter() {
            if *succ as usize <= i {
                heads[*succ as usize] = true;
            }
        }
    }
    heads
}

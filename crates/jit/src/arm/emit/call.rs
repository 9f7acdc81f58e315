//! Calls of helpers and functions, and of the code that gives more fuel.

use super::copies::From;
use super::{Emit, S0, S1, S2};
use crate::arm::Shared;
use crate::arm::asm::{Asm, LR, SP, Two, X, cond};
use crate::arm::places::Loc;
use crate::ir::{Func, Op, Val};
use crate::layout;

impl Emit<'_> {
    pub(super) fn charge(&mut self, amount: u32) {
        let (out, back) = (self.asm.label(), self.asm.label());
        self.asm.load(8, false, S0, SP, self.state);
        self.asm.load(8, false, S1, S0, layout::FUEL);
        self.asm.constant(S2, amount.into());
        self.asm.two(Two::Subs, true, S1, S1, S2);
        self.asm.store(8, S1, S0, layout::FUEL);
        self.asm.b_if(cond::MI, out);
        self.asm.bind(back);
        self.cold.push((out, back));
    }

    pub(super) fn call(&mut self, func: &Func, op: Op) {
        let mut moves: Vec<(Loc, From)> = Vec::new();
        let mut pass = |this: &Self, args: &[Val], first: X| {
            for (to, arg) in (first..).zip(args) {
                moves.push((Loc::R(to), this.from(func, *arg)));
            }
        };
        match op {
            Op::Helper { args, count, .. } => pass(self, &args[..count.into()], 0),
            Op::Direct { args, count, .. } => pass(self, &args[..count.into()], 1),
            Op::TailCall { args } => pass(self, &args, 0),
            Op::Packet { ctx, offset, .. } => pass(self, &[ctx, offset], 0),
            Op::Local { args, reads, .. } => {
                for (to, arg) in (0..).zip(args) {
                    if reads >> to & 1 != 0 {
                        pass(self, &[arg], to);
                    }
                }
            }
            _ => return,
        }
        self.copies(func, moves);
        self.asm.load(8, false, 5, SP, self.state);
        let (number, field) = match op {
            Op::Local { function, .. } => {
                return self.asm.bl(self.shared.functions[function as usize]);
            }
            Op::Direct {
                function, object, ..
            } => {
                self.asm.constant(0, object);
                self.asm.load(4, false, 5, 5, layout::CPU_ID);
                self.asm.constant(S0, function);
                return self.asm.blr(S0);
            }
            Op::Helper { id, .. } => (id, layout::CALL_HELPER),
            Op::Packet { size, .. } => (size.bytes() as i32, layout::LOAD_PACKET),
            _ => (self.index as i32, layout::TAIL_CALL),
        };
        self.asm.constant(S0, number as u32 as u64);
        self.asm.store(4, S0, 5, layout::NUMBER);
        self.asm.load(8, false, S0, 5, field);
        self.asm.blr(S0);
        if field == layout::CALL_HELPER {
            return self.asm.b_nonzero(1, self.shared.stop);
        }
        // 0 goes on, 1 returns from the function, all else ends the run.
        self.asm.cmp_imm(true, 1, 1);
        self.asm.b_if(cond::EQ, self.done);
        self.asm.b_if(cond::HI, self.shared.stop);
    }
}

/// Asks for more fuel; x16 is the address of the state, and all registers but x15 to x17 stay.
pub(in crate::arm) fn refill(asm: &mut Asm, shared: &Shared) {
    let go_on = asm.label();
    asm.bind(shared.refill);
    for r in (0..14).step_by(2) {
        asm.push_pair(r, r + 1);
    }
    asm.push_pair(14, LR);
    asm.mov(0, S0);
    asm.load(8, false, S1, S0, layout::REFILL);
    asm.blr(S1);
    asm.mov(S1, 0);
    asm.cmp_imm(true, S1, 0);
    asm.b_if(cond::EQ, go_on);
    asm.mov(1, S1);
    asm.b(shared.stop);
    asm.bind(go_on);
    asm.pop_pair(14, LR);
    for r in (0..14).step_by(2).rev() {
        asm.pop_pair(r, r + 1);
    }
    asm.ret();
}

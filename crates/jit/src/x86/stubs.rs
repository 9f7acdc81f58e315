//! Code that no program has by itself: the way in and out, the end of a run, and the rounds
//! of `bpf_loop`.

use super::asm::{
    Asm, Group1, Label, Mem, R, R8, R9, R10, R11, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP, Rm, cc,
};
use super::regs::FUEL;
use crate::layout;

fn at(base: R, disp: i32) -> Mem {
    Mem {
        base,
        index: None,
        disp,
    }
}

/// Enters the function whose address lies on the stack, and gives the end of a run a way back.
pub(super) fn gate(asm: &mut Asm, entry: Label, leave: Label) {
    const SAVED: [R; 6] = [RBX, RBP, 12, 13, 14, 15];
    asm.bind(entry);
    asm.mov(true, RAX, Rm::M(at(RSP, 8)));
    for r in SAVED {
        asm.push(r);
    }
    asm.push(R9);
    asm.store(8, at(R9, layout::STACK), RSP);
    asm.mov(true, FUEL, Rm::M(at(R9, layout::FUEL)));
    asm.call_rm(Rm::R(RAX));
    asm.pop(R9);
    // Code that does not count leaves the register as it was.
    asm.store(8, at(R9, layout::FUEL), FUEL);
    let back = |asm: &mut Asm| {
        for r in SAVED.into_iter().rev() {
            asm.pop(r);
        }
        asm.ret();
    };
    back(asm);
    asm.bind(leave);
    asm.mov(true, RSP, Rm::M(at(RDX, layout::STACK)));
    asm.pop(R9);
    back(asm);
}

/// Ends the run; rdx is the address of its state.
pub(super) fn stop(asm: &mut Asm, stop: Label, by: Option<Label>) {
    asm.bind(stop);
    let leave = Rm::M(at(RDX, layout::LEAVE));
    match by {
        Some(by) => {
            asm.mov(true, R11, leave);
            asm.jump(by);
        }
        None => asm.jump_rm(leave),
    }
}

/// Goes to where r11 points without asking the machine to foresee it: what it foresees of a
/// return is the loop behind the call (a retpoline).
pub(super) fn indirect(asm: &mut Asm, indirect: Label) {
    let (over, wait) = (asm.label(), asm.label());
    asm.bind(indirect);
    asm.call(over);
    asm.bind(wait);
    asm.pause();
    asm.lfence();
    asm.jump(wait);
    asm.bind(over);
    asm.store(8, at(RSP, 0), R11);
    asm.ret();
}

/// Asks for more fuel and changes no register but r11, which is the address of what is left;
/// the address of the state lies before it.
pub(super) fn refill(asm: &mut Asm, refill: Label, stop: Label, by: Option<Label>) {
    const KEPT: [R; 10] = [RAX, RCX, RDX, RSI, RDI, R8, R9, R10, RBX, 12];
    asm.bind(refill);
    for r in KEPT {
        asm.push(r);
    }
    asm.mov(true, 12, Rm::R(R11));
    asm.mov(true, RDI, Rm::M(at(12, -8)));
    asm.mov(true, RAX, Rm::M(at(12, 0)));
    asm.store(8, at(RDI, layout::FUEL), RAX);
    asm.mov(true, RBX, Rm::R(RSP));
    asm.alu_imm(Group1::And, 8, Rm::R(RSP), -16);
    let function = Rm::M(at(RDI, layout::REFILL));
    match by {
        Some(by) => {
            asm.mov(true, R11, function);
            asm.call(by);
        }
        None => asm.call_rm(function),
    }
    asm.mov(true, RSP, Rm::R(RBX));
    asm.mov(true, RDX, Rm::R(RAX));
    asm.test(true, Rm::R(RDX), RDX);
    asm.jump_if(cc::NE, stop);
    asm.mov(true, RDI, Rm::M(at(12, -8)));
    asm.mov(true, RAX, Rm::M(at(RDI, layout::FUEL)));
    asm.store(8, at(12, 0), RAX);
    for r in KEPT.into_iter().rev() {
        asm.pop(r);
    }
    asm.ret();
}

/// `bpf_loop` with a known function: r1 is how often, r3 what it gets, r4 flags.
pub(super) fn bpf_loop(asm: &mut Asm, label: Label, function: Label) {
    const SAVED: [R; 4] = [RBX, RBP, 12, 13];
    const EINVAL: i64 = -22;
    const E2BIG: i64 = -7;
    let (flags, many, again, done) = (asm.label(), asm.label(), asm.label(), asm.label());
    asm.bind(label);
    asm.test(true, Rm::R(RCX), RCX);
    asm.jump_if(cc::NE, flags);
    asm.alu_imm(Group1::Cmp, 4, Rm::R(RDI), layout::LOOP_MAX);
    asm.jump_if(cc::A, many);
    for r in SAVED {
        asm.push(r);
    }
    asm.alu_imm(Group1::Sub, 8, Rm::R(RSP), 8);
    asm.mov(false, RBX, Rm::R(RDI));
    asm.mov(true, RBP, Rm::R(RDX));
    asm.mov(true, 12, Rm::R(R9));
    asm.alu(Group1::Xor, false, 13, Rm::R(13));
    asm.test(false, Rm::R(RBX), RBX);
    asm.jump_if(cc::E, done);
    asm.bind(again);
    asm.mov(true, RDI, Rm::R(13));
    asm.mov(true, RSI, Rm::R(RBP));
    asm.mov(true, R9, Rm::R(12));
    asm.call(function);
    asm.alu_imm(Group1::Add, 4, Rm::R(13), 1);
    asm.test(true, Rm::R(RAX), RAX);
    asm.jump_if(cc::NE, done);
    asm.alu(Group1::Cmp, false, 13, Rm::R(RBX));
    asm.jump_if(cc::B, again);
    asm.bind(done);
    asm.mov(true, RAX, Rm::R(13));
    asm.alu_imm(Group1::Add, 8, Rm::R(RSP), 8);
    for r in SAVED.into_iter().rev() {
        asm.pop(r);
    }
    asm.ret();
    for (label, errno) in [(flags, EINVAL), (many, E2BIG)] {
        asm.bind(label);
        asm.mov_imm(RAX, errno as u64);
        asm.ret();
    }
}

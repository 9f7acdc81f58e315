//! Loops: counted ones, and those that the kernel ends.

use skep_isa::{Insn, alu, jmp, size};

use crate::model::{Kind, Model};
use crate::smith::Smith;

/// Prepares for a body that runs more than once: what holds at its head must hold at its
/// end. Returns what held before, to be given to [`close`].
pub(super) struct Round {
    head: Model,
    locked: u16,
    locked_slots: u16,
}

impl Round {
    /// Whether a register held a number at the head.
    pub(super) fn is_number(&self, reg: u8) -> bool {
        self.head.get(reg).is_number()
    }

    /// What holds where the loop may have ended at its head.
    pub(super) fn rejoin(&self, s: &mut Smith<'_, '_>) {
        s.model.join(&self.head);
    }
}

pub(super) fn open(s: &mut Smith<'_, '_>) -> Round {
    // Calls in the body leave nothing in these.
    for reg in 0..=5 {
        if s.model.get(reg).is_pointer() {
            s.model.set(reg, Kind::Unset);
        }
    }
    s.model.forget_bounds();
    let round = Round {
        head: s.model.clone(),
        locked: s.locked,
        locked_slots: s.locked_slots,
    };
    for reg in s.model.registers(Kind::is_pointer) {
        s.lock(reg);
    }
    for (slot, kind) in s.model.slots.iter().enumerate() {
        if kind.is_pointer() {
            s.locked_slots |= 1 << slot;
        }
    }
    s.loops += 1;
    round
}

/// Makes numbers again of what was one at the head.
pub(super) fn restore(s: &mut Smith<'_, '_>, round: &Round) {
    for reg in 0..10 {
        if round.head.get(reg).is_number() && !s.model.get(reg).is_number() && !s.slip() {
            let imm = s.source.imm();
            s.set_imm(reg, imm);
        }
    }
    for slot in 0..s.model.slots.len() {
        let was = round.head.slots.get(slot).copied().unwrap_or_default();
        let is = s.model.slots.get(slot).copied().unwrap_or_default();
        if was.is_number() && !is.is_number() {
            s.push(Insn::st(size::DW, 10, -8 * (slot as i16 + 1), 0));
            if let Some(place) = s.model.slots.get_mut(slot) {
                *place = Kind::ANY_NUMBER;
            }
        }
    }
}

pub(super) fn close(s: &mut Smith<'_, '_>, round: &Round) {
    s.loops -= 1;
    s.locked = round.locked;
    s.locked_slots = round.locked_slots;
    s.model.forget_bounds();
}

/// A loop with a counter in a register.
pub(crate) fn counted(s: &mut Smith<'_, '_>) {
    if !s.may_nest() || s.loops >= 2 || (s.profile.unprivileged && !s.slip()) {
        return super::branch::branch(s);
    }
    let counter = s.lasting_target();
    if counter == 0 {
        return super::arith::arithmetic(s);
    }
    let start = s.source.between(-2, 2);
    let rounds = 1 + s.source.below(if s.loops == 0 { 12 } else { 4 }) as i32;
    s.set_imm(counter, start);
    let round = open(s);
    s.lock(counter);
    let head = s.f.insns.len();
    let on_top = s.source.below(3) == 0;
    let leave = on_top.then(|| {
        let op = s.source.one_of([jmp::JSGE, jmp::JEQ]);
        s.push(Insn::jmp_imm(op, counter, start + rounds, 0))
    });
    s.block(3);
    restore(s, &round);
    let step = if s.slip() { s.source.between(-1, 2) } else { 1 };
    s.push(Insn::alu64_imm(alu::ADD, counter, step));
    let back = match leave {
        Some(_) => s.push(Insn::goto(0)),
        None => {
            let op = s.source.one_of([jmp::JNE, jmp::JSLT, jmp::JSLT]);
            if s.source.below(4) == 0 {
                s.push(Insn::jmp32_imm(op, counter, start + rounds, 0))
            } else {
                s.push(Insn::jmp_imm(op, counter, start + rounds, 0))
            }
        }
    };
    s.f.aim(back, head);
    if let Some(leave) = leave {
        s.f.land(leave);
        s.model.join(&round.head);
    }
    close(s, &round);
}

/// A loop that `may_goto` ends, and mostly a counter before it.
pub(crate) fn may_goto(s: &mut Smith<'_, '_>) {
    if !s.may_nest() || s.loops >= 1 || s.profile.unprivileged {
        return super::branch::branch(s);
    }
    let counter = s.lasting_target();
    let counts = counter != 0 && !s.source.chance(100);
    if counts {
        s.set_imm(counter, 0);
    }
    let round = open(s);
    if counts {
        s.lock(counter);
    }
    let head = s.push(Insn::may_goto(0));
    s.block(3);
    restore(s, &round);
    let mut leave = None;
    if counts {
        s.push(Insn::alu64_imm(alu::ADD, counter, 1));
        let most = s.source.below(30) as i32;
        leave = Some(s.push(Insn::jmp_imm(jmp::JGT, counter, most, 0)));
    } else {
        s.endless = true;
    }
    let back = s.push(Insn::goto(0));
    s.f.aim(back, head);
    s.f.land(head);
    if let Some(leave) = leave {
        s.f.land(leave);
    }
    s.model.join(&round.head);
    close(s, &round);
}

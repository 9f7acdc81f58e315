//! Spin locks and timers, which lie in the values of maps of their own.

use skep_abi::ProgType;
use skep_isa::{Insn, alu, jmp, pseudo, size};

use super::map::choose;
use super::stack::buffer;
use crate::model::Kind;
use crate::smith::{Role, Smith};
use crate::world::Field;

const LOOKUP: i32 = 1;
const SPIN_LOCK: i32 = 93;
const SPIN_UNLOCK: i32 = 94;
const TIMER_INIT: i32 = 169;
const TIMER_SET_CALLBACK: i32 = 170;
const TIMER_START: i32 = 171;
const TIMER_CANCEL: i32 = 172;
/// `CLOCK_MONOTONIC`
const MONOTONIC: i32 = 1;

/// Programs on events of the kernel have neither locks nor timers.
fn is_tracing(prog_type: ProgType) -> bool {
    matches!(
        prog_type,
        ProgType::Kprobe | ProgType::Tracepoint | ProgType::PerfEvent | ProgType::RawTracepoint
    )
}

/// Puts the address of the value of a map into a register that lasts. `None` when there is
/// none; otherwise the register, and the jump that is taken when there is no such element.
fn value(s: &mut Smith<'_, '_>, map: usize, directly: bool) -> Option<(u8, Option<usize>)> {
    let reg = s.lasting_target();
    if reg == 0 {
        return None;
    }
    if directly {
        let off = if s.slip() { 8 } else { 0 };
        s.f.push_map(reg, pseudo::MAP_VALUE, map, off);
        s.model.set(reg, Kind::Unset);
        return Some((reg, None));
    }
    let at = buffer(s, 4);
    s.push(Insn::st(size::W, 10, at, 0));
    s.point_to_stack(2, at);
    s.f.push_map(1, pseudo::MAP_FD, map, 0);
    s.push(Insn::call_helper(LOOKUP));
    s.model.called(Kind::Unset);
    s.push(Insn::mov64_reg(reg, 0));
    s.model.set(reg, Kind::Unset);
    let miss = (!s.slip()).then(|| s.push(Insn::jmp_imm(jmp::JEQ, reg, 0, 0)));
    Some((reg, miss))
}

/// A stretch with a lock held.
pub(crate) fn locked(s: &mut Smith<'_, '_>) {
    let found = choose(s, |def| def.field == Field::SpinLock);
    let refused = is_tracing(s.profile.prog_type) || s.profile.prog_type == ProgType::SocketFilter;
    let Some((map, def)) = found.filter(|_| !s.profile.unprivileged && (!refused || s.slip()))
    else {
        return super::arith::arithmetic(s);
    };
    let directly = s.source.coin();
    let Some((reg, miss)) = value(s, map, directly) else {
        return;
    };
    let before = s.model.clone();
    let locked = s.locked;
    s.lock(reg);
    s.endless = true;
    let call = |s: &mut Smith<'_, '_>, helper: i32| {
        let by = if s.slip() { 4 } else { 0 };
        s.push(Insn::mov64_reg(1, reg));
        if by != 0 {
            s.push(Insn::alu64_imm(alu::ADD, 1, by));
        }
        s.push(Insn::call_helper(helper));
        s.model.called(Kind::ANY_NUMBER);
    };
    call(s, SPIN_LOCK);
    for _ in 0..1 + s.source.below(3) {
        let mut at = 8 * (1 + s.source.below(def.value_size / 8 - 1)) as i16;
        if s.slip() {
            at = s.source.between(0, 7) as i16;
        }
        match s.source.below(5) {
            0 => {
                let imm = s.source.imm();
                s.push(Insn::st(size::DW, reg, at, imm));
            }
            1 => {
                let dst = s.target();
                s.push(Insn::ldx(size::DW, dst, reg, at));
                s.model.set(dst, Kind::ANY_NUMBER);
            }
            2 => {
                let src = s.number();
                s.push(Insn::stx(size::W, reg, src, at));
            }
            3 if s.slip() => {
                s.push(Insn::call_helper(5));
                s.model.called(Kind::ANY_NUMBER);
            }
            _ => {
                let number = s.number_to_change();
                let imm = s.source.imm();
                s.push(Insn::alu64_imm(alu::XOR, number, imm));
            }
        }
    }
    let skips = s.source.below(4) == 0;
    let branch = skips.then(|| {
        let number = s.number();
        s.push(Insn::jmp_imm(jmp::JEQ, number, 3, 0))
    });
    if let Some(branch) = branch {
        let imm = s.source.imm();
        s.push(Insn::st(size::DW, reg, 8, imm));
        s.f.land(branch);
    }
    if !s.slip() {
        call(s, SPIN_UNLOCK);
    }
    s.locked = locked;
    if let Some(miss) = miss {
        s.f.land(miss);
    }
    s.model.set(reg, Kind::Unset);
    s.model.join(&before);
}

/// Sets up a timer.
pub(crate) fn timer(s: &mut Smith<'_, '_>) {
    let found = choose(s, |def| def.field == Field::Timer);
    let fits = !s.profile.unprivileged && s.may_define() && s.may_nest();
    let refused = is_tracing(s.profile.prog_type);
    let Some((map, _)) = found.filter(|_| fits && (!refused || s.slip())) else {
        return super::arith::arithmetic(s);
    };
    let Some((reg, miss)) = value(s, map, false) else {
        return;
    };
    let before = s.model.clone();
    let locked = s.locked;
    s.lock(reg);
    s.endless = true;
    for step in [TIMER_INIT, TIMER_SET_CALLBACK, TIMER_START, TIMER_CANCEL] {
        if s.source.below(4) == 0 {
            continue;
        }
        let callee = (step == TIMER_SET_CALLBACK && s.may_define()).then(|| {
            let value = Kind::Unset;
            s.define(Role::Later, &[Kind::Unset, Kind::Unset, value])
        });
        s.push(Insn::mov64_reg(1, reg));
        if s.slip() {
            s.push(Insn::alu64_imm(alu::ADD, 1, 8));
        }
        match (step, callee) {
            (TIMER_INIT, _) => {
                let clock = if s.slip() { 9 } else { MONOTONIC };
                s.f.push_map(2, pseudo::MAP_FD, map, 0);
                s.push(Insn::mov64_imm(3, clock));
            }
            (TIMER_SET_CALLBACK, Some(callee)) => s.f.push_function(2, callee),
            (TIMER_SET_CALLBACK, None) => {
                s.push(Insn::mov64_imm(2, 0));
            }
            (TIMER_START, _) => {
                let flags = s.source.below(4) as i32;
                s.push(Insn::mov64_imm(2, 1000));
                s.push(Insn::mov64_imm(3, flags));
            }
            _ => {}
        }
        s.push(Insn::call_helper(step));
        s.model.called(Kind::ANY_NUMBER);
    }
    s.locked = locked;
    if let Some(miss) = miss {
        s.f.land(miss);
    }
    s.model.set(reg, Kind::Unset);
    s.model.join(&before);
}

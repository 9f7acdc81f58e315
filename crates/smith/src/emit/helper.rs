//! Helper calls that take numbers, memory and sizes; tail calls; the legacy packet loads.

use skep_abi::{MapType, ProgType};
use skep_isa::{Insn, pseudo, size};

use super::arith::bounded;
use super::stack::buffer;
use crate::model::Kind;
use crate::smith::{Role, Smith};
use crate::world::MAPS;

const KTIME_GET_NS: i32 = 5;
const GET_PRANDOM_U32: i32 = 7;
const GET_SMP_PROCESSOR_ID: i32 = 8;
const TAIL_CALL: i32 = 12;
const GET_CURRENT_PID_TGID: i32 = 14;
const GET_CURRENT_COMM: i32 = 16;
const SKB_LOAD_BYTES: i32 = 26;
const CSUM_DIFF: i32 = 28;
const XDP_ADJUST_HEAD: i32 = 44;
const XDP_ADJUST_TAIL: i32 = 65;
const STRTOL: i32 = 105;
const PROBE_READ_KERNEL: i32 = 113;

/// Calls some helper that the program type has.
pub(crate) fn call(s: &mut Smith<'_, '_>) {
    match s.source.below(8) {
        0 | 1 => number_of_the_world(s),
        2 if s.profile.is_skb => skb_load_bytes(s),
        3 if s.profile.prog_type == ProgType::Xdp => adjust(s),
        2..=4 if s.profile.prog_type == ProgType::SchedCls => csum_diff(s),
        5 if !s.profile.unprivileged => comm(s),
        6 if matches!(
            s.profile.prog_type,
            ProgType::Kprobe | ProgType::RawTracepoint
        ) =>
        {
            probe_read(s);
        }
        7 if s.profile.prog_type == ProgType::Syscall => strtol(s),
        _ => number_of_the_world(s),
    }
}

/// A number that changes from run to run.
fn number_of_the_world(s: &mut Smith<'_, '_>) {
    if s.repeatable && !s.slip() {
        let dst = s.target();
        return super::ctx::load_number(s, dst);
    }
    let helper = s.source.one_of([
        KTIME_GET_NS,
        GET_PRANDOM_U32,
        GET_PRANDOM_U32,
        GET_SMP_PROCESSOR_ID,
        GET_CURRENT_PID_TGID,
    ]);
    if helper == GET_CURRENT_PID_TGID && s.profile.unprivileged {
        return;
    }
    s.volatile = true;
    s.push(Insn::call_helper(helper));
    s.model.called(Kind::ANY_NUMBER);
}

/// A size in `reg`: a constant, or a number between 1 and `most`.
fn length(s: &mut Smith<'_, '_>, reg: u8, most: u32) {
    if s.source.coin() {
        let most = if s.slip() { most + 9 } else { most };
        let bytes = 1 + s.source.below(most);
        return s.set_imm(reg, bytes as i32);
    }
    let number = bounded(s, most - 1);
    if number == reg || s.model.get(number).is_pointer() {
        return s.set_imm(reg, 1);
    }
    s.push(Insn::mov64_reg(reg, number));
    if !s.slip() {
        s.push(Insn::alu64_imm(skep_isa::alu::ADD, reg, 1));
    }
    s.model.set(reg, Kind::ANY_NUMBER);
}

/// Points `reg` at a buffer, and keeps it there while the other arguments are made.
fn lend(s: &mut Smith<'_, '_>, reg: u8, bytes: u32) {
    let at = buffer(s, bytes);
    s.point_to_stack(reg, at);
    s.lock(reg);
}

fn lend_ctx(s: &mut Smith<'_, '_>) -> bool {
    let Some(ctx) = s.ctx() else {
        return false;
    };
    s.copy(1, ctx);
    s.lock(1);
    true
}

/// Makes the call and forgets what it leaves undefined.
fn done(s: &mut Smith<'_, '_>, helper: i32) {
    s.push(Insn::call_helper(helper));
    s.locked &= !0x3e;
    s.model.called(Kind::ANY_NUMBER);
}

fn skb_load_bytes(s: &mut Smith<'_, '_>) {
    lend(s, 3, 16);
    length(s, 4, 16);
    s.lock(4);
    let at = bounded(s, 60);
    if at != 2 {
        s.push(Insn::mov64_reg(2, at));
    }
    s.lock(2);
    if !lend_ctx(s) {
        s.locked &= !0x3e;
        return;
    }
    done(s, SKB_LOAD_BYTES);
}

fn adjust(s: &mut Smith<'_, '_>) {
    let by = s.source.between(-16, 16);
    s.set_imm(2, by);
    s.lock(2);
    if !lend_ctx(s) {
        s.locked &= !0x3e;
        return;
    }
    let helper = s.source.one_of([XDP_ADJUST_HEAD, XDP_ADJUST_TAIL]);
    done(s, helper);
    if !s.slip() {
        s.model.forget_packets();
    }
}

fn csum_diff(s: &mut Smith<'_, '_>) {
    lend(s, 1, 16);
    let bytes = 4 * s.source.below(5) as i32;
    s.set_imm(2, bytes);
    s.lock(2);
    s.set_imm(3, 0);
    s.set_imm(4, 0);
    s.lock(3);
    s.lock(4);
    let seed = s.source.imm();
    s.set_imm(5, seed);
    done(s, CSUM_DIFF);
}

fn comm(s: &mut Smith<'_, '_>) {
    if s.repeatable {
        return super::arith::arithmetic(s);
    }
    s.volatile = true;
    lend(s, 1, 16);
    length(s, 2, 16);
    done(s, GET_CURRENT_COMM);
}

fn probe_read(s: &mut Smith<'_, '_>) {
    if s.repeatable {
        return super::arith::arithmetic(s);
    }
    s.volatile = true;
    lend(s, 1, 16);
    length(s, 2, 16);
    s.lock(2);
    let from = s.number();
    if from != 3 {
        s.push(Insn::mov64_reg(3, from));
    }
    done(s, PROBE_READ_KERNEL);
}

fn strtol(s: &mut Smith<'_, '_>) {
    lend(s, 1, 8);
    length(s, 2, 8);
    s.lock(2);
    s.set_imm(3, 0);
    s.lock(3);
    lend(s, 4, 8);
    done(s, STRTOL);
}

/// A tail call, which falls through, because the map is empty.
pub(crate) fn tail_call(s: &mut Smith<'_, '_>) {
    let map = MAPS
        .iter()
        .position(|def| def.map_type == MapType::ProgArray);
    let Some(map) = map.filter(|_| s.held == 0 && s.role != Role::Callback) else {
        return super::arith::arithmetic(s);
    };
    let index = s.number();
    if !s.model.get(index).is_number() {
        return;
    }
    if index != 3 {
        s.push(Insn::mov64_reg(3, index));
    }
    s.lock(3);
    if !lend_ctx(s) {
        s.locked &= !0x3e;
        return;
    }
    s.f.push_map(2, pseudo::MAP_FD, map, 0);
    done(s, TAIL_CALL);
    s.model.set(0, Kind::Unset);
}

/// A legacy load from the packet, which ends the program where the packet is too short.
pub(crate) fn legacy_load(s: &mut Smith<'_, '_>) {
    let fits = s.profile.ld_abs && s.role == Role::Entry && s.held == 0;
    let has_ctx = s.model.get(6) == Kind::Ctx;
    if (!fits || !has_ctx) && !s.slip() {
        return super::ctx::access(s);
    }
    let code = s.source.one_of([size::B, size::H, size::W]);
    let at = s.source.below(70) as i32;
    let insn = if s.source.coin() {
        Insn::ld_abs(code, at)
    } else {
        Insn::ld_ind(code, s.number(), at)
    };
    s.push(insn);
    s.model.called(Kind::ANY_NUMBER);
}

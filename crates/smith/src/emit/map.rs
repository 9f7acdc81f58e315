//! Maps: lookups with and without the check for null, changes, queues, ring buffers.

use skep_abi::MapType;
use skep_isa::{Insn, jmp, pseudo, size};

use super::memory::access;
use super::stack::buffer;
use crate::model::Kind;
use crate::smith::Smith;
use crate::world::{MAPS, MapDef};

const LOOKUP: i32 = 1;
const UPDATE: i32 = 2;
const DELETE: i32 = 3;
const PUSH: i32 = 87;
const POP: i32 = 88;
const PEEK: i32 = 89;
const RING_RESERVE: i32 = 131;
const RING_SUBMIT: i32 = 132;
const RING_DISCARD: i32 = 133;

/// One of the maps that fit, by number.
pub(super) fn choose(
    s: &mut Smith<'_, '_>,
    fits: impl Fn(&MapDef) -> bool,
) -> Option<(usize, MapDef)> {
    let anybody = s.profile.unprivileged;
    let of: Vec<usize> = (0..MAPS.len())
        .filter(|at| {
            MAPS.get(*at)
                .is_some_and(|def| fits(def) && (def.for_anybody || !anybody))
        })
        .collect();
    let at = s.source.pick(&of)?;
    Some((at, *MAPS.get(at)?))
}

/// Writes a key to the stack and points r2 at it.
fn key(s: &mut Smith<'_, '_>, def: &MapDef) {
    let at = buffer(s, def.key_size);
    let code = if def.key_size == 8 { size::DW } else { size::W };
    match s.source.below(4) {
        0 => {
            let src = s.number();
            s.push(Insn::stx(code, 10, src, at));
        }
        1 => {}
        _ => {
            let key = if s.slip() {
                s.source.imm()
            } else {
                s.source.below(5) as i32
            };
            s.push(Insn::st(code, 10, at, key));
        }
    }
    s.point_to_stack(2, at);
}

/// Looks an element up and does something with it when it is there.
pub(crate) fn lookup(s: &mut Smith<'_, '_>) {
    let Some((map, def)) = choose(s, MapDef::is_looked_up).filter(|_| s.may_nest()) else {
        return super::arith::arithmetic(s);
    };
    key(s, &def);
    s.f.push_map(1, pseudo::MAP_FD, map, 0);
    s.push(Insn::call_helper(LOOKUP));
    let value = Kind::Value { map, off: 0 };
    s.model.called(Kind::Unset);
    if s.slip() {
        // The check is forgotten.
        s.model.set(0, value);
        return access(s, 0);
    }
    let mut reg = 0;
    if s.source.below(3) != 0 {
        reg = s.lasting_target();
        s.push(Insn::mov64_reg(reg, 0));
    }
    s.model.set(reg, Kind::Unset);
    if s.source.below(8) == 0 {
        // The pointer is kept on the stack until it is checked.
        s.push(Insn::stx(size::DW, 10, reg, -8));
        if let Some(place) = s
            .model
            .slots
            .first_mut()
            .filter(|_| s.locked_slots & 1 == 0)
        {
            *place = Kind::Unset;
        }
    }
    let before = s.model.clone();
    if s.source.below(4) == 0 {
        let hit = s.push(Insn::jmp_imm(jmp::JNE, reg, 0, 0));
        s.set_imm(0, 0);
        let miss = s.push(Insn::goto(0));
        s.f.land(hit);
        s.model = before.clone();
        s.model.set(reg, value);
        use_value(s, reg);
        s.f.land(miss);
    } else {
        let op = if s.slip() { jmp::JNE } else { jmp::JEQ };
        let miss = s.push(Insn::jmp_imm(op, reg, 0, 0));
        s.model.set(reg, value);
        use_value(s, reg);
        s.f.land(miss);
    }
    s.model.join(&before);
}

/// Looks a map up in a map of maps, and an element in it.
pub(crate) fn inner(s: &mut Smith<'_, '_>) {
    let found = choose(s, |def| def.inner.is_some()).filter(|_| s.may_nest());
    let Some((outer, def)) = found else {
        return super::arith::arithmetic(s);
    };
    let like = MAPS.iter().position(|map| Some(map.name) == def.inner);
    let Some((map, inner)) = like.and_then(|at| Some((at, *MAPS.get(at)?))) else {
        return;
    };
    key(s, &def);
    s.f.push_map(1, pseudo::MAP_FD, outer, 0);
    s.push(Insn::call_helper(LOOKUP));
    s.model.called(Kind::Unset);
    let before = s.model.clone();
    let none = (!s.slip()).then(|| s.push(Insn::jmp_imm(jmp::JEQ, 0, 0, 0)));
    let reg = s.lasting_target();
    s.push(Insn::mov64_reg(reg, 0));
    s.model.set(reg, Kind::Unset);
    if s.source.below(4) == 0 {
        let at = buffer(s, 8);
        s.push(Insn::stx(size::DW, 10, reg, at));
        s.push(Insn::ldx(size::DW, reg, 10, at));
        s.push(Insn::st(size::DW, 10, at, 0));
    }
    if s.slip() {
        s.push(Insn::alu64_imm(skep_isa::alu::ADD, reg, 4));
    }
    s.model.set(0, Kind::Unset);
    let locked = s.locked;
    s.lock(reg);
    key(s, &inner);
    s.locked = locked;
    s.push(Insn::mov64_reg(1, reg));
    let helper = if s.source.below(5) == 0 {
        DELETE
    } else {
        LOOKUP
    };
    s.push(Insn::call_helper(helper));
    if helper == DELETE {
        s.model.called(Kind::ANY_NUMBER);
    } else {
        s.model.called(Kind::Unset);
        let missing = (!s.slip()).then(|| s.push(Insn::jmp_imm(jmp::JEQ, 0, 0, 0)));
        s.model.set(0, Kind::Value { map, off: 0 });
        access(s, 0);
        if let Some(missing) = missing {
            s.f.land(missing);
        }
    }
    if let Some(none) = none {
        s.f.land(none);
    }
    s.model.set(0, Kind::Unset);
    s.model.join(&before);
}

fn use_value(s: &mut Smith<'_, '_>, reg: u8) {
    access(s, reg);
    if s.source.coin() {
        s.block(3);
    }
}

/// Updates, deletes, pushes or pops.
pub(crate) fn change(s: &mut Smith<'_, '_>) {
    if !s.profile.unprivileged
        && s.source.below(4) == 0
        && let Some((map, _)) = choose(s, |def| def.map_type == MapType::Queue)
    {
        let at = buffer(s, 8);
        s.point_to_stack(2, at);
        s.set_imm(3, 0);
        s.f.push_map(1, pseudo::MAP_FD, map, 0);
        let helper = s.source.one_of([PUSH, POP, PEEK]);
        s.push(Insn::call_helper(helper));
        s.model.called(Kind::ANY_NUMBER);
        return;
    }
    let small = |def: &MapDef| def.is_looked_up() && def.value_size <= 24 && def.writes();
    let Some((map, def)) = choose(s, small) else {
        return super::arith::arithmetic(s);
    };
    let deletes = !def.is_array() && s.source.below(3) == 0;
    if !deletes {
        let at = buffer(s, def.value_size);
        s.point_to_stack(3, at);
        s.lock(3);
    }
    key(s, &def);
    s.locked &= !8;
    s.f.push_map(1, pseudo::MAP_FD, map, 0);
    if deletes {
        s.push(Insn::call_helper(DELETE));
    } else {
        let flags = s.source.one_of([0, 0, 1, 2]);
        s.set_imm(4, flags);
        s.push(Insn::call_helper(UPDATE));
    }
    s.model.called(Kind::ANY_NUMBER);
}

/// The address of a value, without a lookup.
pub(crate) fn direct(s: &mut Smith<'_, '_>) {
    let Some((map, def)) = choose(s, MapDef::is_direct) else {
        return super::arith::arithmetic(s);
    };
    let reg = s.target();
    let off = 8 * s.source.below(def.value_size / 8) as i32;
    let off = if s.slip() { s.source.imm() } else { off };
    s.f.push_map(reg, pseudo::MAP_VALUE, map, off);
    s.model.set(
        reg,
        Kind::Value {
            map,
            off: off as i16,
        },
    );
    if reg != 10 {
        access(s, reg);
    }
}

/// Reserves a record of a ring buffer, fills it and gives it back.
pub(crate) fn ring(s: &mut Smith<'_, '_>) {
    let found = choose(s, |def| def.map_type == MapType::Ringbuf);
    let Some((map, _)) = found.filter(|_| s.may_nest() && s.held == 0 && !s.profile.unprivileged)
    else {
        return super::arith::arithmetic(s);
    };
    let bytes = 8 * (1 + s.source.below(3));
    s.set_imm(2, bytes as i32);
    s.set_imm(3, 0);
    s.f.push_map(1, pseudo::MAP_FD, map, 0);
    s.push(Insn::call_helper(RING_RESERVE));
    s.model.called(Kind::Unset);
    let reg = s.lasting_target();
    if reg == 0 {
        s.endless = true;
        return;
    }
    s.push(Insn::mov64_reg(reg, 0));
    s.model.set(reg, Kind::Unset);
    let before = s.model.clone();
    let missing = s.push(Insn::jmp_imm(jmp::JEQ, reg, 0, 0));
    let locked = s.locked;
    s.lock(reg);
    s.held += 1;
    let room = bytes + if s.slip() { 8 } else { 0 };
    let at = s.source.below(room / 8) as i16 * 8;
    let src = s.number();
    s.push(Insn::stx(size::DW, reg, src, at));
    if s.source.coin() {
        s.block(2);
    }
    s.held -= 1;
    s.locked = locked;
    if !s.slip() {
        s.push(Insn::mov64_reg(1, reg));
        s.set_imm(2, 0);
        let helper = s.source.one_of([RING_SUBMIT, RING_DISCARD]);
        s.push(Insn::call_helper(helper));
        s.model.called(Kind::Unset);
    }
    s.f.land(missing);
    s.model.set(reg, Kind::Unset);
    s.model.join(&before);
}

//! The stack: stores, loads, spills and fills of every width, through r10 and copies of it.

use skep_isa::{Insn, alu, size};

use super::arith::bounded;
use super::{loaded, width};
use crate::model::{BUFFER_SLOT, Kind, SLOTS};
use crate::smith::Smith;

/// The offset of a slot from r10.
fn offset_of(slot: usize) -> i16 {
    -8 * (slot as i16 + 1)
}

/// A base register for an access at `offset` from r10, and the offset from that base.
fn base(s: &mut Smith<'_, '_>, offset: i16) -> (u8, i16) {
    let copies = s.model.registers(|kind| matches!(kind, Kind::Stack(_)));
    match s.source.pick(&copies) {
        Some(reg) if s.source.coin() => match s.model.get(reg) {
            Kind::Stack(at) => (reg, offset - at),
            _ => (10, offset),
        },
        _ if s.source.below(6) == 0 => {
            let reg = s.target();
            let at = offset_of(s.source.below(SLOTS as u32) as usize);
            if reg == 10 {
                return (10, offset);
            }
            s.point_to_stack(reg, at);
            (reg, offset - at)
        }
        _ => (10, offset),
    }
}

fn is_locked_slot(s: &Smith<'_, '_>, slot: usize) -> bool {
    s.locked_slots >> slot & 1 == 1
}

/// Stores or loads part of a slot or all of it.
pub(crate) fn store_or_load(s: &mut Smith<'_, '_>) {
    let filled: Vec<usize> = (0..SLOTS)
        .filter(|slot| {
            s.model
                .slots
                .get(*slot)
                .is_some_and(|kind| kind.is_number())
        })
        .collect();
    if s.source.coin()
        && let Some(slot) = s.source.pick(&filled)
    {
        return load(s, slot);
    }
    store(s);
}

fn inside(s: &mut Smith<'_, '_>, slot: usize, bytes: i16) -> i16 {
    let parts = (8 / bytes.max(1)) as u32;
    let offset = offset_of(slot) + s.source.below(parts) as i16 * bytes;
    if s.slip() {
        return offset + s.source.between(-9, 9) as i16;
    }
    offset
}

fn load(s: &mut Smith<'_, '_>, slot: usize) {
    let (code, bytes) = width(s);
    let offset = inside(s, slot, bytes);
    let (base, off) = base(s, offset);
    let dst = s.target();
    let signed = bytes != 8 && s.source.below(4) == 0;
    s.push(if signed {
        Insn::ldsx(code, dst, base, off)
    } else {
        Insn::ldx(code, dst, base, off)
    });
    s.model.set(dst, loaded(bytes, signed));
}

fn store(s: &mut Smith<'_, '_>) {
    let slot = s.source.below(SLOTS as u32) as usize;
    let held = s.model.slots.get(slot).copied().unwrap_or_default();
    if is_locked_slot(s, slot) {
        return;
    }
    // Half a store into a pointer or an empty slot leaves something that is not to be read.
    let (code, bytes) = if held.is_number() || s.slip() {
        width(s)
    } else {
        (size::DW, 8)
    };
    let offset = inside(s, slot, bytes);
    let (base, off) = base(s, offset);
    let kind = if s.source.coin() {
        let src = s.number();
        s.push(Insn::stx(code, base, src, off));
        s.model.get(src)
    } else {
        let imm = s.source.imm();
        s.push(Insn::st(code, base, off, imm));
        Kind::Number(u32::try_from(imm).ok())
    };
    let kind = match (bytes, kind) {
        (8, Kind::Number(bound)) => Kind::Number(bound),
        _ => Kind::ANY_NUMBER,
    };
    if let Some(place) = s.model.slots.get_mut(slot) {
        *place = kind;
    }
}

/// Spills any register, or fills one from a slot that holds anything.
pub(crate) fn spill_or_fill(s: &mut Smith<'_, '_>) {
    let held: Vec<usize> = (0..BUFFER_SLOT)
        .filter(|slot| {
            s.model
                .slots
                .get(*slot)
                .is_some_and(|kind| *kind != Kind::Unset)
        })
        .collect();
    if s.source.coin()
        && let Some(slot) = s.source.pick(&held)
    {
        let dst = s.target();
        let (base, off) = base(s, offset_of(slot));
        s.push(Insn::ldx(size::DW, dst, base, off));
        let kind = s.model.slots.get(slot).copied().unwrap_or_default();
        s.model.set(dst, kind);
        return;
    }
    let slot = s.source.below(BUFFER_SLOT as u32) as usize;
    if is_locked_slot(s, slot) {
        return;
    }
    // What a loop spills must be a number on every round.
    let in_loop = s.loops > 0;
    let full = s
        .model
        .registers(|kind| kind != Kind::Unset && (!in_loop || kind.is_number()));
    let Some(src) = s.source.pick(&full) else {
        return store(s);
    };
    let (base, off) = base(s, offset_of(slot));
    let kind = s.model.get(src);
    s.push(Insn::stx(size::DW, base, src, off));
    if let Some(place) = s.model.slots.get_mut(slot) {
        *place = kind;
    }
}

/// Sees to it that `bytes` of the buffer are filled, and returns their offset from r10.
pub(crate) fn buffer(s: &mut Smith<'_, '_>, bytes: u32) -> i16 {
    let need = (bytes.div_ceil(8) as usize).clamp(1, SLOTS - BUFFER_SLOT);
    let spare = (SLOTS - BUFFER_SLOT - need) as u32;
    let first = BUFFER_SLOT + s.source.below(spare + 1) as usize;
    for slot in first..first + need {
        let empty = s.model.slots.get(slot).is_none_or(|kind| !kind.is_number());
        if (empty && !s.slip()) || s.source.below(8) == 0 {
            if s.source.below(3) == 0 {
                let src = s.number();
                s.push(Insn::stx(size::DW, 10, src, offset_of(slot)));
            } else {
                let imm = s.source.imm();
                s.push(Insn::st(size::DW, 10, offset_of(slot), imm));
            }
        }
        if let Some(place) = s.model.slots.get_mut(slot) {
            *place = Kind::ANY_NUMBER;
        }
    }
    offset_of(first + need - 1)
}

/// An access of the buffer at an offset that only the run knows.
pub(crate) fn variable_offset(s: &mut Smith<'_, '_>) {
    if s.profile.unprivileged && !s.slip() {
        return store_or_load(s);
    }
    let span = 8 * (1 + s.source.below(4));
    let at = buffer(s, span);
    let (code, bytes) = width(s);
    let index = bounded(s, span - bytes as u32);
    let reg = s.target();
    if reg == 10 || reg == index {
        return;
    }
    s.point_to_stack(reg, at);
    if bytes > 1 && s.profile.unprivileged {
        s.push(Insn::alu64_imm(alu::AND, index, -i32::from(bytes)));
    }
    s.push(Insn::alu64_reg(alu::ADD, reg, index));
    s.model.set(reg, Kind::Unset);
    if s.source.coin() {
        let dst = s.target();
        s.push(Insn::ldx(code, dst, reg, 0));
        s.model.set(dst, loaded(bytes, false));
    } else {
        let src = s.number();
        s.push(Insn::stx(code, reg, src, 0));
    }
}

//! Atomic operations on the stack and in map values.

use skep_isa::{Insn, atomic as op, size};

use super::stack::buffer;
use crate::model::Kind;
use crate::smith::Smith;
use crate::world::MAPS;

/// One atomic operation.
pub(crate) fn atomic(s: &mut Smith<'_, '_>) {
    let values = s.model.registers(|kind| match kind {
        Kind::Value { map, off } => MAPS.get(map).is_some_and(|def| {
            def.reads() && def.writes() && i64::from(off) + 8 <= i64::from(def.value_size)
        }),
        Kind::Lent(bytes) => bytes >= 8,
        _ => false,
    });
    let strange = s.model.registers(Kind::is_pointer);
    let anything = s.slip() || s.source.chance(15);
    let strange = s.source.pick(&strange).filter(|_| anything);
    // What was never written to the stack may be anything, and comes back from there.
    let on_stack = strange.is_some_and(|reg| matches!(s.model.get(reg), Kind::Stack(_)));
    s.volatile |= on_stack;
    let (base, mut off) = match strange.or_else(|| s.source.pick(&values)) {
        Some(reg) => {
            let misplaced = match s.model.get(reg) {
                Kind::Value { off, .. } => off.rem_euclid(8),
                _ => 0,
            };
            (reg, if misplaced == 0 { 0 } else { 8 - misplaced })
        }
        None => (10, buffer(s, 8)),
    };
    if s.slip() {
        off += s.source.between(-8, 8) as i16;
    }
    let mut code = s.source.one_of([size::W, size::DW]);
    let src = s.number_to_change();
    if src == base || src == 10 {
        return;
    }
    match s.source.below(10) {
        0 => {
            s.model.set(src, Kind::ANY_NUMBER);
            s.push(Insn::atomic(code, op::XCHG, base, src, off));
        }
        1 => {
            if !s.model.get(0).is_number() || base == 0 {
                if base == 0 {
                    return;
                }
                let imm = s.source.imm();
                s.set_imm(0, imm);
            }
            s.push(Insn::atomic(code, op::CMPXCHG, base, src, off));
            s.model.set(0, Kind::ANY_NUMBER);
        }
        2 => {
            code = s.source.one_of([size::B, size::H, size::W, size::DW]);
            let dst = s.target();
            if dst != 10 {
                s.push(Insn::atomic(code, op::LOAD_ACQ, dst, base, off));
                s.model.set(dst, Kind::ANY_NUMBER);
            }
        }
        3 => {
            code = s.source.one_of([size::B, size::H, size::W, size::DW]);
            s.push(Insn::atomic(code, op::STORE_REL, base, src, off));
        }
        _ => {
            let what = s.source.one_of([op::ADD, op::OR, op::AND, op::XOR]);
            let fetch = s.source.coin();
            let what = what | if fetch { op::FETCH } else { 0 };
            let what = if s.slip() { s.source.imm() } else { what };
            s.push(Insn::atomic(code, what, base, src, off));
            if fetch {
                s.model.set(src, Kind::ANY_NUMBER);
            }
        }
    }
}

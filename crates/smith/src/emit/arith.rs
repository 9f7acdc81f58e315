//! Arithmetic of every form and width on numbers.

use skep_isa::{Insn, SwapKind, alu};

use crate::model::Kind;
use crate::smith::Smith;

const OPS: [u8; 9] = [
    alu::ADD,
    alu::SUB,
    alu::MUL,
    alu::OR,
    alu::AND,
    alu::XOR,
    alu::LSH,
    alu::RSH,
    alu::ARSH,
];

/// Changes a number.
pub(crate) fn arithmetic(s: &mut Smith<'_, '_>) {
    let dst = s.number_to_change();
    if s.model.get(dst).is_pointer() {
        s.volatile = true;
    }
    match s.source.below(12) {
        0..=5 => plain(s, dst),
        6 => divide(s, dst),
        7 => swap(s, dst),
        8 => {
            let negate = if s.source.coin() {
                Insn::new(0x87, dst, 0, 0, 0)
            } else {
                Insn::new(0x84, dst, 0, 0, 0)
            };
            s.push(negate);
            s.model.set(dst, Kind::ANY_NUMBER);
        }
        9 => extend(s, dst),
        10 => {
            let bits = s.source.below(12);
            mask(s, dst, 1i32.wrapping_shl(bits).wrapping_sub(1));
        }
        _ => {
            let src = s.number();
            let copy = if s.source.coin() {
                Insn::mov64_reg(dst, src)
            } else {
                Insn::mov32_reg(dst, src)
            };
            s.push(copy);
            let bound = match s.model.get(src) {
                Kind::Number(bound) => bound,
                _ => None,
            };
            s.model.set(dst, Kind::Number(bound));
        }
    }
}

/// `dst &= imm`
pub(crate) fn mask(s: &mut Smith<'_, '_>, dst: u8, imm: i32) {
    s.push(Insn::alu64_imm(alu::AND, dst, imm));
    s.model.set(dst, Kind::Number(u32::try_from(imm).ok()));
}

fn plain(s: &mut Smith<'_, '_>, dst: u8) {
    let op = s.source.one_of(OPS);
    let wide = s.source.below(3) != 0;
    let shifts = matches!(op, alu::LSH | alu::RSH | alu::ARSH);
    let by_register = s.source.below(if shifts { 5 } else { 2 }) == 1;
    let insn = if by_register {
        let src = s.number();
        if wide {
            Insn::alu64_reg(op, dst, src)
        } else {
            Insn::alu32_reg(op, dst, src)
        }
    } else {
        let imm = if shifts && !s.slip() {
            s.source.between(0, if wide { 63 } else { 31 })
        } else {
            s.source.imm()
        };
        if wide {
            Insn::alu64_imm(op, dst, imm)
        } else {
            Insn::alu32_imm(op, dst, imm)
        }
    };
    s.push(insn);
    let bound = match (op, by_register) {
        (alu::AND, false) => u32::try_from(insn.imm).ok(),
        _ => None,
    };
    s.model.set(dst, Kind::Number(bound));
}

fn divide(s: &mut Smith<'_, '_>, dst: u8) {
    let op = s.source.one_of([alu::DIV, alu::MOD]);
    let imm = match s.source.imm() {
        0 if !s.slip() => 3,
        imm => imm,
    };
    let src = s.number();
    let insn = match s.source.below(4) {
        0 => Insn::alu64_reg(op, dst, src),
        1 => Insn::alu32_reg(op, dst, src),
        2 => Insn::alu64_imm(op, dst, imm),
        _ => Insn::alu32_imm(op, dst, imm),
    };
    let signed = i16::from(s.source.below(3) == 0);
    s.push(insn.with_off(signed));
    s.model.set(dst, Kind::ANY_NUMBER);
}

fn swap(s: &mut Smith<'_, '_>, dst: u8) {
    let kind = s
        .source
        .one_of([SwapKind::ToLe, SwapKind::ToBe, SwapKind::Always]);
    let bits = if s.slip() {
        s.source.imm()
    } else {
        s.source.one_of([16, 32, 64])
    };
    s.push(Insn::swap(kind, dst, bits));
    s.model.set(dst, Kind::ANY_NUMBER);
}

fn extend(s: &mut Smith<'_, '_>, dst: u8) {
    let src = s.number();
    let insn = if s.source.coin() {
        let bits = if s.slip() {
            s.source.between(0, 64)
        } else {
            s.source.one_of([8, 16, 32])
        };
        Insn::mov64_reg(dst, src).with_off(bits as i16)
    } else {
        let bits = if s.slip() {
            s.source.between(0, 64)
        } else {
            s.source.one_of([8, 16])
        };
        Insn::mov32_reg(dst, src).with_off(bits as i16)
    };
    s.push(insn);
    s.model.set(dst, Kind::ANY_NUMBER);
}

/// Makes a new number.
pub(crate) fn number(s: &mut Smith<'_, '_>) {
    let dst = s.target();
    match s.source.below(8) {
        0..=2 => {
            let imm = s.source.imm();
            s.set_imm(dst, imm);
        }
        3 => {
            let imm = s.source.imm();
            s.push(Insn::mov32_imm(dst, imm));
            s.model.set(dst, Kind::Number(Some(imm as u32)));
        }
        4 => {
            let value = s.source.imm64();
            s.f.insns.extend(Insn::ld_imm64(dst, value));
            s.model.set(dst, Kind::Number(u32::try_from(value).ok()));
        }
        _ => super::ctx::load_number(s, dst),
    }
}

/// A register whose number is at most `most`, brought there by what programs use for that.
pub(crate) fn bounded(s: &mut Smith<'_, '_>, most: u32) -> u8 {
    let fits = |kind| matches!(kind, Kind::Number(Some(bound)) if bound <= most);
    let ready = s.model.registers(fits);
    if let Some(reg) = s.source.pick(&ready)
        && s.source.coin()
    {
        return reg;
    }
    let reg = s.number_to_change();
    let most = if s.slip() {
        most.saturating_add(s.source.below(9))
    } else {
        most
    };
    match s.source.below(4) {
        0 => {
            let by = i32::try_from(most.saturating_add(1)).unwrap_or(i32::MAX);
            s.push(Insn::alu64_imm(alu::MOD, reg, by));
        }
        1 if most >= 1 => {
            // Only so many of the upper bits are left.
            let bits = most.saturating_add(1).ilog2();
            s.push(Insn::alu64_imm(alu::RSH, reg, 64 - bits as i32));
        }
        _ => {
            let mask = most
                .saturating_add(1)
                .checked_next_power_of_two()
                .unwrap_or(1);
            let mask = if mask.saturating_sub(1) > most {
                mask / 2
            } else {
                mask
            };
            s.push(Insn::alu64_imm(
                alu::AND,
                reg,
                mask.saturating_sub(1) as i32,
            ));
        }
    }
    s.model.set(reg, Kind::Number(Some(most)));
    reg
}

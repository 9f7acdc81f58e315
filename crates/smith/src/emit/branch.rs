//! Branches of every kind, with one arm or two, and numbers learnt from them.

use skep_isa::{Insn, jmp};

use super::finish;
use crate::model::Kind;
use crate::smith::Smith;

const CONDITIONS: [u8; 11] = [
    jmp::JEQ,
    jmp::JNE,
    jmp::JGT,
    jmp::JGE,
    jmp::JLT,
    jmp::JLE,
    jmp::JSGT,
    jmp::JSGE,
    jmp::JSLT,
    jmp::JSLE,
    jmp::JSET,
];

/// A jump on some condition over numbers, whose target is still open.
pub(crate) fn condition(s: &mut Smith<'_, '_>) -> usize {
    let op = s.source.one_of(CONDITIONS);
    let dst = s.number();
    let insn = match s.source.below(6) {
        0 => {
            let src = s.number();
            Insn::jmp_reg(op, dst, src, 0)
        }
        1 => {
            let src = s.number();
            Insn::jmp32_reg(op, dst, src, 0)
        }
        2 => Insn::jmp32_imm(op, dst, s.source.imm(), 0),
        _ => Insn::jmp_imm(op, dst, s.source.imm(), 0),
    };
    s.push(insn)
}

/// One arm or two.
pub(crate) fn branch(s: &mut Smith<'_, '_>) {
    if !s.may_nest() {
        return super::arith::arithmetic(s);
    }
    let jump = condition(s);
    arms(s, jump);
}

/// The statements that a jump skips, and perhaps others that it goes to.
fn arms(s: &mut Smith<'_, '_>, jump: usize) {
    let before = s.model.clone();
    s.block(3);
    if s.held == 0 && s.source.below(8) == 0 {
        finish(s);
        s.f.land(jump);
        s.model = before;
    } else if s.source.below(3) == 0 && s.may_nest() {
        let skip = s.push(Insn::goto(0));
        s.f.land(jump);
        let after = std::mem::replace(&mut s.model, before);
        s.block(3);
        s.f.land(skip);
        s.model.join(&after);
    } else {
        s.f.land(jump);
        s.model.join(&before);
    }
}

/// Statements that run only where a number is small, and know it.
pub(crate) fn bounded(s: &mut Smith<'_, '_>) {
    if !s.may_nest() {
        return super::arith::arithmetic(s);
    }
    let reg = s.number();
    let most = s.source.below(64);
    let jump = match s.source.below(3) {
        0 => Insn::jmp_imm(jmp::JGT, reg, most as i32, 0),
        1 => Insn::jmp_imm(jmp::JGE, reg, most as i32 + 1, 0),
        _ => {
            // Signed comparisons need both ends.
            let low = s.push(Insn::jmp_imm(jmp::JSLT, reg, 0, 0));
            let high = s.push(Insn::jmp_imm(jmp::JSGT, reg, most as i32, 0));
            let before = s.model.clone();
            s.model.set(reg, Kind::Number(Some(most)));
            s.block(3);
            s.f.land(low);
            s.f.land(high);
            s.model.join(&before);
            return;
        }
    };
    let slot = s.push(jump);
    let before = s.model.clone();
    if s.model.get(reg).is_number() {
        s.model.set(reg, Kind::Number(Some(most)));
    }
    s.block(3);
    s.f.land(slot);
    s.model.join(&before);
}

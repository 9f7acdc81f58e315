//! The context: its numbers read and written at every width that fits, and some that do not.

use skep_isa::{Insn, size};

use crate::model::Kind;
use crate::smith::Smith;

fn code(bytes: u32) -> u8 {
    match bytes {
        1 => size::B,
        2 => size::H,
        4 => size::W,
        _ => size::DW,
    }
}

/// Reads or writes a field.
pub(crate) fn access(s: &mut Smith<'_, '_>) {
    if s.source.below(4) == 0 {
        return write(s);
    }
    let dst = s.target();
    load_number(s, dst);
}

/// Loads a number from the context, or makes one where there is none.
pub(crate) fn load_number(s: &mut Smith<'_, '_>, dst: u8) {
    let field = match s.ctx() {
        Some(ctx) => s
            .profile
            .number_field(s.source, false)
            .map(|field| (ctx, field)),
        None => None,
    };
    let Some((ctx, (mut offset, bytes))) = field else {
        let imm = s.source.imm();
        return s.set_imm(dst, imm);
    };
    if s.slip() {
        offset = s.source.between(-8, 256) as i16;
    }
    s.push(Insn::ldx(code(bytes), dst, ctx, offset));
    s.model.set(dst, super::loaded(bytes as i16, false));
}

fn write(s: &mut Smith<'_, '_>) {
    let Some(ctx) = s.ctx() else {
        return super::arith::arithmetic(s);
    };
    let any = s.slip();
    let field = s.profile.number_field(s.source, !any);
    let Some((offset, bytes)) = field else {
        return super::arith::arithmetic(s);
    };
    let src = s.number();
    if s.source.coin() || s.model.get(src) == Kind::Unset {
        let imm = s.source.imm();
        s.push(Insn::st(code(bytes), ctx, offset, imm));
    } else {
        s.push(Insn::stx(code(bytes), ctx, src, offset));
    }
}

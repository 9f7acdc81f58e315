//! Dynamic pointers over a map's value and over records of a ring buffer.

use skep_abi::{MapType, ProgType};
use skep_isa::{Insn, jmp, pseudo, size};

use super::kernel;
use super::map::choose;
use super::stack::buffer;
use crate::model::Kind;
use crate::smith::{Role, Smith};
use crate::world::MapDef;

const FROM_MEM: i32 = 197;
const RINGBUF_RESERVE: i32 = 198;
const RINGBUF_SUBMIT: i32 = 199;
const RINGBUF_DISCARD: i32 = 200;
const READ: i32 = 201;
const WRITE: i32 = 202;
const DATA: i32 = 203;

/// Where the dynamic pointer lies, below everything else.
const AT: i16 = -240;

/// Makes one, uses it, and gives its record back.
pub(crate) fn dynptr(s: &mut Smith<'_, '_>) {
    if s.profile.unprivileged || s.held != 0 || !s.may_nest() || s.role == Role::Callback {
        return super::arith::arithmetic(s);
    }
    let of_ring = s.source.coin();
    let chosen = if of_ring {
        choose(s, |def| def.map_type == MapType::Ringbuf)
    } else {
        choose(s, MapDef::is_direct)
    };
    let Some((map, _)) = chosen else {
        return super::arith::arithmetic(s);
    };
    let bytes = 8 * (1 + s.source.below(4)) as i32;
    s.set_imm(2, bytes);
    let flags = if s.slip() { 1 } else { 0 };
    s.set_imm(3, flags);
    let at = if s.slip() { AT + 4 } else { AT };
    s.point_to_stack(4, at);
    let (kind, make) = match of_ring {
        true => (pseudo::MAP_FD, RINGBUF_RESERVE),
        false => (pseudo::MAP_VALUE, FROM_MEM),
    };
    s.f.push_map(1, kind, map, 0);
    s.push(Insn::call_helper(make));
    s.model.called(Kind::ANY_NUMBER);
    s.endless |= of_ring;
    s.held += 1;
    for _ in 0..s.source.below(3) {
        access(s, bytes);
        s.block(1);
    }
    s.held -= 1;
    if of_ring && !s.slip() {
        s.point_to_stack(1, AT);
        s.set_imm(2, 0);
        let helper = s.source.one_of([RINGBUF_SUBMIT, RINGBUF_DISCARD]);
        s.push(Insn::call_helper(helper));
        s.model.called(Kind::Unset);
    }
}

/// A dynamic pointer over the packet, and a slice of it.
pub(crate) fn packet(s: &mut Smith<'_, '_>) {
    let is_xdp = s.profile.prog_type == ProgType::Xdp;
    let fits = is_xdp || s.profile.is_skb;
    if s.profile.unprivileged || s.held != 0 || !fits || !s.may_nest() {
        return super::arith::arithmetic(s);
    }
    let Some(ctx) = s.ctx() else {
        return super::arith::arithmetic(s);
    };
    s.copy(1, ctx);
    s.set_imm(2, 0);
    s.point_to_stack(3, AT);
    kernel::call(
        s,
        if is_xdp {
            "bpf_dynptr_from_xdp"
        } else {
            "bpf_dynptr_from_skb"
        },
    );
    s.model.set(0, Kind::ANY_NUMBER);
    s.endless = true;
    s.held += 1;
    if s.source.below(3) == 0 {
        s.point_to_stack(1, AT);
        let (start, end) = (s.source.between(0, 8), s.source.between(4, 40));
        s.set_imm(2, start);
        s.set_imm(3, end);
        kernel::call(s, "bpf_dynptr_adjust");
        s.model.set(0, Kind::ANY_NUMBER);
    }
    let writes = s.source.below(3) == 0;
    let bytes = 4 * (1 + s.source.below(4)) as i32;
    let given = s.source.coin();
    if given {
        let at = buffer(s, 16);
        s.point_to_stack(3, at);
    } else {
        s.set_imm(3, 0);
    }
    let size = if s.slip() { bytes + 8 } else { bytes };
    s.set_imm(4, size);
    let offset = s.source.between(0, 30);
    s.set_imm(2, offset);
    s.point_to_stack(1, AT);
    let name = match writes {
        true => "bpf_dynptr_slice_rdwr",
        false => "bpf_dynptr_slice",
    };
    kernel::call(s, name);
    let missing = (!s.slip()).then(|| s.push(Insn::jmp_imm(jmp::JEQ, 0, 0, 0)));
    let at = if s.slip() { bytes } else { bytes - 4 } as i16;
    if writes || s.slip() {
        s.push(Insn::st(size::W, 0, at, bytes));
    } else {
        let dst = s.lasting_target();
        let before = s.model.clone();
        s.push(Insn::ldx(size::W, dst, 0, at));
        s.model.set(dst, Kind::ANY_NUMBER);
        s.model.join(&before);
    }
    if s.source.below(4) == 0 {
        s.block(1);
    }
    if let Some(missing) = missing {
        s.f.land(missing);
    }
    s.model.set(0, Kind::Unset);
    s.held -= 1;
    s.model.forget_packets();
}

fn access(s: &mut Smith<'_, '_>, bytes: i32) {
    let offset = s.source.between(0, bytes - 1);
    let len = 1 + s.source.below(8) as i32;
    match s.source.below(3) {
        0 => {
            let to = buffer(s, 8);
            s.point_to_stack(1, to);
            s.set_imm(2, len);
            s.point_to_stack(3, AT);
            s.set_imm(4, offset);
            s.set_imm(5, 0);
            s.push(Insn::call_helper(READ));
            s.model.called(Kind::ANY_NUMBER);
        }
        1 => {
            let from = buffer(s, 8);
            s.point_to_stack(3, from);
            s.point_to_stack(1, AT);
            s.set_imm(2, offset);
            s.set_imm(4, len);
            s.set_imm(5, 0);
            s.push(Insn::call_helper(WRITE));
            s.model.called(Kind::ANY_NUMBER);
        }
        _ => {
            s.point_to_stack(1, AT);
            s.set_imm(2, offset);
            s.set_imm(3, 8);
            s.push(Insn::call_helper(DATA));
            s.model.called(Kind::Unset);
            let missing = (!s.slip()).then(|| s.push(Insn::jmp_imm(jmp::JEQ, 0, 0, 0)));
            let at = if s.slip() { 8 } else { 0 };
            s.push(Insn::st(size::DW, 0, at, len));
            if let Some(missing) = missing {
                s.f.land(missing);
            }
        }
    }
}

//! Packets: their bounds, checks in every direction, accesses behind them.

use skep_isa::{Insn, alu, jmp, size};

use super::arith::bounded;
use super::memory::access;
use crate::model::Kind;
use crate::smith::Smith;

/// Loads the packet's start and end; the registers.
pub(crate) fn load_bounds(s: &mut Smith<'_, '_>) -> Option<(u8, u8)> {
    let fields = s.profile.packet?;
    let ctx = s.ctx()?;
    let code = if fields.wide { size::DW } else { size::W };
    let start = s.lasting_target();
    let end = s.target();
    if start == end || end == 10 || start == ctx {
        return None;
    }
    s.push(Insn::ldx(code, start, ctx, fields.data));
    s.model.set(start, Kind::Packet { off: 0, checked: 0 });
    if end == ctx {
        return None;
    }
    s.push(Insn::ldx(code, end, ctx, fields.data_end));
    s.model.set(end, Kind::PacketEnd);
    Some((start, end))
}

/// Statements that run only where so much of the packet is there, and read or write it.
pub(crate) fn check(s: &mut Smith<'_, '_>) {
    if s.profile.packet.is_none() || !s.may_nest() {
        return super::ctx::access(s);
    }
    let starts = s
        .model
        .registers(|kind| matches!(kind, Kind::Packet { .. }));
    let ends = s.model.registers(|kind| kind == Kind::PacketEnd);
    let ready = s.source.pick(&starts).zip(s.source.pick(&ends));
    let bounds = match ready {
        Some(bounds) if s.source.below(4) != 0 => bounds,
        _ => match load_bounds(s) {
            Some(bounds) => bounds,
            None => return super::ctx::access(s),
        },
    };
    let (start, end) = bounds;
    if s.source.below(6) == 0 {
        return length(s, start, end);
    }
    let probe = s.target();
    if probe == 10 || probe == start || probe == end {
        return;
    }
    let (mut start, mut off) = (start, 0);
    if let Kind::Packet { off: known, .. } = s.model.get(start) {
        off = known;
    }
    if s.source.below(4) == 0 {
        // From a place that only the run knows.
        let index = bounded(s, 63);
        let moved = s.target();
        if [10, index, start, end, probe].contains(&moved) || index == start || index == end {
            return;
        }
        s.push(Insn::mov64_reg(moved, start));
        s.push(Insn::alu64_reg(alu::ADD, moved, index));
        s.model.set(moved, Kind::Packet { off: 0, checked: 0 });
        (start, off) = (moved, 0);
    }
    if probe == start {
        return;
    }
    let bytes = 1 + s.source.below(40) as i16;
    s.push(Insn::mov64_reg(probe, start));
    s.push(Insn::alu64_imm(alu::ADD, probe, bytes.into()));
    s.model.set(probe, Kind::Unset);
    let before = s.model.clone();
    let slipped = i16::from(s.slip());
    let (jump, known) = match s.source.below(4) {
        0 => (Insn::jmp_reg(jmp::JGT, probe, end, 0), bytes),
        1 => (Insn::jmp_reg(jmp::JLT, end, probe, 0), bytes),
        2 => (Insn::jmp_reg(jmp::JGE, probe, end, 0), bytes + 1),
        _ => (Insn::jmp_reg(jmp::JLE, end, probe, 0), bytes + 1),
    };
    let away = s.push(jump);
    let checked = off + known + slipped;
    s.model.set(start, Kind::Packet { off, checked });
    access(s, start);
    s.block(3);
    s.f.land(away);
    s.model.join(&before);
}

/// The packet's length as a number.
fn length(s: &mut Smith<'_, '_>, start: u8, end: u8) {
    let to = s.target();
    if [10, start].contains(&to) || s.profile.unprivileged {
        return;
    }
    s.push(Insn::mov64_reg(to, end));
    s.push(Insn::alu64_reg(alu::SUB, to, start));
    s.model.set(to, Kind::ANY_NUMBER);
}

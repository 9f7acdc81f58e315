//! Loads and stores through pointers: map values, packets, memory lent by the caller.

use skep_isa::{Insn, alu};

use super::arith::bounded;
use super::{loaded, width};
use crate::model::Kind;
use crate::smith::Smith;
use crate::world::MAPS;

/// Memory behind a pointer: how many bytes from it are known to be there.
struct Reach {
    bytes: i16,
    reads: bool,
    writes: bool,
}

fn reach(s: &Smith<'_, '_>, kind: Kind) -> Option<Reach> {
    match kind {
        Kind::Lent(bytes) => Some(Reach {
            bytes,
            reads: true,
            writes: true,
        }),
        Kind::Value { map, off } => {
            let def = MAPS.get(map)?;
            Some(Reach {
                bytes: def.value_size as i16 - off,
                reads: def.reads(),
                writes: def.writes(),
            })
        }
        Kind::Packet { off, checked } => Some(Reach {
            bytes: checked - off,
            reads: true,
            writes: s.profile.packet_writes,
        }),
        _ => None,
    }
}

/// Loads or stores something where a pointer leads.
pub(crate) fn through_pointer(s: &mut Smith<'_, '_>) {
    let pointers = s.model.registers(|kind| {
        matches!(
            kind,
            Kind::Lent(_) | Kind::Value { .. } | Kind::Packet { .. }
        )
    });
    let Some(pointer) = s.source.pick(&pointers) else {
        return super::arith::arithmetic(s);
    };
    access(s, pointer);
}

/// Loads or stores something behind `pointer`.
pub(crate) fn access(s: &mut Smith<'_, '_>, pointer: u8) {
    let kind = s.model.get(pointer);
    let Some(reach) = reach(s, kind) else {
        return;
    };
    let (code, bytes) = width(s);
    let mut room = reach.bytes - bytes;
    if room < 0 && !s.slip() {
        return;
    }
    if s.slip() {
        room += s.source.between(1, 8) as i16;
    }
    let room = room.max(0);
    let variable = s.source.below(4) == 0 && room > 0 && !matches!(kind, Kind::Packet { .. });
    let mut offset = s.source.below(room as u32 + 1) as i16;
    if s.source.below(4) != 0 || s.profile.unprivileged {
        offset -= offset % bytes;
    }
    let mut base = pointer;
    if variable {
        let index = bounded(s, (room - offset) as u32);
        base = s.target();
        if base == 10 || base == index || base == pointer {
            return;
        }
        s.push(Insn::mov64_reg(base, pointer));
        s.push(Insn::alu64_reg(alu::ADD, base, index));
        s.model.set(base, Kind::Unset);
    } else if s.source.below(5) == 0 && offset > 0 {
        // The same place through a pointer that was moved.
        base = s.target();
        if base == 10 {
            return;
        }
        s.push(Insn::mov64_reg(base, pointer));
        s.push(Insn::alu64_imm(alu::ADD, base, offset.into()));
        let moved = match kind {
            Kind::Lent(bytes) => Kind::Lent(bytes - offset),
            Kind::Value { map, off } => Kind::Value {
                map,
                off: off + offset,
            },
            Kind::Packet { off, checked } => Kind::Packet {
                off: off + offset,
                checked,
            },
            other => other,
        };
        s.model.set(base, moved);
        offset = 0;
    }
    let write = if reach.reads && reach.writes {
        s.source.coin()
    } else {
        reach.writes != s.slip()
    };
    if write {
        if s.source.coin() {
            let src = s.number();
            s.push(Insn::stx(code, base, src, offset));
        } else {
            let imm = s.source.imm();
            s.push(Insn::st(code, base, offset, imm));
        }
    } else {
        let dst = s.target();
        let signed = bytes != 8 && s.source.below(4) == 0;
        s.push(if signed {
            Insn::ldsx(code, dst, base, offset)
        } else {
            Insn::ldx(code, dst, base, offset)
        });
        s.model.set(dst, loaded(bytes, signed));
    }
}

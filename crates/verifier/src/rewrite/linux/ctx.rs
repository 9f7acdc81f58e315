//! Accesses to contexts and sockets, which Linux looks up in its own structures.

use skep_abi::ProgType;
use skep_catalog::convert::{self, Access, Conversion, Object, Piece};
use skep_isa::{Insn, alu, class, jmp, mode, size};

use super::{MODE, Writer};
use crate::context::Verifier;
use crate::rewrite::draft::Step;
use crate::state::Kind;

/// Where `__sk_buff` holds the time of a packet and what kind of time it is.
const TSTAMP: u32 = 152;
const TSTAMP_TYPE: u32 = 180;
/// Where Linux holds that time.
const KERNEL_TSTAMP: i16 = 32;

impl Writer<'_, '_> {
    /// Writes an access to what the kernel has elsewhere, when it is one.
    pub(super) fn converted(&mut self, step: &Step) -> bool {
        let insn = step.insn;
        if !matches!(insn.mode(), mode::MEM | mode::MEMSX) {
            return false;
        }
        let Some((kind, _)) = self.v.aux[step.old as usize].ptr_kind else {
            return false;
        };
        let prog_type = ProgType::from_u32(self.v.request.prog_type);
        let object = match (kind, prog_type) {
            (Kind::Ctx, Some(prog_type)) => Object::Context(prog_type),
            (Kind::Socket | Kind::SockCommon, _) => Object::Socket,
            (Kind::TcpSock, _) => Object::TcpSocket,
            (Kind::XdpSock, _) => Object::XdpSocket,
            _ => return false,
        };
        let Ok(offset) = u32::try_from(insn.off) else {
            return false;
        };
        let width = insn.size_bytes();
        let is_load = insn.class() == class::LDX;
        if offset == TSTAMP && object == Object::Context(ProgType::SchedCls) && self.knows_times {
            self.out.push(match insn.class() {
                class::LDX => Insn::ldx(size::DW, insn.dst, insn.src, KERNEL_TSTAMP),
                class::STX => Insn::stx(size::DW, insn.dst, insn.src, KERNEL_TSTAMP),
                _ => Insn::st(size::DW, insn.dst, KERNEL_TSTAMP, insn.imm),
            });
            return true;
        }
        let found = match is_load {
            true => convert::load_conversion(object, offset, width, insn.dst == insn.src),
            false => convert::store_conversion(object, offset, width),
        };
        let signed = insn.mode() == mode::MEMSX && convert::is_converted(object);
        let insn = match signed {
            true => Insn {
                code: insn.code & !MODE | mode::MEM,
                ..insn
            },
            false => insn,
        };
        match found.map(|row| (row, row.access)) {
            None if !signed => return false,
            None => self.out.push(insn),
            Some((_, Access::Moved(by))) => {
                let off = insn.off.saturating_add(by);
                self.out.push(Insn { off, ..insn });
            }
            Some((row, _)) => {
                self.put(row, insn);
                if is_load {
                    self.cut(row, insn, offset, width);
                }
            }
        }
        if signed {
            let off = (width * 8) as i16;
            self.out.push(Insn {
                off,
                ..Insn::mov64_reg(insn.dst, insn.dst)
            });
        }
        true
    }

    /// Writes a conversion with the registers of the access.
    fn put(&mut self, row: &Conversion, insn: Insn) {
        let spare = (7..=9)
            .rev()
            .find(|reg| *reg != insn.dst && *reg != insn.src);
        let reg = |symbol: u8| match symbol {
            convert::D => insn.dst,
            convert::S => insn.src,
            convert::T => spare.unwrap_or(7),
            reg => reg,
        };
        let of_number = insn.class() == class::ST;
        // A number that is too large for the field is known before.
        let skips = of_number
            && row
                .insns
                .first()
                .is_some_and(|piece| piece.code & 7 == class::JMP);
        for piece in &row.insns[usize::from(skips)..] {
            let Piece {
                code,
                dst,
                src,
                off,
                imm,
            } = *piece;
            let stores = code & 7 == class::STX && src == convert::S;
            self.out.push(match of_number && stores {
                true => Insn::new(code & !7 | class::ST, reg(dst), 0, off, insn.imm),
                false => Insn::new(code, reg(dst), reg(src), off, imm),
            });
        }
    }

    /// Takes from a loaded field the part that was asked for.
    fn cut(&mut self, row: &Conversion, insn: Insn, offset: u32, width: u32) {
        let mut loads = row
            .insns
            .iter()
            .filter(|piece| piece.code & 7 == class::LDX);
        let kept = loads.next_back().map_or(4, |piece| bytes(piece.code));
        if width >= row.size || width >= kept {
            return;
        }
        let shift = ((offset - row.offset) * 8) as i32;
        if shift != 0 {
            self.out.push(match row.size {
                8 => Insn::alu64_imm(alu::RSH, insn.dst, shift),
                _ => Insn::alu32_imm(alu::RSH, insn.dst, shift),
            });
        }
        let mask = ((1u64 << (width * 8)) - 1) as u32;
        self.out
            .push(Insn::alu32_imm(alu::AND, insn.dst, mask as i32));
    }

    /// What a program begins with that stores to its packet: the packet becomes its own.
    pub(super) fn packet_prologue(&mut self) {
        if !self.v.seen_direct_write {
            return;
        }
        // What the program results in when there is no memory: the packet is dropped.
        let drop = match ProgType::from_u32(self.v.request.prog_type) {
            Some(ProgType::SchedCls | ProgType::SchedAct | ProgType::LwtXmit) => 2,
            Some(ProgType::SkSkb) => 0,
            _ => return,
        };
        /// The byte of `sk_buff` whose lowest bit says that its data is shared.
        const CLONED: i16 = 126;
        self.out.extend([
            Insn::ldx(size::B, 6, 1, CLONED),
            Insn::alu32_imm(alu::AND, 6, 1),
            Insn::jmp_imm(jmp::JEQ, 6, 0, 7),
            Insn::mov64_reg(6, 1),
            Insn::alu64_reg(alu::XOR, 2, 2),
            Insn::call_helper(skep_catalog::helper_id::SKB_PULL_DATA as i32),
            Insn::jmp_imm(jmp::JEQ, 0, 0, 2),
            Insn::mov32_imm(0, drop),
            Insn::exit(),
            Insn::mov64_reg(1, 6),
        ]);
    }
}

/// Whether the program looks at what kind of time a packet has, and so need not be shown only one
/// kind.
pub(super) fn knows_times(v: &Verifier<'_>) -> bool {
    v.request.prog_type == ProgType::SchedCls.as_u32()
        && v.insns.iter().zip(&v.aux).any(|(insn, aux)| {
            let through_ctx = matches!(aux.ptr_kind, Some((Kind::Ctx, _)));
            through_ctx && insn.class() == class::LDX && insn.off as u32 == TSTAMP_TYPE
        })
}

fn bytes(code: u8) -> u32 {
    match code & 0x18 {
        size::B => 1,
        size::H => 2,
        size::W => 4,
        _ => 8,
    }
}

//! Loads, stores and 64-bit immediates.

use skep_abi::MapType;
use skep_isa::Insn;
use skep_isa::field::{mode, pseudo, size};

use crate::access::Access;
use crate::context::{Res, Verifier};
use crate::refuse;
use crate::state::reg::DEF_NOT_SUBREG;
use crate::state::{Flags, Kind, Reg};

impl Verifier<'_> {
    /// `rD = *(size *)(rS + off)`.
    pub fn step_load(&mut self, insn: Insn) -> Res {
        let signed = insn.mode() == mode::MEMSX;
        self.check_load(insn, false, signed, "ldx")
    }

    /// A load, also as an atomic one, which must be aligned (`strict`).
    pub fn check_load(&mut self, insn: Insn, strict: bool, signed: bool, context: &str) -> Res {
        self.check_reg_read(insn.src)?;
        self.check_reg_write(insn.dst, false)?;
        let source = *self.reg(insn.src);
        self.check_mem_access(
            self.insn_idx,
            insn.src,
            i32::from(insn.off),
            insn.size_bytes() as i32,
            Access::Read,
            Some(insn.dst),
            strict,
            signed,
        )?;
        self.note_pointer_kind(&source, true)?;
        self.check_bounds_sane(insn.dst, context)
    }

    /// `*(size *)(rD + off) = rS`.
    pub fn step_store_reg(&mut self, insn: Insn) -> Res {
        if insn.mode() != mode::MEM || insn.imm != 0 {
            refuse!(self, EINVAL, "BPF_STX uses reserved fields");
        }
        self.check_store(insn, false)
    }

    /// A store of a register, also as an atomic one, which must be aligned (`strict`).
    pub fn check_store(&mut self, insn: Insn, strict: bool) -> Res {
        self.check_reg_read(insn.src)?;
        self.check_reg_read(insn.dst)?;
        let target = *self.reg(insn.dst);
        self.check_mem_access(
            self.insn_idx,
            insn.dst,
            i32::from(insn.off),
            insn.size_bytes() as i32,
            Access::Write,
            Some(insn.src),
            strict,
            false,
        )?;
        self.note_pointer_kind(&target, false)
    }

    /// `*(size *)(rD + off) = imm`.
    pub fn step_store_imm(&mut self, insn: Insn) -> Res {
        if insn.mode() != mode::MEM || insn.src != 0 {
            refuse!(self, EINVAL, "BPF_ST uses reserved fields");
        }
        self.check_reg_read(insn.dst)?;
        let target = *self.reg(insn.dst);
        self.check_mem_access(
            self.insn_idx,
            insn.dst,
            i32::from(insn.off),
            insn.size_bytes() as i32,
            Access::Write,
            None,
            false,
            false,
        )?;
        self.note_pointer_kind(&target, false)
    }

    /// One instruction is rewritten one way, so it may not meet two kinds of pointer that
    /// are rewritten differently.
    pub(super) fn note_pointer_kind(&mut self, pointer: &Reg, is_load: bool) -> Res {
        let kind = (pointer.kind, pointer.flags);
        let probed = |kind: Kind| matches!(kind, Kind::BtfId | Kind::Mem);
        let untrusted = kind.1.any(Flags::UNTRUSTED);
        let aux = self.aux_mut();
        aux.probed |= match kind.0 {
            Kind::BtfId => untrusted || !kind.1.any(Flags::ALLOC),
            Kind::Mem => untrusted,
            _ => false,
        };
        match aux.ptr_kind {
            None => aux.ptr_kind = Some(kind),
            // Loads of kernel memory survive a fault, whatever was promised of the pointer.
            Some(before) if is_load && before != kind && probed(before.0) && probed(kind.0) => {
                let both = if before.0 == kind.0 {
                    kind.0
                } else {
                    Kind::BtfId
                };
                aux.ptr_kind = Some((both, Flags::UNTRUSTED));
            }
            Some(before)
                if before != kind && (needs_rewrite(before.0) || needs_rewrite(kind.0)) =>
            {
                refuse!(
                    self,
                    EINVAL,
                    "same insn cannot be used with different pointers"
                );
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// `rD = imm64`, and what a 64-bit load can stand for.
    pub fn step_ld_imm(&mut self, insn: Insn) -> Res {
        if insn.size() != size::DW {
            refuse!(self, EINVAL, "invalid BPF_LD_IMM insn");
        }
        if insn.off != 0 {
            refuse!(self, EINVAL, "BPF_LD_IMM64 uses reserved fields");
        }
        self.check_reg_write(insn.dst, true)?;
        let second = self
            .insns
            .get(self.insn_idx as usize + 1)
            .copied()
            .unwrap_or_default();
        if insn.src == 0 {
            let value = insn.imm64(second);
            self.mark_known(insn.dst, value);
            return Ok(());
        }
        let value = match insn.src {
            pseudo::FUNC => {
                let subprog = self.subprog_at(self.target(insn.imm)) as u32;
                if self.request.func_info.count == 0 {
                    refuse!(self, EINVAL, "missing btf func_info");
                }
                if self.subprogs[subprog as usize].is_global {
                    refuse!(self, EINVAL, "callback function not static");
                }
                Reg {
                    aux: subprog,
                    ..Reg::pointer(Kind::Func)
                }
            }
            pseudo::MAP_FD | pseudo::MAP_IDX | pseudo::MAP_VALUE | pseudo::MAP_IDX_VALUE => {
                let Some((map, offset)) = self.aux[self.insn_idx as usize].map else {
                    refuse!(self, EFAULT, "verifier bug: no map for a map load");
                };
                let value = matches!(insn.src, pseudo::MAP_VALUE | pseudo::MAP_IDX_VALUE);
                if value && self.map_at(map).map_type == MapType::Arena.as_u32() {
                    // An address of the user, which the program casts first.
                    self.mark_unknown(insn.dst);
                    return Ok(());
                }
                if value {
                    Reg {
                        aux: map,
                        off: offset as i32,
                        ..Reg::pointer(Kind::MapValue)
                    }
                } else {
                    Reg {
                        aux: map,
                        ..Reg::pointer(Kind::ConstMapPtr)
                    }
                }
            }
            pseudo::BTF_ID => {
                // A function of the kernel: there is nothing to be read.
                let subreg_def = DEF_NOT_SUBREG;
                *self.reg_mut(insn.dst) = Reg {
                    flags: Flags::RDONLY,
                    subreg_def,
                    ..Reg::pointer(Kind::Mem)
                };
                return Ok(());
            }
            _ => refuse!(self, EINVAL, "unrecognized bpf_ld_imm64 insn"),
        };
        *self.reg_mut(insn.dst) = Reg {
            subreg_def: DEF_NOT_SUBREG,
            flags: Flags::NONE,
            ..value
        };
        Ok(())
    }
}

/// Whether accesses through this kind of pointer are rewritten in a way of their own.
fn needs_rewrite(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Ctx
            | Kind::Socket
            | Kind::SockCommon
            | Kind::TcpSock
            | Kind::XdpSock
            | Kind::BtfId
            | Kind::Arena
    )
}

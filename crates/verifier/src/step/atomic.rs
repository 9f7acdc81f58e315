//! Atomic operations: read-modify-write, load-acquire, store-release.

use skep_isa::Insn;
use skep_isa::field::atomic::{ADD, AND, CMPXCHG, FETCH, LOAD_ACQ, OR, STORE_REL, XCHG, XOR};
use skep_isa::field::size;

use crate::access::Access;
use crate::context::{Res, Verifier};
use crate::refuse;
use crate::state::{Flags, Kind};

/// The register that an atomic puts the old value of the memory into.
pub(crate) fn fetched_to(insn: Insn) -> Option<u8> {
    match insn.imm {
        CMPXCHG => Some(0),
        imm if imm & FETCH != 0 => Some(insn.src),
        _ => None,
    }
}

impl Verifier<'_> {
    /// An atomic operation, by its immediate.
    ///
    /// # Errors
    /// `EINVAL` for an unknown operation, `EACCES` for memory that has none.
    pub fn step_atomic(&mut self, insn: Insn) -> Res {
        match insn.imm {
            XCHG | CMPXCHG => self.atomic_update(insn),
            LOAD_ACQ => {
                self.check_load(insn, true, false, "atomic_load")?;
                self.check_atomic_memory(insn.src, "loads from")
            }
            STORE_REL => {
                self.check_store(insn, true)?;
                self.check_atomic_memory(insn.dst, "stores into")
            }
            imm => match imm & !FETCH {
                ADD | OR | AND | XOR => self.atomic_update(insn),
                _ => refuse!(
                    self,
                    EINVAL,
                    "BPF_ATOMIC uses invalid atomic opcode {imm:02x}"
                ),
            },
        }
    }

    fn atomic_update(&mut self, insn: Insn) -> Res {
        if !matches!(insn.size(), size::W | size::DW) {
            refuse!(self, EINVAL, "invalid atomic operand size");
        }
        self.check_reg_read(insn.src)?;
        self.check_reg_read(insn.dst)?;
        if insn.imm == CMPXCHG {
            self.check_reg_read(0)?;
            self.check_no_atomic_leak(0)?;
        }
        self.check_no_atomic_leak(insn.src)?;
        self.check_atomic_memory(insn.dst, "stores into")?;
        if self.reg(insn.dst).kind == Kind::Arena {
            let arena = *self.reg(insn.dst);
            self.note_pointer_kind(&arena, false)?;
        }
        let loaded = fetched_to(insn);
        if let Some(reg) = loaded {
            self.check_reg_write(reg, true)?;
        }
        // The memory is read, what was read may go to a register, and it is written.
        self.atomic_access(insn, Access::Read, None)?;
        if loaded.is_some() {
            self.atomic_access(insn, Access::Read, loaded)?;
        }
        self.atomic_access(insn, Access::Write, None)
    }

    fn atomic_access(&mut self, insn: Insn, access: Access, value: Option<u8>) -> Res {
        self.check_mem_access(
            self.insn_idx,
            insn.dst,
            i32::from(insn.off),
            insn.size_bytes() as i32,
            access,
            value,
            true,
            false,
        )
    }

    fn check_no_atomic_leak(&mut self, reg: u8) -> Res {
        if self.is_pointer_value(reg) {
            refuse!(self, EACCES, "R{reg} leaks addr into mem");
        }
        Ok(())
    }

    /// Accesses that are rewritten to something else cannot be atomic.
    fn check_atomic_memory(&mut self, reg: u8, what: &str) -> Res {
        let (kind, flags) = (self.reg(reg).kind, self.reg(reg).flags);
        let insn = self.insns[self.insn_idx as usize];
        // Linux makes these of several instructions, of which only one could fault.
        let in_steps = matches!(insn.imm & !FETCH, OR | AND | XOR) && insn.imm & FETCH != 0;
        let refused = kind == Kind::Arena && in_steps;
        // What may still be null is refused by the access itself, in other words.
        let refused = refused
            || flags == Flags::NONE
                && matches!(
                    kind,
                    Kind::Ctx
                        | Kind::Packet
                        | Kind::PacketMeta
                        | Kind::FlowKeys
                        | Kind::Socket
                        | Kind::SockCommon
                        | Kind::TcpSock
                        | Kind::XdpSock
                );
        if refused {
            let name = self.kind_name(reg);
            refuse!(
                self,
                EACCES,
                "BPF_ATOMIC {what} R{reg} {name} is not allowed"
            );
        }
        Ok(())
    }
}

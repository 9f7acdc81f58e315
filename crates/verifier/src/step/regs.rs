//! Reading and writing registers: what may be read, and what a write leaves.

use skep_isa::Insn;
use skep_isa::field::{alu as op, class, mode};

use crate::context::{Res, Verifier};
use crate::refuse;
use crate::state::Reg;
use crate::state::reg::DEF_NOT_SUBREG;

impl Verifier<'_> {
    /// A number nothing is known of, as this caller's rights make it: without the right to
    /// loops and precision, every number counts as exact.
    #[inline]
    pub fn unknown_scalar(&self) -> Reg {
        Reg {
            precise: !self.request.privilege.bpf_capable,
            ..Reg::UNKNOWN
        }
    }

    /// The number `value`; see [`unknown_scalar`](Self::unknown_scalar).
    #[inline]
    pub fn known_scalar(&self, value: u64) -> Reg {
        Reg {
            precise: !self.request.privilege.bpf_capable,
            ..Reg::known(value)
        }
    }

    /// Forgets the number a register of the innermost frame holds. What defined its low half
    /// stays.
    pub fn mark_unknown(&mut self, reg: u8) {
        let unknown = self.unknown_scalar();
        let place = self.reg_mut(reg);
        *place = Reg {
            subreg_def: place.subreg_def,
            ..unknown
        };
    }

    /// Sets a register of the innermost frame to a number.
    pub fn mark_known(&mut self, reg: u8, value: u64) {
        let known = self.known_scalar(value);
        let place = self.reg_mut(reg);
        *place = Reg {
            subreg_def: place.subreg_def,
            ..known
        };
    }

    /// The register exists.
    pub fn check_reg_number(&mut self, reg: u8) -> Res {
        if reg > 10 {
            refuse!(self, EINVAL, "R{reg} is invalid");
        }
        Ok(())
    }

    /// The register may be read.
    pub fn check_reg_read(&mut self, reg: u8) -> Res {
        self.check_reg_number(reg)?;
        self.scratch_reg(reg);
        if self.reg(reg).kind == crate::state::Kind::NotInit {
            refuse!(self, EACCES, "R{reg} !read_ok");
        }
        if reg != 10 && self.reads_64(self.insn(), reg) {
            self.need_zext(reg);
        }
        Ok(())
    }

    /// The register may be written.
    pub fn check_reg_write(&mut self, reg: u8, mark_unknown: bool) -> Res {
        self.check_reg_number(reg)?;
        self.scratch_reg(reg);
        if reg == 10 {
            refuse!(self, EACCES, "frame pointer is read only");
        }
        let whole = self.writes_64(self.insn());
        let def = if whole {
            DEF_NOT_SUBREG
        } else {
            self.insn_idx + 1
        };
        self.reg_mut(reg).subreg_def = def;
        if mark_unknown {
            self.mark_unknown(reg);
        }
        Ok(())
    }

    /// The upper half of the register is read, so whoever wrote the low half must have
    /// cleared it.
    pub fn need_zext(&mut self, reg: u8) {
        let def = self.reg(reg).subreg_def;
        if def != DEF_NOT_SUBREG {
            if let Some(aux) = self.aux.get_mut(def as usize - 1) {
                aux.zext_dst = true;
            }
            self.reg_mut(reg).subreg_def = DEF_NOT_SUBREG;
        }
    }

    /// Whether the instruction reads all 64 bits of the register.
    fn reads_64(&self, insn: Insn, reg: u8) -> bool {
        match insn.class() {
            class::JMP => {
                // A call reads its arguments whole unless told otherwise, as does exit.
                true
            }
            class::JMP32 => false,
            class::ALU64 => !(insn.op() == op::END && insn.imm != 64),
            class::ALU => insn.op() == op::END && insn.imm == 64,
            // An address is always whole.
            class::LDX => true,
            class::STX if reg == insn.dst => true,
            class::STX => insn.size() == skep_isa::field::size::DW,
            class::ST => true,
            _ => matches!(insn.mode(), mode::IMM) || reg == 6,
        }
    }

    /// Whether the instruction defines all 64 bits of its result.
    fn writes_64(&self, insn: Insn) -> bool {
        match insn.class() {
            class::ALU64 => !(insn.op() == op::END && insn.imm != 64),
            class::ALU => insn.op() == op::END && insn.imm == 64,
            class::LDX => insn.size() == skep_isa::field::size::DW || insn.mode() == mode::MEMSX,
            class::STX => insn.size() == skep_isa::field::size::DW,
            class::LD => insn.mode() == mode::IMM,
            _ => true,
        }
    }

    /// The register holds an address that this caller may not learn.
    #[inline]
    pub fn is_pointer_value(&self, reg: u8) -> bool {
        !self.request.privilege.allow_ptr_leaks && self.reg(reg).kind != crate::state::Kind::Scalar
    }

    /// After a branch that cannot be taken bounds may contradict each other; then they are
    /// forgotten, and the log says so.
    pub fn check_bounds_sane(&mut self, reg: u8, context: &str) -> Res {
        let num = self.reg(reg).num;
        if let Some(why) = num.violation() {
            if self.log.enabled() {
                let mut text = String::new();
                let _ = skep_domain::format_violation(&num, why, context, &mut text);
                self.log.write(format_args!("verifier bug: {text}\n"));
            }
            self.reg_mut(reg).num.mark_unbounded();
        }
        Ok(())
    }
}

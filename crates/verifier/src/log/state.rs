//! How a register, a frame and what is held are written.

use std::fmt::{self, Write};

use skep_domain::{format_bounds, format_signed, format_unsigned};

use crate::access::btf_id::OWN_BTF;
use crate::context::Verifier;
use crate::state::reg::ADD_CONST;
use crate::state::{Flags, Frame, Kind, Reg, Slot, SlotType, State};

/// The name of a kind with its modifiers, as in `map_value_or_null`.
#[derive(Clone, Copy)]
pub struct KindName {
    /// The kind.
    pub kind: Kind,
    /// Its modifiers.
    pub flags: Flags,
}

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            Kind::NotInit => "?",
            Kind::Scalar => "scalar",
            Kind::Ctx => "ctx",
            Kind::ConstMapPtr => "map_ptr",
            Kind::MapValue => "map_value",
            Kind::MapKey => "map_key",
            Kind::Stack => "fp",
            Kind::PacketMeta => "pkt_meta",
            Kind::Packet => "pkt",
            Kind::PacketEnd => "pkt_end",
            Kind::FlowKeys => "flow_keys",
            Kind::Socket => "sock",
            Kind::SockCommon => "sock_common",
            Kind::TcpSock => "tcp_sock",
            Kind::TpBuffer => "tp_buffer",
            Kind::XdpSock => "xdp_sock",
            Kind::BtfId => "ptr_",
            Kind::Mem => "mem",
            Kind::Arena => "arena",
            Kind::Buf => "buf",
            Kind::Func => "func",
            Kind::Dynptr => "dynptr_ptr",
        };
        for (flag, prefix) in [
            (Flags::RDONLY, "rdonly_"),
            (Flags::RINGBUF, "ringbuf_"),
            (Flags::USER, "user_"),
            (Flags::PERCPU, "percpu_"),
            (Flags::UNTRUSTED, "untrusted_"),
            (Flags::TRUSTED, "trusted_"),
            (Flags::RCU, "rcu_"),
        ] {
            if self.flags.any(flag) {
                f.write_str(prefix)?;
            }
        }
        f.write_str(name)?;
        match self.kind {
            _ if !self.flags.any(Flags::MAYBE_NULL) => Ok(()),
            Kind::BtfId => f.write_str("or_null_"),
            _ => f.write_str("_or_null"),
        }
    }
}

impl Reg {
    /// The name of its kind: a BTF pointer says what it points at only in states.
    pub fn kind_name(&self) -> KindName {
        KindName {
            kind: self.kind,
            flags: self.flags,
        }
    }
}

/// Writes `name=value` pairs with commas between.
struct Pairs<'o, W: Write> {
    out: &'o mut W,
    separator: &'static str,
}

impl<W: Write> Pairs<'_, W> {
    fn pair(&mut self, text: fmt::Arguments<'_>) -> fmt::Result {
        self.out.write_str(self.separator)?;
        self.separator = ",";
        self.out.write_fmt(text)
    }

    fn number(&mut self, name: &str, value: i64) -> fmt::Result {
        self.pair(format_args!("{name}="))?;
        format_signed(value, self.out)
    }

    fn unsigned(&mut self, name: &str, value: u64) -> fmt::Result {
        self.pair(format_args!("{name}="))?;
        format_unsigned(value, self.out)
    }
}

fn write_dynptr(index: usize, reg: &Reg, out: &mut impl Write) -> fmt::Result {
    let offset = -((index as i64 + 1) * 8);
    let name = crate::call::dynptr::flavour_name(reg);
    write!(out, " fp{offset}=dynptr_{name}(id={}", reg.id)?;
    if reg.ref_obj_id != 0 {
        write!(out, ",ref_id={}", reg.ref_obj_id)?;
    }
    // Linux writes here that this slot is the first of the two.
    write!(out, ",dynptr_id=1)")
}

impl Verifier<'_> {
    fn write_reg(&self, frame: &Frame, reg: &Reg, out: &mut impl Write) -> fmt::Result {
        if reg.kind == Kind::Scalar {
            if reg.precise {
                out.write_str("P")?;
            }
            if reg.num.var_off.is_const() {
                return format_signed(reg.num.var_off.value as i64, out);
            }
        }
        write!(out, "{}", reg.kind_name())?;
        match reg.kind {
            Kind::Arena => return Ok(()),
            Kind::Stack => {
                if u32::from(reg.frame) != frame.depth {
                    write!(out, "[{}]", reg.frame)?;
                }
                if reg.num.var_off.is_const() {
                    let off = (reg.num.var_off.value as i64).wrapping_add(i64::from(reg.off));
                    return format_signed(off, out);
                }
            }
            Kind::BtfId => out.write_str(&self.btf_type_name(reg))?,
            _ => {}
        }
        out.write_str("(")?;
        let mut pairs = Pairs { out, separator: "" };
        if reg.id != 0 {
            pairs.pair(format_args!("id={}", reg.id & !ADD_CONST))?;
            if reg.id & ADD_CONST != 0 {
                write!(pairs.out, "{:+}", reg.off)?;
            }
        }
        if reg.ref_obj_id != 0 {
            pairs.pair(format_args!("ref_obj_id={}", reg.ref_obj_id))?;
        }
        if reg.flags.has(Flags::ALLOC.with(Flags::NON_OWN_REF)) {
            pairs.pair(format_args!("non_own_ref"))?;
        }
        if matches!(reg.kind, Kind::ConstMapPtr | Kind::MapValue | Kind::MapKey) {
            let map = self.map_of(reg);
            if !map.name.is_empty() {
                pairs.pair(format_args!("map={}", map.name))?;
            }
            pairs.pair(format_args!("ks={},vs={}", map.key_size, map.value_size))?;
        }
        if reg.kind != Kind::Scalar && reg.off != 0 {
            pairs.number("off", i64::from(reg.off))?;
        }
        if reg.kind == Kind::Dynptr {
            pairs.pair(format_args!(
                "type={}",
                crate::call::dynptr::flavour_name(reg)
            ))?;
        }
        if reg.is_packet() {
            pairs.unsigned("r", reg.range() as i64 as u64)?;
        }
        if reg.kind == Kind::Mem {
            pairs.unsigned("sz", u64::from(reg.aux))?;
        }
        let var = &reg.num.var_off;
        if var.is_const() {
            if var.value != 0 {
                pairs.number("imm", var.value as i64)?;
            }
        } else {
            let mut bounds = String::new();
            format_bounds(&reg.num, &mut bounds)?;
            if !bounds.is_empty() {
                pairs.pair(format_args!("{bounds}"))?;
            }
        }
        out.write_str(")")
    }

    /// The name of the BTF type a register points at.
    pub fn btf_type_name(&self, reg: &Reg) -> String {
        let btf = match reg.map_uid {
            OWN_BTF if reg.kind == Kind::BtfId => self.request.btf.clone(),
            _ => self.kernel_types(),
        };
        btf.and_then(|btf| Some(btf.type_by_id(reg.aux)?.name().to_string()))
            .unwrap_or_default()
    }

    fn write_slot(
        &self,
        frame: &Frame,
        index: usize,
        slot: &Slot,
        out: &mut impl Write,
    ) -> fmt::Result {
        if slot.types[7] == SlotType::Iter {
            return self.write_iterator(index, &slot.spilled, out);
        }
        let mut letters: String = slot.types.iter().map(|t| t.letter()).collect();
        let offset = -((index as i64 + 1) * 8);
        if !slot.is_spill() {
            return write!(out, " fp{offset}={letters}");
        }
        // A partial spill shows the other bytes of the slot, then the register.
        if let Some(first) = slot.types.iter().position(|t| *t == SlotType::Spill) {
            letters.truncate(first);
        }
        write!(out, " fp{offset}={letters}")?;
        self.write_reg(frame, &slot.spilled, out)
    }

    fn state_text(&self, state: &State, depth: usize, all: bool) -> String {
        let frame = &state.frames[depth];
        let mut out = String::new();
        let text = &mut out;
        let mut write = || -> fmt::Result {
            if frame.depth != 0 {
                write!(text, " frame{}:", frame.depth)?;
            }
            for (number, reg) in frame.regs.iter().enumerate() {
                if reg.kind == Kind::NotInit || (!all && self.scratched_regs & (1 << number) == 0) {
                    continue;
                }
                write!(text, " R{number}=")?;
                self.write_reg(frame, reg, text)?;
            }
            let mut first_half = None;
            for (index, slot) in frame.stack.iter().enumerate() {
                if first_half == Some(index)
                    || slot.types.iter().all(|t| *t == SlotType::Invalid)
                    || (!all && self.scratched_slots & (1 << (index & 63)) == 0)
                {
                    continue;
                }
                if slot.types[7] == SlotType::Dynptr {
                    // A dynptr is written once, at its lower slot.
                    first_half = Some(index + 1);
                    let first = frame.stack.get(index + 1).unwrap_or(slot);
                    write_dynptr(index + 1, &first.spilled, text)?;
                    continue;
                }
                self.write_slot(frame, index, slot, text)?;
            }
            // Linux shows none when the first has no identity, as a lock may.
            if state.refs.first().is_some_and(|held| held.id != 0) {
                let mut separator = " refs=";
                for held in state.refs.iter().filter(|held| held.id != 0) {
                    write!(text, "{separator}{}", held.id)?;
                    separator = ",";
                }
            }
            if frame.in_callback {
                text.write_str(" cb")?;
            }
            if frame.in_async_callback {
                text.write_str(" async_cb")?;
            }
            text.write_str("\n")
        };
        // Writing to a string cannot fail.
        let _ = write();
        out
    }

    /// Writes one frame of a state; only what changed unless `all`.
    pub fn log_state(&mut self, state: &State, depth: usize, all: bool) {
        if !self.log.enabled() {
            return;
        }
        let text = self.state_text(state, depth, all);
        self.log.write(format_args!("{text}"));
        if !all {
            self.forget_scratches();
        }
    }

    /// Writes one frame of the state of the path being walked.
    pub fn log_current(&mut self, depth: usize, all: bool) {
        if !self.log.enabled() {
            return;
        }
        let text = self.state_text(&self.cur, depth, all);
        self.log.write(format_args!("{text}"));
        if !all {
            self.forget_scratches();
        }
    }

    /// Nothing has changed since the last state was printed.
    pub fn forget_scratches(&mut self) {
        self.scratched_regs = 0;
        self.scratched_slots = 0;
    }

    /// Everything is to be printed next time.
    pub fn scratch_all(&mut self) {
        self.scratched_regs = !0;
        self.scratched_slots = !0;
    }

    /// Writes what the last instruction changed: behind its text when that still ends the
    /// log, on a line of its own otherwise.
    pub fn log_changes(&mut self) {
        /// The first column of changes, and the distance to the next when a text is longer.
        const COLUMN: u64 = 40;
        const STEP: u64 = 8;
        if self.log.prev_end != 0 && self.log.prev_end == self.log.end() {
            let length = self.log.prev_insn_len;
            let width = COLUMN.max(length + STEP / 2).next_multiple_of(STEP) - length - 1;
            self.log.reset(self.log.prev_end - 1);
            self.log.write(format_args!("{:>1$};", ' ', width as usize));
        } else {
            let insn = self.insn_idx;
            self.log.write(format_args!("{insn}:"));
        }
        self.log_current(self.cur.depth(), false);
    }
}

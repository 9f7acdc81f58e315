//! Conditional jumps: which way, and what each way teaches.

use skep_domain::{Cmp, Refined, Scalar, branch_taken, refine, refine_same};
use skep_isa::Insn;
use skep_isa::field::{class, jmp as op};

use std::sync::Arc;

use skep_abi::{Errno, MapType};

use crate::context::{INNER_MAP, Res, Stop, Verifier};
use crate::env::MapFacts;
use crate::explore::backtrack::pack_linked;
use crate::log::LEVEL;
use crate::refuse;
use crate::state::reg::{AT_PKT_END, BEYOND_PKT_END};
use crate::state::whole::HistoryFlags;
use crate::state::{Flags, Kind, Reg, State};
use crate::step::{Next, linked};

impl Verifier<'_> {
    /// A conditional jump.
    pub fn step_branch(&mut self, insn: Insn) -> Res<Next> {
        if insn.op() == op::JA || insn.op() > op::JCOND {
            refuse!(self, EINVAL, "invalid BPF_JMP/JMP32 opcode {:x}", insn.op());
        }
        if insn.op() == op::JCOND {
            return self.step_may_goto(insn);
        }
        let Some(cmp) = Cmp::from_opcode(insn.code) else {
            refuse!(self, EINVAL, "invalid BPF_JMP/JMP32 opcode {:x}", insn.op());
        };
        self.check_reg_read(insn.dst)?;
        let mut flags = HistoryFlags::default();
        if insn.is_src_reg() {
            if insn.imm != 0 {
                refuse!(self, EINVAL, "BPF_JMP/JMP32 uses reserved fields");
            }
            self.check_reg_read(insn.src)?;
            let both_packet =
                self.reg(insn.dst).is_packet_any() && self.reg(insn.src).is_packet_any();
            if !both_packet && self.is_pointer_value(insn.src) {
                refuse!(self, EACCES, "R{} pointer comparison prohibited", insn.src);
            }
            flags.src_is_stack = self.reg(insn.src).kind == Kind::Stack;
        } else if insn.src != 0 {
            refuse!(self, EINVAL, "BPF_JMP/JMP32 uses reserved fields");
        }
        let dst = *self.reg(insn.dst);
        let src = if insn.is_src_reg() {
            *self.reg(insn.src)
        } else {
            Reg::known(i64::from(insn.imm) as u64)
        };
        flags.dst_is_stack = dst.kind == Kind::Stack;
        if flags.dst_is_stack || flags.src_is_stack {
            self.push_history(flags, 0);
        }
        let jmp32 = insn.class() == class::JMP32;
        let taken = self.decide(cmp, &dst, &src, jmp32);
        if let Some(taken) = taken {
            if dst.is_scalar() {
                self.mark_precise(insn.dst)?;
            }
            if insn.is_src_reg() && src.is_scalar() {
                self.mark_precise(insn.src)?;
            }
            let (goes, other) = if taken {
                (self.target(i32::from(insn.off)), self.insn_idx + 1)
            } else {
                (self.insn_idx + 1, self.target(i32::from(insn.off)))
            };
            if !self.request.privilege.bypass_spec_v1 {
                self.push_speculative(insn, other)
                    .map_err(too_many_branches)?;
            }
            self.say_changes();
            return Ok(Next::Insn(goes));
        }
        self.fork(insn, cmp, dst, src, jmp32)
    }

    fn say_changes(&mut self) {
        if self.log.at(LEVEL) {
            self.log_changes();
        }
    }

    /// Whether the jump is known to be taken, or not.
    fn decide(&self, cmp: Cmp, a: &Reg, b: &Reg, jmp32: bool) -> Option<bool> {
        if a.is_packet_any() && b.is_packet_any() && !jmp32 {
            return packet_taken(cmp, a, b);
        }
        if a.is_scalar() && b.is_scalar() {
            return branch_taken(cmp, &a.num, &b.num, jmp32);
        }
        // One is a pointer: only a comparison with zero can be known.
        let constant = |reg: &Reg| {
            if jmp32 {
                reg.is_scalar()
                    .then(|| reg.num.subreg_const_value().map(u64::from))
                    .flatten()
            } else {
                reg.is_scalar().then(|| reg.num.const_value()).flatten()
            }
        };
        let (pointer, value, cmp) = match (constant(b), constant(a)) {
            (Some(value), _) => (a, value, cmp),
            (None, Some(value)) => (b, value, cmp.swapped()),
            (None, None) => return None,
        };
        if value != 0 || !self.is_never_null(pointer) {
            return None;
        }
        match cmp {
            Cmp::Eq => Some(false),
            Cmp::Ne => Some(true),
            _ => None,
        }
    }

    /// Whether a pointer is known to be valid.
    pub fn is_never_null(&self, reg: &Reg) -> bool {
        if reg.maybe_null() {
            return false;
        }
        match reg.kind {
            Kind::Socket
            | Kind::TcpSock
            | Kind::MapValue
            | Kind::MapKey
            | Kind::SockCommon
            | Kind::ConstMapPtr => true,
            Kind::BtfId => self.is_trusted(reg),
            Kind::Mem => !reg.flags.any(Flags::UNTRUSTED),
            _ => false,
        }
    }

    /// Both ways are possible: the jump is put aside, this path falls through.
    fn fork(&mut self, insn: Insn, cmp: Cmp, dst: Reg, src: Reg, jmp32: bool) -> Res<Next> {
        let depth = self.cur.depth() as u8;
        let (dst_place, src_place) = ((depth, true, insn.dst), (depth, true, insn.src));
        let mut places = Vec::new();
        if insn.is_src_reg() && src.is_scalar() && src.id != 0 {
            linked::collect(&mut self.cur, &self.aux, src.id, &mut places);
        }
        if dst.is_scalar() && dst.id != 0 {
            linked::collect(&mut self.cur, &self.aux, dst.id, &mut places);
        }
        if places.len() > 1 {
            self.push_history(HistoryFlags::default(), pack_linked(&places));
        }
        let target = self.target(i32::from(insn.off));
        let mut other = self.copy_current();
        // What is said of this jump from here on is forgotten with the path that falls through.
        let log_end = self.log.end();
        if dst.is_scalar() && src.is_scalar() {
            let same = insn.is_src_reg() && insn.dst == insn.src;
            let learnt = if same {
                let (taken, fallthrough) = refine_same(cmp, &dst.num, jmp32);
                Refined {
                    taken: (taken, taken),
                    fallthrough: (fallthrough, fallthrough),
                }
            } else {
                refine(cmp, &dst.num, &src.num, jmp32)
            };
            let set = |state: &mut State, (a, b): (Scalar, Scalar)| {
                let regs = state.regs_mut();
                regs[insn.dst as usize].num = a;
                if insn.is_src_reg() {
                    regs[insn.src as usize].num = b;
                }
            };
            set(&mut other, learnt.taken);
            set(&mut self.cur, learnt.fallthrough);
            self.check_learnt(insn, &mut other)?;
        }
        let src_side = insn.is_src_reg().then_some((src_place, insn.src));
        for (place, reg) in src_side.into_iter().chain([(dst_place, insn.dst)]) {
            for state in [&mut self.cur, &mut other] {
                let known = state.regs()[reg as usize];
                if known.is_scalar() && known.id != 0 {
                    linked::sync(state, known, place, &places);
                }
            }
        }
        let compared = self.compare_pointers(insn, cmp, jmp32, &mut other);
        let prev = self.insn_idx;
        // Linux puts the other way aside before it looks at pointers: where a refusal only
        // ends a speculative path, it goes that way later.
        self.push_state(other, target, prev, false)
            .map_err(too_many_branches)?;
        if let Some(pending) = self.pending.last_mut() {
            pending.log_end = log_end;
        }
        compared?;
        self.say_changes();
        Ok(Next::Insn(self.insn_idx + 1))
    }

    /// Bounds that contradict each other are forgotten, on both ways.
    fn check_learnt(&mut self, insn: Insn, other: &mut State) -> Res {
        let check = |v: &mut Self, context_true: bool, other: &mut State| -> Res {
            if context_true {
                std::mem::swap(&mut v.cur, other);
            }
            let contexts = if context_true {
                ["true_reg1", "true_reg2"]
            } else {
                ["false_reg1", "false_reg2"]
            };
            let mut done = v.check_bounds_sane(insn.dst, contexts[0]);
            if done.is_ok() && insn.is_src_reg() {
                done = v.check_bounds_sane(insn.src, contexts[1]);
            }
            if context_true {
                std::mem::swap(&mut v.cur, other);
            }
            done
        };
        check(self, true, other)?;
        check(self, false, other)
    }

    /// What a comparison with a pointer teaches.
    fn compare_pointers(&mut self, insn: Insn, cmp: Cmp, jmp32: bool, other: &mut State) -> Res {
        let dst = *self.reg(insn.dst);
        let src = if insn.is_src_reg() {
            *self.reg(insn.src)
        } else {
            Reg::known(i64::from(insn.imm) as u64)
        };
        let uids = self.later_inner_maps;
        // Of two equal pointers, neither is null when one is not.
        if !jmp32
            && insn.is_src_reg()
            && !src.is_scalar()
            && !dst.is_scalar()
            && src.maybe_null() != dst.maybe_null()
            && src.kind != Kind::BtfId
            && dst.kind != Kind::BtfId
        {
            let maybe_null = if src.maybe_null() { insn.src } else { insn.dst };
            match cmp {
                Cmp::Eq => {
                    mark_not_null(&self.maps, uids, &mut other.regs_mut()[maybe_null as usize])
                }
                Cmp::Ne => {
                    let place = &mut self.cur.regs_mut()[maybe_null as usize];
                    mark_not_null(&self.maps, uids, place);
                }
                _ => {}
            }
        }
        if !jmp32
            && !insn.is_src_reg()
            && insn.imm == 0
            && matches!(cmp, Cmp::Eq | Cmp::Ne)
            && dst.maybe_null()
        {
            let null = self.known_scalar(0);
            let when = |is_null: bool| is_null.then_some(null);
            let locked = self.may_hold_lock(&dst);
            mark_or_null(
                &self.maps,
                uids,
                &mut self.cur,
                insn.dst,
                when(cmp == Cmp::Ne),
                locked,
            );
            mark_or_null(
                &self.maps,
                uids,
                other,
                insn.dst,
                when(cmp == Cmp::Eq),
                locked,
            );
            return Ok(());
        }
        if !match_packet_pointers(insn, cmp, jmp32, &dst, &src, &mut self.cur, other)
            && self.is_pointer_value(insn.dst)
        {
            refuse!(self, EACCES, "R{} pointer comparison prohibited", insn.dst);
        }
        Ok(())
    }

    /// Whether a lock may lie in what the register points at, which its id then tells apart.
    pub(crate) fn may_hold_lock(&mut self, reg: &Reg) -> bool {
        if reg.kind == Kind::MapValue {
            let locks = match reg.aux & INNER_MAP {
                0 => self.lock_maps,
                _ => self.lock_inner_maps,
            };
            let locks = locks.checked_shr(reg.aux & !INNER_MAP);
            return locks.is_some_and(|locks| locks & 1 != 0);
        }
        reg.kind == Kind::BtfId
            && reg.flags.any(Flags::ALLOC)
            && self
                .own_fields(reg.aux)
                .iter()
                .any(|field| field.kind.is_lock())
    }

    fn step_may_goto(&mut self, insn: Insn) -> Res<Next> {
        if insn.class() != class::JMP
            || insn.is_src_reg()
            || insn.src != 0
            || insn.dst != 0
            || insn.imm != 0
        {
            refuse!(self, EINVAL, "invalid may_goto imm {}", insn.imm);
        }
        let at = self.insn_idx;
        let mut fallthrough = self.copy_current();
        fallthrough.may_goto_depth += 1;
        if let Some(previous) = self.previous_round_at(at) {
            self.widen_imprecise(previous, &mut fallthrough);
        }
        self.push_state(fallthrough, at + 1, at, false)?;
        Ok(Next::Insn(self.target(i32::from(insn.off))))
    }
}

/// Of a conditional jump, Linux calls it a fault when no more paths can be put aside.
fn too_many_branches(stop: Stop) -> Stop {
    match stop {
        Stop::Reject(Errno::ENOMEM) => Stop::Reject(Errno::EFAULT),
        other => other,
    }
}

/// A pointer that may be null is not; what a lookup gives depends on the map. `uids` are the maps
/// whose inner maps are told apart, as a mask.
pub fn mark_not_null(maps: &[Arc<MapFacts>], uids: u64, reg: &mut Reg) {
    if !reg.maybe_null() {
        return;
    }
    reg.flags = reg.flags.without(Flags::MAYBE_NULL);
    if reg.kind != Kind::MapValue || reg.aux & INNER_MAP != 0 {
        return;
    }
    let Some(map) = maps.get(reg.aux as usize) else {
        return;
    };
    if map.inner.is_some() {
        if uids.checked_shr(reg.aux).is_some_and(|uids| uids & 1 != 0) {
            reg.map_uid = reg.id;
        }
        reg.kind = Kind::ConstMapPtr;
        reg.aux |= INNER_MAP;
        return;
    }
    match MapType::from_u32(map.map_type) {
        Some(MapType::Xskmap) => reg.kind = Kind::XdpSock,
        Some(MapType::Sockmap | MapType::Sockhash) => reg.kind = Kind::Socket,
        _ => {}
    }
}

/// All copies of a pointer become null, or valid.
///
/// `null` is what a null pointer becomes, when it is null; `locked`: what a valid pointer
/// points at may hold a lock.
fn mark_or_null(
    maps: &[Arc<MapFacts>],
    uids: u64,
    state: &mut State,
    number: u8,
    null: Option<Reg>,
    locked: bool,
) {
    let is_null = null.is_some();
    let reg = state.regs()[number as usize];
    let id = reg.id;
    if reg.ref_obj_id != 0 && reg.ref_obj_id == id && is_null {
        // What was not acquired need not be given back.
        if let Some(at) = state.refs.iter().position(|held| {
            held.kind == crate::state::whole::ReferenceKind::Pointer && held.id == id
        }) {
            state.refs.remove(at);
            state.acquired = state.acquired.saturating_sub(1);
        }
    }
    state.for_each_reg(|reg| {
        if !reg.maybe_null() || reg.id != id {
            return;
        }
        if let Some(null) = null {
            // A number now, but one that remembers what it would have pointed at: Linux
            // counts that where it asks whether two states are exactly the same.
            *reg = Reg {
                aux: origin_of_null(reg),
                map_uid: reg.map_uid,
                subreg_def: reg.subreg_def,
                ..null
            };
            return;
        }
        mark_not_null(maps, uids, reg);
        if !locked {
            // Copies are told apart by id only where a lock is known by its value.
            reg.id = 0;
        }
    });
}

/// What tells nulls of different pointers apart; 0 for those of which Linux keeps nothing.
fn origin_of_null(reg: &Reg) -> u32 {
    match reg.kind {
        Kind::MapValue | Kind::MapKey | Kind::Mem | Kind::BtfId => {
            reg.aux ^ (reg.kind as u32 + 1).wrapping_shl(24)
        }
        _ => 0,
    }
}

fn packet_taken(cmp: Cmp, a: &Reg, b: &Reg) -> Option<bool> {
    let (packet, cmp) = if b.kind == Kind::PacketEnd {
        (a, cmp)
    } else if a.kind == Kind::PacketEnd {
        (b, cmp.swapped())
    } else {
        return None;
    };
    if packet.range() >= 0 {
        return None;
    }
    let beyond = packet.range() == BEYOND_PKT_END;
    match cmp {
        // packet <= end, packet > end
        Cmp::Le if beyond => Some(false),
        Cmp::Gt if beyond => Some(true),
        // packet < end, packet >= end: at the end or beyond decides both.
        Cmp::Lt if beyond || packet.range() == AT_PKT_END => Some(false),
        Cmp::Ge if beyond || packet.range() == AT_PKT_END => Some(true),
        _ => None,
    }
}

/// A comparison of a packet pointer with the end of the packet (or of metadata with its
/// start) tells how many bytes are there.
fn match_packet_pointers(
    insn: Insn,
    cmp: Cmp,
    jmp32: bool,
    dst: &Reg,
    src: &Reg,
    this: &mut State,
    other: &mut State,
) -> bool {
    if !insn.is_src_reg() || jmp32 {
        return false;
    }
    let ends = |p: &Reg, e: &Reg| {
        (p.kind == Kind::Packet && e.kind == Kind::PacketEnd)
            || (p.kind == Kind::PacketMeta && is_at_start(e))
    };
    let (number, pointer, cmp) = if ends(dst, src) {
        (insn.dst, dst, cmp)
    } else if ends(src, dst) {
        (insn.src, src, cmp.swapped())
    } else {
        return false;
    };
    // Now: pointer cmp end. `inside` is the way on which the bytes before are there.
    let (inside, outside, open) = match cmp {
        Cmp::Gt => (this, other, false),
        Cmp::Lt => (other, this, true),
        Cmp::Ge => (this, other, true),
        Cmp::Le => (other, this, false),
        _ => return false,
    };
    find_good_packet_pointers(inside, pointer, open);
    mark_packet_end(outside, number, !open);
    true
}

fn is_at_start(reg: &Reg) -> bool {
    reg.kind == Kind::Packet && reg.off == 0 && reg.num.var_off.equals_const(0)
}

/// Every pointer with the same variable part learns how many bytes lie behind its start.
/// `open` when the pointer is strictly before the end.
fn find_good_packet_pointers(state: &mut State, pointer: &Reg, open: bool) {
    const MAX_PACKET_OFF: u64 = 0xffff;
    if pointer.off < 0 || (pointer.off == 0 && open) {
        return;
    }
    if pointer.num.umax > MAX_PACKET_OFF
        || pointer.num.umax.saturating_add(pointer.off as u64) > MAX_PACKET_OFF
    {
        // The range would not fit where it is kept.
        return;
    }
    let range = pointer.off + i32::from(open);
    let (kind, id) = (pointer.kind, pointer.id);
    state.for_each_reg(|reg| {
        if reg.kind == kind && reg.id == id && reg.range() < range {
            reg.set_range(range);
        }
    });
}

/// The pointer lies at or beyond the end. `closed` when strictly beyond.
fn mark_packet_end(state: &mut State, number: u8, closed: bool) {
    let reg = &mut state.regs_mut()[number as usize];
    if reg.kind != Kind::Packet {
        // Only the end of the packet itself can be remembered.
        return;
    }
    reg.set_range(if closed { BEYOND_PKT_END } else { AT_PKT_END });
}

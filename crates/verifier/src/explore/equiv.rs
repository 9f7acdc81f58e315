//! Whether one state covers another: what was safe from the old one is safe from the new.

use crate::context::InsnAux;
use crate::state::reg::ADD_CONST;
use crate::state::{Frame, Kind, Reg, Slot, SlotType, State};

/// How closely two states must agree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exact {
    /// Numbers matter only where the old state needs them exact.
    Not,
    /// Everything must be the same.
    Same,
    /// Every number must lie within the old one.
    RangeWithin,
}

/// The pairs of ids found so far: an old one stands for exactly one new one.
#[derive(Default)]
pub struct IdMap {
    pairs: Vec<(u32, u32)>,
    fresh: u32,
}

impl IdMap {
    /// Empties the map; ids after `fresh` are free.
    pub fn start(&mut self, fresh: u32) {
        self.pairs.clear();
        self.fresh = fresh;
    }

    /// Whether the pair fits those found before; notes it.
    pub fn matches(&mut self, old: u32, new: u32) -> bool {
        if (old != 0) != (new != 0) {
            return false;
        }
        if old == 0 {
            return true;
        }
        for &(o, n) in &self.pairs {
            if o == old {
                return n == new;
            }
            if n == new {
                return false;
            }
        }
        self.pairs.push((old, new));
        true
    }

    /// An old number without an id is covered by any; a new one without an id counts as
    /// having one of its own. A number at a distance has the id of the one it is distant from.
    fn matches_scalar(&mut self, old: u32, new: u32) -> bool {
        let (old, new) = (old & !ADD_CONST, new & !ADD_CONST);
        if old == 0 {
            return true;
        }
        if new != 0 {
            return self.matches(old, new);
        }
        self.fresh += 1;
        self.matches(old, self.fresh)
    }
}

/// One comparison of two states.
pub struct Comparison<'c> {
    ids: &'c mut IdMap,
    aux: &'c [InsnAux],
    uninit_stack: bool,
    strict_scalars: bool,
    all_numbers: bool,
    /// The program may sleep, so that sections end.
    sleeps: bool,
}

impl<'c> Comparison<'c> {
    /// A comparison with an empty map of ids.
    pub fn new(
        ids: &'c mut IdMap,
        aux: &'c [InsnAux],
        uninit_stack: bool,
        strict_scalars: bool,
        id_gen: u32,
    ) -> Self {
        ids.start(id_gen);
        Comparison {
            ids,
            aux,
            uninit_stack,
            strict_scalars,
            all_numbers: false,
            sleeps: false,
        }
    }

    /// Numbers that nothing depends on must fit, too. For recorded states, which claim every
    /// number that is still read.
    pub fn with_all_numbers(mut self, all: bool) -> Self {
        self.all_numbers = all;
        self
    }

    /// Whether `old` covers `cur`.
    pub fn states_equal(&mut self, old: &State, cur: &State, exact: Exact) -> bool {
        self.sleeps = cur.in_sleepable;
        old.frames.len() == cur.frames.len()
            // A path that only happens speculatively tells nothing about one that happens.
            && (!old.speculative || cur.speculative)
            && old.in_sleepable == cur.in_sleepable
            && self.refs_equal(old, cur)
            && (0..old.frames.len()).all(|depth| {
                let (a, b) = (&old.frames[depth], &cur.frames[depth]);
                let at = match old.frames.get(depth + 1) {
                    Some(callee) => callee.callsite,
                    None => old.insn,
                };
                a.callsite == b.callsite && self.frames_equal(a, b, at, exact)
            })
    }

    fn refs_equal(&mut self, old: &State, cur: &State) -> bool {
        old.refs.len() == cur.refs.len()
            && old.active_locks == cur.active_locks
            && old.active_preempt_locks == cur.active_preempt_locks
            && old.active_rcu_locks == cur.active_rcu_locks
            && self.ids.matches(old.active_irq, cur.active_irq)
            && self.ids.matches(old.active_lock.0, cur.active_lock.0)
            && old.active_lock.1 == cur.active_lock.1
            && old.refs.iter().zip(&cur.refs).all(|(a, b)| {
                a.kind == b.kind && a.owner == b.owner && self.ids.matches(a.id, b.id)
            })
    }

    fn frames_equal(&mut self, old: &Frame, cur: &Frame, at: u32, exact: Exact) -> bool {
        if old.callback_depth > cur.callback_depth {
            return false;
        }
        let live = self.aux[at as usize].live_regs;
        for number in 0..11 {
            if live & (1 << number) != 0
                && !self.reg_covers(&old.regs[number], &cur.regs[number], exact)
            {
                return false;
            }
        }
        self.stack_covers(old, cur, exact)
    }

    fn reg_exact(&mut self, old: &Reg, cur: &Reg) -> bool {
        old.same_identity(cur)
            && old.num == cur.num
            && self.ids.matches(old.id, cur.id)
            && self.ids.matches(old.ref_obj_id, cur.ref_obj_id)
    }

    /// Whether one register covers another.
    fn reg_covers(&mut self, old: &Reg, cur: &Reg, exact: Exact) -> bool {
        if exact == Exact::Same {
            return self.reg_exact(old, cur);
        }
        if old.kind == Kind::NotInit && (exact == Exact::Not || cur.kind == Kind::NotInit) {
            // The old path cannot have read it.
            return true;
        }
        if old.kind != cur.kind || old.flags != cur.flags {
            return false;
        }
        match old.kind {
            Kind::Scalar => self.scalar_covers(old, cur, exact),
            Kind::MapKey | Kind::MapValue | Kind::Mem | Kind::Buf | Kind::TpBuffer => {
                old.same_identity(cur)
                    && old.num.includes(&cur.num)
                    && self.ids.matches(old.id, cur.id)
                    && self.ids.matches(old.ref_obj_id, cur.ref_obj_id)
            }
            Kind::PacketMeta | Kind::Packet => {
                let (a, b) = (old.range(), cur.range());
                let range_fits = if a < 0 || b < 0 { a == b } else { a <= b };
                // Another constant offset would mean another alignment and another bound.
                range_fits
                    && old.off == cur.off
                    && self.ids.matches(old.id, cur.id)
                    && old.num.includes(&cur.num)
            }
            Kind::Stack => self.reg_exact(old, cur) && old.frame == cur.frame,
            Kind::Arena => true,
            _ => self.reg_exact(old, cur),
        }
    }

    fn scalar_covers(&mut self, old: &Reg, cur: &Reg, exact: Exact) -> bool {
        if self.strict_scalars {
            return old.same_identity(cur)
                && old.num == cur.num
                && self.ids.matches_scalar(old.id, cur.id);
        }
        if !old.precise && exact == Exact::Not && !self.all_numbers {
            return true;
        }
        // A number on its own covers a linked one: links only add to what is known.
        let linked_alike = old.id == 0
            || ((old.id ^ cur.id) & ADD_CONST == 0
                && (old.id & ADD_CONST == 0 || old.off == cur.off));
        linked_alike && old.num.includes(&cur.num) && self.ids.matches_scalar(old.id, cur.id)
    }

    /// The register a load of the whole slot would give, when that is a number.
    fn slot_scalar<'s>(&self, slot: &'s Slot) -> Option<&'s Reg> {
        const UNKNOWN: &Reg = &Reg::UNKNOWN;
        if slot.is_full_spilled_scalar() {
            return Some(&slot.spilled);
        }
        let plain = slot
            .types
            .iter()
            .all(|t| *t == SlotType::Misc || (*t == SlotType::Invalid && self.uninit_stack));
        plain.then_some(UNKNOWN)
    }

    fn stack_covers(&mut self, old: &Frame, cur: &Frame, exact: Exact) -> bool {
        for (index, slot) in old.stack.iter().enumerate() {
            let other = cur.stack.get(index);
            if exact != Exact::Not && other.is_none_or(|o| o.types != slot.types) {
                return false;
            }
            if !self.slot_covers(slot, other, exact) {
                return false;
            }
        }
        true
    }

    fn slot_covers(&mut self, old: &Slot, cur: Option<&Slot>, exact: Exact) -> bool {
        // Bytes the old path did not store, or may leave uninitialised, ask for nothing.
        let asks =
            |t: SlotType| t != SlotType::Invalid && !(self.uninit_stack && t == SlotType::Misc);
        if !old.types.iter().any(|t| asks(*t)) {
            return true;
        }
        let Some(cur) = cur else {
            return false;
        };
        if let (Some(a), Some(b)) = (self.slot_scalar(old), self.slot_scalar(cur)) {
            return self.reg_covers(a, b, exact);
        }
        for (a, b) in old.types.iter().zip(&cur.types) {
            if asks(*a) && !(*a == SlotType::Misc && *b == SlotType::Zero) && a != b {
                return false;
            }
        }
        if cur.types[7] != old.types[7] {
            return true;
        }
        match old.types[7] {
            SlotType::Spill => self.reg_covers(&old.spilled, &cur.spilled, exact),
            SlotType::Dynptr => {
                old.spilled.same_identity(&cur.spilled)
                    && self
                        .ids
                        .matches(old.spilled.ref_obj_id, cur.spilled.ref_obj_id)
            }
            SlotType::Iter => {
                let (mut a, b) = (old.spilled, &cur.spilled);
                if !self.sleeps {
                    // Linux does not ask at all whether the section is over.
                    a.flags = b.flags;
                }
                a.same_identity(b) && self.ids.matches(a.ref_obj_id, b.ref_obj_id)
            }
            SlotType::Irq => {
                let (a, b) = (&old.spilled, &cur.spilled);
                a.same_identity(b) && self.ids.matches(a.ref_obj_id, b.ref_obj_id)
            }
            SlotType::Invalid | SlotType::Misc | SlotType::Zero => true,
        }
    }
}

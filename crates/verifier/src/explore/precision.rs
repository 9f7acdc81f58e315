//! Which numbers must be exact: walks back over the path from a use to the definitions.
//!
//! States are compared loosely where numbers do not matter. When one turns out to matter (it
//! decides a branch, bounds a pointer, …), every ancestor state that contributed to it must
//! be compared exactly from now on.

use std::fmt::Write;

use skep_isa::field::{alu as op, class, mode};

use crate::context::{Res, Verifier};
use crate::log::LEVEL2;
use crate::state::whole::HistoryFlags;
use crate::state::{HistoryEntry, Kind, SlotType, State, StateId};
use crate::{refuse, say};

/// The registers r1 to r5.
const ARGS: u32 = 0b11_1110;
/// How many linked numbers one history entry can name.
pub const LINKED_MAX: usize = 6;

/// What is still looked for: registers and stack slots, by frame.
#[derive(Default, Debug)]
pub struct Backtrack {
    frame: usize,
    regs: [u32; 8],
    slots: [u64; 8],
}

impl Backtrack {
    fn start(&mut self, frame: usize) {
        self.frame = frame;
    }

    fn clear(&mut self) {
        *self = Backtrack::default();
    }

    fn is_empty(&self) -> bool {
        let depth = self.frame + 1;
        self.regs[..depth].iter().all(|mask| *mask == 0)
            && self.slots[..depth].iter().all(|mask| *mask == 0)
    }

    fn has_reg(&self, reg: u8) -> bool {
        self.regs[self.frame] & (1 << reg) != 0
    }

    fn set_reg(&mut self, reg: u8) {
        self.regs[self.frame] |= 1 << reg;
    }

    fn clear_reg(&mut self, reg: u8) {
        self.regs[self.frame] &= !(1 << reg);
    }

    fn mask(&self) -> u32 {
        self.regs[self.frame]
    }
}

/// Packs the places of linked numbers: frame, whether a register, and its number or slot.
pub fn pack_linked(linked: &[(u8, bool, u8)]) -> u64 {
    linked.iter().rev().fold(0, |word, &(frame, is_reg, place)| {
        (word << 10) | u64::from(frame) | (u64::from(place) << 3) | (u64::from(is_reg) << 9)
    }) << 4
        | linked.len() as u64
}

/// The places packed by [`pack_linked`].
pub fn unpack_linked(word: u64) -> impl Iterator<Item = (u8, bool, u8)> {
    let count = (word & 15) as usize;
    (0..count).map(move |at| {
        let entry = word >> (4 + 10 * at);
        (
            (entry & 7) as u8,
            entry & (1 << 9) != 0,
            ((entry >> 3) & 63) as u8,
        )
    })
}

/// How a step back ends.
enum Back {
    Done,
    /// The instruction cannot be followed back: everything must be exact.
    GiveUp,
}

fn regs_text(mask: u32) -> String {
    let mut out = String::new();
    for reg in (0..32).filter(|reg| mask & (1 << reg) != 0) {
        let comma = if out.is_empty() { "" } else { "," };
        let _ = write!(out, "{comma}r{reg}");
    }
    out
}

fn slots_text(mask: u64) -> String {
    let mut out = String::new();
    for slot in (0..64).filter(|slot| mask & (1 << slot) != 0) {
        let comma = if out.is_empty() { "" } else { "," };
        let _ = write!(out, "{comma}-{}", (slot + 1) * 8);
    }
    out
}

impl Verifier<'_> {
    /// Notes a step in the history of the path, or adds to the note of this instruction.
    pub fn push_history(&mut self, flags: HistoryFlags, linked: u64) {
        if self.history_open
            && let Some(entry) = self.cur.history.last_mut()
        {
            entry.flags = entry.flags.with(flags);
            if linked != 0 {
                entry.linked = linked;
            }
            return;
        }
        self.cur.history.push(HistoryEntry {
            insn: self.insn_idx,
            prev: self.prev_insn_idx_before,
            flags,
            linked,
        });
        self.history_open = true;
    }

    /// The exact value of a register of the innermost frame matters from here.
    pub fn mark_precise(&mut self, reg: u8) -> Res {
        if !self.request.privilege.bpf_capable {
            return Ok(());
        }
        let depth = self.cur.depth();
        self.precision.start(depth);
        if self.cur.frames[depth].regs[reg as usize].kind != Kind::Scalar {
            refuse!(self, EFAULT, "verifier bug: backtracking misuse");
        }
        self.precision.set_reg(reg);
        let state = std::mem::take(&mut self.cur);
        let (state, outcome) = self.walk_back(state);
        self.cur = state;
        outcome.map(|_| ())
    }

    /// The exact value in a stack slot matters from here.
    pub fn mark_precise_slot(&mut self, frame: u8, slot: usize) -> Res {
        if !self.request.privilege.bpf_capable {
            return Ok(());
        }
        self.precision.start(self.cur.depth());
        self.precision.slots[frame as usize] |= 1 << slot;
        let state = std::mem::take(&mut self.cur);
        let (state, outcome) = self.walk_back(state);
        self.cur = state;
        outcome.map(|_| ())
    }

    /// What `old` needs exact must be exact on the path to `state`, which it covers.
    /// Gives the state back, and whether an ancestor changed.
    pub fn propagate_precision(&mut self, old: StateId, state: State) -> (State, Res<bool>) {
        let mut lines = Vec::new();
        if let Some(old) = self.store.state(old) {
            self.precision.start(state.depth());
            for (depth, frame) in old.frames.iter().enumerate().rev() {
                let mut names = Vec::new();
                for (number, reg) in frame.regs[..10].iter().enumerate() {
                    if reg.kind == Kind::Scalar && reg.precise {
                        names.push(format!("r{number}"));
                        self.precision.regs[depth] |= 1 << number;
                    }
                }
                for (index, slot) in frame.stack.iter().enumerate() {
                    if slot.is_spill()
                        && slot.spilled.kind == Kind::Scalar
                        && slot.spilled.precise
                    {
                        names.push(format!("fp-{}", (index + 1) * 8));
                        self.precision.slots[depth] |= 1 << index;
                    }
                }
                if !names.is_empty() {
                    lines.push(format!("frame {depth}: propagating {}\n", names.join(",")));
                }
            }
        }
        if self.log.at(LEVEL2) {
            for line in lines {
                say!(self, "{line}");
            }
        }
        if !self.request.privilege.bpf_capable {
            self.precision.clear();
            return (state, Ok(false));
        }
        self.walk_back(state)
    }

    fn walk_back(&mut self, mut state: State) -> (State, Res<bool>) {
        let outcome = self.walk_back_in(&mut state);
        self.precision.clear();
        (state, outcome)
    }

    fn walk_back_in(&mut self, start: &mut State) -> Res<bool> {
        let mut changed = false;
        if self.precision.is_empty() {
            return Ok(false);
        }
        let mut first = start.first_insn;
        let mut last = start.insn;
        let mut subsequent: i64 = -1;
        let mut skip = true;
        // The history of an ancestor is read while the walk changes other things.
        let mut history = std::mem::take(&mut start.history);
        let mut owner: Option<StateId> = None;
        let outcome = loop {
            match self.walk_back_state(start, owner, &history, first, last, subsequent, &mut skip)
            {
                Ok(Walked::Further(next)) => subsequent = next,
                Ok(Walked::Done) => break Ok(()),
                Ok(Walked::Entry) => {
                    self.mark_entry_args(start, owner, &mut changed);
                    break Ok(());
                }
                Ok(Walked::GiveUp) => {
                    self.mark_all_precise(start);
                    changed = true;
                    break Ok(());
                }
                Err(stop) => break Err(stop),
            }
            self.return_history(start, owner, &mut history);
            let parent = match owner {
                None => start.parent,
                Some(id) => self.store.state(id).and_then(|state| state.parent),
            };
            let Some(parent) = parent else {
                if !self.precision.is_empty() {
                    self.mark_all_precise(start);
                    changed = true;
                }
                return Ok(changed);
            };
            if self.store.state(parent).is_none() {
                return Ok(changed);
            }
            if let Err(stop) = self.mark_parent(parent, &mut changed) {
                return Err(stop);
            }
            if self.precision.is_empty() {
                return Ok(changed);
            }
            subsequent = i64::from(first);
            owner = Some(parent);
            if let Some(state) = self.store.state_mut(parent) {
                history = std::mem::take(&mut state.history);
                last = state.last_insn;
                first = state.first_insn;
            }
        };
        self.return_history(start, owner, &mut history);
        outcome.map(|()| changed)
    }

    fn return_history(
        &mut self,
        start: &mut State,
        owner: Option<StateId>,
        history: &mut Vec<HistoryEntry>,
    ) {
        let history = std::mem::take(history);
        match owner {
            None => start.history = history,
            Some(id) => {
                if let Some(state) = self.store.state_mut(id) {
                    state.history = history;
                }
            }
        }
    }

    /// Walks back from `last` to `first` within one state.
    #[allow(clippy::too_many_arguments)]
    fn walk_back_state(
        &mut self,
        start: &State,
        owner: Option<StateId>,
        history: &[HistoryEntry],
        first: u32,
        last: u32,
        mut subsequent: i64,
        skip: &mut bool,
    ) -> Res<Walked> {
        if self.log.at(LEVEL2) {
            let frame = self.precision.frame;
            say!(
                self,
                "mark_precise: frame{frame}: last_idx {} first_idx {} subseq_idx {subsequent} \n",
                last as i32,
                first as i32
            );
        }
        if last == u32::MAX {
            let state = match owner {
                None => start,
                Some(id) => match self.store.state(id) {
                    Some(state) => state,
                    None => return Ok(Walked::Done),
                },
            };
            let frame = &state.frames[0];
            if state.frames.len() == 1
                && frame.subprog > 0
                && self.precision.slots[0] == 0
                && self.precision.regs[0] & !ARGS == 0
            {
                return Ok(Walked::Entry);
            }
            let (subprog, regs, slots) =
                (frame.subprog, self.precision.mask(), self.precision.slots[0]);
            refuse!(
                self,
                EFAULT,
                "verifier bug: backtracking func entry subprog {subprog} reg_mask {regs:x} stack_mask {slots:x}"
            );
        }
        let mut at = last;
        let mut left = history.len();
        loop {
            if *skip {
                *skip = false;
            } else {
                let entry = history[..left].last().filter(|entry| entry.insn == at).copied();
                if let Back::GiveUp = self.step_back(at, subsequent, entry)? {
                    return Ok(Walked::GiveUp);
                }
            }
            if self.precision.is_empty() {
                return Ok(Walked::Done);
            }
            subsequent = i64::from(at);
            // Where did the path come from?
            if at == first && (left == 0 || (left == 1 && history[0].insn == at)) {
                return Ok(Walked::Further(subsequent));
            }
            if left > 0 && history[left - 1].insn == at {
                left -= 1;
                at = history[left].prev;
            } else {
                at = at.wrapping_sub(1);
            }
            if at as usize >= self.insns.len() {
                refuse!(
                    self,
                    EFAULT,
                    "verifier bug: backtracking idx {}",
                    at as i32
                );
            }
        }
    }

    /// The arguments of a global function need not be known where they come from.
    fn mark_entry_args(&mut self, start: &mut State, owner: Option<StateId>, changed: &mut bool) {
        let mask = self.precision.regs[0];
        let state = match owner {
            None => Some(start),
            Some(id) => self.store.state_mut(id),
        };
        if let Some(state) = state {
            for number in 1..=5 {
                let reg = &mut state.frames[0].regs[number];
                if mask & (1 << number) != 0 && reg.kind == Kind::Scalar {
                    reg.precise = true;
                    *changed = true;
                }
            }
        }
    }

    /// Marks what is looked for in a parent state; what is marked already is found.
    fn mark_parent(&mut self, parent: StateId, changed: &mut bool) -> Res {
        for depth in (0..=self.precision.frame).rev() {
            let Some(state) = self.store.state_mut(parent) else {
                return Ok(());
            };
            let Some(frame) = state.frames.get_mut(depth) else {
                refuse!(self, EFAULT, "verifier bug: backtracking frame {depth}");
            };
            let regs = &mut self.precision.regs[depth];
            for number in 0..11 {
                if *regs & (1 << number) == 0 {
                    continue;
                }
                let reg = &mut frame.regs[number];
                if reg.kind != Kind::Scalar || reg.precise {
                    *regs &= !(1 << number);
                } else {
                    reg.precise = true;
                    *changed = true;
                }
            }
            let slots = &mut self.precision.slots[depth];
            let mut missing = None;
            for index in 0..64 {
                if *slots & (1 << index) == 0 {
                    continue;
                }
                let Some(slot) = frame.stack.get_mut(index) else {
                    missing = Some((index, frame.stack.len()));
                    break;
                };
                if slot.types[7] != SlotType::Spill
                    || slot.spilled.kind != Kind::Scalar
                    || slot.spilled.precise
                {
                    *slots &= !(1 << index);
                } else {
                    slot.spilled.precise = true;
                    *changed = true;
                }
            }
            if let Some((index, total)) = missing {
                refuse!(
                    self,
                    EFAULT,
                    "verifier bug: backtracking stack slot {index}, total slots {total}"
                );
            }
            if self.log.at(LEVEL2) {
                let regs = regs_text(self.precision.regs[depth]);
                let slots = slots_text(self.precision.slots[depth]);
                say!(
                    self,
                    "mark_precise: frame{depth}: parent state regs={regs} stack={slots}: "
                );
                let state = self.store.state_mut(parent).map(std::mem::take);
                if let Some(state) = state {
                    self.log_state(&state, depth, true);
                    if let Some(place) = self.store.state_mut(parent) {
                        *place = state;
                    }
                }
            }
        }
        Ok(())
    }

    /// Undoes one instruction: what does it need, for what is needed after it?
    fn step_back(&mut self, at: u32, subsequent: i64, entry: Option<HistoryEntry>) -> Res<Back> {
        let insn = self.insns[at as usize];
        if insn.code == 0 {
            return Ok(Back::Done);
        }
        if self.log.at(LEVEL2) {
            let frame = self.precision.frame;
            let regs = regs_text(self.precision.mask());
            let slots = slots_text(self.precision.slots[frame]);
            let text = self.insn_text(at);
            say!(
                self,
                "mark_precise: frame{frame}: regs={regs} stack={slots} before {at}: {text}\n"
            );
        }
        // Numbers that were refined together here are needed together.
        self.sync_linked(entry);
        let class = insn.class();
        let back = match class {
            class::ALU | class::ALU64 => {
                self.step_back_alu(insn);
                Back::Done
            }
            class::LDX => {
                self.step_back_load(insn.dst, entry);
                Back::Done
            }
            class::STX | class::ST => {
                if class == class::STX
                    && insn.is_atomic()
                    && insn.imm == skep_isa::field::atomic::LOAD_ACQ
                {
                    self.step_back_load(insn.dst, entry);
                    Back::Done
                } else {
                    self.step_back_store(insn, entry)
                }
            }
            class::JMP | class::JMP32 => {
                if let Some(back) = self.step_back_jump(at, subsequent, entry)? {
                    return Ok(back);
                }
                Back::Done
            }
            _ => {
                if self.precision.has_reg(insn.dst) {
                    self.precision.clear_reg(insn.dst);
                    if matches!(insn.mode(), mode::IND | mode::ABS) {
                        return Ok(Back::GiveUp);
                    }
                }
                Back::Done
            }
        };
        if let Back::Done = back {
            self.sync_linked(entry);
        }
        Ok(back)
    }

    fn step_back_alu(&mut self, insn: skep_isa::Insn) {
        if !self.precision.has_reg(insn.dst) {
            return;
        }
        match insn.op() {
            op::END | op::NEG => {}
            op::MOV => {
                self.precision.clear_reg(insn.dst);
                if insn.is_src_reg() && insn.src != 10 {
                    self.precision.set_reg(insn.src);
                }
            }
            _ => {
                if insn.is_src_reg() && insn.src != 10 {
                    self.precision.set_reg(insn.src);
                }
            }
        }
    }

    fn step_back_load(&mut self, dst: u8, entry: Option<HistoryEntry>) {
        if !self.precision.has_reg(dst) {
            return;
        }
        self.precision.clear_reg(dst);
        if let Some(entry) = entry
            && entry.flags.stack_access
        {
            self.precision.slots[entry.flags.frame as usize] |= 1 << entry.flags.slot;
        }
    }

    fn step_back_store(&mut self, insn: skep_isa::Insn, entry: Option<HistoryEntry>) -> Back {
        if self.precision.has_reg(insn.dst) {
            // A number used as an address: a difference of pointers was followed.
            return Back::GiveUp;
        }
        let Some(entry) = entry.filter(|entry| entry.flags.stack_access) else {
            return Back::Done;
        };
        let slots = &mut self.precision.slots[entry.flags.frame as usize];
        if *slots & (1 << entry.flags.slot) != 0 {
            *slots &= !(1 << entry.flags.slot);
            if insn.class() == class::STX {
                self.precision.set_reg(insn.src);
            }
        }
        Back::Done
    }

    /// `Some` when the linked numbers need no second look.
    fn step_back_jump(
        &mut self,
        at: u32,
        subsequent: i64,
        entry: Option<HistoryEntry>,
    ) -> Res<Option<Back>> {
        let insn = self.insns[at as usize];
        if insn.is_pseudo_call() {
            return self.step_back_call(at, subsequent).map(|()| Some(Back::Done));
        }
        if insn.is_call()
            && self.aux[at as usize].calls_callback
            && i64::from(at) != subsequent - 1
        {
            self.expect_no(self.precision.mask() & !ARGS, "callback unexpected regs")?;
            self.expect_no_slots("callback unexpected slots")?;
            let frame = self.precision.frame;
            self.precision.regs[frame] &= !ARGS;
            self.leave_frame()?;
            return Ok(Some(Back::Done));
        }
        if insn.is_call() {
            if insn.is_kfunc_call() && insn.imm == 0 {
                return Ok(Some(Back::GiveUp));
            }
            self.precision.clear_reg(0);
            self.expect_no(self.precision.mask() & ARGS, "backtracking call unexpected regs")?;
            return Ok(None);
        }
        if insn.is_exit() {
            let callback =
                subsequent >= 0 && self.aux[subsequent as usize].calls_callback;
            if callback {
                let frame = self.precision.frame;
                self.precision.regs[frame] &= !ARGS;
            }
            self.expect_no(self.precision.mask() & ARGS, "backtracking exit unexpected regs")?;
            // Straight after a call stands what a subprogram returns to; a callback returns
            // to the call itself.
            let returns = subsequent >= 1
                && self.insns[subsequent as usize - 1].is_pseudo_call()
                && self.precision.has_reg(0);
            self.precision.clear_reg(0);
            if self.precision.frame + 1 >= self.precision.regs.len() {
                refuse!(
                    self,
                    EFAULT,
                    "verifier bug: subprog enter from frame {}",
                    self.precision.frame
                );
            }
            self.precision.frame += 1;
            if returns {
                self.precision.set_reg(0);
            }
            return Ok(Some(Back::Done));
        }
        if insn.is_cond_jump() && insn.is_src_reg() {
            if !self.precision.has_reg(insn.dst) && !self.precision.has_reg(insn.src) {
                return Ok(Some(Back::Done));
            }
            let flags = entry.map(|entry| entry.flags).unwrap_or_default();
            if !flags.src_is_stack {
                self.precision.set_reg(insn.src);
            }
            if !flags.dst_is_stack {
                self.precision.set_reg(insn.dst);
            }
        }
        Ok(None)
    }

    fn step_back_call(&mut self, at: u32, subsequent: i64) -> Res {
        let insn = self.insns[at as usize];
        let target = (i64::from(at) + i64::from(insn.imm) + 1) as u32;
        let subprog = self.subprog_at(target);
        if self.subprogs[subprog].is_global {
            if i64::from(at) + 1 != subsequent {
                refuse!(
                    self,
                    EFAULT,
                    "verifier bug: extra insn from subprog at {at}"
                );
            }
            self.expect_no(
                self.precision.mask() & ARGS,
                "global subprog unexpected regs",
            )?;
            self.precision.clear_reg(0);
            return Ok(());
        }
        self.expect_no(
            self.precision.mask() & !ARGS,
            "static subprog unexpected regs",
        )?;
        self.expect_no_slots("static subprog leftover stack slots")?;
        let frame = self.precision.frame;
        let args = self.precision.regs[frame] & ARGS;
        self.precision.regs[frame] &= !ARGS;
        self.leave_frame()?;
        let frame = self.precision.frame;
        self.precision.regs[frame] |= args;
        Ok(())
    }

    fn leave_frame(&mut self) -> Res {
        if self.precision.frame == 0 {
            refuse!(self, EFAULT, "verifier bug: subprog exit from frame 0");
        }
        self.precision.frame -= 1;
        Ok(())
    }

    fn expect_no(&mut self, mask: u32, what: &str) -> Res {
        if mask != 0 {
            let mask = self.precision.mask();
            refuse!(self, EFAULT, "verifier bug: {what} {mask:x}");
        }
        Ok(())
    }

    fn expect_no_slots(&mut self, what: &str) -> Res {
        let slots = self.precision.slots[self.precision.frame];
        if slots != 0 {
            refuse!(self, EFAULT, "verifier bug: {what} {slots:x}");
        }
        Ok(())
    }

    /// When one of the linked numbers is looked for, all of them are.
    fn sync_linked(&mut self, entry: Option<HistoryEntry>) {
        let Some(linked) = entry.map(|entry| entry.linked).filter(|word| *word != 0) else {
            return;
        };
        let wanted = unpack_linked(linked).any(|(frame, is_reg, place)| {
            let frame = frame as usize;
            if is_reg {
                self.precision.regs[frame] & (1 << place) != 0
            } else {
                self.precision.slots[frame] & (1 << place) != 0
            }
        });
        if !wanted {
            return;
        }
        for (frame, is_reg, place) in unpack_linked(linked) {
            let frame = frame as usize;
            if is_reg {
                self.precision.regs[frame] |= 1 << place;
            } else {
                self.precision.slots[frame] |= 1 << place;
            }
        }
    }
}

/// Where the walk back within one state ended.
enum Walked {
    /// Nothing is looked for any more.
    Done,
    /// On to the parent; the number is the instruction seen last.
    Further(i64),
    /// At the entry of a global function.
    Entry,
    /// Something could not be followed.
    GiveUp,
}

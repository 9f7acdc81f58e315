//! Which numbers must be exact: walks back over the path from a use to the definitions.
//!
//! States are compared loosely where numbers do not matter. When one turns out to matter (it
//! decides a branch, bounds a pointer, …), every ancestor state that contributed to it must
//! be compared exactly from now on.

use crate::context::{Res, Verifier};
use crate::explore::backtrack::{ARGS, Fetch, regs_text, slots_text};
use crate::explore::undo::Back;
use crate::log::LEVEL2;
use crate::state::whole::HistoryFlags;
use crate::state::{HistoryEntry, Kind, SlotType, State, StateId};
use crate::{refuse, say};

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
        if self.cur.history.capacity() == 0 {
            /// Most states are kept before there are more steps than that.
            const STEPS: usize = 16;
            self.cur.history.reserve(STEPS);
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
        let says = self.log.at(LEVEL2);
        if let Some(old) = self.store.state(old) {
            self.precision.start(state.depth());
            for (depth, frame) in old.frames.iter().enumerate().rev() {
                let mut names = Vec::new();
                let mut name = |name: std::fmt::Arguments<'_>| {
                    if says {
                        names.push(name.to_string());
                    }
                };
                for (number, reg) in frame.regs[..10].iter().enumerate() {
                    if reg.kind == Kind::Scalar && reg.precise {
                        name(format_args!("r{number}"));
                        self.precision.regs[depth] |= 1 << number;
                    }
                }
                for (index, slot) in frame.stack.iter().enumerate() {
                    if slot.is_spill() && slot.spilled.kind == Kind::Scalar && slot.spilled.precise
                    {
                        name(format_args!("fp-{}", (index + 1) * 8));
                        self.precision.slots[depth] |= 1 << index;
                    }
                }
                if !names.is_empty() {
                    lines.push(format!("frame {depth}: propagating {}\n", names.join(",")));
                }
            }
        }
        for line in lines {
            say!(self, "{line}");
        }
        if !self.request.privilege.bpf_capable {
            self.precision.clear();
            return (state, Ok(false));
        }
        self.walk_back(state)
    }

    fn walk_back(&mut self, mut state: State) -> (State, Res<bool>) {
        let mut outcome = self.walk_back_in(&mut state, None);
        let fetches = std::mem::take(&mut self.precision.fetches);
        self.precision.clear();
        for fetch in fetches {
            if let Ok(changed) = &mut outcome {
                *changed |= self.follow_fetch(&mut state, fetch);
            }
        }
        (state, outcome)
    }

    /// Looks for what an atomic fetched in the slot that held it, and says nothing; whether an
    /// ancestor changed.
    fn follow_fetch(&mut self, start: &mut State, fetch: Fetch) -> bool {
        self.precision.start(fetch.frame);
        self.precision.follows_fetches = true;
        self.precision.slots[fetch.slot_frame] |= 1 << fetch.slot;
        self.log.muted = true;
        let changed = match self.walk_back_in(start, Some(fetch)) {
            Ok(changed) => changed,
            Err(_) => {
                // What Linux's own walk would call its bug is no reason to refuse here.
                self.mark_all_precise(start);
                true
            }
        };
        self.log.muted = false;
        self.precision.clear();
        changed
    }

    /// Walks back from the end of the path, or from an atomic on it.
    fn walk_back_in(&mut self, start: &mut State, from: Option<Fetch>) -> Res<bool> {
        let mut changed = false;
        if self.precision.is_empty() {
            return Ok(false);
        }
        let mut subsequent: i64 = -1;
        let mut skip = true;
        let mut owner: Option<StateId> = from.and_then(|fetch| fetch.owner);
        // The history of an ancestor is read while the walk changes other things.
        let mut first = start.first_insn;
        let mut last = start.insn;
        let mut history = match owner {
            None => std::mem::take(&mut start.history),
            Some(id) => match self.store.state_mut(id) {
                Some(state) => {
                    first = state.first_insn;
                    std::mem::take(&mut state.history)
                }
                None => return Ok(false),
            },
        };
        let mut left = history.len();
        if let Some(fetch) = from {
            (last, left) = (fetch.insn, fetch.left.min(left));
        }
        let outcome = loop {
            let path = Path {
                owner,
                history: &history,
                left,
                first,
                last,
            };
            match self.walk_back_state(start, &path, subsequent, &mut skip) {
                Ok(Walked::Further) => {}
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
            self.mark_parent(parent, &mut changed)?;
            if self.precision.is_empty() {
                return Ok(changed);
            }
            subsequent = i64::from(first);
            owner = Some(parent);
            if let Some(state) = self.store.state_mut(parent) {
                history = std::mem::take(&mut state.history);
                left = history.len();
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

    /// Walks back over the path of one state.
    fn walk_back_state(
        &mut self,
        start: &State,
        path: &Path<'_>,
        mut subsequent: i64,
        skip: &mut bool,
    ) -> Res<Walked> {
        let Path {
            owner,
            history,
            mut left,
            first,
            last,
        } = *path;
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
            let (subprog, regs, slots) = (
                frame.subprog,
                self.precision.mask(),
                self.precision.slots[0],
            );
            refuse!(
                self,
                EFAULT,
                "verifier bug: backtracking func entry subprog {subprog} reg_mask {regs:x} stack_mask {slots:x}"
            );
        }
        let mut at = last;
        loop {
            if *skip {
                *skip = false;
            } else {
                let entry = history[..left]
                    .last()
                    .filter(|entry| entry.insn == at)
                    .copied();
                if let Back::GiveUp = self.step_back(at, subsequent, entry)? {
                    return Ok(Walked::GiveUp);
                }
                if let Some(fetch) = self.precision.fetches.last_mut()
                    && fetch.left == 0
                {
                    (fetch.owner, fetch.left) = (owner, left);
                }
            }
            if self.precision.is_empty() {
                return Ok(Walked::Done);
            }
            subsequent = i64::from(at);
            // Where did the path come from?
            if at == first && (left == 0 || (left == 1 && history[0].insn == at)) {
                return Ok(Walked::Further);
            }
            if left > 0 && history[left - 1].insn == at {
                left -= 1;
                at = history[left].prev;
            } else {
                at = at.wrapping_sub(1);
            }
            if at as usize >= self.insns.len() {
                refuse!(self, EFAULT, "verifier bug: backtracking idx {}", at as i32);
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
}

/// The part of a path that one state leads to.
struct Path<'h> {
    /// The state; the one that is walked back from without.
    owner: Option<StateId>,
    /// How it came about.
    history: &'h [HistoryEntry],
    /// How many entries of that are walked back.
    left: usize,
    /// The first instruction.
    first: u32,
    /// The last one.
    last: u32,
}

/// Where the walk back within one state ended.
enum Walked {
    /// Nothing is looked for any more.
    Done,
    /// On to the parent.
    Further,
    /// At the entry of a global function.
    Entry,
    /// Something could not be followed.
    GiveUp,
}

//! The states kept at instructions, and the question whether a path has been here before.

use crate::context::{COMPLEXITY_LIMIT_STATES, Res, Verifier};
use crate::explore::equiv::{Comparison, Exact};
use crate::log::LEVEL2;
use crate::state::{Kind, Reg, Slot, State, StateId};
use crate::{refuse, say};

/// A history longer than this forces a state to be kept.
const HISTORY_LIMIT: usize = 40;

/// One state kept for comparison.
pub struct Kept {
    /// The state.
    pub state: State,
    /// Comparisons that failed.
    misses: u32,
    /// Comparisons that succeeded.
    hits: u32,
    /// No longer compared, but still an ancestor of an unfinished path.
    retired: bool,
}

/// All kept states.
///
/// They are found by instruction and call site; as in Linux, chains are shared by all
/// instructions whose key is the same, and their lengths show in the statistics.
#[derive(Default)]
pub struct StateStore {
    kept: Vec<Option<Box<Kept>>>,
    /// Chains of states by key, the newest last.
    chains: Vec<Vec<StateId>>,
    /// States in chains.
    explored: u32,
    /// States that are retired but not yet gone.
    retired: u32,
    /// States of back edges that wait for a loop to be done.
    pub back_edges: u32,
    /// Bytes of the kept states.
    bytes: u64,
}

impl StateStore {
    /// An empty store for a program of `insns` instructions.
    pub fn new(insns: usize) -> StateStore {
        StateStore {
            chains: vec![Vec::new(); insns.max(1)],
            ..StateStore::default()
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.kept.clear();
        for chain in &mut self.chains {
            chain.clear();
        }
        // Linux goes on counting from function to function, also what was retired and waits
        // for a loop that is left.
        self.back_edges = 0;
        self.bytes = 0;
    }

    fn chain_of(&self, insn: u32, callsite: u32) -> usize {
        (insn ^ callsite) as usize % self.chains.len()
    }

    /// A kept state that is known to exist.
    pub fn get_mut(&mut self, id: StateId) -> &mut Kept {
        match &mut self.kept[id.0 as usize] {
            Some(kept) => kept,
            None => unreachable!("a state is dropped only when nothing continues it"),
        }
    }

    /// A kept state, when it still exists.
    pub fn state(&self, id: StateId) -> Option<&State> {
        Some(&self.kept.get(id.0 as usize)?.as_ref()?.state)
    }

    /// A kept state, when it still exists.
    pub fn state_mut(&mut self, id: StateId) -> Option<&mut State> {
        Some(&mut self.kept.get_mut(id.0 as usize)?.as_mut()?.state)
    }

    /// The states that are compared with at an instruction and others that share its chain,
    /// the newest last.
    pub fn compared_at(
        &self,
        insn: u32,
        callsite: u32,
    ) -> impl DoubleEndedIterator<Item = StateId> + '_ {
        self.chains[self.chain_of(insn, callsite)].iter().copied()
    }

    fn add(&mut self, chain: usize, state: State) -> StateId {
        let id = StateId(self.kept.len() as u32);
        self.bytes += state.bytes();
        self.kept.push(Some(Box::new(Kept {
            state,
            misses: 0,
            hits: 0,
            retired: false,
        })));
        self.chains[chain].push(id);
        self.explored += 1;
        id
    }

    /// Drops a retired state that no path continues, and gives its memory away.
    #[must_use]
    fn drop_if_done(&mut self, id: StateId) -> Option<State> {
        if let Some(slot) = self.kept.get_mut(id.0 as usize)
            && slot
                .as_ref()
                .is_some_and(|kept| kept.retired && kept.state.branches == 0)
        {
            self.retired -= 1;
            let state = slot.take().map(|kept| kept.state);
            // A state may have become smaller since it was kept.
            let freed = state.as_ref().map_or(0, State::bytes);
            self.bytes = self.bytes.saturating_sub(freed);
            return state;
        }
        None
    }

    /// States that exist at this moment.
    pub fn population(&self) -> u32 {
        self.explored + self.retired + self.back_edges
    }
}

impl Verifier<'_> {
    /// Whether the current path is covered by a kept state; keeps the current state when it
    /// is worth it.
    pub fn is_visited(&mut self) -> Res<bool> {
        let insn = self.insn_idx;
        let aux = &self.aux[insn as usize];
        let checkpoint = aux.force_checkpoint;
        let force = self.test_state_freq || checkpoint || self.cur.history.len() > HISTORY_LIMIT;
        let mut keep = force
            || (self.jumps_processed - self.prev_jumps_processed >= 2
                && self.insns_processed - self.prev_insns_processed >= 8);
        let callsite = self.cur.frame().callsite;
        let chain = self.store.chain_of(insn, callsite);
        self.clean_live_states(chain, insn)?;

        // Linux asks this of each finished state and does not forget it for the unfinished
        // ones that come after, so a callback's round may leave a back edge after all.
        let mut in_loop = false;
        let mut seen = 0;
        let mut place = self.store.chains[chain].len();
        while place > 0 {
            place -= 1;
            let id = self.store.chains[chain][place];
            seen += 1;
            let old = &self.store.get_mut(id).state;
            if old.insn != insn {
                continue;
            }
            let mut found = false;
            if old.branches > 0 {
                match self.meet_unfinished(id)? {
                    Meeting::Covered { back_edge } => {
                        found = true;
                        in_loop |= back_edge;
                    }
                    Meeting::Different => {
                        if !force
                            && self.jumps_processed - self.prev_jumps_processed < 20
                            && self.insns_processed - self.prev_insns_processed < 100
                        {
                            keep = false;
                        }
                    }
                }
            } else {
                in_loop = self.has_incomplete_marks(id);
                let exact = if in_loop {
                    Exact::RangeWithin
                } else {
                    Exact::Not
                };
                found = self.covers(id, exact);
            }
            if found {
                self.store.get_mut(id).hits += 1;
                self.join(id, in_loop)?;
                return Ok(true);
            }
            self.count_miss(chain, place, keep, checkpoint);
        }
        self.figures.max_states_per_insn = self.figures.max_states_per_insn.max(seen);
        if !self.request.privilege.bpf_capable && seen > COMPLEXITY_LIMIT_STATES {
            return Ok(false);
        }
        if keep {
            self.keep_current(chain)?;
        }
        Ok(false)
    }

    /// Compares with a state some path of which is still being walked: maybe this one.
    fn meet_unfinished(&mut self, id: StateId) -> Res<Meeting> {
        let insn = self.insn_idx;
        let old = &self.store.get_mut(id).state;
        let old_frame = old.frame();
        if old_frame.in_async_callback && old_frame.async_entries != self.cur.frame().async_entries
        {
            // The same callback entered anew is not a loop.
            return Ok(Meeting::Different);
        }
        if self.insns[insn as usize].is_may_goto()
            && old.may_goto_depth != self.cur.may_goto_depth
            && self.covers(id, Exact::RangeWithin)
        {
            return Ok(Meeting::Covered { back_edge: true });
        }
        if self.aux[insn as usize].calls_callback {
            return Ok(if self.covers(id, Exact::RangeWithin) {
                // Rounds of a callback leave no back edge behind.
                Meeting::Covered { back_edge: false }
            } else {
                Meeting::Different
            });
        }
        if self.aux[insn as usize]
            .kfunc
            .is_some_and(|kfunc| kfunc.steps_iterator())
        {
            // An iterator that goes on may come back in any state that covers this one.
            return Ok(
                if self.covers(id, Exact::RangeWithin) && self.steps_active_iterator() {
                    Meeting::Covered { back_edge: true }
                } else {
                    Meeting::Different
                },
            );
        }
        let Some(old) = self.store.state(id) else {
            return Ok(Meeting::Different);
        };
        if maybe_looping(old, &self.cur)
            && old.may_goto_depth == self.cur.may_goto_depth
            && old.callback_unroll_depth == self.cur.callback_unroll_depth
            && crate::call::iter::same_active_depths(old, &self.cur)
            && self.covers(id, Exact::Same)
        {
            self.log_line(insn, "; ");
            say!(self, "infinite loop detected at insn {insn}\ncur state:");
            self.message = format!("infinite loop detected at insn {insn}");
            let depth = self.cur.depth();
            self.log_current(depth, true);
            say!(self, "old state:");
            let old = std::mem::take(&mut self.store.get_mut(id).state);
            self.log_state(&old, depth, true);
            return Err(crate::context::Stop::Reject(skep_abi::Errno::EINVAL));
        }
        Ok(Meeting::Different)
    }

    fn covers(&mut self, id: StateId, exact: Exact) -> bool {
        let Some(old) = self.store.state(id) else {
            return false;
        };
        Comparison::new(
            &mut self.ids,
            &self.aux,
            self.request.privilege.allow_uninit_stack,
            self.explore_alu_limits,
            self.id_gen,
        )
        .with_all_numbers(self.request.record_states)
        .states_equal(old, &self.cur, exact)
    }

    /// The path ends here, in what `id` knows already: what that state needs exact must be
    /// exact on this path too.
    fn join(&mut self, id: StateId, in_loop: bool) -> Res {
        if self.aux[self.insn_idx as usize].jump_point {
            self.push_history(Default::default(), 0);
        }
        let current = std::mem::take(&mut self.cur);
        let (current, outcome) = self.propagate_precision(id, current);
        self.cur = current;
        outcome?;
        if in_loop {
            self.add_back_edge(id)?;
        }
        Ok(())
    }

    fn count_miss(&mut self, chain: usize, place: usize, keep: bool, checkpoint: bool) {
        let id = self.store.chains[chain][place];
        let kept = self.store.get_mut(id);
        if keep {
            kept.misses += 1;
        }
        let patience = if checkpoint && kept.state.branches > 0 {
            64
        } else {
            3
        };
        if kept.misses > kept.hits * patience + patience {
            kept.retired = true;
            self.store.chains[chain].remove(place);
            self.store.explored -= 1;
            self.store.retired += 1;
            self.drop_if_done(id);
        }
    }

    /// Drops a retired state, unless back edges still lead to its loop.
    fn drop_if_done(&mut self, id: StateId) {
        if !self.has_incomplete_marks(id) {
            let dropped = self.store.drop_if_done(id);
            dropped.into_iter().for_each(|state| self.recycle(state));
        }
    }

    fn keep_current(&mut self, chain: usize) -> Res {
        self.figures.total_states += 1;
        self.prev_jumps_processed = self.jumps_processed;
        self.prev_insns_processed = self.insns_processed;
        // Marks that were inherited are for the parent; this state starts without.
        if self.request.privilege.bpf_capable {
            self.cur.for_each_reg(|reg| {
                if reg.kind == Kind::Scalar {
                    reg.precise = false;
                }
            });
        }
        // The history goes to the kept state, the current one begins a new one.
        let history = std::mem::take(&mut self.cur.history);
        let mut state = self.copy_current();
        self.cur.history = std::mem::replace(&mut state.history, history);
        state.insn = self.insn_idx;
        let id = self.store.add(chain, state);
        self.note_peak();
        self.maybe_enter_scc(id)?;
        let kept = &self.store.get_mut(id).state;
        if kept.branches != 1 {
            let branches = kept.branches;
            refuse!(
                self,
                EFAULT,
                "verifier bug: a state kept at insn {} has {branches} branches",
                self.insn_idx
            );
        }
        let depth = kept.dfs_depth + 1;
        self.cur.parent = Some(id);
        self.cur.first_insn = self.insn_idx;
        self.cur.dfs_depth = depth;
        self.cur.history.clear();
        Ok(())
    }

    /// Brings the peak up to date.
    pub fn note_peak(&mut self) {
        self.figures.peak_states = self.figures.peak_states.max(self.store.population());
        self.figures.peak_bytes = self.figures.peak_bytes.max(self.store.bytes);
    }

    /// Forgets what is dead in the finished states of a chain that belong to this
    /// instruction and call chain.
    fn clean_live_states(&mut self, chain: usize, insn: u32) -> Res {
        for place in (0..self.store.chains[chain].len()).rev() {
            let id = self.store.chains[chain][place];
            let Some(old) = self.store.state(id) else {
                continue;
            };
            if old.branches > 0
                || old.insn != insn
                || !same_callsites(old, &self.cur)
                || old.cleaned
                || self.has_incomplete_marks(id)
            {
                continue;
            }
            let mut state = std::mem::take(&mut self.store.get_mut(id).state);
            let done = self.clean_state(&mut state);
            self.store.get_mut(id).state = state;
            done?;
        }
        Ok(())
    }

    /// Brings what is known of the liveness of the stack up to date.
    pub fn update_live_stack(&mut self) -> Res {
        crate::liveness::propagate::update(self);
        Ok(())
    }

    /// Forgets the registers and slots of a finished state that no path reads any more, so
    /// that it covers more states.
    fn clean_state(&mut self, state: &mut State) -> Res {
        let query = self.stack_liveness.query(state, state.insn);
        state.cleaned = true;
        for depth in 0..state.frames.len() {
            let at = match state.frames.get(depth + 1) {
                Some(callee) => callee.callsite,
                None => state.insn,
            };
            let live_regs = self.aux[at as usize].live_regs;
            let live_slots = self.stack_liveness.live_slots(&query, depth, |at| {
                self.aux
                    .get(at as usize)
                    .is_some_and(|aux| aux.calls_callback)
            });
            let frame = &mut state.frames[depth];
            for (number, reg) in frame.regs[..10].iter_mut().enumerate() {
                if live_regs & (1 << number) == 0 {
                    *reg = Reg::NOT_INIT;
                }
            }
            for (index, slot) in frame.stack.iter_mut().enumerate() {
                // A slot that is dead now may turn out to be read on a path that is walked
                // later; what is recorded of it must hold for the paths that end here, too.
                if live_slots & (1 << index) == 0 && !self.request.record_states {
                    *slot = Slot::EMPTY;
                }
            }
        }
        Ok(())
    }

    /// One path is done: its ancestors wait for one less.
    pub fn finish_path(&mut self) -> Res {
        let finished = std::mem::take(&mut self.cur);
        let counted = self.count_finished(&finished);
        self.cur = finished;
        counted?;
        let asked = !self.pending.is_empty() || self.request.record_states;
        if asked || self.log.at(LEVEL2) {
            self.update_live_stack()?;
        }
        Ok(())
    }

    fn count_finished(&mut self, finished: &State) -> Res {
        if finished.branches > 1 {
            return Ok(());
        }
        self.maybe_exit_scc_current(finished)?;
        let mut next = finished.parent;
        while let Some(id) = next {
            let state = &mut self.store.get_mut(id).state;
            state.branches -= 1;
            if state.branches > 0 {
                break;
            }
            next = state.parent;
            self.maybe_exit_scc(id)?;
            self.drop_if_done(id);
        }
        Ok(())
    }
}

/// How a meeting with an unfinished state went.
enum Meeting {
    Covered { back_edge: bool },
    Different,
}

/// A cheap test that must hold when two states are one loop.
fn maybe_looping(old: &State, cur: &State) -> bool {
    old.frames.len() == cur.frames.len()
        && old
            .frame()
            .regs
            .iter()
            .zip(&cur.frame().regs)
            .all(|(a, b)| {
                a.same_identity(b) && a.num == b.num && a.id == b.id && a.ref_obj_id == b.ref_obj_id
            })
}

/// Whether two states are in the same functions called from the same places.
fn same_callsites(a: &State, b: &State) -> bool {
    a.frames.len() == b.frames.len()
        && a.frames
            .iter()
            .zip(&b.frames)
            .all(|(a, b)| a.callsite == b.callsite)
}

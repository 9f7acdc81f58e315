//! How loops converge: inside a strongly connected component of the control flow, a state
//! may cover another before all that matters of it is known.
//!
//! Such a match is noted as a *back edge*. When the last path has left the component, what
//! each covering state turned out to need exact is carried over to the states it covered,
//! again and again until nothing changes.

use std::fmt::Write;

use crate::context::{Res, Verifier};
use crate::log::LEVEL2;
use crate::state::{Kind, Reg, State, StateId};
use crate::{refuse, say};

/// After so many rounds every number counts as exact.
const MAX_ROUNDS: u32 = 64;

/// One visit: the calls that led there, and the component.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SccCallchain {
    callsites: Vec<u32>,
    scc: u32,
}

impl SccCallchain {
    /// As Linux shows it, which takes a call at instruction 0 for the end of the calls.
    fn text(&self) -> String {
        let mut out = String::from("(");
        for callsite in self.callsites.iter().take_while(|at| **at != 0) {
            let _ = write!(out, "{callsite},");
        }
        let _ = write!(out, "{})", self.scc);
        out
    }
}

/// What is going on in one component reached by one chain of calls.
#[derive(Default)]
struct Visit {
    chain: SccCallchain,
    /// The state with which the component was entered, while paths are inside.
    entry: Option<StateId>,
    /// The states that ended in a match, newest first when walked in reverse.
    back_edges: Vec<State>,
}

/// All visits of one function's walk.
#[derive(Default)]
pub struct Loops {
    visits: Vec<Visit>,
}

impl Loops {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.visits.clear();
    }

    fn find(&self, chain: &SccCallchain) -> Option<usize> {
        self.visits.iter().position(|visit| visit.chain == *chain)
    }
}

impl Verifier<'_> {
    /// The component a state is in, with the calls that led there; `None` outside of any.
    fn scc_of(&self, state: &State) -> Option<SccCallchain> {
        if self.scc_count == 0 {
            return None;
        }
        let mut callsites = Vec::new();
        for depth in 0..state.frames.len() {
            let callee = state.frames.get(depth + 1);
            let at = callee.map_or(state.insn, |frame| frame.callsite);
            let scc = self.aux[at as usize].scc;
            if scc != 0 {
                return Some(SccCallchain { callsites, scc });
            }
            callsites.push(at);
        }
        None
    }

    /// Whether back edges may still add to what a kept state must know exactly.
    pub fn has_incomplete_marks(&self, id: StateId) -> bool {
        self.store
            .state(id)
            .and_then(|state| self.scc_of(state))
            .and_then(|chain| self.loops.find(&chain))
            .is_some_and(|at| !self.loops.visits[at].back_edges.is_empty())
    }

    /// A state was kept: when it is the first inside a component, that is entered.
    pub fn maybe_enter_scc(&mut self, id: StateId) -> Res {
        let Some(chain) = self.store.state(id).and_then(|state| self.scc_of(state)) else {
            return Ok(());
        };
        let at = match self.loops.find(&chain) {
            Some(at) => at,
            None => {
                self.loops.visits.push(Visit {
                    chain,
                    ..Visit::default()
                });
                self.loops.visits.len() - 1
            }
        };
        let visit = &mut self.loops.visits[at];
        if visit.entry.is_none() {
            visit.entry = Some(id);
            if self.log.at(LEVEL2) {
                let text = self.loops.visits[at].chain.text();
                say!(self, "SCC enter {text}\n");
            }
        }
        Ok(())
    }

    /// All paths from the current state are finished.
    pub fn maybe_exit_scc_current(&mut self, state: &State) -> Res {
        let Some(chain) = self.scc_of(state) else {
            return Ok(());
        };
        if self.loops.find(&chain).is_none() && !state.speculative {
            refuse!(
                self,
                EFAULT,
                "verifier bug: scc exit: no visit info for call chain {}",
                chain.text()
            );
        }
        Ok(())
    }

    /// All paths from a kept state are finished: when it is the one with which a component
    /// was entered, that is left.
    pub fn maybe_exit_scc(&mut self, id: StateId) -> Res {
        let Some(state) = self.store.state(id) else {
            return Ok(());
        };
        let speculative = state.speculative;
        let Some(chain) = self.scc_of(state) else {
            return Ok(());
        };
        let Some(at) = self.loops.find(&chain) else {
            if speculative {
                return Ok(());
            }
            refuse!(
                self,
                EFAULT,
                "verifier bug: scc exit: no visit info for call chain {}",
                chain.text()
            );
        };
        if self.loops.visits[at].entry != Some(id) {
            return Ok(());
        }
        if self.log.at(LEVEL2) {
            let text = chain.text();
            say!(self, "SCC exit {text}\n");
        }
        let visit = &mut self.loops.visits[at];
        visit.entry = None;
        self.store.back_edges -= visit.back_edges.len() as u32;
        self.note_peak();
        self.propagate_back_edges(at)
    }

    /// The current state was found covered by `old`, about which not all is known.
    pub fn add_back_edge(&mut self, old: StateId) -> Res {
        let chain = self.store.state(old).and_then(|state| self.scc_of(state));
        let Some(at) = chain.as_ref().and_then(|chain| self.loops.find(chain)) else {
            refuse!(
                self,
                EFAULT,
                "verifier bug: add backedge: no visit info for insn {}",
                self.insn_idx
            );
        };
        if self.log.at(LEVEL2) {
            let text = self.loops.visits[at].chain.text();
            say!(self, "SCC backedge {text}\n");
        }
        let mut state = self.copy_current();
        state.insn = self.insn_idx;
        state.equal_to = Some(old);
        self.loops.visits[at].back_edges.push(state);
        self.store.back_edges += 1;
        self.note_peak();
        Ok(())
    }

    fn propagate_back_edges(&mut self, at: usize) -> Res {
        let mut edges = std::mem::take(&mut self.loops.visits[at].back_edges);
        let mut rounds = 0;
        loop {
            rounds += 1;
            if rounds > MAX_ROUNDS {
                if self.log.at(LEVEL2) {
                    say!(self, "propagate_backedges: too many iterations\n");
                }
                for state in &edges {
                    self.mark_all_precise(state);
                }
                return Ok(());
            }
            let mut changed = false;
            for edge in edges.iter_mut().rev() {
                let Some(equal) = edge.equal_to else {
                    continue;
                };
                let state = std::mem::take(edge);
                let (state, outcome) = self.propagate_precision(equal, state);
                *edge = state;
                changed |= outcome?;
            }
            if !changed {
                return Ok(());
            }
        }
    }

    /// Marks every number of the ancestors of a state as needed exactly: the way out when a
    /// definition cannot be followed.
    pub fn mark_all_precise(&mut self, state: &State) {
        if self.log.at(LEVEL2) {
            let depth = state.depth();
            say!(
                self,
                "mark_precise: frame{depth}: falling back to forcing all scalars precise\n"
            );
        }
        let mut parent = state.parent;
        while let Some(id) = parent {
            let Some(state) = self.store.state_mut(id) else {
                return;
            };
            let mut forced = Vec::new();
            for (depth, frame) in state.frames.iter_mut().enumerate() {
                let loose = |reg: &Reg| reg.kind == Kind::Scalar && !reg.precise;
                for (number, reg) in frame.regs[..10].iter_mut().enumerate() {
                    if loose(reg) {
                        reg.precise = true;
                        forced.push((depth, 'r', number as i64));
                    }
                }
                for (index, slot) in frame.stack.iter_mut().enumerate() {
                    if slot.is_spill() && loose(&slot.spilled) {
                        slot.spilled.precise = true;
                        forced.push((depth, 'p', -(index as i64 + 1) * 8));
                    }
                }
            }
            parent = state.parent;
            if self.log.at(LEVEL2) {
                for (depth, kind, place) in forced {
                    let name = if kind == 'r' { "r" } else { "fp" };
                    say!(
                        self,
                        "force_precise: frame{depth}: forcing {name}{place} to be precise\n"
                    );
                }
            }
        }
    }

    /// The nearest ancestor of the current path that stands at `insn`, of the states that
    /// are still compared with others.
    pub fn previous_state_at(&self, insn: u32) -> Option<StateId> {
        self.previous_state_above(self.cur.dfs_depth, insn)
    }

    /// The same, but above the state that was just kept for the current instruction.
    pub fn previous_round_at(&self, insn: u32) -> Option<StateId> {
        let kept = self.store.state(self.cur.parent?)?;
        self.previous_state_above(kept.dfs_depth, insn)
    }

    /// An unfinished state is an ancestor of the path that is being walked; looking among
    /// those of one instruction does not get longer with the path.
    fn previous_state_above(&self, depth: u32, insn: u32) -> Option<StateId> {
        let at = self.store.compared_at(insn, self.cur.frame().callsite);
        at.rev().find(|id| {
            self.store.state(*id).is_some_and(|state| {
                state.insn == insn
                    && state.branches > 0
                    && state.dfs_depth < depth
                    && self.same_calls(state)
            })
        })
    }

    fn same_calls(&self, state: &State) -> bool {
        state.frames.len() == self.cur.frames.len()
            && state
                .frames
                .iter()
                .zip(&self.cur.frames)
                .all(|(a, b)| a.callsite == b.callsite)
    }

    /// Numbers of `state` that changed since `previous` and need not be exact become unknown,
    /// so that a loop converges.
    pub fn widen_imprecise(&mut self, previous: StateId, state: &mut State) {
        let unknown = self.unknown_scalar();
        let Some(previous) = self.store.state(previous) else {
            return;
        };
        let mut ids = std::mem::take(&mut self.ids);
        ids.start(self.id_gen);
        let mut widen = |old: &Reg, new: &mut Reg| {
            if old.kind != Kind::Scalar || new.kind != Kind::Scalar || old.precise || new.precise {
                return;
            }
            let same = old.same_identity(new)
                && old.num == new.num
                && ids.matches(old.id, new.id)
                && ids.matches(old.ref_obj_id, new.ref_obj_id);
            if !same {
                *new = Reg {
                    subreg_def: new.subreg_def,
                    ..unknown
                };
            }
        };
        for (old, new) in previous.frames.iter().zip(&mut state.frames).rev() {
            for (old, new) in old.regs[..10].iter().zip(&mut new.regs) {
                widen(old, new);
            }
            for (old, new) in old.stack.iter().zip(&mut new.stack) {
                if old.is_spill() && new.is_spill() {
                    widen(&old.spilled, &mut new.spilled);
                }
            }
        }
        self.ids = ids;
    }
}

//! The main loop: instruction after instruction, branch after branch.

use skep_abi::Errno;
use skep_isa::class;

use crate::context::{COMPLEXITY_LIMIT_JMP_SEQ, Pending, Res, Stop, Verifier};
use crate::log::{LEVEL, LEVEL2};
use crate::refuse;
use crate::state::frame::MAIN_CALLSITE;
use crate::state::{Frame, State};
use crate::step::Next;

impl Verifier<'_> {
    /// Walks every path of the main program or of one global function.
    ///
    /// `subprog` is 0 for the main program.
    pub fn walk_function(&mut self, subprog: u32) -> Res {
        self.prev_insn_idx = u32::MAX;
        self.insn_idx = self.subprogs[subprog as usize].start;
        self.log.prev_line = None;
        self.pending.clear();
        let mut state = State {
            in_sleepable: self.program_sleeps(),
            branches: 1,
            first_insn: self.insn_idx,
            ..State::default()
        };
        state
            .frames
            .push(Box::new(Frame::new(MAIN_CALLSITE, 0, subprog)));
        self.cur = state;
        self.scratch_all();
        self.enter_function(subprog)?;
        let done = self.walk_paths();
        self.cur = State::default();
        self.pending.clear();
        self.store.clear();
        self.loops.clear();
        if done.is_ok() && self.forgets_success() {
            self.log.reset(0);
        }
        done
    }

    /// Whether the text of paths that succeeded is dropped, as at level 1.
    fn forgets_success(&self) -> bool {
        !self.log.at(LEVEL2)
    }

    fn walk_paths(&mut self) -> Res {
        let mut print_state = false;
        loop {
            self.history_open = false;
            self.prev_insn_idx_before = self.prev_insn_idx;
            if self.insn_idx as usize >= self.insns.len() {
                refuse!(
                    self,
                    EFAULT,
                    "invalid insn idx {} insn_cnt {}",
                    self.insn_idx,
                    self.insns.len()
                );
            }
            self.insns_processed += 1;
            if self.insns_processed > self.insn_limit {
                refuse!(
                    self,
                    E2BIG,
                    "BPF program is too large. Processed {} insn",
                    self.insns_processed
                );
            }
            self.cur.last_insn = self.prev_insn_idx;
            self.cur.insn = self.insn_idx;
            let aux = &self.aux[self.insn_idx as usize];
            let (prune, jump) = (aux.prune_point, aux.jump_point);
            if prune && self.prunes && self.is_visited()? {
                if self.log.at(LEVEL) {
                    self.say_safe(print_state);
                }
                if !self.next_path(&mut print_state)? {
                    return Ok(());
                }
                continue;
            }
            if jump {
                self.push_history(Default::default(), 0);
            }
            self.say_before_step(&mut print_state);
            self.record_state();
            let at = self.insn_idx as usize;
            // What only a mispredicted branch reaches is dead code all the same.
            self.aux[at].seen |= !self.cur.speculative;
            self.prev_insn_idx = self.insn_idx;
            let next = if self.cur.speculative && self.aux[at].nospec {
                Next::PathEnds
            } else {
                self.step_tracked()?
            };
            match next {
                Next::Insn(insn) => self.insn_idx = insn,
                Next::Returned(insn) => {
                    self.insn_idx = insn;
                    print_state = true;
                }
                Next::PathEnds => {
                    if !self.next_path(&mut print_state)? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// One step, with what it does to the stack reported to the liveness analysis.
    fn step_tracked(&mut self) -> Res<Next> {
        let at = self.insn_idx;
        // Arithmetic never looks at the stack.
        if !matches!(self.insn().class(), class::ALU | class::ALU64) {
            self.stack_liveness.reset_write_marks(&self.cur, at);
        }
        let outcome = self.step();
        match outcome {
            Ok(next) => {
                self.stack_liveness.commit_write_marks();
                self.after_step(at, next)
            }
            // A path that only a mispredicted branch takes is not refused but cut off by a
            // barrier, unless the refusal is one that no barrier answers.
            Err(Stop::Reject(errno)) if self.cur.speculative && recoverable(errno) => {
                self.stack_liveness.commit_write_marks();
                self.aux[at as usize].nospec = true;
                self.aux[at as usize].alu = Default::default();
                Ok(Next::PathEnds)
            }
            Err(stop) => Err(stop),
        }
    }

    fn after_step(&mut self, at: u32, next: Next) -> Res<Next> {
        if self.cur.speculative && self.aux[at as usize].nospec_result {
            return Ok(Next::PathEnds);
        }
        Ok(next)
    }

    fn say_safe(&mut self, print_state: bool) {
        if print_state {
            let speculative = self.speculative_note();
            let (from, to) = (self.prev_insn_idx, self.insn_idx);
            self.log
                .write(format_args!("\nfrom {from} to {to}{speculative}: safe\n"));
        } else {
            let at = self.insn_idx;
            self.log.write(format_args!("{at}: safe\n"));
        }
    }

    fn speculative_note(&self) -> &'static str {
        if self.cur.speculative {
            " (speculative execution)"
        } else {
            ""
        }
    }

    fn say_before_step(&mut self, print_state: &mut bool) {
        if self.log.at(LEVEL2) && *print_state {
            let speculative = self.speculative_note();
            let (from, to) = (self.prev_insn_idx, self.insn_idx);
            self.log
                .write(format_args!("\nfrom {from} to {to}{speculative}:"));
            self.log_current(self.cur.depth(), true);
            *print_state = false;
        }
        if self.log.at(LEVEL) {
            if self.scratched_regs != 0 || self.scratched_slots != 0 {
                self.log_changes();
            }
            self.log_line(self.insn_idx, "; ");
            let start = self.log.end();
            let at = self.insn_idx;
            self.log.write(format_args!("{at}: "));
            self.log_insn(at);
            self.log.prev_insn_len = self.log.end() - start;
            self.log.prev_end = self.log.end();
        }
    }

    /// Ends the path and takes up the branch pushed last. `false` when none is left.
    fn next_path(&mut self, print_state: &mut bool) -> Res<bool> {
        self.scratch_all();
        self.finish_path()?;
        let Some(next) = self.pending.pop() else {
            return Ok(false);
        };
        if self.forgets_success() {
            self.log.reset(next.log_end);
        }
        let done = std::mem::replace(&mut self.cur, next.state);
        self.recycle(done);
        self.insn_idx = next.insn;
        self.prev_insn_idx = next.prev;
        *print_state = true;
        Ok(true)
    }

    /// Puts a copy of the current state aside, to be walked from `insn` later.
    pub fn push_branch(&mut self, insn: u32, prev: u32, speculative: bool) -> Res<&mut State> {
        let state = self.copy_current();
        self.push_state(state, insn, prev, speculative)
    }

    /// Puts a state aside, to be walked from `insn` later.
    ///
    /// # Errors
    /// `ENOMEM` when too many wait already.
    pub fn push_state(
        &mut self,
        mut state: State,
        insn: u32,
        prev: u32,
        speculative: bool,
    ) -> Res<&mut State> {
        state.speculative |= speculative;
        let parent = state.parent;
        self.pending.push(Pending {
            state,
            insn,
            prev,
            log_end: self.log.end(),
        });
        if self.pending.len() > COMPLEXITY_LIMIT_JMP_SEQ {
            let depth = self.pending.len();
            refuse!(
                self,
                ENOMEM,
                "The sequence of {depth} jumps is too complex."
            );
        }
        if let Some(parent) = parent {
            // The parent waits for one more path.
            self.store.get_mut(parent).state.branches += 1;
        }
        match self.pending.last_mut() {
            Some(pending) => Ok(&mut pending.state),
            None => Err(Stop::Reject(Errno::EFAULT)),
        }
    }

    /// Keeps what is claimed of the registers here, for the checking interpreter.
    fn record_state(&mut self) {
        if self.request.record_states && !self.cur.speculative {
            let live = self.aux[self.insn_idx as usize].live_regs;
            let recorded = crate::state::record::of(&self.cur, self.insn_idx, live);
            let place = self.stack_liveness.query(&self.cur, self.insn_idx);
            self.recorded.push((recorded, place));
        }
    }
}

/// Whether a refusal on a speculative path can be answered by a barrier.
fn recoverable(errno: Errno) -> bool {
    matches!(errno, Errno::EPERM | Errno::EACCES | Errno::EINVAL)
}

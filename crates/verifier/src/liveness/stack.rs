//! What each instruction does to the stack, kept apart for every chain of calls.
//!
//! An *instance* is one function reached through one chain of calls. For each of its
//! instructions, and for the frames of the whole chain, it holds which slots the
//! instruction may read and which it writes on every visit. [`super::propagate`] carries
//! both over the control flow; the result says which slots are alive at an instruction.
//!
//! How the walk uses it, in this order:
//!
//! 1. [`StackLiveness::reset_write_marks`] before each instruction is stepped, but arithmetic,
//!    which never looks at the stack;
//! 2. while stepping it, [`StackLiveness::mark_read`] for every slot whose content it may
//!    use, and [`StackLiveness::mark_write`] for every slot it fills whole at a constant
//!    offset (eight bytes, aligned, and only by store instructions and atomics: Linux does
//!    not count narrower stores, stores at a variable offset or memory filled by helpers);
//! 3. [`StackLiveness::commit_write_marks`] after it ([`StackLiveness::enter_function`]
//!    takes the marks back when it entered a function);
//! 4. [`super::propagate::update`] at the end of a path (exit of the entry function, a
//!    path found equal to an earlier one), unless nobody will ask any more, and before
//!    a function returns to its caller;
//! 5. [`StackLiveness::query`] to ask about a state.

use std::collections::BTreeMap;

use crate::context::MAX_CALL_FRAMES;
use crate::setup::SubprogRange;
use crate::state::State;

/// A set of slots of one frame: bit 0 is the slot at -8.
pub type SlotMask = u64;

/// What is known of one instruction with regard to one frame.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Some visit read these.
    pub may_read: SlotMask,
    /// Every visit wrote these.
    pub must_write: SlotMask,
    /// Written here or on every way from here to the end of the function.
    pub written_after: SlotMask,
    /// May be read here or later before they are written.
    pub live_before: SlotMask,
}

/// One function reached through one chain of calls.
#[derive(Debug)]
pub struct Instance {
    /// The instance of the caller.
    pub caller: Option<usize>,
    /// The call in the caller; meaningless without a caller.
    pub callsite: u32,
    /// Where the function lies.
    pub range: SubprogRange,
    /// How many callers are above.
    pub depth: usize,
    /// For each frame of the chain, one cell for each instruction, once something is known.
    pub frames: Vec<Option<Box<[Cell]>>>,
    /// Instructions whose written slots were noted at least once.
    visited: Box<[bool]>,
    /// Marks changed since the last propagation.
    pub changed: bool,
    /// Some instruction no longer writes what it was thought to write.
    pub write_dropped: bool,
}

impl Instance {
    /// What is known of an instruction of this function with regard to a frame.
    pub fn cell(&self, frame: usize, insn: u32) -> Option<&Cell> {
        let at = insn.checked_sub(self.range.start)? as usize;
        self.frames.get(frame)?.as_ref()?.get(at)
    }

    fn cell_mut(&mut self, frame: usize, insn: u32) -> Option<&mut Cell> {
        let at = insn.checked_sub(self.range.start)? as usize;
        let len = self.range.len();
        self.frames
            .get_mut(frame)?
            .get_or_insert_with(|| vec![Cell::default(); len].into_boxed_slice())
            .get_mut(at)
    }

    /// Notes that an instruction may read slots of a frame.
    pub fn add_read(&mut self, frame: usize, insn: u32, mask: SlotMask) {
        if mask == 0 {
            return;
        }
        if let Some(cell) = self.cell_mut(frame, insn)
            && cell.may_read | mask != cell.may_read
        {
            cell.may_read |= mask;
            // What was alive there already makes no difference to what lies before.
            self.changed |= cell.may_read | cell.live_before != cell.live_before;
        }
    }

    /// Notes one visit's writes: the first visit sets them, a later one can only take away.
    pub fn add_visit(&mut self, insn: u32, writes: &[SlotMask; MAX_CALL_FRAMES]) {
        let Some(at) = insn.checked_sub(self.range.start) else {
            return;
        };
        let Some(visited) = self.visited.get_mut(at as usize) else {
            return;
        };
        let again = std::mem::replace(visited, true);
        for (frame, &mask) in writes.iter().enumerate().take(self.depth + 1) {
            if mask == 0 && self.frames.get(frame).is_none_or(Option::is_none) {
                continue;
            }
            let Some(cell) = self.cell_mut(frame, insn) else {
                continue;
            };
            let old = cell.must_write;
            let new = if again { old & mask } else { mask };
            if new != old {
                cell.must_write = new;
                self.changed = true;
                self.write_dropped |= old & !new != 0;
            }
        }
    }
}

/// The gathered knowledge of all instances.
#[derive(Debug, Default)]
pub struct StackLiveness {
    /// The instances, callers before callees.
    pub instances: Vec<Instance>,
    by_place: BTreeMap<(Option<usize>, u32, u32), usize>,
    /// The instance found last at each depth: mostly the one that is looked for next.
    recent: [usize; MAX_CALL_FRAMES],
    subprogs: Vec<SubprogRange>,
    current: Option<usize>,
    insn: u32,
    writes: [SlotMask; MAX_CALL_FRAMES],
}

/// Where the frames of one state stand, found once and asked often.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    places: [(Option<usize>, u32); MAX_CALL_FRAMES],
    depth: usize,
}

impl StackLiveness {
    /// Nothing is known yet. `subprogs` are the functions of the program, in order.
    pub fn new(subprogs: Vec<SubprogRange>) -> StackLiveness {
        StackLiveness {
            subprogs,
            ..StackLiveness::default()
        }
    }

    fn lookup(&self, caller: Option<usize>, callsite: u32, subprog: u32) -> Option<usize> {
        self.by_place.get(&(caller, callsite, subprog)).copied()
    }

    fn find_or_make(
        &mut self,
        caller: Option<usize>,
        callsite: u32,
        subprog: u32,
    ) -> Option<usize> {
        let key = (caller, callsite, subprog);
        if let Some(&found) = self.by_place.get(&key) {
            return Some(found);
        }
        let range = *self.subprogs.get(subprog as usize)?;
        let depth = caller.map_or(0, |c| self.instances[c].depth + 1);
        let made = self.instances.len();
        self.instances.push(Instance {
            caller,
            callsite,
            range,
            depth,
            frames: vec![None; depth + 1],
            visited: vec![false; range.len()].into_boxed_slice(),
            changed: false,
            write_dropped: false,
        });
        self.by_place.insert(key, made);
        Some(made)
    }

    /// The instance a state's innermost frame belongs to, made when it is new.
    pub fn instance_of(&mut self, state: &State) -> Option<usize> {
        let mut found = None;
        for (depth, frame) in state.frames.iter().enumerate().take(MAX_CALL_FRAMES) {
            let callsite = if depth == 0 { 0 } else { frame.callsite };
            let recent = self.recent[depth];
            let fits = self.instances.get(recent).is_some_and(|instance| {
                instance.caller == found
                    && instance.callsite == callsite
                    && instance.range.index == frame.subprog
            });
            if !fits {
                self.recent[depth] = self.find_or_make(found, callsite, frame.subprog)?;
            }
            found = Some(self.recent[depth]);
        }
        found
    }

    /// Starts the marks of one instruction. `state` is the state before it.
    pub fn reset_write_marks(&mut self, state: &State, insn: u32) {
        self.current = self.instance_of(state);
        self.insn = insn;
        self.writes = [0; MAX_CALL_FRAMES];
    }

    /// The instruction may read these slots of a frame.
    pub fn mark_read(&mut self, frame: usize, mask: SlotMask) {
        if let Some(current) = self.current {
            self.instances[current].add_read(frame, self.insn, mask);
        }
    }

    /// The instruction writes these slots of a frame, whole.
    pub fn mark_write(&mut self, frame: usize, mask: SlotMask) {
        if let Some(writes) = self.writes.get_mut(frame) {
            *writes |= mask;
        }
    }

    /// Ends the marks of one instruction.
    pub fn commit_write_marks(&mut self) {
        if let Some(current) = self.current.take() {
            self.instances[current].add_visit(self.insn, &self.writes);
        }
    }

    /// Call this when the instruction calls a function of the program and the walk goes on
    /// inside: what the call writes is known only when that function returns, so nothing is
    /// committed. (Not for helpers that run a callback: those may run it no time at all.)
    pub fn enter_function(&mut self) {
        self.current = None;
    }

    /// Where the frames of a state stand, when the innermost is about to run `insn`.
    pub fn query(&self, state: &State, insn: u32) -> Query {
        let mut query = Query {
            places: [(None, 0); MAX_CALL_FRAMES],
            depth: state.frames.len().clamp(1, MAX_CALL_FRAMES) - 1,
        };
        let mut found = None;
        for (depth, frame) in state.frames.iter().enumerate().take(MAX_CALL_FRAMES) {
            if depth > 0 && found.is_none() {
                break;
            }
            let callsite = if depth == 0 { 0 } else { frame.callsite };
            found = self.lookup(found, callsite, frame.subprog);
            let at = state.frames.get(depth + 1).map_or(insn, |f| f.callsite);
            query.places[depth] = (found, at);
        }
        query
    }

    /// The slots of `frame` that may be read at or after the state of a query.
    ///
    /// A caller goes on behind its call, or at the call again when that call runs its
    /// callee repeatedly (`calls_callback`).
    pub fn live_slots(
        &self,
        query: &Query,
        frame: usize,
        calls_callback: impl Fn(u32) -> bool,
    ) -> SlotMask {
        let mut live = 0;
        for depth in frame..=query.depth {
            let Some(&(Some(instance), at)) = query.places.get(depth) else {
                continue;
            };
            let at = match depth == query.depth || calls_callback(at) {
                true => at,
                false => at + 1,
            };
            let cell = self.instances[instance].cell(frame, at);
            live |= cell.map_or(0, |cell| cell.live_before);
        }
        live
    }
}

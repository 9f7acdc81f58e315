//! The whole state of one path: frames, what is held, and how the path came here.

use super::frame::Frame;
use super::reg::Reg;
use super::stack::Slot;

/// A state kept at an instruction, by its place in the store of states.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateId(pub u32);

/// Something the program must give back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reference {
    /// What was taken.
    pub kind: ReferenceKind,
    /// The identity that pointers to it carry.
    pub id: u32,
    /// Where it was taken.
    pub insn: u32,
    /// For a lock: the map or object it lies in.
    pub owner: u64,
}

/// What kind of thing a reference holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReferenceKind {
    /// An acquired object.
    Pointer,
    /// A spin lock.
    Lock,
    /// A spin lock whose taking may fail.
    ResLock,
    /// The same, taken with interrupts disabled.
    ResLockIrq,
    /// Disabled interrupts.
    Irq,
}

impl ReferenceKind {
    /// Whether it is a lock of any kind.
    pub fn is_lock(self) -> bool {
        matches!(
            self,
            ReferenceKind::Lock | ReferenceKind::ResLock | ReferenceKind::ResLockIrq
        )
    }
}

/// One step of the path that precision may have to walk back over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HistoryEntry {
    /// The instruction.
    pub insn: u32,
    /// The instruction before it on the path.
    pub prev: u32,
    /// What it did that its text does not tell.
    pub flags: HistoryFlags,
    /// Registers (and stack slots) whose linked scalars were refined here.
    pub linked: u64,
}

/// What an instruction did to the stack, and whether its range is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HistoryFlags {
    /// It accessed the stack slot below.
    pub stack_access: bool,
    /// The frame of that slot.
    pub frame: u8,
    /// The slot.
    pub slot: u8,
    /// It compared a stack pointer on the left.
    pub dst_is_stack: bool,
    /// It compared a stack pointer on the right.
    pub src_is_stack: bool,
}

impl HistoryFlags {
    /// An access to a stack slot.
    pub fn stack(frame: u8, slot: u8) -> HistoryFlags {
        HistoryFlags {
            stack_access: true,
            frame,
            slot,
            ..HistoryFlags::default()
        }
    }

    /// Both together; one instruction touches one slot only.
    #[must_use]
    pub fn with(self, other: HistoryFlags) -> HistoryFlags {
        let slot_of = if other.stack_access { other } else { self };
        HistoryFlags {
            stack_access: self.stack_access || other.stack_access,
            frame: slot_of.frame,
            slot: slot_of.slot,
            dst_is_stack: self.dst_is_stack || other.dst_is_stack,
            src_is_stack: self.src_is_stack || other.src_is_stack,
        }
    }
}

/// One path's state.
#[derive(Debug, Default)]
pub struct State {
    /// The call chain, entry first. A frame is large, so each has a box that moves when the
    /// chain grows.
    #[allow(clippy::vec_box)]
    pub frames: Vec<Box<Frame>>,
    /// What is held.
    pub refs: Vec<Reference>,
    /// How many references of the pointer kind are held.
    pub acquired: u32,
    /// How many locks are held.
    pub active_locks: u32,
    /// Nesting of disabled preemption.
    pub active_preempt_locks: u32,
    /// The flags saved last of those not yet restored, 0 when interrupts are enabled.
    pub active_irq: u32,
    /// Nesting of RCU read sections.
    pub active_rcu_locks: u32,
    /// The lock taken last: id and owner.
    pub active_lock: (u32, u64),
    /// The state this one continues.
    pub parent: Option<StateId>,
    /// Paths from this state that are not finished.
    pub branches: u32,
    /// The instruction this state stands before.
    pub insn: u32,
    /// The first and last instruction since the parent.
    pub first_insn: u32,
    /// The last instruction executed since the parent.
    pub last_insn: u32,
    /// The path is one that only a mispredicted branch takes.
    pub speculative: bool,
    /// The program may sleep here.
    pub in_sleepable: bool,
    /// Dead registers and slots were forgotten.
    pub cleaned: bool,
    /// Depth in the tree of states.
    pub dfs_depth: u32,
    /// How many callback iterations were unrolled.
    pub callback_unroll_depth: u32,
    /// How many may_goto were taken.
    pub may_goto_depth: u32,
    /// The steps since the parent.
    pub history: Vec<HistoryEntry>,
    /// For a back edge: the state it was found equal to.
    pub equal_to: Option<StateId>,
}

impl Clone for State {
    fn clone(&self) -> State {
        let mut copy = State::default();
        copy.copy_from(self);
        copy
    }
}

impl State {
    /// Makes this a copy of `from`, reusing what this one allocated.
    pub fn copy_from(&mut self, from: &State) {
        let mut frames = std::mem::take(&mut self.frames);
        frames.truncate(from.frames.len());
        let have = frames.len();
        for (to, from) in frames.iter_mut().zip(&from.frames) {
            Frame::clone_from(to, from);
        }
        frames.extend(from.frames[have..].iter().cloned());
        let mut refs = std::mem::take(&mut self.refs);
        refs.clone_from(&from.refs);
        let mut history = std::mem::take(&mut self.history);
        history.clone_from(&from.history);
        *self = State {
            frames,
            refs,
            history,
            ..*from
        };
    }

    /// Bytes of memory it takes.
    pub fn bytes(&self) -> u64 {
        let slots: usize = self.frames.iter().map(|frame| frame.stack.len()).sum();
        let parts = size_of::<State>()
            + self.frames.len() * size_of::<Frame>()
            + slots * size_of::<Slot>()
            + self.refs.len() * size_of::<Reference>()
            + self.history.len() * size_of::<HistoryEntry>();
        parts as u64
    }

    /// The depth of the call chain.
    #[inline]
    pub fn depth(&self) -> usize {
        self.frames.len() - 1
    }

    /// The innermost frame.
    #[inline]
    pub fn frame(&self) -> &Frame {
        let depth = self.depth();
        &self.frames[depth]
    }

    /// The innermost frame.
    #[inline]
    pub fn frame_mut(&mut self) -> &mut Frame {
        let depth = self.depth();
        &mut self.frames[depth]
    }

    /// The registers of the innermost frame.
    #[inline]
    pub fn regs(&self) -> &[Reg; 11] {
        &self.frame().regs
    }

    /// The registers of the innermost frame.
    #[inline]
    pub fn regs_mut(&mut self) -> &mut [Reg; 11] {
        &mut self.frame_mut().regs
    }

    /// The frame a stack pointer points into.
    #[inline]
    pub fn frame_of(&self, reg: &Reg) -> &Frame {
        &self.frames[reg.frame as usize]
    }

    /// The frame a stack pointer points into.
    #[inline]
    pub fn frame_of_mut(&mut self, reg: &Reg) -> &mut Frame {
        &mut self.frames[reg.frame as usize]
    }

    /// Calls `visit` on every register and every spilled register.
    pub fn for_each_reg(&mut self, mut visit: impl FnMut(&mut Reg)) {
        for frame in &mut self.frames {
            for reg in &mut frame.regs {
                visit(reg);
            }
            for Slot { types, spilled } in &mut frame.stack {
                if types[7] == super::SlotType::Spill {
                    visit(spilled);
                }
            }
        }
    }
}

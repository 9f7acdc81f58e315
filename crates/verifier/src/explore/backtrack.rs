//! What a walk back for precision still looks for.

use std::fmt::Write;

use crate::state::StateId;

/// The registers r1 to r5.
pub(super) const ARGS: u32 = 0b11_1110;
/// How many linked numbers one history entry can name.
pub const LINKED_MAX: usize = 6;

/// What is still looked for: registers and stack slots, by frame.
#[derive(Default, Debug)]
pub struct Backtrack {
    /// The frame the walk is in.
    pub(super) frame: usize,
    /// Registers, by frame.
    pub(super) regs: [u32; 8],
    /// Stack slots, by frame.
    pub(super) slots: [u64; 8],
    /// The walk is one that Linux does not make: it follows what atomics fetch from the stack
    /// (decision record 25), and says nothing.
    pub(super) follows_fetches: bool,
    /// Where the walk that Linux makes passed such a fetch of a number that it looked for.
    pub(super) fetches: Vec<Fetch>,
}

/// An atomic that fetched a number that is looked for from the stack.
#[derive(Clone, Copy, Debug)]
pub struct Fetch {
    /// The state on whose path it lies; the one that is walked back from without.
    pub(super) owner: Option<StateId>,
    /// How many entries of its history lead there, its own included.
    pub(super) left: usize,
    /// The atomic.
    pub(super) insn: u32,
    /// The frame it runs in.
    pub(super) frame: usize,
    /// The frame of the slot.
    pub(super) slot_frame: usize,
    /// The slot.
    pub(super) slot: u8,
}

impl Backtrack {
    pub(super) fn start(&mut self, frame: usize) {
        self.frame = frame;
    }

    pub(super) fn clear(&mut self) {
        *self = Backtrack::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        let depth = self.frame + 1;
        self.regs[..depth].iter().all(|mask| *mask == 0)
            && self.slots[..depth].iter().all(|mask| *mask == 0)
    }

    pub(super) fn has_reg(&self, reg: u8) -> bool {
        self.regs[self.frame] & (1 << reg) != 0
    }

    pub(super) fn set_reg(&mut self, reg: u8) {
        self.regs[self.frame] |= 1 << reg;
    }

    pub(super) fn clear_reg(&mut self, reg: u8) {
        self.regs[self.frame] &= !(1 << reg);
    }

    pub(super) fn mask(&self) -> u32 {
        self.regs[self.frame]
    }
}

/// Packs the places of linked numbers: frame, whether a register, and its number or slot.
pub fn pack_linked(linked: &[(u8, bool, u8)]) -> u64 {
    linked
        .iter()
        .rev()
        .fold(0, |word, &(frame, is_reg, place)| {
            (word << 10) | u64::from(frame) | (u64::from(place) << 3) | (u64::from(is_reg) << 9)
        })
        << 4
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

/// The registers of a mask as the log names them.
pub(super) fn regs_text(mask: u32) -> String {
    let mut out = String::new();
    for reg in (0..32).filter(|reg| mask & (1 << reg) != 0) {
        let comma = if out.is_empty() { "" } else { "," };
        let _ = write!(out, "{comma}r{reg}");
    }
    out
}

/// The slots of a mask as the log names them.
pub(super) fn slots_text(mask: u64) -> String {
    let mut out = String::new();
    for slot in (0..64).filter(|slot| mask & (1 << slot) != 0) {
        let comma = if out.is_empty() { "" } else { "," };
        let _ = write!(out, "{comma}-{}", (slot + 1) * 8);
    }
    out
}

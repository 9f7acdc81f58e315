//! What is found out about a program before any path of it is walked.

pub mod attach;
pub mod btf_info;
pub mod cfg;
pub mod core_relo;
pub mod extend;
pub mod fastcall;
pub mod flow;
pub mod helpers;
pub mod kfuncs;
pub mod live_regs;
pub mod map_fit;
pub mod order;
pub mod pseudo;
pub mod stack_depth;
pub mod subprogs;
pub mod target;

/// Where one function lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SubprogRange {
    /// Which function it is.
    pub index: u32,
    /// Its first instruction.
    pub start: u32,
    /// One past its last instruction.
    pub end: u32,
}

impl SubprogRange {
    /// How many slots it takes.
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }
}

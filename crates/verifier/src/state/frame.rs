//! One frame of the call chain: registers and stack of one function in progress.

use super::reg::{Kind, Reg};
use super::stack::Slot;

/// Where a frame was called from: an instruction, or nowhere for the entry function.
pub type Callsite = u32;
/// The call site of the entry function.
pub const MAIN_CALLSITE: Callsite = u32::MAX;

/// One function in progress.
#[derive(Debug)]
pub struct Frame {
    /// r0 to r10.
    pub regs: [Reg; 11],
    /// The call instruction in the caller.
    pub callsite: Callsite,
    /// Depth in the call chain.
    pub depth: u32,
    /// Which function this is.
    pub subprog: u32,
    /// Counts entries of one asynchronous callback.
    pub async_entries: u32,
    /// How often a callback was simulated from this frame.
    pub callback_depth: u32,
    /// What the callback running in this frame may return.
    pub callback_range: (i32, i32),
    /// The frame runs a callback that its caller waits for.
    pub in_callback: bool,
    /// The frame runs a callback that starts on its own.
    pub in_async_callback: bool,
    /// The frame runs the exception callback.
    pub in_exception_callback: bool,
    /// Slots below the frame pointer; index 0 is at -8.
    pub stack: Vec<Slot>,
}

impl Clone for Frame {
    fn clone(&self) -> Frame {
        Frame {
            stack: self.stack.clone(),
            ..*self
        }
    }
    fn clone_from(&mut self, from: &Frame) {
        let mut stack = std::mem::take(&mut self.stack);
        stack.clone_from(&from.stack);
        *self = Frame { stack, ..*from };
    }
}

impl Frame {
    /// A frame in which only the frame pointer is set.
    pub fn new(callsite: Callsite, depth: u32, subprog: u32) -> Frame {
        let mut regs = [Reg::NOT_INIT; 11];
        regs[10] = Reg {
            frame: depth as u8,
            ..Reg::pointer(Kind::Stack)
        };
        Frame {
            regs,
            callsite,
            depth,
            subprog,
            async_entries: 0,
            callback_depth: 0,
            callback_range: (0, 0),
            in_callback: false,
            in_async_callback: false,
            in_exception_callback: false,
            stack: Vec::new(),
        }
    }

    /// Bytes of stack that have slots.
    #[inline]
    pub fn allocated(&self) -> i64 {
        (self.stack.len() * 8) as i64
    }

    /// Makes slots for `bytes` of stack.
    pub fn grow(&mut self, bytes: usize) {
        let slots = bytes.div_ceil(8);
        if slots > self.stack.len() {
            self.stack.resize(slots, Slot::EMPTY);
        }
    }
}

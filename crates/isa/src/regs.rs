//! Which registers an instruction reads and writes.

use crate::form::{Form, RegSet, regs};
use crate::insn::Insn;

/// Registers read and written, one bit each: bit 0 is r0, bit 10 the frame pointer.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Uses {
    /// The registers whose value matters.
    pub reads: u16,
    /// The registers that hold another value afterwards.
    pub writes: u16,
}

/// r1 to r5: what a call may take.
pub const ALL_ARGS: u16 = 0x3e;

/// The registers that an instruction reads and writes, as RFC 9669 says. A call reads
/// `args` (a mask; [`ALL_ARGS`] when nothing is known of the callee) and leaves r0 to r5
/// changed. An unknown atomic operation reads both operands, as Linux takes it; any other
/// unknown opcode reads and writes nothing.
pub fn uses(i: Insn, args: u16) -> Uses {
    let mask = |set: RegSet| {
        set.fixed
            | if set.dst { 1 << (i.dst & 15) } else { 0 }
            | if set.src { 1 << (i.src & 15) } else { 0 }
            | if set.args { args } else { 0 }
    };
    match Form::of(i) {
        Some(form) => Uses {
            reads: mask(form.reads),
            writes: mask(form.writes),
        },
        None if i.is_atomic() => Uses {
            reads: mask(regs::DS),
            writes: 0,
        },
        None => Uses::default(),
    }
}

/// The mask of the first `count` argument registers, five at most.
pub const fn first_args(count: u32) -> u16 {
    let count = if count > 5 { 5 } else { count };
    ((1 << count) - 1) << 1
}

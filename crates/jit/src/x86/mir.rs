//! Machine instructions before registers are chosen.

use skep_isa::{AtomicOp, Size};

use crate::ir::Counted;

use super::asm::{Cc, Group1, Shift};

/// A virtual register.
pub(crate) type V = u32;

/// What an address begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Base {
    V(V),
    /// The end of the program's frame, which the offset counts from.
    Frame,
}

/// `base + index * 2^shift + disp`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Addr {
    pub base: Base,
    pub index: Option<(V, u8)>,
    pub disp: i32,
}

/// A second operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Src {
    V(V),
    Imm(i32),
    Mem(Addr),
}

/// Operations with one operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum UnOp {
    Neg,
    Not,
    /// Of 16, 32 or 64 bits.
    Swap(Size),
}

/// What a call goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Callee {
    Helper(i32),
    /// A function of the host, and the object that it gets first; then come the arguments.
    Direct {
        function: u64,
        object: u64,
    },
    Local(u32),
    /// `bpf_loop` with this function; its arguments are those of the helper.
    Loop(u32),
    TailCall,
    /// Bytes to load; the arguments are the context and the offset.
    Packet(u32),
}

/// A call: what it goes to and what it takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Called {
    pub callee: Callee,
    pub args: [Arg; 5],
}

/// A value that a call takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arg {
    V(V),
    Imm(u64),
    /// An address on the frame.
    Frame(i32),
    /// Whatever is there.
    Any,
}

/// One machine instruction, or a few that belong together.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum M {
    Imm {
        dst: V,
        value: u64,
    },
    Lea {
        dst: V,
        wide: bool,
        addr: Addr,
    },
    Mov {
        dst: V,
        src: V,
    },
    /// Zero extension; of 4 bytes it is a 32-bit move.
    Zx {
        size: u32,
        dst: V,
        src: V,
    },
    Sx {
        size: u32,
        wide: bool,
        dst: V,
        src: V,
    },
    /// Add, or, and, sub, xor.
    Alu {
        op: Group1,
        wide: bool,
        dst: V,
        a: V,
        b: Src,
    },
    Mul {
        wide: bool,
        dst: V,
        a: V,
        b: Src,
    },
    Un {
        op: UnOp,
        wide: bool,
        dst: V,
        a: V,
    },
    /// A count of bits.
    Count {
        what: Counted,
        wide: bool,
        dst: V,
        a: V,
    },
    ShiftImm {
        op: Shift,
        wide: bool,
        dst: V,
        a: V,
        count: u8,
    },
    ShiftBy {
        op: Shift,
        wide: bool,
        dst: V,
        a: V,
        count: V,
    },
    /// `nonzero` tells that the divisor is known not to be zero.
    Div {
        signed: bool,
        rem: bool,
        wide: bool,
        nonzero: bool,
        dst: V,
        a: V,
        b: V,
    },
    Load {
        size: u32,
        signed: bool,
        swap: bool,
        dst: V,
        addr: Addr,
    },
    /// A load that may fault: the result is zero then, or what was kept.
    Probe {
        size: u32,
        signed: bool,
        dst: V,
        addr: Addr,
        kept: Option<V>,
    },
    Store {
        faults: bool,
        size: u32,
        swap: bool,
        addr: Addr,
        src: Src,
    },
    /// `[addr] op= src`
    Update {
        op: Group1,
        size: u32,
        addr: Addr,
        src: Src,
    },
    Cmp {
        test: bool,
        wide: bool,
        a: V,
        b: Src,
    },
    Cmov {
        cc: Cc,
        dst: V,
        t: V,
        f: V,
    },
    Atomic {
        faults: bool,
        op: AtomicOp,
        fetch: bool,
        wide: bool,
        dst: V,
        addr: Addr,
        operand: V,
        expected: V,
    },
    /// The call with this number of [`MFunc::calls`], which is long beside what is here.
    Call {
        call: u32,
        dst: V,
    },
    CpuId {
        dst: V,
    },
    Barrier,
    /// A constant that must not be in the code as it is.
    Hidden {
        dst: V,
        value: u64,
    },
    /// So much fuel is used.
    Charge {
        amount: u32,
    },
    /// What follows comes from this slot of the program.
    Line(u32),
    /// The arguments arrive: which of r1 to r5, and into what.
    Params {
        dst: [Option<V>; 5],
    },
    /// The allowance of `may_goto` is set.
    Allow,
    /// The allowance shrinks; the flags tell whether it is used up.
    Spend,
    JumpIf {
        cc: Cc,
        then: u32,
        other: u32,
    },
    Jump {
        to: u32,
    },
    Ret {
        v: Arg,
    },
}

/// How an operand is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Use,
    /// A use that is still needed when the result is written.
    Late,
    Def,
}

impl Addr {
    fn visit(&self, f: &mut impl FnMut(V, Role)) {
        if let Base::V(v) = self.base {
            f(v, Role::Use);
        }
        if let Some((v, _)) = self.index {
            f(v, Role::Use);
        }
    }
}

impl Src {
    fn visit(&self, role: Role, f: &mut impl FnMut(V, Role)) {
        match self {
            Src::V(v) => f(*v, role),
            Src::Imm(_) => {}
            Src::Mem(addr) => addr.visit(&mut |v, _| f(v, role)),
        }
    }
}

impl Arg {
    fn visit(&self, f: &mut impl FnMut(V, Role)) {
        if let Arg::V(v) = self {
            f(*v, Role::Use);
        }
    }
}

impl M {
    /// Visits all virtual registers, uses before the definition; `calls` are those of the
    /// function.
    pub(crate) fn visit(&self, calls: &[Called], f: &mut impl FnMut(V, Role)) {
        use Role::{Def, Late, Use};
        match self {
            M::Imm { dst, .. } | M::Hidden { dst, .. } | M::CpuId { dst } => f(*dst, Def),
            M::Lea { dst, addr, .. } | M::Load { dst, addr, .. } => {
                addr.visit(f);
                f(*dst, Def);
            }
            M::Probe {
                dst,
                addr,
                kept: None,
                ..
            } => {
                addr.visit(f);
                f(*dst, Def);
            }
            M::Probe {
                dst,
                addr,
                kept: Some(kept),
                ..
            } => {
                addr.visit(&mut |v, _| f(v, Late));
                f(*kept, Use);
                f(*dst, Def);
            }
            M::Mov { dst, src } | M::Zx { dst, src, .. } | M::Sx { dst, src, .. } => {
                f(*src, Use);
                f(*dst, Def);
            }
            M::Alu { op, dst, a, b, .. } => {
                f(*a, Use);
                // Where the operands cannot change places, the second one must not be
                // overwritten by the first.
                let late = *op == Group1::Sub || !matches!(b, Src::V(_));
                b.visit(if late { Late } else { Use }, f);
                f(*dst, Def);
            }
            M::Mul { dst, a, b, .. } => {
                f(*a, Use);
                b.visit(if matches!(b, Src::V(_)) { Use } else { Late }, f);
                f(*dst, Def);
            }
            M::Un { dst, a, .. } | M::Count { dst, a, .. } | M::ShiftImm { dst, a, .. } => {
                f(*a, Use);
                f(*dst, Def);
            }
            M::ShiftBy { dst, a, count, .. } => {
                f(*a, Use);
                f(*count, Late);
                f(*dst, Def);
            }
            M::Div { dst, a, b, .. } => {
                f(*a, Use);
                f(*b, Use);
                f(*dst, Def);
            }
            M::Store { addr, src, .. } | M::Update { addr, src, .. } => {
                addr.visit(f);
                src.visit(Use, f);
            }
            M::Cmp { a, b, .. } => {
                f(*a, Use);
                b.visit(Use, f);
            }
            M::Cmov {
                dst, t, f: other, ..
            } => {
                f(*other, Use);
                f(*t, Use);
                f(*dst, Def);
            }
            M::Atomic {
                op,
                dst,
                addr,
                operand,
                expected,
                ..
            } => {
                addr.visit(&mut |v, _| f(v, Late));
                f(*operand, Late);
                if *op == AtomicOp::Cmpxchg {
                    f(*expected, Late);
                }
                f(*dst, Def);
            }
            M::Call { call, dst } => {
                let args = calls.get(*call as usize).into_iter();
                args.flat_map(|c| &c.args).for_each(|arg| arg.visit(f));
                f(*dst, Def);
            }
            M::Params { dst } => dst.iter().flatten().for_each(|v| f(*v, Def)),
            M::Ret { v } => v.visit(f),
            M::Barrier
            | M::Allow
            | M::Spend
            | M::Charge { .. }
            | M::Line(_)
            | M::JumpIf { .. }
            | M::Jump { .. } => {}
        }
    }

    /// Registers, as a mask, that hold something else afterwards besides the result.
    pub(crate) fn clobbers(&self, calls: &[Called], bmi2: bool, bounded: bool) -> u32 {
        use super::asm::{RAX, RCX, RDX};
        match self {
            M::Call { call, .. } => match calls.get(*call as usize).map(|c| c.callee) {
                Some(Callee::Local(_) | Callee::Loop(_)) if bounded => {
                    CALLER_SAVED | 1 << super::regs::FUEL
                }
                _ => CALLER_SAVED,
            },
            M::Div { .. } => 1 << RAX | 1 << RDX,
            M::ShiftBy { op, .. } if !bmi2 || *op == Shift::Rol => 1 << RCX,
            M::Atomic { op, fetch, .. } if needs_rax(*op, *fetch) => 1 << RAX | 1 << RDX,
            _ => 0,
        }
    }
}

/// Whether an atomic operation works through rax.
pub(crate) fn needs_rax(op: AtomicOp, fetch: bool) -> bool {
    op == AtomicOp::Cmpxchg || (fetch && matches!(op, AtomicOp::Or | AtomicOp::And | AtomicOp::Xor))
}

/// Registers that a called function may change: rax, rcx, rdx, rsi, rdi, r8 to r11.
pub(crate) const CALLER_SAVED: u32 = 0b0000_1111_1100_0111;

/// A block of machine instructions.
#[derive(Clone, Debug, Default)]
pub(crate) struct MBlock {
    pub insts: Vec<M>,
    pub succs: Succs,
    pub depth: u32,
}

/// The blocks that another one leads to, two at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Succs {
    blocks: [u32; 2],
    count: u8,
}

impl Succs {
    pub(crate) fn new(blocks: [Option<u32>; 2]) -> Succs {
        let mut succs = Succs::default();
        for block in blocks.into_iter().flatten() {
            succs.blocks[usize::from(succs.count)] = block;
            succs.count += 1;
        }
        succs
    }
}

impl std::ops::Deref for Succs {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.blocks[..usize::from(self.count)]
    }
}

impl std::ops::DerefMut for Succs {
    fn deref_mut(&mut self) -> &mut [u32] {
        &mut self.blocks[..usize::from(self.count)]
    }
}

/// A function of machine instructions; blocks are laid out in their order.
#[derive(Debug)]
pub(crate) struct MFunc {
    pub blocks: Vec<MBlock>,
    pub calls: Vec<Called>,
    /// Virtual registers.
    pub regs: u32,
    /// Bytes of the program's frame.
    pub frame: u32,
    pub has_calls: bool,
    /// Whether it can end the run otherwise than by returning.
    pub has_stops: bool,
    pub has_may_goto: bool,
}

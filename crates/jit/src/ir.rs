//! The form in which a function is optimised: blocks of instructions, each with one result
//! that never changes (SSA), the same for every target.

use skep_isa::{AluOp, AtomicOp, Cond, Size, Width};

/// A value: the result of the instruction at this index.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Val(pub u32);

/// A block by its index.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Block(pub u32);

impl Val {
    pub(crate) fn at(self) -> usize {
        self.0 as usize
    }
}

impl Block {
    pub(crate) fn at(self) -> usize {
        self.0 as usize
    }
}

/// Two-operand arithmetic: that of the instruction set, and rotation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum BinOp {
    Alu(AluOp),
    /// To the left.
    Rotl,
}

/// Which bits are counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Counted {
    Ones,
    /// The zeros above the highest one; all bits when there is none.
    Leading,
    /// The zeros below the lowest one; all bits when there is none.
    Trailing,
}

impl Counted {
    /// How many there are in the low bits of a number.
    pub(crate) fn of(self, width: Width, n: u64) -> u64 {
        let count = match (self, width) {
            (Counted::Ones, Width::W64) => n.count_ones(),
            (Counted::Ones, Width::W32) => (n as u32).count_ones(),
            (Counted::Leading, Width::W64) => n.leading_zeros(),
            (Counted::Leading, Width::W32) => (n as u32).leading_zeros(),
            (Counted::Trailing, Width::W64) => n.trailing_zeros(),
            (Counted::Trailing, Width::W32) => (n as u32).trailing_zeros(),
        };
        count.into()
    }
}

/// A comparison of two values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Test {
    pub cond: Cond,
    pub width: Width,
    pub a: Val,
    pub b: Val,
}

/// What a value is computed by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    /// Nothing any more: the value was replaced or is not used.
    Gone,
    Const(u64),
    /// What stands for a map, and the map's index in the executable.
    Map {
        index: u32,
        handle: u64,
    },
    /// An argument: r1 to r5 are 0 to 4.
    Param(u8),
    /// The address this many bytes above the frame pointer (which is the frame's end).
    Frame(i32),
    /// One value for each predecessor, kept in [`Func::phis`].
    Phi,
    Bin {
        op: BinOp,
        width: Width,
        a: Val,
        b: Val,
    },
    Neg {
        width: Width,
        a: Val,
    },
    /// A count of some of the low bits; only where the machine has an instruction for it.
    Count {
        what: Counted,
        width: Width,
        a: Val,
    },
    /// The low bytes in the other order, the rest zero.
    Swap {
        size: Size,
        a: Val,
    },
    /// The low bits, the rest zero.
    Zext {
        from: Size,
        a: Val,
    },
    /// The low bits, their sign extended to the width.
    Sext {
        from: Size,
        width: Width,
        a: Val,
    },
    /// `t` where the test holds, else `f`.
    Select {
        test: Test,
        t: Val,
        f: Val,
    },
    Load {
        size: Size,
        signed: bool,
        addr: Val,
        off: i32,
    },
    /// A load that may fault, and then is zero, or what was kept for that.
    Probe {
        size: Size,
        signed: bool,
        addr: Val,
        off: i32,
        kept: Option<Val>,
    },
    Store {
        size: Size,
        addr: Val,
        off: i32,
        value: Val,
        /// Whether it may fault, and then does nothing.
        faults: bool,
    },
    /// One that may fault gives then as many bytes of the operand, or of what was expected.
    Atomic {
        faults: bool,
        size: Size,
        op: AtomicOp,
        fetch: bool,
        addr: Val,
        off: i32,
        operand: Val,
        /// r0, for compare-and-exchange alone.
        expected: Option<Val>,
    },
    /// A call of a helper with its first `count` arguments.
    Helper {
        id: i32,
        args: [Val; 5],
        count: u8,
    },
    /// A call of a function of the host with an object of its own, and the helper's first
    /// `count` other arguments.
    Direct {
        function: u64,
        object: u64,
        args: [Val; 4],
        count: u8,
    },
    /// A call of a function of the program, with the arguments that it reads.
    Local {
        function: u32,
        args: [Val; 5],
        reads: u8,
    },
    /// The helper that goes to another program, or on.
    TailCall {
        args: [Val; 3],
    },
    /// A classic load from the packet; leaves the function when there is no such byte.
    Packet {
        size: Size,
        ctx: Val,
        offset: Val,
    },
    /// The number of the virtual CPU.
    CpuId,
    /// So much fuel is used.
    Charge(u32),
    /// A barrier against speculation.
    Barrier,
    /// No access moves past here; costs nothing where the machine keeps loads in order.
    Ordered,
}

/// How a block ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Term {
    Jump(Block),
    Branch {
        test: Test,
        then: Block,
        other: Block,
    },
    /// Goes to `then` when the frame's allowance of jumps is used up.
    MayGoto {
        then: Block,
        other: Block,
    },
    Return(Val),
    /// Never reached: the block is left out.
    Dead,
}

/// Instructions that run one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub insts: Vec<Val>,
    pub term: Term,
    pub preds: Vec<Block>,
    /// How many loops it is in.
    pub depth: u32,
}

/// The operands of the phis of a function, by their values; most values are no phis and take no
/// room here.
#[derive(Default, Debug)]
pub(crate) struct Phis {
    /// For each value the number of its list, counted from one; 0 where it has none.
    numbers: Vec<u32>,
    lists: Vec<Vec<Val>>,
}

impl Phis {
    /// All operands of all phis.
    pub(crate) fn operands_mut(&mut self) -> impl Iterator<Item = &mut Val> {
        self.lists.iter_mut().flatten()
    }
}

impl std::ops::Index<usize> for Phis {
    type Output = Vec<Val>;

    fn index(&self, value: usize) -> &Vec<Val> {
        static NONE: Vec<Val> = Vec::new();
        let number = self.numbers.get(value).copied().unwrap_or(0);
        let list = (number as usize).checked_sub(1);
        list.and_then(|at| self.lists.get(at)).unwrap_or(&NONE)
    }
}

impl std::ops::IndexMut<usize> for Phis {
    fn index_mut(&mut self, value: usize) -> &mut Vec<Val> {
        if self.numbers.len() <= value {
            self.numbers.resize(value + 1, 0);
        }
        if self.numbers[value] == 0 {
            self.lists.push(Vec::new());
            self.numbers[value] = self.lists.len() as u32;
        }
        &mut self.lists[self.numbers[value] as usize - 1]
    }
}

/// A function.
#[derive(Debug)]
pub(crate) struct Func {
    pub ops: Vec<Op>,
    /// The operands of the phis, in the order of the predecessors of their block.
    pub phis: Phis,
    /// In the order in which they are laid out.
    pub blocks: Vec<Body>,
    /// Bytes of its frame.
    pub frame: u32,
    /// The slot of the program that each value was made for, and the one that is being built.
    pub origins: Vec<u32>,
    pub origin: u32,
    /// For each value, as far as was found out, a mask: bits outside of it are zero.
    pub known: Vec<u64>,
}

impl Func {
    pub(crate) fn op(&self, v: Val) -> Op {
        self.ops[v.at()]
    }

    pub(crate) fn push(&mut self, op: Op) -> Val {
        self.ops.push(op);
        self.origins.push(self.origin);
        Val(self.ops.len() as u32 - 1)
    }

    pub(crate) fn constant(&self, v: Val) -> Option<u64> {
        match self.op(v) {
            Op::Const(c) => Some(c),
            _ => None,
        }
    }

    /// Blocks in an order in which every block comes after those that dominate it.
    pub(crate) fn reverse_post_order(&self) -> Vec<Block> {
        if let [first, second] = self.blocks.as_slice()
            && first.term == Term::Jump(Block(1))
            && second.term.successors() == [None; 2]
        {
            return vec![Block(0), Block(1)];
        }
        let mut order = Vec::with_capacity(self.blocks.len());
        let mut seen = vec![false; self.blocks.len()];
        let mut stack = vec![(Block(0), 0)];
        seen[0] = true;
        while let Some((block, next)) = stack.last_mut() {
            let successors = self.blocks[block.at()].term.successors();
            match successors.get(*next).copied().flatten() {
                Some(to) => {
                    *next += 1;
                    if !std::mem::replace(&mut seen[to.at()], true) {
                        stack.push((to, 0));
                    }
                }
                None => {
                    order.push(*block);
                    stack.pop();
                }
            }
        }
        order.reverse();
        order
    }
}

impl Term {
    /// Where it goes, at most two places, without gaps.
    pub(crate) fn successors(&self) -> [Option<Block>; 2] {
        match *self {
            Term::Jump(to) => [Some(to), None],
            Term::Branch { then, other, .. } | Term::MayGoto { then, other } => {
                [Some(then), Some(other)]
            }
            Term::Return(_) | Term::Dead => [None, None],
        }
    }

    pub(crate) fn visit(&mut self, f: &mut impl FnMut(&mut Val)) {
        match self {
            Term::Branch { test, .. } => {
                f(&mut test.a);
                f(&mut test.b);
            }
            Term::Return(v) => f(v),
            Term::Jump(_) | Term::MayGoto { .. } | Term::Dead => {}
        }
    }
}

impl Op {
    /// Visits the operands, except those of a phi.
    #[inline]
    pub(crate) fn visit(&mut self, f: &mut impl FnMut(&mut Val)) {
        match self {
            Op::Gone
            | Op::Const(_)
            | Op::Map { .. }
            | Op::Param(_)
            | Op::Frame(_)
            | Op::Phi
            | Op::CpuId
            | Op::Charge(_)
            | Op::Barrier
            | Op::Ordered => {}
            Op::Bin { a, b, .. } => {
                f(a);
                f(b);
            }
            Op::Neg { a, .. }
            | Op::Count { a, .. }
            | Op::Swap { a, .. }
            | Op::Zext { a, .. }
            | Op::Sext { a, .. } => f(a),
            Op::Select { test, t, f: other } => {
                f(&mut test.a);
                f(&mut test.b);
                f(t);
                f(other);
            }
            Op::Load { addr, .. } => f(addr),
            Op::Probe { addr, kept, .. } => {
                f(addr);
                kept.iter_mut().for_each(f);
            }
            Op::Store { addr, value, .. } => {
                f(addr);
                f(value);
            }
            Op::Atomic {
                addr,
                operand,
                expected,
                ..
            } => {
                f(addr);
                f(operand);
                expected.iter_mut().for_each(f);
            }
            Op::Helper { args, count, .. } => args.iter_mut().take(usize::from(*count)).for_each(f),
            Op::Direct { args, count, .. } => args.iter_mut().take(usize::from(*count)).for_each(f),
            Op::Local { args, reads, .. } => {
                let reads = *reads;
                let read = args.iter_mut().enumerate();
                read.filter(|(i, _)| reads >> i & 1 != 0)
                    .for_each(|(_, a)| f(a));
            }
            Op::TailCall { args } => args.iter_mut().for_each(f),
            Op::Packet { ctx, offset, .. } => {
                f(ctx);
                f(offset);
            }
        }
    }

    #[inline]
    pub(crate) fn is_phi(&self) -> bool {
        matches!(self, Op::Phi)
    }

    /// Whether it tells by itself that the bits above these are zero.
    pub(crate) fn fits(&self, into: Size) -> bool {
        let within = |size: Size| size.bytes() <= into.bytes();
        match *self {
            Op::Const(c) => into == Size::B64 || c >> (into.bytes() * 8) == 0,
            Op::Bin { width, .. } | Op::Neg { width, .. } | Op::Sext { width, .. } => {
                width == Width::W32 && within(Size::B32)
            }
            Op::Zext { from: size, .. }
            | Op::Swap { size, .. }
            | Op::Load {
                size,
                signed: false,
                ..
            } => within(size),
            Op::CpuId => within(Size::B32),
            _ => false,
        }
    }

    /// Whether it must stay even when nobody uses its result.
    pub(crate) fn has_effect(&self) -> bool {
        matches!(
            self,
            Op::Store { .. }
                | Op::Atomic { .. }
                | Op::Helper { .. }
                | Op::Direct { .. }
                | Op::Charge(_)
                | Op::Local { .. }
                | Op::TailCall { .. }
                | Op::Packet { .. }
                | Op::Barrier
                | Op::Ordered
        )
    }

    /// Whether it is a call of anything.
    pub(crate) fn is_call(&self) -> bool {
        matches!(
            self,
            Op::Helper { .. }
                | Op::Direct { .. }
                | Op::Local { .. }
                | Op::TailCall { .. }
                | Op::Packet { .. }
        )
    }

    /// Whether memory may differ afterwards, or an order of accesses is asked for.
    pub(crate) fn clobbers(&self) -> bool {
        self.has_effect()
    }
}

/// The bits of a width.
pub(crate) fn bits(width: Width) -> u32 {
    match width {
        Width::W32 => 32,
        Width::W64 => 64,
    }
}

//! Conditional jumps: which way they must go, and what each way teaches about the operands.

use crate::bounds::Bounds;
use crate::scalar::ScalarOf;
use crate::tnum::TnumOf;
use crate::word::{SignedWord, Wide, Word};

/// The comparisons of conditional jumps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cmp {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// Unsigned `>`.
    Gt,
    /// Unsigned `>=`.
    Ge,
    /// Unsigned `<`.
    Lt,
    /// Unsigned `<=`.
    Le,
    /// `&`: some bit is set in both.
    Set,
    /// Signed `>`.
    Sgt,
    /// Signed `>=`.
    Sge,
    /// Signed `<`.
    Slt,
    /// Signed `<=`.
    Sle,
}

impl Cmp {
    /// The comparison of an opcode byte of class JMP or JMP32; jumps without one are none.
    #[inline]
    #[must_use]
    pub fn from_opcode(code: u8) -> Option<Cmp> {
        Some(match code & 0xf0 {
            0x10 => Cmp::Eq,
            0x20 => Cmp::Gt,
            0x30 => Cmp::Ge,
            0x40 => Cmp::Set,
            0x50 => Cmp::Ne,
            0x60 => Cmp::Sgt,
            0x70 => Cmp::Sge,
            0xa0 => Cmp::Lt,
            0xb0 => Cmp::Le,
            0xc0 => Cmp::Slt,
            0xd0 => Cmp::Sle,
            _ => return None,
        })
    }

    /// The comparison that says the same with its operands exchanged.
    #[inline]
    #[must_use]
    pub fn swapped(self) -> Cmp {
        match self {
            Cmp::Gt => Cmp::Lt,
            Cmp::Ge => Cmp::Le,
            Cmp::Lt => Cmp::Gt,
            Cmp::Le => Cmp::Ge,
            Cmp::Sgt => Cmp::Slt,
            Cmp::Sge => Cmp::Sle,
            Cmp::Slt => Cmp::Sgt,
            Cmp::Sle => Cmp::Sge,
            Cmp::Eq | Cmp::Ne | Cmp::Set => self,
        }
    }

    /// What the concrete jump decides.
    #[inline]
    #[must_use]
    pub fn holds<W: Word>(self, a: W, b: W) -> bool {
        match self {
            Cmp::Eq => a == b,
            Cmp::Ne => a != b,
            Cmp::Gt => a > b,
            Cmp::Ge => a >= b,
            Cmp::Lt => a < b,
            Cmp::Le => a <= b,
            Cmp::Set => a & b != W::ZERO,
            Cmp::Sgt => a.signed() > b.signed(),
            Cmp::Sge => a.signed() >= b.signed(),
            Cmp::Slt => a.signed() < b.signed(),
            Cmp::Sle => a.signed() <= b.signed(),
        }
    }
}

/// What is known about one side of a comparison, at the width of the comparison.
#[derive(Clone, Copy)]
struct Side<W: Word> {
    bits: TnumOf<W>,
    bounds: Bounds<W>,
}

#[inline]
fn full<W: Wide>(scalar: &ScalarOf<W>) -> Side<W> {
    Side {
        bits: scalar.var_off,
        bounds: scalar.full(),
    }
}

#[inline]
fn half<W: Wide>(scalar: &ScalarOf<W>) -> Side<W::Half> {
    Side {
        bits: scalar.var_off.low(),
        bounds: scalar.half(),
    }
}

/// Whether `a op b` is known: `Some(true)` when it always holds, `Some(false)` when never.
///
/// A register compared with itself is passed twice; 6.18 does not treat it apart.
#[inline]
#[must_use]
pub fn branch_taken<W: Wide>(
    op: Cmp,
    a: &ScalarOf<W>,
    b: &ScalarOf<W>,
    is_jmp32: bool,
) -> Option<bool> {
    if is_jmp32 {
        return decide(op, &half(a), &half(b));
    }
    let decided = decide(op, &full(a), &full(b));
    // Words with different low halves are different.
    let lows_differ = || disjoint(&a.half(), &b.half());
    match op {
        Cmp::Eq if decided.is_none() && lows_differ() => Some(false),
        Cmp::Ne if decided.is_none() && lows_differ() => Some(true),
        _ => decided,
    }
}

#[inline]
fn disjoint<W: Word>(a: &Bounds<W>, b: &Bounds<W>) -> bool {
    a.umin > b.umax || a.umax < b.umin || a.smin > b.smax || a.smax < b.smin
}

#[inline]
fn decide<W: Word>(op: Cmp, a: &Side<W>, b: &Side<W>) -> Option<bool> {
    let (x, y) = (&a.bounds, &b.bounds);
    let between = |always: bool, never: bool| match (always, never) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    match op {
        Cmp::Eq => equality(a, b),
        Cmp::Ne => equality(a, b).map(|equal| !equal),
        Cmp::Gt => between(x.umin > y.umax, x.umax <= y.umin),
        Cmp::Ge => between(x.umin >= y.umax, x.umax < y.umin),
        Cmp::Lt => between(x.umax < y.umin, x.umin >= y.umax),
        Cmp::Le => between(x.umax <= y.umin, x.umin > y.umax),
        Cmp::Sgt => between(x.smin > y.smax, x.smax <= y.smin),
        Cmp::Sge => between(x.smin >= y.smax, x.smax < y.smin),
        Cmp::Slt => between(x.smax < y.smin, x.smin >= y.smax),
        Cmp::Sle => between(x.smax <= y.smin, x.smin > y.smax),
        Cmp::Set => {
            let (bits, mask) = with_constant(a, b)?;
            between(bits.value & mask != W::ZERO, bits.max() & mask == W::ZERO)
        }
    }
}

#[inline]
fn equality<W: Word>(a: &Side<W>, b: &Side<W>) -> Option<bool> {
    if a.bits.is_const() && b.bits.is_const() {
        Some(a.bits.value == b.bits.value)
    } else if !a.bits.overlaps(b.bits) || disjoint(&a.bounds, &b.bounds) {
        Some(false)
    } else {
        None
    }
}

/// The other side's bits and the constant, when one of the sides is a constant.
#[inline]
fn with_constant<W: Word>(a: &Side<W>, b: &Side<W>) -> Option<(TnumOf<W>, W)> {
    if b.bits.is_const() {
        Some((a.bits, b.bits.value))
    } else if a.bits.is_const() {
        Some((b.bits, a.bits.value))
    } else {
        None
    }
}

/// The operands after a comparison, one pair for each outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refined<W: Wide> {
    /// Both operands where the comparison held and the jump was taken.
    pub taken: (ScalarOf<W>, ScalarOf<W>),
    /// Both operands where it did not.
    pub fallthrough: (ScalarOf<W>, ScalarOf<W>),
}

/// What `a op b` teaches about both operands, for both outcomes.
///
/// An outcome that cannot happen may come back contradictory: see
/// [`ScalarOf::violation`]; Linux then forgets the bounds. A register compared with itself
/// is for [`refine_same`].
#[inline]
#[must_use]
pub fn refine<W: Wide>(op: Cmp, a: &ScalarOf<W>, b: &ScalarOf<W>, is_jmp32: bool) -> Refined<W> {
    let assume = |fact: Fact| {
        let (mut a, mut b) = narrowed(fact, a, b, is_jmp32);
        a.sync();
        b.sync();
        (a, b)
    };
    Refined {
        taken: assume(Fact::holds(op)),
        fallthrough: assume(Fact::fails(op)),
    }
}

/// Both operands with what `fact` says of them, unsynchronised.
#[inline]
fn narrowed<W: Wide>(
    fact: Fact,
    a: &ScalarOf<W>,
    b: &ScalarOf<W>,
    is_jmp32: bool,
) -> (ScalarOf<W>, ScalarOf<W>) {
    let (mut a, mut b) = (*a, *b);
    if let Fact::NoSharedBit = fact {
        // Linux starts anew from the bits, which alone say something here.
        if let Some(side) = beside_constant(&mut a, &mut b, is_jmp32) {
            side.mark_unbounded();
        }
    }
    if is_jmp32 {
        let (mut x, mut y) = (half(&a), half(&b));
        fact.narrow(&mut x, &mut y);
        a = ScalarOf::from_parts(a.var_off.with_low(x.bits), a.full(), x.bounds);
        b = ScalarOf::from_parts(b.var_off.with_low(y.bits), b.full(), y.bounds);
    } else {
        let (mut x, mut y) = (full(&a), full(&b));
        fact.narrow(&mut x, &mut y);
        a = ScalarOf::from_parts(x.bits, x.bounds, a.half());
        b = ScalarOf::from_parts(y.bits, y.bounds, b.half());
    }
    (a, b)
}

/// What `a op a` teaches in Linux 6.18: for the taken and the other outcome.
///
/// One of the outcomes cannot happen. Linux does not see that: an ordering moves both ends of
/// the range inwards, as if the two sides were different registers.
#[inline]
#[must_use]
pub fn refine_same<W: Wide>(
    op: Cmp,
    a: &ScalarOf<W>,
    is_jmp32: bool,
) -> (ScalarOf<W>, ScalarOf<W>) {
    let joined = |fact: Fact| {
        let (low, high) = narrowed(fact, a, a, is_jmp32);
        let mut full = low.full();
        full.clamp_unsigned(high.umin, high.umax);
        full.clamp_signed(high.smin, high.smax);
        let mut half = low.half();
        half.clamp_unsigned(high.u32_min, high.u32_max);
        half.clamp_signed(high.s32_min, high.s32_max);
        let mut joined = ScalarOf::from_parts(a.var_off, full, half);
        joined.sync();
        joined.sync();
        joined
    };
    (joined(Fact::holds(op)), joined(Fact::fails(op)))
}

/// The side whose bits can be told from the other's, when that one is a constant.
#[inline]
fn beside_constant<'a, W: Wide>(
    a: &'a mut ScalarOf<W>,
    b: &'a mut ScalarOf<W>,
    is_jmp32: bool,
) -> Option<&'a mut ScalarOf<W>> {
    let is_const = |s: &ScalarOf<W>| {
        if is_jmp32 {
            s.subreg_is_const()
        } else {
            s.is_const()
        }
    };
    if is_const(b) {
        Some(a)
    } else if is_const(a) {
        Some(b)
    } else {
        None
    }
}

/// What an outcome of a comparison states.
#[derive(Clone, Copy)]
enum Fact {
    Equal,
    Different,
    Less {
        signed: bool,
        or_equal: bool,
        swapped: bool,
    },
    SharedBit,
    NoSharedBit,
}

impl Fact {
    #[inline]
    fn holds(op: Cmp) -> Fact {
        let less = |signed, or_equal, swapped| Fact::Less {
            signed,
            or_equal,
            swapped,
        };
        match op {
            Cmp::Eq => Fact::Equal,
            Cmp::Ne => Fact::Different,
            Cmp::Lt => less(false, false, false),
            Cmp::Le => less(false, true, false),
            Cmp::Gt => less(false, false, true),
            Cmp::Ge => less(false, true, true),
            Cmp::Slt => less(true, false, false),
            Cmp::Sle => less(true, true, false),
            Cmp::Sgt => less(true, false, true),
            Cmp::Sge => less(true, true, true),
            Cmp::Set => Fact::SharedBit,
        }
    }

    #[inline]
    fn fails(op: Cmp) -> Fact {
        match Fact::holds(op) {
            Fact::Equal => Fact::Different,
            Fact::Different => Fact::Equal,
            Fact::SharedBit | Fact::NoSharedBit => Fact::NoSharedBit,
            Fact::Less {
                signed,
                or_equal,
                swapped,
            } => Fact::Less {
                signed,
                or_equal: !or_equal,
                swapped: !swapped,
            },
        }
    }

    #[inline]
    fn narrow<W: Word>(self, a: &mut Side<W>, b: &mut Side<W>) {
        match self {
            Fact::Equal => {
                let bits = a.bits.intersect(b.bits);
                let mut bounds = a.bounds;
                bounds.clamp_unsigned(b.bounds.umin, b.bounds.umax);
                bounds.clamp_signed(b.bounds.smin, b.bounds.smax);
                *a = Side { bits, bounds };
                *b = *a;
            }
            Fact::Less {
                signed,
                or_equal,
                swapped,
            } => {
                let (low, high) = if swapped { (b, a) } else { (a, b) };
                if signed {
                    order_signed(&mut low.bounds, &mut high.bounds, !or_equal);
                } else {
                    order_unsigned(&mut low.bounds, &mut high.bounds, !or_equal);
                }
            }
            Fact::Different | Fact::SharedBit | Fact::NoSharedBit => {
                let (side, value) = if b.bits.is_const() {
                    (a, b.bits.value)
                } else if a.bits.is_const() {
                    (b, a.bits.value)
                } else {
                    return;
                };
                match self {
                    Fact::Different => exclude(&mut side.bounds, value),
                    // Of several bits it would not be known which one is shared.
                    Fact::SharedBit if value.is_single_bit() => {
                        side.bits = side.bits.or(TnumOf::constant(value));
                    }
                    Fact::NoSharedBit => side.bits = side.bits.and(TnumOf::constant(!value)),
                    _ => {}
                }
            }
        }
    }
}

/// A number that is one of the ends moves that end inwards.
#[inline]
fn exclude<W: Word>(bounds: &mut Bounds<W>, value: W) {
    let next = value.plus(W::ONE);
    let previous = value.minus(W::ONE);
    if bounds.umin == value {
        bounds.umin = next;
    }
    if bounds.umax == value {
        bounds.umax = previous;
    }
    if bounds.smin == value.signed() {
        bounds.smin = next.signed();
    }
    if bounds.smax == value.signed() {
        bounds.smax = previous.signed();
    }
}

#[inline]
fn order_unsigned<W: Word>(low: &mut Bounds<W>, high: &mut Bounds<W>, strict: bool) {
    let step = if strict { W::ONE } else { W::ZERO };
    let (floor, ceiling) = (low.umin.plus(step), high.umax.minus(step));
    low.umax = low.umax.min(ceiling);
    high.umin = high.umin.max(floor);
}

#[inline]
fn order_signed<W: Word>(low: &mut Bounds<W>, high: &mut Bounds<W>, strict: bool) {
    let step = if strict { W::ONE } else { W::ZERO };
    let floor = low.smin.unsigned().plus(step).signed();
    let ceiling = high.smax.unsigned().minus(step).signed();
    low.smax = low.smax.min(ceiling);
    high.smin = high.smin.max(floor);
}

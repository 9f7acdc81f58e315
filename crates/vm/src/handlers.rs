//! Which handler runs which instruction.

use skep_isa::{AluOp, AtomicOp, Cond, Op, Operand, Size, SwapKind, Width};

use crate::arena::{self, Acquire, ArenaLoad, ArenaStore, ToUser};
use crate::call;
use crate::cell::Handler;
use crate::flow::{self, LoadAcquire, Release, branch, one};
use crate::link::TAIL_CALL;
use crate::memory::Access;
use crate::simple::{Alu, If, Load, MovImm, MovReg, MovSx, Neg, Nop, Probe, Store, Swap};

/// One handler for each variant of a fieldless enum.
macro_rules! each {
    ($value:expr, $($variant:path)|* => |$n:ident| $handler:expr) => {
        match $value {
            $($variant => {
                const $n: u8 = $variant as u8;
                $handler
            })*
        }
    };
}

/// What a cast says of an address that is to be the user's.
const TO_USER: i32 = 1 << 16;

/// The handler of an instruction; `None` for one that is not run here.
pub(crate) fn handler<A: Access>(op: &Op) -> Option<Handler<A>> {
    let handler: Handler<A> = match *op {
        Op::Alu { width, op, src, .. } => alu::<A>(width, op, src),
        Op::Branch {
            width, cond, src, ..
        } => conditional::<A>(width, cond, src),
        Op::Neg {
            width: Width::W64, ..
        } => one::<A, Neg<true>>,
        Op::Neg {
            width: Width::W32, ..
        } => one::<A, Neg<false>>,
        Op::Mov {
            src: Operand::Imm(_),
            ..
        } => one::<A, MovImm>,
        Op::Mov {
            width: Width::W64, ..
        } => one::<A, MovReg<true>>,
        Op::Mov {
            width: Width::W32, ..
        } => one::<A, MovReg<false>>,
        Op::MovSx {
            width: Width::W64,
            from,
            ..
        } => {
            each!(from, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| one::<A, MovSx<N, true>>)
        }
        Op::MovSx {
            width: Width::W32,
            from,
            ..
        } => {
            each!(from, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| one::<A, MovSx<N, false>>)
        }
        Op::Swap {
            kind: SwapKind::ToLe,
            size,
            ..
        } => {
            each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| one::<A, Swap<N, false>>)
        }
        Op::Swap { size, .. } => {
            each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| one::<A, Swap<N, true>>)
        }
        Op::LoadImm64 { .. } | Op::LoadPseudo { .. } => flow::load_imm64,
        Op::Load {
            size,
            signed: false,
            ..
        } => {
            each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| one::<A, Load<N, false>>)
        }
        Op::Load {
            size, signed: true, ..
        } => {
            each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| one::<A, Load<N, true>>)
        }
        Op::Store {
            size,
            src: Operand::Reg(_),
            ..
        } => {
            each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| one::<A, Store<N, false>>)
        }
        Op::Store {
            size,
            src: Operand::Imm(_),
            ..
        } => {
            each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| one::<A, Store<N, true>>)
        }
        Op::LoadAcquire { size, .. } => {
            each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| one::<A, LoadAcquire<N>>)
        }
        Op::StoreRelease { size, .. } => {
            each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| one::<A, Release<Store<N, false>>>)
        }
        Op::Atomic {
            size, op, fetch, ..
        } => atomic::<A>(size == Size::B64, op, fetch),
        Op::Packet {
            size, index: None, ..
        } => {
            each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| flow::packet::<A, N, false>)
        }
        Op::Packet {
            size,
            index: Some(_),
            ..
        } => {
            each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| flow::packet::<A, N, true>)
        }
        Op::Jump { .. } => flow::goto,
        Op::MayGoto { .. } => flow::may_goto,
        Op::CallHelper { id: TAIL_CALL } => call::tail_call,
        Op::CallHelper { .. } => call::call_helper,
        Op::CallSub { .. } => call::call_sub,
        Op::Exit => call::exit,
        Op::Nospec => one::<A, Nop>,
        Op::AddrSpaceCast { imm: TO_USER, .. } => one::<A, ToUser>,
        Op::CallKfunc { .. } | Op::AddrSpaceCast { .. } | Op::PercpuAddr { .. } => return None,
    };
    Some(handler)
}

/// The handler of a load that may fault; `None` for what is no load.
pub(crate) fn probing<A: Access>(op: &Op) -> Option<Handler<A>> {
    match *op {
        Op::Load {
            size,
            signed: false,
            ..
        } => each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
            => |N| Some(one::<A, Probe<N, false>>)),
        Op::Load {
            size, signed: true, ..
        } => each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
            => |N| Some(one::<A, Probe<N, true>>)),
        _ => None,
    }
}

/// The handler of an access in an arena; `None` for what is no access, and for operations
/// that take several steps.
pub(crate) fn in_arena<A: Access>(op: &Op) -> Option<Handler<A>> {
    let handler: Handler<A> = match *op {
        Op::Load {
            size,
            signed: false,
            ..
        } => {
            each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| one::<A, ArenaLoad<N, false>>)
        }
        Op::Load {
            size, signed: true, ..
        } => {
            each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| one::<A, ArenaLoad<N, true>>)
        }
        Op::Store {
            size,
            src: Operand::Reg(_),
            ..
        } => {
            each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| one::<A, ArenaStore<N, false>>)
        }
        Op::Store {
            size,
            src: Operand::Imm(_),
            ..
        } => {
            each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| one::<A, ArenaStore<N, true>>)
        }
        Op::LoadAcquire { size, .. } => {
            each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| one::<A, Acquire<N>>)
        }
        Op::StoreRelease { size, .. } => {
            each!(size, Size::B8 | Size::B16 | Size::B32 | Size::B64
                => |N| one::<A, Release<ArenaStore<N, false>>>)
        }
        Op::Atomic {
            size, op, fetch, ..
        } => {
            use AtomicOp::{Add, And, Cmpxchg, Or, Xchg, Xor};
            if fetch && matches!(op, And | Or | Xor) {
                return None;
            }
            let wide = size == Size::B64;
            each!(op, Add | Or | And | Xor | Xchg | Cmpxchg
            => |N| match (wide, fetch) {
                (true, true) => arena::atomic::<A, N, true, true>,
                (true, false) => arena::atomic::<A, N, true, false>,
                (false, true) => arena::atomic::<A, N, false, true>,
                (false, false) => arena::atomic::<A, N, false, false>,
            })
        }
        _ => return None,
    };
    Some(handler)
}

fn alu<A: Access>(width: Width, op: AluOp, src: Operand) -> Handler<A> {
    use AluOp::{Add, And, Arsh, Div, Lsh, Mod, Mul, Or, Rsh, Sdiv, Smod, Sub, Xor};
    let imm = matches!(src, Operand::Imm(_));
    each!(op, Add | Sub | Mul | Div | Sdiv | Or | And | Lsh | Rsh | Mod | Smod | Xor | Arsh
    => |N| match (width, imm) {
        (Width::W64, true) => one::<A, Alu<N, true, true>>,
        (Width::W64, false) => one::<A, Alu<N, true, false>>,
        (Width::W32, true) => one::<A, Alu<N, false, true>>,
        (Width::W32, false) => one::<A, Alu<N, false, false>>,
    })
}

fn conditional<A: Access>(width: Width, cond: Cond, src: Operand) -> Handler<A> {
    use Cond::{Eq, Ge, Gt, Le, Lt, Ne, Set, Sge, Sgt, Sle, Slt};
    let imm = matches!(src, Operand::Imm(_));
    each!(cond, Eq | Gt | Ge | Set | Ne | Sgt | Sge | Lt | Le | Slt | Sle
    => |N| match (width, imm) {
        (Width::W64, true) => branch::<A, If<N, true, true>>,
        (Width::W64, false) => branch::<A, If<N, true, false>>,
        (Width::W32, true) => branch::<A, If<N, false, true>>,
        (Width::W32, false) => branch::<A, If<N, false, false>>,
    })
}

fn atomic<A: Access>(wide: bool, op: AtomicOp, fetch: bool) -> Handler<A> {
    use AtomicOp::{Add, And, Cmpxchg, Or, Xchg, Xor};
    each!(op, Add | Or | And | Xor | Xchg | Cmpxchg
    => |N| match (wide, fetch) {
        (true, true) => flow::atomic::<A, N, true, true>,
        (true, false) => flow::atomic::<A, N, true, false>,
        (false, true) => flow::atomic::<A, N, false, true>,
        (false, false) => flow::atomic::<A, N, false, false>,
    })
}

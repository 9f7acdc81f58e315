//! Which registers the virtual ones would like: those that instructions work in, and those of
//! the values that they are made of.

use super::ARGS;
use crate::x86::asm::{Group1, R, RAX, RDX, Shift};
use crate::x86::mir::{Arg, Called, M, Src, V};

/// A wish of a virtual register.
#[derive(Clone, Copy)]
pub(super) enum Wish {
    /// The register that another one has.
    Same(V),
    In(R),
}

/// The wishes of all virtual registers, each with how often it would be of use.
pub(super) struct Wishes {
    /// The wish, and where the next one of the same register is.
    nodes: Vec<(f32, Wish, u32)>,
    heads: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Wishes {
    pub(super) fn new(regs: usize) -> Wishes {
        Wishes {
            nodes: Vec::with_capacity(2 * regs),
            heads: vec![NONE; regs],
        }
    }

    pub(super) fn add(&mut self, v: V, times: f32, wish: Wish) {
        let head = &mut self.heads[v as usize];
        let next = std::mem::replace(head, self.nodes.len() as u32);
        self.nodes.push((times, wish, next));
    }

    pub(super) fn of(&self, v: V) -> impl Iterator<Item = (f32, Wish)> + '_ {
        let mut at = self.heads[v as usize];
        std::iter::from_fn(move || {
            let (times, wish, next) = *self.nodes.get(at as usize)?;
            at = next;
            Some((times, wish))
        })
    }
}

/// What an instruction would like; `calls` are those of the function.
pub(super) fn of(m: &M, calls: &[Called], f: &mut impl FnMut(V, Wish)) {
    match m {
        M::Mov { dst, src } => f(*dst, Wish::Same(*src)),
        M::Alu { dst, a, b, op, .. } => {
            f(*dst, Wish::Same(*a));
            if let (Src::V(b), true) = (b, *op != Group1::Sub) {
                f(*dst, Wish::Same(*b));
            }
        }
        M::Mul { dst, a, b, .. } => {
            f(*dst, Wish::Same(*a));
            if let Src::V(b) = b {
                f(*dst, Wish::Same(*b));
            }
        }
        M::Un { dst, a, .. } | M::ShiftImm { dst, a, .. } => f(*dst, Wish::Same(*a)),
        M::ShiftBy {
            op: Shift::Rol,
            dst,
            a,
            ..
        } => f(*dst, Wish::Same(*a)),
        M::Cmov {
            dst, t, f: other, ..
        } => {
            f(*dst, Wish::Same(*other));
            f(*dst, Wish::Same(*t));
        }
        M::Div { dst, a, rem, .. } => {
            f(*a, Wish::In(RAX));
            f(*dst, Wish::In(if *rem { RDX } else { RAX }));
        }
        M::Call { call, dst } => {
            f(*dst, Wish::In(RAX));
            let args = calls.get(*call as usize).into_iter();
            for (arg, r) in args.flat_map(|call| &call.args).zip(ARGS) {
                if let Arg::V(v) = arg {
                    f(*v, Wish::In(r));
                }
            }
        }
        M::Params { dst } => {
            for (v, r) in dst.iter().zip(ARGS) {
                if let Some(v) = v {
                    f(*v, Wish::In(r));
                }
            }
        }
        M::Ret { v: Arg::V(v) } => f(*v, Wish::In(RAX)),
        _ => {}
    }
}

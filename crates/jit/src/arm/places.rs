//! Which register of an Arm machine holds which value: by the order in which they begin to
//! live, each in one place for all its life.

use super::asm::X;
use crate::ir::{Func, Op, Val};

/// Where a value is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Loc {
    R(X),
    /// In the frame, at this slot of eight bytes.
    Slot(u32),
    /// Made anew at each use, or never used.
    None,
}

pub(super) struct Places {
    pub locs: Vec<Loc>,
    pub slots: u32,
    /// Registers to be saved, ascending.
    pub saved: Vec<X>,
}

/// Registers that calls change, and those that they leave.
const FREE: std::ops::Range<X> = 0..15;
const KEPT: std::ops::Range<X> = 19..29;

/// Whether a value is made anew where it is used.
pub(super) fn is_made_anew(op: &Op) -> bool {
    matches!(op, Op::Const(_) | Op::Map { .. } | Op::Frame(_))
}

/// When a value lives: from its first to its last position in the order of the blocks.
#[derive(Clone, Copy)]
struct Life {
    start: u32,
    end: u32,
}

pub(super) fn allocate(func: &mut Func) -> Places {
    let (lives, calls) = lives(func);
    let mut order: Vec<(u32, Val)> = Vec::new();
    for (at, life) in lives.iter().enumerate() {
        if let Some(life) = life
            && !is_made_anew(&func.ops[at])
        {
            order.push((life.start, Val(at as u32)));
        }
    }
    order.sort_unstable();
    let mut places = Places {
        locs: vec![Loc::None; func.ops.len()],
        slots: 0,
        saved: Vec::new(),
    };
    // Until when each register, and each slot, is taken.
    let mut taken = [0u32; 32];
    let mut slots: Vec<u32> = Vec::new();
    for (_, v) in order {
        let Some(life) = lives[v.at()] else { continue };
        let next = calls.partition_point(|call| *call <= life.start);
        let crosses = calls.get(next).is_some_and(|call| *call < life.end);
        let free = FREE.filter(|_| !crosses).chain(KEPT);
        let found = free
            .into_iter()
            .find(|r| taken[usize::from(*r)] <= life.start);
        places.locs[v.at()] = match found {
            Some(r) => {
                taken[usize::from(r)] = life.end;
                if KEPT.contains(&r) && !places.saved.contains(&r) {
                    places.saved.push(r);
                }
                Loc::R(r)
            }
            None => {
                let slot = slots.iter().position(|until| *until <= life.start);
                let slot = slot.unwrap_or(slots.len());
                slots.resize(slots.len().max(slot + 1), 0);
                slots[slot] = life.end;
                Loc::Slot(slot as u32)
            }
        };
    }
    places.slots = slots.len() as u32;
    places.saved.sort_unstable();
    places
}

/// The life of each value, and where calls are. Instruction `i` reads at `2i` and writes at
/// `2i + 1`; so does the end of a block.
fn lives(func: &mut Func) -> (Vec<Option<Life>>, Vec<u32>) {
    let words = func.ops.len().div_ceil(64);
    let blocks = func.blocks.len();
    let mut live_in = vec![vec![0u64; words]; blocks];
    let set = |bits: &mut [u64], v: Val| bits[v.at() / 64] |= 1 << (v.at() % 64);
    let clear = |bits: &mut [u64], v: Val| bits[v.at() / 64] &= !(1 << (v.at() % 64));
    // What a block's successors need from it.
    let out_of = |func: &Func, live_in: &[Vec<u64>], block: usize| {
        let mut out = vec![0u64; words];
        for to in func.blocks[block].term.successors().into_iter().flatten() {
            for (o, i) in out.iter_mut().zip(&live_in[to.at()]) {
                *o |= i;
            }
            let body = &func.blocks[to.at()];
            let edges = body.preds.iter().enumerate();
            for (edge, _) in edges.filter(|(_, p)| p.at() == block) {
                for v in &body.insts {
                    if func.op(*v).is_phi()
                        && let Some(operand) = func.phis[v.at()].get(edge)
                    {
                        set(&mut out, *operand);
                    }
                }
            }
        }
        out
    };
    let mut changed = true;
    while changed {
        changed = false;
        for block in (0..blocks).rev() {
            let mut now = out_of(func, &live_in, block);
            let mut term = func.blocks[block].term;
            term.visit(&mut |v| set(&mut now, *v));
            for &v in func.blocks[block].insts.iter().rev() {
                clear(&mut now, v);
                let mut op = func.ops[v.at()];
                op.visit(&mut |o| set(&mut now, *o));
            }
            changed |= now != live_in[block];
            live_in[block] = now;
        }
    }
    let mut lives: Vec<Option<Life>> = vec![None; func.ops.len()];
    let mut touch = |v: Val, at: u32| {
        let life = lives[v.at()].get_or_insert(Life { start: at, end: at });
        life.start = life.start.min(at);
        life.end = life.end.max(at + 1);
    };
    let mut calls = Vec::new();
    let mut at = 2;
    for block in 0..blocks {
        let start = at;
        let insts = func.blocks[block].insts.clone();
        for &v in &insts {
            let mut op = func.ops[v.at()];
            // Phis are written on the way in, arguments before the first instruction.
            let enters = matches!(op, Op::Phi | Op::Param(_));
            op.visit(&mut |o| touch(*o, at));
            touch(v, if enters { start } else { at + 1 });
            if op.is_call() {
                calls.push(at);
            }
            at += 2;
        }
        let mut term = func.blocks[block].term;
        term.visit(&mut |v| touch(*v, at));
        let each = |bits: &[u64], f: &mut dyn FnMut(Val)| {
            for (word, bits) in bits.iter().enumerate() {
                let mut bits = *bits;
                while bits != 0 {
                    f(Val((word * 64) as u32 + bits.trailing_zeros()));
                    bits &= bits - 1;
                }
            }
        };
        each(&live_in[block], &mut |v| touch(v, start));
        each(&out_of(func, &live_in, block), &mut |v| touch(v, at + 1));
        at += 2;
    }
    (lives, calls)
}

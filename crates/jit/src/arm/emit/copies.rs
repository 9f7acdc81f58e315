//! Copies between the places of values: at calls, and on the edges between blocks.

use super::{Emit, S1, S2};
use crate::arm::asm::SP;
use crate::arm::places::{Loc, is_made_anew};
use crate::ir::{Block, Func, Val};

/// Where a copy takes its value from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Loc(Loc),
    Made(Val),
}

impl Emit<'_> {
    /// Copies that happen all at once.
    pub(super) fn copies(&mut self, func: &Func, mut moves: Vec<(Loc, From)>) {
        moves.retain(|(to, from)| *to != Loc::None && From::Loc(*to) != *from);
        while !moves.is_empty() {
            let waits = |to: Loc| moves.iter().any(|(_, from)| *from == From::Loc(to));
            match moves.iter().position(|(to, _)| !waits(*to)) {
                Some(at) => {
                    let (to, from) = moves.swap_remove(at);
                    self.copy(func, to, from);
                }
                None => {
                    // Only circles are left: one of them is opened.
                    let (to, _) = moves[0];
                    self.copy(func, Loc::R(S2), From::Loc(to));
                    for (_, from) in &mut moves {
                        if *from == From::Loc(to) {
                            *from = From::Loc(Loc::R(S2));
                        }
                    }
                }
            }
        }
    }

    pub(super) fn copy(&mut self, func: &Func, to: Loc, from: From) {
        let d = match to {
            Loc::R(r) => r,
            _ => S1,
        };
        let s = match from {
            From::Loc(Loc::R(r)) => r,
            From::Loc(Loc::Slot(slot)) => {
                self.asm.load(8, false, d, SP, 8 * slot as i32);
                d
            }
            From::Loc(Loc::None) => d,
            From::Made(v) => self.get(func, v, d),
        };
        match to {
            Loc::R(r) if r != s => self.asm.mov(r, s),
            Loc::Slot(slot) => {
                self.asm.store(8, s, SP, 8 * slot as i32);
            }
            _ => {}
        }
    }

    pub(super) fn from(&self, func: &Func, v: Val) -> From {
        match is_made_anew(&func.op(v)) {
            true => From::Made(v),
            false => From::Loc(self.loc(v)),
        }
    }

    /// What the phis of a block get on the edge from another.
    pub(super) fn edge(&self, func: &Func, from: Block, to: Block) -> Vec<(Loc, From)> {
        let body = &func.blocks[to.at()];
        let Some(edge) = body.preds.iter().position(|p| *p == from) else {
            return Vec::new();
        };
        let phis = body.insts.iter().filter(|v| func.op(**v).is_phi());
        phis.map(|v| (self.loc(*v), self.from(func, func.phis[v.at()][edge])))
            .collect()
    }

    pub(super) fn go(&mut self, func: &Func, from: Block, to: Block) {
        let moves = self.edge(func, from, to);
        self.copies(func, moves);
        self.asm.b(self.labels[to.at()]);
    }
}

//! How blocks are lowered, what happens on the edges between them, and their order.

use super::{Lower, condition};
use crate::ir::{Block, Op, Term, Val};
use crate::x86::asm::cc;
use crate::x86::mir::{Addr, Base, M, MBlock, MFunc, Succs, V};

impl Lower<'_> {
    pub(super) fn phis(&self, block: Block) -> Vec<Val> {
        let insts = &self.func.blocks[block.at()].insts;
        insts
            .iter()
            .copied()
            .filter(|v| self.func.op(*v).is_phi())
            .collect()
    }

    /// Copies for the phis of a block on the edge from `from`.
    fn copies(&mut self, from: Block, to: Block, landing: &[V]) -> Vec<M> {
        let preds = &self.func.blocks[to.at()].preds;
        let Some(edge) = preds.iter().position(|p| *p == from) else {
            return Vec::new();
        };
        let mut copies = Vec::new();
        for phi in self.phis(to) {
            let operand = self.func.phis[phi.at()][edge];
            let dst = landing[phi.at()];
            let copy = match self.func.op(operand) {
                Op::Const(value) => M::Imm { dst, value },
                Op::Frame(disp) => {
                    let addr = Addr {
                        base: Base::Frame,
                        index: None,
                        disp,
                    };
                    M::Lea {
                        dst,
                        wide: true,
                        addr,
                    }
                }
                _ => M::Mov {
                    dst,
                    src: self.v(operand),
                },
            };
            copies.push(copy);
        }
        copies
    }

    pub(super) fn block(&mut self, block: Block, landing: &[V]) -> MBlock {
        self.block = block;
        self.out.clear();
        let body = self.func.blocks[block.at()].clone();
        self.out.reserve(body.insts.len());
        self.in_loop = body.depth > 0;
        let successors = body.term.successors();
        let mut succs = Succs::new(successors.map(|to| to.map(|to| to.0)));
        // Copies of a conditional edge go to a block of their own, unless the block is the
        // only way to the place that has phis.
        if let [Some(to), None] = successors {
            let copies = self.copies(block, to, landing);
            self.push(M::Jump { to: to.0 });
            self.out.extend(copies.into_iter().rev());
        } else {
            for (side, to) in successors.into_iter().flatten().enumerate() {
                let copies = self.copies(block, to, landing);
                if !copies.is_empty() {
                    let id = (self.func.blocks.len() + self.split.len()) as u32;
                    let mut insts = copies;
                    insts.push(M::Jump { to: to.0 });
                    let depth = body.depth.min(self.func.blocks[to.at()].depth);
                    let edge = MBlock {
                        insts,
                        succs: Succs::new([Some(to.0), None]),
                        depth,
                    };
                    self.split.push((block.0, id, edge));
                    succs[side] = id;
                }
            }
        }
        match body.term {
            Term::Branch { test, .. } => {
                let end = body.insts.len();
                let test = self.turned(test, end);
                let cc = condition(test.cond);
                self.push(M::JumpIf {
                    cc,
                    then: succs[0],
                    other: succs[1],
                });
                self.compare(test, end);
            }
            Term::MayGoto { .. } => {
                self.has_may_goto = true;
                self.push(M::JumpIf {
                    cc: cc::S,
                    then: succs[0],
                    other: succs[1],
                });
                self.push(M::Spend);
            }
            Term::Return(v) => {
                let v = self.arg(v);
                self.push(M::Ret { v });
            }
            Term::Jump(_) | Term::Dead => {}
        }
        for (at, &v) in body.insts.iter().enumerate().rev() {
            let op = self.func.op(v);
            if !op.is_phi() && (self.demanded[v.at()] || op.has_effect()) {
                let before = self.out.len();
                self.instruction(v, op, at);
                if self.lines && self.out.len() > before {
                    self.push(M::Line(self.func.origins[v.at()]));
                }
            }
        }
        // From the last one to the first, as all before.
        if block.0 == 0 {
            let mut dst = [None; 5];
            for &v in &body.insts {
                if let Op::Param(i) = self.func.op(v)
                    && self.demanded[v.at()]
                {
                    dst[usize::from(i)] = Some(v.0);
                }
            }
            self.push(M::Params { dst });
        }
        for phi in self.phis(block).into_iter().rev() {
            self.push(M::Mov {
                dst: phi.0,
                src: landing[phi.at()],
            });
        }
        let mut insts = std::mem::take(&mut self.out);
        insts.reverse();
        MBlock {
            insts,
            succs,
            depth: body.depth,
        }
    }

    /// Puts the blocks in their final order and gives them their final numbers.
    pub(super) fn layout(&mut self, mut blocks: Vec<Option<MBlock>>) -> MFunc {
        let total = blocks.len() + self.split.len();
        let mut number = vec![u32::MAX; total];
        let mut out: Vec<MBlock> = Vec::with_capacity(total);
        for (i, slot) in blocks.iter_mut().enumerate() {
            let Some(block) = slot.take() else { continue };
            number[i] = out.len() as u32;
            out.push(block);
            for (after, id, edge) in &self.split {
                if *after == i as u32 {
                    number[*id as usize] = out.len() as u32;
                    out.push(edge.clone());
                }
            }
        }
        for block in &mut out {
            block
                .succs
                .iter_mut()
                .for_each(|s| *s = number[*s as usize]);
            if let Some(last) = block.insts.last_mut() {
                match last {
                    M::Jump { to } => *to = number[*to as usize],
                    M::JumpIf { then, other, .. } => {
                        *then = number[*then as usize];
                        *other = number[*other as usize];
                    }
                    _ => {}
                }
            }
        }
        if let Some(first) = out.first_mut() {
            let behind = |m: &M| !matches!(m, M::Params { .. });
            let at = first.insts.iter().position(behind).unwrap_or(0);
            let constants = self.shared.iter();
            let constants = constants.map(|(value, dst)| M::Imm {
                dst: *dst,
                value: *value,
            });
            let allowance = self.has_may_goto.then_some(M::Allow);
            first.insts.splice(at..at, constants.chain(allowance));
        }
        MFunc {
            blocks: out,
            calls: std::mem::take(&mut self.calls),
            regs: self.next,
            frame: self.func.frame,
            has_calls: self.has_calls,
            has_stops: self.has_stops,
            has_may_goto: self.has_may_goto,
        }
    }
}

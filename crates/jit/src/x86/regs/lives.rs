//! When virtual registers hold something that is still needed, and how often they are used.

use super::taken::Taken;
use crate::x86::mir::{M, MFunc, Role, V};

const NONE: u32 = u32::MAX;

/// Half-open stretches of positions for each virtual register, ascending, not touching each
/// other. Instruction `i` reads at `2i` and writes at `2i + 1`.
pub(super) struct Ranges {
    /// Start, end, and where the next stretch of the same register is.
    nodes: Vec<(u32, u32, u32)>,
    heads: Vec<u32>,
}

impl Ranges {
    fn new(regs: usize) -> Ranges {
        Ranges {
            nodes: Vec::with_capacity(regs),
            heads: vec![NONE; regs],
        }
    }

    /// Adds a stretch that begins before all others of its register.
    fn add(&mut self, v: V, start: u32, end: u32) {
        let head = &mut self.heads[v as usize];
        match self.nodes.get_mut(*head as usize) {
            Some(first) if first.0 <= end => {
                first.0 = first.0.min(start);
                first.1 = first.1.max(end);
            }
            _ => {
                self.nodes.push((start, end, *head));
                *head = self.nodes.len() as u32 - 1;
            }
        }
    }

    pub(super) fn is_empty(&self, v: V) -> bool {
        self.heads[v as usize] == NONE
    }

    pub(super) fn of(&self, v: V) -> impl Iterator<Item = (u32, u32)> + '_ {
        let mut at = self.heads[v as usize];
        std::iter::from_fn(move || {
            let (start, end, next) = *self.nodes.get(at as usize)?;
            at = next;
            Some((start, end))
        })
    }

    pub(super) fn overlap(&self, a: V, b: V) -> bool {
        let (mut a, mut b) = (self.of(a), self.of(b));
        let (mut x, mut y) = (a.next(), b.next());
        while let (Some(one), Some(other)) = (x, y) {
            if one.0 < other.1 && other.0 < one.1 {
                return true;
            }
            if one.1 <= other.0 {
                x = a.next();
            } else {
                y = b.next();
            }
        }
        false
    }

    /// Gives the stretches of `b` to `a`; they do not overlap.
    pub(super) fn merge(&mut self, a: V, b: V) {
        let (mut x, mut y) = (self.heads[a as usize], self.heads[b as usize]);
        let start = |nodes: &[(u32, u32, u32)], at: u32| nodes.get(at as usize).map(|n| n.0);
        let mut last = NONE;
        let mut head = NONE;
        while x != NONE || y != NONE {
            let first = match (start(&self.nodes, x), start(&self.nodes, y)) {
                (Some(one), Some(other)) => one <= other,
                (one, _) => one.is_some(),
            };
            let at = if first { x } else { y };
            let (start, end, next) = self.nodes[at as usize];
            match first {
                true => x = next,
                false => y = next,
            }
            match self.nodes.get_mut(last as usize) {
                Some(before) if before.1 >= start => {
                    before.1 = before.1.max(end);
                    continue;
                }
                Some(before) => before.2 = at,
                None => head = at,
            }
            last = at;
        }
        if let Some(last) = self.nodes.get_mut(last as usize) {
            last.2 = NONE;
        }
        self.heads[a as usize] = head;
        self.heads[b as usize] = NONE;
    }
}

/// What is known of the virtual registers of a function.
pub(super) struct Lives {
    pub(super) ranges: Ranges,
    pub(super) weight: Vec<f64>,
    /// When other instructions take the machine's registers.
    pub(super) fixed: Taken,
    /// The constant of a register that is only ever that.
    pub(super) constant: Vec<Option<u64>>,
}

/// How often code in so many loops is thought to run.
pub(super) fn frequency(depth: u32) -> f64 {
    f64::from(10u32.pow(depth.min(6)))
}

/// The registers that are read in each block before it writes them, or that are read after it
/// and not written in it, as masks of so many words; for functions with ways back.
fn live_in(func: &MFunc, words: usize) -> Vec<u64> {
    let blocks = func.blocks.len();
    let (mut reads, mut writes) = (vec![0; blocks * words], vec![0; blocks * words]);
    for (i, block) in func.blocks.iter().enumerate() {
        let reads = &mut reads[i * words..][..words];
        let writes = &mut writes[i * words..][..words];
        for m in &block.insts {
            m.visit(&func.calls, &mut |v, role| {
                let (word, bit) = (v as usize / 64, 1u64 << (v % 64));
                match role {
                    Role::Def => writes[word] |= bit,
                    _ if writes[word] & bit == 0 => reads[word] |= bit,
                    _ => {}
                }
            });
        }
    }
    let mut live = vec![0u64; blocks * words];
    let mut out = vec![0u64; words];
    let mut changed = true;
    while changed {
        changed = false;
        for block in (0..blocks).rev() {
            out.fill(0);
            for succ in func.blocks[block].succs.iter() {
                let next = &live[*succ as usize * words..][..words];
                out.iter_mut().zip(next).for_each(|(o, i)| *o |= i);
            }
            for (word, out) in out.iter().enumerate() {
                let at = block * words + word;
                let now = reads[at] | (out & !writes[at]);
                changed |= now != live[at];
                live[at] = now;
            }
        }
    }
    live
}

/// Which registers are needed where blocks begin.
enum Starts {
    /// Masks of so many words.
    Masks(Vec<u64>, usize),
    /// Lists that come to be from the last block on, where no way leads back.
    Lists(Vec<Vec<V>>),
}

impl Starts {
    fn of(func: &MFunc) -> Starts {
        let forward = |(i, b): (usize, &crate::x86::mir::MBlock)| {
            b.succs.iter().all(|succ| *succ as usize > i)
        };
        if func.blocks.iter().enumerate().all(forward) {
            return Starts::Lists(vec![Vec::new(); func.blocks.len()]);
        }
        let words = (func.regs as usize).div_ceil(64);
        Starts::Masks(live_in(func, words), words)
    }

    fn each(&self, block: usize, mut f: impl FnMut(V)) {
        match self {
            Starts::Lists(lists) => lists[block].iter().for_each(|v| f(*v)),
            Starts::Masks(masks, words) => {
                for (word, bits) in masks[block * words..][..*words].iter().enumerate() {
                    let mut bits = *bits;
                    while bits != 0 {
                        f(word as u32 * 64 + bits.trailing_zeros());
                        bits &= bits - 1;
                    }
                }
            }
        }
    }
}

pub(super) fn lives(func: &MFunc, bmi2: bool, bounded: bool) -> Lives {
    let regs = func.regs as usize;
    let total: usize = func.blocks.iter().map(|b| b.insts.len()).sum();
    let mut starts = Starts::of(func);
    let mut l = Lives {
        ranges: Ranges::new(regs),
        weight: vec![0.0; regs],
        fixed: Taken::new(2 * total),
        constant: vec![None; regs],
    };
    let mut defined = vec![false; regs];
    let mut end = 2 * total as u32;
    // Where the value is last needed, 0 when it is not live.
    let mut until = vec![0u32; regs];
    let mut live: Vec<V> = Vec::new();
    for block in (0..func.blocks.len()).rev() {
        let body = &func.blocks[block];
        let start = end - 2 * body.insts.len() as u32;
        live.clear();
        for succ in body.succs.iter() {
            starts.each(*succ as usize, |v| {
                if until[v as usize] == 0 {
                    until[v as usize] = end;
                    live.push(v);
                }
            });
        }
        let times = frequency(body.depth);
        for (i, m) in body.insts.iter().enumerate().rev() {
            let at = start + 2 * i as u32;
            let clobbers = m.clobbers(&func.calls, bmi2, bounded);
            let mut left = clobbers;
            while left != 0 {
                l.fixed.take(left.trailing_zeros() as usize, at + 1, at + 2);
                left &= left - 1;
            }
            // No instruction has more operands.
            let mut operands = [(0, Role::Use); 8];
            let mut count = 0;
            m.visit(&func.calls, &mut |v, role| {
                operands[count] = (v, role);
                count += 1;
            });
            let operands = &operands[..count];
            for &(v, _) in operands.iter().filter(|(_, role)| *role == Role::Def) {
                let from = if clobbers == 0 { at + 1 } else { at + 2 };
                let to = std::mem::replace(&mut until[v as usize], 0).max(from + 1);
                l.ranges.add(v, from, to);
                let first = !std::mem::replace(&mut defined[v as usize], true);
                l.weight[v as usize] += times;
                l.constant[v as usize] = match m {
                    M::Imm { value, .. } if first => Some(*value),
                    _ => None,
                };
            }
            for &(v, role) in operands {
                let to = match role {
                    Role::Def => continue,
                    Role::Use => at + 1,
                    Role::Late => at + 2,
                };
                l.weight[v as usize] += times;
                let known = &mut until[v as usize];
                if *known == 0 {
                    live.push(v);
                }
                *known = (*known).max(to);
            }
        }
        let mut needed = Vec::new();
        for &v in &live {
            let to = std::mem::replace(&mut until[v as usize], 0);
            if to != 0 {
                l.ranges.add(v, start, to);
                needed.push(v);
            }
        }
        if let Starts::Lists(lists) = &mut starts {
            lists[block] = needed;
        }
        end = start;
    }
    l
}

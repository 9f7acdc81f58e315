//! Which machine register holds which virtual one: the values that are used most, in the
//! deepest loops and over the shortest stretches, choose first.

use super::asm::{R, R8, R9, R10, RAX, RBP, RBX, RCX, RDI, RDX, RSI, Shift};
use super::lower::for_each;
use super::mir::{Arg, CALLER_SAVED, M, MFunc, Role, Src, V};

/// Where a virtual register is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Loc {
    R(R),
    /// In the frame, at this slot of eight bytes.
    Slot(u32),
    /// Nowhere: it is made anew at each use.
    Const(u64),
    /// Never used.
    None,
}

/// Where everything is kept.
pub(crate) struct Places {
    pub locs: Vec<Loc>,
    pub slots: u32,
    /// Callee-saved registers that are used, as a mask.
    pub saved: u32,
    /// Whether [`FUEL`] holds the fuel all the time, rather than the frame.
    pub fuel_held: bool,
    /// How often values in memory are read and written.
    in_memory: f64,
}

/// Registers in the order in which they are given away. r11 is for the emitter alone.
const ORDER: [R; 14] = [
    RAX, RCX, RDX, RSI, RDI, R8, R9, R10, RBX, RBP, 12, 13, 14, 15,
];
/// What is left of the fuel when functions begin and end, in code that counts.
pub(crate) const FUEL: R = 15;
/// The registers of r1 to r5 in calls.
pub(crate) const ARGS: [R; 5] = [RDI, RSI, RDX, RCX, R8];

/// Half-open stretches of positions, ascending, not touching each other. Instruction `i` reads
/// at `2i` and writes at `2i + 1`.
type Ranges = Vec<(u32, u32)>;

fn add_range(ranges: &mut Ranges, start: u32, end: u32) {
    // Ranges are found from the end of the function to its start.
    match ranges.last_mut() {
        Some(last) if last.0 <= end => {
            last.0 = last.0.min(start);
            last.1 = last.1.max(end);
        }
        _ => ranges.push((start, end)),
    }
}

fn overlap(a: &Ranges, b: &Ranges) -> bool {
    let (mut i, mut j) = (0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        if x.0 < y.1 && y.0 < x.1 {
            return true;
        }
        if x.1 <= y.0 { i += 1 } else { j += 1 }
    }
    false
}

fn merge(a: &Ranges, b: &Ranges) -> Ranges {
    let mut all: Ranges = a.iter().chain(b).copied().collect();
    all.sort_unstable();
    let mut out: Ranges = Vec::with_capacity(all.len());
    for (start, end) in all {
        match out.last_mut() {
            Some(last) if last.1 >= start => last.1 = last.1.max(end),
            _ => out.push((start, end)),
        }
    }
    out
}

/// What is known of the virtual registers of a function.
struct Lives {
    ranges: Vec<Ranges>,
    weight: Vec<f64>,
    /// Registers that other instructions take, with when.
    fixed: [Ranges; 16],
    /// The constant of a register that is only ever that.
    constant: Vec<Option<u64>>,
}

/// How often code in so many loops is thought to run.
fn frequency(depth: u32) -> f64 {
    f64::from(10u32.pow(depth.min(6)))
}

fn lives(func: &MFunc, bmi2: bool, bounded: bool) -> Lives {
    let regs = func.regs as usize;
    let words = regs.div_ceil(64);
    let blocks = func.blocks.len();
    let mut live_in = vec![vec![0u64; words]; blocks];
    let mut gens = Vec::with_capacity(blocks);
    for block in &func.blocks {
        let (mut reads, mut writes) = (vec![0u64; words], vec![0u64; words]);
        for m in &block.insts {
            for_each(m, &mut |v, role| {
                let (word, bit) = (v as usize / 64, 1u64 << (v % 64));
                match role {
                    Role::Def => writes[word] |= bit,
                    _ if writes[word] & bit == 0 => reads[word] |= bit,
                    _ => {}
                }
            });
        }
        gens.push((reads, writes));
    }
    let mut changed = true;
    let mut out = vec![0u64; words];
    while changed {
        changed = false;
        for block in (0..blocks).rev() {
            out.fill(0);
            for succ in &func.blocks[block].succs {
                out.iter_mut()
                    .zip(&live_in[*succ as usize])
                    .for_each(|(o, i)| *o |= i);
            }
            let (reads, writes) = &gens[block];
            for word in 0..words {
                let now = reads[word] | (out[word] & !writes[word]);
                changed |= now != live_in[block][word];
                live_in[block][word] = now;
            }
        }
    }
    let mut l = Lives {
        ranges: vec![Vec::new(); regs],
        weight: vec![0.0; regs],
        fixed: Default::default(),
        constant: vec![None; regs],
    };
    let mut defined = vec![0u32; regs];
    let total: usize = func.blocks.iter().map(|b| b.insts.len()).sum();
    let mut end = 2 * total as u32;
    let mut until = vec![0u32; regs];
    for block in (0..blocks).rev() {
        let body = &func.blocks[block];
        let start = end - 2 * body.insts.len() as u32;
        // `until` is where the value is last needed, 0 when it is not live.
        let mut live: Vec<V> = Vec::new();
        for succ in &body.succs {
            for (word, bits) in live_in[*succ as usize].iter().enumerate() {
                let mut bits = *bits;
                while bits != 0 {
                    let v = word as u32 * 64 + bits.trailing_zeros();
                    bits &= bits - 1;
                    if until[v as usize] == 0 {
                        until[v as usize] = end;
                        live.push(v);
                    }
                }
            }
        }
        let times = frequency(body.depth);
        for (i, m) in body.insts.iter().enumerate().rev() {
            let at = start + 2 * i as u32;
            let clobbers = m.clobbers(bmi2, bounded);
            for reg in (0..16).filter(|r| clobbers >> r & 1 != 0) {
                add_range(&mut l.fixed[reg], at + 1, at + 2);
            }
            for_each(m, &mut |v, role| {
                if role == Role::Def {
                    let from = if clobbers == 0 { at + 1 } else { at + 2 };
                    let to = std::mem::replace(&mut until[v as usize], 0).max(from + 1);
                    add_range(&mut l.ranges[v as usize], from, to);
                    defined[v as usize] += 1;
                    l.weight[v as usize] += times;
                    l.constant[v as usize] = match m {
                        M::Imm { value, .. } if defined[v as usize] == 1 => Some(*value),
                        _ => None,
                    };
                }
            });
            for_each(m, &mut |v, role| {
                let to = match role {
                    Role::Def => return,
                    Role::Use => at + 1,
                    Role::Late => at + 2,
                };
                l.weight[v as usize] += times;
                let known = &mut until[v as usize];
                if *known == 0 {
                    live.push(v);
                }
                *known = (*known).max(to);
            });
        }
        for v in live {
            let to = std::mem::replace(&mut until[v as usize], 0);
            if to != 0 {
                add_range(&mut l.ranges[v as usize], start, to);
            }
        }
        end = start;
    }
    l.ranges.iter_mut().for_each(|r| r.reverse());
    l.fixed.iter_mut().for_each(|r| r.reverse());
    l
}

fn find(parent: &mut [V], mut v: V) -> V {
    while parent[v as usize] != v {
        parent[v as usize] = parent[parent[v as usize] as usize];
        v = parent[v as usize];
    }
    v
}

/// Adds stretches that are known to be free; neighbours become one.
fn take(taken: &mut Ranges, ranges: &Ranges) {
    for &(start, end) in ranges {
        let at = taken.partition_point(|(s, _)| *s < start);
        let joins = at > 0 && taken[at - 1].1 == start;
        match (joins, taken.get(at).is_some_and(|next| next.0 == end)) {
            (true, true) => {
                taken[at - 1].1 = taken[at].1;
                taken.remove(at);
            }
            (true, false) => taken[at - 1].1 = end,
            (false, true) => taken[at].0 = start,
            (false, false) => taken.insert(at, (start, end)),
        }
    }
}

/// A wish that two things share a register.
enum Wish {
    Same(V, V),
    In(V, R),
}

/// What the virtual registers of a function want, before any has a place.
pub(crate) struct Wants {
    lives: Lives,
    /// Which register each one was joined with.
    parent: Vec<V>,
    hints: Vec<Vec<(f64, Wish)>>,
    /// Those that want a place, in the order in which they choose.
    order: Vec<V>,
    bounded: bool,
    /// How often fuel is used.
    charges: f64,
}

/// How much longer it takes to use fuel in memory than in a register, in accesses to a value in
/// memory: what is left is read and written by one instruction, and the next one waits for it.
const FUEL_IN_MEMORY: f64 = 3.0;

/// Finds out what the virtual registers want.
pub(crate) fn wants(func: &MFunc, bmi2: bool, bounded: bool) -> Wants {
    let mut l = lives(func, bmi2, bounded);
    let regs = func.regs as usize;
    let mut parent: Vec<V> = (0..func.regs).collect();
    let mut moves: Vec<(u32, V, V)> = Vec::new();
    let mut wishes: Vec<(f64, Wish)> = Vec::new();
    let mut charges = 0.0;
    for block in &func.blocks {
        let times = frequency(block.depth);
        for m in &block.insts {
            match m {
                M::Mov { dst, src } => moves.push((block.depth, *dst, *src)),
                M::Charge { .. } => charges += times,
                _ => {}
            }
            wish(m, &mut |w| wishes.push((times, w)));
        }
    }
    // Copies in the deepest loops first.
    moves.sort_by_key(|(depth, ..)| std::cmp::Reverse(*depth));
    for &(_, dst, src) in &moves {
        let (a, b) = (find(&mut parent, dst), find(&mut parent, src));
        if a == b || overlap(&l.ranges[a as usize], &l.ranges[b as usize]) {
            continue;
        }
        l.ranges[a as usize] = merge(&l.ranges[a as usize], &l.ranges[b as usize]);
        l.ranges[b as usize].clear();
        l.weight[a as usize] += l.weight[b as usize];
        l.constant[a as usize] = None;
        parent[b as usize] = a;
    }
    let mut hints: Vec<Vec<(f64, Wish)>> = (0..regs).map(|_| Vec::new()).collect();
    for (times, w) in wishes {
        match w {
            Wish::Same(a, b) => {
                let (a, b) = (find(&mut parent, a), find(&mut parent, b));
                if a != b {
                    hints[a as usize].push((times, Wish::Same(a, b)));
                    hints[b as usize].push((times, Wish::Same(b, a)));
                }
            }
            Wish::In(v, r) => {
                let v = find(&mut parent, v);
                hints[v as usize].push((times, Wish::In(v, r)));
            }
        }
    }
    let mut order: Vec<(f64, V)> = (0..func.regs)
        .filter(|v| !l.ranges[*v as usize].is_empty())
        .map(|v| {
            let length: u32 = l.ranges[v as usize].iter().map(|(s, e)| e - s).sum();
            let cheap = if l.constant[v as usize].is_some() {
                0.5
            } else {
                1.0
            };
            (cheap * l.weight[v as usize] / (f64::from(length) + 8.0), v)
        })
        .collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    Wants {
        lives: l,
        parent,
        hints,
        order: order.into_iter().map(|(_, v)| v).collect(),
        bounded,
        charges,
    }
}

/// Chooses the places of all virtual registers; `spare` withholds r10 from them. In code that
/// counts, the fuel has a register of its own unless it costs more to have values in memory for
/// that.
pub(crate) fn allocate(wants: &mut Wants, spare: bool) -> Places {
    let held = places(wants, spare, wants.bounded);
    if !wants.bounded || held.slots == 0 {
        return held;
    }
    let apart = places(wants, spare, false);
    let all = apart.in_memory + FUEL_IN_MEMORY * wants.charges;
    if all < held.in_memory { apart } else { held }
}

fn places(wants: &mut Wants, spare: bool, held: bool) -> Places {
    let Wants {
        lives: l,
        parent,
        hints,
        order,
        bounded,
        ..
    } = wants;
    let bounded = *bounded;
    let regs = parent.len();
    let mut taken = l.fixed.clone();
    let mut locs = vec![Loc::None; regs];
    let (mut slots, mut saved, mut in_memory) = (0, 0u32, 0.0);
    for &v in order.iter() {
        let ranges = &l.ranges[v as usize];
        let free = |r: R, ranges: &Ranges| {
            let taken = &taken[usize::from(r)];
            ranges.iter().all(|(start, end)| {
                let before = taken.partition_point(|(s, _)| s < end).checked_sub(1);
                before.is_none_or(|at| taken[at].1 <= *start)
            })
        };
        let mut score = [0.0; 16];
        // Who wants the same register most of those that have none yet.
        let mut partner: Option<(f64, V)> = None;
        for (times, hint) in &hints[v as usize] {
            match hint {
                Wish::In(_, wanted) => score[usize::from(*wanted)] += times,
                Wish::Same(_, other) => match locs[*other as usize] {
                    Loc::R(r) => score[usize::from(r)] += times,
                    Loc::None if partner.is_none_or(|(most, _)| *times > most) => {
                        partner = Some((*times, *other));
                    }
                    _ => {}
                },
            }
        }
        // Whether one is free takes longer to find out than which is best, so they are asked in
        // that order.
        let mut ranked = [(0.0, R::MAX); ORDER.len()];
        let mut count = 0;
        for r in ORDER {
            if spare && r == R10 || held && r == FUEL {
                continue;
            }
            let mut value = score[usize::from(r)];
            // Saving a register costs a push and a pop.
            if CALLER_SAVED >> r & 1 == 0 && saved >> r & 1 == 0 && !(bounded && r == FUEL) {
                value -= 1.5;
            }
            let mut at = count;
            while at > 0 && ranked[at - 1].0 < value {
                ranked[at] = ranked[at - 1];
                at -= 1;
            }
            ranked[at] = (value, r);
            count += 1;
        }
        let partner = partner.map(|(_, other)| &l.ranges[other as usize]);
        let partner = partner.filter(|other| !overlap(ranges, other));
        let mut free_ones = ranked.iter().take(count).filter(|(_, r)| free(*r, ranges));
        let best = free_ones.next().map(|&(value, first)| {
            let Some(partner) = partner.filter(|partner| !free(first, partner)) else {
                return first;
            };
            // Of those that are as good, one that the partner can have, too.
            let mut as_good = free_ones.take_while(|(other, _)| *other == value);
            let shared = as_good.find(|(_, r)| free(*r, partner));
            shared.map_or(first, |(_, r)| *r)
        });
        locs[v as usize] = match (best, l.constant[v as usize]) {
            (Some(r), _) => {
                take(&mut taken[usize::from(r)], ranges);
                if CALLER_SAVED >> r & 1 == 0 {
                    saved |= 1 << r;
                }
                Loc::R(r)
            }
            (None, Some(value)) => Loc::Const(value),
            (None, None) => {
                in_memory += l.weight[v as usize];
                slots += 1;
                Loc::Slot(slots - 1)
            }
        };
    }
    for v in 0..regs as V {
        let root = find(parent, v);
        locs[v as usize] = locs[root as usize];
    }
    Places {
        locs,
        slots,
        saved,
        fuel_held: held,
        in_memory,
    }
}

/// What an instruction would like.
fn wish(m: &M, f: &mut dyn FnMut(Wish)) {
    match m {
        M::Mov { dst, src } => f(Wish::Same(*dst, *src)),
        M::Alu { dst, a, b, op, .. } => {
            f(Wish::Same(*dst, *a));
            if let (Src::V(b), true) = (b, *op != super::asm::Group1::Sub) {
                f(Wish::Same(*dst, *b));
            }
        }
        M::Mul { dst, a, b, .. } => {
            f(Wish::Same(*dst, *a));
            if let Src::V(b) = b {
                f(Wish::Same(*dst, *b));
            }
        }
        M::Un { dst, a, .. } | M::ShiftImm { dst, a, .. } => f(Wish::Same(*dst, *a)),
        M::ShiftBy {
            op: Shift::Rol,
            dst,
            a,
            ..
        } => f(Wish::Same(*dst, *a)),
        M::Cmov {
            dst, t, f: other, ..
        } => {
            f(Wish::Same(*dst, *other));
            f(Wish::Same(*dst, *t));
        }
        M::Div { dst, a, rem, .. } => {
            f(Wish::In(*a, RAX));
            f(Wish::In(*dst, if *rem { RDX } else { RAX }));
        }
        M::Call { args, dst, .. } => {
            f(Wish::In(*dst, RAX));
            for (arg, r) in args.iter().zip(ARGS) {
                if let Arg::V(v) = arg {
                    f(Wish::In(*v, r));
                }
            }
        }
        M::Params { dst } => {
            for (v, r) in dst.iter().zip(ARGS) {
                if let Some(v) = v {
                    f(Wish::In(*v, r));
                }
            }
        }
        M::Ret { v: Arg::V(v) } => f(Wish::In(*v, RAX)),
        _ => {}
    }
}

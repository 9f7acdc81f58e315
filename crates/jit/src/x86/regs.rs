//! Which machine register holds which virtual one: the values that are used most, in the
//! deepest loops and over the shortest stretches, choose first.

mod lives;
mod taken;
mod wishes;

use super::asm::{R, R8, R9, R10, RAX, RBP, RBX, RCX, RDI, RDX, RSI};
use super::mir::{CALLER_SAVED, M, MFunc, V};
use lives::{Lives, frequency, lives};
use taken::Taken;
use wishes::{Wish, Wishes};

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
    /// How often values in memory are read and written, and constants made anew, which takes
    /// less.
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

fn find(parent: &mut [V], mut v: V) -> V {
    while parent[v as usize] != v {
        parent[v as usize] = parent[parent[v as usize] as usize];
        v = parent[v as usize];
    }
    v
}

/// What the virtual registers of a function want, before any has a place.
pub(crate) struct Wants {
    lives: Lives,
    /// Which register each one was joined with.
    parent: Vec<V>,
    wishes: Wishes,
    /// Those that want a place, in the order in which they choose.
    order: Vec<V>,
    bounded: bool,
    /// How often fuel is used.
    charges: f64,
}

/// How much longer it takes to use fuel in memory than in a register, in accesses to a value in
/// memory: what is left is read and written by one instruction, and the next one waits for it.
const FUEL_IN_MEMORY: f64 = 3.0;

/// How long it takes to make a constant anew at a use, in accesses to a value in memory.
const REMADE: f64 = 0.5;

/// Finds out what the virtual registers want.
pub(crate) fn wants(func: &MFunc, bmi2: bool, bounded: bool) -> Wants {
    let mut l = lives(func, bmi2, bounded);
    let regs = func.regs as usize;
    let mut parent: Vec<V> = (0..func.regs).collect();
    let mut moves: Vec<(u32, V, V)> = Vec::new();
    let mut charges = 0.0;
    for block in &func.blocks {
        for m in &block.insts {
            match m {
                M::Mov { dst, src } => moves.push((block.depth, *dst, *src)),
                M::Charge { .. } => charges += frequency(block.depth),
                _ => {}
            }
        }
    }
    // Copies in the deepest loops first.
    moves.sort_by_key(|(depth, ..)| std::cmp::Reverse(*depth));
    for &(_, dst, src) in &moves {
        let (a, b) = (find(&mut parent, dst), find(&mut parent, src));
        if a == b || l.ranges.overlap(a, b) {
            continue;
        }
        l.ranges.merge(a, b);
        l.weight[a as usize] += l.weight[b as usize];
        l.constant[a as usize] = None;
        parent[b as usize] = a;
    }
    let mut wishes = Wishes::new(regs);
    for block in &func.blocks {
        let times = frequency(block.depth) as f32;
        for m in &block.insts {
            wishes::of(m, &func.calls, &mut |v, wish| {
                let v = find(&mut parent, v);
                match wish {
                    Wish::Same(other) => {
                        let other = find(&mut parent, other);
                        if v != other {
                            wishes.add(v, times, Wish::Same(other));
                            wishes.add(other, times, Wish::Same(v));
                        }
                    }
                    wish => wishes.add(v, times, wish),
                }
            });
        }
    }
    let mut order: Vec<(u16, V)> = Vec::with_capacity(regs);
    for v in (0..func.regs).filter(|v| !l.ranges.is_empty(*v)) {
        let length: u32 = l.ranges.of(v).map(|(s, e)| e - s).sum();
        let cheap = match l.constant[v as usize] {
            Some(_) => 0.5,
            None => 1.0,
        };
        let worth = cheap * l.weight[v as usize] / (f64::from(length) + 8.0);
        order.push((rank(worth as f32), v));
    }
    let order = sorted(order);
    Wants {
        lives: l,
        parent,
        wishes,
        order,
        bounded,
        charges,
    }
}

/// The higher a number that is not negative, the lower this; close ones are the same.
fn rank(worth: f32) -> u16 {
    // Such numbers compare as their bits do.
    !((worth.to_bits() >> 15) as u16)
}

/// The registers in the order of their keys, and those of one key in their order: by the lower
/// half of the keys first, and then by the upper half.
fn sorted(keyed: Vec<(u16, V)>) -> Vec<V> {
    let by = |from: &[(u16, V)], shift: u32| {
        let half = |key: u16| usize::from(key >> shift & 0xff);
        let mut places = [0u32; 256];
        from.iter().for_each(|(key, _)| places[half(*key)] += 1);
        let mut so_far = 0;
        for place in &mut places {
            so_far += std::mem::replace(place, so_far);
        }
        let mut to = vec![(0, 0); from.len()];
        for one in from {
            let place = &mut places[half(one.0)];
            to[*place as usize] = *one;
            *place += 1;
        }
        to
    };
    const FEW: usize = 64;
    let sorted = match keyed {
        mut few if few.len() <= FEW => {
            few.sort_unstable();
            few
        }
        many => by(&by(&many, 0), 8),
    };
    sorted.into_iter().map(|(_, v)| v).collect()
}

/// Chooses the places of all virtual registers; `spare` withholds r10 from them. In code that
/// counts, the fuel has a register of its own unless it costs more to have values in memory for
/// that.
pub(crate) fn allocate(wants: &mut Wants, spare: bool) -> Places {
    let held = places(wants, spare, wants.bounded);
    if !wants.bounded || held.in_memory == 0.0 {
        return held;
    }
    let apart = places(wants, spare, false);
    let all = apart.in_memory + FUEL_IN_MEMORY * wants.charges;
    if all < held.in_memory { apart } else { held }
}

/// What registers are worth to values without wishes.
struct Plain {
    worth: [f32; 16],
    /// The best first.
    ranked: [R; ORDER.len()],
}

impl Plain {
    fn new(saved: u32, bounded: bool) -> Plain {
        let mut worth = [0.0f32; 16];
        for r in ORDER {
            // Saving a register costs a push and a pop.
            let costs = CALLER_SAVED >> r & 1 == 0 && saved >> r & 1 == 0;
            if costs && !(bounded && r == FUEL) {
                worth[usize::from(r)] = -1.5;
            }
        }
        let mut ranked = ORDER;
        ranked.sort_by(|a, b| worth[usize::from(*b)].total_cmp(&worth[usize::from(*a)]));
        Plain { worth, ranked }
    }
}

/// The registers of a mask, the best first. Whether one is free takes longer to find out than
/// which is best, and mostly one of the first is.
struct Ranked<'a> {
    plain: &'a Plain,
    at: usize,
    /// Those of the mask that nobody wished for.
    others: u16,
    /// Those that were wished for, the best last, and how many there are.
    wished: [(f32, R); ORDER.len()],
    left: usize,
}

impl Ranked<'_> {
    fn new<'a>(plain: &'a Plain, score: &[f32; 16], wished: u16, mask: u16) -> Ranked<'a> {
        let mut list = [(0.0, 0); ORDER.len()];
        let mut left = 0;
        let mut wishes = wished & mask;
        while wishes != 0 {
            let r = wishes.trailing_zeros() as R;
            wishes &= wishes - 1;
            let worth = plain.worth[usize::from(r)] + score[usize::from(r)];
            // Few are wished for; each finds its place among those before it.
            let place = list[..left].iter().position(|(other, _)| *other > worth);
            let place = place.unwrap_or(left);
            list.copy_within(place..left, place + 1);
            list[place] = (worth, r);
            left += 1;
        }
        Ranked {
            plain,
            at: 0,
            others: mask & !wished,
            wished: list,
            left,
        }
    }
}

impl Iterator for Ranked<'_> {
    type Item = (f32, R);

    fn next(&mut self) -> Option<(f32, R)> {
        while let Some(r) = self.plain.ranked.get(self.at)
            && self.others >> r & 1 == 0
        {
            self.at += 1;
        }
        let plain = self.plain.ranked.get(self.at);
        let plain = plain.map(|r| (self.plain.worth[usize::from(*r)], *r));
        let wished = self.wished[..self.left].last().copied();
        match (wished, plain) {
            (Some(wished), Some(plain)) if wished.0 < plain.0 => {
                self.at += 1;
                Some(plain)
            }
            (Some(wished), _) => {
                self.left -= 1;
                Some(wished)
            }
            (None, plain) => {
                self.at += 1;
                plain
            }
        }
    }
}

fn places(wants: &mut Wants, spare: bool, held: bool) -> Places {
    let Wants {
        lives: l,
        parent,
        wishes,
        order,
        bounded,
        ..
    } = wants;
    let bounded = *bounded;
    let regs = parent.len();
    let mut taken = l.fixed.clone();
    let mut locs = vec![Loc::None; regs];
    let (mut slots, mut saved, mut in_memory) = (0, 0u32, 0.0);
    let mut plain = Plain::new(saved, bounded);
    let mask = ORDER.iter().fold(0, |mask, r| mask | 1u16 << r);
    let mask = mask & !(u16::from(spare) << R10 | u16::from(held) << FUEL);
    for &v in order.iter() {
        let free = |r: R, v: V, taken: &Taken| taken.is_free(usize::from(r), l.ranges.of(v));
        let (mut score, mut wished) = ([0.0; 16], 0u16);
        // Who wants the same register most of those that have none yet.
        let mut partner: Option<(f32, V)> = None;
        for (times, wish) in wishes.of(v) {
            match wish {
                Wish::In(r) => {
                    score[usize::from(r)] += times;
                    wished |= 1 << r;
                }
                Wish::Same(other) => match locs[other as usize] {
                    Loc::R(r) => {
                        score[usize::from(r)] += times;
                        wished |= 1 << r;
                    }
                    Loc::None if partner.is_none_or(|(most, _)| times >= most) => {
                        partner = Some((times, other));
                    }
                    _ => {}
                },
            }
        }
        let candidates = mask & !taken.at_starts(l.ranges.of(v));
        let mut free_ones =
            Ranked::new(&plain, &score, wished, candidates).filter(|(_, r)| free(*r, v, &taken));
        let best = free_ones.next().map(|(value, first)| {
            let Some((_, partner)) = partner
                .filter(|(_, other)| !free(first, *other, &taken) && !l.ranges.overlap(v, *other))
            else {
                return first;
            };
            // Of those that are as good, one that the partner can have, too.
            let mut as_good = free_ones.take_while(|(other, _)| *other == value);
            let shared = as_good.find(|(_, r)| free(*r, partner, &taken));
            shared.map_or(first, |(_, r)| r)
        });
        locs[v as usize] = match (best, l.constant[v as usize]) {
            (Some(r), _) => {
                taken.take_all(usize::from(r), l.ranges.of(v));
                if CALLER_SAVED >> r & 1 == 0 && saved >> r & 1 == 0 {
                    saved |= 1 << r;
                    plain = Plain::new(saved, bounded);
                }
                Loc::R(r)
            }
            (None, Some(value)) => {
                in_memory += REMADE * l.weight[v as usize];
                Loc::Const(value)
            }
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

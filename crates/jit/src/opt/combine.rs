//! Bytes that are loaded singly and put together become one load.

use skep_isa::{AluOp, Size, Width};

use super::use_counts;
use crate::ir::{BinOp, Func, Op, Val};

/// A loaded part of a sum: the load and how far it is shifted.
struct Part {
    load: Val,
    shift: u64,
    size: Size,
    addr: Val,
    off: i32,
}

/// Loads that still give what lies in memory, in their order.
struct Fresh {
    /// For each value its number among the loads, counted from one.
    places: Vec<u32>,
    count: u32,
    /// Up to which number they are forgotten.
    past: u32,
}

impl Fresh {
    fn push(&mut self, v: Val) {
        self.count += 1;
        self.places[v.at()] = self.count;
    }

    fn clear(&mut self) {
        self.past = self.count;
    }

    fn place(&self, v: Val) -> Option<u32> {
        Some(self.places[v.at()]).filter(|place| *place > self.past)
    }
}

/// Combines what it can; whether there was anything. `uses` are those of all values, if known.
pub(super) fn combine(func: &mut Func, uses: Option<Vec<u32>>) -> bool {
    let part = |op: &Op| {
        let Op::Load { size, signed, .. } = op else {
            return false;
        };
        *size != Size::B64 && !signed
    };
    if func.ops.iter().filter(|op| part(op)).count() < 2 {
        return false;
    }
    let uses = uses.unwrap_or_else(|| use_counts(func));
    let mut changed = false;
    // For each load its place, when nothing behind it may have changed memory.
    let mut fresh = Fresh {
        places: vec![0; func.ops.len()],
        count: 0,
        past: 0,
    };
    for i in 0..func.blocks.len() {
        fresh.clear();
        for at in 0..func.blocks[i].insts.len() {
            let v = func.blocks[i].insts[at];
            match func.op(v) {
                Op::Load { .. } => fresh.push(v),
                op if op.clobbers() => fresh.clear(),
                Op::Bin {
                    op: BinOp::Alu(AluOp::Or | AluOp::Add),
                    ..
                } => {
                    if let Some((keep, op, whole)) = whole(func, &uses, &fresh, v) {
                        func.ops[keep.at()] = op;
                        func.ops[v.at()] = whole;
                        changed = true;
                    }
                }
                _ => {}
            }
        }
    }
    changed
}

/// The one load for a sum of parts: which of the loads it becomes, how that then reads, and
/// what the sum becomes.
fn whole(func: &Func, uses: &[u32], fresh: &Fresh, sum: Val) -> Option<(Val, Op, Op)> {
    let mut parts = Vec::new();
    collect(func, uses, sum, 0, true, &mut parts, 0)?;
    if parts.len() < 2 {
        return None;
    }
    let addr = parts.first()?.addr;
    if parts
        .iter()
        .any(|p| p.addr != addr || fresh.place(p.load).is_none())
    {
        return None;
    }
    parts.sort_by_key(|p| p.shift);
    let mut end = 0;
    for part in &parts {
        if part.shift != end {
            return None;
        }
        end += u64::from(part.size.bytes()) * 8;
    }
    let size = match end {
        16 => Size::B16,
        32 => Size::B32,
        64 => Size::B64,
        _ => return None,
    };
    let (first, last) = (parts.first()?.off, parts.last()?.off);
    let place = |p: &Part| i64::from(p.off);
    let little = parts
        .iter()
        .all(|p| place(p) == i64::from(first) + p.shift as i64 / 8);
    let big = parts.iter().all(|p| {
        let above = end as i64 - p.shift as i64 - i64::from(p.size.bytes()) * 8;
        p.size == Size::B8 && place(p) == i64::from(last) + above / 8
    });
    // The latest of the loads: all parts were read before it without a change of memory.
    let loads = parts.iter().map(|p| p.load);
    let keep = loads.max_by_key(|v| fresh.place(*v))?;
    let load = |off| Op::Load {
        size,
        signed: false,
        addr,
        off,
    };
    match (little, big) {
        (true, _) => Some((
            keep,
            load(first),
            Op::Zext {
                from: size,
                a: keep,
            },
        )),
        (_, true) => Some((keep, load(last), Op::Swap { size, a: keep })),
        _ => None,
    }
}

/// Collects the parts of a value that is used nowhere else.
fn collect(
    func: &Func,
    uses: &[u32],
    v: Val,
    shift: u64,
    root: bool,
    parts: &mut Vec<Part>,
    depth: u32,
) -> Option<()> {
    if depth > 16 || parts.len() > 8 || (!root && uses[v.at()] != 1) {
        return None;
    }
    let depth = depth + 1;
    match func.op(v) {
        Op::Bin {
            op: BinOp::Alu(AluOp::Or | AluOp::Add),
            width,
            a,
            b,
        } => {
            // What a narrow sum cuts off must not count.
            if width == Width::W32 && shift != 0 {
                return None;
            }
            collect(func, uses, a, shift, false, parts, depth)?;
            collect(func, uses, b, shift, false, parts, depth)
        }
        Op::Bin {
            op: BinOp::Alu(AluOp::Lsh),
            width,
            a,
            b,
        } => {
            let by = func.constant(b)?;
            if by >= 64 || (width == Width::W32 && (shift != 0 || by >= 32)) {
                return None;
            }
            let before = parts.len();
            collect(func, uses, a, shift + by, false, parts, depth)?;
            let limit = match width {
                Width::W32 => 32,
                Width::W64 => 64,
            };
            let fits = parts[before..]
                .iter()
                .all(|p| p.shift + u64::from(p.size.bytes()) * 8 <= limit);
            fits.then_some(())
        }
        Op::Zext { from, a } => {
            let before = parts.len();
            collect(func, uses, a, shift, false, parts, depth)?;
            let limit = shift + u64::from(from.bytes()) * 8;
            let fits = parts[before..]
                .iter()
                .all(|p| p.shift + u64::from(p.size.bytes()) * 8 <= limit);
            fits.then_some(())
        }
        Op::Load {
            size,
            signed: false,
            addr,
            off,
        } => {
            parts.push(Part {
                load: v,
                shift,
                size,
                addr,
                off,
            });
            Some(())
        }
        _ => None,
    }
}

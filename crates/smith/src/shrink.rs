//! Makes a program that shows a fault smaller, as long as it still shows it.

use skep_abi::ProgFlags;
use skep_isa::Insn;

use crate::program::Program;

/// How long to try.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How often the smaller program is tried at most.
    pub trials: u32,
}

impl Default for Effort {
    fn default() -> Effort {
        Effort { trials: 3000 }
    }
}

/// Returns a program as small as it gets for which `shows` still holds. It holds for
/// `program` itself; cost is mostly that of `shows`.
pub fn shrink(
    program: &Program,
    effort: Effort,
    shows: &mut dyn FnMut(&Program) -> bool,
) -> Program {
    let mut best = program.clone();
    let mut left = effort.trials;
    let mut attempt = |best: &mut Program, next: Program| {
        if next == *best || left == 0 {
            return false;
        }
        left -= 1;
        let better = shows(&next);
        if better {
            *best = next;
        }
        better
    };
    loop {
        let before = best.clone();
        for flag in [
            ProgFlags::TEST_STATE_FREQ,
            ProgFlags::STRICT_ALIGNMENT,
            ProgFlags::ANY_ALIGNMENT,
            ProgFlags::TEST_RND_HI32,
        ] {
            let next = Program {
                flags: best.flags & !flag.0,
                ..best.clone()
            };
            attempt(&mut best, next);
        }
        let mut size = best.insns.len().next_power_of_two() / 2;
        while size > 0 {
            let mut at = 0;
            while at < best.insns.len() {
                let next = without(&best, at, size);
                if !attempt(&mut best, next) {
                    at += size;
                }
            }
            size /= 2;
        }
        for at in 0..best.insns.len() {
            for simpler in simpler(&best, at) {
                let mut next = best.clone();
                if let Some(insn) = next.insns.get_mut(at) {
                    *insn = simpler;
                    attempt(&mut best, next);
                }
            }
        }
        for at in (0..best.inputs.len()).rev() {
            if best.inputs.len() > 1 {
                let mut next = best.clone();
                next.inputs.remove(at);
                attempt(&mut best, next);
            }
        }
        if best == before {
            return best;
        }
    }
}

/// Where the instruction at a slot goes or refers to, when that is a slot.
fn target(insns: &[Insn], at: usize) -> Option<i64> {
    let insn = insns.get(at)?;
    let by = match (insn.code & 7, insn.code) {
        (6, 0x06) | (_, 0x85) if insn.code != 0x85 || insn.src == 1 => i64::from(insn.imm),
        (_, 0x18) if insn.src == 4 => i64::from(insn.imm),
        (_, 0x85 | 0x95 | 0x8d) => return None,
        (5 | 6, _) => i64::from(insn.off),
        _ => return None,
    };
    Some(at as i64 + 1 + by)
}

/// The program without up to `count` slots from `at` on. Jumps into the gap go to what
/// follows it; the two slots of a 64-bit load go together.
fn without(program: &Program, at: usize, count: usize) -> Program {
    let insns = &program.insns;
    let second = |slot: usize| {
        slot.checked_sub(1)
            .and_then(|before| insns.get(before))
            .is_some_and(|insn| insn.code == 0x18)
    };
    let mut end = (at + count).min(insns.len());
    let start = if second(at) { at.saturating_sub(1) } else { at };
    if second(end) {
        end = (end + 1).min(insns.len());
    }
    let gap = end - start;
    let moved = |slot: i64| {
        if slot <= start as i64 {
            slot
        } else if slot < end as i64 {
            start as i64
        } else {
            slot - gap as i64
        }
    };
    let mut kept = Vec::with_capacity(insns.len());
    for slot in (0..insns.len()).filter(|slot| !(start..end).contains(slot)) {
        let mut insn = insns.get(slot).copied().unwrap_or_default();
        if !second(slot)
            && let Some(to) = target(insns, slot)
        {
            let by = moved(to) - moved(slot as i64) - 1;
            if matches!(insn.code, 0x06 | 0x85 | 0x18) {
                insn.imm = by as i32;
            } else {
                insn.off = by as i16;
            }
        }
        kept.push(insn);
    }
    let map_slots = program.map_slots.iter();
    Program {
        insns: kept,
        map_slots: map_slots
            .filter(|(slot, _)| !(start..end).contains(slot))
            .map(|(slot, map)| (moved(*slot as i64) as usize, *map))
            .collect(),
        globals: program
            .globals
            .iter()
            .filter(|(slot, _)| *slot < start || *slot >= end)
            .map(|(slot, params)| (moved(*slot as i64) as usize, params.clone()))
            .collect(),
        ..program.clone()
    }
}

/// Instructions that could stand in place of the one at a slot.
fn simpler(program: &Program, at: usize) -> Vec<Insn> {
    let Some(insn) = program.insns.get(at).copied() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let refers = program.map_slots.iter().any(|(slot, _)| *slot == at);
    if refers || target(&program.insns, at).is_some_and(|_| matches!(insn.code, 0x85 | 0x18)) {
        return found;
    }
    let writes = matches!(insn.code & 7, 1 | 4 | 7);
    if writes && insn.code != 0xb7 && insn.dst < 10 {
        found.extend([0, 1].map(|imm| Insn::mov64_imm(insn.dst, imm)));
    }
    let by_number = insn.code & 8 == 0 && insn.code != 0x85;
    if by_number && matches!(insn.code & 7, 2 | 4 | 5 | 6 | 7) {
        let smaller = [0, 1, insn.imm / 2, insn.imm.wrapping_sub(insn.imm.signum())];
        found.extend(smaller.map(|imm| Insn { imm, ..insn }));
    }
    if matches!(insn.code & 7, 5 | 6) && insn.code & 8 != 0 {
        found.push(Insn {
            code: insn.code & !8,
            src: 0,
            imm: 0,
            ..insn
        });
    }
    found.retain(|other| *other != insn);
    found
}

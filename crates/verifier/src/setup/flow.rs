//! Where an instruction goes next.

use skep_isa::{Insn, class, jmp, pseudo};

/// `BPF_JMP | BPF_EXIT`.
pub const EXIT: u8 = class::JMP | jmp::EXIT;
/// `BPF_JMP | BPF_CALL`.
pub const CALL: u8 = class::JMP | jmp::CALL;
/// `BPF_JMP | BPF_JA`.
pub const JA: u8 = class::JMP | jmp::JA;
/// `BPF_JMP32 | BPF_JA`: the distance is in the immediate.
pub const JAL: u8 = class::JMP32 | jmp::JA;
/// `BPF_JMP | BPF_JCOND`.
pub const JCOND: u8 = class::JMP | jmp::JCOND;
/// `BPF_LD | BPF_IMM | BPF_DW`.
pub const LD_IMM64: u8 = 0x18;

/// Whether the instruction is a jump, a call or an exit.
pub fn is_jump_class(insn: Insn) -> bool {
    matches!(insn.code & 7, class::JMP | class::JMP32)
}

/// Whether the instruction jumps always or on a condition (no call, no exit).
pub fn is_jump(insn: Insn) -> bool {
    is_jump_class(insn) && !matches!(insn.code & 0xf0, jmp::CALL | jmp::EXIT)
}

/// Whether the instruction jumps always.
pub fn is_goto(insn: Insn) -> bool {
    matches!(insn.code, JA | JAL)
}

/// Whether the instruction calls a function of the program.
pub fn is_pseudo_call(insn: Insn) -> bool {
    insn.code == CALL && insn.src == pseudo::CALL
}

/// Whether the instruction calls a function of the kernel by BTF id.
pub fn is_kfunc_call(insn: Insn) -> bool {
    insn.code == CALL && insn.src == pseudo::KFUNC_CALL
}

/// Whether the instruction calls a helper.
pub fn is_helper_call(insn: Insn) -> bool {
    insn.code == CALL && insn.src == 0
}

/// Whether the instruction loads the address of a function of the program.
pub fn is_pseudo_func(insn: Insn) -> bool {
    insn.code == LD_IMM64 && insn.src == pseudo::FUNC
}

/// Whether the instruction may stop a loop that runs too long.
pub fn is_may_goto(insn: Insn) -> bool {
    insn.code == JCOND && insn.src == 0
}

/// The distance of a jump, counted from the next slot.
pub fn jump_delta(insn: Insn) -> i64 {
    if insn.code == JAL {
        i64::from(insn.imm)
    } else {
        i64::from(insn.off)
    }
}

/// How many slots the instruction takes.
pub fn slots(insn: Insn) -> u32 {
    if insn.code == LD_IMM64 { 2 } else { 1 }
}

/// Where a jump at `at` goes; it may lie outside the program.
pub fn target(insn: Insn, at: u32) -> i64 {
    i64::from(at) + 1 + jump_delta(insn)
}

/// Where the function that a call or function load at `at` names begins; it may lie outside.
pub fn callee(insn: Insn, at: u32) -> i64 {
    i64::from(at) + 1 + i64::from(insn.imm)
}

/// The instructions that may run after the one at `at`: the next one first, then where it
/// jumps to. Calls go on behind themselves, exits nowhere. Only for checked control flow.
#[inline]
pub fn successors(insns: &[Insn], at: u32) -> Successors {
    let insn = insns.get(at as usize).copied().unwrap_or_default();
    let end = insns.len() as u32;
    let within = |to: u32| if to < end { to } else { Successors::NONE };
    let (mut next, mut jump) = (within(at + slots(insn)), Successors::NONE);
    if is_jump_class(insn) {
        if insn.code == EXIT || is_goto(insn) {
            next = Successors::NONE;
        }
        if is_jump(insn) {
            let target = u32::try_from(target(insn, at));
            jump = within(target.unwrap_or(Successors::NONE));
        }
    }
    Successors { next, jump }
}

/// What may run after an instruction: at most two others.
#[derive(Clone, Copy, Debug)]
pub struct Successors {
    next: u32,
    jump: u32,
}

impl Successors {
    /// No instruction; programs are shorter.
    const NONE: u32 = u32::MAX;
}

impl Iterator for Successors {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let first = std::mem::replace(&mut self.next, Self::NONE);
        if first != Self::NONE {
            return Some(first);
        }
        let second = std::mem::replace(&mut self.jump, Self::NONE);
        (second != Self::NONE).then_some(second)
    }
}

/// Whether an instruction only ever leads to the next one, and no call is in it.
#[inline]
pub fn is_straight(insn: Insn) -> bool {
    !is_jump_class(insn) && !is_pseudo_func(insn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successors_by_form() {
        let insn = |code, src, off, imm| Insn {
            code,
            dst: 0,
            src,
            off,
            imm,
        };
        let nop = insn(0xb7, 0, 0, 0);
        let check = |first: Insn, expected: &[u32]| {
            let mut insns = vec![nop; 8];
            insns[2] = first;
            let got: Vec<u32> = successors(&insns, 2).collect();
            assert_eq!(got, expected, "{first:?}");
        };
        check(nop, &[3]);
        check(insn(0x95, 0, 0, 0), &[]);
        check(insn(0x05, 0, 3, 0), &[6]);
        check(insn(0x06, 0, 9, 2), &[5]);
        check(insn(0x15, 0, -2, 0), &[3, 1]);
        check(insn(0x16, 0, 0, 7), &[3, 3]);
        check(insn(0xe5, 0, 4, 0), &[3, 7]);
        check(insn(0x85, 1, 0, 3), &[3]);
        check(insn(0x85, 0, 0, 7), &[3]);
        check(insn(0x18, 4, 0, 1), &[4]);
        check(insn(0x05, 0, 100, 0), &[]);
    }
}

//! Which registers may still be read when an instruction is about to run.

use skep_isa::{Insn, Uses, class, first_args, mode, uses};

use crate::context::Verifier;
use crate::log::LEVEL2;
use crate::setup::{flow, helpers};

/// All of r0 to r10, and what lies beyond.
const EVERY: u16 = 0xffff;

/// Fills `live_regs` of every instruction, and prints the list at level 2.
pub fn compute(v: &mut Verifier<'_>) {
    let order = std::mem::take(&mut v.postorder);
    let each: Vec<Uses> = order.iter().map(|&at| uses_at(v, at as usize)).collect();
    // Where each instruction comes after all that may follow it, one round is enough. That is
    // not so in loops, nor of a place that several ways lead to (see `order::postorder`).
    let mut settled = vec![false; v.insns.len()];
    let mut is_early = false;
    for (&at, own) in order.iter().zip(&each) {
        round(v, own, at, |next| is_early |= !settled[next as usize]);
        settled[at as usize] = true;
    }
    let mut moved = is_early;
    while std::mem::replace(&mut moved, false) {
        for (&at, own) in order.iter().zip(&each) {
            moved |= round(v, own, at, |_| {});
        }
    }
    v.postorder = order;
    print(v);
}

/// What an instruction's successors say of it; whether that is new.
fn round(v: &mut Verifier<'_>, own: &Uses, at: u32, mut meet: impl FnMut(u32)) -> bool {
    let mut after = 0;
    for next in flow::successors(&v.insns, at) {
        meet(next);
        after |= v.aux[next as usize].live_regs;
    }
    let before = (after & !own.writes) | own.reads;
    let aux = &mut v.aux[at as usize];
    std::mem::replace(&mut aux.live_regs, before) != before
}

fn uses_at(v: &Verifier<'_>, at: usize) -> Uses {
    let insn = v.insns[at];
    let legacy = insn.code & 7 == class::LD && insn.code & 0xe0 != mode::IMM;
    if legacy {
        // Linux does not look into these: everything may be read.
        return Uses {
            reads: EVERY,
            writes: 0,
        };
    }
    uses(insn, first_args(argument_count(v, insn, at)))
}

/// How many argument registers a call takes; five when that is not known yet.
fn argument_count(v: &Verifier<'_>, insn: Insn, at: usize) -> u32 {
    if flow::is_kfunc_call(insn) {
        super::kfuncs::argument_count(v, at).unwrap_or(5)
    } else if flow::is_helper_call(insn) {
        helpers::argument_count(v, insn.imm).unwrap_or(5)
    } else {
        5
    }
}

fn print(v: &mut Verifier<'_>) {
    if !v.log.at(LEVEL2) {
        return;
    }
    v.log.write(format_args!("Live regs before insn:\n"));
    let mut at = 0;
    while at < v.insns.len() {
        let aux = &v.aux[at];
        let (scc, live) = (aux.scc, aux.live_regs);
        if scc != 0 {
            v.log.write(format_args!("{scc:3} "));
        } else {
            v.log.write(format_args!("    "));
        }
        v.log.write(format_args!("{at:3}: "));
        for reg in 0..10u8 {
            if live >> reg & 1 != 0 {
                v.log.write(format_args!("{reg}"));
            } else {
                v.log.write(format_args!("."));
            }
        }
        v.log.write(format_args!(" "));
        v.log_insn(at as u32);
        at += flow::slots(v.insns[at]) as usize;
    }
}

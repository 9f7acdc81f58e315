//! A program being changed: every instruction knows where it goes by its old place, so that
//! instructions can be added and taken away, and jumps are laid out once at the end.

use skep_catalog::helper_id::LOOP;
use skep_isa::Insn;

use crate::context::Verifier;
use crate::setup::flow;

/// What became of one instruction of the original program.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Where it was.
    pub old: u32,
    /// Whether it is still there.
    pub kept: bool,
    /// The instruction.
    pub insn: Insn,
    /// The second slot of a 64-bit load.
    pub second: Option<Insn>,
    /// The old place that a jump, call or function load leads to.
    pub target: Option<u32>,
    /// A speculation barrier stands before it; jumps to it begin with that.
    pub barrier_before: bool,
    /// What it gives is cut to its low half.
    pub cut: bool,
    /// A speculation barrier stands behind it.
    pub barrier_behind: bool,
}

impl Step {
    /// How many slots it takes now.
    pub fn len(&self) -> usize {
        if !self.kept {
            return 0;
        }
        let added = [
            self.second.is_some(),
            self.barrier_before,
            self.cut,
            self.barrier_behind,
        ];
        1 + added.into_iter().map(usize::from).sum::<usize>()
    }
}

/// The whole program.
#[derive(Clone, Debug)]
pub struct Draft {
    /// One step for each instruction, in order.
    pub steps: Vec<Step>,
    /// For each old slot, the step it belongs to.
    pub step_of: Vec<u32>,
    /// What occurs in it at all.
    pub has: Has,
}

/// Which instructions occur in a program, so that nobody looks for those that do not.
#[derive(Clone, Copy, Default, Debug)]
pub struct Has {
    /// Calls of the kernel's functions.
    pub kfuncs: bool,
    /// `may_goto`.
    pub may_goto: bool,
    /// Calls of `bpf_loop`.
    pub loops: bool,
}

impl Draft {
    /// The program as it was walked.
    pub fn of(v: &Verifier<'_>) -> Draft {
        let mut steps = Vec::with_capacity(v.insns.len());
        let mut step_of = Vec::with_capacity(v.insns.len());
        let mut has = Has::default();
        let mut at = 0u32;
        while let Some(&insn) = v.insns.get(at as usize) {
            let number = steps.len() as u32;
            let mut step = Step {
                old: at,
                kept: true,
                insn,
                second: None,
                target: None,
                barrier_before: false,
                cut: false,
                barrier_behind: false,
            };
            step_of.push(number);
            at += 1;
            if insn.code == flow::LD_IMM64 {
                step.second = Some(v.insns.get(at as usize).copied().unwrap_or_default());
                step_of.push(number);
                at += 1;
            }
            if insn.code == flow::LD_IMM64 || flow::is_jump_class(insn) {
                step.target = target(insn, step.old);
                has.kfuncs |= flow::is_kfunc_call(insn);
                has.may_goto |= flow::is_may_goto(insn);
                has.loops |= flow::is_helper_call(insn) && insn.imm == LOOP as i32;
            }
            steps.push(step);
        }
        Draft {
            steps,
            step_of,
            has,
        }
    }

    /// For each old slot, and for the end, where what was there begins now; for what is
    /// gone, where the next instruction begins.
    pub fn places(&self) -> Vec<u32> {
        let mut places = Vec::with_capacity(self.step_of.len() + 1);
        let mut next = 0u32;
        for step in &self.steps {
            places.push(next);
            if step.second.is_some() {
                places.push(next);
            }
            next += step.len() as u32;
        }
        places.push(next);
        places
    }
}

/// The place that a jump, a call or the load of a function's address leads to.
fn target(insn: Insn, at: u32) -> Option<u32> {
    let target = if flow::is_pseudo_call(insn) || flow::is_pseudo_func(insn) {
        flow::callee(insn, at)
    } else if flow::is_jump(insn) {
        flow::target(insn, at)
    } else {
        return None;
    };
    u32::try_from(target).ok()
}

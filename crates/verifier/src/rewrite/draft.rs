//! A program being changed: every instruction knows where it goes by its old place, so that
//! instructions can be added and taken away, and jumps are laid out once at the end.

use skep_isa::Insn;

use crate::context::Verifier;
use crate::setup::flow;

/// What became of one instruction of the original program.
#[derive(Clone, Debug)]
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
    /// Instructions put before it; jumps to it begin with them.
    pub before: Vec<Insn>,
    /// Instructions put after it.
    pub after: Vec<Insn>,
}

impl Step {
    /// How many slots it takes now.
    pub fn len(&self) -> usize {
        if !self.kept {
            return 0;
        }
        self.before.len() + 1 + usize::from(self.second.is_some()) + self.after.len()
    }
}

/// The whole program.
#[derive(Clone, Debug)]
pub struct Draft {
    /// One step for each instruction, in order.
    pub steps: Vec<Step>,
    /// For each old slot, the step it belongs to.
    pub step_of: Vec<usize>,
}

impl Draft {
    /// The program as it was walked.
    pub fn of(v: &Verifier<'_>) -> Draft {
        let mut steps = Vec::with_capacity(v.insns.len());
        let mut step_of = Vec::with_capacity(v.insns.len());
        let mut at = 0u32;
        while let Some(&insn) = v.insns.get(at as usize) {
            let slots = flow::slots(insn);
            let target = if flow::is_pseudo_call(insn) || flow::is_pseudo_func(insn) {
                Some(flow::callee(insn, at))
            } else if flow::is_jump(insn) {
                Some(flow::target(insn, at))
            } else {
                None
            };
            step_of.extend(std::iter::repeat_n(steps.len(), slots as usize));
            steps.push(Step {
                old: at,
                kept: true,
                insn,
                second: (slots == 2)
                    .then(|| v.insns.get(at as usize + 1).copied().unwrap_or_default()),
                target: target.and_then(|to| u32::try_from(to).ok()),
                before: Vec::new(),
                after: Vec::new(),
            });
            at += slots;
        }
        Draft { steps, step_of }
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

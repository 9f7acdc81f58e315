//! Does the concrete machine lie inside what the verifier claimed of this point?

use std::fmt;

use skep_verifier::{RecordedReg, RecordedState};

use crate::cell::Regs;
use crate::memory::Stack;

/// The place of a value that a state speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// A register.
    Register(u8),
    /// A stack slot, 0 lying at r10-8.
    Slot(u32),
}

/// A value outside every state that the verifier recorded: the verifier was wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The instruction of the original program that was about to run.
    pub insn: u32,
    /// The depth of the call chain.
    pub frame: u32,
    /// The first place that does not fit, in the state that fitted furthest.
    pub place: Claim,
    /// What was found there.
    pub value: u64,
    /// What that state claims of it.
    pub claimed: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation {
            insn,
            frame,
            place,
            value,
            claimed,
        } = self;
        let place = match place {
            Claim::Register(r) => format!("r{r}"),
            Claim::Slot(slot) => format!("fp-{}", 8 * (u64::from(*slot) + 1)),
        };
        write!(
            f,
            "unsound: before insn {insn} in frame {frame}, {place} = {value:#x} lies outside \
             {claimed}"
        )
    }
}

/// The recorded states of a program, found by instruction.
#[derive(Debug, Default)]
pub(crate) struct States {
    /// Sorted by instruction and frame.
    states: Vec<RecordedState>,
    /// For each instruction, where its states begin; one more than there are instructions.
    starts: Vec<u32>,
}

impl States {
    pub(crate) fn new(recorded: &[RecordedState]) -> States {
        let mut states = recorded.to_vec();
        states.sort_by_key(|s| (s.insn, s.frame));
        let last = states.last().map_or(0, |s| s.insn as usize + 2);
        let starts = (0..last)
            .map(|insn| states.partition_point(|s| (s.insn as usize) < insn) as u32)
            .collect();
        States { states, starts }
    }

    /// The states recorded for an instruction in a frame.
    fn at(&self, insn: u32, frame: u32) -> &[RecordedState] {
        let start = |i: usize| self.starts.get(i).map(|s| *s as usize);
        let (Some(from), Some(to)) = (start(insn as usize), start(insn as usize + 1)) else {
            return &[];
        };
        let states = self.states.get(from..to).unwrap_or(&[]);
        let low = states.partition_point(|s| s.frame < frame);
        let high = states.partition_point(|s| s.frame <= frame);
        states.get(low..high).unwrap_or(&[])
    }

    /// Demands that one state recorded for the instruction and frame contains the machine;
    /// says nothing where none is recorded.
    ///
    /// Errors: a [`Violation`].
    pub(crate) fn check(
        &self,
        insn: u32,
        frame: u32,
        regs: &Regs,
        stack: &Stack,
        live: u32,
    ) -> Result<(), Box<Violation>> {
        let mut worst: Option<(usize, Claim, u64, RecordedReg)> = None;
        for state in self.at(insn, frame) {
            match misfit(state, regs, stack, live) {
                None => return Ok(()),
                Some(misfit) if worst.is_none_or(|w| misfit.0 > w.0) => worst = Some(misfit),
                Some(_) => {}
            }
        }
        match worst {
            None => Ok(()),
            Some((_, place, value, claimed)) => {
                let claimed = describe(claimed);
                Err(Box::new(Violation {
                    insn,
                    frame,
                    place,
                    value,
                    claimed,
                }))
            }
        }
    }
}

/// The first place of a state that the machine does not fit, and how many fitted before.
fn misfit(
    state: &RecordedState,
    regs: &Regs,
    stack: &Stack,
    live: u32,
) -> Option<(usize, Claim, u64, RecordedReg)> {
    for (number, (claimed, value)) in state.regs.iter().zip(regs).enumerate() {
        if !holds(claimed, *value) {
            return Some((number, Claim::Register(number as u8), *value, *claimed));
        }
    }
    let top = regs[10];
    for (number, (slot, claimed)) in state.slots.iter().enumerate() {
        let addr = top.wrapping_sub(8 * (u64::from(*slot) + 1));
        if let Some(value) = stack.word(live, addr)
            && !holds(claimed, value)
        {
            return Some((
                state.regs.len() + number,
                Claim::Slot(*slot),
                value,
                *claimed,
            ));
        }
    }
    None
}

fn holds(claimed: &RecordedReg, value: u64) -> bool {
    match claimed {
        RecordedReg::Any | RecordedReg::PointerOrNull => true,
        RecordedReg::Scalar(scalar) => scalar.contains(value),
        RecordedReg::Pointer => value != 0,
    }
}

fn describe(claimed: RecordedReg) -> String {
    match claimed {
        RecordedReg::Scalar(s) => format!(
            "umin={:#x} umax={:#x} smin={} smax={} u32={:#x}..{:#x} s32={}..{} bits {:#x}/{:#x}",
            s.umin,
            s.umax,
            s.smin,
            s.smax,
            s.u32_min,
            s.u32_max,
            s.s32_min,
            s.s32_max,
            s.var_off.value,
            s.var_off.mask
        ),
        RecordedReg::Pointer => "a pointer".to_owned(),
        RecordedReg::Any | RecordedReg::PointerOrNull => "anything".to_owned(),
    }
}

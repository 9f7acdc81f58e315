//! What a state claims, as the checking interpreter can test it.

use crate::env::{RecordedReg, RecordedState};
use crate::state::{Kind, Reg, State};

/// The claims of the innermost frame before `insn`, about the registers in the mask `live`:
/// a path that ended in a kept state may differ from it in all others.
pub fn of(state: &State, insn: u32, live: u16) -> RecordedState {
    let frame = state.frame();
    let mut regs = frame.regs.map(|reg| claim(&reg));
    for (number, reg) in regs.iter_mut().enumerate() {
        if number < 10 && live >> number & 1 == 0 {
            *reg = RecordedReg::Any;
        }
    }
    RecordedState {
        insn,
        frame: state.depth() as u32,
        regs,
        slots: frame
            .stack
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.is_full_spill())
            .map(|(index, slot)| (index as u32, claim(&slot.spilled)))
            .collect(),
    }
}

fn claim(reg: &Reg) -> RecordedReg {
    match reg.kind {
        Kind::NotInit => RecordedReg::Any,
        Kind::Scalar => RecordedReg::Scalar(reg.num),
        _ if reg.maybe_null() => RecordedReg::PointerOrNull,
        // These may be any address, zero included; a function that is never called is none.
        Kind::Arena | Kind::BtfId | Kind::Mem | Kind::Func => RecordedReg::Any,
        _ => RecordedReg::Pointer,
    }
}

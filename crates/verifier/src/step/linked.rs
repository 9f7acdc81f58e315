//! Numbers that are copies of each other, or at a constant distance: what is learnt of one
//! is learnt of all.

use skep_domain::{Alu, Scalar, alu64};

use crate::context::InsnAux;
use crate::explore::backtrack::LINKED_MAX;
use crate::state::reg::{ADD_CONST, ADD_CONST32};
use crate::state::{Kind, Reg, State};

/// Where a linked number is: frame, register or slot, and its number.
pub type Place = (u8, bool, u8);

/// The places that hold a number with this id. A number that finds no room loses its link.
///
/// Registers that are dead at the instruction of their frame do not count.
pub fn collect(state: &mut State, aux: &[InsnAux], id: u32, places: &mut Vec<Place>) {
    let id = id & !ADD_CONST;
    let callsites: Vec<u32> = state.frames[1..].iter().map(|f| f.callsite).collect();
    let here = state.insn;
    let mut add = |reg: &mut Reg, place: Place| {
        if reg.kind != Kind::Scalar || reg.id & !ADD_CONST != id {
            return;
        }
        if places.len() < LINKED_MAX {
            places.push(place);
        } else {
            reg.id = 0;
        }
    };
    for (depth, frame) in state.frames.iter_mut().enumerate().rev() {
        let at = callsites.get(depth).copied().unwrap_or(here);
        let live = aux.get(at as usize).map_or(!0, |aux| aux.live_regs);
        for (number, reg) in frame.regs[..10].iter_mut().enumerate() {
            if live & (1 << number) == 0 {
                continue;
            }
            add(reg, (depth as u8, true, number as u8));
        }
        for (index, slot) in frame.stack.iter_mut().enumerate() {
            if slot.is_spill() {
                add(&mut slot.spilled, (depth as u8, false, index as u8));
            }
        }
    }
}

fn place_in(state: &mut State, place: Place) -> Option<&mut Reg> {
    let (frame, is_reg, number) = place;
    let frame = state.frames.get_mut(frame as usize)?;
    if is_reg {
        frame.regs.get_mut(number as usize)
    } else {
        Some(&mut frame.stack.get_mut(number as usize)?.spilled)
    }
}

/// Brings the places up to date with what `known`, at `at`, has become.
pub fn sync(state: &mut State, known: Reg, at: Place, places: &[Place]) {
    for &place in places {
        if place == at {
            continue;
        }
        let Some(reg) = place_in(state, place) else {
            continue;
        };
        if reg.kind != Kind::Scalar || (reg.id ^ known.id) & !ADD_CONST != 0 {
            continue;
        }
        let (own, its) = (reg.id & ADD_CONST, known.id & ADD_CONST);
        if own != 0 && its != 0 && own != its {
            // A distance in 32 bits says nothing of one in 64.
            continue;
        }
        if own | its == 0 || reg.off == known.off {
            *reg = Reg {
                subreg_def: reg.subreg_def,
                ..known
            };
            continue;
        }
        let delta = i64::from(reg.off).wrapping_sub(i64::from(known.off));
        let mut num = known.num;
        alu64(Alu::Add, &mut num, &Scalar::known(delta as u64));
        if (own | its) & ADD_CONST32 != 0 {
            num.mov32();
        }
        *reg = Reg {
            num,
            subreg_def: reg.subreg_def,
            off: reg.off,
            id: reg.id,
            ..known
        };
    }
}

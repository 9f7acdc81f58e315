//! The statements that programs are made of, one file for each concept.

mod arith;
mod atomic;
mod branch;
pub(crate) mod call;
mod ctx;
mod dynptr;
mod helper;
mod kernel;
mod lock;
mod loops;
mod map;
mod memory;
pub(crate) mod packet;
mod stack;

use skep_isa::{Insn, alu, size};

use crate::model::Kind;
use crate::smith::{Role, Smith};

type Statement = fn(&mut Smith<'_, '_>);

/// The statements and how often each is chosen. One that makes no sense at a point writes
/// a simple one in its place.
const STATEMENTS: &[(u32, Statement)] = &[
    (22, arith::arithmetic),
    (8, arith::number),
    (14, stack::store_or_load),
    (5, stack::spill_or_fill),
    (4, stack::variable_offset),
    (14, branch::branch),
    (4, branch::bounded),
    (4, loops::counted),
    (2, loops::may_goto),
    (3, call::subprogram),
    (3, kernel::iterator),
    (1, kernel::section),
    (2, dynptr::dynptr),
    (2, dynptr::packet),
    (1, kernel::throw),
    (2, lock::locked),
    (1, lock::timer),
    (2, map::inner),
    (3, call::callback),
    (10, map::lookup),
    (3, map::change),
    (2, map::direct),
    (3, map::ring),
    (8, memory::through_pointer),
    (8, packet::check),
    (8, ctx::access),
    (5, helper::call),
    (4, atomic::atomic),
    (1, helper::tail_call),
    (3, helper::legacy_load),
];

/// Writes one statement.
pub(crate) fn statement(s: &mut Smith<'_, '_>) {
    let total = STATEMENTS.iter().map(|(weight, _)| weight).sum();
    let mut at = s.source.below(total);
    for (weight, write) in STATEMENTS {
        if at < *weight {
            return write(s);
        }
        at -= weight;
    }
}

/// A width of a load or store: the code and the bytes.
pub(crate) fn width(s: &mut Smith<'_, '_>) -> (u8, i16) {
    s.source.one_of([
        (size::B, 1),
        (size::H, 2),
        (size::W, 4),
        (size::DW, 8),
        (size::DW, 8),
    ])
}

/// What a load of so many bytes gives.
pub(crate) fn loaded(bytes: i16, signed: bool) -> Kind {
    match (bytes, signed) {
        (1, false) => Kind::Number(Some(0xff)),
        (2, false) => Kind::Number(Some(0xffff)),
        _ => Kind::ANY_NUMBER,
    }
}

/// Ends the function, with a value that it may return.
pub(crate) fn finish(s: &mut Smith<'_, '_>) {
    let range = match s.role {
        Role::Entry => s.profile.range,
        Role::Subprogram | Role::Global => None,
        Role::Callback => Some((0, 1)),
        Role::Later => Some((0, 0)),
    };
    if s.slip() {
        s.push(Insn::exit());
        return;
    }
    let last = s.model.get(0);
    match range {
        Some((low, high)) => {
            let mask = (high as u32).next_power_of_two() as i32 - 1;
            if low == 0 && high == mask.max(1) && last.is_number() && s.source.coin() {
                s.push(Insn::alu64_imm(alu::AND, 0, high));
            } else {
                let imm = s.source.between(low, high);
                s.push(Insn::mov64_imm(0, imm));
            }
        }
        None if last.is_number() && s.source.coin() => {}
        None => {
            let from = s.number();
            s.push(Insn::mov64_reg(0, from));
        }
    }
    s.push(Insn::exit());
}

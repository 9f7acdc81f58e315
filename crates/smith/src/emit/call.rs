//! Calls of the program's own functions, and functions that helpers call.

use skep_isa::{Insn, pseudo};

use super::arith::bounded;
use super::stack::buffer;
use crate::model::Kind;
use crate::program::Param;
use crate::smith::{Role, Smith};
use crate::world::MAPS;

const LOOP: i32 = 181;
const FOR_EACH_MAP_ELEM: i32 = 164;

/// Puts something into an argument register; what it is.
fn argument(s: &mut Smith<'_, '_>, reg: u8) -> Kind {
    let lasting: Vec<u8> = (6..10)
        .filter(|reg| matches!(s.model.get(*reg), Kind::Number(_) | Kind::Ctx))
        .collect();
    match s.source.below(4) {
        0 => {
            let bytes = 8 * (1 + s.source.below(3));
            let at = buffer(s, bytes);
            s.point_to_stack(reg, at);
            Kind::Lent(bytes as i16)
        }
        1 => {
            let imm = s.source.imm();
            s.set_imm(reg, imm);
            Kind::ANY_NUMBER
        }
        _ => match s.source.pick(&lasting) {
            Some(from) => {
                s.copy(reg, from);
                match s.model.get(from) {
                    Kind::Ctx => Kind::Ctx,
                    _ => Kind::ANY_NUMBER,
                }
            }
            None => {
                s.set_imm(reg, 0);
                Kind::ANY_NUMBER
            }
        },
    }
}

/// Calls a function of the program, a new one or one that is there.
pub(crate) fn subprogram(s: &mut Smith<'_, '_>) {
    if s.profile.unprivileged && !s.slip() {
        return super::arith::arithmetic(s);
    }
    if s.source.coin()
        && let Some((callee, wanted)) = reusable(s)
    {
        for (reg, kind) in (1u8..).zip(wanted) {
            match kind {
                Kind::Lent(bytes) => {
                    let at = buffer(s, bytes as u32);
                    s.point_to_stack(reg, at);
                }
                Kind::Ctx => {
                    let from = s.ctx().unwrap_or(6);
                    s.copy(reg, from);
                }
                _ => {
                    let imm = s.source.imm();
                    s.set_imm(reg, imm);
                }
            }
        }
        s.f.push_call(callee);
        s.model.called(Kind::ANY_NUMBER);
        return;
    }
    if !s.may_define() {
        return super::arith::arithmetic(s);
    }
    let count = s.source.below(4) as u8;
    let args: Vec<Kind> = (1..=count).map(|reg| argument(s, reg)).collect();
    let globally = !s.profile.unprivileged && s.source.below(3) == 0;
    let callee = if globally {
        let params = parameters(s, &args);
        let kinds = accepted(&args, &params);
        let callee = s.define(Role::Global, &kinds);
        s.globals.push((callee, params));
        callee
    } else {
        s.define(Role::Subprogram, &args)
    };
    s.signatures.push((callee, args));
    s.f.push_call(callee);
    s.model.called(Kind::ANY_NUMBER);
}

/// What the types of a global function say of what it is given.
fn parameters(s: &mut Smith<'_, '_>, args: &[Kind]) -> Vec<Param> {
    let params = args.iter().map(|kind| {
        let kind = if s.slip() { Kind::ANY_NUMBER } else { *kind };
        match kind {
            Kind::Ctx => Param::Ctx {
                tagged: s.source.coin(),
            },
            Kind::Lent(bytes) => Param::Mem {
                bytes: bytes as u32 + if s.slip() { 8 } else { 0 },
                nonnull: s.source.coin(),
            },
            _ => Param::Number,
        }
    });
    params.collect()
}

/// What a global function may take its arguments for.
fn accepted(args: &[Kind], params: &[Param]) -> Vec<Kind> {
    let pairs = args.iter().zip(params);
    pairs
        .map(|(kind, param)| match (kind, param) {
            (Kind::Ctx | Kind::Lent(_), Param::Number) => Kind::ANY_NUMBER,
            _ => *kind,
        })
        .collect()
}

/// Leaves a global function when memory that it may be given is not there.
pub(crate) fn check_arguments(s: &mut Smith<'_, '_>, args: &[Kind]) {
    for (reg, kind) in (1u8..).zip(args) {
        if matches!(kind, Kind::Lent(_)) && !s.slip() {
            s.push(Insn::jmp_imm(skep_isa::jmp::JNE, reg, 0, 2));
            s.push(Insn::mov64_imm(0, 0));
            s.push(Insn::exit());
        }
    }
}

/// A finished function that can be called here. One that calls others would make the chain
/// too deep, so only the entry function calls those again.
fn reusable(s: &mut Smith<'_, '_>) -> Option<(usize, Vec<Kind>)> {
    if s.role != Role::Entry || s.signatures.is_empty() {
        return None;
    }
    let at = s.source.below(s.signatures.len() as u32) as usize;
    let found = s.signatures.get(at).cloned()?;
    let has_ctx = s.ctx().is_some_and(|reg| reg >= 6);
    (has_ctx || !found.1.contains(&Kind::Ctx)).then_some(found)
}

/// `bpf_loop` or `bpf_for_each_map_elem` with a function of its own.
pub(crate) fn callback(s: &mut Smith<'_, '_>) {
    if !s.may_define() || s.profile.unprivileged || s.loops > 1 {
        return super::arith::arithmetic(s);
    }
    let iterated: Vec<usize> = (0..MAPS.len())
        .filter(|at| {
            MAPS.get(*at)
                .is_some_and(|def| def.is_looked_up() && def.reads())
        })
        .collect();
    let map = s.source.pick(&iterated).filter(|_| s.source.below(3) == 0);
    // Which element of a hash table comes first is nobody's promise.
    s.volatile |= map
        .and_then(|map| MAPS.get(map))
        .is_some_and(|def| !def.is_array());
    let bytes = 8 * (1 + s.source.below(3));
    let lends = s.source.below(4) != 0;
    let lent = if lends {
        Kind::Lent(bytes as i16)
    } else {
        Kind::ANY_NUMBER
    };
    let args = match map {
        Some(map) => vec![Kind::Unset, Kind::Unset, Kind::Value { map, off: 0 }, lent],
        None => vec![Kind::ANY_NUMBER, lent],
    };
    let callee = s.define(Role::Callback, &args);
    match map {
        Some(map) => s.f.push_map(1, pseudo::MAP_FD, map, 0),
        None if s.source.coin() => {
            let count = s.source.below(12) as i32;
            s.set_imm(1, count);
        }
        None => {
            let count = bounded(s, 15);
            s.push(Insn::mov64_reg(1, count));
        }
    }
    s.model.set(1, Kind::Unset);
    if lends {
        s.lock(1);
        let at = buffer(s, bytes);
        s.locked &= !2;
        s.point_to_stack(3, at);
    } else {
        s.set_imm(3, 0);
    }
    s.f.push_function(2, callee);
    let flags = if s.slip() { s.source.imm() } else { 0 };
    s.set_imm(4, flags);
    s.push(Insn::call_helper(if map.is_some() {
        FOR_EACH_MAP_ELEM
    } else {
        LOOP
    }));
    s.model.called(Kind::ANY_NUMBER);
}

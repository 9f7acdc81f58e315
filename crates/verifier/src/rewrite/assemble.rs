//! Lays the changed program out and resolves what it refers to.

use std::collections::BTreeMap;

use skep_isa::{Insn, class, pseudo};

use crate::context::{Res, Stop, Verifier};
use crate::env::{Executable, FunctionFacts, Subprogram};
use crate::refuse;
use crate::rewrite::draft::{Draft, Step};
use crate::rewrite::{arena, extra_stack, lost_function};
use crate::setup::{flow, stack_depth};

/// `w0 = w0`.
const CUT: Insn = Insn::mov32_reg(0, 0);

/// Builds the executable.
///
/// # Errors
/// `ERANGE` when a jump no longer reaches; `EFAULT` for a reference to a function that is
/// gone.
pub fn run(v: &mut Verifier<'_>, draft: &Draft) -> Res<Executable> {
    let places = draft.places();
    let mut executable = Executable {
        maps: v.maps.iter().map(|map| map.id).collect(),
        subprograms: subprograms(v, &places),
        changes_packet: v.subprogs.first().is_some_and(|s| s.changes_packet),
        max_stack_depth: stack_depth::deepest(v),
        arena: v.arena().map(|map| map.id),
        ..Executable::default()
    };
    let slots = places.last().map_or(0, |&end| end as usize);
    executable.insns.reserve_exact(slots);
    executable.origin.reserve_exact(slots);
    let mut lost = BTreeMap::new();
    for step in draft.steps.iter().filter(|step| step.kept) {
        if step.barrier_before {
            executable.insns.push(Insn::nospec());
        }
        let at = executable.insns.len() as u32;
        let insn = match step.insn.class() {
            class::ALU | class::ALU64 => step.insn,
            class::LDX | class::ST | class::STX => {
                if is_probed(v, step) {
                    executable.probed.push(at);
                }
                if arena::is_access(v, step) {
                    executable.in_arena.push(at);
                }
                step.insn
            }
            _ if flow::is_pseudo_func(step.insn) => {
                let subprograms = &executable.subprograms;
                function_load(v, draft, step, &places, subprograms, &mut lost)?
            }
            _ => resolve(v, step, at, &places)?,
        };
        executable.insns.push(insn);
        if let Some(second) = step.second {
            executable.insns.push(second_slot(v, step, second));
        }
        if step.cut {
            executable.insns.push(CUT);
        }
        if step.barrier_behind {
            executable.insns.push(Insn::nospec());
        }
        executable.origin.resize(executable.insns.len(), step.old);
    }
    executable.exception_callback = v.exception_callback.and_then(|start| {
        let place = *places.get(start as usize)?;
        let all = &executable.subprograms;
        let at = all.binary_search_by_key(&place, |s| s.start).ok()?;
        u32::try_from(at).ok()
    });
    executable.kfuncs = kfuncs(v, draft);
    Ok(executable)
}

/// Whether an instruction loads what may not be there.
fn is_probed(v: &Verifier<'_>, step: &Step) -> bool {
    step.insn.class() == class::LDX && v.aux[step.old as usize].probed
}

/// The kernel functions that are called, by number, with their BTF ids.
fn kfuncs(v: &Verifier<'_>, draft: &Draft) -> Vec<(u32, u32)> {
    if !draft.has.kfuncs {
        return Vec::new();
    }
    let calls = draft.steps.iter().filter(|step| step.kept);
    let mut all: Vec<(u32, u32)> = calls
        .filter(|step| flow::is_kfunc_call(step.insn))
        .filter_map(|step| {
            let kfunc = v.aux.get(step.old as usize)?.kfunc?;
            Some((kfunc.number(), step.insn.imm as u32))
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The functions that are still there.
fn subprograms(v: &Verifier<'_>, places: &[u32]) -> Vec<Subprogram> {
    let place = |old: u32| places.get(old as usize).copied().unwrap_or_default();
    let all = v.subprogs.windows(2).map(|pair| Subprogram {
        start: place(pair[0].start),
        end: place(pair[1].start),
        stack_depth: pair[0].stack_depth + pair[0].stack_extra,
        has_tail_call: pair[0].has_tail_call,
        facts: FunctionFacts {
            btf_id: pair[0].btf_func,
            unreliable: pair[0].args_unreliable,
            changes_packet: pair[0].changes_packet,
            might_sleep: pair[0].might_sleep,
            is_exception_callback: pair[0].is_exception_callback,
        },
    });
    all.filter(|subprogram| subprogram.start < subprogram.end)
        .collect()
}

/// The instruction with its distances and references as they are in the new layout.
fn resolve(v: &mut Verifier<'_>, step: &Step, at: u32, places: &[u32]) -> Res<Insn> {
    let mut insn = step.insn;
    if insn.code == flow::LD_IMM64
        && let Some((map, _)) = v.aux[step.old as usize].map
    {
        let value = matches!(insn.src, pseudo::MAP_VALUE | pseudo::MAP_IDX_VALUE);
        insn.src = if value {
            pseudo::MAP_VALUE
        } else {
            pseudo::MAP_FD
        };
        insn.imm = map as i32;
        return Ok(insn);
    }
    if flow::is_kfunc_call(insn)
        && let Some(kfunc) = v.aux[step.old as usize].kfunc
    {
        (insn.src, insn.off, insn.imm) = (0, 0, kfunc.number() as i32);
        return Ok(insn);
    }
    let Some(target) = step.target else {
        return Ok(insn);
    };
    let Some(&to) = places.get(target as usize) else {
        return Err(Stop::Reject(skep_abi::Errno::EFAULT));
    };
    let distance = i64::from(to) - i64::from(at) - 1;
    if flow::is_pseudo_call(insn) || insn.code == flow::JAL {
        insn.imm = distance as i32;
    } else if let Ok(off) = i16::try_from(distance) {
        insn.off = off;
    } else {
        let old = step.old;
        refuse!(
            v,
            ERANGE,
            "insn {old} cannot be patched due to 16-bit range"
        );
    }
    Ok(insn)
}

/// The load of a function's address as the load of its index. `lost` holds where the loads of
/// functions that are gone lead, which takes long to find.
fn function_load(
    v: &mut Verifier<'_>,
    draft: &Draft,
    step: &Step,
    places: &[u32],
    subprograms: &[Subprogram],
    lost: &mut BTreeMap<u32, Lost>,
) -> Res<Insn> {
    let mut insn = step.insn;
    let old = step.target.unwrap_or_default();
    let index_of = |place: u32| subprograms.binary_search_by_key(&place, |s| s.start);
    let lives = v.aux.get(old as usize).is_some_and(|aux| aux.seen);
    if lives && let Some(Ok(index)) = places.get(old as usize).map(|place| index_of(*place)) {
        insn.imm = index as i32;
        return Ok(insn);
    }
    // No path calls the function, so that nothing depends on the address that is loaded.
    // Linux puts a function of its own behind a program that throws and catches nothing.
    let lost = lost.entry(old).or_insert_with(|| {
        let own = extra_stack::throws_uncaught(v, draft);
        let (place, shown) = lost_function::place(v, draft, old, places);
        // What leads to the end or past it leads past that function as well.
        let past = own && places.last().is_some_and(|end| place >= *end);
        Lost {
            own,
            place,
            shown: shown + if past { extra_stack::CATCHER } else { 0 },
        }
    });
    if subprograms.len() > 1 || lost.own {
        let shown = lost.shown;
        if index_of(lost.place).is_err() {
            refuse!(
                v,
                EFAULT,
                "verifier bug: No program to jit at insn {shown} (subprog < 0)"
            );
        }
    }
    (insn.src, insn.imm) = (0, 0);
    Ok(insn)
}

/// Where the load of a function that is gone leads.
struct Lost {
    /// The program ends with a function that Linux put there.
    own: bool,
    /// In the new layout.
    place: u32,
    /// As Linux counts it.
    shown: u32,
}

fn second_slot(v: &Verifier<'_>, step: &Step, second: Insn) -> Insn {
    match v.aux[step.old as usize].map {
        Some((_, offset)) if step.insn.code == flow::LD_IMM64 => Insn {
            imm: offset as i32,
            ..Insn::default()
        },
        _ => second,
    }
}

//! Which functions a program consists of, and whether each is whole.

use skep_isa::{class, mode};

use crate::context::{Res, Subprog, Verifier};
use crate::log::LEVEL2;
use crate::refuse;
use crate::setup::{SubprogRange, flow};

/// The most functions a program may have.
const MAX_SUBPROGS: usize = 256;
/// The number of the helper that calls another program.
const TAIL_CALL: i32 = 12;

/// Finds the functions: the entry, and what calls and function loads name. Prints the list
/// at level 2 and ends it with an entry for the end of the program.
///
/// # Errors
/// `EINVAL` for a callee outside the program, `E2BIG` for too many, `EPERM` without
/// `CAP_BPF`; unsupported for calls of kernel functions.
pub fn find(v: &mut Verifier<'_>) -> Res {
    let mut starts = vec![0u32];
    let outcome = collect(v, &mut starts);
    starts.push(v.insns.len() as u32);
    // Those found before a refusal are there too, for the figures.
    v.subprogs = starts
        .into_iter()
        .map(|start| Subprog {
            start,
            fastcall_stack_off: super::fastcall::NO_PATTERN,
            ..Subprog::default()
        })
        .collect();
    outcome?;
    if let Some(subprog) = v
        .exception_callback
        .and_then(|start| v.subprog_starting_at(i64::from(start)))
    {
        let subprog = &mut v.subprogs[subprog];
        // It starts on its own, and is walked whether or not anything throws.
        subprog.is_callback = true;
        subprog.is_async_callback = true;
        subprog.is_exception_callback = true;
        subprog.called = true;
    }
    v.insn_idx = u32::MAX;
    if v.log.at(LEVEL2) {
        for index in 0..v.subprog_count() {
            let start = v.subprogs[index].start;
            v.log.write(format_args!("func#{index} @{start}\n"));
        }
    }
    Ok(())
}

fn collect(v: &mut Verifier<'_>, starts: &mut Vec<u32>) -> Res {
    for at in 0..v.insns.len() as u32 {
        let insn = v.insns[at as usize];
        let local = flow::is_pseudo_call(insn) || flow::is_pseudo_func(insn);
        if !local && !flow::is_kfunc_call(insn) {
            continue;
        }
        v.insn_idx = at;
        if !v.request.privilege.bpf_capable {
            refuse!(
                v,
                EPERM,
                "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN"
            );
        }
        if !local {
            super::kfuncs::check(v, at)?;
            continue;
        }
        let callee = flow::callee(insn, at);
        if callee < 0 || callee >= v.insns.len() as i64 {
            refuse!(v, EINVAL, "call to invalid destination");
        }
        add(v, starts, callee as u32)?;
    }
    v.exception_callback = super::btf_info::exception_callback(v)?;
    match v.exception_callback {
        Some(start) if (start as usize) < v.insns.len() => add(v, starts, start),
        Some(_) => refuse!(v, EINVAL, "call to invalid destination"),
        None => Ok(()),
    }
}

fn add(v: &mut Verifier<'_>, starts: &mut Vec<u32>, start: u32) -> Res {
    if let Err(place) = starts.binary_search(&start) {
        if starts.len() >= MAX_SUBPROGS {
            refuse!(v, E2BIG, "too many subprograms");
        }
        starts.insert(place, start);
    }
    Ok(())
}

/// Checks that no jump leaves its function and that each function ends by leaving it;
/// notes which functions call other programs or use legacy packet loads.
///
/// # Errors
/// `EINVAL` with the jump or the fact that the last instruction runs on.
pub fn check(v: &mut Verifier<'_>) -> Res {
    for index in 0..v.subprogs.len().saturating_sub(1) {
        let SubprogRange { start, end, .. } = v.range_of(index);
        for at in start..end {
            let insn = v.insns[at as usize];
            v.insn_idx = at;
            if flow::is_helper_call(insn) && insn.imm == TAIL_CALL {
                v.subprogs[index].has_tail_call = true;
                v.subprogs[index].tail_call_reachable = true;
            }
            if insn.code & 7 == class::LD && matches!(insn.code & 0xe0, mode::ABS | mode::IND) {
                v.subprogs[index].has_ld_abs = true;
            }
            if flow::is_jump(insn) {
                let target = flow::target(insn, at);
                if target < i64::from(start) || target >= i64::from(end) {
                    refuse!(v, EINVAL, "jump out of range from insn {at} to {target}");
                }
            }
            if at + 1 == end && insn.code != flow::EXIT && !flow::is_goto(insn) {
                refuse!(v, EINVAL, "last insn is not an exit or jmp");
            }
        }
    }
    v.insn_idx = u32::MAX;
    Ok(())
}

impl Verifier<'_> {
    /// How many functions the program has.
    pub fn subprog_count(&self) -> usize {
        self.subprogs.len().saturating_sub(1)
    }

    /// Where a function lies; empty when there is no such function.
    pub fn range_of(&self, index: usize) -> SubprogRange {
        let start = |i: usize| self.subprogs.get(i).map_or(0, |s| s.start);
        SubprogRange {
            index: index as u32,
            start: start(index),
            end: start(index + 1),
        }
    }

    /// The function that begins at an instruction.
    pub fn subprog_starting_at(&self, insn: i64) -> Option<usize> {
        let insn = u32::try_from(insn).ok()?;
        let functions = &self.subprogs[..self.subprog_count()];
        functions.binary_search_by_key(&insn, |s| s.start).ok()
    }

    /// The part of [`Verifier::postorder`] that belongs to a function.
    pub fn postorder_of(&self, index: usize) -> std::ops::Range<usize> {
        let at = |i: usize| self.postorder_starts.get(i).map_or(0, |&n| n as usize);
        at(index)..at(index + 1)
    }
}

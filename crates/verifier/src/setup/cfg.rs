//! Whether every instruction can be reached and no jump is astray; where paths join.
//!
//! Marks the places where the walk compares states (prune points), where it must remember
//! how it came there (jump points), and where it always keeps a state (forced checkpoints).

use skep_isa::Insn;

use skep_catalog::{Callback, Kfunc};

use crate::context::{InsnAux, Res, Stop, Verifier};
use crate::refuse;
use crate::setup::{flow, helpers};

/// How far the search has come with an instruction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    New,
    /// On the current path.
    Open,
    Done,
}

/// One way out of an instruction.
#[derive(Clone, Copy)]
struct Edge {
    to: u32,
    /// Jumps and calls end at places where paths may join.
    is_branch: bool,
}

/// Searches the control flow depth first, fall-through before jump, callees from their
/// calls.
///
/// # Errors
/// `EINVAL` for unreachable instructions, jumps into the middle of a 64-bit load, and,
/// without `CAP_BPF`, loops.
pub fn check(v: &mut Verifier<'_>) -> Res {
    let mut progress = vec![Progress::New; v.insns.len()];
    search(v, &mut progress)?;
    let mut at = 0;
    while at < v.insns.len() {
        v.insn_idx = at as u32;
        if progress[at] != Progress::Done {
            refuse!(v, EINVAL, "unreachable insn {at}");
        }
        if v.insns[at].code == flow::LD_IMM64 {
            if progress.get(at + 1).is_some_and(|&p| p != Progress::New) {
                refuse!(v, EINVAL, "jump into the middle of ldimm64 insn {at}");
            }
            at += 1;
        }
        at += 1;
    }
    v.insn_idx = u32::MAX;
    merge_effects(v);
    Ok(())
}

fn search(v: &mut Verifier<'_>, progress: &mut [Progress]) -> Res {
    search_from(v, progress, 0)?;
    match v.exception_callback {
        // Nothing calls it.
        Some(start) if progress.get(start as usize) == Some(&Progress::New) => {
            search_from(v, progress, start)
        }
        _ => Ok(()),
    }
}

/// Instructions that follow each other without a choice.
struct Stretch {
    first: u32,
    last: u32,
    /// How many ways out of the last one were taken.
    step: u8,
}

impl Stretch {
    /// The new instructions from `first` on, which are on the path from now on.
    fn enter(v: &mut Verifier<'_>, progress: &mut [Progress], first: u32) -> Stretch {
        let mut last = first;
        progress[first as usize] = Progress::Open;
        while let insn = v.insns[last as usize]
            && flow::is_straight(insn)
            && let next = last + flow::slots(insn)
            && progress.get(next as usize) == Some(&Progress::New)
        {
            last = next;
            progress[last as usize] = Progress::Open;
        }
        mark(v, last);
        Stretch {
            first,
            last,
            step: 0,
        }
    }

    fn leave(&self, v: &Verifier<'_>, progress: &mut [Progress]) {
        let mut at = self.first;
        while at <= self.last {
            progress[at as usize] = Progress::Done;
            at += flow::slots(v.insns[at as usize]);
        }
    }
}

fn search_from(v: &mut Verifier<'_>, progress: &mut [Progress], root: u32) -> Res {
    let mut path = vec![Stretch::enter(v, progress, root)];
    while let Some(top) = path.last_mut() {
        let at = top.last;
        let Some(edge) = edge(v.insns[at as usize], at, top.step)? else {
            top.leave(v, progress);
            path.pop();
            continue;
        };
        top.step += 1;
        let Some(state) = progress.get_mut(edge.to as usize) else {
            v.insn_idx = at;
            refuse!(v, EINVAL, "jump out of range from insn {at} to {}", edge.to);
        };
        if edge.is_branch {
            let aux = &mut v.aux[edge.to as usize];
            aux.prune_point = true;
            aux.jump_point = true;
        }
        match *state {
            Progress::New => path.push(Stretch::enter(v, progress, edge.to)),
            Progress::Open if !v.request.privilege.bpf_capable => {
                v.insn_idx = at;
                v.log_line(at, "; ");
                v.log_line(edge.to, "; ");
                refuse!(v, EINVAL, "back-edge from insn {at} to {}", edge.to);
            }
            Progress::Open => v.has_back_edge = true,
            Progress::Done => {}
        }
    }
    Ok(())
}

/// The `step`th way out of an instruction, in the order of the search.
fn edge(insn: Insn, at: u32, step: u8) -> Res<Option<Edge>> {
    let next = Edge {
        to: at + flow::slots(insn),
        is_branch: false,
    };
    let to = |target: i64, is_branch| -> Res<Option<Edge>> {
        match u32::try_from(target) {
            Ok(to) => Ok(Some(Edge { to, is_branch })),
            // Excluded when the functions were checked.
            Err(_) => Err(Stop::Reject(skep_abi::Errno::EFAULT)),
        }
    };
    let enters = flow::is_pseudo_call(insn) || flow::is_pseudo_func(insn);
    if insn.code == flow::EXIT {
        return Ok(None);
    }
    match step {
        0 if flow::is_goto(insn) => to(flow::target(insn, at), false),
        0 => Ok(Some(next)),
        1 if enters => to(flow::callee(insn, at), true),
        1 if flow::is_jump(insn) && !flow::is_goto(insn) => to(flow::target(insn, at), true),
        _ => Ok(None),
    }
}

/// Sets the marks that the instruction itself asks for.
fn mark(v: &mut Verifier<'_>, at: u32) {
    let insn = v.insns[at as usize];
    let behind = at + flow::slots(insn);
    let mut join = |insn: u32, history: bool| {
        if let Some(aux) = v.aux.get_mut(insn as usize) {
            aux.prune_point = true;
            aux.jump_point |= history;
        }
    };
    if flow::is_goto(insn) {
        if let Ok(target) = u32::try_from(flow::target(insn, at)) {
            join(target, true);
        }
    } else if flow::is_jump(insn) {
        join(at, false);
        v.aux[at as usize].force_checkpoint |= flow::is_may_goto(insn);
    } else if insn.code == flow::CALL || flow::is_pseudo_func(insn) {
        join(behind, true);
        if flow::is_pseudo_call(insn) || flow::is_pseudo_func(insn) {
            join(at, false);
        }
        if flow::is_helper_call(insn) {
            mark_helper_call(v, at, insn.imm);
        }
        if let Some(kfunc) = v.aux[at as usize].kfunc {
            mark_kfunc_call(v, at, kfunc);
        }
    }
}

fn mark_kfunc_call(v: &mut Verifier<'_>, at: u32, kfunc: &Kfunc) {
    let aux = &mut v.aux[at as usize];
    if kfunc.steps_iterator() {
        // The rounds of a loop are compared here.
        aux.prune_point = true;
        aux.force_checkpoint = true;
    }
    mark_callback(aux, kfunc.callback());
    let subprog = v.subprog_at(at);
    v.subprogs[subprog].changes_packet |= kfunc.changes_packet();
    v.subprogs[subprog].might_sleep |= kfunc.might_sleep();
}

fn mark_callback(aux: &mut InsnAux, callback: Callback) {
    match callback {
        // A state is kept before every round, and the way back is not a straight line.
        Callback::Repeated => {
            aux.calls_callback = true;
            aux.force_checkpoint = true;
            aux.prune_point = true;
            aux.jump_point = true;
        }
        // The callback's state is put aside at the call.
        Callback::Later => aux.prune_point = true,
        Callback::None => {}
    }
}

fn mark_helper_call(v: &mut Verifier<'_>, at: u32, helper: i32) {
    mark_callback(&mut v.aux[at as usize], helpers::callback(helper));
    let subprog = v.subprog_at(at);
    v.subprogs[subprog].changes_packet |= helpers::changes_packet(helper);
    v.subprogs[subprog].might_sleep |= helpers::might_sleep(helper);
}

/// Adds what callees do to what their callers do, until nothing is new.
fn merge_effects(v: &mut Verifier<'_>) {
    if v.subprog_count() < 2 {
        return;
    }
    let mut calls = Vec::new();
    for (at, &insn) in v.insns.iter().enumerate() {
        if flow::is_pseudo_call(insn) || flow::is_pseudo_func(insn) {
            let callee = v.subprog_starting_at(flow::callee(insn, at as u32));
            calls.extend(callee.map(|callee| (v.subprog_at(at as u32), callee)));
        }
    }
    let mut moved = true;
    while moved {
        moved = false;
        for &(caller, callee) in &calls {
            let (packet, sleep) = {
                let callee = &v.subprogs[callee];
                (callee.changes_packet, callee.might_sleep)
            };
            let caller = &mut v.subprogs[caller];
            moved |= (packet && !caller.changes_packet) || (sleep && !caller.might_sleep);
            caller.changes_packet |= packet;
            caller.might_sleep |= sleep;
        }
    }
}

//! The phases of one verification, in Linux's order.

use skep_abi::{Errno, ProgFlags};

use crate::context::{COMPLEXITY_LIMIT_INSNS, InsnAux, Res, Stop, Verifier};
use crate::env::{Env, Executable, Outcome, RecordedState, Reject, Request, Stats, Verdict};
use crate::explore::visited::StateStore;
use crate::liveness::stack::{Query, StackLiveness};
use crate::log::{LEVEL, Log, STATS};
use crate::rewrite;
use crate::say;
use crate::setup::{
    attach, btf_info, cfg, extend, fastcall, live_regs, order, pseudo, stack_depth, subprogs,
};
use crate::state::State;

/// Decides whether Linux would take a program, and prepares it to run.
///
/// Never panics: what contradicts itself inside is refused with `EFAULT`. Cost: bounded by
/// the limit of a million walked instructions.
pub fn verify(request: &Request<'_>, env: &dyn Env) -> Outcome {
    let judged = extend::as_extended(request);
    decide(Verifier {
        extends: extend::extended(request),
        ..new_verifier(&judged, env)
    })
}

/// The same decision without pruning: every path is walked to its end, however many there
/// are, but no more than `limit` instructions. Loops that only convergence ends, such as
/// `may_goto` and callbacks, run into the limit (`E2BIG`). For testing the pruning.
pub fn verify_every_path(request: &Request<'_>, env: &dyn Env, limit: u32) -> Outcome {
    let judged = extend::as_extended(request);
    decide(Verifier {
        extends: extend::extended(request),
        prunes: false,
        insn_limit: limit.min(COMPLEXITY_LIMIT_INSNS),
        ..new_verifier(&judged, env)
    })
}

/// The same decision, given up with `E2BIG` after `limit` walked instructions. For finding
/// the programs that take long.
pub fn verify_within(request: &Request<'_>, env: &dyn Env, limit: u32) -> Outcome {
    decide(Verifier {
        insn_limit: limit.min(COMPLEXITY_LIMIT_INSNS),
        ..new_verifier(request, env)
    })
}

fn decide(mut v: Verifier<'_>) -> Outcome {
    let (request, env) = (v.request, v.env);
    let started = env.now_us();
    let result = prepare(&mut v)
        .and_then(|()| explore(&mut v))
        .and_then(|()| finish(&mut v));
    let stats = print_figures(&mut v, started);
    let verdict = match result {
        Ok(mut executable) => {
            executable.recorded = recorded_states(&mut v);
            executable.max_ctx_offset = v.max_ctx_offset;
            executable.needs_kernel = v.needs_kernel.take();
            Verdict::Accept(Box::new(executable))
        }
        Err(Stop::Reject(errno)) => Verdict::Reject(Reject {
            errno,
            insn: ((v.insn_idx as usize) < request.insns.len()).then_some(v.insn_idx),
            message: std::mem::take(&mut v.message),
        }),
        Err(Stop::Unsupported(what)) => Verdict::Unsupported(what),
    };
    let (log, log_peak) = v.log.finish();
    Outcome {
        verdict,
        log,
        log_peak,
        stats,
    }
}

/// Everything that needs no walk: the program's parts, references, control flow.
fn prepare(v: &mut Verifier<'_>) -> Res {
    if v.insns.is_empty() {
        return Err(Stop::Reject(Errno::E2BIG));
    }
    pseudo::hold_array(v)?;
    btf_info::check_early(v)?;
    subprogs::find(v)?;
    subprogs::check(v)?;
    btf_info::check(v)?;
    pseudo::resolve(v)?;
    cfg::check(v)?;
    order::postorder(v);
    let ranges = (0..v.subprog_count()).map(|i| v.range_of(i)).collect();
    v.stack_liveness = StackLiveness::new(ranges);
    attach::check(v)?;
    order::components(v);
    live_regs::compute(v);
    fastcall::mark_patterns(v);
    Ok(())
}

/// The walk over all paths: of the entry function, then of each global function that some
/// walked function calls.
fn explore(v: &mut Verifier<'_>) -> Res {
    v.walk_function(0)?;
    let mut walked = vec![false; v.subprog_count()];
    while let Some(next) =
        (1..walked.len()).find(|&i| v.subprogs[i].is_global && v.subprogs[i].called && !walked[i])
    {
        walk_round(v, next, &mut walked)?;
    }
    Ok(())
}

/// Walks the global functions from `first` on; those found called on the way wait for the
/// next round when they lie before.
fn walk_round(v: &mut Verifier<'_>, first: usize, walked: &mut [bool]) -> Res {
    for (index, walked) in walked.iter_mut().enumerate().skip(first) {
        let subprog = &v.subprogs[index];
        if !subprog.is_global || !subprog.called || *walked {
            continue;
        }
        v.walk_function(index as u32)?;
        if v.log.at(LEVEL) {
            let name = v.subprog_name(index);
            say!(
                v,
                "Func#{index} ('{name}') is safe for any args that match its prototype\n"
            );
        }
        *walked = true;
    }
    Ok(())
}

/// What remains when every path is safe: the stack, and the program as it will run.
fn finish(v: &mut Verifier<'_>) -> Res<Executable> {
    v.insn_idx = u32::MAX;
    fastcall::forget_spills(v);
    stack_depth::check(v)?;
    rewrite::run(v)
}

fn new_verifier<'a>(request: &'a Request<'a>, env: &'a dyn Env) -> Verifier<'a> {
    let flags = ProgFlags(request.flags);
    Verifier {
        request,
        env,
        insns: request.insns.to_vec(),
        aux: vec![InsnAux::default(); request.insns.len()],
        subprogs: Vec::new(),
        maps: Vec::new(),
        lock_maps: 0,
        lock_inner_maps: 0,
        later_inner_maps: 0,
        lines: Vec::new(),
        log: Log::new(request.log_level, request.log_keep),
        cur: State::default(),
        insn_idx: u32::MAX,
        prev_insn_idx: 0,
        prev_insn_idx_before: 0,
        spare: Vec::new(),
        pending: Vec::new(),
        store: StateStore::new(request.insns.len()),
        module: None,
        own_fields: Default::default(),
        stack_liveness: StackLiveness::default(),
        loops: Default::default(),
        precision: Default::default(),
        postorder: Vec::new(),
        postorder_starts: Vec::new(),
        scc_count: 0,
        has_back_edge: false,
        ids: Default::default(),
        history_open: false,
        explore_alu_limits: false,
        id_gen: 0,
        scratched_regs: 0,
        scratched_slots: 0,
        strict_alignment: flags.contains(ProgFlags::STRICT_ALIGNMENT)
            && !flags.contains(ProgFlags::ANY_ALIGNMENT),
        test_state_freq: request.privilege.bpf_capable
            && flags.contains(ProgFlags::TEST_STATE_FREQ),
        prunes: true,
        insn_limit: COMPLEXITY_LIMIT_INSNS,
        insns_processed: 0,
        prev_insns_processed: 0,
        jumps_processed: 0,
        prev_jumps_processed: 0,
        seen_direct_write: false,
        figures: Stats::default(),
        exception_callback: None,
        target: None,
        extends: None,
        needs_kernel: None,
        message: String::new(),
        max_ctx_offset: 0,
        recorded: Vec::new(),
    }
}

/// The recorded states, without claims about stack slots that nothing reads any more: paths
/// that ended in a kept state may differ there.
fn recorded_states(v: &mut Verifier<'_>) -> Vec<RecordedState> {
    let recorded = std::mem::take(&mut v.recorded);
    let keep = |(mut state, place): (RecordedState, Query)| {
        let live = v
            .stack_liveness
            .live_slots(&place, state.frame as usize, |_| true);
        state
            .slots
            .retain(|(slot, _)| live.checked_shr(*slot).is_some_and(|l| l & 1 == 1));
        state
    };
    recorded.into_iter().map(keep).collect()
}

/// Writes the figures that end every log and returns them.
fn print_figures(v: &mut Verifier<'_>, started: u64) -> Stats {
    let stats = Stats {
        insns_processed: v.insns_processed,
        verification_time_us: v.env.now_us().saturating_sub(started),
        ..v.figures
    };
    if v.log.at(STATS) {
        v.log
            .figure("verification time ", stats.verification_time_us);
        v.log.figure(" usec\nstack depth ", stack_depth::of(v, 0));
        for index in 1..v.subprog_count() {
            v.log.figure("+", stack_depth::of(v, index));
        }
        v.log.piece("\n");
    }
    let figures: [(&str, u64); 6] = [
        ("processed ", stats.insns_processed.into()),
        (" insns (limit ", COMPLEXITY_LIMIT_INSNS.into()),
        (") max_states_per_insn ", stats.max_states_per_insn.into()),
        (" total_states ", stats.total_states.into()),
        (" peak_states ", stats.peak_states.into()),
        (" mark_read ", stats.mark_read.into()),
    ];
    for (text, number) in figures {
        v.log.figure(text, number);
    }
    v.log.piece("\n");
    stats
}

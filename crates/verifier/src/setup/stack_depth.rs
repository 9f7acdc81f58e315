//! Whether the stacks of all functions fit, over every chain of calls.

use crate::context::{MAX_BPF_STACK, MAX_CALL_FRAMES, Res, Verifier};
use crate::refuse;
use crate::setup::flow;

/// Frames that make tail calls must leave this much.
const TAIL_CALL_LIMIT: u32 = 256;

/// One function on the chain of calls being measured.
struct Link {
    subprog: usize,
    /// Where the search for its next call goes on.
    at: u32,
    /// Stack of the functions above it.
    above: u32,
}

/// Checks every chain of calls from the entry and from asynchronous callbacks.
///
/// # Errors
/// `EACCES` when the stacks of a chain exceed 512 bytes, or 256 bytes above a tail call;
/// `E2BIG` for more than eight frames.
pub fn check(v: &mut Verifier<'_>) -> Res {
    v.insn_idx = u32::MAX;
    let mut stacks = Stacks {
        private: has_private_stack(v),
        shared: vec![false; v.subprog_count()],
    };
    // Those that start on their own come first, so that it is known what they share.
    for root in (0..v.subprog_count()).rev() {
        if root == 0 || v.subprogs[root].is_async_callback {
            check_chains(v, root, &mut stacks)?;
        }
    }
    Ok(())
}

/// Which functions have a stack of their own.
struct Stacks {
    /// Those called from the entry may.
    private: bool,
    /// Reached from a callback that starts on its own, and therefore on the common stack.
    shared: Vec<bool>,
}

impl Stacks {
    /// Bytes that a function takes of the common stack, in the steps of sixteen that the JIT
    /// uses; `main` in the chains of the entry.
    fn common(&self, v: &Verifier<'_>, subprog: usize, main: bool) -> u32 {
        /// Less is not worth a stack of its own.
        const LEAST: u32 = 64;
        let own = v.subprogs[subprog].stack_depth.next_multiple_of(16);
        let apart = self.private && main && !self.shared[subprog] && own >= LEAST;
        if apart { 0 } else { own }
    }
}

/// Whether x86 gives the functions of such a program stacks of their own: tracing programs
/// that may run on a deep kernel stack and not twice on one CPU, unless they make tail calls.
fn has_private_stack(v: &Verifier<'_>) -> bool {
    use skep_abi::{AttachType, ProgType as P};
    let attach = v.request.expected_attach_type;
    let by_type = match P::from_u32(v.request.prog_type) {
        Some(P::Kprobe | P::Tracepoint | P::PerfEvent | P::RawTracepoint) => true,
        Some(P::Tracing) => attach != AttachType::TraceIter as u32,
        Some(P::Lsm) => attach != AttachType::LsmCgroup as u32,
        _ => false,
    };
    by_type && !v.subprogs.iter().any(|s| s.has_tail_call)
}

fn check_chains(v: &mut Verifier<'_>, root: usize, stacks: &mut Stacks) -> Res {
    let main = root == 0;
    // For each function, the stack and the frames above it with which all its chains fit.
    let mut fits: Vec<Option<(u32, usize)>> = vec![None; v.subprog_count()];
    let mut chain: Vec<Link> = Vec::new();
    enter(v, &mut chain, root, stacks, main)?;
    while let Some(link) = chain.last_mut() {
        let end = v.subprogs[link.subprog + 1].start;
        let at = link.at;
        if at >= end {
            let (done, above) = (link.subprog, link.above);
            chain.pop();
            fits[done] = Some((above, chain.len()));
            continue;
        }
        let insn = v.insns[at as usize];
        let subprog = link.subprog;
        link.at = at + flow::slots(insn);
        if throws(v, at)
            && chain
                .iter()
                .any(|link| v.subprogs[link.subprog].is_callback)
        {
            refuse!(
                v,
                EINVAL,
                "bpf_throw kfunc (insn {at}) cannot be called from callback subprog {subprog}"
            );
        }
        let direct = flow::is_pseudo_call(insn);
        if !direct && !flow::is_pseudo_func(insn) {
            continue;
        }
        let Some(callee) = v.subprog_starting_at(flow::callee(insn, at)) else {
            continue;
        };
        if v.subprogs[callee].is_async_callback && !direct {
            continue;
        }
        if v.subprogs[callee].is_exception_callback {
            let text = format_args!("insn {at} cannot call exception cb directly");
            return Err(v.reject_open(skep_abi::Errno::EINVAL, text));
        }
        let above = depth_with(v, &chain, stacks, main);
        if fits[callee].is_some_and(|(a, f)| above <= a && chain.len() <= f) {
            continue;
        }
        if v.subprogs[callee].has_tail_call {
            for link in &chain {
                v.subprogs[link.subprog].tail_call_reachable = true;
            }
        }
        enter(v, &mut chain, callee, stacks, main)?;
    }
    Ok(())
}

fn throws(v: &Verifier<'_>, at: u32) -> bool {
    let kfunc = v.aux[at as usize].kfunc;
    kfunc.is_some_and(|kfunc| kfunc.name == "bpf_throw")
}

/// What the whole chain takes of the common stack.
fn depth_with(v: &Verifier<'_>, chain: &[Link], stacks: &Stacks, main: bool) -> u32 {
    chain
        .last()
        .map_or(0, |link| link.above + stacks.common(v, link.subprog, main))
}

fn enter(
    v: &mut Verifier<'_>,
    chain: &mut Vec<Link>,
    subprog: usize,
    stacks: &mut Stacks,
    main: bool,
) -> Res {
    let above = depth_with(v, chain, stacks, main);
    stacks.shared[subprog] |= !main;
    if chain.len() >= MAX_CALL_FRAMES {
        let frames = chain.len();
        refuse!(v, E2BIG, "the call stack of {frames} frames is too deep !");
    }
    if !chain.is_empty() && v.subprogs[subprog].has_tail_call && above >= TAIL_CALL_LIMIT {
        refuse!(
            v,
            EACCES,
            "tail_calls are not allowed when call stack of previous frames is {above} bytes. Too large"
        );
    }
    chain.push(Link {
        subprog,
        at: v.subprogs[subprog].start,
        above,
    });
    let depth = depth_with(v, chain, stacks, main);
    if depth > MAX_BPF_STACK as u32 {
        let calls = chain.len();
        refuse!(
            v,
            EACCES,
            "combined stack size of {calls} calls is {depth}. Too large"
        );
    }
    Ok(())
}

/// The deepest chain in bytes of stack that functions really use, for whoever runs them.
pub fn deepest(v: &Verifier<'_>) -> u32 {
    // Callees' depths are settled round by round; chains are eight frames at most.
    let count = v.subprog_count();
    let own = |i: usize| v.subprogs[i].stack_depth + v.subprogs[i].stack_extra;
    if count == 1 {
        return own(0);
    }
    let mut below: Vec<u32> = (0..count).map(own).collect();
    for _ in 1..MAX_CALL_FRAMES {
        let mut next: Vec<u32> = (0..count).map(own).collect();
        for (at, &insn) in v.insns.iter().enumerate() {
            if flow::is_pseudo_call(insn) || flow::is_pseudo_func(insn) {
                let caller = v.subprog_at(at as u32);
                if let Some(callee) = v.subprog_starting_at(flow::callee(insn, at as u32)) {
                    next[caller] = next[caller].max(own(caller) + below[callee]);
                }
            }
        }
        if std::mem::replace(&mut below, next) == below {
            break;
        }
    }
    below.iter().copied().max().unwrap_or(0)
}

/// The stack of a function as the figures show it.
pub fn of(v: &Verifier<'_>, index: usize) -> u64 {
    let subprogs = &v.subprogs[..v.subprog_count()];
    subprogs.get(index).map_or(0, |s| s.stack_depth.into())
}

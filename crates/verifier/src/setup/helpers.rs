//! What the set-up passes must know of a helper before its call is walked.

use skep_abi::ProgType;
use skep_catalog::{Callback, Helper};

use crate::context::Verifier;
use crate::env::Request;

/// How the helper runs a function of the program.
pub fn callback(helper: i32) -> Callback {
    match helper {
        // for_each_map_elem, loop, find_vma, user_ringbuf_drain
        164 | 181 | 180 | 209 => Callback::Repeated,
        // timer_set_callback
        170 => Callback::Later,
        _ => Callback::None,
    }
}

fn row(helper: i32) -> Option<&'static Helper> {
    skep_catalog::helper(u32::try_from(helper).ok()?)
}

/// Whether packet pointers are forgotten after the helper.
pub fn changes_packet(helper: i32) -> bool {
    row(helper).is_some_and(|row| row.changes_packet)
}

/// Whether only programs that may sleep can call the helper.
pub fn might_sleep(helper: i32) -> bool {
    row(helper).is_some_and(|row| row.might_sleep)
}

/// How many arguments the helper takes; `None` when the program has no such helper.
pub fn argument_count(v: &Verifier<'_>, helper: i32) -> Option<u32> {
    let helper = v.available_helper(u32::try_from(helper).ok()?)?;
    let used = helper.args.iter().take_while(|arg| arg.is_used());
    Some(used.count() as u32)
}

/// Whether calls of the helper keep r1 to r5. Only in these program types does the number
/// stand for the function that does; in the others it is one that the JIT does not inline.
pub fn keeps_arguments(request: &Request<'_>, helper: i32) -> bool {
    let inlined = matches!(
        ProgType::from_u32(request.prog_type),
        Some(
            ProgType::Kprobe
                | ProgType::SchedCls
                | ProgType::SchedAct
                | ProgType::Tracepoint
                | ProgType::Xdp
                | ProgType::PerfEvent
                | ProgType::LwtIn
                | ProgType::LwtOut
                | ProgType::LwtXmit
                | ProgType::RawTracepoint
                | ProgType::LwtSeg6local
                | ProgType::RawTracepointWritable
                | ProgType::Syscall
                | ProgType::Tracing
                | ProgType::Lsm
        )
    );
    inlined && row(helper).is_some_and(|row| row.fastcall)
}

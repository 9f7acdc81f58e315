//! What native code and the host share during a run, and the functions that code calls.

use std::sync::Arc;

use skep_vm::{Cpu, End, Host, Machine, Program, Trap};

use crate::layout;

/// What a called function answers: r0, and 0 to go on, 1 to return from the function, or the
/// address of the state to end the run.
#[repr(C)]
pub(crate) struct Answer {
    r0: u64,
    then: u64,
}

const GO_ON: u64 = 0;
const RETURN: u64 = 1;

type CallHelper = extern "sysv64" fn(u64, u64, u64, u64, u64, *mut State<'_>) -> Answer;

/// One execution of native code.
#[repr(C)]
pub(crate) struct State<'a> {
    /// The native stack pointer to go back to when the run ends without returning.
    stack: u64,
    /// The number of the helper, of the calling function, or of bytes.
    number: u32,
    cpu_id: u32,
    call_helper: CallHelper,
    tail_call: CallHelper,
    load_packet: CallHelper,
    cpu: &'a mut Cpu,
    host: *mut (dyn Host + 'a),
    program: &'a Program,
    /// Why the run ends without a return.
    stop: Option<Result<(Arc<Program>, u64), Trap>>,
}

const _: () = {
    use std::mem::offset_of;
    assert!(offset_of!(State<'_>, stack) == layout::STACK as usize);
    assert!(offset_of!(State<'_>, number) == layout::NUMBER as usize);
    assert!(offset_of!(State<'_>, cpu_id) == layout::CPU_ID as usize);
    assert!(offset_of!(State<'_>, call_helper) == layout::CALL_HELPER as usize);
    assert!(offset_of!(State<'_>, tail_call) == layout::TAIL_CALL as usize);
    assert!(offset_of!(State<'_>, load_packet) == layout::LOAD_PACKET as usize);
};

/// The code of a function: r1 to r5, the state, and, for the common entry, the function.
pub(crate) type Entry =
    unsafe extern "sysv64" fn(u64, u64, u64, u64, u64, *mut State<'_>, u64) -> u64;

/// Enters native code.
///
/// # Safety
/// `entry` is code that this crate made for `program`, `function` the address of one of its
/// functions, and both stay mapped during the call. The program was accepted by the verifier
/// and runs with a host that gives it what the verifier assumed.
#[inline]
pub(crate) unsafe fn enter<'a>(
    entry: Entry,
    function: u64,
    program: &'a Program,
    cpu: &'a mut Cpu,
    host: &'a mut (dyn Host + 'a),
    [r1, r2, r3, r4, r5]: [u64; 5],
) -> Result<End, Trap> {
    let mut state = State {
        stack: 0,
        number: 0,
        cpu_id: cpu.id(),
        call_helper,
        tail_call,
        load_packet,
        cpu,
        host,
        program,
        stop: None,
    };
    let state_ptr = &raw mut state;
    // SAFETY: the contract of this function; the state lives until the call returns.
    let r0 = unsafe { entry(r1, r2, r3, r4, r5, state_ptr, function) };
    match state.stop {
        None => Ok(End::Return(r0)),
        Some(Ok((next, ctx))) => Ok(End::Tail(next, ctx)),
        Some(Err(trap)) => Err(trap),
    }
}

/// Ends the run.
fn stop(state: *mut State<'_>, why: Result<(Arc<Program>, u64), Trap>) -> Answer {
    // SAFETY: native code hands back the pointer that `enter` gave it, whose state nobody
    // else looks at while the code waits for this call.
    unsafe { (*state).stop = Some(why) };
    Answer {
        r0: 0,
        then: state as u64,
    }
}

extern "sysv64" fn call_helper(
    r1: u64,
    r2: u64,
    r3: u64,
    r4: u64,
    r5: u64,
    pointer: *mut State<'_>,
) -> Answer {
    // SAFETY: as in `stop`.
    let state = unsafe { &mut *pointer };
    // SAFETY: the host is borrowed exclusively for as long as `enter` runs, and only the call
    // in progress uses it.
    let host = unsafe { &mut *state.host };
    let mut machine = Machine::new(state.cpu, state.program);
    match host.call_helper(&mut machine, state.number as i32, [r1, r2, r3, r4, r5]) {
        Ok(r0) => Answer { r0, then: GO_ON },
        Err(trap) => stop(pointer, Err(trap)),
    }
}

extern "sysv64" fn tail_call(
    ctx: u64,
    map: u64,
    index: u64,
    _: u64,
    _: u64,
    pointer: *mut State<'_>,
) -> Answer {
    // SAFETY: as in `call_helper`.
    let state = unsafe { &mut *pointer };
    // SAFETY: as in `call_helper`.
    let host = unsafe { &mut *state.host };
    let next = match skep_vm::next_program(state.cpu, host, ctx, map, index as u32) {
        Ok(Some(next)) => next,
        Ok(None) => return Answer { r0: 0, then: GO_ON },
        Err(trap) => return stop(pointer, Err(trap)),
    };
    // The entry function's frame is taken over; in another function the next program runs in
    // the place of that function alone.
    if state.number == 0 {
        return stop(pointer, Ok((next, ctx)));
    }
    match skep_vm::run_in_place(&next, state.cpu, host, ctx) {
        Ok(r0) => Answer { r0, then: RETURN },
        Err(trap) => stop(pointer, Err(trap)),
    }
}

extern "sysv64" fn load_packet(
    ctx: u64,
    offset: u64,
    _: u64,
    _: u64,
    _: u64,
    pointer: *mut State<'_>,
) -> Answer {
    // SAFETY: as in `call_helper`.
    let state = unsafe { &mut *pointer };
    // SAFETY: as in `call_helper`.
    let host = unsafe { &mut *state.host };
    match host.load_packet(ctx, offset as u32 as i32, state.number) {
        Some(r0) => Answer { r0, then: GO_ON },
        None => Answer {
            r0: 0,
            then: RETURN,
        },
    }
}

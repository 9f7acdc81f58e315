//! What native code and the host share during a run, and the functions that code calls.

use std::sync::{Arc, OnceLock};

use skep_vm::{Cpu, End, Host, Machine, Program, Trap};

use crate::layout;
use crate::memory::Published;

/// What a called function answers: r0, and 0 to go on, 1 to return from the function, 2 to leave
/// the function for the code at r0, or the address of the state to end the run.
#[repr(C)]
pub(crate) struct Answer {
    r0: u64,
    then: u64,
}

const GO_ON: u64 = 0;
const RETURN: u64 = 1;
const JUMP: u64 = layout::JUMP as u64;

type CallHelper = extern "sysv64" fn(u64, u64, u64, u64, u64, *mut State<'_>) -> Answer;

type Refill = extern "sysv64" fn(*mut State<'_>) -> u64;

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
    /// Where code goes that ends the run, with the address of this in rdx.
    leave: *const u8,
    /// What code that counts has left.
    fuel: i64,
    refill: Refill,
    /// The context of the program that code goes to.
    ctx: u64,
    cpu: &'a mut Cpu,
    host: *mut (dyn Host + 'a),
    /// The program at work: the one that was entered, or [`Self::current`].
    program: *const Program,
    /// The program that code went to by itself, and the one it came from, which it may not have
    /// left yet.
    current: Option<Arc<Program>>,
    before: Option<Arc<Program>>,
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
    assert!(offset_of!(State<'_>, leave) == layout::LEAVE as usize);
    assert!(offset_of!(State<'_>, fuel) == layout::FUEL as usize);
    assert!(offset_of!(State<'_>, refill) == layout::REFILL as usize);
    assert!(offset_of!(State<'_>, ctx) == layout::CTX as usize);
    assert!(skep_vm::Leaf::CPU_AT == layout::CPU_ID as usize);
};

/// The gate's code: r1 to r5, the state, and the function to enter.
pub(crate) type Entry =
    unsafe extern "sysv64" fn(u64, u64, u64, u64, u64, *mut State<'_>, u64) -> u64;

/// Enters native code.
///
/// # Safety
/// `gate` is a gate of this crate, `function` the address of a function of code that this
/// crate made for `program`, and both stay mapped during the call. The program was accepted by
/// the verifier and runs with a host that gives it what the verifier assumed.
#[inline]
pub(crate) unsafe fn enter<'a>(
    gate: Gate,
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
        leave: gate.leave,
        fuel: cpu.fuel(),
        refill,
        ctx: 0,
        cpu,
        host,
        program,
        current: None,
        before: None,
        stop: None,
    };
    // Frames of the program lie below this one, and below those that it runs within.
    let outer = state.cpu.native_top();
    if outer == 0 {
        state.cpu.set_native_top(skep_vm::stack_pointer());
    }
    let state_ptr = &raw mut state;
    // SAFETY: the contract of this function; the state lives until the call returns.
    let r0 = unsafe { (gate.entry)(r1, r2, r3, r4, r5, state_ptr, function) };
    state.cpu.set_fuel(state.fuel);
    state.cpu.set_native_top(outer);
    match (state.stop, state.current) {
        (None, _) => Ok(End::Return(r0)),
        (Some(Ok((next, ctx))), _) => Ok(End::Tail(next, ctx)),
        // Who throws in a program decides what becomes of it.
        (Some(Err(Trap::Thrown(number))), Some(current)) => Ok(End::Thrown(current, number)),
        (Some(Err(trap)), _) => Err(trap),
    }
}

/// The way into native code and out of it, the same for all programs.
#[derive(Clone, Copy)]
pub(crate) struct Gate {
    entry: Entry,
    leave: *const u8,
}

// SAFETY: the code behind both addresses is never changed or unmapped.
unsafe impl Send for Gate {}
// SAFETY: as above.
unsafe impl Sync for Gate {}

/// The gate of this process, made when it is first needed.
///
/// Errors: what the system says when it gives no memory for it.
pub(crate) fn gate() -> std::io::Result<Gate> {
    static GATE: OnceLock<(Published, Gate)> = OnceLock::new();
    if let Some((_, gate)) = GATE.get() {
        return Ok(*gate);
    }
    let code = crate::x86::gate();
    let published = Published::new(&code.bytes)?;
    let gate = Gate {
        // SAFETY: the code there is a function of this signature.
        entry: unsafe { std::mem::transmute::<*const u8, Entry>(published.at(code.entry)) },
        leave: published.at(code.leave),
    };
    Ok(GATE.get_or_init(|| (published, gate)).1)
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
    state.cpu.set_fuel(state.fuel);
    // SAFETY: the entered program outlives the run, and another one is kept by `current`, which
    // changes only between the calls of two programs.
    let program = unsafe { &*state.program };
    let mut machine = Machine::new(state.cpu, program);
    let answer = host.call_helper(&mut machine, state.number as i32, [r1, r2, r3, r4, r5]);
    state.fuel = state.cpu.fuel();
    match answer {
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
        let Some(entry) = skep_vm::entry_of(&next, state.cpu) else {
            return stop(pointer, Ok((next, ctx)));
        };
        (state.ctx, state.program) = (ctx, Arc::as_ptr(&next));
        // The code that called still has to leave: its program stays until the next one calls.
        state.before = state.current.replace(next);
        return Answer {
            r0: entry,
            then: JUMP,
        };
    }
    state.cpu.set_fuel(state.fuel);
    let result = skep_vm::run_in_place(&next, state.cpu, host, ctx);
    state.fuel = state.cpu.fuel();
    match result {
        Ok(r0) => Answer { r0, then: RETURN },
        Err(trap) => stop(pointer, Err(trap)),
    }
}

/// Called when the fuel is used up: 0 to go on, or the address of the state to end the run.
extern "sysv64" fn refill(pointer: *mut State<'_>) -> u64 {
    // SAFETY: as in `stop`.
    let state = unsafe { &mut *pointer };
    state.cpu.set_fuel(state.fuel);
    match state.cpu.refill() {
        Ok(()) => {
            state.fuel = state.cpu.fuel();
            0
        }
        Err(trap) => stop(pointer, Err(trap)).then,
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

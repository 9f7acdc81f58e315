//! Where native code finds the fields of the state of a run.

pub(crate) const STACK: i32 = 0;
pub(crate) const NUMBER: i32 = 8;
pub(crate) const CPU_ID: i32 = 12;
pub(crate) const CALL_HELPER: i32 = 16;
pub(crate) const TAIL_CALL: i32 = 24;
pub(crate) const LOAD_PACKET: i32 = 32;
pub(crate) const LEAVE: i32 = 40;
pub(crate) const FUEL: i32 = 48;
pub(crate) const REFILL: i32 = 56;
pub(crate) const CTX: i32 = 64;
/// What `tail_call` answers when the code is to go on at the address that it gives.
pub(crate) const JUMP: i32 = 2;
/// How often one frame may pass `may_goto`, as on Linux.
pub(crate) const MAY_GOTO: i32 = 8 << 20;
/// The most rounds of `bpf_loop`.
pub(crate) const LOOP_MAX: i32 = 1 << 23;

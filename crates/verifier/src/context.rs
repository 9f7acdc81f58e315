//! The working state of one verification: the program, what is known of each of its
//! instructions, the paths still to walk, and the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use skep_abi::Errno;
use skep_btf::Btf;
use skep_isa::Insn;

use crate::env::{Env, MapFacts, ModuleFacts, Request, Stats};
use crate::explore::visited::StateStore;
use crate::log::Log;
use crate::setup::btf_info::LineInfo;
use crate::state::{Flags, Kind, Reg, State};

/// Why the verification ended without an accepted program.
#[derive(Debug)]
pub enum Stop {
    /// Linux refuses the program with this errno; the log says why.
    Reject(Errno),
    /// The program needs something that is not modelled.
    Unsupported(String),
}

/// The result of a step of the verification.
pub type Res<T = ()> = Result<T, Stop>;

/// The most instructions that are walked for a privileged program.
pub const COMPLEXITY_LIMIT_INSNS: u32 = 1_000_000;
/// The most pending branches.
pub const COMPLEXITY_LIMIT_JMP_SEQ: usize = 8192;
/// The most states per instruction that are compared for an unprivileged program.
pub const COMPLEXITY_LIMIT_STATES: u32 = 64;
/// The deepest call chain.
pub const MAX_CALL_FRAMES: usize = 8;
/// Bytes of stack of one function and of a call chain.
pub const MAX_BPF_STACK: i32 = 512;

/// Set in [`Reg::aux`] of a map pointer: the inner map of the map with this index.
pub const INNER_MAP: u32 = 1 << 31;

/// How a pointer addition is to be masked against speculation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AluSanitation {
    /// What was found about the operation; 0 when nothing was.
    pub state: u32,
    /// The limit of the offset.
    pub limit: u32,
}

/// What is known of one instruction, besides its text.
#[derive(Clone, Debug, Default)]
pub struct InsnAux {
    /// Some path came here.
    pub seen: bool,
    /// Paths that come here may be joined with earlier ones.
    pub prune_point: bool,
    /// The history records passing here.
    pub jump_point: bool,
    /// A state is always kept here.
    pub force_checkpoint: bool,
    /// The kernel's function that is called.
    pub kfunc: Option<&'static skep_catalog::Kfunc>,
    /// A call that runs a callback in a loop.
    pub calls_callback: bool,
    /// The low half was written and the upper half is needed as zero.
    pub zext_dst: bool,
    /// An indirect read or write went through a pointer of this kind (to catch one
    /// instruction that is used with two kinds of pointer).
    pub ptr_kind: Option<(Kind, Flags)>,
    /// An access went through a pointer that nobody vouches for: to the kernel's objects, or to
    /// memory that the program must not rely on.
    pub probed: bool,
    /// The strongly connected component of the control flow, 0 for none.
    pub scc: u32,
    /// Registers live before the instruction, as a mask.
    pub live_regs: u16,
    /// The map a 64-bit load refers to: index into [`Verifier::maps`] and value offset.
    pub map: Option<(u32, u32)>,
    /// The map a helper call is known to use; see [`MapPoison`].
    pub call_map: MapPoison,
    /// The constant key of a map call, when it is one on every path.
    pub call_key: KeyPoison,
    /// A speculation barrier is needed before.
    pub nospec: bool,
    /// A speculation barrier is needed after.
    pub nospec_result: bool,
    /// Masking of pointer arithmetic.
    pub alu: AluSanitation,
    /// Part of the pattern around a helper that clobbers fewer registers.
    pub fastcall_pattern: bool,
    /// For a call: how many spill/fill pairs surround it; set by the fastcall pass.
    pub fastcall_spills: u8,
    /// The access of this instruction went through the context and starts at this field size.
    pub ctx_field_size: u8,
    /// The call at this instruction is a `bpf_loop` whose inlining is possible: the callback,
    /// and whether flags are always zero.
    pub loop_inline: LoopInline,
    /// The instruction computes with 64 bits on an address in an arena, of which the upper half
    /// is to stay zero.
    pub on_arena: bool,
    /// The same instruction computes on numbers, too, of which all bits count.
    pub on_number: bool,
    /// What a kernel's function is told besides its arguments: the size of what it allocates, or
    /// where in an object its node lies.
    pub kfunc_fact: u32,
}

/// Bits of [`AluSanitation::state`].
pub mod alu_state {
    /// The offset is in the source register.
    pub const SANITIZE_SRC: u32 = 1;
    /// The offset is in the destination register.
    pub const SANITIZE_DST: u32 = 2;
    /// The offset is negative.
    pub const NEG_VALUE: u32 = 4;
    /// Nothing here is a pointer.
    pub const NON_POINTER: u32 = 8;
    /// The offset is a constant.
    pub const IMMEDIATE: u32 = 16;
}

/// Which map a call uses over all paths.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MapPoison {
    /// No path came here.
    #[default]
    Unset,
    /// Always this map (index into [`Verifier::maps`]), whether or not for the privileged.
    Map {
        /// The map.
        index: u32,
        /// Whether the map is only known for an unprivileged program.
        unpriv: bool,
    },
    /// More than one.
    Poisoned,
}

/// Which constant key a call uses over all paths.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum KeyPoison {
    /// No path came here.
    #[default]
    Unset,
    /// Always this one.
    Key(u64),
    /// More than one, or not constant.
    Poisoned,
}

/// Whether a `bpf_loop` call may be replaced by its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LoopInline {
    /// A path came here.
    pub initialized: bool,
    /// All paths allow it.
    pub fits: bool,
    /// The callback.
    pub callback: u32,
}

/// One function of the program.
#[derive(Clone, Debug, Default)]
pub struct Subprog {
    /// First instruction. The list ends with an entry for the end of the program.
    pub start: u32,
    /// Bytes of stack used.
    pub stack_depth: u32,
    /// Bytes of stack used beyond the fastcall slots.
    pub stack_extra: u32,
    /// First `line_info` record.
    pub line_info: u32,
    /// The stack is only touched by fastcall spills from here down.
    pub fastcall_stack_off: i32,
    /// Contains a tail call.
    pub has_tail_call: bool,
    /// A tail call may be reached.
    pub tail_call_reachable: bool,
    /// Contains a legacy packet load.
    pub has_ld_abs: bool,
    /// The callback of a helper or kfunc.
    pub is_callback: bool,
    /// A callback that starts on its own.
    pub is_async_callback: bool,
    /// The function that runs when the program throws.
    pub is_exception_callback: bool,
    /// May change packet data.
    pub changes_packet: bool,
    /// May sleep.
    pub might_sleep: bool,
    /// Reached from a verified function.
    pub called: bool,
    /// A global function whose arguments were read from BTF.
    pub args_cached: bool,
    /// The type of the entry function does not fit what it is given.
    pub args_unreliable: bool,
    /// The arguments of a global function.
    pub args: Vec<crate::call::global_func::ArgKind>,
    /// Keeps its stack apart from its callers'.
    pub keep_fastcall_stack: bool,
    /// BTF id of its type from `func_info`, and whether it is global there.
    pub btf_func: u32,
    /// `BTF_FUNC_GLOBAL` linkage (or none given, for the entry).
    pub is_global: bool,
}

/// One branch that is still to be walked.
pub struct Pending {
    /// The state it starts with.
    pub state: State,
    /// Where it goes on.
    pub insn: u32,
    /// Where it comes from.
    pub prev: u32,
    /// The end of the log at that moment.
    pub log_end: u64,
}

/// One verification.
pub struct Verifier<'a> {
    /// What was asked.
    pub request: &'a Request<'a>,
    /// The world.
    pub env: &'a dyn Env,
    /// The program.
    pub insns: Vec<Insn>,
    /// What is known of each instruction.
    pub aux: Vec<InsnAux>,
    /// The functions, with a last entry for the end.
    pub subprogs: Vec<Subprog>,
    /// The module whose functions the program calls.
    pub module: Option<Arc<ModuleFacts>>,
    /// The maps in the order of their first use.
    pub maps: Vec<Arc<MapFacts>>,
    /// Which of them (there are 64 at most) have a lock in their values, as a mask.
    pub lock_maps: u64,
    /// The same of the inner maps of maps of maps.
    pub lock_inner_maps: u64,
    /// The maps of maps whose inner maps have timers or other work for later in their values.
    pub later_inner_maps: u64,
    /// The kernel's own fields in structures of the program, once looked up.
    pub own_fields: BTreeMap<u32, Arc<[crate::access::special_fields::Field]>>,
    /// The source lines, by instruction.
    pub lines: Vec<LineInfo>,
    /// The log.
    pub log: Log,
    /// The path being walked.
    pub cur: State,
    /// The instruction being walked.
    pub insn_idx: u32,
    /// The instruction before it.
    pub prev_insn_idx: u32,
    /// The instruction before the one being walked, while it is walked.
    pub prev_insn_idx_before: u32,
    /// States that are done with, whose memory the next copies take.
    pub spare: Vec<State>,
    /// Branches to walk.
    pub pending: Vec<Pending>,
    /// States kept for comparison.
    pub store: StateStore,
    /// What the stack liveness analysis gathered.
    pub stack_liveness: crate::liveness::stack::StackLiveness,
    /// Convergence of loops: states of each strongly connected component in progress.
    pub loops: crate::explore::converge::Loops,
    /// Bits of state used while walking back for precision.
    pub precision: crate::explore::backtrack::Backtrack,
    /// The instruction order of a depth-first walk, each function's last instruction first.
    pub postorder: Vec<u32>,
    /// Ranges of [`postorder`](Self::postorder) per function, with an end entry.
    pub postorder_starts: Vec<u32>,
    /// The number of strongly connected components.
    pub scc_count: u32,
    /// Whether some path leads back to where it was; without that there are no loops.
    pub has_back_edge: bool,
    /// Room for the ids matched while two states are compared.
    pub ids: crate::explore::equiv::IdMap,
    /// Whether the current instruction's step is already in the history.
    pub history_open: bool,
    /// Numbers are compared strictly, because limits of masked arithmetic depend on them.
    pub explore_alu_limits: bool,
    /// The last id handed out.
    pub id_gen: u32,
    /// Registers that changed since the last state was printed.
    pub scratched_regs: u32,
    /// Stack slots that changed since the last state was printed.
    pub scratched_slots: u64,
    /// Every access must be aligned.
    pub strict_alignment: bool,
    /// Keep a state at every prune point.
    pub test_state_freq: bool,
    /// Paths end where a kept state covers them.
    pub prunes: bool,
    /// The most instructions that may be walked.
    pub insn_limit: u32,
    /// Instructions walked.
    pub insns_processed: u32,
    /// Instructions walked when the last state was kept.
    pub prev_insns_processed: u32,
    /// Jumps walked.
    pub jumps_processed: u32,
    /// Jumps walked when the last state was kept.
    pub prev_jumps_processed: u32,
    /// Whether packet data was written, so that a writable packet must be prepared.
    pub seen_direct_write: bool,
    /// A callback's exit is walked a second time for its return value.
    pub figures: Stats,
    /// Where the function begins that runs when the program throws; without one, what is
    /// thrown is the result.
    pub exception_callback: Option<u32>,
    /// The program one of whose functions this one replaces.
    pub extends: Option<Arc<crate::env::TargetProgram>>,
    /// What the program attaches to, when that is a type or function of the kernel or a
    /// function of another program that it traces.
    pub target: Option<crate::setup::target::Target>,
    /// What of a running kernel the program needs to run.
    pub needs_kernel: Option<String>,
    /// The last error line, kept also when there is no log.
    pub message: String,
    /// One past the last byte of the context that was accessed.
    pub max_ctx_offset: u32,
    /// Abstract states, when they are to be kept.
    pub recorded: Vec<(crate::env::RecordedState, crate::liveness::stack::Query)>,
}

impl Verifier<'_> {
    /// Refuses the program: writes `message` to the log and keeps it.
    #[cold]
    pub fn reject(&mut self, errno: Errno, message: std::fmt::Arguments<'_>) -> Stop {
        self.message = message.to_string();
        self.log.write(message);
        self.log.write(format_args!("\n"));
        Stop::Reject(errno)
    }

    /// Refuses the program with a line that Linux leaves open: the next text follows it.
    #[cold]
    pub fn reject_open(&mut self, errno: Errno, message: std::fmt::Arguments<'_>) -> Stop {
        self.message = message.to_string();
        self.log.write(message);
        Stop::Reject(errno)
    }

    /// A copy of the current state, in memory of one that is done with.
    pub fn copy_current(&mut self) -> State {
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.copy_from(&self.cur);
        copy
    }

    /// Takes back a state that is done with.
    pub fn recycle(&mut self, state: State) {
        const ENOUGH: usize = 32;
        if self.spare.len() < ENOUGH {
            self.spare.push(state);
        }
    }

    /// The register `reg` of the innermost frame.
    #[inline]
    pub fn reg(&self, reg: u8) -> &Reg {
        &self.cur.frame().regs[reg as usize]
    }

    /// The register `reg` of the innermost frame.
    #[inline]
    pub fn reg_mut(&mut self, reg: u8) -> &mut Reg {
        &mut self.cur.frame_mut().regs[reg as usize]
    }

    /// A fresh id.
    #[inline]
    pub fn next_id(&mut self) -> u32 {
        self.id_gen += 1;
        self.id_gen
    }

    /// Notes that a register of the innermost frame changed.
    #[inline]
    pub fn scratch_reg(&mut self, reg: u8) {
        self.scratched_regs |= 1 << reg;
    }

    /// Notes that a stack slot changed.
    #[inline]
    pub fn scratch_slot(&mut self, slot: usize) {
        self.scratched_slots |= 1 << (slot & 63);
    }

    /// The instruction being walked.
    #[inline]
    pub fn insn(&self) -> Insn {
        self.insns[self.insn_idx as usize]
    }

    /// What is known of the instruction being walked.
    #[inline]
    pub fn aux_mut(&mut self) -> &mut InsnAux {
        &mut self.aux[self.insn_idx as usize]
    }

    /// The kernel's types, and those of the module whose functions the program calls.
    pub fn kernel_types(&self) -> Option<Arc<Btf>> {
        match &self.module {
            Some(module) => Some(module.btf.clone()),
            None => self.env.kernel_btf(),
        }
    }

    /// The facts of the map a register refers to.
    #[inline]
    pub fn map_of(&self, reg: &Reg) -> &Arc<MapFacts> {
        self.map_at(reg.aux)
    }

    /// The facts of the map that a register's `aux` stands for.
    #[inline]
    pub fn map_at(&self, aux: u32) -> &Arc<MapFacts> {
        let outer = &self.maps[(aux & !INNER_MAP) as usize];
        match &outer.inner {
            Some(inner) if aux & INNER_MAP != 0 => inner,
            _ => outer,
        }
    }

    /// Whether the program was asked to be one that may sleep, or always may.
    pub fn program_sleeps(&self) -> bool {
        const F_SLEEPABLE: u32 = 1 << 4;
        self.request.flags & F_SLEEPABLE != 0
            || self.request.prog_type == skep_abi::ProgType::Syscall.as_u32()
    }

    /// Whether the program uses an arena.
    pub fn has_arena(&self) -> bool {
        self.arena().is_some()
    }

    /// The arena that the program uses.
    pub fn arena(&self) -> Option<&MapFacts> {
        self.maps
            .iter()
            .find(|map| map.map_type == skep_abi::MapType::Arena.as_u32())
            .map(Arc::as_ref)
    }

    /// The function that contains an instruction.
    pub fn subprog_at(&self, insn: u32) -> usize {
        self.subprogs.partition_point(|s| s.start <= insn) - 1
    }
}

/// Refuses the program with an errno and a line for the log.
#[macro_export]
macro_rules! refuse {
    ($v:expr, $errno:ident, $($arg:tt)*) => {{
        let message = format!($($arg)*);
        return Err($v.reject(skep_abi::Errno::$errno, format_args!("{message}")));
    }};
}

/// Writes to the log when there is one at any level.
#[macro_export]
macro_rules! say {
    ($v:expr, $($arg:tt)*) => {
        if $v.log.enabled() {
            $v.log.write(format_args!($($arg)*));
        }
    };
}

//! What the verifier is asked, what it may look up, and what it answers.
//!
//! Everything the verifier learns about the world comes through [`Env`]; it knows
//! no map implementation, thread, clock or file.

use std::collections::BTreeMap;
use std::sync::Arc;

use skep_abi::Errno;
use skep_btf::relo::Flavours;
use skep_btf::{Btf, Kind, TypeId};
use skep_catalog::Kfunc;
use skep_isa::Insn;

pub use crate::access::special_fields::MapFields;

/// The identity of a map within one kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct MapId(pub u32);

/// What the verifier needs to know of a map.
#[derive(Clone, Debug)]
pub struct MapFacts {
    /// The identity.
    pub id: MapId,
    /// `BPF_MAP_TYPE_*`.
    pub map_type: u32,
    /// Key bytes.
    pub key_size: u32,
    /// Value bytes.
    pub value_size: u32,
    /// Capacity in elements.
    pub max_entries: u32,
    /// `BPF_F_*` flags of creation, with `RDONLY_PROG` and `WRONLY_PROG` among them.
    pub flags: u32,
    /// The name given at creation (15 bytes at most).
    pub name: String,
    /// Whether `BPF_MAP_FREEZE` was applied.
    pub frozen: bool,
    /// For maps of maps, the template of the inner map.
    pub inner: Option<Arc<MapFacts>>,
    /// The BTF of the map and the type ids of key and value, when given.
    pub btf: Option<(Arc<Btf>, u32, u32)>,
    /// The map-specific extra word of creation.
    pub map_extra: u64,
    /// Whether it was made by somebody whose programs are guarded against speculation, so that
    /// an index into it is masked.
    pub for_unprivileged: bool,
    /// The kernel's own fields in its values, found by the first program that asks.
    pub fields: MapFields,
    /// Whether it was made for one program, by its hash, and that is not this one.
    pub for_another: bool,
}

/// The four separate facts that Linux derives from capabilities or a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Privilege {
    /// Pointers may be treated as numbers (`CAP_PERFMON`).
    pub allow_ptr_leaks: bool,
    /// Uninitialised stack may be read (`CAP_PERFMON`).
    pub allow_uninit_stack: bool,
    /// No Spectre v1 mitigation is needed.
    pub bypass_spec_v1: bool,
    /// No Spectre v4 mitigation is needed.
    pub bypass_spec_v4: bool,
    /// `CAP_BPF`: loops, subprograms, the large limit, and more.
    pub bpf_capable: bool,
}

impl Privilege {
    /// The rights of root.
    pub const FULL: Privilege = Privilege {
        allow_ptr_leaks: true,
        allow_uninit_stack: true,
        bypass_spec_v1: true,
        bypass_spec_v4: true,
        bpf_capable: true,
    };
}

/// Which part of a log is kept; a log can be hundreds of megabytes long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogKeep {
    /// Everything.
    All,
    /// The first bytes, as with `BPF_LOG_FIXED`.
    First(usize),
    /// The last bytes.
    Last(usize),
}

/// A list of records that the caller handed over, as far as it could be read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Records<'a> {
    /// The records that were read.
    pub bytes: &'a [u8],
    /// The size of one as the caller says it.
    pub size: u32,
    /// How many there are as the caller says it; the last ones may be missing where an earlier
    /// one makes that the program is refused.
    pub count: u32,
    /// Why the record behind those that were read could not be.
    pub failed: Option<Errno>,
}

impl<'a> Records<'a> {
    /// Records that are all there.
    pub fn new(bytes: &'a [u8], size: u32) -> Records<'a> {
        Records {
            bytes,
            size,
            count: (bytes.len() / size.max(1) as usize) as u32,
            failed: None,
        }
    }

    /// One record after the other.
    pub(crate) fn iter(&self) -> std::slice::ChunksExact<'a, u8> {
        self.bytes.chunks_exact(self.size.max(1) as usize)
    }
}

/// One `BPF_PROG_LOAD`, with everything copied in from the caller.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The program as given.
    pub insns: &'a [Insn],
    /// `BPF_PROG_TYPE_*`.
    pub prog_type: u32,
    /// `BPF_*` attach type the caller expects, 0 when it says nothing.
    pub expected_attach_type: u32,
    /// `BPF_F_*` program flags.
    pub flags: u32,
    /// The program's name.
    pub name: &'a str,
    /// Whether the licence lets it call GPL-only helpers.
    pub gpl_compatible: bool,
    /// The program's own BTF.
    pub btf: Option<Arc<Btf>>,
    /// Why there is no BTF although records need one.
    pub btf_refused: Option<Errno>,
    /// `func_info` records.
    pub func_info: Records<'a>,
    /// `line_info` records.
    pub line_info: Records<'a>,
    /// Relocations that the kernel is to carry out.
    pub core_relos: Records<'a>,
    /// How many descriptors of [`Env::fd_at_index`] the program holds.
    pub fd_array_cnt: u32,
    /// The BTF id of the attach target, 0 for none.
    pub attach_btf_id: u32,
    /// What has the target.
    pub attach_to: AttachTo,
    /// `log_level` as given: 1, 2, 4 and their sums; 0 for no log.
    pub log_level: u32,
    /// Which part of the log is kept.
    pub log_keep: LogKeep,
    /// The rights of the caller.
    pub privilege: Privilege,
    /// Whether to keep the abstract states for the checking interpreter.
    pub record_states: bool,
}

/// What the target of a program is a part of.
#[derive(Clone, Debug, Default)]
pub enum AttachTo {
    /// The kernel itself.
    #[default]
    Kernel,
    /// Another program.
    Program(Arc<TargetProgram>),
    /// The BTF of a module.
    Module,
}

/// What must be known of a program to attach to one of its functions.
#[derive(Clone, Debug, Default)]
pub struct TargetProgram {
    /// `BPF_PROG_TYPE_*`.
    pub prog_type: u32,
    /// `BPF_*` attach type it was loaded for.
    pub attach_type: u32,
    /// Its BTF.
    pub btf: Option<Arc<Btf>>,
    /// Its functions, entry first.
    pub functions: Vec<FunctionFacts>,
    /// It traces a program itself.
    pub traces_program: bool,
}

/// What others must know of a function to take its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionFacts {
    /// The BTF id of its type, 0 without one.
    pub btf_id: u32,
    /// It does not take what its type says.
    pub unreliable: bool,
    /// It may change packet data.
    pub changes_packet: bool,
    /// It may sleep.
    pub might_sleep: bool,
    /// It runs when the program throws.
    pub is_exception_callback: bool,
}

/// Types that may answer a relocation.
#[derive(Clone, Debug)]
pub struct Candidates {
    /// The kind that was looked for.
    pub kind: Kind,
    /// The types of that kind and the name, by blob and id.
    pub places: Vec<(Arc<Btf>, TypeId)>,
}

/// A module of the kernel: its types, which go on where the kernel's own end, and those of its
/// functions that programs may call.
#[derive(Debug)]
pub struct ModuleFacts {
    /// The name.
    pub name: String,
    /// The types, on top of the kernel's.
    pub btf: Arc<Btf>,
    /// The functions, by their number in the types.
    pub kfuncs: BTreeMap<u32, &'static Kfunc>,
}

/// The verifier's only window on the world.
pub trait Env {
    /// The map behind a descriptor; `EBADF` when it is not open, `EINVAL` when it is no map.
    fn map_by_fd(&self, fd: i32) -> Result<Arc<MapFacts>, Errno>;
    /// The descriptor at an index of the caller's `fd_array`; `EFAULT` or `EPROTO` as Linux.
    fn fd_at_index(&self, index: u32) -> Result<i32, Errno>;
    /// Whether a descriptor is one of BTF; `EBADF` when it is not open, `EINVAL` when it is
    /// something else.
    fn check_btf_fd(&self, fd: i32) -> Result<(), Errno>;
    /// The module whose types a descriptor is open for; `None` for other types.
    fn module_by_fd(&self, _fd: i32) -> Option<Arc<ModuleFacts>> {
        None
    }
    /// `size` bytes (1, 2, 4 or 8) at `offset` in the value of a frozen, program-read-only
    /// map with direct value access, little endian; `None` when the map is not such a map.
    fn map_constant(&self, map: MapId, offset: u32, size: u32) -> Option<u64>;
    /// The address that stands for the map in logs (`18: (18) r1 = 0xffff…`).
    fn map_address(&self, map: MapId) -> u64;
    /// The address of a map's directly accessible value, when it has one.
    fn map_value_address(&self, map: MapId, offset: u32) -> Option<u64>;
    /// The kernel's own BTF.
    fn kernel_btf(&self) -> Option<Arc<Btf>>;
    /// The types of the kernel or of a module that may answer a relocation, by the name without
    /// its flavour; `None` when the kernel has no types. What was once looked for is kept by name
    /// alone, so that the answer may be for another kind.
    fn candidates(&self, name: &str, kind: Kind) -> Option<Candidates> {
        let btf = self.kernel_btf()?;
        let ids = Flavours::of(&btf).candidates(&btf, name, |other| other == kind);
        let places = ids.into_iter().map(|id| (Arc::clone(&btf), id)).collect();
        Some(Candidates { kind, places })
    }
    /// What [`candidates`](Self::candidates) keeps, as the log shows it: of the kernel, and of
    /// its modules.
    fn candidates_kept(&self) -> [String; 2] {
        Default::default()
    }
    /// How many CPUs there can be; bounds what `bpf_get_smp_processor_id` returns.
    fn cpu_count(&self) -> u32;
    /// Microseconds on a clock that only moves forward, for the `verification time` line.
    fn now_us(&self) -> u64;
}

/// The figures of the last line of the log.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Instructions walked, over all paths.
    pub insns_processed: u32,
    /// The most states kept at one instruction.
    pub max_states_per_insn: u32,
    /// States kept in all.
    pub total_states: u32,
    /// States kept at one moment.
    pub peak_states: u32,
    /// The longest walk of liveness marks (0 on 6.18).
    pub mark_read: u32,
    /// Bytes of the states kept at one moment, frames, stacks and histories included; not in
    /// the log.
    pub peak_bytes: u64,
    /// Microseconds the verification took.
    pub verification_time_us: u64,
}

/// How the verification ended.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Linux takes it.
    Accept(Box<Executable>),
    /// Linux refuses it.
    Reject(Reject),
    /// The program needs something that skep does not model; never a guess.
    Unsupported(String),
}

/// Why a program is refused.
#[derive(Clone, Debug)]
pub struct Reject {
    /// What `bpf(2)` returns.
    pub errno: Errno,
    /// The instruction at fault, in the numbering of the program as given.
    pub insn: Option<u32>,
    /// The line of the log that says why.
    pub message: String,
}

/// The whole answer.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The decision.
    pub verdict: Verdict,
    /// The log at the level asked for, without the trailing NUL, as far as it was kept.
    pub log: Vec<u8>,
    /// How many bytes long the log ever was: text of finished paths is forgotten at level 1,
    /// but counts for the room that a caller must offer.
    pub log_peak: u64,
    /// The figures.
    pub stats: Stats,
}

/// One function of an executable program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subprogram {
    /// Its first instruction in [`Executable::insns`].
    pub start: u32,
    /// One past its last instruction.
    pub end: u32,
    /// Bytes of stack it uses.
    pub stack_depth: u32,
    /// Whether it contains a tail call.
    pub has_tail_call: bool,
    /// What those who attach to it ask.
    pub facts: FunctionFacts,
}

/// A program that may run: rewritten, with every reference resolved.
///
/// The instructions are ordinary ones with these conventions:
/// - a 64-bit load with source `BPF_PSEUDO_MAP_FD` (1) has in `imm` an index into
///   [`maps`](Self::maps); with source `BPF_PSEUDO_MAP_VALUE` (2) also an offset in the
///   second slot's `imm`; with source `BPF_PSEUDO_FUNC` (4) `imm` is an index into
///   [`subprograms`](Self::subprograms);
/// - a call with source `BPF_PSEUDO_CALL` (1) has a pc-relative `imm`; with source 0 the
///   number of a helper, or of a function of the kernel, which `catalog` numbers from
///   `KFUNC_BASE` on: both are called the same way;
/// - context accesses use the runtime context: the structure of the UAPI header with each
///   field at its own offset, except that the fields of the packet pointers (`data`,
///   `data_end`, `data_meta`) are read as 64-bit words at the offsets that `catalog` names.
#[derive(Clone, Debug, Default)]
pub struct Executable {
    /// The rewritten instructions.
    pub insns: Vec<Insn>,
    /// For each of them, the instruction of the original program it came from.
    pub origin: Vec<u32>,
    /// The functions, entry first, by start.
    pub subprograms: Vec<Subprogram>,
    /// The maps it refers to.
    pub maps: Vec<MapId>,
    /// Whether the program may change packet data.
    pub changes_packet: bool,
    /// Bytes of stack over the deepest chain of calls.
    pub max_stack_depth: u32,
    /// One past the last byte of the context that the program looks at.
    pub max_ctx_offset: u32,
    /// The slots of loads that may find nothing, ascending: through pointers to objects that
    /// may be gone, and addresses that were made up. Such a load reads zero.
    pub probed: Vec<u32>,
    /// The slots of accesses in the program's arena, ascending: with only the low half of the
    /// register for an address. A load of what is not there reads zero; anything else does
    /// nothing. An old value, or one that was to be loaded with acquire ordering, is then what
    /// its register held before, cut to the size of the access.
    pub in_arena: Vec<u32>,
    /// The program's arena. An address space cast in [`insns`](Self::insns) is one to the
    /// address that the arena's user sees.
    pub arena: Option<MapId>,
    /// What of the kernel's own memory or functions the program needs: such a program is
    /// verified here but cannot run.
    pub needs_kernel: Option<String>,
    /// The functions of the kernel that it calls, by number, with their BTF ids; ascending.
    pub kfuncs: Vec<(u32, u32)>,
    /// The function that gets what was thrown and gives the program's result, as an index into
    /// [`subprograms`](Self::subprograms). Without one, what was thrown is the result.
    pub exception_callback: Option<u32>,
    /// The abstract states for the checking interpreter, when asked for.
    pub recorded: Vec<RecordedState>,
    /// The program as Linux shows it after its own rewrites.
    pub shown: Shown,
}

/// A program as Linux shows it: with contexts and sockets as that kernel has them, and with what
/// its engine needs. Loads of maps have an index into [`Executable::maps`], calls of the kernel's
/// functions the number of a helper or a BTF id; addresses of the kernel are zero.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The instructions.
    pub insns: Vec<Insn>,
    /// The records of `func_info` that are left: their numbers, and where each begins.
    pub functions: Vec<(u32, u32)>,
    /// The same of `line_info`.
    pub lines: Vec<(u32, u32)>,
}

/// One abstract state that the verifier passed through, as numbers and kinds only.
///
/// The checking interpreter, standing before original instruction `insn`, demands that at
/// least one recorded state of that instruction contains the concrete one.
#[derive(Clone, Debug)]
pub struct RecordedState {
    /// The instruction of the original program about to run.
    pub insn: u32,
    /// The depth of the call chain: 0 for the entry function.
    pub frame: u32,
    /// r0 to r10.
    pub regs: [RecordedReg; 11],
    /// Stack slots of 8 bytes that hold a known scalar, by slot (0 lies at r10-8).
    pub slots: Vec<(u32, RecordedReg)>,
}

/// What a recorded state claims of one register.
#[derive(Clone, Copy, Debug)]
pub enum RecordedReg {
    /// Nothing (never read on this path, or not modelled).
    Any,
    /// A number inside these bounds.
    Scalar(skep_domain::Scalar),
    /// Exactly zero or some pointer (a pointer that may be null).
    PointerOrNull,
    /// Never zero.
    Pointer,
}

//! Whether a program may call a helper: its type, its attach type, its loader's capabilities.

use skep_abi::ProgType;

use crate::avail_rows::ROWS;
use crate::helper::Capability;
use crate::helper_id::*;

/// A set of helper numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HelperSet([u64; 4]);

impl HelperSet {
    /// All numbers are below.
    pub(crate) const END: u32 = 256;

    /// Whether the helper with this number is in it.
    #[must_use]
    pub const fn contains(self, id: u32) -> bool {
        id < Self::END && self.0[(id / 64) as usize] >> (id % 64) & 1 == 1
    }

    /// The numbers in it, ascending.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (0..Self::END).filter(move |id| self.contains(*id))
    }

    pub(crate) const fn with(self, other: HelperSet) -> HelperSet {
        let (a, b) = (self.0, other.0);
        HelperSet([a[0] | b[0], a[1] | b[1], a[2] | b[2], a[3] | b[3]])
    }
}

pub(crate) const fn set(ids: &[u32]) -> HelperSet {
    let mut bits = [0; 4];
    let mut i = 0;
    while i < ids.len() {
        bits[(ids[i] / 64) as usize] |= 1 << (ids[i] % 64);
        i += 1;
    }
    HelperSet(bits)
}

/// Which attach types a row speaks of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Attach {
    Any,
    Only(&'static [u32]),
}

impl Attach {
    pub(crate) fn includes(self, attach_type: u32) -> bool {
        match self {
            Attach::Any => true,
            Attach::Only(list) => list.contains(&attach_type),
        }
    }
}

/// One row of the table of availability.
pub(crate) struct Row {
    pub(crate) types: &'static [ProgType],
    pub(crate) attach: Attach,
    pub(crate) helpers: HelperSet,
}

/// The capabilities that decide about helpers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caps {
    /// `CAP_BPF`, or `CAP_SYS_ADMIN`.
    pub bpf: bool,
    /// `CAP_PERFMON`, or `CAP_SYS_ADMIN`.
    pub perfmon: bool,
}

impl Caps {
    /// The rights of root.
    pub const FULL: Caps = Caps {
        bpf: true,
        perfmon: true,
    };
    /// No rights.
    pub const NONE: Caps = Caps {
        bpf: false,
        perfmon: false,
    };

    /// Whether they include what is asked for.
    #[must_use]
    pub const fn include(self, needed: Capability) -> bool {
        match needed {
            Capability::None => true,
            Capability::Bpf => self.bpf,
            // Linux asks for the lesser right first.
            Capability::Perfmon => self.bpf && self.perfmon,
        }
    }
}

/// Helpers for which the caller needs `CAP_PERFMON`: they show the kernel's memory or act on
/// other tasks. Tracing programs need it to load, so there it adds nothing.
#[rustfmt::skip]
const NEED_PERFMON: HelperSet = set(&[
    TRACE_PRINTK, GET_CURRENT_COMM, PERF_EVENT_READ, GET_CURRENT_TASK, PERF_EVENT_READ_VALUE,
    SEND_SIGNAL, PROBE_READ_USER, PROBE_READ_KERNEL, PROBE_READ_USER_STR, PROBE_READ_KERNEL_STR,
    SEND_SIGNAL_THREAD, GET_TASK_STACK, COPY_FROM_USER, SNPRINTF_BTF, GET_CURRENT_TASK_BTF,
    SNPRINTF, TASK_PT_REGS, GET_BRANCH_SNAPSHOT, TRACE_VPRINTK, FIND_VMA, COPY_FROM_USER_TASK,
]);

/// Casts of sockets to the kernel's own types. Programs that meet sockets on the network need
/// `CAP_PERFMON` for them, system-call programs do not.
#[rustfmt::skip]
const CASTS: HelperSet = set(&[
    SKC_TO_TCP6_SOCK, SKC_TO_TCP_SOCK, SKC_TO_TCP_TIMEWAIT_SOCK, SKC_TO_TCP_REQUEST_SOCK,
    SKC_TO_UDP6_SOCK, SKC_TO_UNIX_SOCK, SKC_TO_MPTCP_SOCK,
]);

/// Helpers of the common set for which `CAP_BPF` is needed; maps, numbers, time, ring buffers,
/// strings and the calling process are open to all.
#[rustfmt::skip]
const COMMON: HelperSet = set(&[
    GET_CGROUP_CLASSID, CURRENT_TASK_UNDER_CGROUP, GET_CURRENT_CGROUP_ID,
    SPIN_LOCK, SPIN_UNLOCK, JIFFIES64, GET_CURRENT_ANCESTOR_CGROUP_ID, PER_CPU_PTR, THIS_CPU_PTR,
    TASK_STORAGE_GET, TASK_STORAGE_DELETE, FOR_EACH_MAP_ELEM, TIMER_INIT, TIMER_SET_CALLBACK,
    TIMER_START, TIMER_CANCEL, LOOP, KPTR_XCHG, DYNPTR_FROM_MEM, RINGBUF_RESERVE_DYNPTR,
    RINGBUF_SUBMIT_DYNPTR, RINGBUF_DISCARD_DYNPTR, DYNPTR_READ, DYNPTR_WRITE, DYNPTR_DATA,
    USER_RINGBUF_DRAIN, CGRP_STORAGE_GET, CGRP_STORAGE_DELETE,
]);

/// What the caller needs for a helper, besides what the program type asks for.
#[must_use]
pub const fn helper_capability(prog_type: ProgType, id: u32) -> Capability {
    let is_syscall = matches!(prog_type, ProgType::Syscall);
    if NEED_PERFMON.contains(id)
        || (CASTS.contains(id) && !is_syscall)
        || (id == SYS_BPF && is_syscall)
    {
        Capability::Perfmon
    } else if COMMON.contains(id) {
        Capability::Bpf
    } else {
        Capability::None
    }
}

/// The helpers that programs of this kind may call when their loader may do everything.
///
/// `None` when the kind is unknown, or its helpers depend on what it replaces or implements
/// (extensions; structures of operations other than TCP congestion control).
#[must_use]
pub fn helper_set(prog_type: ProgType, attach_type: u32) -> Option<HelperSet> {
    ROWS.iter()
        .find(|row| row.types.contains(&prog_type) && row.attach.includes(attach_type))
        .map(|row| row.helpers)
}

/// Whether a program of this kind, loaded with these capabilities, may call the helper.
#[must_use]
pub fn helper_allowed(prog_type: ProgType, attach_type: u32, id: u32, caps: Caps) -> bool {
    helper_set(prog_type, attach_type).is_some_and(|set| set.contains(id))
        && caps.include(helper_capability(prog_type, id))
}

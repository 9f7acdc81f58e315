//! What is known of a kernel function that programs call by BTF id.

use skep_abi::{AttachType, ProgType};

use crate::kfunc_rows::KFUNCS;

pub(crate) const ACQUIRE: u16 = 1;
pub(crate) const RELEASE: u16 = 1 << 1;
pub(crate) const NULL: u16 = 1 << 2;
pub(crate) const TRUSTED: u16 = 1 << 3;
pub(crate) const RCU: u16 = 1 << 4;
pub(crate) const RCU_PROTECTED: u16 = 1 << 5;
pub(crate) const NEW: u16 = 1 << 6;
pub(crate) const NEXT: u16 = 1 << 7;
pub(crate) const DESTROY: u16 = 1 << 8;
pub(crate) const FAST: u16 = 1 << 9;
pub(crate) const SLEEP: u16 = 1 << 10;
pub(crate) const UNMODELLED: u16 = 1 << 15;

/// The set of functions for security hooks only.
pub(crate) const HOOKS: u64 = 1 << 29;

/// How a helper or a function of the kernel runs a function of the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Callback {
    /// It runs none.
    None,
    /// Any number of times before it returns.
    Repeated,
    /// At some later time.
    Later,
}

/// What is to be known of a function that programs call, as Linux's `KF_*` flags say it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KfuncFlags(u16);

impl KfuncFlags {
    /// Nothing in particular.
    pub const NONE: KfuncFlags = KfuncFlags(0);
    /// The result is a reference that must be released.
    pub const ACQUIRE: KfuncFlags = KfuncFlags(ACQUIRE);
    /// It takes over the reference of its argument.
    pub const RELEASE: KfuncFlags = KfuncFlags(RELEASE);
    /// The result may be null.
    pub const RET_NULL: KfuncFlags = KfuncFlags(NULL);
    /// Pointers to objects must be trusted.
    pub const TRUSTED_ARGS: KfuncFlags = KfuncFlags(TRUSTED);
    /// Pointers to objects must be trusted, or valid inside an RCU section.
    pub const RCU: KfuncFlags = KfuncFlags(RCU);
    /// It is only called inside an RCU section.
    pub const RCU_PROTECTED: KfuncFlags = KfuncFlags(RCU_PROTECTED);
    /// Only programs that may sleep can call it.
    pub const SLEEPABLE: KfuncFlags = KfuncFlags(SLEEP);

    /// These flags and others.
    #[must_use]
    pub const fn with(self, other: KfuncFlags) -> KfuncFlags {
        KfuncFlags(self.0 | other.0)
    }
}

/// One function of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Kfunc {
    /// Its name.
    pub name: &'static str,
    pub(crate) types: u64,
    pub(crate) flags: u16,
}

impl Kfunc {
    /// A function of a module, for programs of these types.
    #[must_use]
    pub fn of_module(name: &'static str, types: &[ProgType], flags: KfuncFlags) -> Kfunc {
        let types = types.iter().fold(0, |mask, ty| mask | 1 << *ty as u32);
        Kfunc {
            name,
            types,
            flags: flags.0,
        }
    }

    const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Whether its rules are known well enough to verify a call.
    #[must_use]
    pub const fn is_modelled(&self) -> bool {
        !self.has(UNMODELLED)
    }

    /// The result is a reference that must be released.
    #[must_use]
    pub const fn acquires(&self) -> bool {
        self.has(ACQUIRE)
    }

    /// It takes over the reference of its argument.
    #[must_use]
    pub const fn releases(&self) -> bool {
        self.has(RELEASE)
    }

    /// The result may be null.
    #[must_use]
    pub const fn returns_null(&self) -> bool {
        self.has(NULL)
    }

    /// Pointers to objects must be trusted.
    #[must_use]
    pub const fn wants_trusted(&self) -> bool {
        self.has(TRUSTED | RELEASE)
    }

    /// Pointers to objects must be trusted or valid inside an RCU section.
    #[must_use]
    pub const fn wants_rcu(&self) -> bool {
        self.has(RCU)
    }

    /// What the iterator gives is only valid inside an RCU section.
    #[must_use]
    pub const fn is_rcu_protected(&self) -> bool {
        self.has(RCU_PROTECTED)
    }

    /// It starts an iterator.
    #[must_use]
    pub const fn starts_iterator(&self) -> bool {
        self.has(NEW)
    }

    /// It gives the next element of an iterator.
    #[must_use]
    pub const fn steps_iterator(&self) -> bool {
        self.has(NEXT)
    }

    /// It ends an iterator.
    #[must_use]
    pub const fn ends_iterator(&self) -> bool {
        self.has(DESTROY)
    }

    /// It keeps the argument registers.
    #[must_use]
    pub const fn is_fastcall(&self) -> bool {
        self.has(FAST)
    }

    /// Only programs that may sleep can call it.
    #[must_use]
    pub const fn might_sleep(&self) -> bool {
        self.has(SLEEP)
    }

    /// Pointers into the packet are stale after it.
    #[must_use]
    pub fn changes_packet(&self) -> bool {
        self.name == "bpf_xdp_pull_data"
    }

    /// How it runs a function of the program.
    #[must_use]
    pub fn callback(&self) -> Callback {
        match self.name {
            "bpf_rbtree_add_impl" => Callback::Repeated,
            "bpf_wq_set_callback_impl"
            | "bpf_task_work_schedule_signal_impl"
            | "bpf_task_work_schedule_resume_impl" => Callback::Later,
            _ => Callback::None,
        }
    }

    /// Whether programs of this type, loaded for this attach type, may call it; `None` for types
    /// that could not be asked.
    #[must_use]
    pub fn allowed(&self, prog_type: ProgType, attach_type: u32) -> Option<bool> {
        use ProgType as P;
        let attached = |types: &[AttachType]| types.iter().any(|ty| *ty as u32 == attach_type);
        match (self.name, prog_type) {
            ("bpf_session_cookie" | "bpf_session_is_return", _) => {
                let sessions = [
                    AttachType::TraceKprobeSession,
                    AttachType::TraceUprobeSession,
                ];
                return Some(prog_type == P::Kprobe && attached(&sessions));
            }
            ("bpf_sock_destroy", P::Tracing | P::Tracepoint | P::PerfEvent)
                if !attached(&[AttachType::TraceIter]) =>
            {
                return Some(false);
            }
            _ => {}
        }
        match prog_type {
            P::Ext | P::LircMode2 | P::Unspec => None,
            // Hooks are asked as tracing programs are.
            P::Lsm => Some(self.types >> P::Tracing as u32 & 1 != 0 || self.types == HOOKS),
            known => Some(self.types >> known as u32 & 1 != 0),
        }
    }
}

/// The first number of a kernel function where it is called as a helper is; helpers have
/// lower ones.
pub const KFUNC_BASE: u32 = 1 << 16;

impl Kfunc {
    /// The number under which engines call it, which lasts as long as the process.
    #[must_use]
    pub fn number(&self) -> u32 {
        let at = KFUNCS.binary_search_by_key(&self.name, |row| row.name);
        KFUNC_BASE + at.unwrap_or(KFUNCS.len()) as u32
    }
}

/// The function with this number.
#[must_use]
pub fn kfunc_by_number(number: u32) -> Option<&'static Kfunc> {
    KFUNCS.get(number.checked_sub(KFUNC_BASE)? as usize)
}

/// All functions that are known, by name.
#[must_use]
pub fn kfuncs() -> &'static [Kfunc] {
    KFUNCS
}

/// The function with this name; `None` for one that was not asked about.
#[must_use]
pub fn kfunc(name: &str) -> Option<&'static Kfunc> {
    let at = KFUNCS.binary_search_by_key(&name, |row| row.name).ok()?;
    Some(&KFUNCS[at])
}

/// The structures of the kernel that can be given back by whoever frees a map, so that maps and
/// objects of programs may own them (`kptr`). Asked of Linux 6.18.44.
static DESTRUCTORS: [&str; 6] = [
    "bpf_cpumask",
    "bpf_crypto_ctx",
    "cgroup",
    "prog_test_member",
    "prog_test_ref_kfunc",
    "task_struct",
];

/// Whether memory of programs may own a structure of the kernel of this name (Linux: `ENOENT`).
#[must_use]
pub fn has_destructor(structure: &str) -> bool {
    DESTRUCTORS.binary_search(&structure).is_ok()
}

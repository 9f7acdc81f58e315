//! What a kernel is like before its first command.

use std::sync::Arc;
use std::time::Duration;

use skep_btf::Btf;
use skep_vm::world::{Real, Task, World};

use crate::kernel::Kernel;
use crate::module::{Module, ModuleError};
use crate::task::Credentials;

/// CPUs that Linux's distribution kernels are built for at most, as cpumaps see it.
const CPUS_BUILT: u32 = 256;

/// What the monotonic clock shows at the start: a machine that has been up for a while.
const UPTIME_NS: u64 = 1_000_000_000_000;

/// Describes a kernel; [`build`](Builder::build) makes it.
pub struct Builder {
    pub(crate) cpus: u32,
    pub(crate) cpus_built: u32,
    pub(crate) credentials: Credentials,
    pub(crate) unprivileged_bpf: bool,
    pub(crate) kernel_btf: Option<Arc<Btf>>,
    pub(crate) world: Option<Arc<dyn World>>,
    pub(crate) record_states: bool,
    pub(crate) checking: bool,
    pub(crate) native: bool,
    pub(crate) every_path: Option<u32>,
    pub(crate) walk_limit: Option<u32>,
    pub(crate) hardened: bool,
    pub(crate) debugger: bool,
    pub(crate) fuel: Option<u64>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) interfaces: u32,
    pub(crate) map_statistics: bool,
    pub(crate) memory: u64,
    pub(crate) modules: Vec<Module>,
}

impl Default for Builder {
    fn default() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
        Builder {
            cpus,
            cpus_built: CPUS_BUILT,
            credentials: Credentials::root(),
            unprivileged_bpf: false,
            kernel_btf: None,
            world: None,
            record_states: false,
            checking: false,
            native: true,
            every_path: None,
            walk_limit: None,
            hardened: false,
            debugger: false,
            fuel: None,
            deadline: None,
            interfaces: 1,
            map_statistics: false,
            memory: u64::MAX,
            modules: Vec::new(),
        }
    }
}

impl Builder {
    /// How many virtual CPUs there are (at least 1): the number of values of an element of a
    /// per-CPU map. By default, as many as this machine has.
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.cpus = cpus.clamp(1, CPUS_BUILT);
        self
    }

    /// Who the calling task is. By default root, with every capability.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// Whether tasks without capabilities may use `bpf(2)` at all, for what needs none
    /// (`kernel.unprivileged_bpf_disabled = 0`). By default they may not.
    pub fn unprivileged_bpf(mut self, allowed: bool) -> Self {
        self.unprivileged_bpf = allowed;
        self
    }

    /// The BTF of the kernel itself, which programs may be checked against.
    pub fn kernel_btf(mut self, btf: Arc<Btf>) -> Self {
        self.kernel_btf = Some(btf);
        self
    }

    /// A module of the kernel whose types were given before ([`kernel_btf`](Self::kernel_btf)).
    /// Programs call its functions, and relocations that the kernel is to carry out look there for
    /// types that the kernel proper does not have.
    ///
    /// # Errors
    /// When its types are not built on those.
    pub fn module(mut self, module: Module) -> Result<Self, ModuleError> {
        if !module.fits(self.kernel_btf.as_ref()) {
            return Err(ModuleError::OtherKernel(module.facts.name));
        }
        self.modules.push(module);
        Ok(self)
    }

    /// Where time, random numbers and the current task come from. By default the real ones.
    pub fn world(mut self, world: Arc<dyn World>) -> Self {
        self.world = Some(world);
        self
    }

    /// Whether runs check every access, and every step against the abstract states that the
    /// verifier then keeps. By default its word is taken.
    pub fn checking(mut self, checking: bool) -> Self {
        self.record_states = checking;
        self.checking = checking;
        self
    }

    /// Makes the verifier walk every path to its end, but no more than `limit` instructions,
    /// so that what its pruning decides can be tested. By default it prunes, as Linux does.
    pub fn every_path(mut self, limit: Option<u32>) -> Self {
        self.every_path = limit;
        self
    }

    /// Makes the verifier give up after this many instructions instead of Linux's million, so
    /// that programs that take long are found in little time.
    pub fn walk_limit(mut self, limit: Option<u32>) -> Self {
        self.walk_limit = limit;
        self
    }

    /// Whether programs run as native code, where this machine and the program allow it; else
    /// they are interpreted. By default they do. Runs that are checked are always interpreted.
    pub fn native(mut self, native: bool) -> Self {
        self.native = native;
        self
    }

    /// How many instructions one run may execute; by default as many as it likes. Native code
    /// counts its own, at the beginning of functions and of the rounds of loops.
    pub fn fuel(mut self, fuel: Option<u64>) -> Self {
        self.fuel = fuel;
        self
    }

    /// How long one run may take; by default as long as it likes. It is looked at every hundred
    /// thousand instructions or so.
    pub fn deadline(mut self, deadline: Option<Duration>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Whether native code hides the constants of programs (as `net.core.bpf_jit_harden`), so
    /// that a program cannot choose bytes of executable memory. By default it does not.
    pub fn hardened(mut self, hardened: bool) -> Self {
        self.hardened = hardened;
        self
    }

    /// Whether debuggers are told where the native code of each program lies, what its functions
    /// are called and, as far as the program has line information, which lines of the source it
    /// comes from (gdb's JIT interface), from its first run until it is unloaded. By default they
    /// are not. Nobody can write the code, a debugger neither, so that only its
    /// hardware breakpoints stop there (`hbreak`). For profilers see [`Kernel::perf_map`].
    pub fn debugger(mut self, debugger: bool) -> Self {
        self.debugger = debugger;
        self
    }

    /// How many network interfaces there are, numbered from 1, which is the loopback. By
    /// default there is only that one.
    pub fn interfaces(mut self, count: u32) -> Self {
        self.interfaces = count.max(1);
        self
    }

    /// How many bytes all maps, and all objects that programs make, may take together; by
    /// default as many as there are. A map, an element or an object past that is refused as by
    /// a machine without memory: with `ENOMEM`, or no address.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Counts what programs do with each map ([`MapUsage::operations`](crate::MapUsage)); off by
    /// default. Native code then calls a helper for every operation, even for a lookup in an
    /// array that is three instructions otherwise.
    pub fn map_statistics(mut self, on: bool) -> Self {
        self.map_statistics = on;
        self
    }

    /// The world, the real one when none was given.
    pub(crate) fn world_or_real(&self) -> Arc<dyn World> {
        match &self.world {
            Some(world) => world.clone(),
            None => Arc::new(Real::new(UPTIME_NS, self.cpus, Task::default())),
        }
    }

    /// Makes the kernel.
    pub fn build(self) -> Kernel {
        Kernel::new(self)
    }
}

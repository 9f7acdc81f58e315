//! The kernel as a value: what it holds.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use skep_abi::{Bpf, Errno, Files, UserMemory};
use skep_btf::Btf;
use skep_maps::{Ledger, Rcu};
use skep_verifier::Stats;
use skep_vm::Cpus;
use skep_vm::world::World;

use crate::btf::BtfObject;
use crate::candidates::CandidateCache;
use crate::config::Builder;
use crate::fds::{Fds, File};
use crate::heap::Heap;
use crate::id::Ids;
use crate::keeper::Keeper;
use crate::map::MapObject;
use crate::module::Module;
use crate::objects::Objects;
use crate::prog::Program;
use crate::task::Credentials;
use crate::timers::Timers;

/// The most bytes of trace that are kept.
const TRACE_MAX: usize = 1 << 20;

/// The BPF subsystem of one imagined machine with one task.
///
/// All methods take `&self` and may be called from any thread.
pub struct Kernel {
    pub(crate) cpus: u32,
    pub(crate) cpus_built: u32,
    pub(crate) credentials: Credentials,
    pub(crate) unprivileged_bpf: bool,
    pub(crate) kernel_btf: Option<Arc<Btf>>,
    pub(crate) module_btfs: Vec<Arc<Btf>>,
    /// What relocations were about.
    pub(crate) candidates: CandidateCache,
    pub(crate) world: Arc<dyn World>,
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
    pub(crate) started: Instant,
    pub(crate) vcpus: Cpus,
    trace: Mutex<Vec<u8>>,
    last_trap: Mutex<Option<String>>,
    last_stats: Mutex<Stats>,
    pub(crate) rcu: Arc<Rcu>,
    /// What maps take.
    pub(crate) map_memory: Arc<Ledger>,
    pub(crate) fds: Fds,
    /// Whether runs are counted and timed.
    pub(crate) counting: Arc<crate::stats::Counting>,
    /// How many objects of the embedding program were opened.
    pub(crate) cookies: AtomicU64,
    /// Those that programs may know.
    pub(crate) objects: Arc<Objects>,
    pub(crate) timers: Arc<Timers>,
    /// Takes back what maps give up.
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) structures: crate::structures::Structures,
    /// Objects that programs made.
    pub(crate) heap: Arc<Heap>,
    pub(crate) maps: Arc<Ids<MapObject>>,
    pub(crate) progs: Arc<Ids<Program>>,
    pub(crate) btfs: Arc<Ids<BtfObject>>,
    /// Types of the kernel and its modules, which last as long as it does.
    _built_in: Vec<Arc<BtfObject>>,
}

impl Kernel {
    /// Describes a kernel.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(config: Builder) -> Kernel {
        let world = config.world_or_real();
        let Builder {
            cpus,
            cpus_built,
            credentials,
            unprivileged_bpf,
            kernel_btf,
            record_states,
            checking,
            native,
            every_path,
            walk_limit,
            hardened,
            debugger,
            fuel,
            deadline,
            interfaces,
            memory,
            map_statistics,
            modules,
            ..
        } = config;
        let types_of = |module: &Module| module.facts.btf.clone();
        let module_btfs = modules.iter().map(types_of).collect();
        let btfs = Ids::new();
        let built_in = crate::btf::built_in(&btfs, kernel_btf.as_ref(), modules);
        let timers = Arc::new(Timers::default());
        let rcu = Arc::new(Rcu::new(cpus as usize));
        let memory = Arc::new(Ledger::new(memory));
        let part = || Arc::new(Ledger::under(memory.clone()));
        let heap = Arc::new(Heap::new(rcu.clone(), part()));
        Kernel {
            cpus,
            cpus_built,
            credentials,
            unprivileged_bpf,
            kernel_btf,
            module_btfs,
            candidates: CandidateCache::default(),
            world,
            record_states,
            checking,
            native,
            every_path,
            walk_limit,
            hardened,
            debugger,
            fuel,
            deadline,
            interfaces,
            map_statistics,
            started: Instant::now(),
            vcpus: Cpus::new(cpus),
            trace: Mutex::default(),
            last_trap: Mutex::default(),
            last_stats: Mutex::default(),
            map_memory: part(),
            rcu,
            fds: Fds::default(),
            counting: Arc::default(),
            cookies: AtomicU64::new(0),
            objects: Arc::default(),
            keeper: Arc::new(Keeper {
                timers: timers.clone(),
                heap: heap.clone(),
            }),
            timers,
            heap,
            structures: Default::default(),
            maps: Ids::new(),
            progs: Ids::new(),
            btfs,
            _built_in: built_in,
        }
    }
}

impl Kernel {
    /// What programs printed since the last call (`bpf_trace_printk` and its kin).
    pub fn take_trace(&self) -> Vec<u8> {
        std::mem::take(&mut *self.trace.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Appends to the trace; the oldest part goes when there is too much of it.
    pub(crate) fn trace(&self, text: &[u8]) {
        let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        let over = (trace.len() + text.len())
            .saturating_sub(TRACE_MAX)
            .min(trace.len());
        trace.drain(..over);
        trace.extend_from_slice(text);
    }

    /// Bytes that all maps take now.
    pub fn map_memory(&self) -> u64 {
        self.map_memory.used()
    }

    /// Bytes that the objects take that programs made; each until no program can see it.
    pub fn object_memory(&self) -> u64 {
        self.heap.bytes()
    }

    /// How many objects that programs made (`bpf_obj_new` and others) are still referred to, by
    /// programs that run or by maps.
    pub fn live_objects(&self) -> usize {
        self.heap.count()
    }

    /// The figures of the last verification.
    pub fn last_stats(&self) -> Stats {
        *self
            .last_stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note_stats(&self, stats: Stats) {
        *self
            .last_stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = stats;
    }

    /// Why the last run that was stopped did not return, as text.
    pub fn last_trap(&self) -> Option<String> {
        self.last_trap
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn note_trap(&self, why: String) {
        *self
            .last_trap
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// Gives the committed records of a ring buffer to `body`, in order; how many there were.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL` when the descriptor is no map.
    pub fn consume(&self, fd: u32, body: &mut dyn FnMut(&[u8])) -> Result<usize, Errno> {
        Ok(self.fds.map_object(fd)?.map.consume(body))
    }
}

impl Bpf for Kernel {
    fn bpf(&self, cmd: u32, attr: &mut [u8], memory: &mut dyn UserMemory) -> Result<u32, Errno> {
        self.dispatch(cmd, attr, memory)
    }
}

impl Files for Kernel {
    fn close(&self, fd: u32) -> Result<(), Errno> {
        self.fds.remove(fd).map(drop)
    }

    fn dup(&self, fd: u32) -> Result<u32, Errno> {
        let file: File = self.fds.get(fd)?;
        self.fds.insert(file)
    }

    fn mmap_at(
        &self,
        fd: u32,
        address: u64,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> Result<Box<dyn skep_abi::Mapping>, Errno> {
        self.mmap_map(fd, address, offset, len, writable)
    }

    fn kernel_btf(&self) -> Result<Vec<u8>, Errno> {
        self.kernel_btf
            .as_ref()
            .map(|btf| btf.raw().to_vec())
            .ok_or(Errno::ENOENT)
    }

    fn fdinfo(&self, fd: u32) -> Result<String, Errno> {
        match self.fds.get(fd)? {
            File::Map(file) => {
                let frozen = u32::from(file.object().is_frozen());
                let bytes = file.object().map.bytes();
                Ok(format!("memlock:\t{bytes}\nfrozen:\t{frozen}\n"))
            }
            _ => Ok(String::new()),
        }
    }
}

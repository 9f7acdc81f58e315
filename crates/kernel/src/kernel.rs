//! The kernel as a value: what it holds.

use std::sync::Arc;
use std::time::Instant;

use skep_abi::{Bpf, Errno, Files, UserMemory};
use skep_btf::Btf;
use skep_maps::Grace;
use skep_vm::world::World;

use crate::btf::BtfObject;
use crate::config::Builder;
use crate::fds::{Fds, File};
use crate::id::Ids;
use crate::map::MapObject;
use crate::prog::Program;
use crate::task::Credentials;

/// The BPF subsystem of one imagined machine with one task.
///
/// All methods take `&self` and may be called from any thread.
pub struct Kernel {
    pub(crate) cpus: u32,
    pub(crate) cpus_built: u32,
    pub(crate) credentials: Credentials,
    pub(crate) unprivileged_bpf: bool,
    pub(crate) kernel_btf: Option<Arc<Btf>>,
    pub(crate) world: Arc<dyn World>,
    pub(crate) record_states: bool,
    pub(crate) started: Instant,
    pub(crate) grace: Arc<Grace>,
    pub(crate) fds: Fds,
    pub(crate) maps: Arc<Ids<MapObject>>,
    pub(crate) progs: Arc<Ids<Program>>,
    pub(crate) btfs: Arc<Ids<BtfObject>>,
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
            ..
        } = config;
        Kernel {
            cpus,
            cpus_built,
            credentials,
            unprivileged_bpf,
            kernel_btf,
            world,
            record_states,
            started: Instant::now(),
            grace: Arc::default(),
            fds: Fds::default(),
            maps: Ids::new(),
            progs: Ids::new(),
            btfs: Ids::new(),
        }
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

    fn kernel_btf(&self) -> Result<Vec<u8>, Errno> {
        self.kernel_btf
            .as_ref()
            .map(|btf| btf.raw().to_vec())
            .ok_or(Errno::ENOENT)
    }
}

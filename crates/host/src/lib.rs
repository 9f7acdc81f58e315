//! The seam by the real bpf(2) system call of a Linux host.
//!
//! No address of the caller reaches the kernel. Each command is described in `plan`: the
//! memory it may touch is copied into buffers of our own, the call is made with these, and
//! what changed is copied out. So a safe caller cannot corrupt its process, whatever
//! attribute it makes up.

mod bounce;
mod call;
mod mapping;
mod object;
mod plan;
mod unprivileged;

use object::MapSizes;
pub use unprivileged::AllowUnprivileged;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use skep_abi::{
    Bpf, Buffers, Capabilities, Cmd, Errno, Files, MapType, ProgType, UserMemory, attr,
};

/// The BPF subsystem of the running kernel.
///
/// It owns the descriptors it hands out, and closes those that are left when it is dropped.
#[derive(Debug)]
pub struct Host {
    open: Mutex<BTreeMap<u32, Arc<Open>>>,
    cpus: Option<u32>,
}

/// A descriptor that was handed out. Commands that are under way keep it open.
#[derive(Debug)]
struct Open {
    fd: OwnedFd,
    /// What was asked of it once, when it is a map's: it cannot change.
    sizes: OnceLock<MapSizes>,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// Reaches the running kernel. Whether it answers is another question: [`Host::available`].
    pub fn new() -> Host {
        Host {
            open: Mutex::default(),
            cpus: possible_cpus(),
        }
    }

    /// Whether `bpf(2)` works here: a map can be made and a program loaded.
    ///
    /// # Errors
    /// What the kernel said, mostly `EPERM` or `ENOSYS`.
    pub fn available() -> Result<(), Errno> {
        let host = Host::new();
        let mut map = attr::MapCreate::new();
        map.set_map_type(MapType::Array.into());
        map.set_key_size(4).set_value_size(4).set_max_entries(1);
        host.bpf(Cmd::MapCreate.into(), map.as_attr(), &mut Buffers::new())?;
        // r0 = 0; exit
        let insns = [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
        let mut memory = Buffers::new();
        let mut load = attr::ProgLoad::new();
        load.set_prog_type(ProgType::SocketFilter.into())
            .set_insn_cnt(2);
        load.set_insns(memory.input(&insns))
            .set_license(memory.input(b"GPL\0"));
        host.bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory)
            .map(drop)
    }

    /// The version of the running kernel (`6.18.44`), as far as it is readable.
    pub fn release() -> Option<String> {
        let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
        Some(text.trim().to_owned())
    }

    /// How many CPUs there can ever be, which is how many values a per-CPU element has.
    pub fn possible_cpus(&self) -> Option<u32> {
        self.cpus
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<Open>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a descriptor as handed out and returns its number.
    fn hand_out(&self, fd: OwnedFd) -> Result<u32, Errno> {
        let number = u32::try_from(fd.as_raw_fd()).map_err(|_| Errno::EBADF)?;
        let sizes = OnceLock::new();
        self.table().insert(number, Arc::new(Open { fd, sizes }));
        Ok(number)
    }

    /// Works out what a command may touch.
    fn plan(&self, cmd: Cmd, attr: &[u8], memory: &dyn UserMemory) -> Result<plan::Plan, Errno> {
        let open = |fd| self.table().get(&fd).cloned();
        plan::plan(cmd, attr, memory, &open, self.cpus)
    }

    /// How long it takes to make these calls, one after the other, so many times: the system
    /// calls alone, with all that this crate does around them done before. This is what
    /// measurements compare with. What the calls answer in memory is thrown away.
    ///
    /// # Errors
    /// As for [`bpf`](Bpf::bpf), `EINVAL` for a command that makes descriptors, and what the
    /// kernel answers to a call.
    pub fn time(
        &self,
        calls: &[(Cmd, &[u8])],
        memory: &dyn UserMemory,
        rounds: u32,
    ) -> Result<Duration, Errno> {
        let mut plans = Vec::new();
        for (cmd, attr) in calls {
            if makes_descriptor(*cmd) {
                return Err(Errno::EINVAL);
            }
            plans.push((u32::from(*cmd), self.plan(*cmd, attr, memory)?));
        }
        let started = Instant::now();
        for _ in 0..rounds {
            for (cmd, plan) in &mut plans {
                call::bpf(*cmd, &mut plan.attr, &mut plan.bounces)?;
            }
        }
        Ok(started.elapsed())
    }
}

/// Runs `work` on a thread of its own that has these capabilities at most, of those the
/// caller has. The other threads keep theirs.
///
/// # Errors
/// What `capset(2)` said, or `EAGAIN` when there can be no thread.
pub fn with_capabilities<T: Send>(
    keep: Capabilities,
    work: impl FnOnce() -> T + Send,
) -> Result<T, Errno> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .spawn_scoped(scope, || call::keep_capabilities(keep).map(|()| work()))
            .map_err(|_| Errno::EAGAIN)?;
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// The count of possible CPUs from a list like `0-3,8`: one more than the last.
fn parse_cpus(list: &str) -> Option<u32> {
    let last = list.trim().rsplit([',', '-']).next()?;
    last.parse::<u32>().ok()?.checked_add(1)
}

fn possible_cpus() -> Option<u32> {
    parse_cpus(&std::fs::read_to_string("/sys/devices/system/cpu/possible").ok()?)
}

/// Whether the result of a command is a new descriptor.
fn makes_descriptor(cmd: Cmd) -> bool {
    matches!(
        cmd,
        Cmd::MapCreate
            | Cmd::ProgLoad
            | Cmd::ObjGet
            | Cmd::BtfLoad
            | Cmd::ProgGetFdById
            | Cmd::MapGetFdById
            | Cmd::BtfGetFdById
            | Cmd::LinkGetFdById
            | Cmd::RawTracepointOpen
            | Cmd::LinkCreate
            | Cmd::EnableStats
            | Cmd::IterCreate
            | Cmd::TokenCreate
    )
}

impl Bpf for Host {
    /// # Errors
    /// Those of Linux, and `EOPNOTSUPP` for a command or form whose use of memory is not
    /// described here, `EFAULT` for an output without a length.
    fn bpf(&self, cmd: u32, attr: &mut [u8], memory: &mut dyn UserMemory) -> Result<u32, Errno> {
        skep_abi::check_attr_size(attr)?;
        let known = Cmd::from_u32(cmd).ok_or(Errno::EINVAL)?;
        let mut plan = self.plan(known, attr, memory)?;
        let result = call::bpf(cmd, &mut plan.attr, &mut plan.bounces);
        let result = match result {
            Ok(fd) if makes_descriptor(known) => call::own(fd).and_then(|fd| self.hand_out(fd)),
            other => other,
        };
        let answer = plan.finish(memory).inspect_err(|_| {
            if let (Ok(fd), true) = (result, makes_descriptor(known)) {
                self.table().remove(&fd);
            }
        })?;
        for (to, from) in attr.iter_mut().zip(answer.bytes()) {
            *to = *from;
        }
        result
    }
}

impl Files for Host {
    fn close(&self, fd: u32) -> Result<(), Errno> {
        self.table().remove(&fd).map(drop).ok_or(Errno::EBADF)
    }

    fn dup(&self, fd: u32) -> Result<u32, Errno> {
        call::dup(fd).and_then(|fd| self.hand_out(fd))
    }

    fn mmap_at(
        &self,
        fd: u32,
        address: u64,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> Result<Box<dyn skep_abi::Mapping>, Errno> {
        let table = self.table();
        let file = table.get(&fd).ok_or(Errno::EBADF)?;
        let shared = mapping::Shared::new(file.fd.as_fd(), address, offset, len, writable)?;
        Ok(Box::new(shared))
    }

    fn kernel_btf(&self) -> Result<Vec<u8>, Errno> {
        std::fs::read("/sys/kernel/btf/vmlinux")
            .map_err(|error| Errno(error.raw_os_error().unwrap_or(Errno::EIO.0)))
    }

    fn fdinfo(&self, fd: u32) -> Result<String, Errno> {
        if !self.table().contains_key(&fd) {
            return Err(Errno::EBADF);
        }
        std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))
            .map_err(|error| Errno(error.raw_os_error().unwrap_or(Errno::EIO.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::parse_cpus;

    #[test]
    fn possible_cpus_are_counted_to_the_last() {
        let check = |list: &str, want: Option<u32>| assert_eq!(parse_cpus(list), want, "{list:?}");
        check("0\n", Some(1));
        check("0-3\n", Some(4));
        check("0-3,8\n", Some(9));
        check("", None);
        check("none", None);
    }
}

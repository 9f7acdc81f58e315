//! What descriptors refer to besides BPF's own objects: sockets, files, tasks, cgroups and
//! events of the program that embeds the kernel, which maps hold or are keyed by.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use skep_abi::{Errno, MapType};

use crate::fds::File;
use crate::kernel::Kernel;
use crate::map::MapObject;
use crate::map::references::{Owner, owns_in};

/// Something of the embedding program's that it lends to BPF.
///
/// The kernel asks for the [`Role`] whenever a command names the object, so a socket may
/// change its state; which kind it is must not change.
pub trait HostObject: Send + Sync {
    /// What it is to BPF now.
    fn role(&self) -> Role;
}

/// What an object is to BPF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// A socket.
    Socket(Socket),
    /// A task (what a pidfd refers to).
    Task,
    /// A control group (what a descriptor of its directory refers to).
    Cgroup,
    /// A perf event.
    PerfEvent,
    /// Any other file.
    File,
}

impl HostObject for Role {
    fn role(&self) -> Role {
        *self
    }
}

/// A socket, by the numbers that `socket(2)` takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Socket {
    /// `AF_INET` and so on.
    pub family: u16,
    /// `SOCK_STREAM` and so on.
    pub kind: u16,
    /// `IPPROTO_TCP` and so on.
    pub protocol: u16,
    /// The state as `enum tcp_state` numbers it: 1 established, 7 closed, 10 listening.
    pub state: u8,
    /// Whether it is bound with `SO_REUSEPORT`, so that it is in a group of sockets.
    pub in_reuseport_group: bool,
}

/// `AF_UNIX`, `AF_INET`, `AF_INET6`, `AF_VSOCK`, `AF_XDP`.
const UNIX: u16 = 1;
const INET: u16 = 2;
const INET6: u16 = 10;
const VSOCK: u16 = 40;
const XDP: u16 = 44;
/// `SOCK_STREAM`, `SOCK_DGRAM`, `SOCK_SEQPACKET`.
const STREAM: u16 = 1;
const DGRAM: u16 = 2;
const SEQPACKET: u16 = 5;
/// `IPPROTO_TCP`, `IPPROTO_UDP`.
const TCP: u16 = 6;
const UDP: u16 = 17;
/// `TCP_ESTABLISHED`, `TCP_LISTEN`.
const ESTABLISHED: u8 = 1;
const LISTEN: u8 = 10;

impl Socket {
    fn is_inet(&self) -> bool {
        matches!(self.family, INET | INET6)
    }

    /// # Errors
    /// `EOPNOTSUPP` for what a map of sockets does not take: other protocols, and streams
    /// that are not connected.
    pub(crate) fn check_sockmap(&self) -> Result<(), Errno> {
        let tcp = self.is_inet() && self.protocol == TCP;
        let udp = self.is_inet() && self.protocol == UDP;
        let takes = tcp || udp || matches!(self.family, UNIX | VSOCK);
        let connected = self.state == ESTABLISHED;
        let state = match (tcp, self.family, self.kind) {
            (true, ..) => connected || self.state == LISTEN,
            (_, UNIX, STREAM) | (_, VSOCK, STREAM | SEQPACKET) => connected,
            _ => true,
        };
        if takes && state {
            Ok(())
        } else {
            Err(Errno::EOPNOTSUPP)
        }
    }

    /// # Errors
    /// `ENOTSUPP` for other protocols, `EINVAL` for a socket in no group.
    pub(crate) fn check_reuseport(&self) -> Result<(), Errno> {
        let kind = matches!(self.kind, STREAM | DGRAM);
        if !self.is_inet() || !kind || !matches!(self.protocol, TCP | UDP) {
            return Err(Errno::ENOTSUPP);
        }
        if self.in_reuseport_group {
            Ok(())
        } else {
            Err(Errno::EINVAL)
        }
    }

    pub(crate) fn is_xdp(&self) -> bool {
        self.family == XDP
    }
}

/// An object behind descriptors. When the last one is closed it leaves the maps.
pub(crate) struct ObjectFile {
    pub(crate) host: Arc<dyn HostObject>,
    /// By which maps and system calls know it (`SO_COOKIE`).
    pub(crate) cookie: u64,
    holders: Mutex<Vec<Weak<MapObject>>>,
    /// Where it is listed, when programs may know it by its address.
    listed: Option<Arc<Objects>>,
}

/// The objects that programs may know, by number.
#[derive(Default)]
pub(crate) struct Objects {
    open: Mutex<BTreeMap<u64, Weak<ObjectFile>>>,
    /// The task in whose name programs run.
    current: Mutex<Option<Arc<ObjectFile>>>,
    /// Where the structures of the task and the cgroup lie that are none of the embedding
    /// program's; 0 until a program asked for them.
    own_task: AtomicU64,
    own_cgroup: AtomicU64,
}

/// Where programs find the current task, when it is none of the embedding program's. Nothing
/// can be read there.
const TASK_ADDRESS: u64 = 0xffff_8881_0000_0000;
/// The address of object number 0; there is one to a page. Nothing can be read there, either.
const OBJECT_ADDRESSES: u64 = 0xffff_8882_0000_0000;
const OBJECT_SHIFT: u32 = 12;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Objects {
    /// The open object at an address.
    fn at(&self, address: u64) -> Option<Arc<ObjectFile>> {
        let past = address.checked_sub(OBJECT_ADDRESSES)?;
        let number = past >> OBJECT_SHIFT;
        let found = locked(&self.open).get(&number).cloned();
        let object = found?.upgrade();
        object.filter(|object| object.address() == address)
    }

    /// The task that the embedding program gave.
    pub(crate) fn given_task(&self) -> Option<u64> {
        locked(&self.current).as_ref().map(|task| task.address())
    }

    /// Where the kernel's own object lies that has values in storages of this type.
    fn own(&self, map_type: MapType) -> Option<&AtomicU64> {
        match map_type {
            MapType::TaskStorage => Some(&self.own_task),
            MapType::CgrpStorage => Some(&self.own_cgroup),
            _ => None,
        }
    }

    /// Notes where it lies.
    pub(crate) fn note_own(&self, map_type: MapType, address: u64) {
        if let Some(own) = self.own(map_type) {
            own.store(address, Ordering::Release);
        }
    }

    /// The address of the current task.
    pub(crate) fn current_task(&self) -> u64 {
        match &*locked(&self.current) {
            Some(task) => task.address(),
            None => TASK_ADDRESS,
        }
    }

    /// Whose value in a storage of this type the address means.
    pub(crate) fn owner_at(&self, map_type: MapType, address: u64) -> Option<Owner> {
        let own = self
            .own(map_type)
            .map_or(0, |own| own.load(Ordering::Acquire));
        if own != 0 && address == own {
            return Some(Owner::KernelsOwn);
        }
        if address == TASK_ADDRESS {
            return (map_type == MapType::TaskStorage).then_some(Owner::KernelsOwn);
        }
        let object = self.at(address)?;
        owns_in(map_type, object.host.role()).then_some(Owner::Object(object))
    }
}

impl ObjectFile {
    /// An object that only lives as long as its maker keeps it.
    pub(crate) fn passing(host: Arc<dyn HostObject>, cookie: u64) -> Arc<ObjectFile> {
        Arc::new(ObjectFile {
            host,
            cookie,
            holders: Mutex::default(),
            listed: None,
        })
    }

    /// The address by which programs know it.
    fn address(&self) -> u64 {
        OBJECT_ADDRESSES + (self.cookie << OBJECT_SHIFT)
    }

    pub(crate) fn socket(&self) -> Result<Socket, Errno> {
        match self.host.role() {
            Role::Socket(socket) => Ok(socket),
            _ => Err(Errno::ENOTSOCK),
        }
    }

    /// Remembers that a map now knows the object.
    pub(crate) fn join(&self, map: &Arc<MapObject>) {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let there = |held: &Weak<MapObject>| std::ptr::eq(held.as_ptr(), Arc::as_ptr(map));
        if !holders.iter().any(there) {
            holders.retain(|held| held.strong_count() > 0);
            holders.push(Arc::downgrade(map));
        }
    }
}

impl Drop for ObjectFile {
    fn drop(&mut self) {
        let holders = std::mem::take(
            self.holders
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for map in holders.iter().filter_map(Weak::upgrade) {
            map.map.forget(self.cookie);
        }
        if let Some(list) = &self.listed {
            locked(&list.open).remove(&self.cookie);
        }
    }
}

impl Kernel {
    /// Opens a descriptor of an object of the embedding program, by which commands name it:
    /// a socket to put into a map, the key of a local storage. Closing the last one takes
    /// the object out of all maps that do not own what they hold.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn open_object(&self, object: Arc<dyn HostObject>) -> Result<u32, Errno> {
        let cookie = self.next_cookie();
        let file = Arc::new(ObjectFile {
            host: object,
            cookie,
            holders: Mutex::default(),
            listed: Some(self.objects.clone()),
        });
        locked(&self.objects.open).insert(cookie, Arc::downgrade(&file));
        self.fds.insert(File::Object(file))
    }

    /// The number of the next object.
    pub(crate) fn next_cookie(&self) -> u64 {
        let before = self
            .cookies
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        before + 1
    }

    /// The address by which programs know an object of [`open_object`](Self::open_object),
    /// to be given to them as an argument: a pointer to its structure of which nothing can be
    /// read, but which names the owner of a value in a local storage.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn object_address(&self, fd: u32) -> Result<u64, Errno> {
        match self.fds.get(fd)? {
            File::Object(file) => Ok(file.address()),
            _ => Err(Errno::EBADF),
        }
    }

    /// Makes a task of the embedding program the one in whose name programs run from now on:
    /// what `bpf_get_current_task_btf` gives, and whose value in a task storage they see.
    /// Without one, there is a task of which system calls know nothing.
    ///
    /// # Errors
    /// `EBADF` when the descriptor is no task.
    pub fn run_as(&self, task_fd: u32) -> Result<(), Errno> {
        let file = match self.fds.get(task_fd)? {
            File::Object(file) if file.host.role() == Role::Task => file,
            _ => return Err(Errno::EBADF),
        };
        let before = locked(&self.objects.current).replace(file);
        drop(before);
        Ok(())
    }
}

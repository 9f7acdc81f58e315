//! What descriptors refer to besides BPF's own objects: sockets, files, tasks, cgroups and
//! events of the program that embeds the kernel, which maps hold or are keyed by.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use skep_abi::Errno;

use crate::fds::File;
use crate::kernel::Kernel;
use crate::map::MapObject;

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
}

impl ObjectFile {
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
        let cookie = self
            .cookies
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            + 1;
        self.fds.insert(File::Object(Arc::new(ObjectFile {
            host: object,
            cookie,
            holders: Mutex::default(),
        })))
    }
}

//! Elements that refer to something: which descriptors and numbers a map takes, and what
//! system calls see of what it holds.

use std::sync::Arc;

use skep_abi::{AttachType, ElemFlags, Errno, MapType, ProgType};
use skep_maps::Held;

use super::inner::resembles;
use super::{MapObject, agrees};
use crate::fds::File;
use crate::kernel::Kernel;
use crate::objects::{ObjectFile, Role};
use crate::prog::Program;

/// The longest queue of a CPU map's element.
const QUEUE_MAX: u32 = 16_384;
/// The largest number of a descriptor.
const FD_MAX: u64 = i32::MAX as u64;

/// A network device in a map.
pub(crate) struct Device {
    /// Its number.
    pub(crate) ifindex: u32,
    /// Runs on packets that are sent to it, once something sends them.
    _prog: Option<Arc<Program>>,
}

/// A CPU in a map.
struct Remote {
    /// Runs there on each packet, once something sends them.
    _prog: Option<Arc<Program>>,
}

/// A socket in a map, which leaves it when it is closed; known by its cookie alone.
struct SocketRef;

/// Whether elements of such a map refer to something.
pub(super) fn is_reference(map_type: MapType) -> bool {
    use MapType::*;
    matches!(
        map_type,
        ProgArray
            | ArrayOfMaps
            | HashOfMaps
            | PerfEventArray
            | CgroupArray
            | Devmap
            | DevmapHash
            | Cpumap
            | Xskmap
            | Sockmap
            | Sockhash
            | ReuseportSockarray
    )
}

/// Whether elements belong to objects of the embedding program.
pub(super) fn is_local(map_type: MapType) -> bool {
    use MapType::*;
    matches!(
        map_type,
        SkStorage | TaskStorage | InodeStorage | CgrpStorage
    )
}

impl Kernel {
    /// Copies what system calls see of a reference.
    ///
    /// # Errors
    /// `ENOENT`; `ENOTSUPP` and `EOPNOTSUPP` for types whose elements are not shown; `ENOSPC`
    /// where there is no room for a cookie.
    pub(super) fn read_reference(
        &self,
        object: &MapObject,
        key: &[u8],
        value: &mut [u8],
    ) -> Result<(), Errno> {
        use MapType::*;
        match object.kind() {
            PerfEventArray | CgroupArray => return Err(Errno::ENOTSUPP),
            Xskmap => return Err(Errno::EOPNOTSUPP),
            Sockmap | Sockhash | ReuseportSockarray if value.len() != 8 => {
                return Err(Errno::ENOSPC);
            }
            _ => {}
        }
        let pass = self.rcu.plain.enter();
        let held = object.map.held(key, &pass).ok_or(Errno::ENOENT)?;
        for (to, from) in value.iter_mut().zip(held.shown.to_ne_bytes()) {
            *to = from;
        }
        Ok(())
    }

    /// Puts into an element what a descriptor or number refers to.
    ///
    /// # Errors
    /// As Linux, type by type.
    pub(super) fn write_reference(
        &self,
        object: &Arc<MapObject>,
        key: &[u8],
        value: &[u8],
        flags: ElemFlags,
    ) -> Result<(), Errno> {
        use MapType::*;
        let kind = object.kind();
        let entries = object.map.spec().max_entries;
        let index = word(key, 0);
        match kind {
            ProgArray | ArrayOfMaps | PerfEventArray | CgroupArray if !flags.is_empty() => {
                return Err(Errno::EINVAL);
            }
            Sockmap | Sockhash => {}
            HashOfMaps => {}
            _ if flags.0 > ElemFlags::EXIST.0 => return Err(Errno::EINVAL),
            DevmapHash if word(value, 0) == 0 => return Err(Errno::EINVAL),
            DevmapHash => {}
            _ if index >= entries => return Err(Errno::E2BIG),
            Devmap | Cpumap if flags == ElemFlags::NOEXIST => return Err(Errno::EEXIST),
            _ => {}
        }
        let held = match kind {
            ProgArray => self.prog_reference(object, word(value, 0))?,
            ArrayOfMaps | HashOfMaps => self.map_reference(object, word(value, 0))?,
            Devmap | DevmapHash => {
                let there = kind == DevmapHash && object.map.is_held(key);
                if there && flags == ElemFlags::NOEXIST {
                    return Err(Errno::EEXIST);
                }
                match self.device_reference(value)? {
                    Some(held) => held,
                    None => return object.map.delete(key),
                }
            }
            Cpumap => match self.cpu_reference(index, value)? {
                Some(held) => held,
                None => return object.map.delete(key),
            },
            PerfEventArray => self.owned_reference(word(value, 0), Role::PerfEvent)?,
            CgroupArray => self.owned_reference(word(value, 0), Role::Cgroup)?,
            _ => return self.write_socket(object, key, value, flags),
        };
        match kind {
            // Whether the key is there decides nothing here: it was looked at above, or
            // Linux does not look.
            DevmapHash => object.map.hold(key, held, ElemFlags(0)),
            _ => object.map.hold(key, held, flags),
        }
    }

    fn prog_reference(&self, array: &MapObject, fd: u32) -> Result<Held, Errno> {
        let prog = self.fds.prog(fd)?;
        if !agrees(array, &prog.owner) {
            return Err(Errno::EINVAL);
        }
        Ok(owned(prog.id.number(), prog))
    }

    fn map_reference(&self, outer: &MapObject, fd: u32) -> Result<Held, Errno> {
        let inner = self.fds.map_object(fd)?;
        if inner.only_for.is_some() {
            return Err(Errno::ENOTSUPP);
        }
        let template = outer.inner.as_ref().ok_or(Errno::EINVAL)?;
        if !resembles(template, &inner) {
            return Err(Errno::EINVAL);
        }
        Ok(owned(inner.id.number(), inner))
    }

    /// The device that a value names; `None` for no device.
    ///
    /// # Errors
    /// `EINVAL` for a device that is not there and a program that is none for devices.
    fn device_reference(&self, value: &[u8]) -> Result<Option<Held>, Errno> {
        let (ifindex, fd) = (word(value, 0), word(value, 4) as i32);
        if ifindex == 0 {
            return if fd > 0 { Err(Errno::EINVAL) } else { Ok(None) };
        }
        if ifindex > self.interfaces {
            return Err(Errno::EINVAL);
        }
        let prog = self
            .map_program(fd, AttachType::XdpDevmap)
            .ok_or(Errno::EINVAL)?;
        let id = prog.as_ref().map_or(0, |prog| prog.id.number());
        Ok(Some(Held {
            shown: shown(ifindex, id),
            who: 0,
            object: Arc::new(Device {
                ifindex,
                _prog: prog,
            }),
        }))
    }

    /// The CPU that a value describes; `None` when it takes one out.
    ///
    /// # Errors
    /// `EOVERFLOW` for a queue too long, `ENODEV` for a CPU that is not there, `ENOMEM` (as
    /// Linux has it) for a program that is none for CPU maps.
    fn cpu_reference(&self, cpu: u32, value: &[u8]) -> Result<Option<Held>, Errno> {
        let (queue, fd) = (word(value, 0), word(value, 4) as i32);
        if queue > QUEUE_MAX {
            return Err(Errno::EOVERFLOW);
        }
        if cpu >= self.cpus {
            return Err(Errno::ENODEV);
        }
        if queue == 0 {
            return Ok(None);
        }
        let prog = self
            .map_program(fd, AttachType::XdpCpumap)
            .ok_or(Errno::ENOMEM)?;
        let id = prog.as_ref().map_or(0, |prog| prog.id.number());
        Ok(Some(Held {
            shown: shown(queue, id),
            who: 0,
            object: Arc::new(Remote { _prog: prog }),
        }))
    }

    /// The program of an element, if one is given and is made for such elements.
    fn map_program(&self, fd: i32, attach: AttachType) -> Option<Option<Arc<Program>>> {
        if fd <= 0 {
            return Some(None);
        }
        let prog = self.fds.prog(u32::try_from(fd).ok()?).ok()?;
        let fits =
            prog.prog_type == u32::from(ProgType::Xdp) && prog.attach_type == u32::from(attach);
        fits.then_some(Some(prog))
    }

    /// An object that the element owns.
    ///
    /// # Errors
    /// `EBADF` for a descriptor of anything else.
    fn owned_reference(&self, fd: u32, role: Role) -> Result<Held, Errno> {
        match self.fds.get(fd) {
            Ok(File::Object(file)) if file.host.role() == role => Ok(owned(0, file)),
            _ => Err(Errno::EBADF),
        }
    }

    fn write_socket(
        &self,
        object: &Arc<MapObject>,
        key: &[u8],
        value: &[u8],
        flags: ElemFlags,
    ) -> Result<(), Errno> {
        let kind = object.kind();
        let fd = match kind {
            MapType::Xskmap => u64::from(word(value, 0)),
            _ => whole(value),
        };
        let checked = match kind {
            MapType::Xskmap => false,
            MapType::ReuseportSockarray => value.len() == 8,
            _ => true,
        };
        if fd > FD_MAX && checked {
            return Err(Errno::EINVAL);
        }
        let file = self.fds.socket(fd as u32)?;
        let socket = file.socket()?;
        match kind {
            MapType::Xskmap if !socket.is_xdp() => return Err(Errno::EOPNOTSUPP),
            MapType::Sockmap | MapType::Sockhash => socket.check_sockmap()?,
            MapType::ReuseportSockarray => {
                // The state of the slot is looked at before the socket's.
                match object.map.is_held(key) {
                    true if flags == ElemFlags::NOEXIST => return Err(Errno::EEXIST),
                    false if flags == ElemFlags::EXIST => return Err(Errno::ENOENT),
                    _ => socket.check_reuseport()?,
                }
            }
            _ => {}
        }
        let held = Held {
            shown: file.cookie,
            who: file.cookie,
            object: Arc::new(SocketRef),
        };
        object.map.hold(key, held, flags)?;
        file.join(object);
        Ok(())
    }

    /// The key of a local storage's value: the number of the object that a descriptor names.
    ///
    /// # Errors
    /// `EBADF` and `ENOTSOCK` for descriptors of something else.
    pub(super) fn owner(&self, map_type: MapType, key: &[u8]) -> Result<Owner, Errno> {
        let fd = word(key, 0);
        if map_type == MapType::SkStorage {
            return self.fds.socket(fd).map(Owner::Object);
        }
        let file = match self.fds.get(fd).map_err(|_| Errno::EBADF)? {
            File::Object(file) => file,
            _ if map_type == MapType::InodeStorage => return Ok(Owner::Anonymous),
            _ => return Err(Errno::EBADF),
        };
        if owns_in(map_type, file.host.role()) {
            Ok(Owner::Object(file))
        } else {
            Err(Errno::EBADF)
        }
    }
}

/// Whether objects of this kind have values in such a storage. Any file has an inode.
pub(crate) fn owns_in(map_type: MapType, role: Role) -> bool {
    match map_type {
        MapType::SkStorage => matches!(role, Role::Socket(_)),
        MapType::TaskStorage => role == Role::Task,
        MapType::CgrpStorage => role == Role::Cgroup,
        _ => true,
    }
}

/// Whose value in a local storage.
pub(crate) enum Owner {
    Object(Arc<ObjectFile>),
    /// The one inode that the files of all BPF objects share.
    Anonymous,
    /// The task in whose name programs run, or the topmost cgroup, when they are none of the
    /// embedding program's.
    KernelsOwn,
}

impl Owner {
    /// The number that the map knows it by.
    pub(crate) fn number(&self) -> u64 {
        match self {
            Owner::Object(file) => file.cookie,
            Owner::Anonymous => u64::MAX,
            Owner::KernelsOwn => u64::MAX - 1,
        }
    }

    /// The number as a key.
    pub(crate) fn key(&self) -> [u8; 8] {
        self.number().to_ne_bytes()
    }

    /// Lets the value go with its owner.
    pub(crate) fn join(&self, map: &Arc<MapObject>) {
        if let Owner::Object(file) = self {
            file.join(map);
        }
    }
}

fn owned<T: Send + Sync + 'static>(id: u32, object: Arc<T>) -> Held {
    Held {
        shown: id.into(),
        who: 0,
        object,
    }
}

/// A value of two words, as its bytes lie in memory.
fn shown(first: u32, second: u32) -> u64 {
    let mut bytes = [0; 8];
    let (low, high) = bytes.split_at_mut(4);
    low.copy_from_slice(&first.to_ne_bytes());
    high.copy_from_slice(&second.to_ne_bytes());
    u64::from_ne_bytes(bytes)
}

/// The 32-bit word at `at`; 0 where the bytes end before.
fn word(bytes: &[u8], at: usize) -> u32 {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.first_chunk().map_or(0, |b| u32::from_ne_bytes(*b))
}

/// Four or eight bytes as a number.
fn whole(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(eight) => u64::from_ne_bytes(*eight),
        None => word(bytes, 0).into(),
    }
}

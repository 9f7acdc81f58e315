//! A map as an object of the kernel: id, name, types, who may use it, when it is frozen.

mod batch;
mod create;
mod elem;
mod fields;
pub(crate) use fields::fields_of;
mod inner;
mod mmap;
mod owner;
pub(crate) use owner::{Owner, agrees};
pub(crate) mod references;
mod usage;
mod writing;

pub use usage::MapUsage;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use skep_abi::{Capabilities, Errno, MapFlags, MapType, attr};
use skep_maps::Map;
use skep_verifier::{MapFacts, MapId};

use crate::btf::BtfObject;
use crate::fds::File;
use crate::id::Id;
use crate::kernel::Kernel;
use writing::{Writer, Writing};

/// The types of a map's keys and values.
#[derive(Clone)]
pub(crate) struct Types {
    pub(crate) btf: Arc<BtfObject>,
    pub(crate) key: u32,
    pub(crate) value: u32,
}

/// A map with everything around it.
pub(crate) struct MapObject {
    pub(crate) id: Id<MapObject>,
    pub(crate) name: String,
    pub(crate) map: Map,
    /// The flags as the map reports them.
    pub(crate) flags: MapFlags,
    pub(crate) types: Option<Types>,
    /// The template that inner maps must resemble.
    pub(crate) inner: Option<Arc<MapFacts>>,
    /// Whether the value holds fields other than the caller's bytes.
    pub(crate) has_fields: bool,
    /// Which programs a prog array takes, set by the first that uses it.
    pub(crate) owner: Mutex<Option<Owner>>,
    writing: Writing,
    users: AtomicU64,
    /// Commands on its elements so far.
    commands: AtomicU64,
    /// Helpers that programs called on it, when those are counted.
    operations: AtomicU64,
    /// Answers for an arena when programs meet pages that the user made.
    _pager: Option<skep_vm::Pager>,
    /// Its maker's programs are guarded against speculation.
    pub(crate) for_unprivileged: bool,
    /// What the verifier was told last.
    pub(crate) told: Mutex<Option<Arc<MapFacts>>>,
    /// The hash of the only program that may use it.
    pub(crate) only_for: Option<[u8; 32]>,
}

impl MapObject {
    pub(crate) fn kind(&self) -> MapType {
        self.map.spec().map_type
    }

    /// Whether a descriptor refers to it.
    pub(crate) fn has_users(&self) -> bool {
        self.users.load(Ordering::Acquire) > 0
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.writing.is_frozen()
    }

    /// Whether programs cannot write and system calls no longer can, so that its bytes are
    /// constants.
    pub(crate) fn is_constant(&self) -> bool {
        self.flags.contains(MapFlags::RDONLY_PROG) && self.writing.is_over()
    }

    /// What the verifier is told.
    pub(crate) fn facts(&self) -> Arc<MapFacts> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match &*told {
            Some(facts) if self.still_holds(facts) => Arc::clone(facts),
            _ => Arc::clone(told.insert(Arc::new(self.new_facts()))),
        }
    }

    /// Whether what may change of a map is as it was when these facts were told.
    fn still_holds(&self, facts: &MapFacts) -> bool {
        facts.frozen == self.is_frozen() && facts.map_extra == self.extra()
    }

    /// The extra word; of an arena, programs are told where its user sees it.
    fn extra(&self) -> u64 {
        match self.map.arena() {
            Some(arena) => arena.user_start(),
            None => self.map.spec().map_extra,
        }
    }

    fn new_facts(&self) -> MapFacts {
        let spec = self.map.spec();
        MapFacts {
            id: MapId(self.id.number()),
            map_type: spec.map_type.into(),
            key_size: spec.key_size,
            value_size: spec.value_size,
            max_entries: spec.max_entries,
            flags: self.flags.0,
            name: self.name.clone(),
            frozen: self.is_frozen(),
            inner: self.inner.clone(),
            btf: self
                .types
                .as_ref()
                .map(|t| (t.btf.btf.clone(), t.key, t.value)),
            map_extra: self.extra(),
            for_unprivileged: self.for_unprivileged,
            fields: Default::default(),
            for_another: false,
        }
    }

    /// The address that stands for the map where Linux shows one of its own.
    pub(crate) fn shown_address(&self) -> u64 {
        0xffff_8880_0000_0000 | u64::from(self.id.number()) << 12
    }
}

/// An open map: the map and what its descriptors allow. Counts as one user of the map, however
/// many descriptors were made of the first one, and as long as a command goes on.
pub(crate) struct MapFile {
    object: Arc<MapObject>,
    readable: bool,
    writable: bool,
}

impl MapFile {
    /// Opens a map; `flags` may hold `RDONLY` or `WRONLY`.
    pub(crate) fn open(object: Arc<MapObject>, flags: MapFlags) -> MapFile {
        object.users.fetch_add(1, Ordering::AcqRel);
        MapFile {
            object,
            readable: !flags.contains(MapFlags::WRONLY),
            writable: !flags.contains(MapFlags::RDONLY),
        }
    }

    pub(crate) fn object(&self) -> &Arc<MapObject> {
        &self.object
    }

    /// Whether the elements go with the last descriptor.
    fn drops_elements(&self) -> bool {
        match self.object.kind() {
            MapType::ProgArray => true,
            MapType::PerfEventArray => !self.object.flags.contains(MapFlags::PRESERVE_ELEMS),
            _ => false,
        }
    }

    /// # Errors
    /// `EPERM` when the descriptor is not for reading.
    pub(crate) fn need_read(&self) -> Result<&Arc<MapObject>, Errno> {
        if self.readable {
            Ok(&self.object)
        } else {
            Err(Errno::EPERM)
        }
    }

    /// The map, and the right to write to it from the side of system calls, which keeps it
    /// from being frozen meanwhile.
    ///
    /// # Errors
    /// `EPERM` when the descriptor is not for writing, or the map is frozen.
    pub(crate) fn need_write(&self) -> Result<(&Arc<MapObject>, Writer<'_>), Errno> {
        if !self.writable {
            return Err(Errno::EPERM);
        }
        Ok((&self.object, self.object.writing.begin()?))
    }
}

impl Drop for MapFile {
    fn drop(&mut self) {
        if self.object.users.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        self.object.map.cancel();
        if self.drops_elements() {
            // Programs in an array may use the array, so without this neither would go; and
            // events are there for who put them in.
            self.object.map.release();
        }
    }
}

impl Kernel {
    /// `BPF_MAP_FREEZE`: from now on system calls only read.
    pub(crate) fn map_freeze(&self, view: &attr::MapFreeze) -> Result<(), Errno> {
        let file = self.fds.map(view.map_fd())?;
        let object = file.object();
        if object.has_fields || object.kind() == MapType::StructOps {
            return Err(Errno::ENOTSUPP);
        }
        if !file.writable {
            return Err(Errno::EPERM);
        }
        object.writing.freeze()
    }

    /// `BPF_MAP_GET_FD_BY_ID`.
    pub(crate) fn map_fd_by_id(&self, view: &attr::MapGetFdById) -> Result<u32, Errno> {
        let flags = MapFlags(view.open_flags());
        let rights = MapFlags::RDONLY | MapFlags::WRONLY;
        if !flags.beyond(rights).is_empty() {
            return Err(Errno::EINVAL);
        }
        self.need(Capabilities::SYS_ADMIN)?;
        if flags.contains(rights) {
            return Err(Errno::EINVAL);
        }
        let object = self.maps.get(view.map_id())?;
        self.fds
            .insert(File::Map(Arc::new(MapFile::open(object, flags))))
    }
}

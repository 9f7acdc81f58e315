//! The world as one verification sees it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use skep_abi::{Errno, UserMemory};
use skep_btf::{Btf, Kind};
use skep_verifier::{Candidates, Env, MapFacts, MapId, ModuleFacts};

use crate::kernel::Kernel;
use crate::map::MapObject;

/// One load: the kernel, the caller's memory, and the maps that were looked up, which are
/// kept so that no descriptor closed meanwhile can take one away.
pub(super) struct LoadEnv<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) memory: &'a dyn UserMemory,
    /// The address of the caller's array of descriptors, 0 for none.
    pub(super) fd_array: u64,
    pub(super) maps: RefCell<BTreeMap<MapId, Arc<MapObject>>>,
    /// What the program is known by to maps that are for one program only.
    pub(super) digest: [u8; 32],
}

impl LoadEnv<'_> {
    /// Whether the map was made for any program, or this one.
    pub(super) fn may_use(&self, map: &MapObject) -> bool {
        map.only_for.is_none_or(|hash| hash == self.digest)
    }

    /// Keeps a map for the program.
    pub(super) fn keep(&self, map: Arc<MapObject>) -> MapId {
        let id = MapId(map.id.number());
        self.maps.borrow_mut().insert(id, map);
        id
    }

    /// The descriptor at an index of the caller's array.
    pub(super) fn array_fd(&self, index: u32) -> Result<i32, Errno> {
        let at = u64::from(index)
            .checked_mul(4)
            .and_then(|offset| self.fd_array.checked_add(offset))
            .ok_or(Errno::EFAULT)?;
        let mut raw = [0; 4];
        self.memory.read(at, &mut raw)?;
        Ok(i32::from_ne_bytes(raw))
    }
}

impl Env for LoadEnv<'_> {
    fn map_by_fd(&self, fd: i32) -> Result<Arc<MapFacts>, Errno> {
        let fd = u32::try_from(fd).map_err(|_| Errno::EBADF)?;
        let object = self.kernel.fds.map_object(fd)?;
        let mut facts = object.facts();
        if !self.may_use(&object) {
            facts = Arc::new(MapFacts {
                for_another: true,
                ..MapFacts::clone(&facts)
            });
        }
        self.keep(object);
        Ok(facts)
    }

    fn fd_at_index(&self, index: u32) -> Result<i32, Errno> {
        if self.fd_array == 0 {
            return Err(Errno::EPROTO);
        }
        self.array_fd(index)
    }

    fn check_btf_fd(&self, fd: i32) -> Result<(), Errno> {
        let fd = u32::try_from(fd).map_err(|_| Errno::EBADF)?;
        self.kernel.fds.btf(fd).map(|_| ())
    }

    fn module_by_fd(&self, fd: i32) -> Option<Arc<ModuleFacts>> {
        let fd = u32::try_from(fd).ok()?;
        self.kernel.fds.btf(fd).ok()?.module.clone()
    }

    fn map_constant(&self, map: MapId, offset: u32, size: u32) -> Option<u64> {
        let maps = self.maps.borrow();
        let object = maps.get(&map).filter(|m| m.is_constant())?;
        let mut raw = [0; 8];
        let bytes = raw.get_mut(..size as usize)?;
        object.map.direct_read(offset, bytes)?;
        Some(u64::from_le_bytes(raw))
    }

    fn map_address(&self, map: MapId) -> u64 {
        self.maps
            .borrow()
            .get(&map)
            .map_or(0, |m| m.shown_address())
    }

    fn map_value_address(&self, map: MapId, offset: u32) -> Option<u64> {
        let maps = self.maps.borrow();
        let object = maps.get(&map)?;
        let address = object.map.direct_address(offset)?;
        if object.map.arena().is_some() {
            // It is the user's own address.
            return Some(address);
        }
        // The log must not depend on where this process has its memory.
        object.shown_address().checked_add(u64::from(offset))
    }

    fn kernel_btf(&self) -> Option<Arc<Btf>> {
        self.kernel.kernel_btf.clone()
    }

    fn candidates(&self, name: &str, kind: Kind) -> Option<Candidates> {
        let types = self.kernel.kernel_btf.as_ref()?;
        let modules = &self.kernel.module_btfs;
        Some(self.kernel.candidates.find(types, modules, name, kind))
    }

    fn candidates_kept(&self) -> [String; 2] {
        self.kernel.candidates.text()
    }

    fn cpu_count(&self) -> u32 {
        self.kernel.cpus
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.kernel.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

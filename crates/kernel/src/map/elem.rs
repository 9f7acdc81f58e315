//! The element commands, one element at a time.

use std::sync::Arc;

use skep_abi::{ElemFlags, Errno, MapType, SmallBytes, UserMemory, attr};
use skep_maps::Side;

use super::MapObject;
use super::references::{is_local, is_reference};
use crate::kernel::Kernel;

/// A key: no allocation for those that are not long.
pub(super) type Key = SmallBytes<64>;
/// A value, of all CPUs for per-CPU types.
pub(super) type Value = SmallBytes<256>;

impl Kernel {
    /// `BPF_MAP_LOOKUP_ELEM`.
    pub(crate) fn map_lookup(
        &self,
        view: &attr::MapElem,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let flags = only_lock(view.flags())?;
        let file = self.fds.map(view.map_fd())?;
        let object = file.need_read()?;
        object.count_command();
        lock_exists(object, flags)?;
        let mut key = Key::new();
        user_key(object, view.key(), memory, &mut key)?;
        let mut value = Value::new();
        value.resize(object.map.user_value_size())?;
        if object.kind() == MapType::BloomFilter {
            memory.read(view.value(), &mut value)?;
            return object.map.read(&key, flags, &mut value);
        }
        self.read_value(object, &key, flags, &mut value)?;
        memory.write(view.value(), &value)
    }

    /// `BPF_MAP_UPDATE_ELEM`.
    pub(crate) fn map_update(
        &self,
        view: &attr::MapElem,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let flags = ElemFlags(view.flags());
        let file = self.fds.map(view.map_fd())?;
        let (object, _writer) = file.need_write()?;
        object.count_command();
        lock_exists(object, flags)?;
        let mut key = Key::new();
        user_key(object, view.key(), memory, &mut key)?;
        let mut value = Value::new();
        value.copy_in(memory, view.value(), object.map.user_value_size())?;
        self.write_value(object, &key, &value, flags)
    }

    /// `BPF_MAP_DELETE_ELEM`.
    pub(crate) fn map_delete(
        &self,
        view: &attr::MapDeleteElem,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let file = self.fds.map(view.map_fd())?;
        let (object, _writer) = file.need_write()?;
        object.count_command();
        let mut key = Key::new();
        user_key(object, view.key(), memory, &mut key)?;
        self.delete_value(object, &key)
    }

    /// `BPF_MAP_GET_NEXT_KEY`.
    pub(crate) fn map_next_key(
        &self,
        view: &attr::MapGetNextKey,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let file = self.fds.map(view.map_fd())?;
        let object = file.need_read()?;
        object.count_command();
        let mut key = Key::new();
        if view.key() != 0 {
            user_key(object, view.key(), memory, &mut key)?;
        }
        let key = (view.key() != 0).then_some(&*key);
        let mut next = Key::new();
        next.resize(object.map.spec().key_size as usize)?;
        object.map.next_key(key, &mut next)?;
        memory.write(view.next_key(), &next)
    }

    /// `BPF_MAP_LOOKUP_AND_DELETE_ELEM`.
    pub(crate) fn map_take(
        &self,
        view: &attr::MapElem,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let flags = only_lock(view.flags())?;
        let file = self.fds.map(view.map_fd())?;
        file.need_read()?;
        let (object, _writer) = file.need_write()?;
        object.count_command();
        let queue = matches!(object.kind(), MapType::Queue | MapType::Stack);
        if queue && !flags.is_empty() {
            return Err(Errno::EINVAL);
        }
        lock_exists(object, flags)?;
        let mut key = Key::new();
        user_key(object, view.key(), memory, &mut key)?;
        let mut value = Value::new();
        value.resize(object.map.user_value_size())?;
        object.map.take(&key, flags, &mut value)?;
        memory.write(view.value(), &value)
    }

    /// Copies an element out; references are seen as ids.
    pub(crate) fn read_value(
        &self,
        object: &MapObject,
        key: &[u8],
        flags: ElemFlags,
        value: &mut [u8],
    ) -> Result<(), Errno> {
        match object.kind() {
            kind if is_reference(kind) => self.read_reference(object, key, value),
            kind if is_local(kind) => {
                let owner = self.owner(kind, key)?;
                object.map.read(&owner.key(), flags, value)
            }
            _ => object.map.read(key, flags, value),
        }
    }

    /// Writes an element; references are given as descriptors.
    pub(crate) fn write_value(
        &self,
        object: &Arc<MapObject>,
        key: &[u8],
        value: &[u8],
        flags: ElemFlags,
    ) -> Result<(), Errno> {
        match object.kind() {
            kind if is_reference(kind) => self.write_reference(object, key, value, flags),
            kind if is_local(kind) => {
                let owner = self.owner(kind, key)?;
                object.map.update(&owner.key(), value, flags, Side::User)?;
                owner.join(object);
                Ok(())
            }
            MapType::StackTrace => Err(Errno::EINVAL),
            _ => object.map.update(key, value, flags, Side::User),
        }
    }

    /// Takes an element out.
    pub(crate) fn delete_value(&self, object: &MapObject, key: &[u8]) -> Result<(), Errno> {
        match object.kind() {
            kind if is_local(kind) => {
                let owner = self.owner(kind, key)?;
                object.map.delete(&owner.key())
            }
            _ => object.map.delete(key),
        }
    }
}

/// Reads the key behind an address, of the map's size.
#[inline]
fn user_key(
    object: &MapObject,
    at: u64,
    memory: &dyn UserMemory,
    key: &mut Key,
) -> Result<(), Errno> {
    match object.map.spec().key_size as usize {
        0 if at != 0 => Err(Errno::EINVAL),
        size => key.copy_in(memory, at, size),
    }
}

/// The flags of a lookup.
fn only_lock(flags: u64) -> Result<ElemFlags, Errno> {
    let flags = ElemFlags(flags);
    if flags.beyond(ElemFlags::LOCK).is_empty() {
        Ok(flags)
    } else {
        Err(Errno::EINVAL)
    }
}

/// `BPF_F_LOCK` needs a lock.
pub(super) fn lock_exists(object: &MapObject, flags: ElemFlags) -> Result<(), Errno> {
    if flags.contains(ElemFlags::LOCK) && !object.map.has_lock() {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

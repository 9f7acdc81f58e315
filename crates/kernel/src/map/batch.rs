//! The batch commands: many elements in one call, with the count of those that were done.

use std::sync::Arc;

use skep_abi::{Cmd, ElemFlags, Errno, MapType, UserMemory, attr};
use skep_maps::Bucket;

use super::MapObject;
use super::elem::{Key, Value, lock_exists};
use crate::kernel::Kernel;

impl Kernel {
    /// `BPF_MAP_*_BATCH`. `count` in the view becomes what was done, also on failure.
    pub(crate) fn map_batch(
        &self,
        cmd: Cmd,
        view: &mut attr::MapBatch,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let file = self.fds.map(view.map_fd())?;
        let reads = matches!(cmd, Cmd::MapLookupBatch | Cmd::MapLookupAndDeleteBatch);
        let writes = cmd != Cmd::MapLookupBatch;
        if reads {
            file.need_read()?;
        }
        let writer = writes.then(|| file.need_write()).transpose()?;
        let object = file.object();
        object.count_command();
        if !has_batch(object.kind(), cmd) {
            return Err(Errno::ENOTSUPP);
        }
        let flags = ElemFlags(view.elem_flags());
        if !flags.beyond(ElemFlags::LOCK).is_empty() {
            return Err(Errno::EINVAL);
        }
        lock_exists(object, flags)?;
        let done = match cmd {
            Cmd::MapUpdateBatch => self.update_batch(object, view, memory),
            Cmd::MapDeleteBatch => self.delete_batch(object, view, memory),
            _ if object.map.buckets().is_some() => {
                let delete = cmd == Cmd::MapLookupAndDeleteBatch;
                bucket_batch(object, view, memory, delete)
            }
            _ => self.lookup_batch(object, view, memory),
        };
        drop(writer);
        done
    }

    fn update_batch(
        &self,
        object: &Arc<MapObject>,
        view: &mut attr::MapBatch,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let flags = ElemFlags(view.elem_flags());
        let (key_size, value_size) = sizes(object);
        let mut done = 0;
        let wanted = view.count();
        let (mut key, mut value) = (Key::new(), Value::new());
        key.resize(key_size)?;
        value.resize(value_size)?;
        let mut step = |n: u32| {
            memory.read(at(view.keys(), n, key_size)?, &mut key)?;
            memory.read(at(view.values(), n, value_size)?, &mut value)?;
            self.write_value(object, &key, &value, flags)
        };
        let mut out = Ok(());
        while done < wanted {
            out = step(done);
            if out.is_err() {
                break;
            }
            done += 1;
        }
        view.set_count(done);
        out
    }

    fn delete_batch(
        &self,
        object: &MapObject,
        view: &mut attr::MapBatch,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let (key_size, _) = sizes(object);
        let mut key = Key::new();
        key.resize(key_size)?;
        let mut done = 0;
        let wanted = view.count();
        let mut out = Ok(());
        while done < wanted {
            out = at(view.keys(), done, key_size)
                .and_then(|at| memory.read(at, &mut key))
                .and_then(|()| self.delete_value(object, &key));
            if out.is_err() {
                break;
            }
            done += 1;
        }
        view.set_count(done);
        out
    }

    /// Lookups of types without buckets go from key to key.
    fn lookup_batch(
        &self,
        object: &MapObject,
        view: &mut attr::MapBatch,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let wanted = view.count();
        if wanted == 0 {
            return Ok(());
        }
        view.set_count(0);
        let (key_size, value_size) = sizes(object);
        let mut before = Key::new();
        before.resize(key_size)?;
        let mut has_before = view.in_batch() != 0;
        if has_before {
            memory.read(view.in_batch(), &mut before)?;
        }
        let (mut key, mut value) = (Key::new(), Value::new());
        key.resize(key_size)?;
        value.resize(value_size)?;
        let flags = ElemFlags(view.elem_flags());
        let mut done = 0;
        let mut out = Ok(());
        while done < wanted {
            let last = has_before.then_some(&*before);
            out = object.map.next_key(last, &mut key);
            if out.is_err() {
                break;
            }
            match self.read_value(object, &key, flags, &mut value) {
                Ok(()) => {
                    memory.write(at(view.keys(), done, key_size)?, &key)?;
                    memory.write(at(view.values(), done, value_size)?, &value)?;
                    done += 1;
                }
                // Deleted between the two steps, or an empty slot: the next one, then.
                Err(Errno::ENOENT) => {}
                Err(other) => {
                    out = Err(other);
                    break;
                }
            }
            std::mem::swap(&mut before, &mut key);
            has_before = true;
        }
        view.set_count(done);
        if done > 0 {
            memory.write(view.out_batch(), &before)?;
        }
        out
    }
}

/// Lookups of hash tables go by whole buckets; the position is a bucket's number.
fn bucket_batch(
    object: &MapObject,
    view: &mut attr::MapBatch,
    memory: &mut dyn UserMemory,
    delete: bool,
) -> Result<(), Errno> {
    if view.flags() != 0 {
        return Err(Errno::EINVAL);
    }
    let wanted = view.count();
    if wanted == 0 {
        return Ok(());
    }
    view.set_count(0);
    let mut number = 0;
    if view.in_batch() != 0 {
        let mut raw = [0; 4];
        memory.read(view.in_batch(), &mut raw)?;
        number = u64::from(u32::from_ne_bytes(raw));
    }
    let buckets = object.map.buckets().unwrap_or(0);
    if number >= buckets {
        return Err(Errno::ENOENT);
    }
    let (key_size, value_size) = sizes(object);
    let mut done = 0;
    let mut out = Ok(());
    let mut bucket = Bucket::default();
    loop {
        let read = object
            .map
            .bucket(number, wanted - done, delete, &mut bucket);
        if read.is_err() {
            if done == 0 {
                out = Err(Errno::ENOSPC);
            }
            break;
        }
        if bucket.count > 0 {
            memory.write(at(view.keys(), done, key_size)?, &bucket.keys)?;
            memory.write(at(view.values(), done, value_size)?, &bucket.values)?;
            done += bucket.count;
        }
        number += 1;
        if number >= buckets {
            out = Err(Errno::ENOENT);
            break;
        }
    }
    memory.write(view.out_batch(), &(number as u32).to_ne_bytes())?;
    view.set_count(done);
    out
}

fn sizes(object: &MapObject) -> (usize, usize) {
    (
        object.map.spec().key_size as usize,
        object.map.user_value_size(),
    )
}

/// The address of record `n` of an array of records.
fn at(start: u64, n: u32, size: usize) -> Result<u64, Errno> {
    let offset = u64::from(n).checked_mul(size as u64).ok_or(Errno::EFAULT)?;
    start.checked_add(offset).ok_or(Errno::EFAULT)
}

fn has_batch(map_type: MapType, cmd: Cmd) -> bool {
    use MapType::*;
    match map_type {
        Hash | PercpuHash | LruHash | LruPercpuHash | HashOfMaps => true,
        Array | PercpuArray => matches!(cmd, Cmd::MapLookupBatch | Cmd::MapUpdateBatch),
        LpmTrie => cmd != Cmd::MapLookupAndDeleteBatch,
        ArrayOfMaps => matches!(cmd, Cmd::MapLookupBatch | Cmd::MapUpdateBatch),
        _ => false,
    }
}

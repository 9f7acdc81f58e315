//! Helpers on local storages: values that belong to sockets, tasks, inodes and cgroups.

use std::sync::Arc;

use skep_abi::{ElemFlags, Errno};
use skep_catalog::helper_id as id;
use skep_maps::Side;
use skep_vm::Trap;

use super::{Call, Done, Rows, err, ok, status};
use crate::map::MapObject;
use crate::map::references::Owner;

pub(super) const ROWS: Rows = &[
    (id::SK_STORAGE_GET, get),
    (id::SK_STORAGE_DELETE, delete),
    (id::INODE_STORAGE_GET, get),
    (id::INODE_STORAGE_DELETE, delete),
    (id::TASK_STORAGE_GET, get),
    (id::TASK_STORAGE_DELETE, delete),
    (id::CGRP_STORAGE_GET, get),
    (id::CGRP_STORAGE_DELETE, delete),
];

/// `BPF_LOCAL_STORAGE_GET_F_CREATE`.
const CREATE: u64 = 1;

impl Call<'_, '_, '_> {
    /// The map of the first argument, and whose value in it the second one means; `None` when
    /// that is no object that has values in such a map.
    fn owned(&self) -> Result<(Arc<MapObject>, Option<Owner>), Trap> {
        let map = self.host.map(self.arg(0))?.clone();
        let owner = self.host.owner_at(map.kind(), self.arg(1));
        Ok((map, owner))
    }
}

/// The address of the value, made of the bytes of the third argument (or zeros) when the
/// fourth asks for that; 0 when there is none.
fn get(c: &mut Call<'_, '_, '_>) -> Done {
    let (map, owner) = c.owned()?;
    let (initial, flags) = (c.arg(2), c.arg(3));
    let Some(owner) = owner.filter(|_| flags & !CREATE == 0) else {
        return ok(0);
    };
    if let Some(value) = map.map.local(owner.number()) {
        return ok(value);
    }
    if flags != CREATE {
        return ok(0);
    }
    let size = map.map.spec().value_size;
    let bytes = match initial {
        0 => vec![0; size as usize],
        at => c.read(at, size.into())?,
    };
    let side = Side::Program { cpu: c.host.cpu };
    // Another run may have made the value meanwhile; then that one is it.
    let _ = map
        .map
        .update(&owner.key(), &bytes, ElemFlags::NOEXIST, side);
    owner.join(&map);
    ok(map.map.local(owner.number()).unwrap_or(0))
}

fn delete(c: &mut Call<'_, '_, '_>) -> Done {
    let (map, owner) = c.owned()?;
    match owner {
        Some(owner) => status(map.map.delete(&owner.key())),
        None if c.arg(1) != 0 => err(Errno::ENOENT),
        None => err(Errno::EINVAL),
    }
}

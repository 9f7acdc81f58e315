//! Local storages: one value for each socket, task, inode or cgroup, by the number of its owner.

use std::sync::Arc;

use skep_abi::{ElemFlags, Errno, MapFlags};

use crate::Spec;
use crate::hash::Hash;
use crate::ledger::Ledger;
use crate::map::Side;

/// Elements for which the table has buckets; more owners share them.
const BUCKETS: u32 = 4096;

/// The values of all owners.
pub(crate) struct Local {
    table: Hash,
}

impl Local {
    pub(crate) fn new(spec: &Spec, ledger: &Arc<Ledger>) -> Result<Local, Errno> {
        let keyed = Spec {
            key_size: 8,
            max_entries: BUCKETS,
            flags: MapFlags::NO_PREALLOC,
            ..spec.clone()
        };
        Ok(Local {
            table: Hash::unbounded(&keyed, ledger)?,
        })
    }

    pub(crate) fn table(&self) -> &Hash {
        &self.table
    }

    pub(crate) fn lookup(&self, owner: u64) -> Option<*mut u8> {
        self.table.lookup(&owner.to_ne_bytes(), 0)
    }

    pub(crate) fn read(&self, owner: u64, out: &mut [u8], lock: bool) -> Result<(), Errno> {
        self.table.read(&owner.to_ne_bytes(), out, lock)
    }

    /// # Errors
    /// `EINVAL` for flags that make no sense, `EEXIST`, `ENOENT`, `ENOMEM`.
    pub(crate) fn update(&self, owner: u64, value: &[u8], flags: ElemFlags) -> Result<(), Errno> {
        let lock = flags.contains(ElemFlags::LOCK);
        if flags.beyond(ElemFlags::LOCK).0 > ElemFlags::EXIST.0
            || lock && !self.table.shape.has_lock()
        {
            return Err(Errno::EINVAL);
        }
        self.table
            .update(&owner.to_ne_bytes(), value, flags, Side::User)
    }

    /// # Errors
    /// `ENOENT`.
    pub(crate) fn delete(&self, owner: u64) -> Result<(), Errno> {
        self.table.delete(&owner.to_ne_bytes(), None)
    }
}

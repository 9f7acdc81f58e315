//! Elements that refer to something: programs, and maps inside maps.

use skep_abi::{ElemFlags, Errno, MapType};
use skep_sync::Pass;

use super::elem::index;
use super::{Map, Storage};
use crate::slots::{Held, Slots};

impl Map {
    /// What an element of a map of references refers to.
    #[inline]
    pub fn held<'p>(&self, key: &[u8], pass: &'p Pass<'_>) -> Option<&'p Held> {
        match &self.storage {
            Storage::Slots(s) => s.get(index(key)?, pass),
            Storage::Refs(r) => r.get(key, pass),
            _ => None,
        }
    }

    /// Sets an element of a map of references.
    ///
    /// # Errors
    /// `EINVAL` for flags that the type does not take, and for other types; `E2BIG` beyond
    /// the end or when full; `EEXIST`, `ENOENT`, `ENOMEM`.
    pub fn hold(&self, key: &[u8], held: Held, flags: ElemFlags) -> Result<(), Errno> {
        match &self.storage {
            Storage::Slots(s) => self.set_slot(s, index(key).ok_or(Errno::EINVAL)?, held, flags),
            Storage::Refs(r) => r.set(key, held, flags),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Sets a slot under the rules of the map's type, which differ in the flags they take.
    fn set_slot(
        &self,
        slots: &Slots,
        index: u32,
        held: Held,
        flags: ElemFlags,
    ) -> Result<(), Errno> {
        use MapType::*;
        match self.spec.map_type {
            ProgArray | PerfEventArray | CgroupArray | ArrayOfMaps if !flags.is_empty() => {
                Err(Errno::EINVAL)
            }
            _ if flags.0 > ElemFlags::EXIST.0 => Err(Errno::EINVAL),
            _ if index >= self.spec.max_entries => Err(Errno::E2BIG),
            Devmap | Cpumap if flags == ElemFlags::NOEXIST => Err(Errno::EEXIST),
            Sockmap | Xskmap | ReuseportSockarray => slots.set_if(index, held, flags),
            _ => slots.set(index, Some(held)),
        }
    }

    /// Whether something is under `key` of a map of references.
    pub fn is_held(&self, key: &[u8]) -> bool {
        match &self.storage {
            Storage::Slots(s) => {
                let pass = s.grace().enter();
                index(key).is_some_and(|index| s.get(index, &pass).is_some())
            }
            Storage::Refs(r) => r.table.lookup(key, 0).is_some(),
            _ => false,
        }
    }

    /// Takes everything out that belongs to `who`, which is about to be no more.
    pub fn forget(&self, who: u64) {
        match &self.storage {
            Storage::Slots(s) => s.forget(who, s.grace()),
            Storage::Refs(r) => r.forget(who),
            Storage::Local(l) => {
                // Most objects never had a value here.
                let _ = l.delete(who);
            }
            _ => {}
        }
    }

    /// The address of the value that belongs to `owner`, in a local storage.
    pub fn local(&self, owner: u64) -> Option<u64> {
        match &self.storage {
            Storage::Local(l) => l.lookup(owner).map(|value| value as u64),
            _ => None,
        }
    }

    /// A sleepable program begins, or ceases, to use the map: what the map points at is then
    /// also kept for runs that sleep.
    pub fn sleeper(&self, begins: bool) {
        match begins {
            true => self.reclaim.add_sleeper(),
            false => self.reclaim.remove_sleeper(),
        }
    }

    /// Empties every slot, as Linux does when the last user reference to a map of programs
    /// goes (programs in it might otherwise keep it alive in a circle).
    pub fn release(&self) {
        if let Storage::Slots(s) = &self.storage {
            s.clear();
        }
    }

    /// Ends what values have planned for later (timers and work), as Linux does when the last
    /// user reference goes: what runs then might keep the map alive in a circle.
    pub fn cancel(&self) {
        match &self.storage {
            Storage::Array(a) | Storage::Percpu(a) => a.give_up_all(true),
            Storage::Hash(h) => h.give_up_all(true),
            _ => {}
        }
    }
}

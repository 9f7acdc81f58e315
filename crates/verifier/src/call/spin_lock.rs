//! Spin locks in map values: one at a time, released by who took it.

use skep_catalog::helper_id as id;

use crate::access::special_fields::FieldKind;
use crate::context::{Res, Verifier};
use crate::env::MapFacts;
use crate::refuse;
use crate::state::Reg;
use crate::state::whole::{Reference, ReferenceKind};

impl Verifier<'_> {
    /// Whether values of a map hold a lock.
    pub(crate) fn has_lock(&mut self, map: &MapFacts) -> bool {
        self.special_fields(map)
            .iter()
            .any(|field| matches!(field.kind, FieldKind::SpinLock | FieldKind::ResSpinLock))
    }

    /// Takes or releases the lock that a register points at.
    ///
    /// # Errors
    /// `EINVAL` when that is no lock, another one is held, or it is not held.
    pub(crate) fn use_spin_lock(&mut self, helper: u32, number: u8) -> Res {
        let pointer = *self.reg(number);
        self.check_field(&pointer, number, FieldKind::SpinLock, "bpf_spin_lock")?;
        // The map tells locks of different maps apart, the id those of different lookups.
        let owner = u64::from(self.map_of(&pointer).id.0) + 1;
        if helper == id::SPIN_LOCK {
            self.take_lock(pointer.id, owner)
        } else {
            self.release_lock(pointer.id, owner)
        }
    }

    fn take_lock(&mut self, id: u32, owner: u64) -> Res {
        if self.cur.active_locks != 0 {
            refuse!(self, EINVAL, "Locking two bpf_spin_locks are not allowed");
        }
        let insn = self.insn_idx;
        self.cur.refs.push(Reference {
            kind: ReferenceKind::Lock,
            id,
            insn,
            owner,
        });
        self.cur.active_locks += 1;
        self.cur.active_lock = (id, owner);
        Ok(())
    }

    fn release_lock(&mut self, id: u32, owner: u64) -> Res {
        if self.cur.active_locks == 0 {
            refuse!(self, EINVAL, "bpf_spin_unlock without taking a lock");
        }
        let held = self.cur.refs.iter().rposition(|held| {
            held.kind == ReferenceKind::Lock && held.id == id && held.owner == owner
        });
        let Some(at) = held else {
            refuse!(self, EINVAL, "bpf_spin_unlock of different lock");
        };
        self.cur.refs.remove(at);
        self.cur.active_locks -= 1;
        self.cur.active_lock = self
            .cur
            .refs
            .iter()
            .rfind(|held| held.kind == ReferenceKind::Lock)
            .map_or((0, 0), |held| (held.id, held.owner));
        Ok(())
    }

    /// Demands that a register points exactly at the field of this kind in a map value.
    ///
    /// # Errors
    /// `EINVAL`.
    pub(crate) fn check_field(
        &mut self,
        pointer: &Reg,
        number: u8,
        kind: FieldKind,
        what: &str,
    ) -> Res {
        let name = kind.name();
        if !pointer.num.var_off.is_const() {
            refuse!(
                self,
                EINVAL,
                "R{number} doesn't have constant offset. {what} has to be at the constant offset"
            );
        }
        let map = self.map_of(pointer).clone();
        let map_name = &map.name;
        if map.btf.is_none() {
            refuse!(
                self,
                EINVAL,
                "map '{map_name}' has to have BTF in order to use {what}"
            );
        }
        let fields = self.special_fields(&map);
        let Some(field) = fields.iter().find(|field| field.kind == kind) else {
            refuse!(self, EINVAL, "map '{map_name}' has no valid {what}");
        };
        let off = (pointer.num.var_off.value as i64).wrapping_add(i64::from(pointer.off));
        let at = field.offset;
        if off != i64::from(at) {
            refuse!(
                self,
                EINVAL,
                "off {off} doesn't point to 'struct {name}' that is at {at}"
            );
        }
        Ok(())
    }
}

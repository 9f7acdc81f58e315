//! Spin locks in map values and allocated objects: taking and releasing them in order.

use skep_catalog::helper_id as id;

use crate::access::special_fields::FieldKind;
use crate::context::{Res, Verifier};
use crate::env::MapFacts;
use crate::refuse;
use crate::state::whole::{Reference, ReferenceKind};
use crate::state::{Flags, Kind, Reg};

/// Stands for the program's own types where the owner of a lock is a map otherwise.
const OWN_TYPES: u64 = u64::MAX;

impl Verifier<'_> {
    /// Whether values of a map hold a lock.
    pub(crate) fn has_lock(&mut self, map: &MapFacts) -> bool {
        self.special_fields(map)
            .iter()
            .any(|field| field.kind.is_lock())
    }

    /// Takes or releases the lock that an argument of a helper points at.
    ///
    /// # Errors
    /// `EINVAL` when that is no lock, another one is held, or it is not held; in the function
    /// that orders a tree also otherwise.
    pub(crate) fn use_spin_lock(&mut self, helper: u32, number: u8) -> Res {
        let takes = helper == id::SPIN_LOCK;
        if self.orders_tree() {
            refuse!(self, EACCES, "can't spin_{{lock,unlock}} in rbtree cb");
        }
        self.use_lock(number, ReferenceKind::Lock, takes)
    }

    /// Takes or releases the lock of this kind that a register points at.
    ///
    /// # Errors
    /// `EINVAL` when that is no lock, it may not be taken now, or it is not the one taken
    /// last.
    pub(crate) fn use_lock(&mut self, number: u8, kind: ReferenceKind, takes: bool) -> Res {
        let pointer = *self.reg(number);
        let (field, what) = match kind {
            ReferenceKind::Lock => (FieldKind::SpinLock, "bpf_spin"),
            _ => (FieldKind::ResSpinLock, "bpf_res_spin"),
        };
        self.check_field(&pointer, number, field, field.name())?;
        let owner = self.lock_owner(&pointer);
        if takes {
            self.take_lock(pointer.id, owner, kind)
        } else {
            self.release_lock(pointer.id, owner, kind, what)
        }
    }

    /// What tells locks of different maps and types apart; the id of the pointer tells those
    /// of different lookups apart.
    fn lock_owner(&self, pointer: &Reg) -> u64 {
        match pointer.kind {
            Kind::MapValue => u64::from(self.map_of(pointer).id.0) + 1,
            _ => OWN_TYPES,
        }
    }

    fn take_lock(&mut self, id: u32, owner: u64, kind: ReferenceKind) -> Res {
        let mut held = self.cur.refs.iter().filter(|held| held.kind.is_lock());
        if kind == ReferenceKind::Lock {
            if held.any(|held| held.kind == ReferenceKind::Lock) {
                refuse!(self, EINVAL, "Locking two bpf_spin_locks are not allowed");
            }
        } else if held
            .any(|held| held.kind != ReferenceKind::Lock && held.id == id && held.owner == owner)
        {
            refuse!(
                self,
                EINVAL,
                "Acquiring the same lock again, AA deadlock detected"
            );
        }
        let insn = self.insn_idx;
        self.cur.refs.push(Reference {
            kind,
            id,
            insn,
            owner,
        });
        self.cur.active_locks += 1;
        self.cur.active_lock = (id, owner);
        Ok(())
    }

    fn release_lock(&mut self, id: u32, owner: u64, kind: ReferenceKind, what: &str) -> Res {
        if self.cur.active_locks == 0 {
            refuse!(self, EINVAL, "{what}_unlock without taking a lock");
        }
        let held = self
            .cur
            .refs
            .iter()
            .rposition(|held| held.kind == kind && held.id == id && held.owner == owner);
        let Some(at) = held else {
            refuse!(self, EINVAL, "{what}_unlock of different lock");
        };
        if self.cur.active_lock != (id, owner) {
            refuse!(self, EINVAL, "{what}_unlock cannot be out of order");
        }
        self.cur.refs.remove(at);
        self.cur.active_locks -= 1;
        self.cur.active_lock = self
            .cur
            .refs
            .iter()
            .rfind(|held| held.kind.is_lock())
            .map_or((0, 0), |held| (held.id, held.owner));
        self.forget_borrowed();
        Ok(())
    }

    /// Elements of lists and trees that the program does not own are only there while the
    /// lock is held.
    fn forget_borrowed(&mut self) {
        let invalid = self.invalid_reg();
        self.cur.for_each_reg(|reg| {
            if reg.flags.any(Flags::NON_OWN_REF) {
                *reg = Reg {
                    subreg_def: reg.subreg_def,
                    ..invalid
                };
            }
        });
    }

    /// Demands that the lock is held which guards `what` in the same value or object.
    ///
    /// # Errors
    /// `EINVAL`.
    pub(crate) fn check_guarded(&mut self, pointer: &Reg, what: &str) -> Res {
        let fields = self.fields_behind(pointer);
        // A lock of the other kind has no place in the message.
        let lock = fields
            .iter()
            .find(|field| field.kind == FieldKind::SpinLock);
        let at = lock.map_or(-22, |field| i64::from(field.offset));
        let owner = self.lock_owner(pointer);
        if self.cur.active_locks != 0 {
            let held =
                self.cur.refs.iter().any(|held| {
                    held.kind.is_lock() && held.id == pointer.id && held.owner == owner
                });
            if held {
                return Ok(());
            }
            crate::say!(
                self,
                "held lock and object are not in the same allocation\n"
            );
        }
        refuse!(
            self,
            EINVAL,
            "bpf_spin_lock at off={at} must be held for {what}"
        );
    }

    /// Demands that a register points exactly at the field of this kind in a map value or in
    /// an allocated object.
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
        let mut of = "local 'kptr'".to_string();
        if pointer.kind == Kind::MapValue {
            let map = self.map_of(pointer).clone();
            of = format!("map '{}'", map.name);
            if map.btf.is_none() {
                refuse!(self, EINVAL, "{of} has to have BTF in order to use {what}");
            }
        }
        let fields = self.fields_behind(pointer);
        let Some(field) = fields.iter().find(|field| field.kind == kind) else {
            refuse!(self, EINVAL, "{of} has no valid {what}");
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

//! Kernel pointers in map values and allocated objects: loading, storing, exchanging them.

use skep_btf::{Kind as BtfKind, TypeId};
use skep_isa::field::{class, mode};

use crate::access::btf_id::OWN_BTF;
use crate::access::special_fields::{Field, FieldKind};
use crate::access::{Access, Attempt};
use crate::context::{Res, Stop, Verifier};
use crate::log::state::KindName;
use crate::refuse;
use crate::setup::target::kernel_btf;
use crate::state::{Flags, Kind, Reg};

/// Objects of the kernel that stay valid to the end of the RCU section in which a pointer to
/// them was loaded.
const FREED_BY_RCU: [&str; 5] = [
    "prog_test_ref_kfunc",
    "cgroup",
    "bpf_cpumask",
    "task_struct",
    "bpf_crypto_ctx",
];

impl Verifier<'_> {
    /// The kernel pointer that lies exactly where the program accesses a map value.
    pub(crate) fn kptr_at(&mut self, pointer: &Reg, off: i32) -> Option<Field> {
        if !pointer.num.var_off.is_const() {
            return None;
        }
        let at = i64::from(off).wrapping_add(pointer.num.var_off.value as i64);
        let fields = self.fields_behind(pointer);
        let mut pointers = fields.iter().filter(|field| field.kind.is_pointer());
        pointers
            .find(|field| i64::from(field.offset) == at)
            .copied()
    }

    /// Demands that an access which touches a kernel pointer is one to exactly that.
    ///
    /// # Errors
    /// `EACCES`.
    pub(crate) fn check_touched_kptr(
        &mut self,
        field: &Field,
        pointer: &Reg,
        off: i32,
        size: i32,
        by_helper: bool,
    ) -> Res {
        let name = field.kind.name();
        if by_helper {
            refuse!(
                self,
                EACCES,
                "{name} cannot be accessed indirectly by helper"
            );
        }
        if !pointer.num.var_off.is_const() {
            refuse!(self, EACCES, "{name} access cannot have variable offset");
        }
        let at = i64::from(off).wrapping_add(pointer.num.var_off.value as i64);
        let expected = field.offset;
        if at != i64::from(expected) {
            let at = at as u64;
            refuse!(
                self,
                EACCES,
                "{name} access misaligned expected={expected} off={at}"
            );
        }
        if size != 8 {
            refuse!(self, EACCES, "{name} access size must be BPF_DW");
        }
        Ok(())
    }

    /// A load from or a store to a kernel pointer.
    ///
    /// # Errors
    /// `EACCES`.
    pub(crate) fn access_kptr(&mut self, at: &Attempt, field: &Field) -> Res {
        let insn = self.insns[at.insn as usize];
        if insn.code & 0xe0 != mode::MEM {
            refuse!(
                self,
                EACCES,
                "kptr in map can only be accessed using BPF_MEM instruction mode"
            );
        }
        let loads = insn.class() == class::LDX;
        if !loads && matches!(field.kind, FieldKind::Kptr | FieldKind::PercpuKptr) {
            refuse!(self, EACCES, "store to referenced kptr disallowed");
        }
        if !loads && field.kind == FieldKind::Uptr {
            refuse!(self, EACCES, "store to uptr disallowed");
        }
        if loads {
            return match at.fills() {
                Some(number) => self.load_kptr(number, field),
                None => Ok(()),
            };
        }
        if insn.class() == class::ST {
            if insn.imm != 0 {
                let off = field.offset;
                refuse!(
                    self,
                    EACCES,
                    "BPF_ST imm must be 0 when storing to kptr at off={off}"
                );
            }
            return Ok(());
        }
        match at.value {
            Some(number) if at.access == Access::Write && !self.reg(number).is_null() => {
                self.check_kptr_value(field, number)
            }
            _ => Ok(()),
        }
    }

    fn load_kptr(&mut self, number: u8, field: &Field) -> Res {
        if field.kind == FieldKind::Uptr {
            let btf = self.field_btf(field)?;
            let Some(size) = btf.size_of(TypeId(field.target)) else {
                return Err(Stop::Unsupported(
                    "a pointer to an object of no size".into(),
                ));
            };
            let memory = Reg {
                aux: size,
                ..Reg::pointer(Kind::Mem)
            };
            self.put_loaded(number, memory, Flags::MAYBE_NULL);
            return Ok(());
        }
        let mut flags = Flags::MAYBE_NULL;
        let holds = matches!(field.kind, FieldKind::Kptr | FieldKind::PercpuKptr);
        if holds && self.is_freed_by_rcu(field)? && self.in_rcu_section() {
            flags = flags.with(Flags::RCU);
            if field.kind == FieldKind::PercpuKptr {
                flags = flags.with(Flags::PERCPU);
            } else if field.own_target {
                flags = flags.with(Flags::ALLOC);
            }
            // What can be in a list or a tree may be in one: the program does not own it.
            if field.own_target
                && self
                    .own_fields(field.target)
                    .iter()
                    .any(|of| of.kind.is_node())
            {
                flags = flags.with(Flags::NON_OWN_REF);
            }
        } else {
            flags = flags.with(Flags::UNTRUSTED);
        }
        self.put_loaded(number, target_object(field), flags);
        Ok(())
    }

    fn is_freed_by_rcu(&self, field: &Field) -> Res<bool> {
        if field.own_target {
            return Ok(true);
        }
        let btf = kernel_btf(self)?;
        let name = btf.type_by_id(field.target).map(|ty| ty.name().to_string());
        Ok(name.is_some_and(|name| FREED_BY_RCU.contains(&name.as_str())))
    }

    fn field_btf(&self, field: &Field) -> Res<std::sync::Arc<skep_btf::Btf>> {
        match (&self.request.btf, field.own_target) {
            (Some(own), true) => Ok(own.clone()),
            _ => kernel_btf(self),
        }
    }

    /// Demands that a register points at what a kernel pointer may point at.
    ///
    /// # Errors
    /// `EACCES`.
    pub(crate) fn check_kptr_value(&mut self, field: &Field, number: u8) -> Res {
        let reg = *self.reg(number);
        let mut allowed = Flags::MAYBE_NULL.with(Flags::TRUSTED).with(Flags::RCU);
        if field.kind == FieldKind::KptrUntrusted {
            allowed = allowed.with(Flags::UNTRUSTED);
        } else {
            allowed = allowed.with(Flags::ALLOC);
            if field.kind == FieldKind::PercpuKptr {
                allowed = allowed.with(Flags::PERCPU);
            }
        }
        let btf = self.field_btf(field)?;
        // The type is only named of pointers that may be exchanged at all.
        let exchangeable = reg.kind == Kind::BtfId && reg.flags.without(allowed) == Flags::NONE;
        let mut fits = exchangeable;
        if fits {
            self.check_ptr_off(&reg, number, true)?;
            let strict = field.kind != FieldKind::KptrUntrusted;
            let own = reg.map_uid == OWN_BTF;
            let same = own == field.own_target && reg.off == 0 && reg.aux == field.target;
            let inner = !same
                && !own
                && !field.own_target
                && !strict
                && u32::try_from(reg.off)
                    .is_ok_and(|off| self.object_holds(&btf, reg.aux, off, TypeId(field.target)));
            fits = same || inner;
        }
        if fits {
            return Ok(());
        }
        let target = btf.type_by_id(field.target);
        let target = target.map_or("", |ty| ty.name()).to_string();
        let have = reg.kind_name();
        let name = match exchangeable {
            true => self.btf_type_name(&reg),
            false => String::new(),
        };
        let plain = KindName {
            kind: Kind::BtfId,
            flags: Flags::NONE,
        };
        let mut expected = format!("{plain}{target}");
        if field.kind == FieldKind::KptrUntrusted {
            let untrusted = KindName {
                kind: Kind::BtfId,
                flags: Flags::UNTRUSTED,
            };
            expected.push_str(&format!(" or {untrusted}{target}"));
        }
        refuse!(
            self,
            EACCES,
            "invalid kptr access, R{number} type={have}{name} expected={expected}"
        );
    }

    /// The kernel pointer that `bpf_kptr_xchg` is to exchange.
    ///
    /// # Errors
    /// `EINVAL` or `EACCES` for a place that holds none which owns what it points at.
    pub(crate) fn use_kptr(&mut self, reg: &Reg, number: u8) -> Res<Field> {
        if reg.kind == Kind::MapValue {
            let map = self.map_of(reg).clone();
            if map.btf.is_none() {
                let name = &map.name;
                refuse!(
                    self,
                    EINVAL,
                    "map '{name}' has to have BTF in order to use bpf_kptr_xchg"
                );
            }
        }
        if !reg.num.var_off.is_const() {
            refuse!(
                self,
                EINVAL,
                "R{number} doesn't have constant offset. kptr has to be at the constant offset"
            );
        }
        let fields = self.fields_behind(reg);
        if !fields.iter().any(|field| field.kind.is_pointer()) {
            refuse!(self, EINVAL, "R{number} has no valid kptr");
        }
        let off = i64::from(reg.off).wrapping_add(reg.num.var_off.value as i64);
        let found = fields
            .iter()
            .find(|field| field.kind.is_pointer() && i64::from(field.offset) == off);
        let Some(field) = found else {
            refuse!(self, EACCES, "off={off} doesn't point to kptr");
        };
        if !matches!(field.kind, FieldKind::Kptr | FieldKind::PercpuKptr) {
            refuse!(self, EACCES, "off={off} kptr isn't referenced kptr");
        }
        Ok(*field)
    }

    /// What was in a kernel pointer, which the program owns now.
    pub(crate) fn exchanged(&mut self, field: &Field) -> Reg {
        let mut flags = Flags::MAYBE_NULL;
        if field.own_target {
            flags = flags.with(Flags::ALLOC);
        }
        if field.kind == FieldKind::PercpuKptr {
            flags = flags.with(Flags::PERCPU);
        }
        Reg {
            flags,
            ..target_object(field)
        }
    }

    /// What a helper gives that is asked for one CPU's copy of a variable or an object.
    ///
    /// # Errors
    /// `EACCES` for a variable of a type that has no size.
    pub(crate) fn copy_of_cpu(&mut self, reg: &Reg, or_null: bool) -> Res<Reg> {
        let null = match or_null {
            true => Flags::MAYBE_NULL,
            false => Flags::NONE,
        };
        if reg.map_uid == OWN_BTF {
            return Ok(Reg {
                flags: Flags::ALLOC.with(Flags::RCU),
                aux: reg.aux,
                map_uid: OWN_BTF,
                ..Reg::pointer(Kind::BtfId)
            });
        }
        let btf = kernel_btf(self)?;
        let Some(ty) = btf.resolve(TypeId(reg.aux)) else {
            return Err(Stop::Unsupported("a variable of an unknown type".into()));
        };
        if ty.kind() == BtfKind::Struct {
            return Ok(Reg {
                flags: null,
                aux: ty.id().0,
                ..Reg::pointer(Kind::BtfId)
            });
        }
        let Some(size) = btf.size_of(ty.id()) else {
            let name = ty.name();
            refuse!(
                self,
                EINVAL,
                "unable to resolve the size of type '{name}': -22"
            );
        };
        Ok(Reg {
            flags: null.with(Flags::RDONLY),
            aux: size,
            ..Reg::pointer(Kind::Mem)
        })
    }
}

fn target_object(field: &Field) -> Reg {
    Reg {
        aux: field.target,
        map_uid: if field.own_target { OWN_BTF } else { 0 },
        ..Reg::pointer(Kind::BtfId)
    }
}

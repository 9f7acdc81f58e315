//! The kernel's own structures that programs may look into: the task in whose name they run,
//! its rights, the topmost cgroup. They are laid out by the kernel's BTF, by the names of
//! fields; what nobody set there is zero.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use skep_abi::MapType;
use skep_btf::{Btf, Kind as BtfKind, Type};

use crate::heap::{Kind, Object};
use crate::kernel::Kernel;

/// The structures that were asked for, one of each type.
pub(crate) type Structures = Mutex<BTreeMap<&'static str, Arc<Object>>>;

/// How deep a field may lie in structures without names.
const DEPTH: u32 = 4;

/// The place of a field, in bytes.
fn field(btf: &Btf, ty: &Type<'_>, name: &str, depth: u32) -> Option<usize> {
    for member in ty.members() {
        let at = (member.bit_offset / 8) as usize;
        if member.name == name {
            return Some(at);
        }
        if member.name.is_empty()
            && depth > 0
            && let Some(inner) = btf.resolve(member.ty)
            && let Some(further) = field(btf, &inner, name, depth - 1)
        {
            return Some(at + further);
        }
    }
    None
}

/// A structure that is being filled.
struct Draft<'a> {
    btf: &'a Btf,
    ty: Type<'a>,
    object: &'a Object,
}

impl Draft<'_> {
    fn set(&self, name: &str, bytes: &[u8]) {
        if let Some(at) = field(self.btf, &self.ty, name, DEPTH) {
            self.object.block().write(at, bytes);
        }
    }

    fn set_u32(&self, name: &str, value: u32) {
        self.set(name, &value.to_ne_bytes());
    }

    fn set_u64(&self, name: &str, value: u64) {
        self.set(name, &value.to_ne_bytes());
    }
}

impl Kernel {
    /// The kernel's structure of this type; `None` where its BTF does not know the type.
    pub(crate) fn structure(&self, name: &'static str) -> Option<Arc<Object>> {
        let known = self
            .structures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned();
        if known.is_some() {
            return known;
        }
        let btf = self.kernel_btf.as_ref()?;
        let id = btf.find_by_name_kind(name, BtfKind::Struct)?;
        let size = btf.size_of(id)?;
        let made = self.heap.make_lasting(size.into(), Kind::Kernel).ok()?;
        let storage = match name {
            "task_struct" => Some(MapType::TaskStorage),
            "cgroup" => Some(MapType::CgrpStorage),
            _ => None,
        };
        let mut all = self
            .structures
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let kept = all.entry(name).or_insert(made).clone();
        if let Some(storage) = storage {
            self.objects.note_own(storage, kept.address());
        }
        Some(kept)
    }

    fn draft<'a>(&'a self, name: &str, object: &'a Object) -> Option<Draft<'a>> {
        let btf = self.kernel_btf.as_deref()?;
        let id = btf.find_by_name_kind(name, BtfKind::Struct)?;
        let ty = btf.type_by_id(id)?;
        Some(Draft { btf, ty, object })
    }

    /// The address of the task in whose name programs run, which says what the world says.
    pub(crate) fn current_task(&self) -> u64 {
        if let Some(given) = self.objects.given_task() {
            return given;
        }
        let (Some(task), Some(cred)) = (self.structure("task_struct"), self.structure("cred"))
        else {
            return self.objects.current_task();
        };
        let now = self.world.task();
        if let Some(draft) = self.draft("cred", &cred) {
            for name in ["uid", "euid", "suid", "fsuid"] {
                draft.set_u32(name, now.uid);
            }
            for name in ["gid", "egid", "sgid", "fsgid"] {
                draft.set_u32(name, now.gid);
            }
        }
        if let Some(draft) = self.draft("task_struct", &task) {
            draft.set_u32("pid", now.pid);
            draft.set_u32("tgid", now.tgid);
            draft.set("comm", &now.comm);
            for name in ["group_leader", "real_parent", "parent"] {
                draft.set_u64(name, task.address());
            }
            for name in ["cred", "real_cred", "ptracer_cred"] {
                draft.set_u64(name, cred.address());
            }
            draft.set_u32("nr_cpus_allowed", self.cpus);
            let mask = field(draft.btf, &draft.ty, "cpus_mask", DEPTH);
            if let Some(at) = mask {
                let bits = u64::MAX >> (64 - self.cpus.clamp(1, 64));
                draft.set_u64("cpus_mask", bits);
                draft.set_u64("cpus_ptr", task.address() + at as u64);
            }
        }
        task.address()
    }
}

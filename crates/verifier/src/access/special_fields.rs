//! Which parts of a map value belong to the kernel: locks, timers, lists, kernel pointers.

use std::sync::Arc;

use skep_btf::{Btf, Kind, Type, TypeId};

use crate::context::Verifier;
use crate::env::MapFacts;

/// What kind of thing a field is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FieldKind {
    SpinLock,
    ResSpinLock,
    Timer,
    WorkQueue,
    TaskWork,
    ListHead,
    ListNode,
    RbRoot,
    RbNode,
    Refcount,
    Kptr,
    PercpuKptr,
    Uptr,
}

impl FieldKind {
    /// The name that messages use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            FieldKind::SpinLock => "bpf_spin_lock",
            FieldKind::ResSpinLock => "bpf_res_spin_lock",
            FieldKind::Timer => "bpf_timer",
            FieldKind::WorkQueue => "bpf_wq",
            FieldKind::TaskWork => "bpf_task_work",
            FieldKind::ListHead => "bpf_list_head",
            FieldKind::ListNode => "bpf_list_node",
            FieldKind::RbRoot => "bpf_rb_root",
            FieldKind::RbNode => "bpf_rb_node",
            FieldKind::Refcount => "bpf_refcount",
            FieldKind::Kptr => "kptr",
            FieldKind::PercpuKptr => "percpu_kptr",
            FieldKind::Uptr => "uptr",
        }
    }

    /// Whether the program may load and store it, under rules of its own.
    pub(crate) fn is_pointer(self) -> bool {
        matches!(
            self,
            FieldKind::Kptr | FieldKind::PercpuKptr | FieldKind::Uptr
        )
    }

    fn of_struct(name: &str) -> Option<FieldKind> {
        Some(match name {
            "bpf_spin_lock" => FieldKind::SpinLock,
            "bpf_res_spin_lock" => FieldKind::ResSpinLock,
            "bpf_timer" => FieldKind::Timer,
            "bpf_wq" => FieldKind::WorkQueue,
            "bpf_task_work" => FieldKind::TaskWork,
            "bpf_list_head" => FieldKind::ListHead,
            "bpf_list_node" => FieldKind::ListNode,
            "bpf_rb_root" => FieldKind::RbRoot,
            "bpf_rb_node" => FieldKind::RbNode,
            "bpf_refcount" => FieldKind::Refcount,
            _ => return None,
        })
    }

    fn of_tag(name: &str) -> Option<FieldKind> {
        Some(match name {
            "kptr" | "kptr_untrusted" => FieldKind::Kptr,
            "percpu_kptr" => FieldKind::PercpuKptr,
            "uptr" => FieldKind::Uptr,
            _ => return None,
        })
    }
}

/// One such field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Field {
    pub kind: FieldKind,
    pub offset: u32,
    pub size: u32,
}

/// How deep structures inside structures are looked into.
const MAX_DEPTH: u32 = 8;

/// The fields of a map value's type.
pub(crate) fn find(btf: &Btf, value: u32) -> Vec<Field> {
    let mut fields = Vec::new();
    if let Some(ty) = btf.resolve(value) {
        collect(btf, ty, 0, 0, &mut fields);
    }
    fields.sort_by_key(|field| field.offset);
    fields
}

fn collect(btf: &Btf, ty: Type<'_>, base: u32, depth: u32, fields: &mut Vec<Field>) {
    if depth > MAX_DEPTH {
        return;
    }
    match ty.kind() {
        Kind::Struct => {
            for member in ty.members() {
                if member.bit_offset % 8 == 0 {
                    let offset = base.saturating_add(member.bit_offset / 8);
                    one(btf, member.ty, offset, depth, fields);
                }
            }
        }
        // The content of a global data section.
        Kind::DataSec => {
            for var in ty.vars() {
                if let Some(inner) = btf.type_by_id(var.ty).and_then(|var| var.ref_type()) {
                    one(btf, inner, base.saturating_add(var.offset), depth, fields);
                }
            }
        }
        _ => {}
    }
}

fn one(btf: &Btf, id: TypeId, offset: u32, depth: u32, fields: &mut Vec<Field>) {
    let Some(mut ty) = btf.resolve(id) else {
        return;
    };
    let mut count = 1;
    let mut stride = 0;
    while let Some(array) = ty.array() {
        count = array.count.min(1 << 10) * count.min(1 << 10);
        let Some(elem) = btf.resolve(array.elem) else {
            return;
        };
        stride = btf.size_of(elem.id()).unwrap_or(0);
        ty = elem;
    }
    let found = match ty.kind() {
        Kind::Struct => FieldKind::of_struct(ty.name()),
        Kind::Ptr => tag_of(btf, ty),
        _ => None,
    };
    for index in 0..count.min(1 << 10) {
        let at = offset.saturating_add(index.saturating_mul(stride));
        match found {
            Some(kind) => fields.push(Field {
                kind,
                offset: at,
                size: btf.size_of(ty.id()).unwrap_or(8),
            }),
            None if ty.kind() == Kind::Struct => collect(btf, ty, at, depth + 1, fields),
            None => return,
        }
    }
}

/// The kind of kernel pointer a pointer is tagged to be.
fn tag_of(btf: &Btf, ptr: Type<'_>) -> Option<FieldKind> {
    let mut ty = btf.type_by_id(ptr.ref_type()?)?;
    for _ in 0..MAX_DEPTH {
        match ty.kind() {
            Kind::TypeTag => match FieldKind::of_tag(ty.name()) {
                Some(kind) => return Some(kind),
                None => ty = btf.type_by_id(ty.ref_type()?)?,
            },
            Kind::Const | Kind::Volatile | Kind::Restrict => {
                ty = btf.type_by_id(ty.ref_type()?)?;
            }
            _ => return None,
        }
    }
    None
}

impl Verifier<'_> {
    /// The kernel's fields in the values of a map, looked up once per map.
    pub(crate) fn special_fields(&mut self, map: &MapFacts) -> Arc<[Field]> {
        if let Some(known) = self.map_fields.get(&map.id) {
            return known.clone();
        }
        let found: Arc<[Field]> = match &map.btf {
            Some((btf, _, value)) => find(btf, *value).into(),
            None => Arc::new([]),
        };
        self.map_fields.insert(map.id, found.clone());
        found
    }
}

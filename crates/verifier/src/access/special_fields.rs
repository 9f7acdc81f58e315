//! Which parts of a map value belong to the kernel: locks, timers, lists, kernel pointers.

use std::sync::{Arc, OnceLock};

use skep_btf::{Btf, Holder, SpecialField, SpecialKind};

use crate::access::btf_id::OWN_BTF;
use crate::context::Verifier;
use crate::env::MapFacts;
use crate::state::{Kind, Reg};

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
    /// A pointer that keeps nothing alive.
    KptrUntrusted,
    /// A pointer that holds a reference.
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
            FieldKind::Kptr | FieldKind::KptrUntrusted => "kptr",
            FieldKind::PercpuKptr => "percpu_kptr",
            FieldKind::Uptr => "uptr",
        }
    }

    /// Whether the program may load and store it, under rules of its own.
    pub(crate) fn is_pointer(self) -> bool {
        matches!(
            self,
            FieldKind::Kptr | FieldKind::KptrUntrusted | FieldKind::PercpuKptr | FieldKind::Uptr
        )
    }
}

impl From<SpecialKind> for FieldKind {
    fn from(kind: SpecialKind) -> FieldKind {
        match kind {
            SpecialKind::SpinLock => FieldKind::SpinLock,
            SpecialKind::ResSpinLock => FieldKind::ResSpinLock,
            SpecialKind::Timer => FieldKind::Timer,
            SpecialKind::Workqueue => FieldKind::WorkQueue,
            SpecialKind::TaskWork => FieldKind::TaskWork,
            SpecialKind::ListHead => FieldKind::ListHead,
            SpecialKind::ListNode => FieldKind::ListNode,
            SpecialKind::RbRoot => FieldKind::RbRoot,
            SpecialKind::RbNode => FieldKind::RbNode,
            SpecialKind::Refcount => FieldKind::Refcount,
            SpecialKind::Kptr => FieldKind::Kptr,
            SpecialKind::UntrustedKptr => FieldKind::KptrUntrusted,
            SpecialKind::PercpuKptr => FieldKind::PercpuKptr,
            SpecialKind::Uptr => FieldKind::Uptr,
        }
    }
}

/// One such field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Field {
    pub kind: FieldKind,
    pub offset: u32,
    pub size: u32,
    /// For a pointer, what it points at; for the head of a list or the root of a tree, the
    /// structure of its elements, in the same BTF; 0 for anything else.
    pub target: u32,
    /// The target of a pointer is a structure of the program's own, not of the kernel.
    pub own_target: bool,
    /// Where in an element its node lies.
    pub node: u32,
}

impl FieldKind {
    /// Whether something is run for it later, which must know the map.
    pub(crate) fn runs_later(self) -> bool {
        matches!(
            self,
            FieldKind::Timer | FieldKind::WorkQueue | FieldKind::TaskWork
        )
    }

    /// Whether lists or trees link the object by it.
    pub(crate) fn is_node(self) -> bool {
        matches!(self, FieldKind::ListNode | FieldKind::RbNode)
    }

    /// Whether it is a lock.
    pub(crate) fn is_lock(self) -> bool {
        matches!(self, FieldKind::SpinLock | FieldKind::ResSpinLock)
    }
}

/// The fields of a map's values, once somebody asked for them.
#[derive(Clone, Debug, Default)]
pub struct MapFields(OnceLock<Arc<[Field]>>);

/// The fields of a type; none at all when one of them is not as it must be.
pub(crate) fn find(btf: &Btf, value: u32, holder: Holder, kernel: Option<&Btf>) -> Vec<Field> {
    let Some(ty) = btf.resolve(value) else {
        return Vec::new();
    };
    if holder == Holder::Object && !btf.is_object(&ty) {
        return Vec::new();
    }
    let found = btf.special_fields(ty.id(), holder).unwrap_or_default();
    let fields = found.iter().map(|found| completed(btf, kernel, found));
    fields.collect::<Option<Vec<Field>>>().unwrap_or_default()
}

/// A field with its target in the kernel's types, if it has one there; `None` for a pointer that
/// would own what cannot be given back.
fn completed(btf: &Btf, kernel: Option<&Btf>, found: &SpecialField) -> Option<Field> {
    let kind = FieldKind::from(found.kind);
    let of_kernel = kernel
        .filter(|_| kind.is_pointer() && kind != FieldKind::Uptr)
        .zip(btf.type_by_id(found.target))
        .and_then(|(kernel, target)| {
            let id = kernel.find_by_name_kind(target.name(), target.kind())?;
            Some((id, target.name()))
        });
    if let Some((_, name)) = of_kernel
        && kind == FieldKind::Kptr
        && !skep_catalog::has_destructor(name)
    {
        return None;
    }
    Some(Field {
        kind,
        offset: found.offset,
        size: found.size,
        target: of_kernel.map_or(found.target, |(id, _)| id).0,
        own_target: kind.is_pointer() && of_kernel.is_none(),
        node: found.node,
    })
}

impl Verifier<'_> {
    /// The kernel's fields in the values of a map, looked up once per map.
    pub(crate) fn special_fields(&self, map: &MapFacts) -> Arc<[Field]> {
        let found = map.fields.0.get_or_init(|| -> Arc<[Field]> {
            match &map.btf {
                Some((btf, _, value)) => {
                    let kernel = self.env.kernel_btf();
                    find(btf, *value, Holder::MapValue, kernel.as_deref()).into()
                }
                None => Arc::new([]),
            }
        });
        Arc::clone(found)
    }

    /// The kernel's fields in a structure of the program's own.
    pub(crate) fn own_fields(&mut self, id: u32) -> Arc<[Field]> {
        if let Some(known) = self.own_fields.get(&id) {
            return known.clone();
        }
        let kernel = self.env.kernel_btf();
        let found: Arc<[Field]> = match &self.request.btf {
            Some(btf) => find(btf, id, Holder::Object, kernel.as_deref()).into(),
            None => Arc::new([]),
        };
        self.own_fields.insert(id, found.clone());
        found
    }

    /// The kernel's fields where a register points: in a map value or an allocated object.
    pub(crate) fn fields_behind(&mut self, reg: &Reg) -> Arc<[Field]> {
        if reg.kind == Kind::MapValue {
            let map = self.map_of(reg).clone();
            self.special_fields(&map)
        } else if reg.map_uid == OWN_BTF {
            self.own_fields(reg.aux)
        } else {
            Arc::new([])
        }
    }
}

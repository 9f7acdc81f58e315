//! Which parts of a map value belong to the kernel: locks, timers, lists, kernel pointers.

use std::sync::Arc;

use skep_btf::{Btf, Kind as BtfKind, Type, TypeId};

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
            "kptr" => FieldKind::Kptr,
            "kptr_untrusted" => FieldKind::KptrUntrusted,
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
    /// For a pointer, what it points at; for the head of a list or the root of a tree, the
    /// structure of its elements, in the same BTF; 0 for anything else.
    pub target: u32,
    /// The target of a pointer is a structure of the program's own, not of the kernel.
    pub own_target: bool,
    /// Where in an element its node lies.
    pub node: u32,
}

impl FieldKind {
    /// Whether it is a lock.
    pub(crate) fn is_lock(self) -> bool {
        matches!(self, FieldKind::SpinLock | FieldKind::ResSpinLock)
    }

    /// The kind of node that the elements of a list or a tree have.
    pub(crate) fn node(self) -> Option<FieldKind> {
        match self {
            FieldKind::ListHead => Some(FieldKind::ListNode),
            FieldKind::RbRoot => Some(FieldKind::RbNode),
            _ => None,
        }
    }
}

/// How deep structures inside structures are looked into.
const MAX_DEPTH: u32 = 8;

/// A search for the fields of one type.
struct Search<'b> {
    btf: &'b Btf,
    kernel: Option<&'b Btf>,
    fields: Vec<Field>,
}

/// The fields of a type; none at all when one of them is not as it must be.
pub(crate) fn find(btf: &Btf, value: u32, kernel: Option<&Btf>) -> Vec<Field> {
    let mut search = Search {
        btf,
        kernel,
        fields: Vec::new(),
    };
    let whole = btf.resolve(value).and_then(|ty| search.collect(ty, 0, 0));
    let mut fields = search.fields;
    fields.sort_by_key(|field| field.offset);
    let count = |kind| fields.iter().filter(|field| field.kind == kind).count();
    let locks = count(FieldKind::SpinLock) + count(FieldKind::ResSpinLock);
    let graphs = count(FieldKind::ListHead) + count(FieldKind::RbRoot);
    // Whatever links objects needs a lock, and no type has two.
    if whole.is_none() || locks > 1 || graphs > 0 && locks == 0 {
        return Vec::new();
    }
    fields
}

impl<'b> Search<'b> {
    fn collect(&mut self, ty: Type<'b>, base: u32, depth: u32) -> Option<()> {
        if depth > MAX_DEPTH {
            return Some(());
        }
        match ty.kind() {
            BtfKind::Struct => {
                for (index, member) in ty.members().enumerate() {
                    if member.bit_offset % 8 == 0 {
                        let offset = base.saturating_add(member.bit_offset / 8);
                        self.one(member.ty, offset, depth, (ty.id(), index as i32))?;
                    }
                }
            }
            // The content of a global data section.
            BtfKind::DataSec => {
                for var in ty.vars() {
                    if let Some(inner) = self.btf.type_by_id(var.ty).and_then(|v| v.ref_type()) {
                        let offset = base.saturating_add(var.offset);
                        self.one(inner, offset, depth, (var.ty, -1))?;
                    }
                }
            }
            _ => {}
        }
        Some(())
    }

    fn one(&mut self, id: TypeId, offset: u32, depth: u32, tagged: (TypeId, i32)) -> Option<()> {
        let btf = self.btf;
        let Some(mut ty) = btf.resolve(id) else {
            return Some(());
        };
        let mut count = 1;
        let mut stride = 0;
        while let Some(array) = ty.array() {
            count = array.count.min(1 << 10) * count.min(1 << 10);
            let Some(elem) = btf.resolve(array.elem) else {
                return Some(());
            };
            stride = btf.size_of(elem.id()).unwrap_or(0);
            ty = elem;
        }
        let found = match ty.kind() {
            BtfKind::Struct => FieldKind::of_struct(ty.name()),
            BtfKind::Ptr => tag_of(btf, ty),
            _ => None,
        };
        for index in 0..count.min(1 << 10) {
            let at = offset.saturating_add(index.saturating_mul(stride));
            match found {
                Some(kind) => {
                    let field = self.field(kind, ty, at, tagged)?;
                    self.fields.push(field);
                }
                None if ty.kind() == BtfKind::Struct => self.collect(ty, at, depth + 1)?,
                None => break,
            }
        }
        Some(())
    }

    fn field(
        &self,
        kind: FieldKind,
        ty: Type<'b>,
        offset: u32,
        tagged: (TypeId, i32),
    ) -> Option<Field> {
        let field = Field {
            kind,
            offset,
            size: self.btf.size_of(ty.id()).unwrap_or(8),
            target: 0,
            own_target: false,
            node: 0,
        };
        if kind.is_pointer() {
            let target = ty.ref_type().and_then(|id| self.btf.resolve(id))?;
            let of_kernel = self
                .kernel
                .filter(|_| kind != FieldKind::Uptr)
                .and_then(|kernel| kernel.find_by_name_kind(target.name(), target.kind()));
            return Some(Field {
                target: of_kernel.unwrap_or(target.id()).0,
                own_target: of_kernel.is_none(),
                ..field
            });
        }
        let Some(node) = kind.node() else {
            return Some(field);
        };
        let (value, node) = self.contained(tagged, node)?;
        Some(Field {
            target: value.0,
            node,
            ..field
        })
    }

    /// What a head or a root holds, as the tag `contains:TYPE:FIELD` says: the structure,
    /// and where its node lies.
    fn contained(&self, tagged: (TypeId, i32), node: FieldKind) -> Option<(TypeId, u32)> {
        let tag = self.btf.decl_tags().find_map(|ty| {
            let fits = ty.ref_type() == Some(tagged.0) && ty.component_idx() == Some(tagged.1);
            ty.name().strip_prefix("contains:").filter(|_| fits)
        })?;
        let (name, field) = tag.split_once(':')?;
        let id = self.btf.find_by_name_kind(name, BtfKind::Struct)?;
        let value = self.btf.type_by_id(id)?;
        let member = value.members().find(|member| member.name == field)?;
        let kind = self.btf.resolve(member.ty)?;
        let fits = FieldKind::of_struct(kind.name()) == Some(node);
        fits.then_some((id, member.bit_offset / 8))
    }
}

/// The kind of kernel pointer a pointer is tagged to be.
fn tag_of(btf: &Btf, ptr: Type<'_>) -> Option<FieldKind> {
    let mut ty = btf.type_by_id(ptr.ref_type()?)?;
    for _ in 0..MAX_DEPTH {
        match ty.kind() {
            BtfKind::TypeTag => match FieldKind::of_tag(ty.name()) {
                Some(kind) => return Some(kind),
                None => ty = btf.type_by_id(ty.ref_type()?)?,
            },
            BtfKind::Const | BtfKind::Volatile | BtfKind::Restrict => {
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
        let kernel = self.env.kernel_btf();
        let found: Arc<[Field]> = match &map.btf {
            Some((btf, _, value)) => find(btf, *value, kernel.as_deref()).into(),
            None => Arc::new([]),
        };
        self.map_fields.insert(map.id, found.clone());
        found
    }

    /// The kernel's fields in a structure of the program's own.
    pub(crate) fn own_fields(&mut self, id: u32) -> Arc<[Field]> {
        if let Some(known) = self.own_fields.get(&id) {
            return known.clone();
        }
        let kernel = self.env.kernel_btf();
        let found: Arc<[Field]> = match &self.request.btf {
            Some(btf) => find(btf, id, kernel.as_deref()).into(),
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

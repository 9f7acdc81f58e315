//! Which fields of a structure are the kernel's own: locks, timers, lists, counted pointers.
//!
//! One search for everyone who must know: the check of loaded BTF, maps, and the verifier. What
//! a search objects to makes the whole structure one without such fields, except when BTF is
//! loaded, where it is the reason of the refusal.

use skep_abi::Errno;

use crate::blob::Btf;
use crate::kind::{Kind, TypeId};
use crate::query::MAX_RESOLVE_DEPTH;
use crate::view::Type;

/// The most special fields of a structure.
const FIELDS_MAX: usize = 11;

/// What a special field is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpecialKind {
    /// `bpf_spin_lock`.
    SpinLock,
    /// `bpf_res_spin_lock`.
    ResSpinLock,
    /// `bpf_timer`.
    Timer,
    /// `bpf_wq`.
    Workqueue,
    /// `bpf_task_work`.
    TaskWork,
    /// `bpf_list_head`.
    ListHead,
    /// `bpf_list_node`.
    ListNode,
    /// `bpf_rb_root`.
    RbRoot,
    /// `bpf_rb_node`.
    RbNode,
    /// `bpf_refcount`.
    Refcount,
    /// A pointer that owns a reference (`kptr`).
    Kptr,
    /// A pointer that owns nothing (`kptr_untrusted`).
    UntrustedKptr,
    /// A pointer that owns an object of each CPU (`percpu_kptr`).
    PercpuKptr,
    /// A pointer to memory of user space (`uptr`).
    Uptr,
}

use SpecialKind::*;

/// Where the structure is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    /// It is the value of a map.
    MapValue,
    /// Programs allocate it.
    Object,
}

/// One special field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpecialField {
    /// What it is.
    pub kind: SpecialKind,
    /// Its first byte.
    pub offset: u32,
    /// Its bytes.
    pub size: u32,
    /// What a pointer leads to; the structure that a list or a tree holds; else void.
    pub target: TypeId,
    /// Where in what a list or a tree holds its node lies.
    pub node: u32,
}

/// Structures by which a field is recognised: the name, how large and aligned it must be, and
/// whether there may be but one.
const STRUCTS: [(&str, SpecialKind, u32, u32, bool); 10] = [
    ("bpf_spin_lock", SpinLock, 4, 4, true),
    ("bpf_res_spin_lock", ResSpinLock, 4, 4, true),
    ("bpf_timer", Timer, 16, 8, true),
    ("bpf_wq", Workqueue, 16, 8, true),
    ("bpf_task_work", TaskWork, 8, 8, true),
    ("bpf_list_head", ListHead, 16, 8, false),
    ("bpf_list_node", ListNode, 24, 8, false),
    ("bpf_rb_root", RbRoot, 16, 8, false),
    ("bpf_rb_node", RbNode, 32, 8, false),
    ("bpf_refcount", Refcount, 4, 4, false),
];

/// Those that make a structure one that programs allocate.
const OF_OBJECTS: [&str; 6] = [
    "bpf_spin_lock",
    "bpf_list_head",
    "bpf_list_node",
    "bpf_rb_root",
    "bpf_rb_node",
    "bpf_refcount",
];

impl SpecialKind {
    fn of_tag(name: &str) -> Option<SpecialKind> {
        Some(match name {
            "kptr" => Kptr,
            "kptr_untrusted" => UntrustedKptr,
            "percpu_kptr" => PercpuKptr,
            "uptr" => Uptr,
            _ => return None,
        })
    }

    fn is_in(self, holder: Holder) -> bool {
        match self {
            Timer | Workqueue | TaskWork | Uptr => holder == Holder::MapValue,
            ListNode | RbNode => holder == Holder::Object,
            _ => true,
        }
    }

    /// Whether it may be the element of an array.
    fn repeats(self) -> bool {
        matches!(
            self,
            Kptr | UntrustedKptr | PercpuKptr | Uptr | ListHead | RbRoot
        )
    }

    /// The kind of node that what it holds must have.
    fn node(self) -> Option<SpecialKind> {
        match self {
            ListHead => Some(ListNode),
            RbRoot => Some(RbNode),
            _ => None,
        }
    }
}

impl Btf {
    /// The special fields of a structure or data section, by offset.
    ///
    /// # Errors
    /// `EINVAL` for what cannot be, `E2BIG` for too many or too deep, `EEXIST` for fields that
    /// overlap, `ENOENT` for a list of what does not exist.
    pub fn special_fields(&self, id: TypeId, holder: Holder) -> Result<Vec<SpecialField>, Errno> {
        let search = Search { btf: self, holder };
        let Some(ty) = self.type_by_id(id) else {
            return Ok(Vec::new());
        };
        let mut raw = Vec::new();
        search.whole(&ty, 0, &mut raw)?;
        let mut fields: Vec<SpecialField> = Vec::with_capacity(raw.len());
        for found in &raw {
            let next = fields
                .last()
                .map_or(0, |last| last.offset.saturating_add(last.size));
            if found.field.offset < next {
                return Err(Errno::EEXIST);
            }
            fields.push(search.complete(found)?);
        }
        let count = |kind| fields.iter().filter(|field| field.kind == kind).count();
        // A lock in each of two inner structures Linux takes; what it then locks is open.
        let single = STRUCTS.iter().filter(|(.., single)| *single);
        let twice = single.map(|(_, kind, ..)| count(*kind)).any(|n| n > 1);
        if holder == Holder::MapValue && twice {
            return Err(Errno::E2BIG);
        }
        let has = |kind| fields.iter().any(|field| field.kind == kind);
        let locks = [has(SpinLock), has(ResSpinLock)];
        let without_lock = (has(ListHead) || has(RbRoot)) && locks == [false; 2];
        let without_count = has(ListNode) && has(RbNode) && !has(Refcount);
        if without_lock || without_count || locks == [true; 2] {
            return Err(Errno::EINVAL);
        }
        Ok(fields)
    }

    /// Whether a structure is one whose fields Linux looks at when the BTF is loaded: one with
    /// a special field or a tagged pointer among its own members.
    pub fn is_object(&self, ty: &Type<'_>) -> bool {
        let firsts = OF_OBJECTS.map(|name| self.find_by_name_kind(name, Kind::Struct));
        let mut members = ty.members();
        ty.kind() == Kind::Struct
            && members.any(|member| {
                firsts.contains(&Some(member.ty)) || self.keeps(member.ty) == Some(true)
            })
    }

    fn keeps(&self, id: TypeId) -> Option<bool> {
        let ptr = self.type_by_id(id).filter(|ty| ty.kind() == Kind::Ptr)?;
        let tag = plain_tag(&ptr)?;
        let kind = SpecialKind::of_tag(tag.name())?;
        let target = self.resolve(tag.ref_type()?)?;
        Some(kind != Uptr && target.kind() == Kind::Struct)
    }
}

/// A field, and the member or variable it was found at, for its tags.
struct Found {
    field: SpecialField,
    at: (TypeId, i32),
}

struct Search<'b> {
    btf: &'b Btf,
    holder: Holder,
}

impl<'b> Search<'b> {
    fn whole(&self, ty: &Type<'b>, level: usize, out: &mut Vec<Found>) -> Result<(), Errno> {
        // The kinds seen of which each structure may have but one.
        let mut once = Vec::new();
        match ty.kind() {
            Kind::Struct => {
                for (index, member) in ty.members().enumerate() {
                    // Linux has no bit fields beside special fields.
                    if member.bit_offset % 8 != 0 {
                        return Err(Errno::EINVAL);
                    }
                    let at = (ty.id(), i32::try_from(index).unwrap_or(i32::MAX));
                    self.one(
                        member.ty,
                        member.bit_offset / 8,
                        None,
                        at,
                        level,
                        &mut once,
                        out,
                    )?;
                }
            }
            Kind::DataSec => {
                for var in ty.vars() {
                    let inner = self.btf.type_by_id(var.ty).and_then(|ty| ty.ref_type());
                    if let Some(inner) = inner {
                        self.one(
                            inner,
                            var.offset,
                            Some(var.size),
                            (var.ty, -1),
                            level,
                            &mut once,
                            out,
                        )?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn one(
        &self,
        id: TypeId,
        offset: u32,
        room: Option<u32>,
        at: (TypeId, i32),
        level: usize,
        once: &mut Vec<SpecialKind>,
        out: &mut Vec<Found>,
    ) -> Result<(), Errno> {
        let Some(mut ty) = self.btf.type_by_id(id) else {
            return Ok(());
        };
        let mut count = 1u32;
        for _ in 0..MAX_RESOLVE_DEPTH {
            let Some(array) = ty.array() else { break };
            count = count.saturating_mul(array.count);
            match self.btf.type_by_id(array.elem) {
                Some(elem) => ty = elem,
                None => return Ok(()),
            }
        }
        if count == 0 {
            return Ok(());
        }
        let known = STRUCTS
            .iter()
            .find(|(name, kind, ..)| kind.is_in(self.holder) && *name == ty.name());
        let start = out.len();
        let (kind, size) = match known {
            Some(&(_, kind, size, align, single)) => {
                if single && once.contains(&kind) {
                    return Err(Errno::E2BIG);
                }
                if single {
                    once.push(kind);
                }
                let sized = ty.kind() == Kind::Struct && ty.size() == Some(size);
                if !fits(offset, align, room, size, count) || !sized {
                    return Ok(());
                }
                (kind, size)
            }
            None if ty.kind() == Kind::Struct => {
                if level + 1 >= MAX_RESOLVE_DEPTH {
                    return Err(Errno::E2BIG);
                }
                let mut inner = Vec::new();
                self.whole(&ty, level + 1, &mut inner)?;
                let stride = ty.size().unwrap_or(0);
                for field in &mut inner {
                    field.field.offset = field.field.offset.saturating_add(offset);
                }
                out.append(&mut inner);
                return repeat(out, start, count, stride);
            }
            None => {
                if !fits(offset, 8, room, 8, count) {
                    return Ok(());
                }
                let Some((kind, target)) = self.pointer(ty)? else {
                    return Ok(());
                };
                let field = SpecialField {
                    kind,
                    offset,
                    size: 8,
                    target,
                    node: 0,
                };
                out.push(Found { field, at });
                return repeat(out, start, count, 8);
            }
        };
        let field = SpecialField {
            kind,
            offset,
            size,
            target: TypeId::VOID,
            node: 0,
        };
        if kind.node().is_some() {
            self.contains(at)?;
        }
        out.push(Found { field, at });
        repeat(out, start, count, size)
    }

    /// What a pointer with a tag is, and where it leads.
    fn pointer(&self, mut ty: Type<'b>) -> Result<Option<(SpecialKind, TypeId)>, Errno> {
        if ty.kind() == Kind::Volatile {
            match ty.target() {
                Some(inner) => ty = inner,
                None => return Ok(None),
            }
        }
        if ty.kind() != Kind::Ptr {
            return Ok(None);
        }
        let Some(tag) = plain_tag(&ty) else {
            return Ok(None);
        };
        let again = tag
            .target()
            .is_some_and(|inner| inner.kind() == Kind::TypeTag);
        let Some(kind) = SpecialKind::of_tag(tag.name()).filter(|_| !again) else {
            return Err(Errno::EINVAL);
        };
        if !kind.is_in(self.holder) {
            return Ok(None);
        }
        let target = tag.ref_type().and_then(|id| self.btf.resolve(id));
        let target = target.filter(|target| target.kind() == Kind::Struct);
        target
            .map(|target| Some((kind, target.id())))
            .ok_or(Errno::EINVAL)
    }

    /// The type and the member that the one tag `contains:TYPE:MEMBER` names.
    fn contains(&self, at: (TypeId, i32)) -> Result<(TypeId, &'b str), Errno> {
        let here = |ty: &Type<'_>| ty.ref_type() == Some(at.0) && ty.component_idx() == Some(at.1);
        let mut tags = self
            .btf
            .decl_tags()
            .filter(here)
            .filter_map(|tag| tag.name().strip_prefix("contains:"));
        let (Some(value), None) = (tags.next(), tags.next()) else {
            return Err(Errno::EINVAL);
        };
        let (name, member) = value.split_once(':').ok_or(Errno::EINVAL)?;
        let id = self.btf.find_by_name_kind(name, Kind::Struct);
        let id = id.ok_or(Errno::ENOENT)?;
        if member.is_empty() {
            return Err(Errno::EINVAL);
        }
        Ok((id, member))
    }

    /// Looks up what a list or a tree holds.
    fn complete(&self, found: &Found) -> Result<SpecialField, Errno> {
        let Some(node) = found.field.kind.node() else {
            return Ok(found.field);
        };
        let (id, name) = self.contains(found.at)?;
        let held = self.btf.type_by_id(id).ok_or(Errno::ENOENT)?;
        let mut members = held.members();
        let member = members.find(|member| member.name == name);
        let member = member.ok_or(Errno::ENOENT)?;
        let ty = self.btf.type_by_id(member.ty).ok_or(Errno::EINVAL)?;
        let row = STRUCTS.iter().find(|(_, kind, ..)| *kind == node);
        let fits = row.is_some_and(|(name, _, size, align, _)| {
            ty.kind() == Kind::Struct
                && ty.name() == *name
                && ty.size() == Some(*size)
                && member.bit_offset % (8 * align) == 0
        });
        if !fits {
            return Err(Errno::EINVAL);
        }
        Ok(SpecialField {
            target: id,
            node: member.bit_offset / 8,
            ..found.field
        })
    }
}

fn fits(offset: u32, align: u32, room: Option<u32>, size: u32, count: u32) -> bool {
    offset.is_multiple_of(align) && room.is_none_or(|room| size.checked_mul(count) == Some(room))
}

/// The tag right behind a pointer, if it is one of the type and not of an attribute.
fn plain_tag<'b>(ptr: &Type<'b>) -> Option<Type<'b>> {
    ptr.target()
        .filter(|tag| tag.kind() == Kind::TypeTag && !tag.kind_flag())
}

/// Repeats what was found from `start` on for every element of an array.
fn repeat(out: &mut Vec<Found>, start: usize, count: u32, stride: u32) -> Result<(), Errno> {
    let once = out.len().saturating_sub(start);
    if once != 0 && count > 1 {
        let mut first = out.iter().skip(start);
        if !first.all(|found| found.field.kind.repeats()) {
            return Err(Errno::EINVAL);
        }
    }
    let all = once.saturating_mul(usize::try_from(count).unwrap_or(usize::MAX));
    if once != 0 && all.saturating_add(start) > FIELDS_MAX {
        return Err(Errno::E2BIG);
    }
    for index in 1..if once == 0 { 1 } else { count } {
        for inner in 0..once {
            let Some(found) = out.get(start + inner) else {
                continue;
            };
            let mut field = found.field;
            let at = found.at;
            field.offset = field.offset.saturating_add(index.saturating_mul(stride));
            out.push(Found { field, at });
        }
    }
    Ok(())
}

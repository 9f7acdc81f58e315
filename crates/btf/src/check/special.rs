//! Structures that hold the kernel's own fields (locks, list heads, tree nodes): each must be
//! one that a program could allocate. Linux objects to them with an errno alone.

use std::collections::HashMap;

use skep_abi::Errno;

use super::records::{Record, Records};
use crate::kind::Kind;

/// The most special fields of a structure.
const FIELDS_MAX: usize = 11;
/// How deep fields are looked for in structures inside structures.
const DEPTH_MAX: u32 = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Special {
    Lock,
    ListHead,
    ListNode,
    TreeRoot,
    TreeNode,
    Count,
    Pointer,
}

/// Name, meaning, size and alignment in bytes.
const FIELDS: [(&[u8], Special, u32, u32); 6] = [
    (b"bpf_spin_lock", Special::Lock, 4, 4),
    (b"bpf_list_head", Special::ListHead, 16, 8),
    (b"bpf_list_node", Special::ListNode, 24, 8),
    (b"bpf_rb_root", Special::TreeRoot, 16, 8),
    (b"bpf_rb_node", Special::TreeNode, 32, 8),
    (b"bpf_refcount", Special::Count, 4, 4),
];

/// A special field of a structure.
struct Field {
    what: Special,
    /// For a head or root: the structure that it holds.
    holds: Option<u32>,
}

/// Checks every structure that directly holds a special field.
pub(super) fn check(records: &Records<'_>) -> Result<(), Errno> {
    let Some(types) = Types::of(records) else {
        return Ok(());
    };
    let mut found: Vec<(u32, Vec<Field>)> = Vec::new();
    for id in 1..records.count() {
        let ty = records.get(id).filter(|ty| ty.kind == Kind::Struct);
        let Some(ty) = ty.filter(|ty| types.is_special(ty)) else {
            continue;
        };
        let mut fields = Vec::new();
        types.collect(&ty, 0, &mut fields)?;
        allocatable(&fields)?;
        found.push((id, fields));
    }
    let is_root = |field: &Field| field.holds.is_some();
    let of = |id: u32| {
        let at = found.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        found.get(at).map(|(_, fields)| fields)
    };
    for (_, fields) in &found {
        let is_node = |f: &Field| matches!(f.what, Special::ListNode | Special::TreeNode);
        if !fields.iter().any(is_node) {
            continue;
        }
        // What is held and holds others may only hold what holds nothing.
        let mut held = fields.iter().filter_map(|field| field.holds);
        if held.any(|id| of(id).is_some_and(|fields| fields.iter().any(is_root))) {
            return Err(Errno::ELOOP);
        }
    }
    Ok(())
}

/// Whether the fields of a structure make sense together.
fn allocatable(fields: &[Field]) -> Result<(), Errno> {
    let has = |what| fields.iter().any(|field| field.what == what);
    if fields.is_empty() {
        return Err(Errno::EFAULT);
    }
    let without_lock = (has(Special::ListHead) || has(Special::TreeRoot)) && !has(Special::Lock);
    let without_count = has(Special::ListNode) && has(Special::TreeNode) && !has(Special::Count);
    if without_lock || without_count {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

struct Types<'r, 'a> {
    records: &'r Records<'a>,
    /// The first structure of each special name.
    first: Vec<u32>,
    /// The tags of members, by structure and member.
    tags: HashMap<(u32, u32), Vec<&'a [u8]>>,
    /// The first structure of each name.
    structs: HashMap<&'a [u8], u32>,
}

impl<'r, 'a> Types<'r, 'a> {
    /// `None` when the blob has no structure of such a name.
    fn of(records: &'r Records<'a>) -> Option<Types<'r, 'a>> {
        let mut structs = HashMap::new();
        let mut tags: HashMap<(u32, u32), Vec<&[u8]>> = HashMap::new();
        let all = || (1..records.count()).filter_map(|id| records.get(id));
        for ty in all().filter(|ty| ty.kind == Kind::Struct) {
            structs.entry(records.name(ty.name)).or_insert(ty.id);
        }
        let first: Vec<u32> = FIELDS
            .iter()
            .filter_map(|(name, ..)| structs.get(name).copied())
            .collect();
        if first.is_empty() {
            return None;
        }
        for ty in all().filter(|ty| ty.kind == Kind::DeclTag) {
            let on = (ty.size_or_type, ty.word(0));
            tags.entry(on).or_default().push(records.name(ty.name));
        }
        Some(Types {
            records,
            first,
            tags,
            structs,
        })
    }

    fn is_special(&self, ty: &Record<'_>) -> bool {
        let mut members = (0..ty.vlen() as usize).map(|index| ty.variable(index));
        members.any(|[_, member, _]| self.first.contains(&member))
    }

    /// The special fields of a structure and of those in it.
    fn collect(&self, ty: &Record<'a>, depth: u32, out: &mut Vec<Field>) -> Result<(), Errno> {
        let mut locked = false;
        for index in 0..ty.vlen() {
            let [_, id, place] = ty.variable(index as usize);
            let at = if ty.flag() {
                place & 0x00ff_ffff
            } else {
                place
            };
            // Linux has no bit fields beside special fields.
            if at % 8 != 0 {
                return Err(Errno::EINVAL);
            }
            let Some(target) = self.behind_arrays(id) else {
                continue;
            };
            match target.kind {
                Kind::Struct => {
                    let name = self.records.name(target.name);
                    let Some(row) = FIELDS.iter().find(|(field, ..)| *field == name) else {
                        if depth < DEPTH_MAX {
                            self.collect(&target, depth + 1, out)?;
                        }
                        continue;
                    };
                    let (_, what, size, align) = *row;
                    if target.size_or_type != size || at % (8 * align) != 0 {
                        continue;
                    }
                    let again = what == Special::Lock && core::mem::replace(&mut locked, true);
                    let root = matches!(what, Special::ListHead | Special::TreeRoot);
                    if again {
                        return Err(Errno::E2BIG);
                    }
                    if target.id != id
                        && self.records.get(id).is_some_and(|t| t.kind == Kind::Array)
                    {
                        return Err(Errno::EINVAL);
                    }
                    let holds = match root {
                        true => Some(self.held(ty.id, index, what)?),
                        false => None,
                    };
                    out.push(Field { what, holds });
                }
                Kind::Ptr if self.is_kernel_pointer(&target)? => out.push(Field {
                    what: Special::Pointer,
                    holds: None,
                }),
                _ => {}
            }
            if out.len() > FIELDS_MAX {
                return Err(Errno::E2BIG);
            }
        }
        Ok(())
    }

    /// A type, or what an array of arrays of it is made of.
    fn behind_arrays(&self, mut id: u32) -> Option<Record<'a>> {
        for _ in 0..32 {
            let ty = self.records.get(id)?;
            let adorned = ty.kind.is_modifier() || ty.kind == Kind::Typedef;
            id = match ty.kind {
                Kind::Array => ty.word(0),
                _ if adorned => ty.size_or_type,
                _ => return Some(ty),
            };
        }
        None
    }

    /// Whether a tag makes a pointer one that Linux keeps count of.
    fn is_kernel_pointer(&self, ptr: &Record<'a>) -> Result<bool, Errno> {
        let tag = self.records.get(ptr.size_or_type);
        let Some(tag) = tag.filter(|tag| tag.kind == Kind::TypeTag && !tag.flag()) else {
            return Ok(false);
        };
        match self.records.name(tag.name) {
            b"kptr" | b"kptr_untrusted" | b"percpu_kptr" => {}
            b"uptr" => return Ok(false),
            _ => return Err(Errno::EINVAL),
        }
        let target = self.behind_arrays(tag.size_or_type);
        match target.map(|target| target.kind) {
            Some(Kind::Struct) => Ok(true),
            _ => Err(Errno::EINVAL),
        }
    }

    /// What a head or root holds, as its one tag `contains:type:member` says.
    fn held(&self, owner: u32, member: u32, what: Special) -> Result<u32, Errno> {
        let tags = self.tags.get(&(owner, member));
        let mut tags = tags
            .into_iter()
            .flatten()
            .filter_map(|tag| tag.strip_prefix(b"contains:"));
        let (Some(value), None) = (tags.next(), tags.next()) else {
            return Err(Errno::EINVAL);
        };
        let colon = value.iter().position(|byte| *byte == b':');
        let (name, rest) = value.split_at(colon.ok_or(Errno::EINVAL)?);
        let field = rest.get(1..).unwrap_or(&[]);
        let id = *self.structs.get(name).ok_or(Errno::ENOENT)?;
        let ty = self.records.get(id).ok_or(Errno::ENOENT)?;
        let members = (0..ty.vlen() as usize).map(|index| ty.variable(index));
        let mut named = members.filter(|[name, ..]| self.records.name(*name) == field);
        let [_, node, place] = named.next().ok_or(Errno::ENOENT)?;
        let node = self.records.get(node).ok_or(Errno::EINVAL)?;
        let wanted = if what == Special::ListHead {
            Special::ListNode
        } else {
            Special::TreeNode
        };
        let row = FIELDS.iter().find(|(_, special, ..)| *special == wanted);
        let fits = row.is_some_and(|(name, _, size, align)| {
            node.kind == Kind::Struct
                && self.records.name(node.name) == *name
                && node.size_or_type == *size
                && place & 0x00ff_ffff & (8 * align - 1) == 0
        });
        if fits { Ok(id) } else { Err(Errno::EINVAL) }
    }
}

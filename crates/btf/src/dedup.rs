//! Which types of a blob are the same, and the blob with each of them once.
//!
//! Types are the same when nothing that they say, however far references lead, tells them
//! apart. So all of one shape begin as one class, and a class is split as long as its members
//! refer to different classes. Circles of references need no care that way.

use std::collections::HashMap;

use crate::blob::Btf;
use crate::builder::Builder;
use crate::hash::Fast;
use crate::kind::{Kind, TypeId};
use crate::view::Type;

/// How often, on average, a type may be looked at before all that is left undecided counts
/// as different. Compilers' types need a handful.
const LOOKS: usize = 64;

/// A blob without repetitions, and what became of each type.
#[derive(Clone, Debug)]
pub struct Deduped {
    /// The blob.
    pub raw: Vec<u8>,
    ids: Vec<TypeId>,
}

impl Deduped {
    /// The id of a type in the new blob.
    pub fn id(&self, old: TypeId) -> TypeId {
        self.ids
            .get(old.0 as usize)
            .copied()
            .unwrap_or(TypeId::VOID)
    }
}

/// Joins types that are the same. Variables and sections stay as they are; a structure that
/// is only declared becomes the one of that name that is defined, if all of that name agree.
/// `same` names types to be taken for others (a declaration for its definition).
///
/// Cost: near linear. The ids of what is kept keep their order.
pub fn dedup(btf: &Btf, same: &HashMap<TypeId, TypeId>) -> Deduped {
    let first = btf.first_id().0;
    let mut graph = Graph::of(btf, same);
    graph.refine();
    let mut representatives: HashMap<u32, TypeId, Fast> = HashMap::default();
    let mut builder = Builder::new();
    if let Some(base) = btf.base() {
        builder = Builder::on(base);
    }
    let mut ids: Vec<TypeId> = (0..btf.type_count()).map(TypeId).collect();
    let mut kept = Vec::new();
    let mut next = first;
    for ty in btf.types() {
        let at = graph.target(ty.id());
        let class = graph.class(at);
        let id = *representatives.entry(class).or_insert_with(|| {
            let id = TypeId(next);
            next += 1;
            kept.push(at);
            id
        });
        if let Some(place) = ids.get_mut(ty.id().0 as usize) {
            *place = id;
        }
    }
    let mut moved = vec![UNKNOWN; btf.string_end() as usize];
    for id in kept {
        if let Some(ty) = btf.type_by_id(id) {
            let id_of = |id: TypeId| ids.get(id.0 as usize).copied().unwrap_or(id);
            builder.copy_with(&ty, id_of, |builder, offset| {
                let Some(slot) = moved.get_mut(offset as usize) else {
                    return 0;
                };
                if *slot == UNKNOWN {
                    *slot = builder.string(btf.string(offset).unwrap_or(""));
                }
                *slot
            });
        }
    }
    Deduped {
        raw: builder.finish(),
        ids,
    }
}

/// Types and what they refer to.
struct Graph {
    first: u32,
    classes: Vec<u32>,
    /// What each type is taken for.
    targets: Vec<TypeId>,
    /// The references of all types, and where each type's begin.
    refs: Vec<TypeId>,
    starts: Vec<u32>,
}

impl Graph {
    fn of(btf: &Btf, same: &HashMap<TypeId, TypeId>) -> Graph {
        let first = btf.first_id().0;
        let mut shapes: HashMap<Box<[u32]>, u32, Fast> = HashMap::default();
        let mut texts = Texts::of(btf);
        let mut words = Vec::new();
        let mut classes: Vec<u32> = (0..first).collect();
        let mut targets: Vec<TypeId> = (0..btf.type_count()).map(TypeId).collect();
        // For each structure's name, one of that name, unless they differ.
        let mut defined: HashMap<(&str, bool), Option<(u32, TypeId)>, Fast> = HashMap::default();
        for (ty, next) in btf.types().zip(first..) {
            let alone = matches!(ty.kind(), Kind::Var | Kind::DataSec);
            let class = if alone {
                next
            } else {
                shape(&ty, &mut texts, &mut words);
                match shapes.get(words.as_slice()) {
                    Some(class) => *class,
                    None => {
                        shapes.insert(words.as_slice().into(), next);
                        next
                    }
                }
            };
            classes.push(class);
            if ty.kind().is_composite() && !ty.name().is_empty() {
                let key = (ty.name(), ty.kind() == Kind::Union);
                let slot = defined.entry(key).or_insert(Some((class, ty.id())));
                if slot.is_some_and(|(other, _)| other != class) {
                    *slot = None;
                }
            }
        }
        for ty in btf.types().filter(|ty| ty.kind() == Kind::Fwd) {
            if let Some(Some((_, id))) = defined.get(&(ty.name(), ty.kind_flag()))
                && let Some(place) = targets.get_mut(ty.id().0 as usize)
            {
                *place = *id;
            }
        }
        for (from, to) in same {
            if let Some(place) = targets.get_mut(from.0 as usize) {
                *place = *to;
            }
        }
        let mut graph = Graph {
            first,
            classes,
            targets,
            refs: Vec::new(),
            starts: Vec::new(),
        };
        for ty in btf.types() {
            graph.starts.push(graph.refs.len() as u32);
            // The error type is empty: nothing can fail.
            let _ = ty.each_reference(|_, id| {
                graph.refs.push(TypeId(id));
                Ok::<(), core::convert::Infallible>(())
            });
        }
        graph.starts.push(graph.refs.len() as u32);
        for place in &mut graph.refs {
            *place = graph
                .targets
                .get(place.0 as usize)
                .copied()
                .unwrap_or(*place);
        }
        graph
    }

    fn target(&self, id: TypeId) -> TypeId {
        self.targets.get(id.0 as usize).copied().unwrap_or(id)
    }

    fn class(&self, id: TypeId) -> u32 {
        self.classes.get(id.0 as usize).copied().unwrap_or(id.0)
    }

    fn refs_of(&self, own: usize) -> &[TypeId] {
        let at = |own: usize| self.starts.get(own).copied().unwrap_or(0) as usize;
        self.refs.get(at(own)..at(own + 1)).unwrap_or(&[])
    }

    /// Splits classes until all members of each refer to the same classes.
    fn refine(&mut self) {
        let count = self.starts.len().saturating_sub(1);
        let users = self.users(count);
        let mut dirty: Vec<u32> = (0..count as u32).collect();
        let mut sizes: HashMap<u32, u32, Fast> = HashMap::default();
        for own in 0..count {
            let class = self.class(TypeId(self.first + own as u32));
            *sizes.entry(class).or_default() += 1;
        }
        let mut next = self.first + count as u32;
        let mut looks = count.saturating_mul(LOOKS).max(1 << 12);
        while !dirty.is_empty() {
            looks = match looks.checked_sub(dirty.len()) {
                Some(left) => left,
                None => return self.give_up(count),
            };
            let groups = self.grouped(&dirty, &sizes);
            let mut changed = Vec::new();
            for group in groups.chunk_by(|a, b| a.class == b.class) {
                let Some(class) = group.first().map(|member| member.class) else {
                    continue;
                };
                let size = sizes.get(&class).copied().unwrap_or(0);
                let mut parts: Vec<&[Member]> = group.chunk_by(|a, b| a.part == b.part).collect();
                // Those whose references did not change stay; if all did, the largest part.
                if group.len() == size as usize {
                    let largest = (0..parts.len()).max_by_key(|at| parts.get(*at).map(|p| p.len()));
                    if let Some(at) = largest {
                        parts.swap_remove(at);
                    }
                }
                for part in parts {
                    let moved = part.len() as u32;
                    for member in part {
                        if let Some(place) =
                            self.classes.get_mut((self.first + member.own) as usize)
                        {
                            *place = next;
                        }
                    }
                    *sizes.entry(class).or_default() -= moved;
                    sizes.insert(next, moved);
                    next += 1;
                    changed.extend(part.iter().map(|member| member.own));
                }
            }
            dirty = changed
                .iter()
                .flat_map(|own| users.of(*own as usize))
                .copied()
                .collect();
            dirty.sort_unstable();
            dirty.dedup();
        }
    }

    /// The types of classes that may have to be split, sorted by class, then by the classes
    /// that they refer to, which `part` numbers.
    fn grouped(&self, dirty: &[u32], sizes: &HashMap<u32, u32, Fast>) -> Vec<Member> {
        let mut signatures: Vec<u32> = Vec::new();
        let mut numbers: HashMap<Box<[u32]>, u32, Fast> = HashMap::default();
        let mut members = Vec::new();
        for own in dirty {
            let class = self.class(TypeId(self.first + own));
            if sizes.get(&class).is_none_or(|size| *size < 2) {
                continue;
            }
            signatures.clear();
            let refs = self.refs_of(*own as usize);
            signatures.extend(refs.iter().map(|id| self.class(*id)));
            let next = numbers.len() as u32;
            let part = match numbers.get(signatures.as_slice()) {
                Some(part) => *part,
                None => {
                    numbers.insert(signatures.as_slice().into(), next);
                    next
                }
            };
            let own = *own;
            members.push(Member { class, part, own });
        }
        members.sort_unstable();
        members
    }

    /// Takes every type for itself, which is never wrong.
    fn give_up(&mut self, count: usize) {
        for own in 0..count as u32 {
            if let Some(place) = self.classes.get_mut((self.first + own) as usize) {
                *place = self.first + own;
            }
        }
    }

    /// Who refers to each type.
    fn users(&self, count: usize) -> Users {
        let own = |id: TypeId| id.0.checked_sub(self.first).map(|own| own as usize);
        let mut starts = vec![0u32; count + 1];
        for id in &self.refs {
            if let Some(place) = own(*id).and_then(|own| starts.get_mut(own)) {
                *place += 1;
            }
        }
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        let mut list = vec![0u32; total as usize];
        for user in 0..count {
            for id in self.refs_of(user) {
                if let Some(start) = own(*id).and_then(|own| starts.get_mut(own)) {
                    *start -= 1;
                    if let Some(place) = list.get_mut(*start as usize) {
                        *place = user as u32;
                    }
                }
            }
        }
        Users { starts, list }
    }
}

/// A type whose class may be split: by the number of what it refers to.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    class: u32,
    part: u32,
    own: u32,
}

struct Users {
    starts: Vec<u32>,
    list: Vec<u32>,
}

impl Users {
    fn of(&self, own: usize) -> &[u32] {
        let at = |own: usize| self.starts.get(own).copied().unwrap_or(0) as usize;
        self.list.get(at(own)..at(own + 1)).unwrap_or(&[])
    }
}

/// Names as numbers: the same for the same text, wherever it stands among the strings.
struct Texts<'a> {
    btf: &'a Btf,
    known: HashMap<&'a str, u32, Fast>,
    /// By offset; [`UNKNOWN`] while nobody asked.
    by_offset: Vec<u32>,
}

const UNKNOWN: u32 = u32::MAX;

impl<'a> Texts<'a> {
    fn of(btf: &'a Btf) -> Texts<'a> {
        Texts {
            btf,
            known: HashMap::default(),
            by_offset: vec![UNKNOWN; btf.string_end() as usize],
        }
    }

    fn number(&mut self, offset: u32) -> u32 {
        let slot = self.by_offset.get_mut(offset as usize);
        if let Some(number) = slot.as_ref().filter(|number| ***number != UNKNOWN) {
            return **number;
        }
        let next = self.known.len() as u32;
        let text = self.btf.string(offset).unwrap_or("");
        let number = *self.known.entry(text).or_insert(next);
        if let Some(slot) = slot {
            *slot = number;
        }
        number
    }
}

/// Writes into `words` what a type says without its references.
fn shape(ty: &Type<'_>, texts: &mut Texts<'_>, words: &mut Vec<u32>) {
    words.clear();
    words.extend([0, ty.info(), ty.size_or_type()]);
    let extra = ty.extra().chunks_exact(4);
    words.extend(extra.filter_map(|c| Some(u32::from_le_bytes(c.try_into().ok()?))));
    let mut put = |at: usize, word: u32| {
        if let Some(place) = words.get_mut(at) {
            *place = word;
        }
    };
    let never = |_: core::convert::Infallible| ();
    let _ = ty
        .each_reference(|at, _| {
            put(at, 0);
            Ok(())
        })
        .map_err(never);
    let _ = ty
        .each_name(|at, name| {
            put(at, texts.number(name));
            Ok(())
        })
        .map_err(never);
}

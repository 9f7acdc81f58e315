//! The classes of types that nothing tells apart.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use crate::blob::Btf;
use crate::hash::Fast;
use crate::kind::{Kind, TypeId};

use super::texts::Texts;
use super::words;

/// How often colours are made of colours before classes are looked at: most types are told
/// apart by what is at most so many references away.
const ROUNDS: usize = 4;
/// How often, on average, a type may be looked at before all that is left undecided counts
/// as different. Compilers' types need a handful.
const LOOKS: usize = 64;

/// Types and what they refer to.
pub(super) struct Graph {
    first: u32,
    classes: Vec<u32>,
    /// What each type is taken for.
    targets: Vec<TypeId>,
    /// The references of all types, and where each type's begin.
    refs: Vec<TypeId>,
    starts: Vec<u32>,
    hasher: Fast,
}

impl Graph {
    pub(super) fn of(btf: &Btf, same: &HashMap<TypeId, TypeId>, texts: &mut Texts<'_>) -> Graph {
        let first = btf.first_id().0;
        let hasher = Fast::default();
        let count = (btf.type_count() - first) as usize;
        let mut colours: Vec<u64> = Vec::with_capacity(btf.type_count() as usize);
        colours.extend((0..first).map(|id| hasher.hash_one((u64::MAX, id))));
        let mut refs = Vec::with_capacity(count * 3);
        let mut starts = Vec::with_capacity(count + 1);
        let mut forwards = Vec::new();
        // For each structure's name, one of that name, unless they differ.
        let mut defined: HashMap<(u32, bool), Option<(u64, TypeId)>, Fast> = HashMap::default();
        for ty in btf.types() {
            let kind = ty.kind();
            let mut state = hasher.build_hasher();
            if matches!(kind, Kind::Var | Kind::DataSec) {
                // Alone, whatever it says.
                state.write_u64(u64::MAX);
                state.write_u32(ty.id().0);
            } else {
                words(&ty, texts, |word| state.write_u32(word));
            }
            let colour = state.finish();
            colours.push(colour);
            starts.push(refs.len() as u32);
            // The error type is empty: nothing can fail.
            let _ = ty.each_reference(|_, id| {
                refs.push(TypeId(id));
                Ok::<(), core::convert::Infallible>(())
            });
            if kind == Kind::Fwd {
                forwards.push(ty.id());
            } else if kind.is_composite() && !ty.name_bytes().is_empty() {
                let key = (texts.number(ty.name_off()), kind == Kind::Union);
                let slot = defined.entry(key).or_insert(Some((colour, ty.id())));
                if slot.is_some_and(|(other, _)| other != colour) {
                    *slot = None;
                }
            }
        }
        starts.push(refs.len() as u32);
        let mut targets: Vec<TypeId> = (0..btf.type_count()).map(TypeId).collect();
        for ty in forwards.iter().filter_map(|id| btf.type_by_id(*id)) {
            let key = (texts.number(ty.name_off()), ty.kind_flag());
            if let Some(Some((_, id))) = defined.get(&key)
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
        if !forwards.is_empty() || !same.is_empty() {
            for place in &mut refs {
                *place = targets.get(place.0 as usize).copied().unwrap_or(*place);
            }
        }
        let mut graph = Graph {
            first,
            classes: Vec::new(),
            targets,
            refs,
            starts,
            hasher,
        };
        for _ in 0..ROUNDS {
            colours = graph.mixed(&colours);
        }
        graph.classes = graph.by_colour(&colours);
        graph
    }

    /// How many types there are, the base's not counted.
    pub(super) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    pub(super) fn target(&self, id: TypeId) -> TypeId {
        self.targets.get(id.0 as usize).copied().unwrap_or(id)
    }

    pub(super) fn class(&self, id: TypeId) -> u32 {
        self.classes.get(id.0 as usize).copied().unwrap_or(id.0)
    }

    fn refs_of(&self, own: usize) -> &[TypeId] {
        let at = |own: usize| self.starts.get(own).copied().unwrap_or(0) as usize;
        self.refs.get(at(own)..at(own + 1)).unwrap_or(&[])
    }

    /// Each type's colour with those that it refers to.
    fn mixed(&self, colours: &[u64]) -> Vec<u64> {
        let (base, own) = colours
            .split_at_checked(self.first as usize)
            .unwrap_or((colours, &[]));
        let mut mixed = Vec::with_capacity(colours.len());
        mixed.extend_from_slice(base);
        mixed.extend(own.iter().enumerate().map(|(own, colour)| {
            let refs = self.refs_of(own);
            if refs.is_empty() {
                return *colour;
            }
            let mut state = self.hasher.build_hasher();
            state.write_u64(*colour);
            for id in refs {
                state.write_u64(colours.get(id.0 as usize).copied().unwrap_or(0));
            }
            state.finish()
        }));
        mixed
    }

    /// The first type of each colour, as the class of all of it.
    fn by_colour(&self, colours: &[u64]) -> Vec<u32> {
        let mut firsts: HashMap<u64, u32, Fast> =
            HashMap::with_capacity_and_hasher(colours.len() / 2, Fast::default());
        let numbered = colours.iter().zip(0..);
        numbered
            .map(|(colour, id)| match id < self.first {
                true => id,
                false => *firsts.entry(*colour).or_insert(id),
            })
            .collect()
    }

    /// Splits classes until all members of each say the same and refer to the same classes.
    pub(super) fn refine(&mut self, btf: &Btf, texts: &mut Texts<'_>) {
        let dirty = self.unlike(btf, texts);
        if !dirty.is_empty() {
            self.split(dirty);
        }
    }

    /// The members of classes in which not all refer to the same classes. A type that does not
    /// even say the same, of the same colour by chance, becomes a class of its own.
    fn unlike(&mut self, btf: &Btf, texts: &mut Texts<'_>) -> Vec<u32> {
        let mut unlike: Vec<bool> = Vec::new();
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        for own in 0..self.len() as u32 {
            let id = self.first + own;
            let class = self.class(TypeId(id));
            let Some(leader) = class
                .checked_sub(self.first)
                .filter(|leader| *leader != own)
            else {
                continue;
            };
            let (a, b) = (btf.type_by_id(id), btf.type_by_id(class));
            let (Some(a), Some(b)) = (a, b) else { continue };
            // Records of the same bytes say the same.
            let same = (a.name_off(), a.info()) == (b.name_off(), b.info())
                && (a.kind().has_type() || a.size_or_type() == b.size_or_type())
                && a.extra() == b.extra();
            if !same {
                mine.clear();
                theirs.clear();
                words(&a, texts, |word| mine.push(word));
                words(&b, texts, |word| theirs.push(word));
                if mine != theirs {
                    if let Some(place) = self.classes.get_mut(id as usize) {
                        *place = id;
                    }
                    continue;
                }
            }
            let (a, b) = (self.refs_of(own as usize), self.refs_of(leader as usize));
            let class_of = |id: &TypeId| self.class(*id);
            if !a.iter().map(class_of).eq(b.iter().map(class_of)) {
                unlike.resize(self.len(), false);
                if let Some(place) = unlike.get_mut(leader as usize) {
                    *place = true;
                }
            }
        }
        let all = 0..self.len() as u32;
        let is_unlike = |own: &u32| {
            let leader = self.class(TypeId(self.first + own)).checked_sub(self.first);
            leader.is_some_and(|leader| unlike.get(leader as usize).copied() == Some(true))
        };
        if unlike.is_empty() {
            return Vec::new();
        }
        all.filter(is_unlike).collect()
    }

    /// Splits the classes of `dirty`, and then those of what refers to what was split.
    fn split(&mut self, mut dirty: Vec<u32>) {
        let count = self.len();
        let users = self.users(count);
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

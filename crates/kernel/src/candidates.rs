//! The types of the kernel and its modules that relocations were about, as they are kept from
//! one load to the next.
//!
//! Linux keeps them by name in two tables without chains: a name takes the place of another one
//! that has the same number. Which kind was looked for is not asked again, so that a type may
//! not be found because another kind was looked for by its name.

use std::sync::{Arc, Mutex, PoisonError};

use skep_btf::relo::Flavours;
use skep_btf::{Btf, Kind, TypeId};
use skep_verifier::Candidates;

/// The places of a table (`VMLINUX_CAND_CACHE_SIZE` and `MODULE_CAND_CACHE_SIZE`).
const PLACES: usize = 31;

/// What is kept.
#[derive(Default)]
pub(crate) struct CandidateCache(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    kernel: Table,
    modules: Table,
    /// The flavours of the kernel's types, and of each module's.
    flavours: Vec<Flavours>,
}

#[derive(Default)]
struct Table([Option<Kept>; PLACES]);

struct Kept {
    name: String,
    found: Candidates,
}

impl Table {
    fn get(&self, name: &str) -> Option<&Candidates> {
        let kept = self.0.get(place(name))?.as_ref()?;
        (kept.name == name).then_some(&kept.found)
    }

    fn keep(&mut self, name: &str, found: Candidates) -> Candidates {
        if let Some(place) = self.0.get_mut(place(name)) {
            *place = Some(Kept {
                name: name.to_string(),
                found: found.clone(),
            });
        }
        found
    }

    /// As the log shows it.
    fn text(&self) -> String {
        let kept = self.0.iter().enumerate();
        kept.filter_map(|(place, kept)| Some((place, kept.as_ref()?)))
            .map(|(place, kept)| {
                let ids = kept.found.places.iter().map(|(_, id)| id.0.to_string());
                let ids: Vec<String> = ids.collect();
                format!("[{place}]{}({}), ", kept.name, ids.join(" "))
            })
            .collect()
    }
}

impl CandidateCache {
    /// The types of a name; `kind` is looked for where the name is not kept. Modules are asked
    /// where the kernel proper has none.
    pub(crate) fn find(
        &self,
        kernel: &Arc<Btf>,
        modules: &[Arc<Btf>],
        name: &str,
        kind: Kind,
    ) -> Candidates {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.flavours.is_empty() {
            let blobs = std::iter::once(kernel).chain(modules);
            tables.flavours = blobs.map(|btf| Flavours::of(btf)).collect();
        }
        let Tables {
            kernel: table,
            modules: module_table,
            flavours,
        } = &mut *tables;
        let search = |blobs: &[Arc<Btf>], flavours: &[Flavours]| Candidates {
            kind,
            places: (blobs.iter().zip(flavours))
                .flat_map(|(btf, flavours)| {
                    let ids: Vec<TypeId> = flavours.candidates(btf, name, |other| other == kind);
                    ids.into_iter().map(|id| (Arc::clone(btf), id))
                })
                .collect(),
        };
        let (own, others) = flavours.split_at(flavours.len().min(1));
        let found = match table.get(name) {
            Some(found) => found.clone(),
            None => table.keep(name, search(std::slice::from_ref(kernel), own)),
        };
        if !found.places.is_empty() {
            return found;
        }
        match module_table.get(name) {
            Some(found) => found.clone(),
            None => module_table.keep(name, search(modules, others)),
        }
    }

    /// What is kept, as the log shows it: of the kernel, and of its modules.
    pub(crate) fn text(&self) -> [String; 2] {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        [tables.kernel.text(), tables.modules.text()]
    }
}

/// The place of a name: Bob Jenkins's hash (lookup3, in the public domain) of its bytes.
fn place(name: &str) -> usize {
    /// What the three words begin with, before the length is added.
    const BEGIN: u32 = 0xdead_beef;
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
    let mut words = [BEGIN.wrapping_add(length); 3];
    let mut rest = name.as_bytes();
    while rest.len() > 12 {
        let (now, later) = rest.split_at(12);
        add(&mut words, now);
        mix(&mut words);
        rest = later;
    }
    if !rest.is_empty() {
        add(&mut words, rest);
        finish(&mut words);
    }
    let [_, _, hash] = words;
    hash as usize % PLACES
}

/// Adds up to twelve bytes to the words.
fn add(words: &mut [u32; 3], bytes: &[u8]) {
    for (word, bytes) in words.iter_mut().zip(bytes.chunks(4)) {
        let mut four = [0; 4];
        for (to, from) in four.iter_mut().zip(bytes) {
            *to = *from;
        }
        *word = word.wrapping_add(u32::from_le_bytes(four));
    }
}

fn mix([a, b, c]: &mut [u32; 3]) {
    let step = |x: &mut u32, y: &mut u32, z: &mut u32, bits: u32| {
        *x = x.wrapping_sub(*z) ^ z.rotate_left(bits);
        *z = z.wrapping_add(*y);
    };
    step(a, b, c, 4);
    step(b, c, a, 6);
    step(c, a, b, 8);
    step(a, b, c, 16);
    step(b, c, a, 19);
    step(c, a, b, 4);
}

fn finish([a, b, c]: &mut [u32; 3]) {
    let step = |x: &mut u32, y: u32, bits: u32| {
        *x = (*x ^ y).wrapping_sub(y.rotate_left(bits));
    };
    step(c, *b, 14);
    step(a, *c, 11);
    step(b, *a, 25);
    step(c, *b, 16);
    step(a, *c, 4);
    step(b, *a, 14);
    step(c, *b, 24);
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn names_lie_where_linux_has_them() {
        let check = |name: &str, expected| assert_eq!(place(name), expected, "{name}");
        check("sk_buff", 0);
        check("task_struct", 24);
        check("unsigned int", 2);
        check("bpf_perf_event_data", 1);
        check("unsigned long long", 26);
        check("bpf_iter__bpf_map", 12);
        check("nf_conntrack_nat_helper", 26);
        check("st", 23);
        check("int", 29);
    }
}

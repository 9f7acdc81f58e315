//! Finding types by name without walking them all: a hash table over the ids, built on demand.

use crate::blob::Btf;
use crate::kind::TypeId;

/// Chains of type ids by the hash of their name.
#[derive(Clone, Debug)]
pub(crate) struct NameIndex {
    /// For each bucket, the first entry of its chain plus one.
    heads: Vec<u32>,
    /// For each own type, the next entry of its chain plus one.
    next: Vec<u32>,
    first_id: u32,
}

impl NameIndex {
    /// Indexes the named types that `btf` itself defines. Linear.
    pub(crate) fn build(btf: &Btf) -> NameIndex {
        let first_id = btf.first_id().0;
        let count = (btf.type_count() - first_id) as usize;
        let mut heads = vec![0u32; count.next_power_of_two().max(1)];
        let mut next = vec![0u32; count];
        let mask = heads.len() - 1;
        // Going backwards makes each chain ascend, so the lowest id is found first.
        for ty in (0..count as u32)
            .rev()
            .filter_map(|own| btf.type_by_id(first_id + own))
        {
            let name = ty.name();
            if name.is_empty() {
                continue;
            }
            let own = ty.id().0 - first_id;
            if let (Some(head), Some(next)) = (
                heads.get_mut(hash(name) as usize & mask),
                next.get_mut(own as usize),
            ) {
                *next = *head;
                *head = own + 1;
            }
        }
        NameIndex {
            heads,
            next,
            first_id,
        }
    }

    /// The ids whose name has the same hash as `name`, ascending; compare the names.
    pub(crate) fn candidates(&self, name: &str) -> impl Iterator<Item = TypeId> + '_ {
        let bucket = hash(name) as usize & (self.heads.len() - 1);
        let mut entry = self.heads.get(bucket).copied().unwrap_or(0);
        core::iter::from_fn(move || {
            let own = entry.checked_sub(1)?;
            entry = self.next.get(own as usize).copied().unwrap_or(0);
            Some(TypeId(self.first_id + own))
        })
    }
}

/// FNV-1a: short keys, no attacker-chosen cost beyond a longer chain.
fn hash(name: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^ (hash >> 32)
}

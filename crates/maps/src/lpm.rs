//! Longest prefix match: keys are prefixes of bits, a lookup finds the longest that fits.
//!
//! Writers keep all prefixes in one ordered map, whose order is the one Linux walks: a prefix
//! comes after the longer ones it covers, and the bit 0 before the bit 1. Lookups go through
//! a trie beside it, without a lock.

mod prefix;
mod trie;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use skep_abi::{ElemFlags, Errno};

use crate::ledger::Ledger;
use crate::reclaim::Reclaim;
use crate::value::Shape;
use prefix::{Data, Prefix};
use trie::{Key, Leaf, Trie};

pub(crate) struct Lpm {
    data_size: usize,
    capacity: usize,
    trie: Trie,
    pub(crate) shape: Shape,
    nodes: RwLock<Nodes>,
    grace: Arc<Reclaim>,
}

/// One prefix of the trie.
struct Node {
    leaf: Leaf,
    /// The data as it was given: walks show also the bits beyond the prefix.
    data: Data,
}

#[derive(Default)]
struct Nodes {
    by_prefix: BTreeMap<Prefix, Node>,
    /// How many prefixes there are of each length.
    lengths: Vec<u32>,
    /// Leaves that are out of the trie and wait to be given back together: a grace period
    /// costs more than all that is done to one.
    gone: Vec<u64>,
}

/// So many leaves wait at most.
const GONE: usize = 64;

impl Lpm {
    pub(crate) fn new(
        key_size: u32,
        shape: Shape,
        entries: u32,
        grace: Arc<Reclaim>,
        ledger: &Arc<Ledger>,
    ) -> Result<Lpm, Errno> {
        let data_size = key_size.saturating_sub(4) as usize;
        let nodes = Nodes {
            lengths: vec![0; data_size * 8 + 1],
            ..Nodes::default()
        };
        Ok(Lpm {
            data_size,
            capacity: entries as usize,
            trie: Trie::new(data_size, shape.stride(), grace.clone(), ledger)?,
            shape,
            nodes: RwLock::new(nodes),
            grace,
        })
    }

    /// The value of the longest prefix that covers `key`, for who holds a pass.
    #[inline]
    pub(crate) fn lookup(&self, key: &[u8]) -> Option<*mut u8> {
        let (bits, data) = key.split_first_chunk::<4>()?;
        let key = Key::new(u32::from_ne_bytes(*bits), data);
        if key.bits as usize > self.data_size * 8 || data.len() != self.data_size {
            return None;
        }
        let leaf = match key.bits.is_multiple_of(4) {
            true => self.trie.lookup(&key)?,
            false => self.search(key.bits, data)?,
        };
        Some(self.trie.value(leaf))
    }

    /// The same by asking for one length after the other, the longest first.
    fn search(&self, bits: u32, data: &[u8]) -> Option<Leaf> {
        let key = Prefix::new(bits, data);
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        nodes.longest(&key, 0..=bits)
    }

    /// Copies the value of the longest prefix that covers `key`.
    ///
    /// # Errors
    /// `ENOENT`.
    pub(crate) fn read(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        let _pass = self.grace.enter();
        let value = self.lookup(key).ok_or(Errno::ENOENT)?;
        // SAFETY: leaves are type-stable and live as long as the map.
        unsafe { self.shape.load(out, value) };
        Ok(())
    }

    /// Sets the value of exactly this prefix.
    ///
    /// # Errors
    /// `EINVAL` for a prefix longer than the data, `EEXIST` and `ENOENT` by the flags,
    /// `ENOSPC` when full, `ENOMEM`.
    pub(crate) fn update(&self, key: &[u8], from: &[u8], flags: ElemFlags) -> Result<(), Errno> {
        let (bits, data) = self.parts(key)?;
        let prefix = Prefix::new(bits, data);
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        let nodes = &mut *nodes;
        let full = nodes.by_prefix.len() >= self.capacity;
        let there = nodes.by_prefix.get_mut(&prefix);
        match there {
            Some(_) if flags.contains(ElemFlags::NOEXIST) => return Err(Errno::EEXIST),
            None if flags.contains(ElemFlags::EXIST) => return Err(Errno::ENOENT),
            None if full => return Err(Errno::ENOSPC),
            _ => {}
        }
        let old = there.as_ref().map(|node| node.leaf);
        let key = Key::new(bits, data);
        let leaf = self.trie.leaf(&key)?;
        // SAFETY: the leaf is live, nobody else's yet, and has room for the value.
        unsafe { self.shape.init(self.trie.value(leaf), from) };
        if let Err(errno) = self.trie.insert(&key, leaf, old) {
            self.trie.retire(vec![leaf.0]);
            return Err(errno);
        }
        match there {
            Some(node) => {
                node.leaf = leaf;
                node.data.set(data);
            }
            None => {
                if let Some(n) = nodes.lengths.get_mut(bits as usize) {
                    *n += 1;
                }
                let data = Data::new(data);
                nodes.by_prefix.insert(prefix, Node { leaf, data });
            }
        }
        if let Some(old) = old {
            self.retire(nodes, old);
        }
        Ok(())
    }

    /// Has a leaf, which is out of the trie, wait with others for readers to be gone.
    fn retire(&self, nodes: &mut Nodes, leaf: Leaf) {
        nodes.gone.push(leaf.0);
        if nodes.gone.len() >= GONE {
            self.trie.retire(std::mem::take(&mut nodes.gone));
        }
    }

    /// Removes exactly this prefix.
    ///
    /// # Errors
    /// `EINVAL` for a prefix longer than the data, `ENOENT`.
    pub(crate) fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        let (bits, data) = self.parts(key)?;
        let prefix = Prefix::new(bits, data);
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        let nodes = &mut *nodes;
        let old = nodes.by_prefix.remove(&prefix).ok_or(Errno::ENOENT)?;
        if let Some(n) = nodes.lengths.get_mut(prefix.bits as usize) {
            *n -= 1;
        }
        let step = prefix.bits.saturating_sub(1) / 4 * 4;
        let shorter = nodes.longest(&prefix, step + 1..=prefix.bits.saturating_sub(1));
        self.trie.remove(&Key::new(bits, data), old.leaf, shorter);
        self.retire(nodes, old.leaf);
        Ok(())
    }

    /// The prefix after this one, or the first when it is absent or not given.
    ///
    /// # Errors
    /// `ENOENT` after the last.
    pub(crate) fn next_key(&self, key: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        let key = key.and_then(|key| self.parts(key).ok());
        let key = key.map(|(bits, data)| Prefix::new(bits, data));
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        let after = key.and_then(|key| {
            let mut from = nodes.by_prefix.range(&key..);
            let found = from.next().is_some_and(|(prefix, _)| *prefix == key);
            found.then_some(from)
        });
        let next = match after {
            Some(mut after) => after.next(),
            None => nodes.by_prefix.first_key_value(),
        };
        let (prefix, node) = next.ok_or(Errno::ENOENT)?;
        let (bits, data) = out.split_at_mut(4.min(out.len()));
        bits.copy_from_slice(prefix.bits.to_ne_bytes().get(..bits.len()).unwrap_or(&[]));
        node.data.get(data);
        Ok(())
    }

    /// Whether the bytes lie in one value.
    pub(crate) fn owns(&self, addr: u64, len: u64) -> bool {
        let at = self
            .trie
            .pool()
            .within(addr)
            .and_then(|at| at.checked_sub(self.trie.value_at()));
        at.is_some_and(|at| (at as u64).saturating_add(len) <= self.shape.stride() as u64)
    }

    /// The length and the data of a key.
    ///
    /// # Errors
    /// `EINVAL` for a prefix longer than the data.
    fn parts<'k>(&self, key: &'k [u8]) -> Result<(u32, &'k [u8]), Errno> {
        let (bits, data) = key.split_first_chunk::<4>().ok_or(Errno::EINVAL)?;
        let bits = u32::from_ne_bytes(*bits);
        if bits as usize > self.data_size * 8 || data.len() != self.data_size {
            return Err(Errno::EINVAL);
        }
        Ok((bits, data))
    }
}

impl Nodes {
    /// The longest prefix, of those lengths, that covers `key`.
    fn longest(&self, key: &Prefix, lengths: std::ops::RangeInclusive<u32>) -> Option<Leaf> {
        lengths.rev().find_map(|bits| {
            let present = self.lengths.get(bits as usize).is_some_and(|n| *n > 0);
            let node = present.then(|| self.by_prefix.get(&key.shortened(bits)));
            node.flatten().map(|node| node.leaf)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next number of a sequence that looks random.
    fn next(state: &mut u64) -> u64 {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(99);
        *state >> 24
    }

    fn key(state: &mut u64, size: usize) -> Vec<u8> {
        let most = size as u64 * 8;
        let bits = match next(state) % 4 {
            0 => next(state) % (most + 1),
            1 => next(state) % 13,
            _ => (next(state) % (most / 4 + 1)) * 4,
        };
        let mut key = (bits.min(most) as u32).to_ne_bytes().to_vec();
        // Few different bits, so that prefixes cover each other.
        for _ in 0..size {
            key.push([0, 0x80, 0xff, 0x0f, 0x81][next(state) as usize % 5]);
        }
        key
    }

    /// The trie finds what the ordered map finds, whatever comes and goes.
    #[test]
    fn trie_and_order_agree() {
        for size in [1, 2, 4, 7, 8, 9, 16, 256] {
            let shape = Shape::new(8, &[], None);
            let map = Lpm::new(
                size as u32 + 4,
                shape,
                1000,
                Reclaim::new(Arc::default()),
                &Arc::default(),
            )
            .expect("a map");
            let mut state = size as u64;
            let mut keys = Vec::new();
            for round in 0..3000u64 {
                let some = key(&mut state, size);
                if next(&mut state).is_multiple_of(3) && !keys.is_empty() {
                    let at = next(&mut state) as usize % keys.len();
                    let gone: Vec<u8> = keys.swap_remove(at);
                    // The same prefix may have been added, and deleted, twice.
                    let _ = map.delete(&gone);
                } else if map
                    .update(&some, &round.to_ne_bytes(), ElemFlags(0))
                    .is_ok()
                {
                    keys.push(some);
                }
                for _ in 0..4 {
                    let mut asked = key(&mut state, size);
                    let bits = u32::from_ne_bytes([asked[0], asked[1], asked[2], asked[3]]);
                    asked[0..4].copy_from_slice(&(bits / 4 * 4).to_ne_bytes());
                    let want = map.search(bits / 4 * 4, &asked[4..]);
                    let want = want.map(|leaf| map.trie.value(leaf));
                    assert_eq!(map.lookup(&asked), want, "{asked:?} of {size} bytes");
                }
            }
            for gone in keys {
                let _ = map.delete(&gone);
            }
            assert!(map.nodes.read().expect("a lock").by_prefix.is_empty());
            let all = [&(size as u32 * 8).to_ne_bytes()[..], &vec![0xff; size]].concat();
            assert_eq!(map.lookup(&all), None);
        }
    }
}

//! Longest prefix match: keys are prefixes of bits, a lookup finds the longest that fits.
//!
//! All prefixes lie in one ordered map whose order is the one Linux walks: a prefix comes
//! after the longer ones it covers, and the bit 0 before the bit 1. A lookup asks for each
//! length that is present, longest first.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use skep_abi::{ElemFlags, Errno};

use crate::pool::Pool;
use crate::value::Shape;

/// Where the value starts in a piece; the pool owns a word before it.
const VALUE_AT: usize = 16;

#[derive(Clone, PartialEq, Eq)]
struct Prefix {
    bits: u32,
    /// As long as the key's data, with zeros after `bits`.
    data: Box<[u8]>,
}

impl Ord for Prefix {
    fn cmp(&self, other: &Prefix) -> Ordering {
        let shared = self.bits.min(other.bits) as usize;
        for (i, (a, b)) in self.data.iter().zip(&other.data).enumerate() {
            let known = shared.saturating_sub(i * 8).min(8);
            let mask = if known == 0 { 0 } else { 0xffu8 << (8 - known) };
            match (a & mask).cmp(&(b & mask)) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        other.bits.cmp(&self.bits)
    }
}

impl PartialOrd for Prefix {
    fn partial_cmp(&self, other: &Prefix) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

pub(crate) struct Lpm {
    data_size: usize,
    capacity: usize,
    pool: Pool,
    pub(crate) shape: Shape,
    nodes: RwLock<Nodes>,
}

/// One prefix of the trie.
#[derive(Clone)]
struct Node {
    piece: usize,
    /// The data as it was given: walks show also the bits beyond the prefix.
    data: Box<[u8]>,
}

#[derive(Default)]
struct Nodes {
    by_prefix: BTreeMap<Prefix, Node>,
    /// How many prefixes there are of each length.
    lengths: Vec<u32>,
}

impl Lpm {
    pub(crate) fn new(key_size: u32, shape: Shape, entries: u32) -> Lpm {
        let data_size = key_size.saturating_sub(4) as usize;
        let nodes = Nodes {
            by_prefix: BTreeMap::new(),
            lengths: vec![0; data_size * 8 + 1],
        };
        Lpm {
            data_size,
            capacity: entries as usize,
            pool: Pool::new(VALUE_AT + shape.stride()),
            shape,
            nodes: RwLock::new(nodes),
        }
    }

    /// The value of the longest prefix that covers `key`.
    pub(crate) fn lookup(&self, key: &[u8]) -> Option<*mut u8> {
        let key = self.prefix(key).ok()?;
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        let node = (0..=key.bits).rev().find_map(|bits| {
            let present = nodes.lengths.get(bits as usize).is_some_and(|n| *n > 0);
            if present {
                nodes.by_prefix.get(&shortened(&key, bits))
            } else {
                None
            }
        })?;
        Some(value(node.piece))
    }

    /// Sets the value of exactly this prefix.
    ///
    /// # Errors
    /// `EINVAL` for a prefix longer than the data, `EEXIST` and `ENOENT` by the flags,
    /// `ENOSPC` when full, `ENOMEM`.
    pub(crate) fn update(&self, key: &[u8], from: &[u8], flags: ElemFlags) -> Result<(), Errno> {
        let data = key.get(4..).unwrap_or_default().into();
        let key = self.prefix(key)?;
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        let old = nodes.by_prefix.get(&key).map(|n| n.piece);
        match old {
            Some(_) if flags.contains(ElemFlags::NOEXIST) => return Err(Errno::EEXIST),
            None if flags.contains(ElemFlags::EXIST) => return Err(Errno::ENOENT),
            None if nodes.by_prefix.len() >= self.capacity => return Err(Errno::ENOSPC),
            _ => {}
        }
        let (piece, _) = self.pool.take(usize::MAX)?.ok_or(Errno::ENOMEM)?;
        // SAFETY: the piece is live, ours alone, and has room for the value.
        unsafe { self.shape.init(piece.add(VALUE_AT), from) };
        if old.is_none()
            && let Some(n) = nodes.lengths.get_mut(key.bits as usize)
        {
            *n += 1;
        }
        nodes.by_prefix.insert(
            key,
            Node {
                piece: piece as usize,
                data,
            },
        );
        self.give(old);
        Ok(())
    }

    /// Removes exactly this prefix.
    ///
    /// # Errors
    /// `EINVAL` for a prefix longer than the data, `ENOENT`.
    pub(crate) fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        let key = self.prefix(key)?;
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        let old = nodes.by_prefix.remove(&key).ok_or(Errno::ENOENT)?;
        if let Some(n) = nodes.lengths.get_mut(key.bits as usize) {
            *n -= 1;
        }
        self.give(Some(old.piece));
        Ok(())
    }

    /// The prefix after this one, or the first when it is absent or not given.
    ///
    /// # Errors
    /// `ENOENT` after the last.
    pub(crate) fn next_key(&self, key: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        use std::ops::Bound::{Excluded, Unbounded};
        let key = key.and_then(|k| self.prefix(k).ok());
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        let next = match key.filter(|k| nodes.by_prefix.contains_key(k)) {
            Some(key) => nodes.by_prefix.range((Excluded(key), Unbounded)).next(),
            None => nodes.by_prefix.iter().next(),
        };
        let (prefix, node) = next.ok_or(Errno::ENOENT)?;
        let bytes = prefix
            .bits
            .to_ne_bytes()
            .into_iter()
            .chain(node.data.iter().copied());
        for (to, from) in out.iter_mut().zip(bytes) {
            *to = from;
        }
        Ok(())
    }

    /// Whether the bytes lie in one value.
    pub(crate) fn owns(&self, addr: u64, len: u64) -> bool {
        let at = self
            .pool
            .within(addr)
            .and_then(|at| at.checked_sub(VALUE_AT));
        at.is_some_and(|at| (at as u64).saturating_add(len) <= self.shape.stride() as u64)
    }

    fn prefix(&self, key: &[u8]) -> Result<Prefix, Errno> {
        let (bits, data) = key.split_first_chunk::<4>().ok_or(Errno::EINVAL)?;
        let bits = u32::from_ne_bytes(*bits);
        if bits as usize > self.data_size * 8 || data.len() != self.data_size {
            return Err(Errno::EINVAL);
        }
        Ok(shortened(
            &Prefix {
                bits,
                data: data.into(),
            },
            bits,
        ))
    }

    fn give(&self, piece: Option<usize>) {
        if let Some(piece) = piece {
            // SAFETY: the piece came from the pool and was just taken out of the only map
            // that knew it.
            unsafe { self.pool.give(piece as *mut u8) }
        }
    }
}

fn value(piece: usize) -> *mut u8 {
    (piece as *mut u8).wrapping_add(VALUE_AT)
}

/// The first `bits` of a prefix.
fn shortened(prefix: &Prefix, bits: u32) -> Prefix {
    let mut data = prefix.data.clone();
    for (i, byte) in data.iter_mut().enumerate() {
        let known = (bits as usize).saturating_sub(i * 8).min(8);
        *byte &= if known == 0 { 0 } else { 0xffu8 << (8 - known) };
    }
    Prefix { bits, data }
}

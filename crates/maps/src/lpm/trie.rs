//! The trie that lookups walk without a lock: four bits a step, chains without branches left
//! out.
//!
//! A node stands at a depth, counted in steps; its path is the steps that lead to it. For each
//! of the sixteen next steps it knows the longest prefix that ends within this step (*best*)
//! and what lies below: nothing, another node, or one leaf alone. So a lookup touches as many
//! nodes as prefixes branch on its way, and a prefix of any length costs a leaf and at most
//! two nodes.
//!
//! ```text
//! node:  0 depth | 8 pool | 16 path, first 8 bytes | 24 below ×16 | 152 best ×16 | 280 path …
//! leaf:  0 bits  | 8 pool | 16 data, first 8 bytes | 24 data … | value …
//! below: 0 nothing | address of a node | address of a leaf | LEAF
//! ```
//!
//! Writers are one at a time. What they take out goes through a grace period before it is
//! used again, so that a reader is never led astray; and since nodes and leaves each have a
//! pool of their own, one who reads without a pass still finds only nodes and leaves.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use skep_abi::Errno;

use crate::ledger::Ledger;
use crate::pool::Pool;
use crate::reclaim::Reclaim;
use crate::region::{copy_in, copy_out};

/// Bits of one step.
const STEP: u32 = 4;
/// Marks a leaf among what lies below.
const LEAF: u64 = 1;
/// Where a node's links and a piece's long data begin.
const BELOW: usize = 24;
const BEST: usize = BELOW + 16 * 8;
const PATH: usize = BEST + 16 * 8;
const DATA: usize = 24;

/// A prefix in the trie: its address in the pool of leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaf(pub(super) u64);

/// A branch: its address in the pool of nodes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Node(u64);

/// The bits of a key, and how many count.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) bits: u32,
    pub(super) data: &'a [u8],
    /// The first eight bytes, the first in the highest place.
    first: u64,
}

impl<'a> Key<'a> {
    #[inline]
    pub(super) fn new(bits: u32, data: &'a [u8]) -> Key<'a> {
        let first = match data.first_chunk::<8>() {
            Some(eight) => u64::from_be_bytes(*eight),
            None => match <[u8; 4]>::try_from(data) {
                Ok(four) => u64::from(u32::from_be_bytes(four)) << 32,
                Err(_) => {
                    let mut raw = [0; 8];
                    for (to, from) in raw.iter_mut().zip(data) {
                        *to = *from;
                    }
                    u64::from_be_bytes(raw)
                }
            },
        };
        Key { bits, data, first }
    }

    /// The four bits of step number `depth`.
    #[inline]
    fn step(&self, depth: u32) -> usize {
        if depth < 16 {
            return (self.first >> (60 - depth * STEP) & 15) as usize;
        }
        let byte = self.data.get((depth / 2) as usize).copied().unwrap_or(0);
        usize::from(if depth.is_multiple_of(2) {
            byte >> 4
        } else {
            byte & 15
        })
    }

    /// In which step the prefix ends.
    fn last(&self) -> u32 {
        self.bits.saturating_sub(1) / STEP
    }

    /// The steps within its last step that it covers.
    fn covered(&self) -> std::ops::Range<usize> {
        let known = self.bits - self.last() * STEP;
        let many = 1usize << (STEP - known.min(STEP));
        let start = self.step(self.last()) & !(many - 1);
        start..start + many
    }

    /// Steps that both keys share from the start, at most `limit`.
    fn common(&self, other: &Key<'_>, limit: u32) -> u32 {
        (0..limit)
            .find(|i| self.step(*i) != other.step(*i))
            .unwrap_or(limit)
    }
}

/// Pieces that wait for readers to be gone.
struct Later {
    pool: Arc<Pool>,
    pieces: Vec<u64>,
}

impl Drop for Later {
    fn drop(&mut self) {
        for piece in &self.pieces {
            // SAFETY: the piece came from this pool, the writer took it out of the trie, and
            // nobody who could still know it runs any more.
            unsafe { self.pool.give(*piece as *mut u8) }
        }
    }
}

/// The trie of one map.
pub(super) struct Trie {
    root: Node,
    /// The prefix of no bits.
    all: AtomicU64,
    nodes: Arc<Pool>,
    leaves: Arc<Pool>,
    /// Bytes of the data, when it is longer than the first eight.
    long: usize,
    value_at: usize,
    grace: Arc<Reclaim>,
}

impl Trie {
    pub(super) fn new(
        data_size: usize,
        stride: usize,
        grace: Arc<Reclaim>,
        ledger: &Arc<Ledger>,
    ) -> Result<Trie, Errno> {
        let long = if data_size > 8 {
            data_size.next_multiple_of(8)
        } else {
            0
        };
        let nodes = Arc::new(Pool::new(PATH + long, usize::MAX, 1, ledger));
        let value_at = DATA + long;
        let leaves = Arc::new(Pool::new(value_at + stride, usize::MAX, 1, ledger));
        let mut trie = Trie {
            root: Node(0),
            all: AtomicU64::new(0),
            nodes,
            leaves,
            long,
            value_at,
            grace,
        };
        trie.root = trie.node(&Key::new(0, &[]), 0)?;
        Ok(trie)
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.leaves
    }

    pub(super) fn value_at(&self) -> usize {
        self.value_at
    }

    pub(super) fn value(&self, leaf: Leaf) -> *mut u8 {
        (leaf.0 as *mut u8).wrapping_add(self.value_at)
    }

    /// The longest prefix that covers the key, whose bits are a whole number of steps.
    #[inline]
    pub(super) fn lookup(&self, key: &Key<'_>) -> Option<Leaf> {
        let mut best = self.all.load(Ordering::Acquire);
        let (mut node, mut depth) = (self.root, 0);
        let steps = key.bits / STEP;
        while depth < steps {
            let step = key.step(depth);
            let here = self.word(node.0, BEST + step * 8).load(Ordering::Acquire);
            if here != 0 {
                best = here;
            }
            let below = self.word(node.0, BELOW + step * 8).load(Ordering::Acquire);
            if below == 0 {
                break;
            }
            if below & LEAF != 0 {
                let leaf = Leaf(below & !LEAF);
                if self.covers(leaf.0, self.bits(leaf), DATA, key) {
                    best = leaf.0;
                }
                break;
            }
            node = Node(below);
            let next = self.depth(node);
            // Depths only grow, also for one who reads while a node is used again.
            if next <= depth || next > steps {
                break;
            }
            if next > depth + 1 && !self.covers(node.0, next * STEP, PATH, key) {
                break;
            }
            depth = next;
        }
        (best != 0).then_some(Leaf(best))
    }

    /// Puts a leaf in, in the place of `old` when that is its prefix.
    ///
    /// # Errors
    /// `ENOMEM`, with nothing changed.
    pub(super) fn insert(&self, key: &Key<'_>, leaf: Leaf, old: Option<Leaf>) -> Result<(), Errno> {
        if let Some(old) = old {
            self.exchange(key, old, Some(leaf), None);
            return Ok(());
        }
        if key.bits == 0 {
            self.all.store(leaf.0, Ordering::Release);
            return Ok(());
        }
        let mut node = self.root;
        loop {
            let depth = self.depth(node);
            if depth == key.last() {
                self.spread(node, key, leaf);
                return Ok(());
            }
            let slot = self.word(node.0, BELOW + key.step(depth) * 8);
            let below = slot.load(Ordering::Relaxed);
            if below == 0 {
                slot.store(leaf.0 | LEAF, Ordering::Release);
                return Ok(());
            }
            let mut room = [0; 256];
            let (there, limit) = if below & LEAF != 0 {
                let other = Leaf(below & !LEAF);
                let there = self.path(other.0, self.bits(other), DATA, &mut room);
                (there, there.last())
            } else {
                let limit = self.depth(Node(below));
                (self.path(below, limit * STEP, PATH, &mut room), limit)
            };
            let branch = key.common(&there, limit.min(key.last()));
            if below & LEAF == 0 && branch == limit {
                node = Node(below);
                continue;
            }
            // Made whole before anyone sees it.
            let between = self.node(key, branch)?;
            if below & LEAF != 0 && there.last() == branch {
                self.spread(between, &there, Leaf(below & !LEAF));
            } else {
                let at = BELOW + there.step(branch) * 8;
                self.word(between.0, at).store(below, Ordering::Relaxed);
            }
            if key.last() == branch {
                self.spread(between, key, leaf);
            } else {
                let at = BELOW + key.step(branch) * 8;
                self.word(between.0, at)
                    .store(leaf.0 | LEAF, Ordering::Relaxed);
            }
            slot.store(between.0, Ordering::Release);
            return Ok(());
        }
    }

    /// Takes a leaf out; `shorter` is the longest prefix that covers it and ends in the same
    /// step.
    pub(super) fn remove(&self, key: &Key<'_>, old: Leaf, shorter: Option<Leaf>) {
        self.exchange(key, old, None, shorter);
    }

    /// Gives leaves that are out of the trie back, when nobody can be using them.
    pub(super) fn retire(&self, leaves: Vec<u64>) {
        self.later(&self.leaves, leaves);
    }

    fn later(&self, pool: &Arc<Pool>, pieces: Vec<u64>) {
        let pool = pool.clone();
        let later: Arc<dyn Any + Send + Sync> = Arc::new(Later { pool, pieces });
        self.grace.retire(later);
    }

    /// Replaces `old` by `new`, or by what shows through when it is gone.
    fn exchange(&self, key: &Key<'_>, old: Leaf, new: Option<Leaf>, shorter: Option<Leaf>) {
        let shown = new.or(shorter).map_or(0, |leaf| leaf.0);
        if key.bits == 0 {
            return self.all.store(shown, Ordering::Release);
        }
        let mut way = Vec::new();
        let mut node = self.root;
        loop {
            let depth = self.depth(node);
            if depth >= key.last() {
                for step in key.covered() {
                    let best = self.word(node.0, BEST + step * 8);
                    if best.load(Ordering::Relaxed) == old.0 {
                        best.store(shown, Ordering::Release);
                    }
                }
                break;
            }
            let slot = self.word(node.0, BELOW + key.step(depth) * 8);
            let below = slot.load(Ordering::Relaxed);
            if below == old.0 | LEAF {
                slot.store(new.map_or(0, |leaf| leaf.0 | LEAF), Ordering::Release);
                break;
            }
            if below == 0 || below & LEAF != 0 {
                break;
            }
            way.push((node, key.step(depth)));
            node = Node(below);
        }
        let mut gone = Vec::new();
        while new.is_none()
            && self.is_empty(node)
            && let Some((above, step)) = way.pop()
        {
            self.word(above.0, BELOW + step * 8)
                .store(0, Ordering::Release);
            gone.push(node.0);
            node = above;
        }
        if !gone.is_empty() {
            self.later(&self.nodes, gone);
        }
    }

    /// Makes `leaf` the best of the steps that it covers and no longer prefix does.
    fn spread(&self, node: Node, key: &Key<'_>, leaf: Leaf) {
        for step in key.covered() {
            let best = self.word(node.0, BEST + step * 8);
            let here = best.load(Ordering::Relaxed);
            if here == 0 || self.bits(Leaf(here)) < key.bits {
                best.store(leaf.0, Ordering::Release);
            }
        }
    }

    fn is_empty(&self, node: Node) -> bool {
        (0..32).all(|i| self.word(node.0, BELOW + i * 8).load(Ordering::Relaxed) == 0)
    }

    /// A new leaf, not in the trie yet; its value is as it was.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn leaf(&self, key: &Key<'_>) -> Result<Leaf, Errno> {
        let (piece, _) = self.leaves.take(usize::MAX)?.ok_or(Errno::ENOMEM)?;
        let leaf = piece as u64;
        self.label(leaf, key.bits, key, DATA);
        Ok(Leaf(leaf))
    }

    /// A new node at `depth` on the way to a key.
    fn node(&self, key: &Key<'_>, depth: u32) -> Result<Node, Errno> {
        let (piece, _) = self.nodes.take(usize::MAX)?.ok_or(Errno::ENOMEM)?;
        let node = piece as u64;
        for i in 0..32 {
            self.word(node, BELOW + i * 8).store(0, Ordering::Relaxed);
        }
        self.label(node, depth, key, PATH);
        Ok(Node(node))
    }

    /// Writes depth or bits and the key's data into a piece.
    fn label(&self, piece: u64, number: u32, key: &Key<'_>, long_at: usize) {
        self.word(piece, 0).store(number.into(), Ordering::Relaxed);
        self.word(piece, 16).store(key.first, Ordering::Relaxed);
        if self.long > 0 {
            let len = key.data.len().min(self.long);
            // SAFETY: the piece has `long` bytes at that place, which is a multiple of 8.
            unsafe { copy_in((piece as *mut u8).add(long_at), &key.data[..len]) }
        }
    }

    /// Whether the first `bits` of a piece's data are those of the key.
    #[inline]
    fn covers(&self, piece: u64, bits: u32, long_at: usize, key: &Key<'_>) -> bool {
        if bits == 0 {
            return true;
        }
        if bits > key.bits {
            return false;
        }
        let differ = self.word(piece, 16).load(Ordering::Relaxed) ^ key.first;
        if bits <= 64 {
            return differ >> (64 - bits) == 0;
        }
        differ == 0 && {
            let mut room = [0; 256];
            let there = self.path(piece, bits, long_at, &mut room);
            let whole = (bits / 8) as usize;
            let rest = bits % 8;
            let byte = |data: &[u8]| data.get(whole).copied().unwrap_or(0);
            there.data.get(..whole) == key.data.get(..whole)
                && (rest == 0 || (byte(there.data) ^ byte(key.data)) >> (8 - rest) == 0)
        }
    }

    /// The data of a piece as a key.
    fn path<'r>(&self, piece: u64, bits: u32, long_at: usize, room: &'r mut [u8; 256]) -> Key<'r> {
        let len = if self.long == 0 {
            room[..8].copy_from_slice(&self.word(piece, 16).load(Ordering::Relaxed).to_be_bytes());
            8
        } else {
            let len = self.long.min(room.len());
            // SAFETY: the piece has `long` bytes at that place, which is a multiple of 8.
            unsafe { copy_out(&mut room[..len], (piece as *const u8).add(long_at)) };
            len
        };
        Key::new(bits, &room[..len])
    }

    #[inline]
    fn depth(&self, node: Node) -> u32 {
        self.word(node.0, 0).load(Ordering::Relaxed) as u32
    }

    #[inline]
    pub(super) fn bits(&self, leaf: Leaf) -> u32 {
        self.word(leaf.0, 0).load(Ordering::Relaxed) as u32
    }

    #[inline]
    fn word(&self, piece: u64, at: usize) -> &AtomicU64 {
        // SAFETY: pieces come from links and pools of this trie only, and live as long as it;
        // `at` is the place of a word in both kinds, or in the kind that the caller has.
        // These words are only accessed atomically.
        unsafe { &*((piece as *const u8).add(at).cast::<AtomicU64>()) }
    }
}

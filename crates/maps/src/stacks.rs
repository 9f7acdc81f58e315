//! Stack traces: each has a number, which is the place that its hash chooses.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use skep_abi::{Errno, MapFlags};

use crate::Spec;
use crate::ledger::{Charge, Ledger};

/// What is done about a trace whose place is taken by another one.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Collision {
    /// One of the same hash counts as the same (`BPF_F_FAST_STACK_CMP`).
    pub by_hash: bool,
    /// The new one takes the place (`BPF_F_REUSE_STACKID`).
    pub replace: bool,
}

struct Trace {
    hash: u32,
    bytes: Box<[u8]>,
    _charge: Charge,
}

/// The traces of one map.
pub(crate) struct Stacks {
    /// One place for each number of the hash's low bits.
    mask: u32,
    /// How many there may be at once.
    most: usize,
    /// A trace of build ids has its memory before it is known to be new.
    converts: bool,
    seed: u64,
    traces: RwLock<BTreeMap<u32, Trace>>,
    ledger: Arc<Ledger>,
}

impl Stacks {
    pub(crate) fn new(spec: &Spec, ledger: &Arc<Ledger>) -> Result<Stacks, Errno> {
        let places = spec.max_entries.checked_next_power_of_two();
        Ok(Stacks {
            mask: places.ok_or(Errno::E2BIG)? - 1,
            most: spec.max_entries as usize,
            converts: spec.flags.contains(MapFlags::STACK_BUILD_ID),
            seed: spec.seed,
            traces: RwLock::default(),
            ledger: ledger.clone(),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<u32, Trace>> {
        self.traces.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<u32, Trace>> {
        self.traces.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn hash(&self, bytes: &[u8]) -> u32 {
        let (words, _) = bytes.as_chunks::<8>();
        let fold = |hash: u64, word: &[u8; 8]| {
            let wide = u128::from(hash ^ u64::from_ne_bytes(*word)) * 0x9e37_79b9_7f4a_7c15;
            wide as u64 ^ (wide >> 64) as u64
        };
        (words.iter().fold(self.seed ^ bytes.len() as u64, fold) >> 9) as u32
    }

    /// The number of a trace, whole words, which is put in when it is not there.
    ///
    /// # Errors
    /// `EEXIST` when another one has its place, `ENOMEM` when there are as many as there may be.
    pub(crate) fn put(&self, bytes: &[u8], collision: Collision) -> Result<u32, Errno> {
        let hash = self.hash(bytes);
        let number = hash & self.mask;
        let same =
            |trace: &Trace| trace.hash == hash && (collision.by_hash || *trace.bytes == *bytes);
        let early = !self.converts || collision.by_hash;
        // Most traces are there already.
        if early && self.read().get(&number).is_some_and(same) {
            return Ok(number);
        }
        let mut traces = self.write();
        match traces.get(&number) {
            Some(there) if early && same(there) => return Ok(number),
            _ if self.converts && traces.len() >= self.most => return Err(Errno::ENOMEM),
            Some(there) if same(there) => return Ok(number),
            Some(_) if !collision.replace => return Err(Errno::EEXIST),
            // The new one has its memory before the old one gives it back.
            _ if traces.len() >= self.most => return Err(Errno::ENOMEM),
            _ => {}
        }
        let trace = Trace {
            hash,
            bytes: bytes.into(),
            _charge: Charge::take(&self.ledger, bytes.len() as u64)?,
        };
        traces.insert(number, trace);
        Ok(number)
    }

    /// Copies a trace out, with zeros behind it, and takes it out when `take` says so.
    ///
    /// # Errors
    /// `ENOENT`.
    pub(crate) fn get(&self, number: u32, out: &mut [u8], take: bool) -> Result<(), Errno> {
        let copy = |trace: &Trace, out: &mut [u8]| {
            let len = trace.bytes.len().min(out.len());
            let (front, rest) = out.split_at_mut(len);
            front.copy_from_slice(trace.bytes.get(..len).unwrap_or(&[]));
            rest.fill(0);
        };
        match take {
            true => copy(&self.write().remove(&number).ok_or(Errno::ENOENT)?, out),
            false => copy(self.read().get(&number).ok_or(Errno::ENOENT)?, out),
        }
        Ok(())
    }

    /// # Errors
    /// `E2BIG` for a number that no trace can have, `ENOENT`.
    pub(crate) fn delete(&self, number: u32) -> Result<(), Errno> {
        if number > self.mask {
            return Err(Errno::E2BIG);
        }
        let gone = self.write().remove(&number);
        gone.map(drop).ok_or(Errno::ENOENT)
    }

    /// The number after one that is there, or the first.
    ///
    /// # Errors
    /// `ENOENT` after the last.
    pub(crate) fn next(&self, number: Option<u32>) -> Result<u32, Errno> {
        use std::ops::Bound::{Excluded, Unbounded};
        let traces = self.read();
        let from = match number.filter(|number| traces.contains_key(number)) {
            Some(number) => Excluded(number),
            None => Unbounded,
        };
        let next = traces.range((from, Unbounded)).next();
        next.map(|(number, _)| *number).ok_or(Errno::ENOENT)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        self.read().len() as u32
    }
}

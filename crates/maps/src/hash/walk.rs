//! Going through a hash table: key after key, bucket after bucket, or from a program.

use std::sync::atomic::Ordering;

use skep_abi::Errno;

use super::{END, Elem, HEADER, Hash, Locked, end};
use crate::map::Bucket;

impl Hash {
    /// The key after `key` in the table's own order, or the first key when `key` is absent
    /// or not given.
    ///
    /// # Errors
    /// `ENOENT` after the last key.
    pub(crate) fn next_key(&self, key: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        let mut from = 0;
        if let Some(key) = key {
            let hash = self.hash(key);
            let bucket = self.lock(hash);
            if let Some(elem) = self.find_locked(&bucket, key, hash) {
                if let Some(next) = self.follow(elem.next().load(Ordering::Relaxed)) {
                    self.read_key(next, out);
                    return Ok(());
                }
                from = bucket.number + 1;
            }
        }
        for number in from..=self.mask {
            if self.is_empty(number) {
                continue;
            }
            let bucket = self.lock_number(number);
            if let Some(elem) = self.follow(bucket.first()) {
                self.read_key(elem, out);
                return Ok(());
            }
        }
        Err(Errno::ENOENT)
    }

    /// Buckets of the table.
    pub(crate) fn buckets(&self) -> u64 {
        self.mask + 1
    }

    /// Copies bucket `number` out whole, at most `room` elements, and empties it when
    /// `delete` says so.
    ///
    /// # Errors
    /// The number of elements, when there is no room for them.
    pub(crate) fn bucket(
        &self,
        number: u64,
        room: u32,
        delete: bool,
        out: &mut Bucket,
    ) -> Result<(), u32> {
        if number > self.mask || self.is_empty(number) {
            return Ok(());
        }
        let bucket = self.lock_number(number);
        let count = self.members(&bucket).count() as u32;
        if count > room {
            return Err(count);
        }
        for elem in self.members(&bucket) {
            let (key, value) = (out.keys.len(), out.values.len());
            out.keys.resize(key + self.key_size, 0);
            out.values.resize(value + self.user_value(), 0);
            self.read_key(elem, &mut out.keys[key..]);
            self.read_elem(elem, &mut out.values[value..], false);
        }
        out.count = count;
        if delete && count > 0 {
            // What follows the first link is nobody's but ours from here on.
            let mut gone = self.follow(bucket.first());
            bucket.set_first(end(number));
            drop(bucket);
            self.count.fetch_sub(count, Ordering::Relaxed);
            while let Some(elem) = gone {
                gone = self.follow(elem.next().load(Ordering::Relaxed));
                self.free(elem);
            }
        }
        Ok(())
    }

    /// Calls `body` with the addresses of key and value (of `cpu`) of each element, until it
    /// says stop; answers how many calls there were. Elements may come and go meanwhile.
    pub(crate) fn for_each(&self, cpu: u32, body: &mut dyn FnMut(u64, u64) -> bool) -> u32 {
        let mut calls = 0;
        for number in 0..=self.mask {
            let mut link =
                self.heads.word(number as usize).load(Ordering::Acquire) & !super::LOCKED;
            while let Some(elem) = self.follow(link) {
                link = elem.next().load(Ordering::Acquire);
                calls += 1;
                if !body(elem.link() + HEADER as u64, self.value(elem, cpu) as u64) {
                    return calls;
                }
            }
        }
        calls
    }

    /// Whether nothing was in a bucket a moment ago.
    fn is_empty(&self, number: u64) -> bool {
        let head = self.heads.word(number as usize).load(Ordering::Relaxed);
        head == 0 || head & END != 0
    }

    fn lock_number(&self, number: u64) -> Locked<'_> {
        self.lock(number as u32)
    }

    fn members(&self, bucket: &Locked<'_>) -> impl Iterator<Item = Elem> {
        let first = self.follow(bucket.first());
        std::iter::successors(first, |elem| {
            self.follow(elem.next().load(Ordering::Relaxed))
        })
    }
}

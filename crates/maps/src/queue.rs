//! Queues and stacks: values without keys, first or last in first out.

use std::sync::{Arc, Mutex, PoisonError};

use skep_abi::{ElemFlags, Errno};

use crate::ledger::Ledger;
use crate::region::{Region, copy_in, copy_out};

/// A ring of values; a stack takes from the end that a queue puts to.
pub(crate) struct Queue {
    values: Region,
    size: usize,
    capacity: u64,
    last_first: bool,
    ends: Mutex<Ends>,
}

/// Positions only grow; a value's place is its position modulo the capacity.
struct Ends {
    tail: u64,
    head: u64,
}

impl Queue {
    pub(crate) fn new(
        size: u32,
        capacity: u32,
        last_first: bool,
        ledger: &Arc<Ledger>,
    ) -> Result<Queue, Errno> {
        let stride = u64::from(size).next_multiple_of(8);
        let len = stride
            .checked_mul(u64::from(capacity))
            .ok_or(Errno::ENOMEM)?;
        Ok(Queue {
            values: Region::new(len, ledger)?,
            size: size as usize,
            capacity: u64::from(capacity),
            last_first,
            // Stacks take positions back at the head, so the numbers start away from zero.
            ends: Mutex::new(Ends {
                tail: 1 << 32,
                head: 1 << 32,
            }),
        })
    }

    /// Puts a value at the head; with `EXIST` a full one loses its oldest value.
    ///
    /// # Errors
    /// `EINVAL` for other flags, `E2BIG` when full.
    pub(crate) fn push(&self, value: &[u8], flags: ElemFlags) -> Result<(), Errno> {
        if !flags.beyond(ElemFlags::EXIST).is_empty() {
            return Err(Errno::EINVAL);
        }
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        if ends.head - ends.tail == self.capacity {
            if !flags.contains(ElemFlags::EXIST) {
                return Err(Errno::E2BIG);
            }
            ends.tail += 1;
        }
        // SAFETY: the place lies in the region, and the lock makes this the only access.
        unsafe {
            copy_in(
                self.place(ends.head),
                value.get(..self.size).unwrap_or_default(),
            )
        };
        ends.head += 1;
        Ok(())
    }

    /// Copies the next value out, and takes it when `take` says so.
    ///
    /// # Errors
    /// `ENOENT` when empty; `out` is zeros then.
    pub(crate) fn next(&self, out: &mut [u8], take: bool) -> Result<(), Errno> {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        if ends.head == ends.tail {
            out.fill(0);
            return Err(Errno::ENOENT);
        }
        let at = if self.last_first {
            ends.head - 1
        } else {
            ends.tail
        };
        let size = self.size.min(out.len());
        // SAFETY: as in `push`.
        unsafe { copy_out(&mut out[..size], self.place(at)) };
        if take && self.last_first {
            ends.head -= 1;
        } else if take {
            ends.tail += 1;
        }
        Ok(())
    }

    fn place(&self, position: u64) -> *mut u8 {
        let index = (position % self.capacity) as usize;
        self.values.at(index * self.size.next_multiple_of(8))
    }
}

//! Which element of a full table makes room for a new one.
//!
//! A hand goes round all elements: one that was used since the hand last came by is spared
//! once, the first one that was not is taken. Linux promises no more than approximately the
//! least recently used either.

use crate::prim::{AtomicU32, Mutex, Ordering};

/// The bits of an element's mark: it is in the table; it was used since the hand came by.
pub const LIVE: u32 = 1;
/// See [`LIVE`].
pub const USED: u32 = 2;

/// The table that the elements are in. An element is a number of the table's, other than 0.
pub trait Table {
    /// The mark of an element: 0 when free, [`LIVE`] in the table, with [`USED`] when used.
    fn mark(&self, element: usize) -> &AtomicU32;

    /// Takes an element out of the table; false when it is not there (any more). Of two who
    /// take out the same element, one does.
    fn take_out(&self, element: usize) -> bool;
}

/// An element that was free, or made free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// The element, which is its taker's alone.
    pub element: usize,
    /// It was in the table until now.
    pub evicted: bool,
}

/// All elements that a table ever made, and the hand.
#[derive(Default)]
pub struct Clock {
    hand: Mutex<Hand>,
}

#[derive(Default)]
struct Hand {
    elements: Vec<usize>,
    at: usize,
}

impl Clock {
    /// A free element: what `fresh` gives, with whether it is a new one, or else one that is
    /// taken out of the table. Cost: a lock, and without eviction nothing more.
    ///
    /// # Errors
    /// What `fresh` says; `full` when three rounds found no element, or when the clock itself
    /// gets no memory.
    pub fn take<E>(
        &self,
        fresh: impl FnOnce() -> Result<Option<(usize, bool)>, E>,
        table: &impl Table,
        full: E,
    ) -> Result<Room, E> {
        let mut hand = self.hand.lock().unwrap_or_else(|e| e.into_inner());
        if hand.elements.try_reserve(1).is_err() {
            return Err(full);
        }
        if let Some((element, new)) = fresh()? {
            if new {
                hand.elements.push(element);
            }
            return Ok(Room {
                element,
                evicted: false,
            });
        }
        let rounds = hand.elements.len().saturating_mul(3);
        for _ in 0..rounds {
            let Some(element) = hand.step() else { break };
            let mark = table.mark(element);
            let now = mark.load(Ordering::Relaxed);
            if now & LIVE == 0 {
                continue;
            }
            if now & USED != 0 {
                mark.fetch_and(!USED, Ordering::Relaxed);
                continue;
            }
            if table.take_out(element) {
                mark.store(0, Ordering::Relaxed);
                return Ok(Room {
                    element,
                    evicted: true,
                });
            }
        }
        Err(full)
    }
}

impl Hand {
    /// The element at the hand, which goes on to the next.
    fn step(&mut self) -> Option<usize> {
        let element = self.elements.get(self.at).copied();
        self.at += 1;
        if self.at >= self.elements.len() {
            self.at = 0;
        }
        element
    }
}

//! Free pieces of memory: a short list of each CPU's own, and a long one for all.
//!
//! A piece is a number (an address) other than 0, and has room for a link to another, so that
//! the lists need no memory. Taking and giving cost one uncontended lock; every [`HALF`]th time
//! half of a CPU's list moves to or from the common one.

use crate::percpu::PerCpu;
use crate::spin::SpinLock;

/// How many pieces move at once; a CPU's own list has at most twice as many.
pub const HALF: usize = 32;

/// Where free pieces keep the link to the next one. A link is read and written only by who has
/// the list that the piece is in.
pub trait Links {
    /// The piece behind this one.
    fn next(&self, piece: usize) -> usize;
    /// Puts another one behind it.
    fn set_next(&self, piece: usize, next: usize);
}

/// Pieces linked one behind the other.
#[derive(Default)]
struct Stack {
    /// 0 when there is none.
    first: usize,
    len: usize,
}

impl Stack {
    fn push(&mut self, piece: usize, links: &impl Links) {
        links.set_next(piece, self.first);
        self.first = piece;
        self.len += 1;
    }

    fn pop(&mut self, links: &impl Links) -> Option<usize> {
        if self.first == 0 {
            return None;
        }
        let piece = self.first;
        self.first = links.next(piece);
        self.len -= 1;
        Some(piece)
    }

    /// Moves at most [`HALF`] pieces to another stack.
    fn move_to(&mut self, other: &mut Stack, links: &impl Links) {
        for _ in 0..HALF {
            match self.pop(links) {
                Some(piece) => other.push(piece, links),
                None => break,
            }
        }
    }
}

/// Free pieces.
pub struct FreeList {
    own: PerCpu<SpinLock<Stack>>,
    common: SpinLock<Stack>,
}

impl FreeList {
    /// An empty list for so many CPUs (at least one).
    pub fn new(cpus: usize) -> FreeList {
        FreeList {
            own: PerCpu::new(cpus.max(1), |_| SpinLock::default()),
            common: SpinLock::default(),
        }
    }

    /// A piece from the list of `cpu` (or the CPU that stands for it), or from the common one.
    #[inline]
    pub fn take(&self, cpu: usize, links: &impl Links) -> Option<usize> {
        let own = self.own.get(cpu % self.own.count())?;
        let mut list = own.lock();
        if list.first == 0 {
            self.common.lock().move_to(&mut list, links);
        }
        list.pop(links)
    }

    /// A piece from the list of any other CPU, so that none is out of reach.
    pub fn take_from_others(&self, cpu: usize, links: &impl Links) -> Option<usize> {
        let cpus = self.own.count();
        (1..cpus).find_map(|step| self.own.get((cpu + step) % cpus)?.lock().pop(links))
    }

    /// Gives a piece to the list of `cpu`.
    #[inline]
    pub fn give(&self, cpu: usize, piece: usize, links: &impl Links) {
        let Some(own) = self.own.get(cpu % self.own.count()) else {
            return;
        };
        let mut list = own.lock();
        list.push(piece, links);
        if list.len >= 2 * HALF {
            list.move_to(&mut self.common.lock(), links);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// The links of pieces that are numbers and nothing else.
    struct Numbers(Vec<AtomicUsize>);

    impl Numbers {
        fn new(count: usize) -> Numbers {
            Numbers((0..=count).map(|_| AtomicUsize::new(0)).collect())
        }

        /// All pieces that a list has, in order.
        fn all(&self, list: &FreeList, cpu: usize) -> Vec<usize> {
            let next = || {
                let own = list.take(cpu, self);
                own.or_else(|| list.take_from_others(cpu, self))
            };
            let mut all: Vec<usize> = std::iter::from_fn(next).collect();
            all.sort_unstable();
            all
        }
    }

    impl Links for Numbers {
        fn next(&self, piece: usize) -> usize {
            self.0[piece].load(Relaxed)
        }

        fn set_next(&self, piece: usize, next: usize) {
            self.0[piece].store(next, Relaxed);
        }
    }

    #[test]
    fn no_piece_is_lost_or_doubled() {
        let (list, numbers) = (FreeList::new(3), Numbers::new(500));
        (1..=500).for_each(|piece| list.give(piece % 3, piece, &numbers));
        assert_eq!(numbers.all(&list, 1), (1..=500).collect::<Vec<_>>());
        assert_eq!(list.take(0, &numbers), None);
    }

    #[test]
    fn threads() {
        let (list, numbers) = (FreeList::new(2), Numbers::new(64));
        (1..=64).for_each(|piece| list.give(0, piece, &numbers));
        std::thread::scope(|scope| {
            for cpu in 0..4 {
                let (list, numbers) = (&list, &numbers);
                scope.spawn(move || {
                    let mut held = Vec::new();
                    for round in 0..5000 {
                        match round % 3 {
                            0 => held.extend(list.take(cpu, numbers)),
                            1 => held.extend(list.take_from_others(cpu, numbers)),
                            _ => held
                                .drain(..)
                                .for_each(|piece| list.give(cpu, piece, numbers)),
                        }
                    }
                    held.into_iter()
                        .for_each(|piece| list.give(cpu, piece, numbers));
                });
            }
        });
        assert_eq!(numbers.all(&list, 0), (1..=64).collect::<Vec<_>>());
    }
}

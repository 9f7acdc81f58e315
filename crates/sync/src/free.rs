//! Free pieces of memory: a short list of each virtual CPU's own, and a long one for all.
//!
//! A piece is a number (an address) other than 0. Taking and giving cost one uncontended
//! lock; every [`HALF`]th time half of a CPU's list moves to or from the common one. When the
//! common list is empty, the lists of other CPUs are looked through, so that no piece is out
//! of reach.

use crate::percpu::PerCpu;
use crate::spin::SpinLock;

/// How many pieces move at once; a CPU's own list has at most twice as many.
pub const HALF: usize = 32;

/// Free pieces.
pub struct FreeList {
    own: PerCpu<SpinLock<Vec<usize>>>,
    common: SpinLock<Vec<usize>>,
}

impl FreeList {
    /// An empty list for so many CPUs (at least one).
    pub fn new(cpus: usize) -> FreeList {
        FreeList {
            own: PerCpu::new(cpus.max(1), |_| SpinLock::default()),
            common: SpinLock::default(),
        }
    }

    /// A piece, from the list of `cpu` where it can be had there.
    pub fn take(&self, cpu: usize) -> Option<usize> {
        let cpus = self.own.count();
        let own = self.own.get(cpu % cpus)?;
        let mut list = own.lock();
        if let Some(piece) = list.pop() {
            return Some(piece);
        }
        {
            let mut common = self.common.lock();
            let rest = common.len().saturating_sub(HALF);
            list.extend(common.drain(rest..));
        }
        if let Some(piece) = list.pop() {
            return Some(piece);
        }
        // Two CPUs that look at each other's lists must not hold their own meanwhile.
        drop(list);
        (1..cpus).find_map(|step| self.own.get((cpu + step) % cpus)?.lock().pop())
    }

    /// Gives a piece to the list of `cpu`.
    pub fn give(&self, cpu: usize, piece: usize) {
        let Some(own) = self.own.get(cpu % self.own.count()) else {
            return;
        };
        let mut list = own.lock();
        list.push(piece);
        if list.len() >= 2 * HALF {
            let mut common = self.common.lock();
            common.extend(list.drain(..HALF));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn no_piece_is_lost_or_doubled() {
        let list = FreeList::new(3);
        (1..=500).for_each(|piece| list.give(piece % 3, piece));
        let mut seen: Vec<usize> = std::iter::from_fn(|| list.take(1)).collect();
        seen.sort_unstable();
        assert_eq!(seen, (1..=500).collect::<Vec<_>>());
        assert_eq!(list.take(0), None);
    }

    #[test]
    fn threads() {
        let list = FreeList::new(2);
        (1..=64).for_each(|piece| list.give(0, piece));
        std::thread::scope(|scope| {
            for cpu in 0..4 {
                let list = &list;
                scope.spawn(move || {
                    let mut held = Vec::new();
                    for round in 0..5000 {
                        match round % 3 {
                            0 | 1 => held.extend(list.take(cpu)),
                            _ => held.drain(..).for_each(|piece| list.give(cpu, piece)),
                        }
                    }
                    held.into_iter().for_each(|piece| list.give(cpu, piece));
                });
            }
        });
        let mut seen: Vec<usize> = std::iter::from_fn(|| list.take(0)).collect();
        seen.sort_unstable();
        assert_eq!(seen, (1..=64).collect::<Vec<_>>());
    }
}

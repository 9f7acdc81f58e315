//! The values of an element: one, or one for each CPU.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Elem, Hash};
use crate::map::Side;

impl Hash {
    #[inline]
    pub(super) fn value(&self, elem: Elem, cpu: u32) -> *mut u8 {
        let plane = if self.percpu {
            cpu.min(self.planes - 1) as usize
        } else {
            0
        };
        // SAFETY: every element has a value for each of its planes.
        unsafe { elem.0.add(self.value_at + plane * self.shape.stride()) }
    }

    pub(super) fn read_elem(&self, elem: Elem, out: &mut [u8], lock: bool) {
        // SAFETY: the values belong to a live element and are of this shape.
        unsafe {
            if !self.percpu {
                let value = self.value(elem, 0);
                let load = |out: &mut [u8]| self.shape.load(out, value);
                if lock {
                    self.shape.locked(value, || load(out))
                } else {
                    load(out)
                }
                return;
            }
            for (cpu, part) in out.chunks_mut(self.shape.stride()).enumerate() {
                self.shape.load(part, self.value(elem, cpu as u32));
            }
        }
    }

    /// Overwrites a value that others may see.
    pub(super) fn store(&self, elem: Elem, value: &[u8], side: Side, lock: bool) {
        // SAFETY: as in `read_elem`.
        unsafe {
            match side {
                Side::User if self.percpu => {
                    for (cpu, part) in value.chunks(self.shape.stride()).enumerate() {
                        self.shape.store(self.value(elem, cpu as u32), part);
                    }
                }
                Side::User | Side::Program { .. } => {
                    let to = self.value(elem, side.cpu());
                    let store = || self.shape.store(to, value);
                    if lock {
                        self.shape.locked(to, store)
                    } else {
                        store()
                    }
                }
            }
        }
    }

    /// Writes the value of an element that is not in the table yet. A program sets the value
    /// of its own CPU only; the other CPUs start from zero.
    pub(super) fn init(&self, elem: Elem, value: &[u8], side: Side) {
        if let (true, Some(word)) = (self.references, value.first_chunk()) {
            // SAFETY: the value is one aligned word of a live element, only accessed
            // atomically.
            let to = unsafe { &*self.value(elem, 0).cast::<AtomicU64>() };
            // Who still knows the element from before follows the new word, too.
            return to.store(u64::from_ne_bytes(*word), Ordering::Release);
        }
        // SAFETY: as in `read_elem`.
        unsafe {
            for cpu in 0..self.planes {
                let to = self.value(elem, cpu);
                match side {
                    Side::User if self.percpu => {
                        let at = cpu as usize * self.shape.stride();
                        self.shape.init(to, value.get(at..).unwrap_or_default());
                    }
                    Side::Program { cpu: own } if self.percpu && own != cpu => self.shape.clear(to),
                    Side::User | Side::Program { .. } => self.shape.init(to, value),
                }
            }
        }
    }

    /// Has the values of an element give up what they own. The element is out of the table
    /// or about to be used anew; a program may still know it, and put something in again.
    pub(super) fn give_up(&self, elem: Elem, only_later: bool) {
        if self.shape.owns() {
            for cpu in 0..self.planes {
                // SAFETY: as in `read_elem`.
                unsafe { self.shape.give_up(self.value(elem, cpu), only_later) }
            }
        }
    }

    /// Has all elements give up what they own, or only what happens later.
    pub(crate) fn give_up_all(&self, only_later: bool) {
        if self.shape.owns() {
            self.pool
                .each(|piece| self.give_up(Elem(piece), only_later));
        }
    }
}

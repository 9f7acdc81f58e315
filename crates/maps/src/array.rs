//! Arrays: every element exists from the start; a lookup is a bounds check and an address.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use skep_abi::Errno;

use crate::ledger::Ledger;
use crate::region::{PAGE, Region};
use crate::shared::{Shared, View};
use crate::value::Shape;

/// Where the values lie.
enum Memory {
    Own(Region),
    /// In pages that can be mapped again.
    Shared(Shared),
}

/// The elements of an array, one plane per CPU for the per-CPU kind.
pub(crate) struct Array {
    memory: Memory,
    /// The address of the first value.
    base: *mut u8,
    len: usize,
    stride: usize,
    plane: usize,
    entries: u32,
    pub(crate) shape: Shape,
}

// SAFETY: `base` is an address in `memory`, which is itself shared between threads; accesses
// go through atomics or are those of programs.
unsafe impl Send for Array {}
// SAFETY: as above.
unsafe impl Sync for Array {}

impl Drop for Array {
    fn drop(&mut self) {
        self.give_up_all(false);
    }
}

impl Array {
    /// `planes` is 1, or the number of CPUs.
    pub(crate) fn new(
        shape: Shape,
        entries: u32,
        planes: u32,
        mappable: bool,
        ledger: &Arc<Ledger>,
    ) -> Result<Array, Errno> {
        let stride = shape.stride();
        let plane = (stride as u64)
            .checked_mul(u64::from(entries))
            .ok_or(Errno::ENOMEM)?;
        // Planes of different CPUs do not share cache lines.
        let plane = plane.checked_next_multiple_of(128).ok_or(Errno::ENOMEM)?;
        let mut len = plane.checked_mul(u64::from(planes)).ok_or(Errno::ENOMEM)?;
        if mappable {
            len = len
                .checked_next_multiple_of(PAGE as u64)
                .ok_or(Errno::ENOMEM)?;
        }
        let plane = usize::try_from(plane).map_err(|_| Errno::ENOMEM)?;
        let memory = match mappable {
            true => Memory::Shared(Shared::new(
                usize::try_from(len).map_err(|_| Errno::ENOMEM)?,
                0,
                ledger,
            )?),
            false => Memory::Own(Region::new(len, ledger)?),
        };
        let base = match &memory {
            Memory::Own(region) => region.at(0),
            Memory::Shared(shared) => shared.base(),
        };
        Ok(Array {
            memory,
            base,
            len: usize::try_from(len).map_err(|_| Errno::ENOMEM)?,
            stride,
            plane,
            entries,
            shape,
        })
    }

    /// The value at `index` for `cpu` (0 for the plain kind).
    #[inline]
    pub(crate) fn value(&self, index: u32, cpu: u32) -> Option<*mut u8> {
        if index >= self.entries {
            return None;
        }
        let at = cpu as usize * self.plane + index as usize * self.stride;
        // Address arithmetic only; what makes an access sound is said at the access.
        Some(self.base.wrapping_add(at))
    }

    /// Maps a part of the values once more.
    ///
    /// # Errors
    /// `EINVAL` beyond the end, and for an array that was not made for it.
    pub(crate) fn map(&self, offset: usize, len: usize, writable: bool) -> Result<View, Errno> {
        match &self.memory {
            Memory::Own(_) => Err(Errno::EINVAL),
            Memory::Shared(shared) => shared.map(offset, len, writable),
        }
    }

    /// A descriptor of the memory.
    ///
    /// # Errors
    /// As for [`map`](Self::map); `EMFILE`.
    pub(crate) fn descriptor(&self) -> Result<OwnedFd, Errno> {
        match &self.memory {
            Memory::Own(_) => Err(Errno::EINVAL),
            Memory::Shared(shared) => shared.descriptor(),
        }
    }

    /// Has all values give up what they own, or only what happens later.
    pub(crate) fn give_up_all(&self, only_later: bool) {
        if !self.shape.owns() {
            return;
        }
        for plane in (0..self.len).step_by(self.plane.max(1)) {
            for index in 0..self.entries as usize {
                let value = self.base.wrapping_add(plane + index * self.stride);
                // SAFETY: the value is one of the array's.
                unsafe { self.shape.give_up(value, only_later) }
            }
        }
    }

    /// How many values a plane has.
    pub(crate) fn entries(&self) -> u32 {
        self.entries
    }

    /// From one value to the next, in bytes.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// From the values of one CPU to those of the next, in bytes.
    pub(crate) fn plane(&self) -> usize {
        self.plane
    }

    /// Bytes of all values of one plane, as direct value access sees them.
    pub(crate) fn direct_len(&self) -> u64 {
        self.stride as u64 * u64::from(self.entries)
    }

    /// Whether the bytes lie in one plane's values. Elements of an array may be walked
    /// through with direct access, so the range may span several.
    pub(crate) fn owns(&self, addr: u64, len: u64) -> bool {
        let Some(at) = addr.checked_sub(self.base as u64) else {
            return false;
        };
        let Some(end) = at.checked_add(len) else {
            return false;
        };
        let plane = self.plane.max(1) as u64;
        let start = at / plane * plane;
        start < self.len as u64 && end <= start + self.direct_len()
    }

    /// The index and the start of the value that holds the byte at `addr`, in the first plane.
    pub(crate) fn element(&self, addr: u64) -> Option<(Vec<u8>, u64)> {
        let start = self.base as u64;
        let index = addr.checked_sub(start)? / self.stride.max(1) as u64;
        let index = u32::try_from(index)
            .ok()
            .filter(|index| *index < self.entries)?;
        let value = start + u64::from(index) * self.stride as u64;
        Some((index.to_ne_bytes().to_vec(), value))
    }

    /// Whether an element's value begins here.
    pub(crate) fn starts_value(&self, addr: u64) -> bool {
        addr.checked_sub(self.base as u64).is_some_and(|at| {
            (at % self.plane.max(1) as u64).is_multiple_of(self.stride.max(1) as u64)
        })
    }
}

//! Which element of a hash table an address lies in.

use super::{Elem, HEADER, Hash};

impl Hash {
    /// Whether the bytes lie in one value, or, for reading, in one key.
    pub(crate) fn owns(&self, addr: u64, len: u64, write: bool) -> bool {
        let Some(at) = self.pool.within(addr) else {
            return false;
        };
        let Ok(len) = usize::try_from(len) else {
            return false;
        };
        let Some(end) = at.checked_add(len) else {
            return false;
        };
        if !write && at >= HEADER && end <= HEADER + self.key_size {
            return true;
        }
        let Some(inside) = at.checked_sub(self.value_at) else {
            return false;
        };
        let stride = self.shape.stride();
        inside / stride < self.planes as usize && inside % stride + len <= stride
    }

    /// The key and the start of the value that holds the byte at `addr`.
    pub(crate) fn element(&self, addr: u64) -> Option<(Vec<u8>, u64)> {
        let at = self.pool.within(addr).filter(|at| *at >= self.value_at)?;
        let elem = Elem((addr - at as u64) as *mut u8);
        let mut key = vec![0; self.key_size];
        self.read_key(elem, &mut key);
        Some((key, elem.link() + self.value_at as u64))
    }

    /// Whether a value begins here.
    pub(crate) fn starts_value(&self, addr: u64) -> bool {
        let at = self
            .pool
            .within(addr)
            .and_then(|at| at.checked_sub(self.value_at));
        at.is_some_and(|at| at.is_multiple_of(self.shape.stride()))
    }
}

//! How a caller lends its buffers to a kernel without unsafe code, and how a kernel reads
//! them exactly once.

use crate::{Errno, UserMemory};

/// A set of borrowed slices that a kernel may read, and some of which it may write.
///
/// A slice is known by its own address in this process, so addresses in logs and traces
/// look like what they are; a slice without bytes has no address that can be read.
///
/// ```
/// use skep_abi::{Buffers, UserMemory};
/// let (key, mut value) = ([1, 0, 0, 0], [0; 8]);
/// let mut memory = Buffers::new();
/// let key_at = memory.input(&key);
/// let value_at = memory.output(&mut value);
/// memory.write(value_at + 4, &[7]).unwrap();
/// assert!(memory.write(key_at, &[9]).is_err());
/// drop(memory);
/// assert_eq!(value, [0, 0, 0, 0, 7, 0, 0, 0]);
/// ```
#[derive(Default)]
pub struct Buffers<'a> {
    /// The first ones; commands on elements need no more, and so no allocation.
    few: [Option<Grant<'a>>; FEW],
    more: Vec<Grant<'a>>,
}

/// So many grants lie in the set itself.
const FEW: usize = 4;

enum Grant<'a> {
    Input(&'a [u8]),
    Output(&'a mut [u8]),
}

impl Grant<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Grant::Input(bytes) => bytes,
            Grant::Output(bytes) => bytes,
        }
    }
}

impl<'a> Buffers<'a> {
    /// No memory at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lends `bytes` for reading and returns their address.
    pub fn input(&mut self, bytes: &'a [u8]) -> u64 {
        let addr = bytes.as_ptr() as u64;
        self.grant(Grant::Input(bytes));
        addr
    }

    /// Lends `bytes` for reading and writing and returns their address.
    pub fn output(&mut self, bytes: &'a mut [u8]) -> u64 {
        let addr = bytes.as_ptr() as u64;
        self.grant(Grant::Output(bytes));
        addr
    }

    fn grant(&mut self, grant: Grant<'a>) {
        match self.few.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(grant),
            None => self.more.push(grant),
        }
    }
}

/// The range inside `bytes` that `len` bytes at `addr` mean, when they all lie there.
fn locate(bytes: &[u8], addr: u64, len: usize) -> Option<core::ops::Range<usize>> {
    let start = usize::try_from(addr.checked_sub(bytes.as_ptr() as u64)?).ok()?;
    let end = start.checked_add(len)?;
    (end <= bytes.len()).then_some(start..end)
}

impl UserMemory for Buffers<'_> {
    fn read(&self, addr: u64, into: &mut [u8]) -> Result<(), Errno> {
        if into.is_empty() {
            return Ok(());
        }
        for grant in self.few.iter().flatten().chain(&self.more) {
            let bytes = grant.bytes();
            if let Some(from) = locate(bytes, addr, into.len()).and_then(|range| bytes.get(range)) {
                into.copy_from_slice(from);
                return Ok(());
            }
        }
        Err(Errno::EFAULT)
    }

    fn write(&mut self, addr: u64, from: &[u8]) -> Result<(), Errno> {
        if from.is_empty() {
            return Ok(());
        }
        for grant in self.few.iter_mut().flatten().chain(&mut self.more) {
            let Grant::Output(bytes) = grant else {
                continue;
            };
            if let Some(to) = locate(bytes, addr, from.len()).and_then(|range| bytes.get_mut(range))
            {
                to.copy_from_slice(from);
                return Ok(());
            }
        }
        Err(Errno::EFAULT)
    }
}

/// Reads `len` bytes at `addr`, once.
///
/// # Errors
/// `EFAULT` when they are not all granted; `ENOMEM` when this process cannot hold them.
pub fn copy_in(memory: &dyn UserMemory, addr: u64, len: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(len, 0);
    memory.read(addr, &mut bytes)?;
    Ok(bytes)
}

/// Bytes that are seldom many: up to `N` lie in the value itself, more in memory of their own.
///
/// ```
/// use skep_abi::{Buffers, SmallBytes};
/// let mut memory = Buffers::new();
/// let at = memory.input(&[1, 2, 3]);
/// let mut small = SmallBytes::<2>::new();
/// small.copy_in(&memory, at, 2).unwrap();
/// assert_eq!(*small, [1, 2]);
/// small.copy_in(&memory, at, 3).unwrap();
/// assert_eq!(*small, [1, 2, 3]);
/// ```
pub struct SmallBytes<const N: usize> {
    inline: [u8; N],
    /// Empty when the bytes lie in `inline`.
    heap: Vec<u8>,
    len: usize,
}

impl<const N: usize> SmallBytes<N> {
    /// No bytes.
    #[inline]
    pub const fn new() -> Self {
        SmallBytes {
            inline: [0; N],
            heap: Vec::new(),
            len: 0,
        }
    }

    /// Makes them so many; what they are is not said.
    ///
    /// # Errors
    /// `ENOMEM` when this process cannot hold them.
    #[inline]
    pub fn resize(&mut self, len: usize) -> Result<(), Errno> {
        self.len = len;
        if len > N {
            self.grow(len)?;
        }
        Ok(())
    }

    #[cold]
    fn grow(&mut self, len: usize) -> Result<(), Errno> {
        let more = len.saturating_sub(self.heap.len());
        let reserved = self.heap.try_reserve_exact(more);
        reserved.map_err(|_| Errno::ENOMEM)?;
        self.heap.resize(len, 0);
        Ok(())
    }

    /// Reads `len` bytes at `addr`, once, in the place of those that were here.
    ///
    /// # Errors
    /// As for [`copy_in`](fn@copy_in).
    #[inline]
    pub fn copy_in(&mut self, memory: &dyn UserMemory, addr: u64, len: usize) -> Result<(), Errno> {
        self.resize(len)?;
        memory.read(addr, self)
    }
}

impl<const N: usize> Default for SmallBytes<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> core::ops::Deref for SmallBytes<N> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.inline.get(..self.len).unwrap_or(&self.heap)
    }
}

impl<const N: usize> core::ops::DerefMut for SmallBytes<N> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.inline.get_mut(..self.len).unwrap_or(&mut self.heap)
    }
}

/// Reads a string at `addr`, once: up to its NUL, which is not part of the answer, or
/// `limit` bytes when there is no NUL among them.
///
/// # Errors
/// `EFAULT` when the memory ends before the string does.
pub fn copy_in_string(memory: &dyn UserMemory, addr: u64, limit: usize) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    let mut at = addr;
    while text.len() < limit {
        let mut byte = [0];
        memory.read(at, &mut byte)?;
        if byte == [0] {
            break;
        }
        text.extend_from_slice(&byte);
        at = at.checked_add(1).ok_or(Errno::EFAULT)?;
    }
    Ok(text)
}

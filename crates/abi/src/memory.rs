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
    grants: Vec<Grant<'a>>,
}

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
        self.grants.push(Grant::Input(bytes));
        addr
    }

    /// Lends `bytes` for reading and writing and returns their address.
    pub fn output(&mut self, bytes: &'a mut [u8]) -> u64 {
        let addr = bytes.as_ptr() as u64;
        self.grants.push(Grant::Output(bytes));
        addr
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
        for grant in &self.grants {
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
        for grant in &mut self.grants {
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

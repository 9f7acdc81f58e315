//! How the caller's memory reaches the kernel: through buffers of our own, so that a
//! wrong length can corrupt nobody.

use skep_abi::{Errno, UserMemory, copy_in, copy_in_string};

/// An address that no process has (it is not canonical).
const NOWHERE: u64 = 0xdead_0000_0000_0000;

/// What a command does with the memory behind a pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    /// Reads these bytes, and perhaps writes them.
    Bytes(usize),
    /// Writes text of at most this many bytes, its NUL included.
    Log(usize),
    /// Reads text up to its NUL, of at most this many bytes.
    Text(usize),
}

/// One pointer of a structure, and the buffer that stands in for it during the call.
struct Bounce {
    offset: usize,
    addr: u64,
    kind: Use,
    before: Vec<u8>,
    buffer: Vec<u8>,
}

/// The pointers of one structure.
#[derive(Default)]
pub(crate) struct Bounces {
    all: Vec<Bounce>,
    /// The structures' own pointers to further structures.
    nested: Vec<Bounces>,
}

/// The eight bytes at `offset` as a number; 0 where the structure is too short.
pub(crate) fn load(holder: &[u8], offset: usize) -> u64 {
    let mut raw = [0; 8];
    let from = holder.get(offset..).unwrap_or(&[]);
    for (to, from) in raw.iter_mut().zip(from) {
        *to = *from;
    }
    u64::from_ne_bytes(raw)
}

fn store(holder: &mut [u8], offset: usize, value: u64) {
    let to = holder.get_mut(offset..).unwrap_or(&mut []);
    for (to, from) in to.iter_mut().zip(value.to_ne_bytes()) {
        *to = from;
    }
}

impl Bounces {
    /// Replaces the pointer at `offset` of `holder` by one to a buffer of our own. A null
    /// pointer stays what it is; a pointer to no bytes becomes one to some bytes of ours, and
    /// one to memory that is not there, or not all of it, becomes one that leads nowhere.
    ///
    /// # Errors
    /// When the caller's memory cannot be read.
    pub(crate) fn add(
        &mut self,
        memory: &dyn UserMemory,
        holder: &mut [u8],
        offset: usize,
        kind: Use,
    ) -> Result<(), Errno> {
        let addr = load(holder, offset);
        if addr == 0 {
            return Ok(());
        }
        let is_there = match kind {
            Use::Bytes(0) => Ok(()),
            Use::Bytes(len) | Use::Log(len) => {
                let first = memory.read(addr, &mut [0]);
                first.and_then(|()| ensure(memory, addr, len))
            }
            Use::Text(_) => memory.read(addr, &mut [0]),
        };
        if is_there == Err(Errno::EFAULT) {
            // When the kernel looks there, and so which error wins, is for the kernel to say: it
            // may find the length too large before.
            store(holder, offset, NOWHERE);
            self.all.push(Bounce {
                offset,
                addr,
                kind: Use::Bytes(0),
                before: Vec::new(),
                buffer: Vec::new(),
            });
            return Ok(());
        }
        let (before, mut buffer) = match kind {
            Use::Bytes(len) => {
                let bytes = copy_in(memory, addr, len)?;
                (bytes.clone(), bytes)
            }
            Use::Log(len) => (Vec::new(), vec![0; len]),
            Use::Text(limit) => {
                let mut text = copy_in_string(memory, addr, limit)?;
                text.push(0);
                text.resize(limit.saturating_add(1), 0);
                (text.clone(), text)
            }
        };
        if buffer.is_empty() {
            buffer.push(0);
        }
        store(holder, offset, buffer.as_mut_ptr() as u64);
        self.all.push(Bounce {
            offset,
            addr,
            kind,
            before,
            buffer,
        });
        Ok(())
    }

    /// Adds a structure of `len` bytes whose own pointers `inside` bounces.
    pub(crate) fn add_structure(
        &mut self,
        memory: &dyn UserMemory,
        holder: &mut [u8],
        offset: usize,
        len: usize,
        inside: impl FnOnce(&mut Bounces, &mut [u8]) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let count = self.all.len();
        self.add(memory, holder, offset, Use::Bytes(len))?;
        let mut nested = Bounces::default();
        if let Some(structure) = self.all.get_mut(count) {
            inside(&mut nested, &mut structure.buffer)?;
        }
        self.nested.resize_with(count, Bounces::default);
        self.nested.push(nested);
        Ok(())
    }

    /// Tells the compiler that whoever knows the addresses may read and write the buffers.
    pub(crate) fn hold(&mut self) {
        for bounce in &mut self.all {
            std::hint::black_box(bounce.buffer.as_mut_ptr());
        }
        for nested in &mut self.nested {
            nested.hold();
        }
    }

    /// Puts the caller's pointers back into `holder` and copies out what has changed.
    ///
    /// # Errors
    /// `EFAULT` when something changed in memory that the caller does not let be written.
    pub(crate) fn finish(
        self,
        memory: &mut dyn UserMemory,
        holder: &mut [u8],
    ) -> Result<(), Errno> {
        let mut nested = self.nested.into_iter();
        for mut bounce in self.all {
            store(holder, bounce.offset, bounce.addr);
            if let Some(nested) = nested.next() {
                nested.finish(memory, &mut bounce.buffer)?;
            }
            match bounce.kind {
                Use::Text(_) => {}
                Use::Log(_) => {
                    let text = bounce.buffer.iter().position(|byte| *byte == 0);
                    let end = text.map_or(bounce.buffer.len(), |nul| nul.saturating_add(1));
                    memory.write(bounce.addr, bounce.buffer.get(..end).unwrap_or(&[]))?;
                }
                Use::Bytes(len) => {
                    bounce.buffer.truncate(len);
                    if bounce.buffer != bounce.before {
                        memory.write(bounce.addr, &bounce.buffer)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Fails with `EFAULT` for memory that is not there, before anything large is allocated for it.
fn ensure(memory: &dyn UserMemory, addr: u64, len: usize) -> Result<(), Errno> {
    let Some(last) = len.checked_sub(1) else {
        return Ok(());
    };
    let last = u64::try_from(last).map_err(|_| Errno::EFAULT)?;
    memory.read(addr.checked_add(last).ok_or(Errno::EFAULT)?, &mut [0])
}

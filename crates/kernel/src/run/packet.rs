//! The packet that a program works on: one piece of native memory with room before and
//! behind the data, and, for large XDP packets, the fragments that lie elsewhere.

use skep_abi::Errno;

use crate::memory::Block;

/// Room before the data of a fresh packet (`XDP_PACKET_HEADROOM`, and more than the 64 bytes
/// that Linux keeps before a socket buffer's).
pub(crate) const HEADROOM: usize = 256;

/// A packet. `meta <= data <= end` are places in the block.
pub(crate) struct Packet {
    block: Block,
    pub(crate) meta: usize,
    pub(crate) data: usize,
    pub(crate) end: usize,
    /// What follows the linear part.
    pub(crate) frags: Vec<u8>,
    /// Bytes that were taken from the front of the first fragment's page.
    pulled: usize,
}

/// Bytes of the page that each fragment has to itself.
const FRAGMENT: usize = 4096;

impl Packet {
    /// A packet with `headroom` before it and `tailroom` behind; the first `meta_len` bytes
    /// are metadata.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn new(
        bytes: &[u8],
        meta_len: usize,
        headroom: usize,
        tailroom: usize,
    ) -> Result<Packet, Errno> {
        let block = Block::new(headroom + bytes.len() + tailroom)?;
        block.write(headroom, bytes);
        let data = headroom + meta_len.min(bytes.len());
        Ok(Packet {
            block,
            meta: headroom,
            data,
            end: headroom + bytes.len(),
            frags: Vec::new(),
            pulled: 0,
        })
    }

    /// Bytes of the linear part.
    pub(crate) fn linear(&self) -> usize {
        self.end - self.data
    }

    /// Bytes in all.
    pub(crate) fn len(&self) -> usize {
        self.linear() + self.frags.len()
    }

    /// Bytes between the data and the end of the block.
    pub(crate) fn tailroom(&self) -> usize {
        self.block.len() - self.end
    }

    pub(crate) fn data_address(&self) -> u64 {
        self.block.at(self.data)
    }

    pub(crate) fn end_address(&self) -> u64 {
        self.block.at(self.end)
    }

    pub(crate) fn meta_address(&self) -> u64 {
        self.block.at(self.meta)
    }

    /// Whether the range lies in metadata and linear data.
    pub(crate) fn covers(&self, addr: u64, len: u64) -> bool {
        addr >= self.meta_address()
            && addr
                .checked_add(len)
                .is_some_and(|end| end <= self.end_address())
    }

    /// Copies `out.len()` bytes at `offset` of the data, fragments included.
    ///
    /// # Errors
    /// `EFAULT` when they are not all there.
    pub(crate) fn load(&self, offset: usize, out: &mut [u8]) -> Result<(), Errno> {
        let end = offset.checked_add(out.len()).ok_or(Errno::EFAULT)?;
        if end > self.len() {
            return Err(Errno::EFAULT);
        }
        let here = self.linear().saturating_sub(offset).min(out.len());
        let (near, far) = out.split_at_mut(here);
        self.block.read(self.data + offset, near);
        let from = (offset + here) - self.linear().min(offset + here);
        let bytes = self
            .frags
            .get(from..from + far.len())
            .ok_or(Errno::EFAULT)?;
        far.copy_from_slice(bytes);
        Ok(())
    }

    /// Copies bytes at a place of the block, which may lie before the data.
    ///
    /// # Errors
    /// `EFAULT` when they reach beyond the linear data.
    pub(crate) fn load_at(&self, place: usize, out: &mut [u8]) -> Result<(), Errno> {
        if place
            .checked_add(out.len())
            .is_none_or(|end| end > self.end)
        {
            return Err(Errno::EFAULT);
        }
        self.block.read(place, out);
        Ok(())
    }

    /// Overwrites bytes at `offset` of the data, fragments included.
    ///
    /// # Errors
    /// `EFAULT` when they are not all there.
    pub(crate) fn store(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Errno> {
        let end = offset.checked_add(bytes.len()).ok_or(Errno::EFAULT)?;
        if end > self.len() {
            return Err(Errno::EFAULT);
        }
        let here = self.linear().saturating_sub(offset).min(bytes.len());
        let (near, far) = bytes.split_at(here);
        self.block.write(self.data + offset, near);
        let from = (offset + here) - self.linear().min(offset + here);
        let place = self
            .frags
            .get_mut(from..from + far.len())
            .ok_or(Errno::EFAULT)?;
        place.copy_from_slice(far);
        Ok(())
    }

    /// The whole packet, without metadata.
    pub(crate) fn whole(&self) -> Vec<u8> {
        let mut out = self.block.bytes(self.data, self.linear());
        out.extend_from_slice(&self.frags);
        out
    }

    /// Metadata and the linear part.
    pub(crate) fn linear_with_meta(&self) -> Vec<u8> {
        self.block.bytes(self.meta, self.end - self.meta)
    }

    /// Moves the start of the data, and the metadata with it.
    pub(crate) fn move_head(&mut self, data: usize) {
        let len = self.data - self.meta;
        let meta = data - len;
        self.block.shift(self.meta, meta, len);
        self.meta = meta;
        self.data = data;
    }

    /// How many bytes the last fragment can still grow.
    pub(crate) fn fragment_room(&self) -> usize {
        match (self.pulled + self.frags.len()) % FRAGMENT {
            0 => 0,
            last => FRAGMENT - last,
        }
    }

    /// Takes bytes from the front of the fragments into the linear part. Where there is too
    /// little room behind it, it moves forward, but not before `floor`.
    ///
    /// # Errors
    /// `EINVAL` when there are not as many bytes, or there is no room for them.
    pub(crate) fn pull(&mut self, bytes: usize, floor: usize) -> Result<(), Errno> {
        let forward = bytes.saturating_sub(self.tailroom());
        if bytes > self.frags.len() || forward > self.meta.saturating_sub(floor) {
            return Err(Errno::EINVAL);
        }
        let start = self.meta - forward;
        self.block.shift(self.meta, start, self.end - self.meta);
        (self.meta, self.data, self.end) = (start, self.data - forward, self.end - forward);
        let taken: Vec<u8> = self.frags.drain(..bytes).collect();
        self.block.write(self.end, &taken);
        self.end += bytes;
        self.pulled = (self.pulled + bytes) % FRAGMENT;
        Ok(())
    }

    /// Writes zeros between two places of the block.
    pub(crate) fn clear(&self, from: usize, to: usize) {
        if to > from {
            self.block.write(from, &vec![0; to - from]);
        }
    }

    /// Makes the data `len` bytes long, with zeros where it grows.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn resize(&mut self, len: usize) -> Result<(), Errno> {
        let grown = len.saturating_sub(self.linear());
        self.reserve(0, grown)?;
        self.clear(self.end, self.data + len);
        self.end = self.data + len;
        Ok(())
    }

    /// Takes `remove` bytes away at `at` of the data and puts `insert` zeros there; what is
    /// before moves, what is behind stays.
    ///
    /// # Errors
    /// `ENOMEM`, `EFAULT` when there is less to remove.
    pub(crate) fn splice(&mut self, at: usize, remove: usize, insert: usize) -> Result<(), Errno> {
        if at.checked_add(remove).is_none_or(|end| end > self.linear()) {
            return Err(Errno::EFAULT);
        }
        self.reserve(insert.saturating_sub(remove), 0)?;
        let data = self.data + remove - insert;
        self.block.shift(self.data, data, at);
        self.clear(data + at, data + at + insert);
        (self.meta, self.data) = (data, data);
        Ok(())
    }

    /// Makes room before and behind the data, in a new block when there is too little.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn reserve(&mut self, head: usize, tail: usize) -> Result<(), Errno> {
        if head <= self.meta && tail <= self.tailroom() {
            return Ok(());
        }
        let bytes = self.block.bytes(self.meta, self.end - self.meta);
        let meta_len = self.data - self.meta;
        let (frags, pulled) = (std::mem::take(&mut self.frags), self.pulled);
        let tailroom = tail + HEADROOM;
        *self = Packet::new(&bytes, meta_len, head + HEADROOM, tailroom)?;
        (self.frags, self.pulled) = (frags, pulled);
        Ok(())
    }
}

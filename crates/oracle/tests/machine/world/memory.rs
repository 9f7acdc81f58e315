//! Memory as a plain machine has it: regions of bytes, and nothing between them.

use std::collections::BTreeMap;

use crate::machine::Stop;

/// Memory by places that were written; the rest of a region is a pattern that depends on the seed.
#[derive(Clone, Default)]
pub struct Memory {
    pub regions: BTreeMap<u64, Vec<u8>>,
}

impl Memory {
    pub fn add(&mut self, base: u64, bytes: Vec<u8>) {
        self.regions.insert(base, bytes);
    }

    /// A new frame below `top`.
    pub fn fill_frame(&mut self, top: u64) {
        self.add(top - 1024, vec![0xa5; 1024]);
    }

    pub fn bytes(&mut self, address: u64, size: usize) -> Result<&mut [u8], Stop> {
        let nowhere = || Stop::Fault(format!("nothing at {address:#x}"));
        let (base, region) = self
            .regions
            .range_mut(..=address)
            .next_back()
            .ok_or_else(nowhere)?;
        let at = (address - base) as usize;
        region.get_mut(at..at + size).ok_or_else(nowhere)
    }

    pub fn load(&mut self, address: u64, size: usize) -> Result<u64, Stop> {
        let mut word = [0; 8];
        word[..size].copy_from_slice(self.bytes(address, size)?);
        Ok(u64::from_le_bytes(word))
    }

    pub fn store(&mut self, address: u64, size: usize, value: u64) -> Result<(), Stop> {
        let bytes = value.to_le_bytes();
        self.bytes(address, size)?.copy_from_slice(&bytes[..size]);
        Ok(())
    }
}

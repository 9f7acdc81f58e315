//! A caller's memory of which one kernel has a copy of its own.

use skep_abi::{Errno, UserMemory};

/// Reads from `base`, keeps what is written.
pub(crate) struct Overlay<'m> {
    base: &'m dyn UserMemory,
    /// Bytes that take the place of the caller's, in order; the first `patches` of them
    /// were there before the call.
    layers: Vec<(u64, Vec<u8>)>,
    patches: usize,
}

impl<'m> Overlay<'m> {
    /// A copy in which these bytes stand instead of the caller's.
    pub(crate) fn new(base: &'m dyn UserMemory, patches: Vec<(u64, Vec<u8>)>) -> Overlay<'m> {
        Overlay {
            base,
            patches: patches.len(),
            layers: patches,
        }
    }

    /// What the call wrote, in order.
    pub(crate) fn into_writes(mut self) -> Vec<(u64, Vec<u8>)> {
        self.layers.split_off(self.patches)
    }

    /// Where the call wrote.
    pub(crate) fn written(&self) -> impl Iterator<Item = (u64, usize)> + '_ {
        self.layers
            .iter()
            .skip(self.patches)
            .map(|(addr, bytes)| (*addr, bytes.len()))
    }

    /// The text at `addr`, up to its NUL.
    pub(crate) fn text(&self, addr: u64, limit: usize) -> String {
        let bytes = skep_abi::copy_in_string(self, addr, limit).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl UserMemory for Overlay<'_> {
    fn read(&self, addr: u64, into: &mut [u8]) -> Result<(), Errno> {
        self.base.read(addr, into)?;
        for (start, bytes) in &self.layers {
            // The overlap is the same distance from the start of one as of the other.
            let (skip_layer, skip_into) = (addr.saturating_sub(*start), start.saturating_sub(addr));
            let (Ok(skip_layer), Ok(skip_into)) =
                (usize::try_from(skip_layer), usize::try_from(skip_into))
            else {
                continue;
            };
            let from = bytes.iter().skip(skip_layer);
            for (to, from) in into.iter_mut().skip(skip_into).zip(from) {
                *to = *from;
            }
        }
        Ok(())
    }

    fn write(&mut self, addr: u64, from: &[u8]) -> Result<(), Errno> {
        self.base.read(addr, &mut vec![0; from.len()])?;
        self.layers.push((addr, from.to_vec()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_abi::Buffers;

    #[test]
    fn writes_stay_in_the_overlay() {
        let mut bytes = [0; 8];
        let mut base = Buffers::new();
        let addr = base.output(&mut bytes);
        let mut overlay = Overlay::new(&base, vec![(addr + 6, vec![6, 7])]);
        overlay.write(addr + 1, &[1, 2, 3]).unwrap();
        overlay.write(addr + 2, &[9]).unwrap();
        assert_eq!(overlay.write(addr + 7, &[1, 1]), Err(Errno::EFAULT));
        let check = |at: u64, len: usize, want: &[u8]| {
            let mut got = vec![0; len];
            overlay.read(addr + at, &mut got).unwrap();
            assert_eq!(got, want, "{len} bytes at {at}");
        };
        check(0, 8, &[0, 1, 9, 3, 0, 0, 6, 7]);
        check(2, 2, &[9, 3]);
        check(5, 2, &[0, 6]);
        assert_eq!(
            overlay.into_writes(),
            [(addr + 1, vec![1, 2, 3]), (addr + 2, vec![9])]
        );
    }
}

//! How bytes of shared memory are copied so that nobody sees half of a variable.

use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

/// Memory that others write meanwhile, as cells of four sizes. Its first byte is aligned to 8, and
/// places are multiples of a cell's size.
pub trait Cells {
    /// The byte at a place inside.
    fn cell8(&self, at: usize) -> &AtomicU8;
    /// The two bytes at a place inside.
    fn cell16(&self, at: usize) -> &AtomicU16;
    /// The four bytes at a place inside.
    fn cell32(&self, at: usize) -> &AtomicU32;
    /// The eight bytes at a place inside.
    fn cell64(&self, at: usize) -> &AtomicU64;

    /// Copies bytes out that lie inside, aligned words at once.
    fn copy_out(&self, offset: usize, out: &mut [u8]) {
        for (from, size) in pieces(offset, out.len()) {
            let (at, piece) = (offset + from, &mut out[from..from + size]);
            match size {
                8 => piece.copy_from_slice(&self.cell64(at).load(Relaxed).to_ne_bytes()),
                4 => piece.copy_from_slice(&self.cell32(at).load(Relaxed).to_ne_bytes()),
                2 => piece.copy_from_slice(&self.cell16(at).load(Relaxed).to_ne_bytes()),
                _ => piece.copy_from_slice(&self.cell8(at).load(Relaxed).to_ne_bytes()),
            }
        }
    }

    /// Copies bytes in, where all of them lie inside, aligned words at once.
    fn copy_in(&self, offset: usize, bytes: &[u8]) {
        for (from, size) in pieces(offset, bytes.len()) {
            let (at, piece) = (offset + from, &bytes[from..from + size]);
            match size {
                8 => self
                    .cell64(at)
                    .store(u64::from_ne_bytes(array(piece)), Relaxed),
                4 => self
                    .cell32(at)
                    .store(u32::from_ne_bytes(array(piece)), Relaxed),
                2 => self
                    .cell16(at)
                    .store(u16::from_ne_bytes(array(piece)), Relaxed),
                _ => self
                    .cell8(at)
                    .store(u8::from_ne_bytes(array(piece)), Relaxed),
            }
        }
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

/// Cuts `len` bytes at `offset` into aligned pieces of 8, 4, 2 and 1 bytes, each as long as it can
/// be: its place among the bytes, and its length.
fn pieces(offset: usize, len: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut done = 0;
    core::iter::from_fn(move || {
        let fits =
            |size: &usize| offset.wrapping_add(done).is_multiple_of(*size) && *size <= len - done;
        let size = [8, 4, 2, 1].into_iter().find(fits)?;
        done += size;
        Some((done - size, size))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn pieces_are_aligned_and_as_long_as_they_can_be() {
        for (offset, len, expected) in [
            (6, 13, &[(0, 2), (2, 8), (10, 2), (12, 1)][..]),
            (0, 8, &[(0, 8)]),
            (4, 8, &[(0, 4), (4, 4)]),
            (1, 7, &[(0, 1), (1, 2), (3, 4)]),
            (5, 0, &[]),
        ] {
            let cut: Vec<_> = super::pieces(offset, len).collect();
            assert_eq!(cut, expected, "{len} at {offset}");
        }
    }
}

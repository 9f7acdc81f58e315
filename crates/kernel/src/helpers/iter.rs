//! Open-coded iterators: over numbers, and over the bits of words.
//!
//! ```text
//! bpf_iter_num:  0 current | 4 end                          (32-bit numbers)
//! bpf_iter_bits: 0 the word, or where the words are | 8 bits | 12 current bit
//! ```

use skep_abi::Errno;

use super::{Call, Done, Kfuncs, int, ok, void};
use crate::heap::Kind;

pub(super) const KFUNCS: Kfuncs = &[
    ("bpf_iter_num_new", num_new),
    ("bpf_iter_num_next", num_next),
    ("bpf_iter_num_destroy", |c| {
        c.write(c.arg(0), &[0; 8])?;
        void()
    }),
    ("bpf_iter_bits_new", bits_new),
    ("bpf_iter_bits_next", bits_next),
    ("bpf_iter_bits_destroy", |c| {
        if c.read_u32(c.arg(0).wrapping_add(8))? > 64 {
            let words = c.read_u64(c.arg(0))?;
            c.host.kernel.heap.release(words);
        }
        void()
    }),
];

/// The most numbers that an iterator goes over (`BPF_MAX_LOOPS`).
const NUMBERS_MAX: i64 = 8 << 20;
/// The most words whose bits an iterator goes over.
const WORDS_MAX: u32 = 511;

fn num_new(c: &mut Call<'_, '_, '_>) -> Done {
    let (start, end) = (c.arg32(1) as i32, c.arg32(2) as i32);
    let refused = if start > end {
        Some(Errno::EINVAL)
    } else if i64::from(end) - i64::from(start) > NUMBERS_MAX {
        Some(Errno::E2BIG)
    } else {
        None
    };
    let (current, end) = match refused {
        Some(_) => (0, 0),
        None => (start.wrapping_sub(1), end),
    };
    set_numbers(c, current, end)?;
    int(refused.map_or(0, |errno| -errno.0))
}

fn set_numbers(c: &Call<'_, '_, '_>, current: i32, end: i32) -> Result<(), skep_vm::Trap> {
    c.write(c.arg(0), &current.to_ne_bytes())?;
    c.write(c.arg(0).wrapping_add(4), &end.to_ne_bytes())
}

fn num_next(c: &mut Call<'_, '_, '_>) -> Done {
    let current = c.read_u32(c.arg(0))? as i32;
    let end = c.read_u32(c.arg(0).wrapping_add(4))? as i32;
    if current.wrapping_add(1) >= end {
        set_numbers(c, 0, 0)?;
        return ok(0);
    }
    c.write(c.arg(0), &current.wrapping_add(1).to_ne_bytes())?;
    ok(c.arg(0))
}

/// Copies the words, so that they stay as they are while the iterator walks.
fn bits_new(c: &mut Call<'_, '_, '_>) -> Done {
    let (it, from, words) = (c.arg(0), c.arg(1), c.arg32(2));
    c.write(it, &[0; 12])?;
    c.write(it.wrapping_add(12), &(-1i32).to_ne_bytes())?;
    if from == 0 || words == 0 {
        return int(-Errno::EINVAL.0);
    }
    if words > WORDS_MAX {
        return int(-Errno::E2BIG.0);
    }
    let len = u64::from(words) * 8;
    if !c.reaches(from, len) {
        return int(-Errno::EFAULT.0);
    }
    let bytes = c.read(from, len)?;
    if words == 1 {
        c.write(it, &bytes)?;
    } else {
        let Ok(copy) = c.host.kernel.heap.make(len, Kind::Bytes) else {
            return int(-Errno::ENOMEM.0);
        };
        copy.block().write(0, &bytes);
        c.write(it, &copy.address().to_ne_bytes())?;
    }
    c.write(it.wrapping_add(8), &(words * 64).to_ne_bytes())?;
    int(0)
}

fn bits_next(c: &mut Call<'_, '_, '_>) -> Done {
    let it = c.arg(0);
    let bits = c.read_u32(it.wrapping_add(8))?;
    let current = c.read_u32(it.wrapping_add(12))?.wrapping_add(1);
    if bits == 0 {
        return ok(0);
    }
    let words = match bits {
        ..=64 => it,
        _ => c.read_u64(it)?,
    };
    let mut at = current;
    while at < bits {
        let word = c.read_u64(words.wrapping_add(u64::from(at / 64) * 8))? >> (at % 64);
        if word != 0 {
            at += word.trailing_zeros();
            c.write(it.wrapping_add(12), &at.to_ne_bytes())?;
            return ok(it.wrapping_add(12));
        }
        at = (at / 64 + 1) * 64;
    }
    if bits > 64 {
        c.host.kernel.heap.release(words);
    }
    c.write(it.wrapping_add(8), &[0; 4])?;
    ok(0)
}

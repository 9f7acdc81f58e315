//! Sets of CPUs.

use skep_abi::Errno;
use skep_vm::Trap;

use super::{Call, Done, Kfuncs, int, ok, void};
use crate::heap::Kind;

pub(super) const KFUNCS: Kfuncs = &[
    ("bpf_cpumask_create", |c| {
        let made = c.host.kernel.heap.make(BYTES, Kind::Kernel);
        ok(made.map_or(0, |object| object.address()))
    }),
    ("bpf_cpumask_acquire", |c| {
        c.host.kernel.heap.acquire(c.arg(0));
        ok(c.arg(0))
    }),
    ("bpf_cpumask_release", |c| {
        c.host.kernel.heap.release(c.arg(0));
        void()
    }),
    ("bpf_cpumask_first", |c| first(c, |c, at| c.word(0, at))),
    ("bpf_cpumask_first_zero", |c| {
        first(c, |c, at| Ok(!c.word(0, at)?))
    }),
    ("bpf_cpumask_first_and", |c| first(c, both)),
    ("bpf_cpumask_any_distribute", |c| {
        first(c, |c, at| c.word(0, at))
    }),
    ("bpf_cpumask_any_and_distribute", |c| first(c, both)),
    ("bpf_cpumask_set_cpu", |c| change(c, Some(true)).and(void())),
    ("bpf_cpumask_clear_cpu", |c| {
        change(c, Some(false)).and(void())
    }),
    ("bpf_cpumask_test_cpu", |c| change(c, None)),
    ("bpf_cpumask_test_and_set_cpu", |c| change(c, Some(true))),
    ("bpf_cpumask_test_and_clear_cpu", |c| change(c, Some(false))),
    ("bpf_cpumask_setall", |c| {
        fill(c, |_, _| Ok(u64::MAX)).and(void())
    }),
    ("bpf_cpumask_clear", |c| fill(c, |_, _| Ok(0)).and(void())),
    ("bpf_cpumask_copy", |c| {
        fill(c, |c, at| c.word(1, at)).and(void())
    }),
    ("bpf_cpumask_and", |c| {
        fill(c, |c, at| Ok(c.word(1, at)? & c.word(2, at)?))
    }),
    ("bpf_cpumask_or", |c| {
        fill(c, |c, at| Ok(c.word(1, at)? | c.word(2, at)?)).and(void())
    }),
    ("bpf_cpumask_xor", |c| {
        fill(c, |c, at| Ok(c.word(1, at)? ^ c.word(2, at)?)).and(void())
    }),
    ("bpf_cpumask_equal", |c| all(c, |a, b| a == b, 2)),
    ("bpf_cpumask_subset", |c| all(c, |a, b| a & !b == 0, 2)),
    ("bpf_cpumask_intersects", |c| {
        Ok(1 ^ all(c, |a, b| a & b == 0, 2)?)
    }),
    ("bpf_cpumask_empty", |c| all(c, |a, _| a == 0, 1)),
    ("bpf_cpumask_full", |c| {
        Ok(u64::from(weight(c)? == c.host.kernel.cpus))
    }),
    ("bpf_cpumask_weight", |c| ok(weight(c)?.into())),
    ("bpf_cpumask_populate", populate),
];

/// `struct bpf_cpumask`: the bits of as many CPUs as a kernel can have, and a count.
const BYTES: u64 = 1024 + 8;

impl Call<'_, '_, '_> {
    /// A word of the set in an argument, without what lies beyond the last CPU.
    fn word(&self, arg: usize, at: u32) -> Result<u64, Trap> {
        let word = self.read_u64(self.arg(arg).wrapping_add(u64::from(at) * 8))?;
        Ok(word & self.cpus_of_word(at))
    }

    /// The bits of a word that stand for CPUs.
    fn cpus_of_word(&self, at: u32) -> u64 {
        match self.host.kernel.cpus.saturating_sub(at * 64) {
            count @ 0..64 => (1 << count) - 1,
            _ => u64::MAX,
        }
    }

    fn words(&self) -> std::ops::Range<u32> {
        0..self.host.kernel.cpus.div_ceil(64)
    }
}

fn both(c: &Call<'_, '_, '_>, at: u32) -> Result<u64, Trap> {
    Ok(c.word(0, at)? & c.word(1, at)?)
}

/// The first CPU; past the last one when there is none.
fn first(
    c: &mut Call<'_, '_, '_>,
    word: impl Fn(&Call<'_, '_, '_>, u32) -> Result<u64, Trap>,
) -> Done {
    for at in c.words() {
        let bits = word(c, at)? & c.cpus_of_word(at);
        if bits != 0 {
            return ok(u64::from(at * 64 + bits.trailing_zeros()));
        }
    }
    ok(c.host.kernel.cpus.into())
}

/// Whether a CPU is in the set, which may be changed.
fn change(c: &mut Call<'_, '_, '_>, to: Option<bool>) -> Done {
    let (cpu, set) = (c.arg32(0), c.arg(1));
    if cpu >= c.host.kernel.cpus {
        return ok(0);
    }
    let at = set.wrapping_add(u64::from(cpu / 64) * 8);
    let (word, bit) = (c.read_u64(at)?, 1 << (cpu % 64));
    match to {
        Some(true) => c.set_word(at, word | bit)?,
        Some(false) => c.set_word(at, word & !bit)?,
        None => {}
    }
    ok(u64::from(word & bit != 0))
}

impl Call<'_, '_, '_> {
    /// Writes to a set that the program holds, which it cannot write to itself.
    fn set_word(&self, addr: u64, word: u64) -> Result<(), Trap> {
        match self.host.kernel.heap.find(addr) {
            Some(object) => {
                let at = addr.wrapping_sub(object.address());
                object.block().write(at as usize, &word.to_ne_bytes());
                Ok(())
            }
            None => Err(Trap::Host(format!("no set of CPUs at {addr:#x}"))),
        }
    }
}

/// Writes every word of the first set; whether any CPU is in it then.
fn fill(
    c: &mut Call<'_, '_, '_>,
    word: impl Fn(&Call<'_, '_, '_>, u32) -> Result<u64, Trap>,
) -> Done {
    let mut any = false;
    for at in c.words() {
        let bits = word(c, at)? & c.cpus_of_word(at);
        any |= bits != 0;
        c.set_word(c.arg(0).wrapping_add(u64::from(at) * 8), bits)?;
    }
    ok(any.into())
}

fn all(c: &mut Call<'_, '_, '_>, holds: impl Fn(u64, u64) -> bool, sets: usize) -> Done {
    for at in c.words() {
        let a = c.word(0, at)?;
        let b = if sets > 1 { c.word(1, at)? } else { 0 };
        if !holds(a, b) {
            return ok(0);
        }
    }
    ok(1)
}

fn weight(c: &Call<'_, '_, '_>) -> Result<u32, Trap> {
    let mut count = 0;
    for at in c.words() {
        count += c.word(0, at)?.count_ones();
    }
    Ok(count)
}

/// Copies a set out of plain memory.
fn populate(c: &mut Call<'_, '_, '_>) -> Done {
    let (from, len) = (c.arg(1), c.arg(2));
    if len < u64::from(c.words().end) * 8 {
        return int(-Errno::EACCES.0);
    }
    let bytes = c.read(from, u64::from(c.words().end) * 8)?;
    for (at, word) in bytes.as_chunks::<8>().0.iter().enumerate() {
        let at = at as u32;
        let bits = u64::from_ne_bytes(*word) & c.cpus_of_word(at);
        c.set_word(c.arg(0).wrapping_add(u64::from(at) * 8), bits)?;
    }
    int(0)
}

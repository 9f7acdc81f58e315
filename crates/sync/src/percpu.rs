//! One value for each virtual CPU.

/// A value on cache lines of its own: two, since processors fetch them in pairs.
#[derive(Default, Debug)]
#[repr(align(128))]
struct Padded<T>(T);

/// As many values as there are CPUs. Costs 128 bytes each, and a bounds check to reach one.
#[derive(Debug)]
pub struct PerCpu<T> {
    values: Box<[Padded<T>]>,
}

impl<T> PerCpu<T> {
    /// Makes the value of each CPU.
    pub fn new(cpus: usize, make: impl FnMut(usize) -> T) -> PerCpu<T> {
        PerCpu {
            values: (0..cpus).map(make).map(Padded).collect(),
        }
    }

    /// The value of a CPU; `None` when there is no such CPU.
    #[inline]
    pub fn get(&self, cpu: usize) -> Option<&T> {
        self.values.get(cpu).map(|padded| &padded.0)
    }

    /// The values of all CPUs, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.values.iter().map(|padded| &padded.0)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.values.len()
    }
}

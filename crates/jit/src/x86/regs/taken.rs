//! When each machine register is taken: one bit for each position of a function.

/// Machine registers.
const REGISTERS: usize = 16;
/// Bits of a word.
const BITS: usize = 64;

/// The positions at which each machine register is taken. Positions are those of
/// [`Ranges`](super::lives::Ranges).
#[derive(Clone)]
pub(super) struct Taken {
    /// Words of each register.
    words: usize,
    /// Words of each register in the summary.
    sums: usize,
    /// The positions of all registers, and behind them the summary: which of their words are not
    /// zero. So long stretches are looked through in few steps.
    bits: Vec<u64>,
    /// For each position the registers that are taken, as a mask.
    at: Vec<u16>,
}

impl Taken {
    /// Nothing is taken, in a function of so many positions.
    pub(super) fn new(positions: usize) -> Taken {
        // A result may lie one behind the last position.
        let words = (positions + 2).div_ceil(BITS);
        let sums = words.div_ceil(BITS);
        Taken {
            words,
            sums,
            bits: vec![0; (words + sums) * REGISTERS],
            at: vec![0; positions + 2],
        }
    }

    /// The words of a register, and its summary.
    fn of(&self, register: usize) -> (&[u64], &[u64]) {
        let (bits, sums) = self.bits.split_at(self.words * REGISTERS);
        let bits = &bits[register * self.words..][..self.words];
        (bits, &sums[register * self.sums..][..self.sums])
    }

    /// Registers, as a mask, that are taken where one of the stretches begins.
    pub(super) fn at_starts(&self, ranges: impl Iterator<Item = (u32, u32)>) -> u16 {
        ranges.fold(0, |all, (start, _)| all | self.at[start as usize])
    }

    /// Whether a register is free during half-open stretches.
    pub(super) fn is_free(
        &self,
        register: usize,
        mut ranges: impl Iterator<Item = (u32, u32)>,
    ) -> bool {
        let (bits, sums) = self.of(register);
        ranges.all(|(start, end)| {
            let (first, last) = (start as usize / BITS, (end as usize - 1) / BITS);
            if first == last {
                return bits[first] & from(start) & up_to(end) == 0;
            }
            bits[first] & from(start) == 0
                && bits[last] & up_to(end) == 0
                && (last - first == 1 || !any(sums, first + 1, last))
        })
    }

    /// Takes a register for half-open stretches.
    pub(super) fn take_all(&mut self, register: usize, ranges: impl Iterator<Item = (u32, u32)>) {
        ranges.for_each(|(start, end)| self.take(register, start, end));
    }

    /// Takes a register from a position up to another.
    pub(super) fn take(&mut self, register: usize, start: u32, end: u32) {
        let (bits, sums) = self.bits.split_at_mut(self.words * REGISTERS);
        let bits = &mut bits[register * self.words..][..self.words];
        let sums = &mut sums[register * self.sums..][..self.sums];
        let (first, last) = (start as usize / BITS, (end as usize - 1) / BITS);
        for word in first..=last {
            let from = if word == first { from(start) } else { u64::MAX };
            let up_to = if word == last { up_to(end) } else { u64::MAX };
            bits[word] |= from & up_to;
            sums[word / BITS] |= 1 << (word % BITS);
        }
        for at in &mut self.at[start as usize..end as usize] {
            *at |= 1 << register;
        }
    }
}

/// The bits of a word from that of a position on.
fn from(position: u32) -> u64 {
    u64::MAX << (position as usize % BITS)
}

/// The bits of a word up to that of a position, which is not among them and not the first one.
fn up_to(position: u32) -> u64 {
    u64::MAX >> ((BITS - position as usize % BITS) % BITS)
}

/// Whether one of the bits of a stretch that is not empty is set.
fn any(bits: &[u64], start: usize, end: usize) -> bool {
    let (first, last) = (start / BITS, (end - 1) / BITS);
    let (from, up_to) = (from(start as u32), up_to(end as u32));
    match first == last {
        true => bits[first] & from & up_to != 0,
        false => {
            let between = &bits[first + 1..last];
            bits[first] & from != 0
                || bits[last] & up_to != 0
                || between.iter().any(|word| *word != 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers are those of a plain list of what was taken.
    #[test]
    fn bits_are_as_good_as_a_list() {
        let mut state = 3u64;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below) as u32
        };
        for positions in [1u32, 63, 64, 65, 5_000, 20_000] {
            let mut taken = Taken::new(positions as usize);
            let mut list: Vec<(u32, u32)> = Vec::new();
            for _ in 0..400 {
                let start = random(positions.into());
                let longest = [3, 70, 5_000][random(3) as usize];
                let end = (start + 1 + random(longest)).min(positions + 1);
                let free = list.iter().all(|(s, e)| end <= *s || *e <= start);
                let told = taken.is_free(5, [(start, end)].into_iter());
                assert_eq!(told, free, "{start} to {end} of {positions}");
                assert!(taken.is_free(4, [(start, end)].into_iter()));
                let mask = taken.at_starts([(start, end)].into_iter());
                let begins = list.iter().any(|(s, e)| (*s..*e).contains(&start));
                assert_eq!(mask, u16::from(begins) << 5);
                if free && random(2) == 0 {
                    taken.take(5, start, end);
                    list.push((start, end));
                }
            }
        }
    }
}

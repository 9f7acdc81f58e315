//! Many generated programs, counted.

use std::collections::BTreeMap;

use skep_abi::Backend;
use skep_smith::{Config, Effort, Program, Source, generate, shrink};

use super::examine::{Bench, Oracles, Owned, Seen, Trouble};

/// One of so many programs that take long is looked at.
const LONG_SHARE: u64 = 16;

/// Which programs are made and how they are looked at.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// What kind of programs.
    pub config: Config,
    /// How many.
    pub count: u64,
    /// The number of the first one.
    pub seed: u64,
    /// The level of the log.
    pub level: u32,
    /// Which oracles look.
    pub oracles: Oracles,
    /// How often a failing program is tried smaller; 0 leaves it as it is.
    pub effort: u32,
    /// Of the programs whose verification walks more instructions than this, only every
    /// sixteenth is looked at.
    pub walk: Option<u32>,
    /// How many findings are reported; the others are only counted.
    pub show: u32,
}

/// A program with which something is wrong.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its number: the seed that makes it.
    pub seed: u64,
    /// What is wrong with it, and with the smaller one.
    pub trouble: Trouble,
    /// The program, made small.
    pub program: Program,
    /// What was seen of the small one.
    pub seen: Seen,
}

/// The counts of a campaign.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Programs looked at.
    pub programs: u64,
    /// Programs that were left out because they take long.
    pub long: u64,
    /// Accepted by Linux, or by skep where Linux was not asked.
    pub accepted: u64,
    /// Runs made in checking mode.
    pub runs: u64,
    /// Programs that were also judged without pruning.
    pub unpruned: u64,
    /// Programs with each trouble.
    pub troubles: BTreeMap<Trouble, u64>,
}

impl Tally {
    /// Programs with this trouble.
    pub fn count(&self, trouble: Trouble) -> u64 {
        self.troubles.get(&trouble).copied().unwrap_or(0)
    }

    fn add(&mut self, seen: &Seen) {
        let one = |count: &mut u64, by: u64| *count = count.saturating_add(by);
        one(&mut self.programs, 1);
        one(&mut self.accepted, seen.accepted.into());
        one(&mut self.runs, seen.runs.into());
        one(&mut self.unpruned, seen.unpruned.into());
        for trouble in &seen.troubles {
            one(self.troubles.entry(*trouble).or_default(), 1);
        }
    }
}

impl Campaign {
    /// Runs it. `report` hears of the first findings as they come, made small.
    pub fn run(&self, linux: Option<&dyn Backend>, report: &mut dyn FnMut(Finding)) -> Tally {
        let kernels = Owned::new(self.config.unprivileged, self.walk);
        let bench = Bench::new(&kernels, linux);
        let mut tally = Tally::default();
        let mut left = self.show;
        for number in 0..self.count {
            let seed = self.seed.wrapping_add(number);
            let program = generate(&mut Source::seeded(seed), &self.config);
            let spared = self.walk.is_some() && seed % LONG_SHARE != 0;
            if spared && bench.is_long(&program) {
                tally.long = tally.long.saturating_add(1);
                continue;
            }
            let seen = bench.examine(&program, self.level, self.oracles);
            tally.add(&seen);
            let Some(trouble) = seen.troubles.first().copied().filter(|_| left > 0) else {
                continue;
            };
            left = left.saturating_sub(1);
            let effort = Effort {
                trials: self.effort,
            };
            let small = shrink(&program, effort, &mut |smaller| {
                let seen = bench.examine(smaller, self.level, self.oracles);
                seen.troubles.contains(&trouble)
            });
            let seen = bench.examine(&small, self.level, self.oracles);
            report(Finding {
                seed,
                trouble,
                program: small,
                seen,
            });
        }
        tally
    }
}

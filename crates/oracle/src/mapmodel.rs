//! Random sequences of map commands, put to two kernels: every result, key, value and count
//! must be equal.
//!
//! A *session* makes one map of a random type with random attributes and works on it with
//! random commands. What Linux leaves open is compared as what it promises: a walk through a
//! hash shows the same set in any order, an id or a cookie names the same thing.

mod ask;
mod create;
mod elements;
mod memory;
mod zoo;

use std::collections::BTreeMap;

use skep_abi::{Backend, Errno, MapType};
use skep_kernel::Kernel;
use skep_smith::Source;

pub use ask::Names;
pub use zoo::{Things, Twin, Zoo};

/// The kernel that follows: skep with as many CPUs as the one that leads, and its types.
///
/// # Errors
/// When the types of the leading kernel cannot be read.
pub fn follower(lead: &dyn Backend, cpus: u32) -> Result<Kernel, Errno> {
    let types = skep_btf::Btf::parse_on(lead.kernel_btf()?, None).map_err(|_| Errno::EINVAL)?;
    Ok(Kernel::builder()
        .cpus(cpus)
        .kernel_btf(std::sync::Arc::new(types))
        .build())
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// Commands in all.
    pub steps: u64,
    /// What every choice depends on.
    pub seed: u64,
    /// Only maps of this type.
    pub only: Option<MapType>,
    /// Commands on one map.
    pub length: u32,
}

/// A command to which the two kernels gave different answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disagreement {
    /// The session's own seed, by which it can be made again.
    pub seed: u64,
    /// The type of its map.
    pub map_type: MapType,
    /// The command, and those before it.
    pub history: Vec<String>,
    /// What differs: the leading kernel's, then the following one's.
    pub what: String,
}

/// What came of the commands on maps of one type.
#[derive(Clone, Copy, Default, Debug)]
pub struct Count {
    /// Commands put to both kernels.
    pub steps: u64,
    /// Of these, the ones that made no error.
    pub succeeded: u64,
    /// Of these, the ones answered differently.
    pub different: u64,
}

/// The result of a campaign.
#[derive(Default, Debug)]
pub struct Tally {
    /// By type.
    pub types: BTreeMap<&'static str, Count>,
    /// Maps that both kernels made.
    pub maps: u64,
}

impl Campaign {
    /// Runs the campaign; `report` hears of each disagreement. A session ends with its first.
    ///
    /// # Errors
    /// When the things that maps refer to cannot be made in one of the kernels.
    pub fn run(
        &self,
        lead: &dyn Backend,
        follow: &dyn Backend,
        things: &Things<'_>,
        report: &mut dyn FnMut(Disagreement),
    ) -> Result<Tally, Errno> {
        let zoo = Zoo::new(lead, follow, things)?;
        let mut tally = Tally::default();
        let mut done = 0;
        let mut number = 0u64;
        while done < self.steps {
            let seed = self.seed.wrapping_mul(1_000_003).wrapping_add(number);
            number += 1;
            let mut session = Session {
                source: Source::seeded(seed),
                lead,
                follow,
                zoo: &zoo,
                names: Names::default(),
                history: Vec::new(),
            };
            let map_type = self
                .only
                .unwrap_or_else(|| create::any_type(&mut session.source));
            let count = tally.types.entry(map_type.name()).or_default();
            let (made, found) = session.run(map_type, self.length, count);
            tally.maps += u64::from(made);
            done += session.history.len().max(1) as u64;
            if let Some(what) = found {
                count.different += 1;
                report(Disagreement {
                    seed,
                    map_type,
                    history: session.history,
                    what,
                });
            }
        }
        Ok(tally)
    }
}

/// One map and what is done to it.
struct Session<'a> {
    source: Source<'static>,
    lead: &'a dyn Backend,
    follow: &'a dyn Backend,
    zoo: &'a Zoo,
    names: Names,
    history: Vec<String>,
}

impl Session<'_> {
    /// Whether a map was made, and the first disagreement.
    fn run(&mut self, map_type: MapType, length: u32, count: &mut Count) -> (bool, Option<String>) {
        let plan = create::plan(&mut self.source, self.zoo, map_type);
        let answers = self.put(&plan.ask);
        count.steps += 1;
        let twin = match (answers.0.result, answers.1.result) {
            (Ok(lead), Ok(follow)) => Twin { lead, follow },
            (lead, follow) => {
                for (backend, made) in [(self.lead, lead), (self.follow, follow)] {
                    // A map that only one kernel made is of no use to anyone.
                    let _ = made.map(|fd| backend.close(fd));
                }
                let (lead, follow) = (word(lead), word(follow));
                let what = (lead != follow).then(|| format!("result: {lead} and {follow}"));
                return (false, what);
            }
        };
        count.succeeded += 1;
        let mut map = elements::Model::new(twin, &plan);
        let mut found = self.compare_info(&map);
        for _ in 0..length {
            if found.is_some() {
                break;
            }
            let (succeeded, what) = elements::step(self, &mut map);
            count.steps += 1;
            count.succeeded += u64::from(succeeded);
            found = what;
        }
        // Closing cannot fail for descriptors that were just used.
        let _ = self.lead.close(twin.lead);
        let _ = self.follow.close(twin.follow);
        (true, found)
    }
}

fn word<T>(result: Result<T, Errno>) -> String {
    result.map_or_else(Errno::name, |_| "success".to_owned())
}

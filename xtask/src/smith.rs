//! `cargo xtask smith`: generated programs put to skep and to Linux, counted in a table.

use std::time::Instant;

use skep_abi::{Backend, Capabilities, ProgType};
use skep_oracle::generated::{Campaign, Finding, Oracles, Tally, Trouble, filetest};
use skep_oracle::{AllowUnprivileged, Linux, Subject};

use crate::Outcome;

/// How often a failing program is tried smaller.
const EFFORT: u32 = 1500;

/// What the command line says.
struct Wanted {
    campaign: Campaign,
    linux: bool,
}

fn wanted(args: &[String]) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        campaign: Campaign {
            config: Default::default(),
            count: 10_000,
            seed: 1,
            level: 2,
            oracles: Oracles {
                log: true,
                state: false,
                prune: false,
            },
            effort: EFFORT,
            walk: None,
            show: 5,
        },
        linux: true,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let campaign = &mut wanted.campaign;
        match arg.as_str() {
            "--unpriv" => {
                campaign.config.unprivileged = true;
                continue;
            }
            "--no-linux" => {
                wanted.linux = false;
                continue;
            }
            _ => {}
        }
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|e| format!("{arg}: {e}"));
        let small = || value.parse::<u32>().map_err(|e| format!("{arg}: {e}"));
        match arg.as_str() {
            "--count" => campaign.count = number()?,
            "--seed" => campaign.seed = number()?,
            "--level" => campaign.level = small()?,
            "--show" => campaign.show = small()?,
            "--walk" => campaign.walk = Some(small()?),
            "--effort" => campaign.effort = small()?,
            "--faulty" => campaign.config.faulty_per_mille = small()?,
            "--slips" => campaign.config.slips_per_mille = small()?,
            "--mutants" => campaign.config.mutants_per_mille = small()?,
            "--statements" => campaign.config.statements = small()?,
            "--type" => {
                let found = ProgType::from_name(value);
                campaign.config.prog_type =
                    Some(found.ok_or_else(|| format!("there is no program type `{value}`"))?);
            }
            "--oracle" => {
                let all = value == "all";
                campaign.oracles = Oracles {
                    log: all || value == "log",
                    state: all || value == "state",
                    prune: all || value == "prune",
                };
                if campaign.oracles == Oracles::default() {
                    return Err(format!("there is no oracle `{value}`"));
                }
            }
            _ => return Err(format!("there is no option `{arg}`")),
        }
    }
    wanted.campaign.config.repeatable = wanted.campaign.oracles.state;
    // Without Linux nothing is there to compare logs with.
    wanted.campaign.oracles.log &= wanted.linux;
    Ok(wanted)
}

/// Runs a campaign and prints its table.
///
/// # Errors
/// For options that make no sense, or when Linux cannot be asked.
pub fn run(args: &[String]) -> Outcome {
    let Wanted { campaign, linux } = wanted(args)?;
    let started = Instant::now();
    let mut report = |finding: Finding| show(&campaign, &finding);
    let tally = if linux {
        let unprivileged = campaign.config.unprivileged;
        let capabilities = match unprivileged {
            true => Capabilities::NONE,
            false => Capabilities::ALL,
        };
        let _switch = unprivileged.then(AllowUnprivileged::new).transpose()?;
        let linux = Linux::new().map_err(|errno| format!("bpf(2) does not work here: {errno}"))?;
        let mut tally = Tally::default();
        linux.with(capabilities, &mut |kernel: &dyn Backend| {
            tally = campaign.run(Some(kernel), &mut report);
        })?;
        tally
    } else {
        campaign.run(None, &mut report)
    };
    table(&campaign, &tally, started.elapsed().as_secs_f64());
    let fatal = [
        Trouble::WrongAccept,
        Trouble::WrongReject,
        Trouble::Panic,
        Trouble::Violation,
        Trouble::Native,
        Trouble::Pruning,
    ];
    Ok(fatal.iter().all(|trouble| tally.count(*trouble) == 0))
}

/// Prints a finding as a filetest.
fn show(campaign: &Campaign, finding: &Finding) {
    println!("// seed {}: {:?}", finding.seed, finding.trouble);
    for line in finding
        .seen
        .details
        .iter()
        .flat_map(|detail| detail.lines())
    {
        println!("// {line}");
    }
    if let Some(reference) = &finding.seen.reference {
        println!("{}", filetest(&finding.program, campaign.level, reference));
    }
}

fn table(campaign: &Campaign, tally: &Tally, seconds: f64) {
    let total = tally.programs.max(1) as f64;
    let share = |count: u64| 100.0 * count as f64 / total;
    let row = |name: &str, count: u64| println!("{name:<22} {count:>9} {:>8.3} %", share(count));
    let same = |without: &[Trouble]| {
        let differing: u64 = without.iter().map(|trouble| tally.count(*trouble)).sum();
        tally.programs.saturating_sub(differing)
    };
    row("programs", tally.programs);
    if campaign.walk.is_some() {
        row("left out as long", tally.long);
    }
    row("accepted", tally.accepted);
    let unjudged = [Trouble::Unsupported, Trouble::Panic];
    if campaign.oracles.log {
        let verdict = [Trouble::WrongAccept, Trouble::WrongReject, Trouble::Errno];
        row("verdict same", same(&[&unjudged[..], &verdict].concat()));
        row("log same", same(&[&unjudged[..], &[Trouble::Log]].concat()));
        row(
            "statistics same",
            same(&[&unjudged[..], &[Trouble::Figures]].concat()),
        );
        row("wrong accepts", tally.count(Trouble::WrongAccept));
        row("wrong rejects", tally.count(Trouble::WrongReject));
        row("other error", tally.count(Trouble::Errno));
    }
    row("unsupported", tally.count(Trouble::Unsupported));
    row("panics", tally.count(Trouble::Panic));
    if campaign.oracles.state {
        println!("{:<22} {:>9}", "checked runs", tally.runs);
        row("violations", tally.count(Trouble::Violation));
        row("other results", tally.count(Trouble::Result));
        row("native differs", tally.count(Trouble::Native));
    }
    if campaign.oracles.prune {
        row("judged unpruned", tally.unpruned);
        row("pruning differs", tally.count(Trouble::Pruning));
    }
    println!("{:<22} {:>9.0}", "programs per second", total / seconds);
}

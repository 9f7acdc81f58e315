//! `cargo xtask maps-model`: random map commands put to Linux and to skep, counted by type.

use std::time::Instant;

use skep_abi::MapType;
use skep_kernel::Kernel;
use skep_oracle::Linux;
use skep_oracle::mapmodel::{Campaign, Disagreement, Tally, Things};

use crate::Outcome;

/// What the command line says.
struct Wanted {
    campaign: Campaign,
    show: usize,
}

fn wanted(args: &[String]) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        campaign: Campaign {
            steps: 20_000,
            seed: 1,
            only: None,
            length: 40,
        },
        show: 5,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|e| format!("{arg}: {e}"));
        let campaign = &mut wanted.campaign;
        match arg.as_str() {
            "--steps" => campaign.steps = number()?,
            "--seed" => campaign.seed = number()?,
            "--length" => campaign.length = number()? as u32,
            "--show" => wanted.show = number()? as usize,
            "--type" => {
                let found = MapType::from_name(value);
                campaign.only = Some(found.ok_or_else(|| format!("no map type `{value}`"))?);
            }
            _ => return Err(format!("there is no option `{arg}`")),
        }
    }
    Ok(wanted)
}

/// Runs a campaign and prints its table.
///
/// # Errors
/// For options that make no sense, or when Linux cannot be asked.
pub fn run(args: &[String]) -> Outcome {
    let Wanted { campaign, show } = wanted(args)?;
    let started = Instant::now();
    let linux = Linux::new().map_err(|errno| format!("bpf(2) does not work here: {errno}"))?;
    let cpus = linux.host().possible_cpus().unwrap_or(1);
    let skep = Kernel::builder().cpus(cpus).build();
    let mut shown = 0;
    let mut report = |found: Disagreement| {
        shown += 1;
        if shown <= show {
            print(&found);
        }
    };
    let tally = campaign
        .run(linux.host(), &skep, &Things::default(), &mut report)
        .map_err(|errno| format!("the things that maps refer to: {errno}"))?;
    table(&tally, started.elapsed().as_secs_f64());
    Ok(tally.types.values().all(|count| count.different == 0))
}

fn print(found: &Disagreement) {
    println!(
        "{} (seed {}): {}",
        found.map_type.name(),
        found.seed,
        found.what
    );
    for line in &found.history {
        println!("    {line}");
    }
}

fn table(tally: &Tally, seconds: f64) {
    println!(
        "{:<24} {:>9} {:>9} {:>9}",
        "map type", "commands", "succeed", "differ"
    );
    let mut all = (0, 0, 0);
    for (name, count) in &tally.types {
        println!(
            "{name:<24} {:>9} {:>9} {:>9}",
            count.steps, count.succeeded, count.different
        );
        all.0 += count.steps;
        all.1 += count.succeeded;
        all.2 += count.different;
    }
    println!("{:<24} {:>9} {:>9} {:>9}", "all", all.0, all.1, all.2);
    println!("{} maps in {seconds:.0} s", tally.maps);
}

//! `cargo xtask btf`: generated and mutated BTF put to skep and to Linux.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use skep_elf::ObjectFile;
use skep_host::Host;
use skep_oracle::{BtfAsk, ask_btf};
use skep_smith::{Source, generate_types, mutate_types};

use crate::{Outcome, project};

/// Blobs of objects that are longer are left out, so that there are many turns.
const SEED_MAX: usize = 48 << 10;

struct Options {
    count: u64,
    seed: u64,
    show: u64,
    paths: Vec<PathBuf>,
}

fn options(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        count: 10_000,
        seed: 1,
        show: 5,
        paths: Vec::new(),
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if !arg.starts_with("--") {
            options.paths.push(PathBuf::from(arg));
            continue;
        }
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        let number = value.parse().map_err(|e| format!("{arg}: {e}"))?;
        match arg.as_str() {
            "--count" => options.count = number,
            "--seed" => options.seed = number,
            "--show" => options.show = number,
            _ => return Err(format!("there is no option `{arg}`")),
        }
    }
    if options.paths.is_empty() {
        options.paths.push(project().join("programs"));
    }
    Ok(options)
}

/// The BTF of the objects below the paths.
fn seeds(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error>> {
    let mut seeds = Vec::new();
    for path in paths {
        for file in skep_oracle::corpus::files(path, ".o")? {
            let bytes = std::fs::read(&file)?;
            let Ok(object) = ObjectFile::parse(&bytes) else {
                continue;
            };
            let section = object.section_by_name(".BTF");
            seeds.extend(
                section
                    .map(|section| section.data.to_vec())
                    .filter(|data| data.len() <= SEED_MAX),
            );
        }
    }
    Ok(seeds)
}

/// Changes one thing about how a blob is loaded. Descriptors are of what no process has open, or
/// of none at all.
fn disturb(source: &mut Source<'_>, ask: &mut BtfAsk<'_>) {
    match source.below(9) {
        0 => ask.size = source.one_of([0, 1, 23, 24, (16 << 20) + 1, u32::MAX]),
        1 => ask.size = ask.size.saturating_sub(source.below(40)),
        2 => ask.level = source.below(20),
        3 => ask.has_buffer = false,
        4 => ask.room = source.one_of([0, 1, 2, 64, 127, 128]),
        5 => ask.flags = 1 << source.below(32),
        6 => (ask.flags, ask.token) = (1 << 16, source.one_of([-1, i32::MIN, 60_000, i32::MAX])),
        7 => ask.token = source.one_of([-1, 1, 60_000]),
        _ => (ask.level, ask.room) = (0, 0),
    }
}

/// Compares verdict, errno, log and the log's true size. Good when nothing differs.
///
/// # Errors
/// For options that make no sense, or when a file cannot be read.
pub fn run(args: &[String]) -> Outcome {
    let options = options(args)?;
    let seeds = seeds(&options.paths)?;
    let linux = Host::new();
    let skep = skep_kernel::Kernel::builder().build();
    let started = Instant::now();
    let (mut taken, mut differing, mut verdicts) = (0u64, 0u64, 0u64);
    let mut refusals: BTreeMap<String, u64> = BTreeMap::new();
    for number in 0..options.count {
        let seed = options.seed.wrapping_add(number);
        let mut source = Source::seeded(seed);
        let of = source.below(2 * seeds.len() as u32 + 1) as usize;
        let mut blob = match seeds.get(of) {
            Some(blob) => blob.clone(),
            None => generate_types(&mut source),
        };
        if of < seeds.len() || source.below(3) == 0 {
            blob = mutate_types(&mut source, &blob);
        }
        let level = [1, 2, 4, 9, 3][source.below(5) as usize];
        let room = match source.below(8) {
            0 => 1 + source.below(4000),
            _ => 4 << 20,
        };
        let mut ask = BtfAsk::plain(&blob, level, room);
        if source.chance(150) {
            disturb(&mut source, &mut ask);
        }
        let theirs = ask_btf(&linux, &ask);
        let ours = ask_btf(&skep, &ask);
        match theirs.verdict {
            Ok(()) => taken += 1,
            Err(errno) => *refusals.entry(format!("{errno:?}")).or_default() += 1,
        }
        if let Some(what) = ours.difference(&theirs) {
            differing += 1;
            verdicts += u64::from(ours.verdict != theirs.verdict);
            if differing <= options.show {
                println!("seed {seed}: {what}");
            }
        }
    }
    println!("blobs {} (taken {taken})", options.count);
    println!("verdict or errno differs {verdicts}, anything differs {differing}");
    for (errno, count) in &refusals {
        println!("    {count:>8} {errno}");
    }
    println!(
        "blobs per second {:.0}",
        options.count as f64 / started.elapsed().as_secs_f64()
    );
    Ok(differing == 0)
}

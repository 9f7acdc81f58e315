//! Compares what libbpf and skep's loader make of files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skep_elf::Input;

use crate::theirs::Outcome;
use crate::{ours, theirs};

/// What is asked on the command line.
struct Wish {
    show: usize,
    errors: bool,
    files: Vec<String>,
}

fn wish(args: &[String]) -> Wish {
    let mut wish = Wish {
        show: 12,
        errors: false,
        files: Vec::new(),
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--show" => wish.show = args.next().and_then(|n| n.parse().ok()).unwrap_or(12),
            "--errors" => wish.errors = true,
            path => collect(Path::new(path), &mut wish.files),
        }
    }
    wish
}

/// A file, or the objects below a directory.
fn collect(path: &Path, files: &mut Vec<String>) {
    if !path.is_dir() {
        files.push(path.to_string_lossy().into_owned());
        return;
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut below: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    below.sort();
    for path in below {
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "o") {
            collect(&path, files);
        }
    }
}

/// Why both may differ without either being wrong, as far as it is known.
fn explained(theirs: &Outcome, ours: &Outcome) -> Option<&'static str> {
    let said = |outcome: &Outcome, words: &str| outcome.said.iter().any(|s| s.contains(words));
    if said(ours, "big-endian objects are not supported") {
        return Some("big-endian objects, which libbpf opens and links, but does not load");
    }
    if said(theirs, "failed to re-mmap() contents: -ENOTSUPP") {
        return Some("data with special fields, which libbpf maps; skep maps what is looked at");
    }
    if said(theirs, "is static and not supported") {
        return Some("static functions outside of .text, which libbpf refuses");
    }
    if said(theirs, "failed to initialize slot") && ours.good {
        return Some("maps in maps that are declared before them, which libbpf has not made then");
    }
    if theirs
        .opened
        .iter()
        .any(|line| line.contains("section=fsession"))
    {
        return Some("attach types that came after Linux 6.18");
    }
    None
}

/// Opens or loads each file in both. Good when none differs, or only as [`explained`].
pub fn objects(args: &[String], load: bool) -> bool {
    let wish = wish(args);
    let (mut same, mut refused) = (0, 0);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for file in &wish.files {
        let theirs = theirs::outcome(file, None, load);
        let ours = ours::outcome(file, None, load);
        refused += usize::from(!theirs.good && !ours.good);
        if equal(&theirs, &ours) {
            same += 1;
            if wish.errors && !theirs.good {
                println!("-- {file}");
                said(&theirs, &ours);
            }
            continue;
        }
        if let Some(reason) = explained(&theirs, &ours) {
            *reasons.entry(reason).or_default() += 1;
            continue;
        }
        println!("== {file}");
        difference(&theirs.opened, &ours.opened, wish.show);
        let none = Vec::new();
        let loads = (theirs.loaded.as_ref(), ours.loaded.as_ref());
        difference(
            loads.0.unwrap_or(&none),
            loads.1.unwrap_or(&none),
            wish.show,
        );
        if theirs.good != ours.good || wish.errors {
            said(&theirs, &ours);
        }
    }
    let all = wish.files.len();
    println!("{all} objects, the same in both: {same} (of which both refuse {refused})");
    told(&reasons);
    same + reasons.values().sum::<usize>() == all
}

fn told(reasons: &BTreeMap<&str, usize>) {
    for (reason, count) in reasons {
        println!("{count:>6} differ: {reason}");
    }
}

fn equal(theirs: &Outcome, ours: &Outcome) -> bool {
    theirs.good == ours.good && theirs.opened == ours.opened && theirs.loaded == ours.loaded
}

fn said(theirs: &Outcome, ours: &Outcome) {
    let last = theirs.said.len().saturating_sub(6);
    for line in theirs.said.iter().skip(last) {
        println!("  libbpf: {line}");
    }
    for line in &ours.said {
        println!("  skep:   {line}");
    }
    if theirs.good != ours.good {
        println!("  good: libbpf {}, skep {}", theirs.good, ours.good);
    }
}

/// Prints the lines between the first and the last that differ.
fn difference(theirs: &[String], ours: &[String], show: usize) {
    let start = theirs.iter().zip(ours).take_while(|(a, b)| a == b).count();
    let (theirs, ours) = (&theirs[start..], &ours[start..]);
    let pairs = theirs.iter().rev().zip(ours.iter().rev());
    let end = pairs.take_while(|(a, b)| a == b).count();
    for line in theirs[..theirs.len() - end].iter().take(show) {
        println!("   -{line}");
    }
    for line in ours[..ours.len() - end].iter().take(show) {
        println!("   +{line}");
    }
}

/// Links each file alone, and neighbours in pairs, with both linkers, and lets libbpf open
/// and load what came out. Good when none differs.
pub fn links(args: &[String]) -> bool {
    let wish = wish(args);
    let alone = wish.files.iter().map(|file| vec![file.clone()]);
    let pairs = wish.files.windows(2).map(<[String]>::to_vec);
    let groups: Vec<Vec<String>> = alone.chain(pairs).collect();
    let folder = std::env::temp_dir().join(format!("skep-link-{}", std::process::id()));
    let place = |who: &str| folder.join(who).join("linked.bpf.o");
    for who in ["theirs", "ours"] {
        std::fs::create_dir_all(folder.join(who)).expect("a directory for what is linked");
    }
    let (mut same, mut refused) = (0, 0);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for group in &groups {
        let (at, our_at) = (place("theirs"), place("ours"));
        let (at, our_at) = (at.to_string_lossy(), our_at.to_string_lossy());
        let theirs = theirs::link(&at, group);
        let ours = link(&our_at, group);
        match (&theirs, &ours) {
            (Err(said), Err(error)) => {
                (same, refused) = (same + 1, refused + 1);
                if wish.errors {
                    println!("-- {}", group.join(" "));
                    println!("  libbpf: {}\n  skep:   {error}", said.join(" / "));
                }
            }
            (Ok(()), Ok(())) => {
                let (a, b) = (
                    theirs::outcome(&at, None, true),
                    theirs::outcome(&our_at, None, true),
                );
                let (a, b) = (without_ids(a), without_ids(b));
                if a == b {
                    same += 1;
                } else {
                    println!("== {}", group.join(" "));
                    difference(&a, &b, wish.show);
                }
            }
            (Ok(()), Err(error)) if error.contains("big-endian objects are not supported") => {
                *reasons
                    .entry("big-endian objects, which libbpf links")
                    .or_default() += 1;
            }
            _ => {
                println!("== {}", group.join(" "));
                println!("  libbpf: {}", theirs.err().unwrap_or_default().join(" / "));
                println!("  skep:   {}", ours.err().unwrap_or_default());
            }
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    let all = groups.len();
    println!("{all} links, the same in both: {same} (of which both refuse {refused})");
    told(&reasons);
    same + reasons.values().sum::<usize>() == all
}

fn link(output: &str, files: &[String]) -> Result<(), String> {
    let mut read = Vec::new();
    for file in files {
        read.push(std::fs::read(file).map_err(|error| format!("{file}: {error}"))?);
    }
    let inputs: Vec<Input<'_>> = files
        .iter()
        .zip(&read)
        .map(|(name, bytes)| Input { name, bytes })
        .collect();
    let linked = skep_elf::link(&inputs).map_err(|error| error.to_string())?;
    std::fs::write(output, linked).map_err(|error| error.to_string())
}

/// What libbpf makes of an object, without the numbers of types, which each linker gives out
/// in its own order.
fn without_ids(outcome: Outcome) -> Vec<String> {
    let mut lines = outcome.opened;
    for line in outcome.loaded.unwrap_or_default() {
        if line.starts_with("btf ") {
            continue;
        }
        let words = line.split(' ').map(|word| match word.split_once('=') {
            Some(("key" | "value", id)) => format!("{}", u32::from(id != "0")),
            _ if line.starts_with("  functions:") => {
                word.split('/').next().unwrap_or("").to_string()
            }
            _ => word.to_string(),
        });
        lines.push(words.collect::<Vec<_>>().join(" "));
    }
    lines.push(format!("good {}", outcome.good));
    lines
}

//! Relocations against generated types, put to libbpf and to skep: are the same instructions
//! written, and is the same refused?

mod ask;
mod world;
mod write;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::Arc;

use skep_btf::Btf;
use skep_smith::Source;

use crate::theirs::Outcome;
use crate::{ours, theirs};
use world::World;

/// How many relocations a program has.
const EACH: usize = 6;

/// A file in memory.
fn file(bytes: &[u8]) -> std::io::Result<(std::fs::File, String)> {
    // SAFETY: the name ends in NUL, and the descriptor belongs to nobody else.
    let mut file = unsafe {
        let fd = libc::memfd_create(c"types".as_ptr(), 0);
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        std::fs::File::from_raw_fd(fd)
    };
    file.write_all(bytes)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok((file, path))
}

/// The number of the relocation that libbpf refused.
fn refused_at(said: &[String]) -> Option<usize> {
    said.iter().rev().find_map(|line| {
        let rest = line.split("relo #").nth(1)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    })
}

/// The instruction of the relocation that skep refused.
fn refused_insn(said: &[String]) -> Option<u32> {
    said.iter().find_map(|line| {
        let rest = line.split(" at instruction ").nth(1)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    })
}

/// Leaves out that the kernel was asked to take made-up types, which it need not; libbpf asks
/// again for a log.
fn without_types(mut outcome: Outcome) -> Outcome {
    let lines = outcome.loaded.iter_mut();
    lines.for_each(|lines| lines.retain(|line| !line.starts_with("btf ")));
    outcome
}

/// What kind of reason it is.
fn reason(said: &[String]) -> &'static str {
    let text = said.join("\n");
    let known = [
        ("ambigu", "ambiguous"),
        ("answer differently", "ambiguous"),
        ("unexpected insn", "not what was compiled"),
        ("own types give", "not what was compiled"),
        ("can't be relocated", "cannot be written"),
        ("cannot be relocated", "cannot be written"),
        ("too big", "does not fit"),
        ("does not fit", "does not fit"),
    ];
    let found = known.iter().find(|(words, _)| text.contains(words));
    found.map_or("other", |(_, reason)| reason)
}

struct Wish {
    count: u64,
    seed: u64,
    show: u64,
}

fn wish(args: &[String]) -> Wish {
    let mut wish = Wish {
        count: 20_000,
        seed: 1,
        show: 5,
    };
    for pair in args.chunks(2) {
        let number = pair.get(1).and_then(|text| text.parse().ok()).unwrap_or(0);
        match pair.first().map(String::as_str) {
            Some("--count") => wish.count = number,
            Some("--seed") => wish.seed = number,
            Some("--show") => wish.show = number,
            _ => {}
        }
    }
    wish
}

/// Compares `--count` relocations. Good when none differs.
pub fn run(args: &[String]) -> bool {
    let wish = wish(args);
    let (mut asked, mut refused, mut differing, mut poisoned) = (0u64, 0u64, 0u64, 0u64);
    let mut reasons: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut seed = wish.seed;
    while asked < wish.count {
        let mut source = Source::seeded(seed);
        let local = World::local(&mut source);
        let target = local.target(&mut source).write().types.finish();
        let written = local.write();
        let program = ask::program(&mut source, &local, &written, EACH);
        let object = write::object(&written, &program.insns, &program.relos);
        let (_object, path) = file(&object).expect("a file in memory");
        let (_target, target_path) = file(&target).expect("a file in memory");
        let target = Arc::new(Btf::parse(&target).expect("made-up types can be read"));
        let theirs = without_types(theirs::outcome(&path, Some(&target_path), true));
        let ours = without_types(ours::outcome(&path, Some(&target), true));
        let at = refused_at(&theirs.said).filter(|_| !theirs.good);
        asked += at.map_or(EACH as u64, |at| at as u64 + 1);
        let ours_at = refused_insn(&ours.said);
        let theirs_at = at.and_then(|at| Some(program.relos.get(at)?.0));
        let same = theirs.good == ours.good
            && match theirs.good {
                true => theirs.loaded == ours.loaded,
                false => ours_at == theirs_at,
            };
        if theirs.good {
            let lines = theirs.loaded.iter().flatten();
            poisoned += lines.filter(|line| line.ends_with(" 195896080")).count() as u64;
        } else {
            refused += 1;
            *reasons
                .entry((reason(&theirs.said), reason(&ours.said)))
                .or_default() += 1;
        }
        if !same {
            differing += 1;
            if differing <= wish.show {
                shown(seed, Some(&program), &theirs, &ours);
                if let Some(place) = std::env::var_os("SKEP_KEEP") {
                    let place = std::path::PathBuf::from(place);
                    let _ = std::fs::write(place.join(format!("{seed}.bpf.o")), &object);
                    let _ = std::fs::write(place.join(format!("{seed}.btf")), target.raw());
                }
            }
        }
        seed += 1;
    }
    println!(
        "{asked} relocations in {} programs: {poisoned} poisoned, {refused} refused; programs \
         that differ: {differing}",
        seed - wish.seed
    );
    for ((theirs, ours), count) in &reasons {
        println!("{count:>8} libbpf: {theirs}; skep: {ours}");
    }
    differing == 0
}

/// Loads an object against a file of types in both, and shows what each wrote.
pub fn one(args: &[String]) -> bool {
    let [path, target] = args else {
        println!("relocate OBJECT TYPES");
        return false;
    };
    let raw = std::fs::read(target).expect("a file of types");
    let types = Arc::new(Btf::parse(&raw).expect("types"));
    let theirs = theirs::outcome(path, Some(target), true);
    let ours = ours::outcome(path, Some(&types), true);
    for line in theirs.loaded.iter().flatten() {
        println!(" {line}");
    }
    shown(0, None, &theirs, &ours);
    theirs.good == ours.good && theirs.loaded == ours.loaded
}

fn shown(seed: u64, program: Option<&ask::Program>, theirs: &Outcome, ours: &Outcome) {
    println!("== seed {seed}: libbpf {}, skep {}", theirs.good, ours.good);
    let relos = program.into_iter().flat_map(|program| {
        let relos = program.relos.iter().enumerate();
        relos.map(move |relo| (program, relo))
    });
    for (program, (number, (insn, ty, access, kind))) in relos {
        let code = program.insns[*insn as usize];
        println!("   #{number} at {insn}: kind {kind} of {ty} '{access}', {code:02x?}");
    }
    let none = Vec::new();
    let lines = (
        theirs.loaded.as_ref().unwrap_or(&none),
        ours.loaded.as_ref().unwrap_or(&none),
    );
    for (a, b) in lines.0.iter().zip(lines.1).filter(|(a, b)| a != b) {
        println!("   -{a}\n   +{b}");
    }
    for line in &theirs.said {
        println!("   libbpf: {line}");
    }
    for line in &ours.said {
        println!("   skep:   {line}");
    }
}

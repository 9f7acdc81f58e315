//! `cargo xtask bench maps`: what one operation of a program on a map costs in skep's native
//! code and in the kernel, the loop around it taken off.

use std::sync::Arc;

use skep_abi::{Backend, Buffers, Cmd, Errno, MapFlags, MapType, attr};
use skep_isa::Insn;
use skep_kernel::Kernel;

use super::run::{Shared, input, load, read, run_once};
use crate::{Outcome, project};

/// Operations in one run of a program.
const OPS: f64 = 256.0;
/// Bytes of a value.
const VALUE: usize = 64;
/// Samples of each case, where they are not said.
const SAMPLES: usize = 31;
/// About how long one sample takes, in nanoseconds: so long that the first visit of each
/// element, which has left the caches since the last sample, does not count.
const SAMPLE_NS: u64 = 10_000_000;
/// How often a program runs before it is known how long it takes.
const TRIED: u32 = 2000;
/// Bytes of a ring buffer, and how often a program may run before it is full.
const RING: u32 = 1 << 20;
const RING_RUNS: u32 = 50;
/// Elements that one command fills in.
const CHUNK: usize = 4096;

/// How the map is filled before the program runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    Empty,
    /// With the numbers from 0 on.
    Numbers,
    /// With prefixes of 8 to 28 bits.
    Prefixes,
}

/// One operation on one kind of map.
pub(super) struct Case {
    pub(super) map: &'static str,
    pub(super) op: &'static str,
    /// The target: at most this part of the kernel's time.
    target: f64,
    program: &'static str,
    kind: MapType,
    key: u32,
    flags: MapFlags,
    pub(super) fill: Fill,
}

pub(super) const fn case(
    (map, op, target): (&'static str, &'static str, f64),
    program: &'static str,
    (kind, key, flags): (MapType, u32, MapFlags),
    fill: Fill,
) -> Case {
    Case {
        map,
        op,
        target,
        program,
        kind,
        key,
        flags,
        fill,
    }
}

const NONE: MapFlags = MapFlags(0);
pub(super) const CASES: &[Case] = &[
    case(
        ("array", "increment", 0.7),
        "map_array_inc",
        (MapType::Array, 4, NONE),
        Fill::Empty,
    ),
    case(
        ("percpu_array", "increment", 0.7),
        "map_array_inc",
        (MapType::PercpuArray, 4, NONE),
        Fill::Empty,
    ),
    case(
        ("hash", "lookup", 0.8),
        "map_lookup_u64",
        (MapType::Hash, 8, NONE),
        Fill::Numbers,
    ),
    case(
        ("hash", "miss", 0.8),
        "map_lookup_miss",
        (MapType::Hash, 8, NONE),
        Fill::Numbers,
    ),
    case(
        ("percpu_hash", "lookup", 0.8),
        "map_lookup_u64",
        (MapType::PercpuHash, 8, NONE),
        Fill::Numbers,
    ),
    case(
        ("lru_hash", "lookup", 0.8),
        "map_lookup_u64",
        (MapType::LruHash, 8, NONE),
        Fill::Numbers,
    ),
    case(
        ("hash", "update", 0.8),
        "map_update_u64",
        (MapType::Hash, 8, NONE),
        Fill::Numbers,
    ),
    case(
        ("hash", "insert_delete", 0.8),
        "map_insert_delete",
        (MapType::Hash, 8, NONE),
        Fill::Empty,
    ),
    case(
        ("hash_no_prealloc", "insert_delete", 0.8),
        "map_insert_delete",
        (MapType::Hash, 8, MapFlags::NO_PREALLOC),
        Fill::Empty,
    ),
    case(
        ("lru_hash", "update", 0.8),
        "map_lru_churn",
        (MapType::LruHash, 8, NONE),
        Fill::Empty,
    ),
    case(
        ("lpm_trie", "lookup", 0.8),
        "map_lpm",
        (MapType::LpmTrie, 8, MapFlags::NO_PREALLOC),
        Fill::Prefixes,
    ),
    case(
        ("queue", "push_pop", 0.8),
        "map_queue",
        (MapType::Queue, 0, NONE),
        Fill::Empty,
    ),
    case(
        ("ringbuf", "reserve_submit", 0.8),
        "map_ringbuf",
        (MapType::Ringbuf, 0, NONE),
        Fill::Empty,
    ),
];

/// The loop without an operation.
pub(super) const NOP: Case = case(
    ("array", "nop", 1.0),
    "map_nop",
    (MapType::Array, 4, NONE),
    Fill::Empty,
);

/// One engine.
pub(super) struct Engine {
    pub(super) name: &'static str,
    pub(super) backend: Box<dyn Backend + Send + Sync>,
}

/// How large a case is played.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) entries: u32,
    pub(super) threads: usize,
    /// Samples in each engine, taken in turn.
    pub(super) samples: usize,
}

/// What the command line says.
struct Wanted {
    json: bool,
    entries: Vec<u32>,
    threads: usize,
    only: Vec<String>,
}

fn wanted(args: &[String]) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        json: false,
        entries: vec![16_384],
        threads: 1,
        only: Vec::new(),
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--json" => wanted.json = true,
            "--threads" => wanted.threads = value()?.parse().map_err(|e| format!("{arg}: {e}"))?,
            "--entries" => {
                let numbers = value()?.split(',').map(str::parse);
                let numbers: Result<_, _> = numbers.collect();
                wanted.entries = numbers.map_err(|e| format!("{arg}: {e}"))?;
            }
            name if !name.starts_with("--") => wanted.only.push(name.to_owned()),
            _ => return Err(format!("there is no option `{arg}`")),
        }
    }
    Ok(wanted)
}

pub(super) fn engines() -> Vec<Engine> {
    let skep = Arc::new(Kernel::builder().build());
    let mut engines = vec![Engine {
        name: "skep",
        backend: Box::new(Shared(skep)),
    }];
    if skep_host::Host::available().is_ok() {
        engines.push(Engine {
            name: "kernel",
            backend: Box::new(skep_host::Host::new()),
        });
    }
    engines
}

/// A map with its program, ready to run.
pub(super) struct Ready {
    pub(super) map: u32,
    prog: u32,
}

impl Ready {
    pub(super) fn new(engine: &Engine, case: &Case, entries: u32) -> Result<Ready, String> {
        let backend = &*engine.backend;
        let map = create(backend, case, entries).map_err(|e| format!("map: {e}"))?;
        fill(backend, map, case, entries).map_err(|e| format!("filling: {e}"))?;
        let path = project().join(format!("benches/programs/{}.bpf.o", case.program));
        let (mut insns, refs) = read(&path).map_err(|e| e.to_string())?;
        for at in refs {
            if let Some(insn) = insns.get_mut(at) {
                (insn.src, insn.imm) = (1, map as i32);
            }
        }
        let insns: Vec<Insn> = insns;
        let prog = load(backend, &insns).map_err(|e| format!("load: {e}"))?;
        Ok(Ready { map, prog })
    }

    pub(super) fn close(self, engine: &Engine) {
        // Descriptors that were just used can be closed.
        let _ = engine.backend.close(self.prog);
        let _ = engine.backend.close(self.map);
    }
}

fn create(backend: &dyn Backend, case: &Case, entries: u32) -> Result<u32, Errno> {
    let mut create = attr::MapCreate::new();
    create
        .set_map_type(case.kind.into())
        .set_key_size(case.key)
        .set_value_size(VALUE as u32)
        .set_max_entries(entries)
        .set_map_flags(case.flags.0);
    if case.kind == MapType::Ringbuf {
        create.set_value_size(0).set_max_entries(RING);
    }
    backend.bpf(Cmd::MapCreate.into(), create.as_attr(), &mut Buffers::new())
}

fn fill(backend: &dyn Backend, map: u32, case: &Case, entries: u32) -> Result<(), Errno> {
    let percpu = case.kind == MapType::PercpuHash;
    let cpus = std::thread::available_parallelism().map_or(1, |n| n.get());
    let value = if percpu { VALUE * cpus } else { VALUE };
    let mut state = 1u64;
    let mut key = |number: u64| match case.fill {
        Fill::Empty => None,
        Fill::Numbers => Some(number.to_ne_bytes()),
        Fill::Prefixes => {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let bits = 8 + (state >> 33) as u32 % 21;
            let (mut key, address) = ([0; 8], (state >> 20) as u32);
            key[..4].copy_from_slice(&bits.to_ne_bytes());
            key[4..].copy_from_slice(&address.to_be_bytes());
            Some(key)
        }
    };
    let keys: Vec<[u8; 8]> = (0..u64::from(entries)).map_while(&mut key).collect();
    let values = vec![0; value * CHUNK];
    for chunk in keys.chunks(CHUNK) {
        let mut memory = Buffers::new();
        let mut batch = attr::MapBatch::new();
        batch
            .set_map_fd(map)
            .set_keys(memory.input(chunk.as_flattened()))
            .set_values(memory.input(&values))
            .set_count(chunk.len() as u32);
        backend.bpf(Cmd::MapUpdateBatch.into(), batch.as_attr(), &mut memory)?;
    }
    Ok(())
}

/// The input of a program for a map of this many entries.
fn data(entries: u32) -> Vec<u8> {
    let mut data = input("map_nop");
    let mask =
        u64::from(entries.next_power_of_two() / if entries.is_power_of_two() { 1 } else { 2 }) - 1;
    data[8..16].copy_from_slice(&mask.to_le_bytes());
    data
}

/// Nanoseconds of one operation in each engine: the best of some samples, taken in turn.
pub(super) fn measure(engines: &[Engine], case: &Case, scale: Scale) -> Vec<Option<f64>> {
    let mut kept: Vec<Option<Ready>> = Vec::new();
    for engine in engines {
        let ready = Ready::new(engine, case, scale.entries);
        if let Err(why) = &ready {
            eprintln!("{} {} in {}: {why}", case.map, case.op, engine.name);
        }
        kept.push(ready.ok());
    }
    let best = play(engines, case, &kept, scale);
    for (engine, ready) in engines.iter().zip(kept) {
        if let Some(ready) = ready {
            ready.close(engine);
        }
    }
    best
}

/// The same for maps that are there.
pub(super) fn play(
    engines: &[Engine],
    case: &Case,
    maps: &[Option<Ready>],
    scale: Scale,
) -> Vec<Option<f64>> {
    let data = data(scale.entries);
    let rings = case.kind == MapType::Ringbuf;
    let mut best = vec![None::<f64>; engines.len()];
    let repeats: Vec<Option<u32>> = engines
        .iter()
        .zip(maps)
        .map(|(engine, ready)| {
            let prog = ready.as_ref()?.prog;
            let tried = if rings { 20 } else { TRIED };
            if !rings {
                // The system gives memory when it is first touched, which says nothing of later.
                let _ = run_once(&*engine.backend, prog, &data, tried);
            }
            let once = run_once(&*engine.backend, prog, &data, tried);
            let (_, ns) = once
                .inspect_err(|why| eprintln!("{} in {}: {why}", case.map, engine.name))
                .ok()?;
            let most = if rings { RING_RUNS } else { 50_000 };
            Some((SAMPLE_NS / u64::from(ns.max(1))).clamp(4, most.into()) as u32)
        })
        .collect();
    for round in 0..scale.samples {
        let all = engines.iter().zip(maps).zip(&repeats);
        for (((engine, ready), repeat), best) in all.zip(&mut best) {
            let (Some(ready), Some(repeat)) = (ready, repeat) else {
                continue;
            };
            if rings && drain(&*engine.backend, ready.map).is_err() {
                continue;
            }
            let ns = sample(engine, ready.prog, &data, *repeat, scale.threads, round);
            if let Some(ns) = ns {
                *best = Some(best.map_or(ns, |b: f64| b.min(ns)));
            }
        }
    }
    best
}

/// Takes everything out of a ring buffer, as a consumer does through its pages.
fn drain(backend: &dyn Backend, map: u32) -> Result<(), Errno> {
    const PAGE: usize = 4096;
    let consumer = backend.mmap(map, 0, PAGE, true)?;
    let producer = backend.mmap(map, PAGE as u64, PAGE, false)?;
    consumer.store(0, producer.load(0)?)
}

/// Nanoseconds of one operation, the average of the threads. Each round walks other elements:
/// of a large map the same ones, visited in turn by both engines, would lie in the cache or not
/// by chance.
fn sample(
    engine: &Engine,
    prog: u32,
    data: &[u8],
    repeat: u32,
    threads: usize,
    round: usize,
) -> Option<f64> {
    let backend = &*engine.backend;
    let one = |number: usize| {
        let mut data = data.to_vec();
        let seed = (round * threads.max(1) + number + 1) as u64;
        if let Some(place) = data.first_chunk_mut() {
            *place = seed.to_le_bytes();
        }
        run_once(backend, prog, &data, repeat)
            .ok()
            .map(|(_, ns)| f64::from(ns) / OPS)
    };
    if threads <= 1 {
        return one(0);
    }
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|n| scope.spawn(move || one(n))).collect();
        let times: Option<Vec<f64>> = running
            .into_iter()
            .map(|t| t.join().ok().flatten())
            .collect();
        times.map(|times| times.iter().sum::<f64>() / times.len() as f64)
    })
}

/// Prints what each operation costs in each engine.
///
/// # Errors
/// For options that make no sense.
pub fn run(args: &[String]) -> Outcome {
    if args.iter().any(|arg| arg == "--growth") {
        return super::growth::run(args);
    }
    let wanted = wanted(args)?;
    let engines = engines();
    if !wanted.json {
        println!(
            "{:<16} {:<20} {:>9} {:>8} {:>9} {:>9} {:>7} {:>7}",
            "map", "op", "entries", "threads", "skep ns", "kernel ns", "ratio", "target"
        );
    }
    for entries in &wanted.entries {
        let scale = Scale {
            entries: *entries,
            threads: wanted.threads,
            samples: SAMPLES,
        };
        let nop = measure(&engines, &NOP, scale);
        let chosen = |case: &&Case| {
            let name = format!("{}/{}", case.map, case.op);
            wanted.only.is_empty() || wanted.only.iter().any(|only| name.contains(only.as_str()))
        };
        for case in CASES.iter().filter(chosen) {
            let times = measure(&engines, case, scale);
            let net: Vec<Option<f64>> = times
                .iter()
                .zip(&nop)
                .map(|(time, nop)| Some((time.as_ref()? - nop.as_ref()?).max(0.05)))
                .collect();
            show(&wanted, case, *entries, &engines, &net);
        }
    }
    super::commands::print(wanted.json, &wanted.only)?;
    Ok(true)
}

fn show(wanted: &Wanted, case: &Case, entries: u32, engines: &[Engine], net: &[Option<f64>]) {
    if wanted.json {
        for (engine, ns) in engines.iter().zip(net) {
            let row = serde_json::json!({
                "map": case.map,
                "op": case.op,
                "entries": entries,
                "threads": wanted.threads,
                "engine": engine.name,
                "ns_per_op": ns,
            });
            println!("{row}");
        }
        return;
    }
    let of = |name: &str| {
        let at = engines.iter().position(|engine| engine.name == name)?;
        net.get(at).copied().flatten()
    };
    let text = |ns: Option<f64>| ns.map_or("-".to_owned(), |ns| format!("{ns:.1}"));
    let (skep, kernel) = (of("skep"), of("kernel"));
    let ratio = skep.zip(kernel).map(|(skep, kernel)| skep / kernel);
    println!(
        "{:<16} {:<20} {entries:>9} {:>8} {:>9} {:>9} {:>7} {:>7}",
        case.map,
        case.op,
        wanted.threads,
        text(skep),
        text(kernel),
        ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
        case.target,
    );
}

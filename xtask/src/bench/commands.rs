//! What commands on elements cost: from a program that embeds skep and makes each command as
//! any caller does, and by the system call alone, prepared beforehand.

use std::time::Instant;

use skep_abi::{Bpf, Buffers, Cmd, ElemFlags, Errno, MapFlags, MapType, attr};
use skep_host::Host;
use skep_kernel::Kernel;

const ENTRIES: u32 = 16_384;
const VALUE: usize = 64;
/// Different keys that commands name: few, so that what is prepared for the system calls
/// stays in the caches.
const KEYS: usize = 256;
/// Measurements of each side, in turn, and about how long one takes.
const SAMPLES: u32 = 25;
const SAMPLE_NS: u64 = 3_000_000;
/// The part of `bpf(2)`'s time that is aimed at: there is no system call.
const TARGET: f64 = 0.2;

/// One map type, and what is done to it.
struct Case {
    kind: MapType,
    flags: MapFlags,
    ops: &'static [(&'static str, Op)],
}

/// What is done to each of the keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    /// One command for each.
    Each(Cmd),
    /// It is taken out and put in again, which are two operations.
    OutAndIn,
    /// A value is put in and taken out, of maps without keys.
    PushAndPop,
    /// All in one command.
    Batch(Cmd),
}

const LOOKUP: (&str, Op) = ("lookup", Op::Each(Cmd::MapLookupElem));
const UPDATE: (&str, Op) = ("update", Op::Each(Cmd::MapUpdateElem));
const NEXT_KEY: (&str, Op) = ("get_next_key", Op::Each(Cmd::MapGetNextKey));
const OUT_AND_IN: (&str, Op) = ("delete_insert", Op::OutAndIn);
const LOOKUP_BATCH: (&str, Op) = ("lookup_batch", Op::Batch(Cmd::MapLookupBatch));
const UPDATE_BATCH: (&str, Op) = ("update_batch", Op::Batch(Cmd::MapUpdateBatch));

const fn case(kind: MapType, ops: &'static [(&'static str, Op)]) -> Case {
    let flags = match kind {
        MapType::LpmTrie => MapFlags::NO_PREALLOC,
        _ => MapFlags(0),
    };
    Case { kind, flags, ops }
}

const CASES: &[Case] = &[
    case(
        MapType::Array,
        &[LOOKUP, UPDATE, NEXT_KEY, LOOKUP_BATCH, UPDATE_BATCH],
    ),
    case(
        MapType::Hash,
        &[
            LOOKUP,
            UPDATE,
            OUT_AND_IN,
            NEXT_KEY,
            LOOKUP_BATCH,
            UPDATE_BATCH,
        ],
    ),
    case(MapType::PercpuArray, &[LOOKUP, UPDATE]),
    case(MapType::PercpuHash, &[LOOKUP, UPDATE]),
    case(MapType::LruHash, &[LOOKUP, UPDATE, OUT_AND_IN]),
    case(MapType::LpmTrie, &[LOOKUP, UPDATE, OUT_AND_IN, NEXT_KEY]),
    case(MapType::Queue, &[("push_pop", Op::PushAndPop)]),
    case(MapType::Stack, &[("push_pop", Op::PushAndPop)]),
];

/// The keys and values of a measurement.
struct Data {
    map: u32,
    keys: Vec<u8>,
    key: usize,
    values: Vec<u8>,
    value: usize,
}

impl Data {
    fn key(&self, at: usize) -> &[u8] {
        self.keys
            .get(at * self.key..(at + 1) * self.key)
            .unwrap_or(&[])
    }
}

/// Carries a command out, or notes it for later.
type Call<'c> = dyn FnMut(Cmd, &mut [u8], &mut Buffers<'_>) -> Result<(), Errno> + 'c;

/// Makes one command as callers do, and hands it on.
fn element(
    data: &Data,
    cmd: Cmd,
    at: usize,
    value: &mut [u8],
    call: &mut Call<'_>,
) -> Result<(), Errno> {
    let mut memory = Buffers::new();
    let key = match data.key {
        0 => 0,
        _ => memory.input(data.key(at)),
    };
    let value = memory.output(value);
    match cmd {
        Cmd::MapDeleteElem => {
            let mut view = attr::MapDeleteElem::new();
            view.set_map_fd(data.map).set_key(key);
            call(cmd, view.as_attr(), &mut memory)
        }
        Cmd::MapGetNextKey => {
            let mut view = attr::MapGetNextKey::new();
            view.set_map_fd(data.map).set_key(key).set_next_key(value);
            call(cmd, view.as_attr(), &mut memory)
        }
        _ => {
            let mut view = attr::MapElem::new();
            view.set_map_fd(data.map).set_key(key).set_value(value);
            call(cmd, view.as_attr(), &mut memory)
        }
    }
}

/// All keys in one command.
fn batch(
    data: &Data,
    cmd: Cmd,
    (keys, values, out): (&mut [u8], &mut [u8], &mut [u8]),
    call: &mut Call<'_>,
) -> Result<(), Errno> {
    let mut memory = Buffers::new();
    let mut view = attr::MapBatch::new();
    view.set_map_fd(data.map)
        .set_count(KEYS as u32)
        .set_keys(memory.output(keys))
        .set_values(memory.output(values))
        .set_out_batch(memory.output(out));
    call(cmd, view.as_attr(), &mut memory)
}

/// The commands of one operation, and how many operations they are.
fn commands(op: Op) -> (Vec<(Cmd, usize)>, usize) {
    let pairs = |first: Cmd, second: Cmd| {
        let all = (0..KEYS).flat_map(|at| [(first, at), (second, at)]);
        (all.collect(), 2 * KEYS)
    };
    match op {
        Op::Each(cmd) => ((0..KEYS).map(|at| (cmd, at)).collect(), KEYS),
        Op::OutAndIn => pairs(Cmd::MapDeleteElem, Cmd::MapUpdateElem),
        Op::PushAndPop => pairs(Cmd::MapUpdateElem, Cmd::MapLookupAndDeleteElem),
        Op::Batch(cmd) => (vec![(cmd, 0)], KEYS),
    }
}

/// Nanoseconds of one operation in skep.
fn measure_skep(skep: &Kernel, data: &Data, op: Op, rounds: u32) -> Result<f64, Errno> {
    let (commands, count) = commands(op);
    let (mut keys, mut values, mut out) = (data.keys.clone(), data.values.clone(), [0; 8]);
    let mut call = |cmd: Cmd, attr: &mut [u8], memory: &mut Buffers<'_>| {
        skep.bpf(cmd.into(), attr, memory).map(drop)
    };
    let started = Instant::now();
    for _ in 0..rounds {
        for (cmd, at) in &commands {
            match op {
                Op::Batch(_) => batch(data, *cmd, (&mut keys, &mut values, &mut out), &mut call)?,
                _ => {
                    let value = values.get_mut(..data.value).ok_or(Errno::EINVAL)?;
                    element(data, *cmd, *at, value, &mut call)?;
                }
            }
        }
    }
    Ok(started.elapsed().as_nanos() as f64 / f64::from(rounds) / count as f64)
}

/// The same by system calls.
fn measure_kernel(host: &Host, data: &Data, op: Op, rounds: u32) -> Result<f64, Errno> {
    let (commands, count) = commands(op);
    let (mut keys, mut values, mut out) = (data.keys.clone(), data.values.clone(), [0; 8]);
    let mut attrs: Vec<(Cmd, Vec<u8>)> = Vec::new();
    let mut keep = |cmd: Cmd, attr: &mut [u8], _: &mut Buffers<'_>| {
        attrs.push((cmd, attr.to_vec()));
        Ok(())
    };
    for (cmd, at) in &commands {
        match op {
            Op::Batch(_) => batch(data, *cmd, (&mut keys, &mut values, &mut out), &mut keep)?,
            _ => {
                let value = values.get_mut(..data.value).ok_or(Errno::EINVAL)?;
                element(data, *cmd, *at, value, &mut keep)?;
            }
        }
    }
    // The same addresses, lent for all commands together.
    let mut memory = Buffers::new();
    memory.input(&data.keys);
    memory.output(&mut keys);
    memory.output(&mut values);
    memory.output(&mut out);
    let calls: Vec<(Cmd, &[u8])> = attrs.iter().map(|(cmd, attr)| (*cmd, &attr[..])).collect();
    let taken = host.time(&calls, &memory, rounds)?;
    Ok(taken.as_nanos() as f64 / f64::from(rounds) / count as f64)
}

/// A map with all its elements.
fn map(backend: &dyn Bpf, case: &Case, cpus: u32) -> Result<Data, Errno> {
    use MapType::*;
    let key: usize = match case.kind {
        Queue | Stack => 0,
        Array | PercpuArray => 4,
        _ => 8,
    };
    let value = match case.kind {
        PercpuArray | PercpuHash => VALUE * cpus as usize,
        _ => VALUE,
    };
    let mut create = attr::MapCreate::new();
    create
        .set_map_type(case.kind.into())
        .set_key_size(key as u32)
        .set_value_size(VALUE as u32)
        .set_max_entries(ENTRIES)
        .set_map_flags(case.flags.0);
    let fd = backend.bpf(Cmd::MapCreate.into(), create.as_attr(), &mut Buffers::new())?;
    let bytes = |number: u32| match case.kind {
        LpmTrie => {
            let mut key = 32u32.to_ne_bytes().to_vec();
            key.extend(number.wrapping_mul(0x9e37_79b1).to_be_bytes());
            key
        }
        _ => {
            let mut bytes = u64::from(number).to_ne_bytes().to_vec();
            bytes.truncate(key);
            bytes
        }
    };
    let mut data = Data {
        map: fd,
        keys: Vec::new(),
        key,
        values: vec![1; value * KEYS],
        value,
    };
    if key != 0 {
        for number in 0..ENTRIES {
            let (key, mut value) = (bytes(number), vec![1; value]);
            let mut memory = Buffers::new();
            let mut view = attr::MapElem::new();
            view.set_map_fd(fd)
                .set_key(memory.input(&key))
                .set_value(memory.output(&mut value))
                .set_flags(ElemFlags(0).0);
            backend.bpf(Cmd::MapUpdateElem.into(), view.as_attr(), &mut memory)?;
        }
    }
    let step = ENTRIES / KEYS as u32;
    for at in 0..KEYS as u32 {
        data.keys.extend(bytes(at * step));
    }
    Ok(data)
}

/// Prints what both sides take, for the cases whose name has one of these in it.
///
/// # Errors
/// What a kernel answers.
pub(super) fn print(json: bool, only: &[String]) -> Result<(), Errno> {
    let host = Host::available().ok().map(|()| Host::new());
    let cpus = host.as_ref().and_then(Host::possible_cpus).unwrap_or(1);
    let skep = Kernel::builder().cpus(cpus).build();
    for case in CASES {
        let chosen = |op: &str| {
            let name = format!("{}/command_{op}", case.kind.name());
            only.is_empty() || only.iter().any(|only| name.contains(only.as_str()))
        };
        if !case.ops.iter().any(|(op, _)| chosen(op)) {
            continue;
        }
        let ours = map(&skep, case, cpus)?;
        let theirs = host
            .as_ref()
            .map(|host| map(host, case, cpus))
            .transpose()?;
        for (name, op) in case.ops.iter().filter(|(op, _)| chosen(op)) {
            let kernel = |rounds| match (&host, &theirs) {
                (Some(host), Some(data)) => measure_kernel(host, data, *op, rounds).map(Some),
                _ => Ok(None),
            };
            let rounds_for = |ns: f64| {
                let round = (ns * commands(*op).1 as f64).max(1.0) as u64;
                (SAMPLE_NS / round).clamp(1, 10_000) as u32
            };
            let mut least = (measure_skep(&skep, &ours, *op, 20)?, kernel(20)?);
            let rounds = (rounds_for(least.0), least.1.map_or(1, rounds_for));
            for _ in 0..SAMPLES {
                least.0 = least.0.min(measure_skep(&skep, &ours, *op, rounds.0)?);
                let sample = kernel(rounds.1)?;
                least.1 = least.1.zip(sample).map(|(a, b)| a.min(b));
            }
            show(json, case.kind.name(), name, least);
        }
        skep_abi::Files::close(&skep, ours.map)?;
        if let (Some(host), Some(data)) = (&host, theirs) {
            skep_abi::Files::close(host, data.map)?;
        }
    }
    Ok(())
}

fn show(json: bool, map: &str, op: &str, (skep, kernel): (f64, Option<f64>)) {
    let op = format!("command_{op}");
    if json {
        for (engine, ns) in [("skep", Some(skep)), ("kernel", kernel)] {
            let line = serde_json::json!({
                "map": map, "op": op, "entries": ENTRIES, "threads": 1, "engine": engine,
                "ns_per_op": ns,
            });
            println!("{line}");
        }
        return;
    }
    let (theirs, ratio) = match kernel {
        Some(ns) => (format!("{ns:.1}"), format!("{:.2}", skep / ns)),
        None => ("-".to_owned(), "-".to_owned()),
    };
    println!(
        "{map:<16} {op:<20} {ENTRIES:>9} {:>8} {skep:>9.1} {theirs:>9} {ratio:>7} {TARGET:>7}",
        1
    );
}
